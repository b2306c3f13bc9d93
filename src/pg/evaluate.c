/*
 * tagrec_evaluate(): ranking metrics of one version on held-out pairs.
 */
#include "evaluation.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_evaluate);

/* Arguments, as sql/evaluation.sql declares them. */
enum
{
	Arg_model,
	Arg_test,
	Arg_k,
	Arg_exclude_seen,
	Arg_user_column,
	Arg_item_column,
	Arg_version
};

/* The metrics of a list of a length, in the order of the rows. */
static const TrMetric at_length[] = {
	TR_METRIC_PRECISION, TR_METRIC_RECALL, TR_METRIC_F1, TR_METRIC_NDCG, TR_METRIC_HIT
};

#define AT_LENGTH ((int) lengthof(at_length))

/* What the metrics are over. */
typedef struct Counts
{
	int64		users,			/* measured */
				unknown_users,	/* of the test, not known to the version */
				pairs,			/* that count */
				unknown_pairs,	/* of these, with an item that the version does not know */
				unknown_items,	/* of the test */
				seen,			/* pairs of known users that stand in training */
				known;			/* pairs of known users */
} Counts;

typedef struct Evaluation
{
	const TagrecTest *test;
	const TagrecRanking *ranking;
	bool		exclude_seen;
	const int  *k;
	int			n_k;
	Counts		counts;
	TrMean		mrr;
	TrMean		mrr_pair;
	TrMean	   *mean;			/* (n_k,AT_LENGTH) */
	ReturnSetInfo *result;
} Evaluation;

/* ------------------------------------------------------------------ measuring */

static void
add(TrMean *mean, TrMetric metric, int k, int32 *rank, int32 n)
{
	tr_mean_add(mean, tr_metric(metric, k, rank, n), tr_metric_weight(metric, n));
}

static void
measure_user(Evaluation *e, int32 *rank, int32 n)
{
	e->counts.users++;
	add(&e->mrr, TR_METRIC_MRR, 0, rank, n);
	add(&e->mrr_pair, TR_METRIC_MRR_PAIR, 0, rank, n);
	for (int i = 0; i < e->n_k; i++)
		for (int m = 0; m < AT_LENGTH; m++)
			add(&e->mean[i * AT_LENGTH + m], at_length[m], e->k[i], rank, n);
}

/* The ranks of the user's pairs that count; their number. */
static int32
take_ranks(Evaluation *e, int32 user, int32 *rank)
{
	const TagrecRanking *ranking = e->ranking;
	int32		n = 0;

	for (int64 p = e->test->user_ptr[user]; p < e->test->user_ptr[user + 1]; p++)
	{
		e->counts.known++;
		e->counts.seen += ranking->seen[p];
		if (ranking->seen[p] && e->exclude_seen)
			continue;
		e->counts.unknown_pairs += ranking->unknown_item[e->test->pairs.item[p]];
		rank[n++] = ranking->rank[p];
	}
	e->counts.pairs += n;
	return n;
}

static void
measure(Evaluation *e)
{
	const TagrecTest *test = e->test;
	int64		most = 1;
	int32	   *rank;

	for (int32 u = 0; u < test->users.count; u++)
		most = Max(most, test->user_ptr[u + 1] - test->user_ptr[u]);
	rank = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int32));
	e->mean = palloc0(e->n_k * AT_LENGTH * sizeof(TrMean));
	e->counts.unknown_users = test->users.count - e->ranking->known_users;
	e->counts.unknown_items = test->items.count - e->ranking->known_items;
	for (int32 u = 0; u < test->users.count; u++)
	{
		int32		n = e->ranking->known[u] ? take_ranks(e, u, rank) : 0;

		CHECK_FOR_INTERRUPTS();
		if (n > 0)
			measure_user(e, rank, n);
	}
}

static void
check_counts(const Evaluation *e, const char *model)
{
	tagrec_check_overlap(e->test, e->ranking, model);
	if (e->counts.users == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("every pair of %s that model \"%s\" could be tested on stands in its training data",
						e->test->source.name, model),
				 errhint("Test it on pairs that it was not trained on, or let it rank them with exclude_seen => false.")));
	tagrec_warn_of_seen(e->counts.seen, e->counts.known, e->exclude_seen);
}

/* ------------------------------------------------------------------ returning */

/* k = 0 and an error that is not a number are NULL. */
static void
put(Evaluation *e, const char *metric, int k, double value, double error)
{
	Datum		values[4] = {
		CStringGetTextDatum(metric),
		Int32GetDatum(k),
		Float8GetDatum(value),
		Float8GetDatum(error)
	};
	bool		nulls[4] = {false, k == 0, false, isnan(error)};

	tuplestore_putvalues(e->result->setResult, e->result->setDesc, values, nulls);
}

static void
put_metric(Evaluation *e, TrMetric metric, int k, const TrMean *mean)
{
	put(e, tr_metric_names[metric], k, tr_mean_value(mean), tr_mean_error(mean));
}

static void
put_rows(Evaluation *e)
{
	put(e, "users", 0, e->counts.users, NAN);
	put(e, "unknown_users", 0, e->counts.unknown_users, NAN);
	put(e, "pairs", 0, e->counts.pairs, NAN);
	put(e, "unknown_pairs", 0, e->counts.unknown_pairs, NAN);
	put(e, "unknown_items", 0, e->counts.unknown_items, NAN);
	put(e, "seen_pairs", 0, e->counts.seen, NAN);
	put_metric(e, TR_METRIC_MRR, 0, &e->mrr);
	put_metric(e, TR_METRIC_MRR_PAIR, 0, &e->mrr_pair);
	for (int i = 0; i < e->n_k; i++)
		for (int m = 0; m < AT_LENGTH; m++)
			put_metric(e, at_length[m], e->k[i], &e->mean[i * AT_LENGTH + m]);
}

Datum
tagrec_evaluate(PG_FUNCTION_ARGS)
{
	Evaluation	e = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int32		number = PG_ARGISNULL(Arg_version) ? 0 : PG_GETARG_INT32(Arg_version);
	Oid			relation = tagrec_test_argument(fcinfo, Arg_test);
	TagrecVersion *version;
	TagrecTest *test;

	e.k = tagrec_lengths_argument(fcinfo, Arg_k, &e.n_k);
	e.exclude_seen = tagrec_flag_argument(fcinfo, Arg_exclude_seen, "exclude_seen");
	InitMaterializedSRF(fcinfo, 0);
	version = tagrec_evaluated_version(model, PG_ARGISNULL(Arg_version) ? NULL : &number);
	test = tagrec_test_read(relation, tagrec_name_argument(fcinfo, Arg_user_column),
							tagrec_name_argument(fcinfo, Arg_item_column), version);
	e.test = test;
	e.ranking = tagrec_rank_test(version, test, e.exclude_seen);
	measure(&e);
	check_counts(&e, model);
	put_rows(&e);
	return (Datum) 0;
}
