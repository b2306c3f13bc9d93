/*
 * tagrec_compare(): differences between models on the same users, or posts, with bootstrap intervals. See test.h for
 * groups and answers.
 */
#include "pg/evaluate/test.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/bootstrap.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_compare_2);

#define MIN_SAMPLES 100
#define MAX_SAMPLES 1000000
#define MAX_MODELS 1000
#define LOW 0.025
#define HIGH 0.975

/* Arguments, as sql/evaluation.sql declares them. */
enum
{
	Arg_models,
	Arg_test,
	Arg_k,
	Arg_metric,
	Arg_samples,
	Arg_seed,
	Arg_exclude_seen,
	Arg_user_column,
	Arg_item_column,
	Arg_tag_column,
	Arg_candidates,
	Arg_versions,
	Arg_value_column
};

typedef struct Comparison
{
	int			models;
	char	  **model;
	int32	   *version;		/* (models) 0 = the deployed one, until it is found */
	TagrecTest *test;
	bool		exclude_seen;
	TagrecRanking **ranking;	/* (models) */
	TrMetric	metric;
	int		   *k;
	int			n_k;			/* 1 for a metric without k */
	int			samples;
	uint64		seed;

	int32		groups;			/* that all models are measured on */
	double	  **value;			/* (n_k,models) (groups) */
	double	   *weight;			/* (groups) */
	double	  **sampled;		/* (n_k,models) (samples) means */
	ReturnSetInfo *result;
} Comparison;

/* ------------------------------------------------------------------ arguments */

static void
models_argument(FunctionCallInfo fcinfo, Comparison *c)
{
	Datum	   *values = NULL;
	bool	   *nulls = NULL;

	if (!PG_ARGISNULL(Arg_models))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(Arg_models), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
						  &c->models);
	if (c->models < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("models must name at least two models")));
	if (c->models > MAX_MODELS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("models must not name more than %d models: %d", MAX_MODELS, c->models)));
	c->model = palloc(c->models * sizeof(char *));
	for (int i = 0; i < c->models; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("models must not contain null")));
		c->model[i] = TextDatumGetCString(values[i]);
	}
}

/* One for each of the models. */
static void
versions_argument(FunctionCallInfo fcinfo, Comparison *c)
{
	Datum	   *values = NULL;
	bool	   *nulls = NULL;
	int			n = 0;

	c->version = palloc0(c->models * sizeof(int32));
	if (PG_ARGISNULL(Arg_versions))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(Arg_versions), INT4OID, sizeof(int32), true, TYPALIGN_INT, &values, &nulls, &n);
	if (n != c->models)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("versions must have as many elements as models, %d: %d", c->models, n),
				 errdetail("An element that is null is the deployed version.")));
	for (int i = 0; i < n; i++)
		c->version[i] = nulls[i] ? 0 : DatumGetInt32(values[i]);
}

static void
check_different(const Comparison *c, int i)
{
	for (int j = 0; j < i; j++)
		if (strcmp(c->model[i], c->model[j]) == 0 && c->version[i] == c->version[j])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("model \"%s\" specified more than once", c->model[i]),
					 errhint("Two versions of it are compared with the argument versions.")));
}

static TrMetric
metric_argument(FunctionCallInfo fcinfo)
{
	char	   *name = PG_ARGISNULL(Arg_metric) ? "null" : text_to_cstring(PG_GETARG_TEXT_PP(Arg_metric));
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; tr_metric_names[i]; i++)
	{
		if (strcmp(name, tr_metric_names[i]) == 0)
			return (TrMetric) i;
		appendStringInfo(&names, "%s%s", i ? ", " : "", tr_metric_names[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown metric \"%s\"", name),
			 errhint("The metrics are %s.", names.data)));
}

static void
sampling_arguments(FunctionCallInfo fcinfo, Comparison *c)
{
	if (PG_ARGISNULL(Arg_samples) || PG_ARGISNULL(Arg_seed))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("samples and seed must not be null")));
	c->samples = PG_GETARG_INT32(Arg_samples);
	c->seed = (uint64) PG_GETARG_INT64(Arg_seed);
	if (c->samples < MIN_SAMPLES || c->samples > MAX_SAMPLES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("samples must be between %d and %d: %d", MIN_SAMPLES, MAX_SAMPLES, c->samples)));
}

/* ------------------------------------------------------------------ measuring */

static void
check_task(const TagrecVersion *version, const TagrecVersion *first)
{
	if (strcmp(version->task, first->task) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" recommends %ss, but model \"%s\" recommends %ss", first->model, first->task,
						version->model, version->task),
				 errhint("Compare models of the same task.")));
}

