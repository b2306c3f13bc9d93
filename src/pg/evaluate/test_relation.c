/*
 * The test relation of an evaluation. See test.h.
 */
#include "pg/evaluate/test.h"

#include "catalog/pg_type.h"
#include "pg/base/tagrec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void
release(void *argument)
{
	tr_memory_release(&((TagrecTest *) argument)->memory);
}

static void
check_arguments(const TagrecTestArguments *arguments, const TagrecVersion *version)
{
	const TrTask *task = tagrec_version_task(version);

	if (arguments->columns.tag && !task->tags)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" does not recommend tags and does not accept tag_column", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\"; it is evaluated on how it ranks items for users.",
						   version->algorithm, version->task)));
	if (arguments->columns.value && !task->values)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" does not predict values and does not accept value_column", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task)));
	if (arguments->candidates && task->tags)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" does not recommend items and does not accept candidates", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\"; it is evaluated on how it ranks tags for posts.",
						   version->algorithm, version->task)));
}

TagrecTest *
tagrec_test_make(const TagrecVersion *version)
{
	TagrecTest *test = palloc0(sizeof(TagrecTest));

	tr_memory_init(&test->memory, 0);
	test->release.func = release;
	test->release.arg = test;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &test->release);
	tagrec_keys_init(&test->users, &test->memory);
	tagrec_keys_init(&test->items, &test->memory);
	tagrec_keys_init(&test->tags, &test->memory);
	tr_assignments_init(&test->pairs, &test->memory);
	test->task = tagrec_version_task(version);
	return test;
}

TagrecTest *
tagrec_test_read(Oid relation, const TagrecTestArguments *arguments, const TagrecVersion *version)
{
	TagrecTest *test;

	check_arguments(arguments, version);
	test = tagrec_test_make(version);
	test->candidates = arguments->candidates;
	test->source.relation = relation;
	test->source.columns = tagrec_held_out_columns(&version->columns, test->task);
	if (arguments->columns.user)
		test->source.columns.user = arguments->columns.user;
	if (arguments->columns.item)
		test->source.columns.item = arguments->columns.item;
	if (arguments->columns.tag)
		test->source.columns.tag = arguments->columns.tag;
	if (arguments->columns.value)
		test->source.columns.value = arguments->columns.value;
	tagrec_held_out_check(&test->source);
	(void) tagrec_held_out_read(&test->source, &test->users, &test->items, &test->tags, &test->pairs);
	return test;
}

/* ------------------------------------------------------------------ in a version's terms */

static bool
same_group(const TagrecTest *test, int64 a, int64 b)
{
	return test->pairs.user[a] == test->pairs.user[b]
		&& (!test->task->tags || test->pairs.item[a] == test->pairs.item[b]);
}

/* Every user has a pair, so the groups of the task item are the users. */
static void
find_groups(TagrecTest *test)
{
	int64	   *ptr = tagrec_calloc(&test->memory, (Size) test->pairs.count + 1, sizeof(int64));

	for (int64 p = 0; p < test->pairs.count; p++)
		if (p == 0 || !same_group(test, p, p - 1))
			ptr[test->groups++] = p;
	ptr[test->groups] = test->pairs.count;
	test->group_ptr = ptr;
}

/*
 * The candidates join the test's items, so that the type's order says which of these are among them. Their keys; *n of
 * them.
 */
static int32 *
intern_candidates(TagrecTest *test, int *n)
{
	Datum	   *values;
	int32	   *key;

	deconstruct_array(test->candidates, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, n);
	key = MemoryContextAllocHuge(CurrentMemoryContext, Max((Size) *n, 1) * sizeof(int32));
	for (int i = 0; i < *n; i++)
	{
		char	   *candidate = TextDatumGetCString(values[i]);

		key[i] = tagrec_keys_intern(&test->items, candidate, strlen(candidate));
		pfree(candidate);
	}
	return key;
}

