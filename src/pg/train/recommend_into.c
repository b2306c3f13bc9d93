/*
 * tagrec_recommend_into(): the best items of all users, written to a table by a job.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "pg/serve/call.h"
#include "pg/train/backend_load.h"
#include "pg/train/ranking_table.h"
#include "pg/train/submit.h"
#include "utils/builtins.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_into);

enum
{
	Arg_target, Arg_model, Arg_n, Arg_exclude_seen, Arg_device, Arg_wait, Arg_job
};

/* The model and the right to use it, as every query looks at them. */
static void
take_model(TagrecRequest *request, const char *name)
{
	TagrecCall *call = tagrec_call_begin(name);
	const TagrecVersion *version = call->version;
	MemoryContext inside = MemoryContextSwitchTo(call->outside);

	request->model = pstrdup(version->model);
	request->schema = pstrdup(version->schema);
	request->algorithm = pstrdup(version->algorithm);
	request->columns.user = pstrdup(version->columns.user);
	request->columns.item = pstrdup(version->columns.item);
	request->columns.tag = version->columns.tag ? pstrdup(version->columns.tag) : NULL;
	MemoryContextSwitchTo(inside);
	tagrec_call_end(call);
}

/* What tagrec_jobs shows */
static Jsonb *
shown_options(const TagrecRequest *request)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"table\": ");
	escape_json(&json, quote_qualified_identifier(request->target_schema, request->target));
	appendStringInfo(&json, ", \"n\": %d, \"exclude_seen\": %s}", request->best, request->exclude_seen ? "true" : "false");
	return tagrec_jsonb(json.data);
}

static Datum
job_row(FunctionCallInfo fcinfo, int64 job)
{
	TupleDesc	desc;
	Datum		value = Int64GetDatum(job);
	bool		isnull = false;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &value, &isnull));
}

Datum
tagrec_recommend_into(PG_FUNCTION_ARGS)
{
	static const char *const function = "tagrec_recommend_into()";
	TagrecRequest request = {.kind = "recommend"};
	char	  **texts[] = {&request.target, &request.device};
	bool		wait;

	tagrec_submit_check_server(function);
	for (int i = 0; i < lengthof(texts); i++)
	{
		int			argument = i == 0 ? Arg_target : Arg_device;

		if (PG_ARGISNULL(argument))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", i == 0 ? "target" : "device")));
		*texts[i] = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	}
	request.best = tagrec_limit_argument(fcinfo, Arg_n);
	request.exclude_seen = tagrec_flag_argument(fcinfo, Arg_exclude_seen, "exclude_seen");
	wait = tagrec_flag_argument(fcinfo, Arg_wait, "wait");
	if (wait)
		tagrec_submit_check_unwritten(function);
	(void) tagrec_device(request.device);
	tagrec_ranking_target(request.target, &request.target_schema, &request.target);
	if (wait)
		tagrec_ranking_check_unlocked(request.target_schema, request.target);
	take_model(&request, tagrec_model_argument(fcinfo, Arg_model));
	tagrec_submit_check_role();
	request.options = shown_options(&request);
	return job_row(fcinfo, tagrec_submit(&request, wait, function));
}
