/*
 * tagrec_tune(): everything is checked in the caller's statement, and the trials drawn once to be sure of them, before a
 * worker starts. See job_tune.c for what it does.
 */
#include "pg/base/tagrec.h"

#include "core/metrics.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "pg/base/auto.h"
#include "pg/base/names.h"
#include "pg/base/options.h"
#include "pg/train/submit.h"
#include "pg/train/tune_space.h"
#include "utils/builtins.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(tagrec_tune_2);

/* Share of the pairs that is held out by default. */
#define DEFAULT_VALIDATION "0.1"

/* Arguments, as sql/training.sql declares them. */
enum
{
	Arg_model,
	Arg_source,
	Arg_algorithm,
	Arg_space,
	Arg_trials,
	Arg_options,
	Arg_user_column,
	Arg_item_column,
	Arg_tag_column,
	Arg_weight_column,
	Arg_device,
	Arg_metric,
	Arg_seed,
	Arg_resume,
	Arg_refit,
	Arg_wait,
	Arg_deploy,
	Arg_value_column,
	Arg_time_column,
	Arg_user_features,
	Arg_item_features,
	Args
};

/* NULL = may be null */
static const char *const argument_names[Args] = {
	"model", "source", NULL, "space", "trials", NULL, "user_column", "item_column", NULL, NULL, "device",
	NULL, "seed", "resume", "refit", "wait", "deploy"
};

static void
check_arguments(FunctionCallInfo fcinfo)
{
	int			trials;

	for (int i = 0; i < Args; i++)
		if (argument_names[i] && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %s of tagrec_tune must not be null", argument_names[i]),
					 i == Arg_space ? errhint("For example: space => '{\"learning_rate\": {\"min\": 0.001, \"max\": 0.1,"
											  " \"scale\": \"log\"}}'.") : 0));
	trials = PG_GETARG_INT32(Arg_trials);
	if (trials < 1 || trials > TAGREC_MAX_TRIALS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trials must be between 1 and %d: %d", TAGREC_MAX_TRIALS, trials)));
}

/* ------------------------------------------------------------------ options that a tuning has by itself */

static bool
has_member(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL) != NULL;
}

pg_noreturn static void unknown_metric(const char *metric);

static void
unknown_metric(const char *metric)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; tr_metric_names[i]; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", tr_metric_names[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown metric \"%s\"", metric),
			 errdetail("The metrics are %s; a list length can follow after @, as in ndcg@20.", names.data)));
}

static bool
has_length(const char *name)
{
	for (int i = 0; tr_metric_names[i]; i++)
		if (strcmp(name, tr_metric_names[i]) == 0)
			return tr_metric_has_k((TrMetric) i);
	return false;
}

static bool
is_metric(const char *name)
{
	for (int i = 0; tr_metric_names[i]; i++)
		if (strcmp(name, tr_metric_names[i]) == 0)
			return true;
	return false;
}

/* "ndcg@10" as options: {"metric": "ndcg", "metric_k": 10} */
static Jsonb *
metric_options(const char *metric)
{
	StringInfoData json;
	char	   *name = pstrdup(metric);
	char	   *length = strchr(name, '@');

	if (length)
		*length++ = '\0';
	if (!is_metric(name) || (length && (!has_length(name) || strspn(length, "0123456789") != strlen(length) || !*length)))
		unknown_metric(metric);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"metric\": ");
	escape_json(&json, name);
	if (length)
	{
		appendStringInfoString(&json, ", \"metric_k\": ");
		escape_json(&json, length);
	}
	appendStringInfoChar(&json, '}');
	return tagrec_jsonb(json.data);
}

static Jsonb *
add_metric(Jsonb *options, const char *metric)
{
	if (has_member(options, "metric") || (strchr(metric, '@') && has_member(options, "metric_k")))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metric specified more than once"),
				 errdetail("It is specified in options and as an argument."),
				 errhint("Omit one of them.")));
	return tagrec_jsonb_with(options, metric_options(metric));
}

/* Tuning needs pairs to measure on. *added: the caller has not specified any. */
static Jsonb *
add_validation(Jsonb *options, const TagrecOptions *read, bool *added)
{
	*added = false;
	if (read->train.validation > 0 || read->validation_source)
		return options;
	if (has_member(options, "validation"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tuning requires pairs to evaluate its trials on"),
				 errdetail("The option validation is 0."),
				 errhint("Set validation to the share of pairs to hold out, or validation_source to a relation of "
						 "pairs.")));
	*added = true;
	return tagrec_jsonb_with(options, tagrec_jsonb("{\"validation\": " DEFAULT_VALIDATION "}"));
}

