/*
 * Posts from the rows of a version. See post.h.
 */
#include "pg/serve/post.h"

#include "core/ascending.h"
#include "core/tag_post.h"

static float *
get_embedding(const TagrecScan *scan, int column)
{
	int			width = scan->table->version->width;
	float	   *embedding = palloc(Max(width, 1) * sizeof(float));

	tagrec_get_embedding(scan, column, embedding);
	return width > 0 ? embedding : NULL;
}

/* Where the posts of a user end; the tags of each ascend. */
static void
check_posts(const TagrecPostUser *user, const TagrecVersion *version, int32 n_ends, int32 n_tags)
{
	int32		before = 0;

	if (n_ends != user->n_posts)
		tagrec_version_corrupted(version, psprintf("A user has %d posts and %d ends of posts.", user->n_posts, n_ends));
	for (int32 p = 0; p < n_ends; p++)
	{
		if (user->post_end[p] < before || user->post_end[p] > n_tags)
			tagrec_version_corrupted(version, psprintf("Post %d of a user ends at tag %d of %d.", p + 1,
													   user->post_end[p], n_tags));
		for (int32 t = before + 1; t < user->post_end[p]; t++)
			if (user->post_tag[t] <= user->post_tag[t - 1])
				tagrec_version_corrupted(version, psprintf("The tags of post %d of a user are not in order.", p + 1));
		before = user->post_end[p];
	}
}

static void
get_user(TagrecPostUser *user, const TagrecScan *scan)
{
	const TagrecVersion *version = scan->table->version;
	int32		n_ends;
	int32		n_tags;

	user->embedding = get_embedding(scan, User_embedding);
	user->post_item = tagrec_get_positions(scan, User_seen, version->items, true, &user->n_posts);
	user->tags = tagrec_get_profile(scan, User_tags, User_counts);
	user->post_end = tagrec_get_positions(scan, User_post_ends, PG_INT32_MAX, false, &n_ends);
	user->post_tag = tagrec_get_positions(scan, User_post_tags, version->tags, false, &n_tags);
	check_posts(user, version, n_ends, n_tags);
}

static void
get_item(TagrecPostItem *item, const TagrecScan *scan)
{
	const TagrecVersion *version = scan->table->version;

	item->position = tagrec_get_int(scan, Item_position, version->items);
	item->embedding = get_embedding(scan, Item_embedding);
	item->tags = tagrec_get_profile(scan, Item_tags, Item_counts);
	item->posts = tagrec_get_int(scan, Item_posts, PG_INT32_MAX);
}

/* The neighbours of an item, if it has any. */
static TrSparse
read_similar(TagrecTable *neighbours, int32 item)
{
	TagrecScan	scan = tagrec_scan_key(neighbours, Int32GetDatum(item));
	TrSparse	similar = {0};

	if (tagrec_scan_next(&scan))
		similar = tagrec_get_sparse(&scan, Neighbour_items, Neighbour_weights, neighbours->version->items);
	tagrec_scan_end(&scan);
	return similar;
}

bool
tagrec_read_post_user(TagrecPostUser *user, const TagrecCall *call, Datum key)
{
	TagrecScan	scan = tagrec_scan_key(call->tables.users, key);
	bool		found = tagrec_scan_next(&scan);

	if (found)
		get_user(user, &scan);
	tagrec_scan_end(&scan);
	return found;
}

bool
tagrec_read_post_item(TagrecPostItem *item, const TagrecCall *call, Datum key)
{
	TagrecScan	scan = tagrec_scan_key(call->tables.items, key);
	bool		found = tagrec_scan_next(&scan);

	memset(item, 0, sizeof(*item));
	if (found)
		get_item(item, &scan);
	tagrec_scan_end(&scan);
	if (found && call->tables.neighbours)
		item->similar = read_similar(call->tables.neighbours, item->position);
	return found;
}

bool
tagrec_find_post_user(TagrecPostUser *user, TagrecCall *call, const TagrecId *id)
{
	return tagrec_read_post_user(user, call, tagrec_id_as(id, call->tables.users->key_type));
}

bool
tagrec_find_post_item(TagrecPostItem *item, TagrecCall *call, const TagrecId *id)
{
	return tagrec_read_post_item(item, call, tagrec_id_as(id, call->tables.items->key_type));
}

TrPost
tagrec_post(const TagrecPostUser *user, const TagrecPostItem *item)
{
	TrPost		post = {.own = -1};

	if (user)
	{
		post.user = user->embedding;
		post.user_tags = user->tags;
		post.n_posts = user->n_posts;
		post.post_item = user->post_item;
		post.post_end = user->post_end;
		post.post_tag = user->post_tag;
	}
	if (item)
	{
		post.item = item->embedding;
		post.item_tags = item->tags;
		post.item_posts = item->posts;
		post.similar = item->similar;
	}
	if (user && item)
		post.own = tr_find_ascending(user->post_item, user->n_posts, item->position);
	post.given = tr_post_own_tags(&post, &post.n_given);
	return post;
}
