/*
 * Reading the registry: models and versions. See version.h.
 */
#include "pg/registry/version.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/cluster.h"
#include "pg/base/compat.h"
#include "pg/base/names.h"
#include "pg/registry/statement.h"
#include "pg/registry/version_row.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tagrec_sees);

/* The names of models, jobs, … that a hint lists. */
#define MAX_LISTED 10

static TagrecQuery model_query = {
	"SELECT model_id, model, schema, owner, deployed_version FROM @.tagrec_model WHERE model OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static TagrecQuery models_query = {
	"SELECT model, schema, owner FROM @.tagrec_model ORDER BY model", 0, {0}
};

static TagrecQuery first_job_query = {
	"SELECT j.job, j.kind, j.state, j.phase, j.epoch, j.epochs FROM @.tagrec_job j"
	" JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) j.role WHERE j.model OPERATOR(pg_catalog.=) $1"
	" AND j.state OPERATOR(pg_catalog.=) ANY ('{queued,running}'::pg_catalog.text[])"
	" AND pg_catalog.pg_has_role($2, r.oid, 'MEMBER') ORDER BY j.job LIMIT 1",
	2, {TEXTOID, OIDOID}
};

static TagrecQuery versions_query = {
	"SELECT pg_catalog.string_agg(v.version::pg_catalog.text, ', ' ORDER BY v.version) AS versions"
	" FROM @.tagrec_model m JOIN @.tagrec_version v ON v.model_id OPERATOR(pg_catalog.=) m.model_id"
	" WHERE m.model OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static void
check_format(const TagrecVersion *v, int format)
{
	if (format > TAGREC_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("version %d of model \"%s\" has format %d, but this version of tagrec reads formats up to %d",
						v->version, v->model, format, TAGREC_FORMAT),
				 errhint("Install the version of tagrec that wrote it, or a newer one.")));
}

Oid
tagrec_model_view(const char *schema, const char *model)
{
	return tagrec_model_relation(schema, tagrec_view_relname(model, TAGREC_ITEMS));
}

Oid
tagrec_model_relation(const char *schema, const char *relname)
{
	Oid			namespace = get_namespace_oid(schema, true);

	return OidIsValid(namespace) ? get_relname_relid(relname, namespace) : InvalidOid;
}

Oid
tagrec_relation_owner(Oid relation)
{
	Oid			owner = InvalidOid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

static void
find_relation(TagrecVersion *v)
{
	char	   *relname = tagrec_view_relname(v->model, TAGREC_ITEMS);

	if (!OidIsValid(get_namespace_oid(v->schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" of model \"%s\" does not exist", v->schema, v->model),
				 errdetail("It was dropped or renamed after the model was trained."),
				 errhint("Restore the name of the schema, or drop the model with tagrec_drop() and train it again.")));
	v->item_relation = tagrec_model_relation(v->schema, relname);
	v->owner = OidIsValid(v->item_relation) ? tagrec_relation_owner(v->item_relation) : InvalidOid;
	if (!OidIsValid(v->owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" of model \"%s\" does not exist", v->schema, relname, v->model),
				 errdetail("It was dropped, renamed or moved after the model was trained."),
				 errhint("Drop the model with tagrec_drop() and train it again.")));
	if (get_rel_relkind(v->item_relation) != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s.%s\" of model \"%s\" is not a view", v->schema, relname, v->model),
				 errdetail("It was replaced after the model was trained."),
				 errhint("Drop the model with tagrec_drop() and train it again.")));
}

TagrecVersion *
tagrec_version_deployed(const char *model)
{
	int			format;
	TagrecVersion *v = tagrec_version_row(model, NULL, &format);

	if (!v)
		tagrec_model_missing(model);
	check_format(v, format);
	find_relation(v);
	return v;
}

TagrecVersion *
tagrec_version_deployed_now(const char *model)
{
	TagrecVersion *v;

	PushActiveSnapshot(GetLatestSnapshot());
	v = tagrec_version_deployed(model);
	PopActiveSnapshot();
	return v;
}

/* The versions a model has, as "1, 2, 5", or NULL. */
static char *
list_versions(const char *model)
{
	char	   *versions = NULL;
	Datum		values[1] = {CStringGetTextDatum(model)};
	TagrecSession session = tagrec_registry_begin();

	if (tagrec_registry_run(&versions_query, false, values, NULL) > 0)
		versions = tagrec_row_text(0, "versions", session.caller);
	tagrec_registry_end(session);
	return versions;
}

