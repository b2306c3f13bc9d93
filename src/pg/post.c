/*
 * Posts from the rows of a version. See post.h.
 */
#include "post.h"

#include "catalog/pg_type.h"
#include "core/tag_post.h"

/* ------------------------------------------------------------------ columns */

static void
corrupted(int column, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("column \"%s\" of a stored version is not what was stored in it",
					SPI_fname(SPI_tuptable->tupdesc, column)),
			 errdetail_internal("%s", what),
			 errhint("Rows of a version must not be changed. Train the model again.")));
}

static int32
int_column(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != INT4OID || isnull)
		corrupted(column, "It is no number.");
	return DatumGetInt32(value);
}

/* A copy of an array of 4-byte elements of this array type, *n of them. */
static void *
array_column(uint64 row, int column, Oid type, int32 *n)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	ArrayType  *array;
	void	   *copy;

	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != type || isnull)
		corrupted(column, "It is no array.");
	array = DatumGetArrayTypeP(value);
	if (ARR_HASNULL(array) || ARR_NDIM(array) > 1)
		corrupted(column, "The array has nulls, or more than one dimension.");
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	copy = palloc(Max(*n, 1) * sizeof(int32));
	memcpy(copy, ARR_DATA_PTR(array), *n * sizeof(int32));
	return copy;
}

static float *
embedding_column(const TagrecCall *call, uint64 row, int column)
{
	int32		n;
	float	   *embedding = array_column(row, column, FLOAT4ARRAYOID, &n);

	if (n != call->version->width)
		corrupted(column, psprintf("The array has %d numbers instead of %d.", n, call->version->width));
	return n > 0 ? embedding : NULL;
}

/* Positions below a limit, in order where it matters. */
static int32 *
positions_column(uint64 row, int column, int32 limit, bool ascending, int32 *n)
{
	int32	   *position = array_column(row, column, INT4ARRAYOID, n);

	for (int32 i = 0; i < *n; i++)
		if (position[i] < 0 || position[i] >= limit || (ascending && i > 0 && position[i] <= position[i - 1]))
			corrupted(column, psprintf("It has %d at place %d, of positions below %d.", position[i], i + 1, limit));
	return position;
}

/* Two columns: positions and their values. */
static TrSparse
sparse_columns(uint64 row, int column, int32 limit)
{
	int32		n;
	int32		n_values;
	TrSparse	sparse = {.index = positions_column(row, column, limit, true, &n)};

	sparse.value = array_column(row, column + 1, FLOAT4ARRAYOID, &n_values);
	if (n_values != n)
		corrupted(column + 1, psprintf("The array has %d numbers instead of %d.", n_values, n));
	sparse.n = n;
	return sparse;
}

/* ------------------------------------------------------------------ rows */

/* Of each user, where the posts end. */
static void
check_post_ends(const TagrecPostUser *user, int32 n_ends, int32 n_tags, int column)
{
	int32		before = 0;

	if (n_ends != user->n_posts)
		corrupted(column, psprintf("The array has %d numbers instead of %d.", n_ends, user->n_posts));
	for (int32 p = 0; p < n_ends; p++)
	{
		if (user->post_end[p] < before || user->post_end[p] > n_tags)
			corrupted(column, psprintf("Post %d ends at tag %d of %d.", p + 1, user->post_end[p], n_tags));
		before = user->post_end[p];
	}
}

void
tagrec_read_post_user(TagrecPostUser *user, const TagrecCall *call, uint64 row, int first)
{
	const TagrecVersion *version = call->version;
	int32		n_ends;
	int32		n_tags;

	user->embedding = embedding_column(call, row, first);
	user->post_item = positions_column(row, first + 1, version->items, true, &user->n_posts);
	user->tags = sparse_columns(row, first + 2, version->tags);
	user->post_end = array_column(row, first + 4, INT4ARRAYOID, &n_ends);
	user->post_tag = positions_column(row, first + 5, version->tags, false, &n_tags);
	check_post_ends(user, n_ends, n_tags, first + 4);
}

void
tagrec_read_post_item(TagrecPostItem *item, const TagrecCall *call, uint64 row, int first)
{
	memset(item, 0, sizeof(*item));
	item->position = int_column(row, first);
	if (item->position < 0 || item->position >= call->version->items)
		corrupted(first, psprintf("It is %d of %d.", item->position, call->version->items));
	item->embedding = embedding_column(call, row, first + 1);
	item->tags = sparse_columns(row, first + 2, call->version->tags);
	item->posts = int_column(row, first + 4);
}

void
tagrec_read_similar(TagrecPostItem *item, const TagrecCall *call, uint64 row, int first)
{
	item->similar = sparse_columns(row, first, call->version->items);
}

/* ------------------------------------------------------------------ one post */

static bool
look_up(TagrecCall *call, TagrecPlan plan, Datum key)
{
	int			rc = SPI_execute_plan(tagrec_served_plan(call->served, plan), &key, NULL, true, 0);

	MemoryContextSwitchTo(call->context);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not look up a key: %s", SPI_result_code_string(rc));
	return SPI_processed > 0;
}

bool
tagrec_find_post_user(TagrecPostUser *user, TagrecCall *call, const TagrecId *id)
{
	if (!look_up(call, TAGREC_PLAN_POST_USER, tagrec_id_as(id, call->served->users.key_type)))
		return false;
	tagrec_read_post_user(user, call, 0, 1);
	return true;
}

bool
tagrec_find_post_item(TagrecPostItem *item, TagrecCall *call, const TagrecId *id)
{
	if (!look_up(call, TAGREC_PLAN_ITEM, tagrec_id_as(id, call->served->items.key_type)))
		return false;
	tagrec_read_post_item(item, call, 0, 1);
	if (call->version->features && look_up(call, TAGREC_PLAN_SIMILAR, Int32GetDatum(item->position)))
		tagrec_read_similar(item, call, 0, 1);
	return true;
}

/* Which of the user's posts is on the item; -1 = none. */
static int32
find_post(const TagrecPostUser *user, int32 item)
{
	int32		low = 0;
	int32		high = user->n_posts;

	while (low < high)
	{
		int32		middle = low + (high - low) / 2;

		if (user->post_item[middle] < item)
			low = middle + 1;
		else
			high = middle;
	}
	return low < user->n_posts && user->post_item[low] == item ? low : -1;
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
		post.own = find_post(user, item->position);
	post.given = tr_post_own_tags(&post, &post.n_given);
	return post;
}