/* The options that are the same for all trials. */
static Jsonb *
fixed_options(FunctionCallInfo fcinfo, const TrAlgorithm *algorithm, bool *validation_added)
{
	Jsonb	   *options = PG_ARGISNULL(Arg_options) ? tagrec_jsonb("{}") : PG_GETARG_JSONB_P(Arg_options);
	TagrecOptions *read = tagrec_options_read(algorithm, options);

	if (!PG_ARGISNULL(Arg_metric))
		options = add_metric(options, text_to_cstring(PG_GETARG_TEXT_PP(Arg_metric)));
	if (read->train.stop_after > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"stop_after\" cannot be used for tuning"),
				 errdetail("Each trial determines its own best epoch."),
				 errhint("Use the option epochs to limit them.")));
	return add_validation(options, read, validation_added);
}

static void
check_tunable(const TrAlgorithm *algorithm)
{
	if (tagrec_auto_find(algorithm->name))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot be tuned", algorithm->name),
				 errhint("Choose an algorithm with tagrec_train(), and tune that.")));
}

/* ------------------------------------------------------------------ the request */

static void
fill_request(TagrecRequest *request, FunctionCallInfo fcinfo)
{
	request->kind = "tune";
	request->model = text_to_cstring(PG_GETARG_TEXT_PP(Arg_model));
	request->device = text_to_cstring(PG_GETARG_TEXT_PP(Arg_device));
	request->source = PG_GETARG_OID(Arg_source);
	tagrec_submit_columns(request, fcinfo, Arg_user_column, Arg_value_column);
	request->algorithm = tagrec_submit_algorithm(fcinfo, Arg_algorithm, request, true);
	request->space = PG_GETARG_JSONB_P(Arg_space);
	request->trials = PG_GETARG_INT32(Arg_trials);
	request->search_seed = PG_GETARG_INT64(Arg_seed);
	request->resume = PG_GETARG_BOOL(Arg_resume);
	request->refit = PG_GETARG_BOOL(Arg_refit);
	request->deploy = tagrec_submit_deploy(fcinfo, Arg_deploy, "tagrec_tune");
}

static void
tell_validation(void)
{
	ereport(NOTICE,
			(errmsg("holding out " DEFAULT_VALIDATION " of the pairs to evaluate the trials on"),
			 errhint("Use the option validation or validation_source to change this.")));
}

static void
check_trials(const TagrecRequest *request, const TagrecSpace *space, const TrAlgorithm *algorithm)
{
	int			count;
	TrError		refused;

	(void) tagrec_space_draw(space, algorithm, request->options, (uint64) request->search_seed, request->trials, &count,
							 &refused);
	if (count < request->trials)
		ereport(NOTICE,
				(errmsg_plural("%d trial instead of %d: the space contains no others",
							   "%d trials instead of %d: the space contains no others", count,
							   count, request->trials),
				 refused.message[0] ? errdetail("Incompatible settings were skipped. %s",
												tagrec_sentence(refused.message)) : 0));
}

Datum
tagrec_tune_2(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	const TrAlgorithm *algorithm;
	TagrecSpace *space;
	bool		validation_added;

	tagrec_submit_check_server("tagrec_tune()");
	check_arguments(fcinfo);
	if (PG_GETARG_BOOL(Arg_wait))
		tagrec_submit_check_unwritten("tagrec_tune()");
	fill_request(&request, fcinfo);
	tagrec_check_model_name(request.model);
	algorithm = tagrec_algorithm(request.algorithm);
	check_tunable(algorithm);
	space = tagrec_space_read(algorithm, request.space);
	request.options = fixed_options(fcinfo, algorithm, &validation_added);
	if (tagrec_request_if_better(&request))
		tagrec_submit_comparison(&request);
	tagrec_submit_check(&request, tagrec_options_read(algorithm, request.options));
	check_trials(&request, space, algorithm);
	if (validation_added)
		tell_validation();
	PG_RETURN_INT64(tagrec_submit(&request, PG_GETARG_BOOL(Arg_wait), "tagrec_tune()"));
}