static void
check_metric(const Comparison *c, const TagrecVersion *version)
{
	if (!tr_metric_is_error(c->metric) || tagrec_version_task(version)->values)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" does not predict values and has no %s", version->model, tr_metric_names[c->metric]),
			 errdetail("Its algorithm, %s, is for the task \"%s\".", version->algorithm, version->task),
			 errhint("Compare such models by a ranking metric, such as ndcg.")));
}

static void
rank(Comparison *c, FunctionCallInfo fcinfo, Oid relation)
{
	TagrecVersion **version = palloc(c->models * sizeof(TagrecVersion *));
	TagrecTestArguments arguments = {
		.columns.user = tagrec_name_argument(fcinfo, Arg_user_column),
		.columns.item = tagrec_name_argument(fcinfo, Arg_item_column),
		.columns.tag = tagrec_name_argument(fcinfo, Arg_tag_column),
		.columns.value = tagrec_name_argument(fcinfo, Arg_value_column),
		.candidates = tagrec_candidates_argument(fcinfo, Arg_candidates)
	};

	for (int i = 0; i < c->models; i++)
	{
		version[i] = tagrec_evaluated_version(c->model[i], c->version[i] ? &c->version[i] : NULL);
		c->version[i] = version[i]->version;
		check_different(c, i);
		check_task(version[i], version[0]);
		check_metric(c, version[i]);
	}
	c->test = tagrec_test_read(relation, &arguments, version[0]);
	c->ranking = palloc(c->models * sizeof(TagrecRanking *));
	for (int i = 0; i < c->models; i++)
	{
		c->ranking[i] = tagrec_rank_test(version[i], c->test, c->exclude_seen);
		tagrec_check_overlap(c->test, c->ranking[i], c->model[i]);
	}
}

/* Values are predicted of unknown ones as well. */
static bool
known_to_all(const Comparison *c, int32 group)
{
	if (tr_metric_is_error(c->metric))
		return true;
	for (int i = 0; i < c->models; i++)
		if (!c->ranking[i]->known[group])
			return false;
	return true;
}

static bool
seen_by_any(const Comparison *c, int64 pair)
{
	for (int i = 0; i < c->models; i++)
		if (c->ranking[i]->seen[pair])
			return true;
	return false;
}

/* The pairs of the group that count for all models, moved to the front of `pair`; their number. */
static int32
take_pairs(const Comparison *c, int32 group, int64 *pair, int64 *seen, int64 *known)
{
	int32		n = 0;

	for (int64 p = c->test->group_ptr[group]; p < c->test->group_ptr[group + 1]; p++)
	{
		bool		is_seen = seen_by_any(c, p);

		*seen += is_seen;
		*known += 1;
		if (!is_seen || !c->exclude_seen)
			pair[n++] = p;
	}
	return n;
}

/* work (2n) */
static double
error_of(const Comparison *c, int model, const int64 *pair, int32 n, float *work)
{
	for (int32 p = 0; p < n; p++)
	{
		work[p] = c->ranking[model]->predicted[pair[p]];
		work[n + p] = c->test->pairs.value[pair[p]];
	}
	return tr_metric_of_errors(c->metric, work, work + n, n);
}

static void
measure_errors(Comparison *c, const int64 *pair, int32 n, float *work)
{
	c->weight[c->groups] = tr_metric_weight(c->metric, n);
	for (int i = 0; i < c->models; i++)
		c->value[i][c->groups] = error_of(c, i, pair, n, work);
	c->groups++;
}

static void
measure_group(Comparison *c, const int64 *pair, int32 n, int32 *ranks)
{
	c->weight[c->groups] = tr_metric_weight(c->metric, n);
	for (int i = 0; i < c->models; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 p = 0; p < n; p++)
			ranks[p] = c->ranking[i]->rank[pair[p]];
		for (int k = 0; k < c->n_k; k++)
			c->value[k * c->models + i][c->groups] = tr_metric(c->metric, c->k[k], ranks, n);
	}
	c->groups++;
}

static double **
make_rows(int rows, Size columns)
{
	double	  **row = palloc(rows * sizeof(double *));

	for (int i = 0; i < rows; i++)
		row[i] = MemoryContextAllocHuge(CurrentMemoryContext, Max(columns, 1) * sizeof(double));
	return row;
}