static void
tell_left_out(const TagrecTest *test, int64 all)
{
	if (test->pairs.count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no pair of %s has an item among the candidates", test->source.name)));
	if (test->pairs.count < all)
		ereport(NOTICE,
				(errmsg("ignoring %lld of %lld test pairs because their items are not candidates",
						(long long) (all - test->pairs.count), (long long) all)));
}

/* Keeps only the pairs of marked items, with their users and items. */
static void
keep_marked(TagrecTest *test, const uint8 *mark)
{
	TrAssignments *pairs = &test->pairs;
	uint8	   *user = tagrec_calloc(&test->memory, (Size) test->users.count + 1, 1);
	uint8	   *item = tagrec_calloc(&test->memory, (Size) test->items.count + 1, 1);
	int64		all = pairs->count;
	TrError		err = {0};

	pairs->count = 0;
	for (int64 p = 0; p < all; p++)
	{
		if (!mark[pairs->item[p]])
			continue;
		user[pairs->user[p]] = item[pairs->item[p]] = 1;
		pairs->user[pairs->count] = pairs->user[p];
		pairs->item[pairs->count] = pairs->item[p];
		if (pairs->value)
			pairs->value[pairs->count] = pairs->value[p];
		pairs->count++;
	}
	tell_left_out(test, all);
	tagrec_check(tr_assignments_renumber(pairs, tagrec_keys_keep(&test->users, user),
										 tagrec_keys_keep(&test->items, item), NULL), &err);
}

static void
keep_candidates(TagrecTest *test, const int32 *candidate, int n, const int32 *item_map)
{
	uint8	   *mark = tagrec_calloc(&test->memory, (Size) test->items.count + 1, 1);

	for (int i = 0; i < n; i++)
		mark[item_map[candidate[i]]] = 1;
	keep_marked(test, mark);
	tr_free(&test->memory, mark);
}

void
tagrec_test_settle(TagrecTest *test, const TagrecTables *tables)
{
	TagrecKeyType user = {tables->users->key_type, tables->users->collation};
	TagrecKeyType item = {tables->items->key_type, tables->items->collation};
	int32	   *user_map;
	int32	   *item_map;
	int32	   *candidate = NULL;
	int			n = 0;
	TrError		err = {0};

	if (test->settled)
		return;
	if (test->candidates)
		candidate = intern_candidates(test, &n);
	user_map = tagrec_keys_rank(&test->users, user);
	item_map = tagrec_keys_rank(&test->items, item);
	tagrec_check(tr_assignments_renumber(&test->pairs, user_map, item_map, NULL), &err);
	tagrec_check(tr_assignments_distinct(&test->pairs, &err), &err);
	if (test->candidates)
		keep_candidates(test, candidate, n, item_map);
	tr_free(&test->memory, user_map);
	tr_free(&test->memory, item_map);
	find_groups(test);
	test->settled = true;
}

int64
tagrec_test_most(const TagrecTest *test)
{
	int64		most = 1;

	for (int32 g = 0; g < test->groups; g++)
		most = Max(most, test->group_ptr[g + 1] - test->group_ptr[g]);
	return most;
}

static void *
zeros(Size count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, (count + 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

TagrecRanking *
tagrec_ranking_make(const TagrecTest *test)
{
	TagrecRanking *ranking = palloc0(sizeof(TagrecRanking));
	int32		answers = tagrec_test_answers(test)->count;

	ranking->known = zeros(test->groups, sizeof(bool));
	ranking->candidates = zeros(test->groups, sizeof(int32));
	ranking->given = zeros(test->groups, sizeof(bool));
	ranking->unknown = zeros(answers, sizeof(bool));
	ranking->seen = zeros(test->pairs.count, sizeof(bool));
	ranking->rank = zeros(test->pairs.count, sizeof(int32));
	memset(ranking->unknown, true, answers);
	for (int64 p = 0; p < test->pairs.count; p++)
		ranking->rank[p] = TR_UNRANKED;
	return ranking;
}

TagrecRanking *
tagrec_rank_test(const TagrecVersion *version, TagrecTest *test, bool exclude_seen)
{
	TagrecRanking *ranking;

	if (test->task->tags)
		return tagrec_rank_tags(version, test, exclude_seen);
	ranking = tagrec_rank_items(version, test, exclude_seen);
	if (test->task->values)
		tagrec_predict_test(version, test, ranking);
	return ranking;
}
