/*
 * What every job is checked for before it starts, and its submission. See submit.h.
 */
#include "pg/train/submit.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pg/base/cluster.h"
#include "pg/base/compat.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/registry/version.h"
#include "pg/registry/version_write.h"
#include "pg/source/held_out.h"
#include "pg/store/store.h"
#include "pg/store/write.h"
#include "pg/train/backend_load.h"
#include "pg/train/job.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* What is trained where the caller names none; and what is tuned, which could not be that. */
#define DEFAULT_ALGORITHM "auto"
#define DEFAULT_TUNED "hdlpr_ns"
#define DEFAULT_TUNED_WITHOUT_TAGS "ease"

/* ------------------------------------------------------------------ where and when training is possible */

void
tagrec_submit_check_server(const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function),
				 errdetail("This server is a read-only standby."),
				 errhint("Train on the primary server; models are replicated to this server.")));
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot execute %s within a security-restricted operation", function)));
}

/* Where the data of a cluster are seen whole. */
void
tagrec_submit_check_node(void)
{
	if (tagrec_is_worker_node())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot train on a worker node of a cluster"),
				 errhint("Train on the coordinator, and send the model with tagrec_export() and tagrec_import().")));
}

/* The worker could not see this transaction's changes, and would wait for its locks forever. */
void
tagrec_submit_check_unwritten(const char *function)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s cannot wait in a transaction that has written data", function),
			 errdetail("Training runs in another session, which does not see uncommitted changes."),
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
				 errmsg("role \"%s\" cannot train because it is not permitted to log in",
						GetUserNameFromId(GetUserId(), true)),
				 errdetail("Before PostgreSQL 17, a background worker can run only as a role that is permitted to log in."),
				 errhint("Train as a role with LOGIN, or use ALTER ROLE ... LOGIN.")));
}
#endif

void
tagrec_submit_check_role(void)
{
#if TAGREC_NEEDS_LOGIN
	check_login();
#endif
	if (tagrec_database_aclcheck(MyDatabaseId, GetUserId(), ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database \"%s\"", get_database_name(MyDatabaseId)),
				 errdetail("The training worker of role \"%s\" requires CONNECT.", GetUserNameFromId(GetUserId(), true))));
}

/* ------------------------------------------------------------------ where the model goes */

static char *
creation_schema(void)
{
	List	   *path;

	if (tagrec_model_schema[0] != '\0')
		return pstrdup(tagrec_model_schema);
	path = fetch_search_path(false);
	if (path == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected to create the model in"),
				 errhint("Set search_path or tagrec.model_schema, or specify a schema with the option schema.")));
	return get_namespace_name(linitial_oid(path));
}

void
tagrec_submit_check_schema(const char *schema, Oid owner)
{
	Oid			id = get_namespace_oid(schema, false);

	if (isAnyTempNamespace(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("a model cannot be stored in a temporary schema"),
				 errhint("Specify another schema with the option schema.")));
	/* none of which is dumped */
	if (IsCatalogNamespace(id) || IsToastNamespace(id) || strcmp(schema, "information_schema") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a model cannot be stored in the system schema %s", schema),
				 errhint("Specify another schema with the option schema.")));
	if (tagrec_namespace_aclcheck(id, owner, ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", schema),
				 errdetail("Creating the relations of the model requires CREATE."),
				 errhint("Specify another schema with the option schema.")));
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
		tagrec_submit_check_schema(schema, GetUserId());
		tagrec_store_check_free(model, schema);
		return schema;
	}
	version = tagrec_version_deployed(model);
	tagrec_check_owner(version);
	if (options->schema && strcmp(options->schema, existing->schema) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" already exists in schema \"%s\"", model, existing->schema),
				 errhint("Omit the option schema, or move the model with tagrec_set_schema() first.")));
	tagrec_submit_check_schema(existing->schema, version->owner);
	tagrec_store_check_model(model, existing->schema, source);
	tagrec_store_check_version(model, existing->schema, tagrec_version_next(existing->model_id, false));
	return existing->schema;
}

char *
tagrec_submit_schema(const char *model, const TagrecOptions *options, const TagrecSource *source)
{
	char	   *schema;

	PushActiveSnapshot(GetLatestSnapshot());
	schema = find_schema(model, options, source);
	PopActiveSnapshot();
	return schema;
}

/* ------------------------------------------------------------------ a new training */

void
tagrec_submit_columns(TagrecRequest *request, FunctionCallInfo fcinfo, int first, int then)
{
	request->columns = (TagrecColumns) {
		.user = tagrec_name_argument(fcinfo, first),
		.item = tagrec_name_argument(fcinfo, first + 1),
		.tag = tagrec_name_argument(fcinfo, first + 2),
		.weight = tagrec_name_argument(fcinfo, first + 3),
		.value = tagrec_name_argument(fcinfo, then),
		.time = tagrec_name_argument(fcinfo, then + 1)
	};
	request->user_features = PG_ARGISNULL(then + 2) ? InvalidOid : PG_GETARG_OID(then + 2);
	request->item_features = PG_ARGISNULL(then + 3) ? InvalidOid : PG_GETARG_OID(then + 3);
}

