/*
 * tagrec_train() and tagrec_refresh(): everything a job could stumble over is checked here, in the caller's statement, before
 * a worker starts; then the job is submitted, or run and waited for.
 */
#include "tagrec.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "backend_load.h"
#include "catalog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "fmgr.h"
#include "held_out.h"
#include "job.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "options.h"
#include "request.h"
#include "source.h"
#include "store.h"
#include "store_write.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(tagrec_train);
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
	Arg_wait
};

/* ------------------------------------------------------------------ where and when training is possible */

static void
check_server(const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function),
				 errdetail("This server is a standby, where nothing can be written."),
				 errhint("Train on the primary server; its models arrive here by replication.")));
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot execute %s within a security-restricted operation", function)));
}

/* The worker could not see what this transaction has written, and would wait for its locks for ever. */
static void
check_unwritten(const char *function)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s cannot wait in a transaction that has written", function),
			 errdetail("Training runs in another session, which does not see what is not committed."),
			 errhint("Commit first, or submit the job with wait => false: it starts when this transaction commits.")));
}

#if TAGREC_NEEDS_LOGIN
static void
check_login(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		can_login = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!can_login)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot train, because it may not log in", GetUserNameFromId(GetUserId(), true)),
				 errdetail("Before PostgreSQL 17, a background worker runs as a role only if that may log in."),
				 errhint("Train as a role with LOGIN, or use ALTER ROLE … LOGIN.")));
}
#endif

static void
check_role(void)
{
#if TAGREC_NEEDS_LOGIN
	check_login();
#endif
	if (tagrec_database_aclcheck(MyDatabaseId, GetUserId(), ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database \"%s\"", get_database_name(MyDatabaseId)),
				 errdetail("The training worker of role \"%s\" needs CONNECT.", GetUserNameFromId(GetUserId(), true))));
}

/* ------------------------------------------------------------------ arguments */

static void
check_not_null(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument %s of tagrec_train must not be null", name)));
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	check_not_null(fcinfo, Arg_model, "model");
	check_not_null(fcinfo, Arg_source, "source");
	check_not_null(fcinfo, Arg_algorithm, "algorithm");
	check_not_null(fcinfo, Arg_user_column, "user_column");
	check_not_null(fcinfo, Arg_item_column, "item_column");
	check_not_null(fcinfo, Arg_tag_column, "tag_column");
	check_not_null(fcinfo, Arg_device, "device");
	check_not_null(fcinfo, Arg_wait, "wait");
}

static char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(argument)));
}

/* ------------------------------------------------------------------ where the model goes */

static char *
creation_schema(void)
{
	List	   *path = fetch_search_path(false);

	if (path == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected to create the model in"),
				 errhint("Set search_path, or name a schema with the option schema.")));
	return get_namespace_name(linitial_oid(path));
}

static void
check_schema(const char *schema, Oid owner)
{
	Oid			id = get_namespace_oid(schema, false);

	if (isAnyTempNamespace(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("a model cannot be stored in a temporary schema"),
				 errhint("Name another schema with the option schema.")));
	if (IsCatalogNamespace(id) || IsToastNamespace(id))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a model cannot be stored in the system schema %s", schema),
				 errhint("Name another schema with the option schema.")));
	if (tagrec_namespace_aclcheck(id, owner, ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", schema),
				 errdetail("The relations of the model are created there, which needs CREATE."),
				 errhint("Name another schema with the option schema.")));
}

static char *
find_schema(const char *model, const TagrecOptions *options, const TagrecSource *source)
{
	TagrecModel *existing = tagrec_model_find(model, true, false);
	TagrecVersion *version;
	char	   *schema;

	if (!existing)
	{
		schema = options->schema ? options->schema : creation_schema();
		check_schema(schema, GetUserId());
		tagrec_store_check_free(model, schema);
		return schema;
	}
	version = tagrec_version_deployed(model);
	tagrec_check_owner(version);
	if (options->schema && strcmp(options->schema, existing->schema) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" lives in schema \"%s\"", model, existing->schema),
				 errhint("Leave out the option schema, or drop the model with tagrec_drop() first.")));
	check_schema(existing->schema, version->owner);
	tagrec_store_check_model(model, existing->schema, source);
	return existing->schema;
}

/*
 * The schema of the model's relations, once it is sure that they can be made there. What this statement, or this transaction,
 * has trained before counts, though its snapshot does not show it.
 */
