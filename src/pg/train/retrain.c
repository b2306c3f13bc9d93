/*
 * tagrec_retrain(): a training with the source and the settings of the deployed version, except those that are given anew.
 *
 * What is remembered is what was asked for then, by the user or by a tuning, and not what the defaults were: a later
 * version of tagrec may have better ones.
 */
#include "pg/base/tagrec.h"

#include "fmgr.h"
#include "pg/base/identity.h"
#include "pg/registry/version.h"
#include "pg/source/source.h"
#include "pg/train/submit.h"
#include "pg/train/tune_space.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(tagrec_retrain);

/* Arguments, as sql/training.sql declares them. */
enum
{
	Arg_model,
	Arg_options,
	Arg_device,
	Arg_deploy,
	Arg_wait
};

/* An option that is given puts aside one that was remembered and would be in its way. */
static const char *const replaces[][2] = {
	{"validation", "validation_source"},
	{"validation_source", "validation"},
	/* of a tuning: the epoch that was best of so many */
	{"epochs", "stop_after"}
};

static JsonbValue *
member(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);
}

static Jsonb *
without(Jsonb *object, const char *name)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(object), CStringGetTextDatum(name)));
}

/* The relation's name is found by any search_path in what the version says of itself. */
static Jsonb *
qualify_validation_source(Jsonb *options, const TagrecVersion *version)
{
	JsonbValue *name = member(version->options, "validation_source");

	if (!name || name->type != jbvString || !member(options, "validation_source"))
		return options;
	return tagrec_jsonb_with(options, tagrec_jsonb_text("validation_source",
														 pnstrdup(name->val.string.val, name->val.string.len)));
}

/* null takes a remembered option away. */
static Jsonb *
merge_options(const TagrecVersion *version, Jsonb *given)
{
	Jsonb	   *options = without(qualify_validation_source(version->requested_options, version), "schema");

	if (!JB_ROOT_IS_OBJECT(given))
		return given;
	for (int i = 0; i < lengthof(replaces); i++)
		if (member(given, replaces[i][0]))
			options = without(options, replaces[i][1]);
	options = tagrec_jsonb_with(options, given);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, JsonbPGetDatum(options)));
}

static void
fill_request(TagrecRequest *request, const TagrecVersion *version, FunctionCallInfo fcinfo)
{
	TagrecActing before;

	request->kind = "train";
	request->model = version->model;
	request->algorithm = version->algorithm;
	request->options = merge_options(version, PG_ARGISNULL(Arg_options) ? tagrec_jsonb("{}")
									 : PG_GETARG_JSONB_P(Arg_options));
	request->device = !PG_ARGISNULL(Arg_device) ? text_to_cstring(PG_GETARG_TEXT_PP(Arg_device))
		: version->device ? version->device : "auto";
	request->deploy = tagrec_submit_deploy(fcinfo, Arg_deploy, "tagrec_retrain");
	request->columns = version->columns;
	request->remembered = true;
	before = tagrec_act_as(version->owner);
	request->source = tagrec_source_find(version->source);
	request->user_features = version->user_features ? tagrec_source_find(version->user_features) : InvalidOid;
	request->item_features = version->item_features ? tagrec_source_find(version->item_features) : InvalidOid;
	tagrec_act_again(before);
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(Arg_model) || PG_ARGISNULL(Arg_wait))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument %s of tagrec_retrain must not be null", PG_ARGISNULL(Arg_model) ? "model" : "wait")));
}

Datum
tagrec_retrain(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	TagrecVersion *version;
	bool		wait;

	tagrec_submit_check_server("tagrec_retrain()");
	check_arguments(fcinfo);
	wait = PG_GETARG_BOOL(Arg_wait);
	if (wait)
		tagrec_submit_check_unwritten("tagrec_retrain()");
	version = tagrec_version_deployed_now(text_to_cstring(PG_GETARG_TEXT_PP(Arg_model)));
	tagrec_check_owner(version);
	fill_request(&request, version, fcinfo);
	if (tagrec_request_if_better(&request))
		tagrec_submit_comparison(&request);
	tagrec_submit_check(&request, tagrec_options_read(tagrec_algorithm(request.algorithm), request.options));
	PG_RETURN_INT64(tagrec_submit(&request, wait, "tagrec_retrain()"));
}