char *
tagrec_submit_algorithm(FunctionCallInfo fcinfo, int argument, const TagrecRequest *request, bool tuned)
{
	bool		tags = request->columns.tag != NULL;

	if (!PG_ARGISNULL(argument))
		return text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (!tuned)
		return pstrdup(DEFAULT_ALGORITHM);
	return pstrdup(tags ? DEFAULT_TUNED : DEFAULT_TUNED_WITHOUT_TAGS);
}

void
tagrec_submit_check_source(TagrecSource *source, const TagrecRequest *request)
{
	memset(source, 0, sizeof(*source));
	source->relation = request->source;
	source->columns = request->columns;
	source->features[TR_USER] = request->user_features;
	source->features[TR_ITEM] = request->item_features;
	tagrec_source_check(source);
}

static Oid
find_validation_source(const TagrecRequest *request, const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	TagrecHeldOut held_out = {
		.relation = RangeVarGetRelid(range, NoLock, true),
		.columns = tagrec_held_out_columns(&request->columns, tagrec_algorithm(request->algorithm)->task)
	};

	if (!OidIsValid(held_out.relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", name),
				 errdetail("The option validation_source names the relation to validate the model on.")));
	tagrec_held_out_check(&held_out);
	if (get_rel_persistence(held_out.relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot validate on the temporary relation \"%s\"", name),
				 errdetail("Training runs in a background worker, which cannot access this session's temporary relations."),
				 errhint("Use an unlogged table.")));
	return held_out.relation;
}

char *
tagrec_submit_deploy(FunctionCallInfo fcinfo, int argument, const char *function)
{
	static const char *const valid[] = {"always", "if_better", "never"};
	char	   *deploy;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument deploy of %s must not be null", function)));
	deploy = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	for (int i = 0; i < lengthof(valid); i++)
		if (strcmp(deploy, valid[i]) == 0)
			return deploy;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument deploy: \"%s\"", deploy),
			 errhint("Valid values are always, if_better and never.")));
}

/* Share of the pairs that is held out to compare versions by. */
#define DEFAULT_VALIDATION "0.1"

void
tagrec_submit_comparison(TagrecRequest *request)
{
	TagrecOptions *options = tagrec_options_read(tagrec_algorithm(request->algorithm), request->options);

	request->refit = false;
	if (options->train.validation > 0 || options->validation_source || options->algorithm->task->tags)
		return;
	request->options = tagrec_jsonb_with(request->options, tagrec_jsonb("{\"validation\": " DEFAULT_VALIDATION "}"));
	ereport(NOTICE,
			(errmsg("holding out " DEFAULT_VALIDATION " of the pairs to compare versions by"),
			 errdetail("The version is not trained on them."),
			 errhint("Use the option validation or validation_source to change this.")));
}

/* Posts are stored with all of their tags, so that a version is given the answer. Ratings are not ranked. */
static void
check_comparable(const TagrecOptions *options)
{
	const TrTask *task = options->algorithm->task;

	if (task->values)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("deploy => 'if_better' is not supported for the task \"%s\"", task->name),
				 errhint("Use deploy => 'never', compare, and deploy with tagrec_deploy().")));
	if (task->tags && !options->validation_source)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("deploy => 'if_better' requires the option validation_source for the task \"%s\"", task->name)));
}

/* The relations that are read. */
static void
check_relations(TagrecRequest *request, const TagrecOptions *options, TagrecSource *source)
{
	tagrec_submit_check_source(source, request);
	source->rules = tagrec_source_rules(source, options);
	tagrec_tell_unused(source, options->algorithm);
	tagrec_source_check_attributes(source, options->algorithm);
	if (options->validation_source)
		request->validation_source = find_validation_source(request, options->validation_source);
}

static void
check_relations_as_owner(TagrecRequest *request, const TagrecOptions *options, TagrecSource *source)
{
	TagrecVersion *version = tagrec_version_deployed_now(request->model);
	TagrecActing before;

	tagrec_check_owner(version);
	before = tagrec_act_as(version->owner);
	check_relations(request, options, source);
	tagrec_act_again(before);
}

void
tagrec_submit_check(TagrecRequest *request, const TagrecOptions *options)
{
	TagrecSource source;

	tagrec_submit_check_node();
	(void) tagrec_device(request->device);
	if (tagrec_request_if_better(request))
		check_comparable(options);
	if (request->remembered)
		check_relations_as_owner(request, options, &source);
	else
		check_relations(request, options, &source);
	request->schema = tagrec_submit_schema(request->model, options, &source);
	tagrec_submit_check_role();
}

/* ------------------------------------------------------------------ submitting */

static void
add_settings(TagrecRequest *request)
{
	request->threads = tagrec_threads;
	request->max_memory = tagrec_memory_limit();
	request->progress_interval = tagrec_progress_interval;
}

int64
tagrec_submit(TagrecRequest *request, bool wait, const char *function)
{
	add_settings(request);
	if (!wait)
		return tagrec_job_submit(request);
	tagrec_submit_check_unwritten(function);
	return tagrec_job_run_waiting(request);
}
