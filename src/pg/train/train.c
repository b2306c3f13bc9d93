/*
 * tagrec_train() and tagrec_refresh(): everything that could make a job fail is checked here, in the caller's statement,
 * before a worker starts; then the job is submitted, or run and waited for.
 */
#include "pg/base/tagrec.h"

#include "fmgr.h"
#include "pg/base/identity.h"
#include "pg/base/options.h"
#include "pg/registry/version.h"
#include "pg/source/source.h"
#include "pg/store/store.h"
#include "pg/store/write.h"
#include "pg/train/auto.h"
#include "pg/train/submit.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_train_2);
PG_FUNCTION_INFO_V1(tagrec_refresh);

/* Arguments of tagrec_train(), as sql/training.sql declares them. */
enum
{
	Arg_model,
	Arg_source,
	Arg_algorithm,
	Arg_options,
	Arg_user_column,
	Arg_item_column,
	Arg_tag_column,
	Arg_weight_column,
	Arg_device,
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
	"model", "source", NULL, NULL, "user_column", "item_column", NULL, NULL, "device", "wait", "deploy"
};

static void
check_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < Args; i++)
		if (argument_names[i] && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %s of tagrec_train must not be null", argument_names[i])));
}

Datum
tagrec_train_2(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	TagrecOptions *options;
	bool		wait;

	tagrec_submit_check_server("tagrec_train()");
	check_arguments(fcinfo);
	wait = PG_GETARG_BOOL(Arg_wait);
	if (wait)
		tagrec_submit_check_unwritten("tagrec_train()");
	request.kind = "train";
	request.model = text_to_cstring(PG_GETARG_TEXT_PP(Arg_model));
	tagrec_check_model_name(request.model);
	request.device = text_to_cstring(PG_GETARG_TEXT_PP(Arg_device));
	request.options = PG_ARGISNULL(Arg_options) ? tagrec_jsonb("{}") : PG_GETARG_JSONB_P(Arg_options);
	request.source = PG_GETARG_OID(Arg_source);
	tagrec_submit_columns(&request, fcinfo, Arg_user_column, Arg_value_column);
	request.algorithm = tagrec_submit_algorithm(fcinfo, Arg_algorithm, &request, false);
	request.deploy = tagrec_submit_deploy(fcinfo, Arg_deploy, "tagrec_train");
	if (tagrec_request_is_auto(&request))
		tagrec_auto_request(&request);
	if (tagrec_request_if_better(&request))
		tagrec_submit_comparison(&request);
	options = tagrec_options_read(tagrec_algorithm(request.algorithm), request.options);
	tagrec_submit_check(&request, options);
	if (!tagrec_request_is_auto(&request))
		tagrec_tell_differences(&request, options);
	PG_RETURN_INT64(tagrec_submit(&request, wait, "tagrec_train()"));
}

static const char *
refresh_hint(const TrAlgorithm *algorithm)
{
	return tr_folds_in(algorithm)
		? "Train it again with tagrec_retrain(). Until then, queries with fresh => true go by what users have now."
		: "Train it again with tagrec_retrain().";
}

static void
check_refreshable(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	bool		folds_in = algorithm->fold_in && !(version->features & TR_FEATURES_USERS);

	if (algorithm->counts || folds_in)
		return;
	if (version->features)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot be refreshed", version->model),
				 errdetail("The neighbour weights that its algorithm, %s, stores can only be computed by training.",
						   version->algorithm),
				 errhint("%s", refresh_hint(algorithm))));
	if (!algorithm->encode || !algorithm->loads)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot be refreshed", version->model),
				 errdetail("Its algorithm, %s, finds out about users and items in training alone.", version->algorithm),
				 errhint("%s", refresh_hint(algorithm))));
}

/* It is read as the owner: see job_refresh.c. */
static void
check_source_as_owner(const TagrecVersion *version, TagrecRequest *request, TagrecSource *source)
{
	TagrecActing before = tagrec_act_as(version->owner);

	request->source = tagrec_source_find(version->source);
	request->item_features = version->item_features ? tagrec_source_find(version->item_features) : InvalidOid;
	tagrec_submit_check_source(source, request);
	tagrec_source_check_attributes(source, tagrec_algorithm(version->algorithm));
	tagrec_act_again(before);
}

Datum
tagrec_refresh(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	TagrecVersion *version;
	TagrecSource source;
	bool		wait = PG_GETARG_BOOL(1);

	tagrec_submit_check_server("tagrec_refresh()");
	tagrec_submit_check_node();
	if (wait)
		tagrec_submit_check_unwritten("tagrec_refresh()");
	version = tagrec_version_deployed_now(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	tagrec_check_owner(version);
	check_refreshable(version);
	request.kind = "refresh";
	request.model = version->model;
	request.schema = version->schema;
	request.algorithm = version->algorithm;
	request.version = version->version;
	request.options = version->options;
	request.requested = version->requested_options;
	request.device = "auto";
	request.columns = version->columns;
	check_source_as_owner(version, &request, &source);
	tagrec_submit_check_schema(version->schema, version->owner);
	tagrec_store_check_model(version->model, version->schema, &source);
	tagrec_submit_check_role();
	PG_RETURN_INT64(tagrec_submit(&request, wait, "tagrec_refresh()"));
}