TagrecVersion *
tagrec_version_find(const char *model, int32 version)
{
	int			format;
	char	   *versions;
	TagrecVersion *v = tagrec_version_row(model, &version, &format);

	if (!v)
	{
		versions = list_versions(model);
		if (!versions)
			tagrec_model_missing(model);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no version %d", model, version),
				 errhint("Its versions are %s.", versions)));
	}
	check_format(v, format);
	find_relation(v);
	return v;
}

TagrecModel *
tagrec_model_find(const char *model, bool missing_ok, bool fresh)
{
	TagrecModel *found = NULL;
	Datum		values[1] = {CStringGetTextDatum(model)};
	TagrecSession session = tagrec_registry_begin();

	if (tagrec_registry_run(&model_query, fresh, values, NULL) > 0)
	{
		found = MemoryContextAllocZero(session.caller, sizeof(TagrecModel));
		found->model_id = tagrec_row_int(0, "model_id", 0);
		found->model = tagrec_row_text(0, "model", session.caller);
		found->schema = tagrec_row_text(0, "schema", session.caller);
		found->registered_owner = tagrec_row_text(0, "owner", session.caller);
		found->deployed_version = tagrec_row_int(0, "deployed_version", 0);
	}
	tagrec_registry_end(session);
	if (!found && !missing_ok)
		tagrec_model_missing(model);
	return found;
}

/* ------------------------------------------------------------------ rights */

bool
tagrec_is_registered_owner(const char *owner)
{
	Oid			role = get_role_oid(owner, true);

	return (OidIsValid(role) && has_privs_of_role(GetUserId(), role)) || tagrec_owns_database(MyDatabaseId, GetUserId());
}

/* Visible to roles that may use or own the model. It may be dropped at any moment. */
static bool
is_visible(const char *model, const char *schema, const char *owner)
{
	Oid			relation = tagrec_model_view(schema, model);
	bool		missing = false;

	return tagrec_is_registered_owner(owner)
		|| (OidIsValid(relation) && pg_class_aclcheck_ext(relation, GetUserId(), ACL_SELECT, &missing) == ACLCHECK_OK);
}

Datum
tagrec_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_visible(text_to_cstring(PG_GETARG_TEXT_PP(0)), NameStr(*PG_GETARG_NAME(1)),
							  NameStr(*PG_GETARG_NAME(2))));
}

/* ------------------------------------------------------------------ models that are not there */

/* How far the first training of a model is, as a sentence; NULL when no job that concerns the current user is under way. */
static char *
describe_first_job(const char *model, bool *queued)
{
	char	   *sentence = NULL;
	Datum		values[2] = {CStringGetTextDatum(model), ObjectIdGetDatum(GetUserId())};
	TagrecSession session = tagrec_registry_begin();

	if (tagrec_registry_run(&first_job_query, false, values, NULL) > 0)
	{
		char	   *job = tagrec_row_text(0, "job", session.caller);
		char	   *phase = tagrec_row_text(0, "phase", session.caller);
		int			epoch = tagrec_row_int(0, "epoch", 0);
		int			epochs = tagrec_row_int(0, "epochs", 0);
		bool		tune = strcmp(tagrec_row_text(0, "kind", session.caller), "tune") == 0;

		MemoryContextSwitchTo(session.caller);
		*queued = strcmp(tagrec_row_text(0, "state", session.caller), "queued") == 0;
		if (*queued)
			sentence = psprintf("Job %s is queued.", job);
		else if (epochs > 0 && !tune)	/* whose epochs are those of a trial */
			sentence = psprintf("Job %s has trained %d of at most %d epochs.", job, epoch, epochs);
		else
			sentence = psprintf("Job %s is running (%s).", job, phase ? phase : "starting");
	}
	tagrec_registry_end(session);
	return sentence;
}