static char *
choose_schema(const char *model, const TagrecOptions *options, const TagrecSource *source)
{
	char	   *schema;

	PushActiveSnapshot(GetLatestSnapshot());
	schema = find_schema(model, options, source);
	PopActiveSnapshot();
	return schema;
}

/* ------------------------------------------------------------------ submitting */

static void
add_settings(TagrecRequest *request)
{
	request->threads = tagrec_threads;
	request->max_memory = tagrec_max_memory;
	request->progress_interval = tagrec_progress_interval;
}

static int64
submit(TagrecRequest *request, bool wait, const char *function)
{
	add_settings(request);
	if (!wait)
		return tagrec_job_submit(request);
	check_unwritten(function);
	return tagrec_job_run_waiting(request);
}

static void
check_source(TagrecSource *source, const TagrecRequest *request)
{
	memset(source, 0, sizeof(*source));
	source->relation = request->source;
	source->user_column = request->user_column;
	source->item_column = request->item_column;
	source->tag_column = request->tag_column;
	source->weight_column = request->weight_column;
	tagrec_source_check(source);
}

/* The relation that the option validation_source names, as this session finds it. */
static Oid
find_validation_source(const TagrecRequest *request, TrTask task, const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	TagrecHeldOut held_out = {
		.relation = RangeVarGetRelid(range, NoLock, true),
		.user_column = request->user_column,
		.item_column = request->item_column,
		.tag_column = task == TR_TASK_TAG ? request->tag_column : NULL
	};

	if (!OidIsValid(held_out.relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", name),
				 errdetail("The option validation_source names a relation to validate the model on.")));
	tagrec_held_out_check(&held_out);
	if (get_rel_persistence(held_out.relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot validate on the temporary relation \"%s\"", name),
				 errdetail("Training runs in a worker, which does not see this session's temporary relations."),
				 errhint("Use an unlogged table.")));
	return held_out.relation;
}

Datum
tagrec_train(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	TagrecOptions *options;
	TagrecSource source;
	bool		wait;

	check_server("tagrec_train()");
	check_arguments(fcinfo);
	wait = PG_GETARG_BOOL(Arg_wait);
	if (wait)
		check_unwritten("tagrec_train()");
	request.kind = "train";
	request.model = text_to_cstring(PG_GETARG_TEXT_PP(Arg_model));
	tagrec_check_model_name(request.model);
	request.algorithm = text_to_cstring(PG_GETARG_TEXT_PP(Arg_algorithm));
	request.device = text_to_cstring(PG_GETARG_TEXT_PP(Arg_device));
	request.options = PG_ARGISNULL(Arg_options) ? tagrec_jsonb("{}") : PG_GETARG_JSONB_P(Arg_options);
	request.source = PG_GETARG_OID(Arg_source);
	request.user_column = name_argument(fcinfo, Arg_user_column);
	request.item_column = name_argument(fcinfo, Arg_item_column);
	request.tag_column = name_argument(fcinfo, Arg_tag_column);
	request.weight_column = name_argument(fcinfo, Arg_weight_column);
	options = tagrec_options_read(tagrec_algorithm(request.algorithm), request.options);
	(void) tagrec_device(request.device);
	check_source(&source, &request);
	if (options->validation_source)
		request.validation_source = find_validation_source(&request, options->algorithm->task,
															options->validation_source);
	request.schema = choose_schema(request.model, options, &source);
	check_role();
	PG_RETURN_INT64(submit(&request, wait, "tagrec_train()"));
}

static void
check_refreshable(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	if (!algorithm->encode || !algorithm->load)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot be refreshed", version->model),
				 errdetail("Its algorithm, %s, has no network that encodes tag profiles.", version->algorithm),
				 errhint("Train it again with tagrec_train().")));
}

Datum
tagrec_refresh(PG_FUNCTION_ARGS)
{
	TagrecRequest request = {0};
	TagrecVersion *version;
	TagrecSource source;
	bool		wait = PG_GETARG_BOOL(1);

	check_server("tagrec_refresh()");
	if (wait)
		check_unwritten("tagrec_refresh()");
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
	request.source = tagrec_source_find(version->source);
	request.user_column = version->user_column;
	request.item_column = version->item_column;
	request.tag_column = version->tag_column;
	request.weight_column = version->weight_column;
	check_source(&source, &request);
	check_schema(version->schema, version->owner);
	tagrec_store_check_model(version->model, version->schema, &source);
	check_role();
	PG_RETURN_INT64(submit(&request, wait, "tagrec_refresh()"));
}
