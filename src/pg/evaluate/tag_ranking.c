/*
 * Where a version ranks the tags of a test's posts: chunks of whole users, of which everything that is stored of their
 * posts is looked up at once, and blocks of posts that are scored together. See test.h.
 *
 * Legend: P posts of a block, T tags of the version.
 */
#include "pg/evaluate/test.h"

#include <math.h>

#include "core/ascending.h"
#include "miscadmin.h"
#include "pg/serve/post.h"
#include "utils/memutils.h"

/* A chunk is as many users as have so many posts, or one that has more. */
#define CHUNK_POSTS 1024

/* A block has so many scores, or one post. */
#define BLOCK_SCORES (512 * 1024)
#define MOST_POSTS 64

typedef struct Pass
{
	TagrecCall *call;
	const TagrecTest *test;
	bool		exclude_seen;
	TagrecRanking *ranking;
	TagrecEncoder *encoder;
	int32		n_tags;
	int32	   *tag;			/* (tags of the test) position in the version, -1 = unknown */
	bool	   *known_item;		/* (items of the test) */
	TagrecKeyInput user_input;
	TagrecKeyInput item_input;
	int			block;			/* posts of a block, at most */
	float	   *score;			/* (P,T) */
	float	   *bar;			/* (largest number of a post's test tags) */
	int32	   *relevant;
	int32	   *ahead;

	/* the chunk: posts (groups of the test) first..end-1 */
	int32		first,
				end;
	int32		first_user;
	int32		n_users;
	TagrecPostUser **user;		/* (n_users) NULL = unknown */
	int32		n_items;
	int32	   *item_key;		/* (n_items) in the test, ascending */
	TagrecPostItem **item;		/* (n_items) NULL = unknown */
} Pass;

static int32
user_of(const Pass *pass, int32 group)
{
	return pass->test->pairs.user[pass->test->group_ptr[group]];
}

static int32
item_of(const Pass *pass, int32 group)
{
	return pass->test->pairs.item[pass->test->group_ptr[group]];
}

/* ------------------------------------------------------------------ a chunk */

static void
find_users(Pass *pass)
{
	pass->first_user = user_of(pass, pass->first);
	pass->n_users = user_of(pass, pass->end - 1) - pass->first_user + 1;
	pass->user = palloc0(pass->n_users * sizeof(TagrecPostUser *));
	for (int32 u = 0; u < pass->n_users; u++)
	{
		TagrecPostUser *user = palloc(sizeof(TagrecPostUser));
		char	   *key = pass->test->users.text[pass->first_user + u];

		if (!tagrec_read_post_user(user, pass->call, tagrec_key_read(&pass->user_input, key)))
			continue;
		pass->user[u] = user;
		pass->ranking->known_users++;
	}
}

/* The items of the chunk's posts, each once. */
static void
list_items(Pass *pass)
{
	int32		n = pass->end - pass->first;

	pass->item_key = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(int32));
	for (int32 i = 0; i < n; i++)
		pass->item_key[i] = item_of(pass, pass->first + i);
	pass->n_items = tr_sort_distinct(pass->item_key, n);
}

static void
find_items(Pass *pass)
{
	pass->item = MemoryContextAllocExtended(CurrentMemoryContext, pass->n_items * sizeof(TagrecPostItem *),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int32 i = 0; i < pass->n_items; i++)
	{
		TagrecPostItem *item = palloc(sizeof(TagrecPostItem));
		char	   *key = pass->test->items.text[pass->item_key[i]];

		if (!tagrec_read_post_item(item, pass->call, tagrec_key_read(&pass->item_input, key)))
			continue;
		pass->item[i] = item;
		pass->known_item[pass->item_key[i]] = true;
	}
}

static TrPost
post_of(const Pass *pass, int32 group)
{
	int32		item = tr_find_ascending(pass->item_key, pass->n_items, item_of(pass, group));

	return tagrec_post(pass->user[user_of(pass, group) - pass->first_user], pass->item[item]);
}

/* ------------------------------------------------------------------ ranks */

static bool
is_given(const TrPost *post, int32 tag)
{
	return tr_find_ascending(post->given, post->n_given, tag) >= 0;
}

