/*
 * The test relation and the arguments of an evaluation. See evaluation.h.
 */
#include "evaluation.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

static void
check_task(const TagrecVersion *version)
{
	if (strcmp(version->task, "item") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" does not recommend items", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\"; what is measured here is how items are ranked for"
						   " users.", version->algorithm, version->task),
				 errhint("Name a model whose algorithm has the task \"item\" in tagrec_algorithms.")));
}

TagrecVersion *
tagrec_evaluated_version(const char *model, const int32 *version)
{
	TagrecVersion *found = version ? tagrec_version_find(model, *version) : tagrec_version_deployed(model);

	tagrec_check_use(found);
	check_task(found);
	return found;
}

/* ------------------------------------------------------------------ the test relation */

static void
release(void *argument)
{
	tr_memory_release(&((TagrecTest *) argument)->memory);
}

TagrecTest *
tagrec_test_read(Oid relation, const char *user_column, const char *item_column, const TagrecVersion *version)
{
	TagrecTest *test = palloc0(sizeof(TagrecTest));

	tr_memory_init(&test->memory, 0);
	test->release.func = release;
	test->release.arg = test;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &test->release);
	tagrec_keys_init(&test->users, &test->memory);
	tagrec_keys_init(&test->items, &test->memory);
	tr_assignments_init(&test->pairs, &test->memory);
	test->source.relation = relation;
	test->source.user_column = user_column ? user_column : version->user_column;
	test->source.item_column = item_column ? item_column : version->item_column;
	tagrec_held_out_check(&test->source);
	(void) tagrec_held_out_read(&test->source, &test->users, &test->items, NULL, &test->pairs);
	return test;
}

void
tagrec_check_overlap(const TagrecTest *test, const TagrecRanking *ranking, const char *model)
{
	if (ranking->known_users > 0 && ranking->known_items > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("there is nothing in %s that model \"%s\" could rank", test->source.name, model),
			 errdetail("The model knows %d of its %d users and %d of its %d items.", ranking->known_users,
					   test->users.count, ranking->known_items, test->items.count),
			 errhint("The ids in columns %s and %s must be those of the training data.", test->source.user_column,
					 test->source.item_column)));
}

void
tagrec_warn_of_seen(int64 seen, int64 pairs, bool excluded)
{
	if (seen == 0)
		return;
	ereport(WARNING,
			(errmsg("%.1f %% of the test pairs stand in the training data, too", 100.0 * seen / pairs),
			 errdetail(excluded ? "These %lld of %lld pairs are left out: what a user has is not recommended."
					   : "%lld of %lld pairs: for them the model need not foretell, only remember.",
					   (long long) seen, (long long) pairs)));
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

char *
tagrec_name_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
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
				 errdetail("It is the length of a list of recommendations.")));
}

/* Ascending, each once; the number that is left. */
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
			(errmsg("k was put in order, each length once")));
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
				 errhint("It holds lengths of lists of recommendations, such as {10,20}.")));
	length = palloc(*count * sizeof(int));
	for (int i = 0; i < *count; i++)
	{
		check_length(values[i], nulls[i]);
		length[i] = DatumGetInt32(values[i]);
	}
	*count = sort_lengths(length, *count);
	return length;
}
