/*
 * tagrec_evaluate_users(): the metrics of each user alone. tagrec_evaluate_lists(): what the lists of these users are like.
 */
#include "pg/evaluate/lists.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_evaluate_users);
PG_FUNCTION_INFO_V1(tagrec_evaluate_lists);

/* Arguments of both, as sql/evaluation.sql declares them. */
enum
{
	Arg_model,
	Arg_test,
	Arg_k,
	Arg_exclude_seen,
	Arg_user_column,
	Arg_item_column,
	Arg_version,
	Arg_candidates
};

typedef struct Evaluation
{
	TagrecTest *test;
	TagrecRanking *ranking;
	TagrecLists *lists;
	bool		exclude_seen;
	int		   *k;
	int			n_k;
	bool	   *measured;		/* (groups) has a pair that counts */
	ReturnSetInfo *result;
} Evaluation;

/* ------------------------------------------------------------------ arguments */

static void
check_items(const TagrecVersion *version)
{
	if (tagrec_version_task(version)->tags)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" does not recommend items", version->model),
				 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task),
				 errhint("Use tagrec_evaluate().")));
}

/* ------------------------------------------------------------------ measuring */

/* The ranks of the user's pairs that count; their number. */
static int32
take_ranks(const Evaluation *e, int32 user, int32 *rank)
{
	int32		n = 0;

	for (int64 p = e->test->group_ptr[user]; e->ranking->known[user] && p < e->test->group_ptr[user + 1]; p++)
		if (!e->ranking->seen[p] || !e->exclude_seen)
			rank[n++] = e->ranking->rank[p];
	return n;
}

static void
begin(Evaluation *e, FunctionCallInfo fcinfo)
{
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int32		number = PG_ARGISNULL(Arg_version) ? 0 : PG_GETARG_INT32(Arg_version);
	Oid			relation = tagrec_test_argument(fcinfo, Arg_test);
	TagrecTestArguments arguments = {
		.columns.user = tagrec_name_argument(fcinfo, Arg_user_column),
		.columns.item = tagrec_name_argument(fcinfo, Arg_item_column),
		.candidates = tagrec_candidates_argument(fcinfo, Arg_candidates)
	};
	TagrecVersion *version;
	int32	   *rank;

	e->k = tagrec_lengths_argument(fcinfo, Arg_k, &e->n_k);
	e->exclude_seen = tagrec_flag_argument(fcinfo, Arg_exclude_seen, "exclude_seen");
	InitMaterializedSRF(fcinfo, 0);
	e->result = (ReturnSetInfo *) fcinfo->resultinfo;
	version = tagrec_evaluated_version(model, PG_ARGISNULL(Arg_version) ? NULL : &number);
	check_items(version);
	e->test = tagrec_test_read(relation, &arguments, version);
	e->ranking = tagrec_rank_test(version, e->test, e->exclude_seen);
	tagrec_check_overlap(e->test, e->ranking, model);
	rank = MemoryContextAllocHuge(CurrentMemoryContext, tagrec_test_most(e->test) * sizeof(int32));
	e->measured = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) e->test->groups + 1) * sizeof(bool));
	for (int32 user = 0; user < e->test->groups; user++)
		e->measured[user] = take_ranks(e, user, rank) > 0;
	e->lists = tagrec_make_lists(version, e->test, e->measured, e->exclude_seen, e->k, e->n_k);
}

/* ------------------------------------------------------------------ each user */

/* A value that is not a number is no row. k = 0: NULL */
static void
put_user(const Evaluation *e, Datum user, const char *metric, int k, double value)
{
	Datum		values[4] = {user, CStringGetTextDatum(metric), Int32GetDatum(k), Float8GetDatum(value)};
	bool		nulls[4] = {false, false, k == 0, false};

	if (!isnan(value))
		tuplestore_putvalues(e->result->setResult, e->result->setDesc, values, nulls);
}

static void
measure_user(const Evaluation *e, int32 user, int32 *rank, int32 n)
{
	Datum		id = CStringGetTextDatum(e->test->users.text[user]);
	Size		list = (Size) user * e->n_k;

	put_user(e, id, "pairs", 0, n);
	put_user(e, id, "auc", 0, tr_auc(rank, n, e->ranking->candidates[user]));
	for (int m = 0; tr_ranking_metric_names[m]; m++)
		if (!tr_metric_has_k((TrMetric) m))
			put_user(e, id, tr_metric_names[m], 0, tr_metric((TrMetric) m, 0, rank, n));
	for (int i = 0; i < e->n_k; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int m = 0; tr_ranking_metric_names[m]; m++)
			if (tr_metric_has_k((TrMetric) m))
				put_user(e, id, tr_metric_names[m], e->k[i], tr_metric((TrMetric) m, e->k[i], rank, n));
		put_user(e, id, "novelty", e->k[i], e->lists->novelty[list + i]);
		put_user(e, id, "diversity", e->k[i], e->lists->diversity[list + i]);
	}
}

Datum
tagrec_evaluate_users(PG_FUNCTION_ARGS)
{
	Evaluation	e = {0};
	MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "tagrec user", ALLOCSET_DEFAULT_SIZES);
	int32	   *rank;

	begin(&e, fcinfo);
	rank = MemoryContextAllocHuge(CurrentMemoryContext, tagrec_test_most(e.test) * sizeof(int32));
	for (int32 user = 0; user < e.test->groups; user++)
	{
		MemoryContext before = MemoryContextSwitchTo(one);

		if (e.measured[user])
			measure_user(&e, user, rank, take_ranks(&e, user, rank));
		MemoryContextSwitchTo(before);
		MemoryContextReset(one);
	}
	return (Datum) 0;
}

/* ------------------------------------------------------------------ lists */

/* An error that is not a number is NULL; a value that is none is no row. */
static void
put(const Evaluation *e, const char *metric, int k, double value, double error)
{
	Datum		values[4] = {
		CStringGetTextDatum(metric), Int32GetDatum(k), Float8GetDatum(value), Float8GetDatum(error)
	};
	bool		nulls[4] = {false, k == 0, false, isnan(error)};

	if (!isnan(value))
		tuplestore_putvalues(e->result->setResult, e->result->setDesc, values, nulls);
}

/* The mean over users of a value for the i-th length */
static void
put_mean(const Evaluation *e, const char *metric, const double *value, int i)
{
	TrMean		mean = {0};

	for (int32 user = 0; user < e->test->groups; user++)
		if (!isnan(value[(Size) user * e->n_k + i]))
			tr_mean_add(&mean, value[(Size) user * e->n_k + i], 1);
	put(e, metric, e->k[i], tr_mean_value(&mean), tr_mean_error(&mean));
}

Datum
tagrec_evaluate_lists(PG_FUNCTION_ARGS)
{
	Evaluation	e = {0};
	int32		users = 0;

	begin(&e, fcinfo);
	for (int32 user = 0; user < e.test->groups; user++)
		users += e.measured[user];
	put(&e, "users", 0, users, NAN);
	for (int i = 0; i < e.n_k; i++)
	{
		put(&e, "coverage", e.k[i], e.lists->coverage[i], NAN);
		put_mean(&e, "novelty", e.lists->novelty, i);
		put_mean(&e, "diversity", e.lists->diversity, i);
	}
	return (Datum) 0;
}