static void
rank_post(Pass *pass, int32 group, const TrPost *post, float *score)
{
	const TagrecTest *test = pass->test;
	int64		first = test->group_ptr[group];
	int32		n = 0;

	pass->ranking->known[group] = true;
	pass->ranking->given[group] = post->n_given > 0;
	pass->ranking->candidates[group] = pass->n_tags - (pass->exclude_seen ? post->n_given : 0);
	for (int64 p = first; p < test->group_ptr[group + 1]; p++)
		pass->ranking->seen[p] = pass->tag[test->pairs.tag[p]] >= 0 && is_given(post, pass->tag[test->pairs.tag[p]]);
	for (int32 i = 0; pass->exclude_seen && i < post->n_given; i++)
		score[post->given[i]] = NAN;
	for (int64 p = first; p < test->group_ptr[group + 1]; p++)
	{
		int32		tag = pass->tag[test->pairs.tag[p]];

		if (tag < 0 || isnan(score[tag]))
			continue;
		pass->relevant[n] = tag;
		pass->bar[n] = score[tag];
		pass->ahead[n++] = 0;
	}
	tr_ranks_tile(pass->ahead, pass->relevant, pass->bar, n, score, 0, pass->n_tags);
	n = 0;
	for (int64 p = first; p < test->group_ptr[group + 1]; p++)
	{
		int32		tag = pass->tag[test->pairs.tag[p]];

		if (tag >= 0 && !isnan(score[tag]))
			pass->ranking->rank[p] = pass->ahead[n++] + 1;
	}
}

static void
rank_chunk(Pass *pass)
{
	TrPost		post[MOST_POSTS];

	find_users(pass);
	list_items(pass);
	find_items(pass);
	for (int32 group = pass->first; group < pass->end; group += pass->block)
	{
		int			n = Min(pass->block, pass->end - group);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			post[i] = post_of(pass, group + i);
		tagrec_score_tags(pass->encoder, post, n, pass->score);
		for (int i = 0; i < n; i++)
			rank_post(pass, group + i, &post[i], pass->score + (Size) i * pass->n_tags);
	}
}

/* ------------------------------------------------------------------ all of it */

/* The positions of the test's tags in the version. */
static void
find_tags(Pass *pass)
{
	const TagrecKeys *tags = &pass->test->tags;

	pass->tag = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) tags->count + 1) * sizeof(int32));
	for (int32 t = 0; t < tags->count; t++)
	{
		pass->tag[t] = tagrec_encoder_find(pass->encoder, tags->text[t]);
		pass->ranking->unknown[t] = pass->tag[t] < 0;
		pass->ranking->known_tags += pass->tag[t] >= 0;
	}
}

static void
prepare(Pass *pass)
{
	const TagrecTables *tables = &pass->call->tables;
	int64		most = tagrec_test_most(pass->test);

	pass->n_tags = tagrec_encoder_tags(pass->encoder);
	pass->block = Max(1, Min(MOST_POSTS, BLOCK_SCORES / Max(pass->n_tags, 1)));
	pass->score = MemoryContextAllocHuge(CurrentMemoryContext, (Size) pass->block * Max(pass->n_tags, 1) * sizeof(float));
	pass->bar = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(float));
	pass->relevant = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int32));
	pass->ahead = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int32));
	pass->known_item = MemoryContextAllocExtended(CurrentMemoryContext, pass->test->items.count + 1,
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tagrec_key_input(&pass->user_input, tables->users->key_type);
	tagrec_key_input(&pass->item_input, tables->items->key_type);
	find_tags(pass);
}

/* Sets the end of the chunk that begins at pass->first: after the last post of a user. */
static void
end_chunk(Pass *pass)
{
	pass->end = pass->first;
	while (pass->end < pass->test->groups && (pass->end - pass->first < CHUNK_POSTS
											  || user_of(pass, pass->end) == user_of(pass, pass->end - 1)))
		pass->end++;
}

TagrecRanking *
tagrec_rank_tags(const TagrecVersion *version, TagrecTest *test, bool exclude_seen)
{
	MemoryContext result = CurrentMemoryContext;
	TagrecCall *call = tagrec_call_begin_version(version->model, version->version);
	MemoryContext chunk = AllocSetContextCreate(call->context, "tagrec posts", ALLOCSET_DEFAULT_SIZES);
	Pass		pass = {.call = call, .test = test, .exclude_seen = exclude_seen};

	tagrec_test_settle(test, &call->tables);
	MemoryContextSwitchTo(result);
	pass.ranking = tagrec_ranking_make(test);
	MemoryContextSwitchTo(call->context);
	pass.encoder = tagrec_call_encoder(call);
	prepare(&pass);
	for (pass.first = 0; pass.first < test->groups; pass.first = pass.end)
	{
		end_chunk(&pass);
		MemoryContextSwitchTo(chunk);
		rank_chunk(&pass);
		MemoryContextSwitchTo(call->context);
		MemoryContextReset(chunk);
	}
	for (int32 i = 0; i < test->items.count; i++)
		pass.ranking->known_items += pass.known_item[i];
	tagrec_call_end(call);
	return pass.ranking;
}