/* The models that the current user may know of: their number, and `listed` with the first names. */
static int
visible_models(StringInfo listed)
{
	MemoryContext context = CurrentMemoryContext;
	TagrecSession session = tagrec_registry_begin();
	uint64		count = tagrec_registry_run(&models_query, false, NULL, NULL);
	char	  *(*row)[3] = MemoryContextAllocHuge(context, Max(count, 1) * sizeof(*row));
	int			visible = 0;

	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		row[i][0] = tagrec_row_text(i, "model", context);
		row[i][1] = tagrec_row_text(i, "schema", context);
		row[i][2] = tagrec_row_text(i, "owner", context);
	}
	tagrec_registry_end(session);
	for (uint64 i = 0; i < count && visible <= MAX_LISTED; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_visible(row[i][0], row[i][1], row[i][2]))
			continue;
		appendStringInfo(listed, "%s\"%s\"", visible ? ", " : "", row[i][0]);
		visible++;
	}
	return visible;
}

/* "The models are a, b, c." */
static char *
list_models(void)
{
	StringInfoData listed;
	int			count;

	initStringInfo(&listed);
	count = visible_models(&listed);
	if (count == 0)
		return "There is no model that you may use; see tagrec_train().";
	if (count > MAX_LISTED)
		return "The view tagrec_models lists the models.";
	return psprintf("%s %s.", count == 1 ? "The only model is" : "The models are", listed.data);
}

/* Made since the snapshot was taken that the caller reads with. */
static bool
exists_by_now(const char *model)
{
	bool		found;

	if (IsInParallelMode())
		return false;
	PushActiveSnapshot(GetLatestSnapshot());
	found = tagrec_model_find(model, true, false) != NULL;
	PopActiveSnapshot();
	return found;
}

void
tagrec_model_missing(const char *model)
{
	bool		queued = false;
	char	   *progress = describe_first_job(model, &queued);

	if (progress)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(queued ? "model \"%s\" is waiting to be trained for the first time"
						: "model \"%s\" is still being trained for the first time", model),
				 errdetail("%s", progress),
				 errhint("Wait for it with CALL tagrec_wait(), or check tagrec_jobs.")));
	if (exists_by_now(model))
	{
		const char *what = IsolationUsesXactSnapshot() ? "transaction" : "statement";

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" did not exist when this %s started", model, what),
				 errhint("Retry in a new %s.", what)));
	}
	if (tagrec_is_worker_node())
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist on this node", model),
				 errdetail("A model that was trained on another node must be sent to this one."),
				 errhint("Use tagrec_export() there, and tagrec_import() here.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", model),
			 errhint("%s", list_models())));
	pg_unreachable();
}

/* ------------------------------------------------------------------ checks */

double
tagrec_version_number(const TagrecVersion *version, const char *option, double otherwise)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&version->options->root, option, strlen(option), NULL);

	if (!value || value->type != jbvNumeric)
		return otherwise;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

const TrTask *
tagrec_version_task(const TagrecVersion *version)
{
	const TrTask *task = tr_task_find(version->task);

	if (!task)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" is for the task \"%s\", which this version of tagrec does not support",
						version->model, version->task)));
	return task;
}

void
tagrec_check_use(const TagrecVersion *version)
{
	AclResult	result = pg_class_aclcheck(version->item_relation, GetUserId(), ACL_SELECT);
	Oid			registered = get_role_oid(version->registered_owner, true);

	/* else a role that creates a schema of that name, after the model's is renamed, could replace the model */
	if (OidIsValid(registered) && version->owner != registered)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relations of model \"%s\" do not belong to its owner", version->model),
				 errdetail("They belong to role \"%s\", but belonged to role \"%s\" when a version was last deployed.",
						   GetUserNameFromId(version->owner, true), version->registered_owner),
				 errhint("If the change of owner is intended, call tagrec_deploy() as a superuser or as a role with the"
						 " privileges of both.")));
	if (result != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for model \"%s\"", version->model),
				 errdetail("Using a model requires SELECT on \"%s.%s\".", version->schema,
						   tagrec_view_relname(version->model, TAGREC_ITEMS))));
}

void
tagrec_check_owner(const TagrecVersion *version)
{
	Oid			registered = get_role_oid(version->registered_owner, true);

	if (!tagrec_owns_relation(version->item_relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", version->model),
				 errdetail("The owner of a model is the owner of \"%s.%s\".", version->schema,
						   tagrec_view_relname(version->model, TAGREC_ITEMS))));
	if (OidIsValid(registered) && !tagrec_is_registered_owner(version->registered_owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", version->model),
				 errdetail("Its relations belonged to role \"%s\" when a version was last deployed.",
						   version->registered_owner),
				 errhint("If the change of owner is intended, call tagrec_deploy() as a superuser or as a role with the"
						 " privileges of both.")));
}
