/*
 * The test relation of an evaluation. See evaluation.h.
 */
#include "evaluation.h"

#include "tagrec.h"
#include "utils/memutils.h"

static void
release(void *argument)
{
	tr_memory_release(&((TagrecTest *) argument)->memory);
}

static void
check_columns(const TagrecTestColumns *columns, const TagrecVersion *version)
{
	if (columns->tag && tagrec_evaluated_task(version) == TR_TASK_ITEM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" does not recommend tags, and takes no tag_column", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\": how it ranks items for users is measured.",
						   version->algorithm, version->task)));
}

TagrecTest *
tagrec_test_read(Oid relation, const TagrecTestColumns *columns, const TagrecVersion *version)
{
	TagrecTest *test = palloc0(sizeof(TagrecTest));

	check_columns(columns, version);
	tr_memory_init(&test->memory, 0);
	test->release.func = release;
	test->release.arg = test;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &test->release);
	tagrec_keys_init(&test->users, &test->memory);
	tagrec_keys_init(&test->items, &test->memory);
	tagrec_keys_init(&test->tags, &test->memory);
	tr_assignments_init(&test->pairs, &test->memory);
	test->task = tagrec_evaluated_task(version);
	test->source.relation = relation;
	test->source.user_column = columns->user ? columns->user : version->user_column;
	test->source.item_column = columns->item ? columns->item : version->item_column;
	if (test->task == TR_TASK_TAG)
		test->source.tag_column = columns->tag ? columns->tag : version->tag_column;
	tagrec_held_out_check(&test->source);
	(void) tagrec_held_out_read(&test->source, &test->users, &test->items, &test->tags, &test->pairs);
	return test;
}

/* ------------------------------------------------------------------ in a version's terms */

static bool
same_group(const TagrecTest *test, int64 a, int64 b)
{
	return test->pairs.user[a] == test->pairs.user[b]
		&& (test->task == TR_TASK_ITEM || test->pairs.item[a] == test->pairs.item[b]);
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

void
tagrec_test_settle(TagrecTest *test, const TagrecServed *served)
{
	TagrecKeyType user = {served->users.key_type, served->users.collation};
	TagrecKeyType item = {served->items.key_type, served->items.collation};
	int32	   *user_map;
	int32	   *item_map;
	TrError		err = {0};

	if (test->settled)
		return;
	user_map = tagrec_keys_rank(&test->users, user);
	item_map = tagrec_keys_rank(&test->items, item);
	tagrec_check(tr_assignments_renumber(&test->pairs, user_map, item_map, NULL), &err);
	tagrec_check(tr_assignments_distinct(&test->pairs, &err), &err);
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
	return test->task == TR_TASK_TAG ? tagrec_rank_tags(version, test, exclude_seen)
		: tagrec_rank_items(version, test, exclude_seen);
}
