/*
 * tagrec_evaluate(): ranking metrics of one version on held-out pairs. See test.h for groups and answers.
 */
#include "pg/evaluate/test.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_evaluate_2);

/* Arguments, as sql/evaluation.sql declares them. */
enum
{
	Arg_model,
	Arg_test,
	Arg_k,
	Arg_exclude_seen,
	Arg_user_column,
	Arg_item_column,
	Arg_version,
	Arg_tag_column,
	Arg_candidates,
	Arg_value_column
};

/* The metrics of a list of a length, in the order of the rows. */
static const TrMetric at_length[] = {
	TR_METRIC_PRECISION, TR_METRIC_RECALL, TR_METRIC_F1, TR_METRIC_NDCG, TR_METRIC_HIT, TR_METRIC_MAP
};

#define AT_LENGTH ((int) lengthof(at_length))

/* Of predicted values. */
static const TrMetric errors[] = {TR_METRIC_RMSE, TR_METRIC_MAE};
static const int top_percent[] = {10, 25};

/* What the metrics are over. */
typedef struct Counts
{
	int64		groups,			/* measured */
				given,			/* of these, posts that the version was given a tag of */
				pairs,			/* that count */
				unknown_pairs,	/* of these, with an answer that the version does not know */
				seen,			/* pairs of known groups that are in the training data */
				known;			/* pairs of known groups */
} Counts;

typedef struct Means
{
	TrMean		mrr;
	TrMean		mrr_pair;
	TrMean		auc;			/* over groups that have a candidate beside their answers */
	TrMean	   *at;				/* (n_k,AT_LENGTH) */
} Means;

typedef struct Evaluation
{
	const TagrecTest *test;
	const TagrecRanking *ranking;
	bool		exclude_seen;
	const int  *k;
	int			n_k;
	Counts		counts;
	Means		all;
	TrMean		error[2];		/* as in errors */
	TrMean		top[2];			/* as in top_percent */
	int64		predicted;		/* pairs that these are over */
	Means		given;			/* over the posts that the version was given a tag of */
	ReturnSetInfo *result;
} Evaluation;

/* ------------------------------------------------------------------ measuring */

static void
add(TrMean *mean, TrMetric metric, int k, int32 *rank, int32 n)
{
	tr_mean_add(mean, tr_metric(metric, k, rank, n), tr_metric_weight(metric, n));
}

static void
measure_group(const Evaluation *e, Means *means, int32 *rank, int32 n, int32 candidates)
{
	double		auc = tr_auc(rank, n, candidates);

	if (!isnan(auc))
		tr_mean_add(&means->auc, auc, 1);
	add(&means->mrr, TR_METRIC_MRR, 0, rank, n);
	add(&means->mrr_pair, TR_METRIC_MRR_PAIR, 0, rank, n);
	for (int i = 0; i < e->n_k; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int m = 0; m < AT_LENGTH; m++)
			add(&means->at[i * AT_LENGTH + m], at_length[m], e->k[i], rank, n);
	}
}

/* The ranks of the group's pairs that count; their number. */
static int32
take_ranks(Evaluation *e, int32 group, int32 *rank)
{
	const TagrecRanking *ranking = e->ranking;
	int32		n = 0;

	for (int64 p = e->test->group_ptr[group]; p < e->test->group_ptr[group + 1]; p++)
	{
		e->counts.known++;
		e->counts.seen += ranking->seen[p];
		if (ranking->seen[p] && e->exclude_seen)
			continue;
		e->counts.unknown_pairs += ranking->unknown[tagrec_test_answer(e->test, p)];
		rank[n++] = ranking->rank[p];
	}
	e->counts.pairs += n;
	return n;
}

/* The user's predicted values, whether the version knows him or not. */
static void
measure_errors(Evaluation *e, int32 user, float *predicted, float *value, TrScored *room)
{
	int32		n = 0;

	for (int64 p = e->test->group_ptr[user]; p < e->test->group_ptr[user + 1]; p++)
	{
		if (e->ranking->seen[p] && e->exclude_seen)
			continue;
		predicted[n] = e->ranking->predicted[p];
		value[n++] = e->test->pairs.value[p];
	}
	for (int i = 0; n > 0 && i < lengthof(errors); i++)
		tr_mean_add(&e->error[i], tr_metric_of_errors(errors[i], predicted, value, n), n);
	for (int i = 0; n > 0 && i < lengthof(top_percent); i++)
		tr_mean_add(&e->top[i], tr_top_precision(predicted, value, n, top_percent[i], room), 1);
	e->predicted += n;
}

static void
measure_predictions(Evaluation *e)
{
	Size		most = tagrec_test_most(e->test);
	float	   *predicted = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(float));
	float	   *value = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(float));
	TrScored   *room = MemoryContextAllocHuge(CurrentMemoryContext, 2 * most * sizeof(TrScored));

	for (int32 user = 0; user < e->test->groups; user++)
		measure_errors(e, user, predicted, value, room);
}

static void
measure(Evaluation *e)
{
	const TagrecTest *test = e->test;
	int32	   *rank = MemoryContextAllocHuge(CurrentMemoryContext, tagrec_test_most(test) * sizeof(int32));

	e->all.at = palloc0(e->n_k * AT_LENGTH * sizeof(TrMean));
	e->given.at = palloc0(e->n_k * AT_LENGTH * sizeof(TrMean));
	for (int32 g = 0; g < test->groups; g++)
	{
		int32		n = e->ranking->known[g] ? take_ranks(e, g, rank) : 0;

		CHECK_FOR_INTERRUPTS();
		if (n == 0)
			continue;
		e->counts.groups++;
		measure_group(e, &e->all, rank, n, e->ranking->candidates[g]);
		if (!e->ranking->given[g])
			continue;
		e->counts.given++;
		measure_group(e, &e->given, rank, n, e->ranking->candidates[g]);
	}
}

