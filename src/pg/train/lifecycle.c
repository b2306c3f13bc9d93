/*
 * tagrec_deploy(), tagrec_rollback(), tagrec_rename(), tagrec_set_schema(), tagrec_drop(): which version queries use, what
 * a model is called and where it is, and its end.
 *
 * Deploying changes one row of the registry; queries that have begun go on with the version they began with. Every change
 * to a model holds a lock on its row, and uses what the row says then: see write.h for the order of the locks.
 */
#include "pg/base/tagrec.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/registry/job_row.h"
#include "pg/registry/version.h"
#include "pg/registry/version_write.h"
#include "pg/store/store.h"
#include "pg/store/write.h"
#include "pg/train/submit.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(tagrec_deploy);
PG_FUNCTION_INFO_V1(tagrec_rollback);
PG_FUNCTION_INFO_V1(tagrec_rename);
PG_FUNCTION_INFO_V1(tagrec_set_schema);
PG_FUNCTION_INFO_V1(tagrec_drop);

static void
check_writable(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

/* A training, a rename or a drop that holds the lock comes first. */
static void
hold_model(int32 model_id, const char *model)
{
	if (!tagrec_model_hold(model_id))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was concurrently dropped", model)));
}

Datum
tagrec_deploy(PG_FUNCTION_ARGS)
{
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TagrecVersion *version;

	check_writable("tagrec_deploy()");
	version = tagrec_version_find(model, PG_GETARG_INT32(1));
	tagrec_check_owner(version);
	hold_model(version->model_id, model);
	PushActiveSnapshot(GetLatestSnapshot());
	version = tagrec_version_find(model, version->version);
	PopActiveSnapshot();
	tagrec_model_deploy(version->model_id, version->version);
	PG_RETURN_VOID();
}

/* The deployed version of a model that the caller owns and now has. */
static TagrecVersion *
held_version(const char *model)
{
	TagrecVersion *version = tagrec_version_deployed_now(model);

	tagrec_check_owner(version);
	hold_model(version->model_id, model);
	version = tagrec_version_deployed_now(model);
	tagrec_check_owner(version);
	return version;
}

Datum
tagrec_rollback(PG_FUNCTION_ARGS)
{
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TagrecVersion *version;
	int32		below;

	check_writable("tagrec_rollback()");
	version = held_version(model);
	below = tagrec_version_below(version->model_id, version->version);
	if (below == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no version below %d to roll back to", model, version->version),
				 errhint("The option keep_versions of tagrec_train() sets how many old versions are kept.")));
	tagrec_model_deploy(version->model_id, below);
	PG_RETURN_INT32(below);
}

/* ------------------------------------------------------------------ renaming */

static void
check_idle(const char *model)
{
	int64		job = tagrec_job_of_model(model);

	if (job != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("model \"%s\" is being trained by job %lld", model, (long long) job),
				 errhint("Wait for the job, or cancel it: SELECT tagrec_cancel(%lld).", (long long) job)));
}

static void
check_unused(const char *name, const char *schema)
{
	if (tagrec_model_find(name, true, true))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("model \"%s\" already exists", name)));
	if (tagrec_job_of_model(name) != 0)
		check_idle(name);
	tagrec_store_check_free(name, schema);
}

/* Every version's number, in the current context; deployed = 0: there is none yet. */
static int32 *
all_versions(int32 model_id, int32 deployed, int *count)
{
	int32	   *others;
	int			n = tagrec_versions_beyond(model_id, 0, &others);
	int32	   *all = palloc((n + 1) * sizeof(int32));

	memcpy(all, others, n * sizeof(int32));
	all[n] = deployed;
	*count = n + (deployed > 0);
	return all;
}

/* The deployed version of a model of the caller's, which nothing changes until the transaction ends. */
static TagrecVersion *
idle_version(const char *model)
{
	TagrecVersion *version = tagrec_version_deployed_now(model);

	tagrec_check_owner(version);
	check_idle(model);
	version = held_version(model);
	check_idle(model);
	return version;
}

static TagrecPlace
place_of(const TagrecVersion *version)
{
	return (TagrecPlace) {.model_id = version->model_id, .model = version->model, .schema = version->schema};
}

Datum
tagrec_rename(PG_FUNCTION_ARGS)
{
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TagrecVersion *version;
	TagrecPlace place;
	int32	   *versions;
	int			n_versions;

	check_writable("tagrec_rename()");
	version = idle_version(model);
	tagrec_check_model_name(name);
	check_unused(name, version->schema);
	place = place_of(version);
	versions = all_versions(version->model_id, version->version, &n_versions);
	tagrec_store_rename(&place, name, versions, n_versions);
	tagrec_model_rename(version->model_id, name);
	PG_RETURN_VOID();
}

Datum
tagrec_set_schema(PG_FUNCTION_ARGS)
{
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *schema = NameStr(*PG_GETARG_NAME(1));
	TagrecVersion *version;
	TagrecPlace place;
	int32	   *versions;
	int			n_versions;

	check_writable("tagrec_set_schema()");
	version = idle_version(model);
	tagrec_submit_check_schema(schema, version->owner);
	if (strcmp(schema, version->schema) == 0)
		PG_RETURN_VOID();
	tagrec_store_check_free(model, schema);
	place = place_of(version);
	versions = all_versions(version->model_id, version->version, &n_versions);
	tagrec_store_set_schema(&place, schema, versions, n_versions);
	tagrec_model_set_schema(version->model_id, schema);
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------------ dropping */

static Oid
first_relation(const TagrecModel *model)
{
	Oid			relation = tagrec_model_view(model->schema, model->model);

	if (!OidIsValid(relation))
		relation = tagrec_model_relation(model->schema, tagrec_view_relname(model->model, TAGREC_USERS));
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS && !OidIsValid(relation); which++)
		relation = tagrec_model_relation(model->schema, tagrec_parent_relname(model->model, which));
	return relation;
}

/*
 * The owner of the remaining relations may drop the model, but must also be the owner recorded in the registry, if that
 * role exists: the schema may have been renamed, and this be another one. If only the registry's rows remain, the recorded
 * owner and the owner of the database may remove them.
 */
static void
check_droppable(const TagrecModel *model)
{
	Oid			relation = first_relation(model);
	bool		registered = tagrec_is_registered_owner(model->registered_owner);

	if (OidIsValid(relation) ? tagrec_owns_relation(relation, GetUserId())
		&& (registered || !OidIsValid(get_role_oid(model->registered_owner, true))) : registered)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of model \"%s\"", model->model)));
}

static TagrecModel *
find_droppable(const char *name)
{
	TagrecModel *model = tagrec_model_find(name, true, true);

	if (!model)
		tagrec_model_missing(name);
	check_droppable(model);
	check_idle(name);
	return model;
}

Datum
tagrec_drop(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TagrecModel *model;
	TagrecPlace place;
	int32	   *versions;
	int			n_versions;

	check_writable("tagrec_drop()");
	model = find_droppable(name);
	hold_model(model->model_id, name);
	model = find_droppable(name);
	versions = all_versions(model->model_id, model->deployed_version, &n_versions);
	place = tagrec_place_of(model);
	if (OidIsValid(get_namespace_oid(model->schema, true)))
		tagrec_store_drop(&place, versions, n_versions);
	tagrec_model_delete(model->model_id);
	PG_RETURN_VOID();
}