static void
measure(Comparison *c)
{
	const TagrecTest *test = c->test;
	int64		most = tagrec_test_most(test);
	int64		seen = 0;
	int64		known = 0;
	int64	   *pair;
	int32	   *ranks;
	float	   *work;

	pair = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int64));
	ranks = MemoryContextAllocHuge(CurrentMemoryContext, most * sizeof(int32));
	work = MemoryContextAllocHuge(CurrentMemoryContext, 2 * most * sizeof(float));
	c->value = make_rows(c->n_k * c->models, test->groups);
	c->weight = make_rows(1, test->groups)[0];
	for (int32 g = 0; g < test->groups; g++)
	{
		int32		n = known_to_all(c, g) ? take_pairs(c, g, pair, &seen, &known) : 0;

		CHECK_FOR_INTERRUPTS();
		if (n > 0 && tr_metric_is_error(c->metric))
			measure_errors(c, pair, n, work);
		else if (n > 0)
			measure_group(c, pair, n, ranks);
	}
	if (c->groups == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no %s in %s can be evaluated by all models",
						test->task->group, test->source.name),
				 errdetail("%lld %ss are of %ss known to all models; %lld of them are in the training data of at least one"
						   " model.",
						   (long long) known, test->task->pair, test->task->group,
						   (long long) seen)));
	tagrec_warn_of_seen(seen, known, test->task, c->exclude_seen);
}

/* ------------------------------------------------------------------ differences */

/* The metric from a mean over groups. */
static double
mean_of(const Comparison *c, int row, const int32 *times)
{
	double		mean = tr_resampled_mean(c->value[row], c->weight, times, c->groups);

	return c->metric == TR_METRIC_RMSE ? sqrt(mean) : mean;
}

static void
sample(Comparison *c)
{
	int			rows = c->n_k * c->models;
	int32	   *times = MemoryContextAllocHuge(CurrentMemoryContext, c->groups * sizeof(int32));

	c->sampled = make_rows(rows, c->samples);
	for (int s = 0; s < c->samples; s++)
	{
		CHECK_FOR_INTERRUPTS();
		tr_resample(times, c->groups, c->seed, s);
		for (int row = 0; row < rows; row++)
		{
			CHECK_FOR_INTERRUPTS();
			c->sampled[row][s] = mean_of(c, row, times);
		}
	}
}

static int
compare_numbers(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
put_difference(Comparison *c, int k, int model, int versus, double *difference)
{
	int			one = k * c->models + model;
	int			other = k * c->models + versus;
	double		value = mean_of(c, one, NULL);
	double		against = mean_of(c, other, NULL);
	Datum		values[12] = {CStringGetTextDatum(c->model[model]), CStringGetTextDatum(c->model[versus])};
	bool		nulls[12] = {false, false, false, !tr_metric_has_k(c->metric)};

	for (int s = 0; s < c->samples; s++)
		difference[s] = c->sampled[one][s] - c->sampled[other][s];
	qsort(difference, c->samples, sizeof(double), compare_numbers);
	values[2] = CStringGetTextDatum(tr_metric_names[c->metric]);
	values[3] = Int32GetDatum(c->k[k]);
	values[4] = Float8GetDatum(value - against);
	values[5] = Float8GetDatum(tr_quantile(difference, c->samples, LOW));
	values[6] = Float8GetDatum(tr_quantile(difference, c->samples, HIGH));
	values[7] = Float8GetDatum(value);
	values[8] = Float8GetDatum(against);
	values[9] = Int32GetDatum(c->groups);
	values[10] = Int32GetDatum(c->version[model]);
	values[11] = Int32GetDatum(c->version[versus]);
	tuplestore_putvalues(c->result->setResult, c->result->setDesc, values, nulls);
}

/* Every model against each one after it in the list. */
static void
put_rows(Comparison *c)
{
	double	   *difference = palloc(c->samples * sizeof(double));

	for (int k = 0; k < c->n_k; k++)
		for (int model = 0; model < c->models; model++)
			for (int versus = model + 1; versus < c->models; versus++)
			{
				CHECK_FOR_INTERRUPTS();
				put_difference(c, k, model, versus, difference);
			}
}

Datum
tagrec_compare_2(PG_FUNCTION_ARGS)
{
	Comparison	c = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	Oid			relation = tagrec_test_argument(fcinfo, Arg_test);

	models_argument(fcinfo, &c);
	versions_argument(fcinfo, &c);
	c.k = tagrec_lengths_argument(fcinfo, Arg_k, &c.n_k);
	c.metric = metric_argument(fcinfo);
	if (!tr_metric_has_k(c.metric))
		c.n_k = 1;
	sampling_arguments(fcinfo, &c);
	c.exclude_seen = tagrec_flag_argument(fcinfo, Arg_exclude_seen, "exclude_seen");
	InitMaterializedSRF(fcinfo, 0);
	rank(&c, fcinfo, relation);
	measure(&c);
	sample(&c);
	put_rows(&c);
	return (Datum) 0;
}
