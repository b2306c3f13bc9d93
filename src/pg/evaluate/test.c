/*
 * The arguments of an evaluation, and its notices. See test.h.
 */
#include "pg/evaluate/test.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "utils/builtins.h"

/* Lengths of lists that are measured at once. */
#define MOST_LENGTHS 1000

TagrecVersion *
tagrec_evaluated_version(const char *model, const int32 *version)
{
	TagrecVersion *found = version ? tagrec_version_find(model, *version) : tagrec_version_deployed(model);

	/* it may take a while until its turn comes */
	(void) tagrec_hold(found);
	return found;
}

/* A post can be ranked when its user or its item is known, a pair of the task item when both are. */
void
tagrec_check_overlap(const TagrecTest *test, const TagrecRanking *ranking, const char *model)
{
	bool		users = ranking->known_users > 0;
	bool		items = ranking->known_items > 0;

	if (test->task->tags ? ranking->known_tags > 0 && (users || items) : users && items)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("nothing in %s can be ranked by model \"%s\"", test->source.name, model),
			 test->task->tags
			 ? errdetail("The model knows %d of its %d users, %d of its %d items and %d of its %d tags.",
						 ranking->known_users, test->users.count, ranking->known_items, test->items.count,
						 ranking->known_tags, test->tags.count)
			 : errdetail("The model knows %d of its %d users and %d of its %d items.", ranking->known_users,
						 test->users.count, ranking->known_items, test->items.count),
			 test->task->tags
			 ? errhint("The values in columns %s, %s and %s must match those of the training data.",
					   test->source.columns.user, test->source.columns.item, test->source.columns.tag)
			 : errhint("The ids in columns %s and %s must match those of the training data.", test->source.columns.user,
					   test->source.columns.item)));
}

static int
detail_of_seen(int64 seen, int64 pairs, const TrTask *task, bool excluded)
{
	if (!excluded)
		return errdetail("The model was trained on %lld of %lld %ss; this measures memorization.", (long long) seen,
						 (long long) pairs, task->pair);
	return errdetail("Ignoring %lld of %lld %ss, because what a %s already has is not recommended.",
					 (long long) seen, (long long) pairs, task->pair, task->group);
}

void
tagrec_warn_of_seen(int64 seen, int64 pairs, const TrTask *task, bool excluded)
{
	if (seen == 0)
		return;
	ereport(WARNING,
			(errmsg("%.1f%% of the test %ss are also in the training data", 100.0 * seen / pairs,
					task->pair),
			 detail_of_seen(seen, pairs, task, excluded)));
}

static int
detail_of_unknown(const TrTask *task, int64 unmeasured, int64 unknown)
{
	if (task->tags)
		return errdetail("Posts of unknown users or items are evaluated by what else is known about them. Assignments of "
						 "unknown tags, counted as misses: %lld.", (long long) unknown);
	return errdetail("Pairs of unknown users, not evaluated: %lld. Other pairs of unknown items, counted as misses: %lld.",
					 (long long) unmeasured, (long long) unknown);
}

void
tagrec_tell_unknown(const TagrecTest *test, const TagrecRanking *ranking, const char *model, int64 unmeasured,
					int64 unknown)
{
	int32		users = test->users.count - ranking->known_users;
	int32		items = test->items.count - ranking->known_items;
	int32		tags = test->task->tags ? test->tags.count - ranking->known_tags : 0;

	if (users == 0 && items == 0 && tags == 0)
		return;
	ereport(NOTICE,
			(test->task->tags
			 ? errmsg("model \"%s\" does not know %d of %d users, %d of %d items and %d of %d tags in %s", model, users,
					  test->users.count, items, test->items.count, tags, test->tags.count, test->source.name)
			 : errmsg("model \"%s\" does not know %d of %d users and %d of %d items in %s", model, users, test->users.count,
					  items, test->items.count, test->source.name),
			 detail_of_unknown(test->task, unmeasured, unknown)));
}

/* ------------------------------------------------------------------ arguments */

Oid
tagrec_test_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("test must not be null")));
	return PG_GETARG_OID(n);
}

ArrayType *
tagrec_candidates_argument(FunctionCallInfo fcinfo, int n)
{
	bool		all;
	ArrayType  *ids = tagrec_ids_argument(fcinfo, n, &all);
	int			count = 0;
	int			kept = 0;
	bool	   *nulls;
	Datum	   *value = ids ? tagrec_ids_values(ids, &nulls, &count) : NULL;
	Datum	   *texts = palloc_extended(((Size) count + 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	if (all)
		return NULL;
	for (int i = 0; i < count; i++)
	{
		TagrecId	id = {.type = ARR_ELEMTYPE(ids), .value = value[i]};

		CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			texts[kept++] = CStringGetTextDatum(tagrec_id_text(&id));
	}
	return construct_array(texts, kept, TEXTOID, -1, false, TYPALIGN_INT);
}

static int
compare_lengths(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return (x > y) - (x < y);
}

static void
check_length(Datum value, bool isnull)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("k must not contain null")));
	if (DatumGetInt32(value) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be positive: %d", DatumGetInt32(value)),
				 errdetail("It is the length of a recommendation list.")));
}

/* Sorts and removes duplicates; returns the number of elements left. */
static int
sort_lengths(int *length, int n)
{
	int			kept = 1;
	bool		changed = false;

	for (int i = 1; i < n; i++)
		changed = changed || length[i] <= length[i - 1];
	if (!changed)
		return n;
	qsort(length, n, sizeof(int), compare_lengths);
	for (int i = 1; i < n; i++)
		if (length[i] != length[kept - 1])
			length[kept++] = length[i];
	ereport(NOTICE,
			(errmsg("k was sorted and duplicates were removed")));
	return kept;
}

int *
tagrec_lengths_argument(FunctionCallInfo fcinfo, int n, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	int		   *length;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("k must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INT4OID, sizeof(int32), true, TYPALIGN_INT, &values, &nulls, count);
	if (*count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must not be empty"),
				 errhint("Specify lengths of recommendation lists, such as {10,20}.")));
	if (*count > MOST_LENGTHS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must not have more than %d elements: %d", MOST_LENGTHS, *count)));
	length = palloc(*count * sizeof(int));
	for (int i = 0; i < *count; i++)
	{
		check_length(values[i], nulls[i]);
		length[i] = DatumGetInt32(values[i]);
	}
	*count = sort_lengths(length, *count);
	return length;
}