static void
check_counts(const Evaluation *e, const char *model)
{
	tagrec_check_overlap(e->test, e->ranking, model);
	if (e->counts.groups == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("every %s of %s that model \"%s\" could be evaluated on is in its training data",
						e->test->task->pair, e->test->source.name, model),
				 errhint("Use %ss that it was not trained on, or set exclude_seen => false.",
						 e->test->task->pair)));
	tagrec_tell_unknown(e->test, e->ranking, model, e->test->pairs.count - e->counts.known, e->counts.unknown_pairs);
	tagrec_warn_of_seen(e->counts.seen, e->counts.known, e->test->task, e->exclude_seen);
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
put_metric(Evaluation *e, const char *prefix, TrMetric metric, int k, const TrMean *mean)
{
	put(e, psprintf("%s%s", prefix, tr_metric_names[metric]), k, tr_mean_value(mean), tr_mean_error(mean));
}

static void
put_means(Evaluation *e, const char *prefix, const Means *means)
{
	put_metric(e, prefix, TR_METRIC_MRR, 0, &means->mrr);
	put_metric(e, prefix, TR_METRIC_MRR_PAIR, 0, &means->mrr_pair);
	if (means->auc.count > 0)
		put(e, psprintf("%sauc", prefix), 0, tr_mean_value(&means->auc), tr_mean_error(&means->auc));
	for (int i = 0; i < e->n_k; i++)
		for (int m = 0; m < AT_LENGTH; m++)
			put_metric(e, prefix, at_length[m], e->k[i], &means->at[i * AT_LENGTH + m]);
}

static void
put_item_counts(Evaluation *e)
{
	put(e, "users", 0, e->counts.groups, NAN);
	put(e, "unknown_users", 0, e->test->users.count - e->ranking->known_users, NAN);
	put(e, "pairs", 0, e->counts.pairs, NAN);
	put(e, "unknown_pairs", 0, e->counts.unknown_pairs, NAN);
	put(e, "unknown_items", 0, e->test->items.count - e->ranking->known_items, NAN);
	put(e, "seen_pairs", 0, e->counts.seen, NAN);
}

static void
put_errors(Evaluation *e)
{
	put(e, "predictions", 0, e->predicted, NAN);
	for (int i = 0; i < lengthof(errors); i++)
		put(e, tr_metric_names[errors[i]], 0, tr_metric_value(errors[i], &e->error[i]),
			tr_metric_error(errors[i], &e->error[i]));
	for (int i = 0; i < lengthof(top_percent); i++)
		put(e, "top_precision", top_percent[i], tr_mean_value(&e->top[i]), tr_mean_error(&e->top[i]));
}

static void
put_tag_counts(Evaluation *e)
{
	put(e, "posts", 0, e->counts.groups, NAN);
	put(e, "given_posts", 0, e->counts.given, NAN);
	put(e, "unknown_users", 0, e->test->users.count - e->ranking->known_users, NAN);
	put(e, "unknown_items", 0, e->test->items.count - e->ranking->known_items, NAN);
	put(e, "assignments", 0, e->counts.pairs, NAN);
	put(e, "unknown_assignments", 0, e->counts.unknown_pairs, NAN);
	put(e, "unknown_tags", 0, e->test->tags.count - e->ranking->known_tags, NAN);
	put(e, "seen_assignments", 0, e->counts.seen, NAN);
}

static void
put_rows(Evaluation *e)
{
	if (!e->test->task->tags)
		put_item_counts(e);
	else
		put_tag_counts(e);
	if (e->ranking->predicted)
		put_errors(e);
	put_means(e, "", &e->all);
	if (e->counts.given > 0)
		put_means(e, "given_", &e->given);
}

Datum
tagrec_evaluate_2(PG_FUNCTION_ARGS)
{
	Evaluation	e = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int32		number = PG_ARGISNULL(Arg_version) ? 0 : PG_GETARG_INT32(Arg_version);
	Oid			relation = tagrec_test_argument(fcinfo, Arg_test);
	TagrecTestArguments arguments = {
		.columns.user = tagrec_name_argument(fcinfo, Arg_user_column),
		.columns.item = tagrec_name_argument(fcinfo, Arg_item_column),
		.columns.tag = tagrec_name_argument(fcinfo, Arg_tag_column),
		.columns.value = tagrec_name_argument(fcinfo, Arg_value_column),
		.candidates = tagrec_candidates_argument(fcinfo, Arg_candidates)
	};
	TagrecVersion *version;
	TagrecTest *test;

	e.k = tagrec_lengths_argument(fcinfo, Arg_k, &e.n_k);
	e.exclude_seen = tagrec_flag_argument(fcinfo, Arg_exclude_seen, "exclude_seen");
	InitMaterializedSRF(fcinfo, 0);
	version = tagrec_evaluated_version(model, PG_ARGISNULL(Arg_version) ? NULL : &number);
	test = tagrec_test_read(relation, &arguments, version);
	e.test = test;
	e.ranking = tagrec_rank_test(version, test, e.exclude_seen);
	measure(&e);
	if (e.ranking->predicted)
		measure_predictions(&e);
	check_counts(&e, model);
	put_rows(&e);
	return (Datum) 0;
}
