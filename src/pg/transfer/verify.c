/*
 * Reading all of a version, for what serving would find sooner or later. See transfer.h.
 */
#include "pg/transfer/transfer.h"

#include "core/model.h"
#include "core/topn.h"
#include "pg/base/options.h"
#include "pg/serve/encoder.h"
#include "pg/store/version_read.h"

/* The rows of a relation that were looked at. */
typedef struct Rows
{
	int32		count;
	uint64	   *taken;			/* positions of items */
	void		(*check) (const TagrecScan *scan, uint64 *taken);
} Rows;

static void
check_row(void *argument, const TagrecScan *scan)
{
	Rows	   *rows = argument;

	rows->check(scan, rows->taken);
	rows->count++;
}

/* Calls check for every row; returns how many there are. */
static int32
check_rows(const TagrecVersion *version, TagrecRelation which, void (*check) (const TagrecScan *scan, uint64 *taken))
{
	Size		words = (Size) version->items / 64 + 1;
	Rows		rows = {
		.taken = palloc_extended(words * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO),
		.check = check
	};

	tagrec_each_row(version, which, check_row, &rows);
	return rows.count;
}

static void
check_count(const TagrecVersion *version, int32 found, int32 expected, const char *what)
{
	if (found != expected)
		tagrec_version_corrupted(version, psprintf("It has %d %s instead of %d.", found, what, expected));
}

static int64
feature_count(const TagrecVersion *version)
{
	return tr_feature_count(version->features, version->users, version->items, version->tags);
}

static void
check_embedding(const TagrecScan *scan, int column)
{
	tagrec_get_embedding(scan, column, palloc(Max(scan->table->version->width, 1) * sizeof(float)));
}

/* Where a user's posts end, one for each of the items; none of the task "item". */
static void
check_posts(const TagrecScan *scan, int32 seen)
{
	const TagrecVersion *version = scan->table->version;
	int32		n_ends;
	int32		n_tags;
	int32	   *end = tagrec_get_positions(scan, User_post_ends, PG_INT32_MAX, false, &n_ends);
	int32		before = 0;

	(void) tagrec_get_positions(scan, User_post_tags, version->tags, false, &n_tags);
	if (n_ends != (tagrec_version_task(version)->tags ? seen : 0))
		tagrec_version_corrupted(version, psprintf("A user has %d items and %d ends of posts.", seen, n_ends));
	for (int32 p = 0; p < n_ends; before = end[p++])
		if (end[p] < before || end[p] > n_tags)
			tagrec_version_corrupted(version, psprintf("Post %d of a user ends at tag %d of %d.", p + 1, end[p], n_tags));
}

static void
check_user(const TagrecScan *scan, uint64 *taken)
{
	const TagrecVersion *version = scan->table->version;
	int32		disliked;
	int32		seen;

	check_embedding(scan, User_embedding);
	if (tagrec_version_task(version)->tags)
		(void) tagrec_get_positions(scan, User_seen, version->items, true, &seen);
	else
		(void) tagrec_get_seen(scan, version->items, &disliked, &seen);
	(void) tagrec_get_profile(scan, User_tags, User_counts);
	(void) tagrec_get_sparse(scan, User_features, User_feature_values, feature_count(version));
	check_posts(scan, seen);
}

/* Each position once; their order is that of the ids where the archive was made. */
static void
check_item(const TagrecScan *scan, uint64 *taken)
{
	const TagrecVersion *version = scan->table->version;
	int32		position = tagrec_get_int(scan, Item_position, version->items);

	if (tr_bit_test(taken, position))
		tagrec_version_corrupted(version, psprintf("Two items have position %d.", position));
	tr_bit_set(taken, position);
	check_embedding(scan, Item_embedding);
	(void) tagrec_get_profile(scan, Item_tags, Item_counts);
	(void) tagrec_get_int(scan, Item_posts, PG_INT32_MAX);
}

static void
check_neighbour(const TagrecScan *scan, uint64 *taken)
{
	const TagrecVersion *version = scan->table->version;

	(void) tagrec_get_int(scan, Neighbour_feature, feature_count(version));
	(void) tagrec_get_sparse(scan, Neighbour_items, Neighbour_weights, version->items);
}

static void
ignore_tag(void *argument, const char *tag)
{
}

/* The weights, by loading them, where the algorithm loads any. */
static void
check_network(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	if (strcmp(algorithm->task->name, version->task) != 0)
		tagrec_version_corrupted(version, psprintf("Algorithm \"%s\" has the task \"%s\", not \"%s\".", algorithm->name,
												   algorithm->task->name, version->task));
	(void) tagrec_options_read(algorithm, version->options);
	if (algorithm->loads)
		tagrec_encoder_free(tagrec_encoder_load(version));
}

void
tagrec_verify(const TagrecVersion *version)
{
	check_network(version);
	check_count(version, check_rows(version, TAGREC_USERS, check_user), version->users, "users");
	check_count(version, check_rows(version, TAGREC_ITEMS, check_item), version->items, "items");
	tagrec_read_tags(version, ignore_tag, NULL);
	(void) check_rows(version, TAGREC_NEIGHBOURS, check_neighbour);
}
