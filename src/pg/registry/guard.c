/*
 * What a role that is neither a superuser nor the registry's owner may insert into the registry's tables. A restore does
 * that: the database's owner has INSERT on them, and tagrec_guard() is the trigger that checks every row.
 *
 * A row may only contain what the role could have produced by training: a model's relations are its own wherever
 * they exist, a version's source is one it may read, a job has ended, models and jobs are of roles whose privileges it has
 * (else they become its own, as a table does under pg_restore --no-owner), and epochs and trials are of such jobs. So no
 * row makes another role's session run, read or drop anything, and none takes part in another role's tuning. What holds
 * for all rows, a superuser's too, is in the tables' CHECK constraints.
 *
 * It reads the registry with a new snapshot: what the transaction has restored before counts.
 */
#include "pg/base/tagrec.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pg/base/names.h"
#include "pg/registry/statement.h"
#include "pg/registry/version.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(tagrec_guard);

static TagrecQuery model_query = {
	"SELECT model, schema FROM @.tagrec_model WHERE model_id OPERATOR(pg_catalog.=) $1",
	1, {INT4OID}
};

static TagrecQuery job_query = {
	"SELECT role FROM @.tagrec_job WHERE job OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

/* A row that is to be inserted. */
typedef struct Row
{
	HeapTuple	tuple;
	TupleDesc	desc;
} Row;

static Datum
column(const Row *row, const char *name, bool *isnull)
{
	int			number = SPI_fnumber(row->desc, name);

	if (number <= 0)
		elog(ERROR, "no column \"%s\" in a table of the registry", name);
	return SPI_getbinval(row->tuple, row->desc, number, isnull);
}

/* NULL when it is null: where that is not allowed, the table's constraint says so. */
static char *
column_text(const Row *row, const char *name)
{
	return SPI_getvalue(row->tuple, row->desc, SPI_fnumber(row->desc, name));
}

static bool
has_role(const char *name)
{
	Oid			role = get_role_oid(name, true);

	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}

/* The row, with this role in that column. */
static HeapTuple
with_role(const Row *row, const char *column, Oid role)
{
	int			number = SPI_fnumber(row->desc, column);
	NameData	name;
	Datum		value = NameGetDatum(&name);
	bool		isnull = false;

	namestrcpy(&name, GetUserNameFromId(role, false));
	return heap_modify_tuple_by_cols(row->tuple, row->desc, 1, &number, &value, &isnull);
}

/* The row, with the current role in place of one whose privileges it lacks. */
static HeapTuple
own(const Row *row, const char *column)
{
	char	   *role = column_text(row, column);

	return !role || has_role(role) ? row->tuple : with_role(row, column, GetUserId());
}

/* ------------------------------------------------------------------ models and versions */

static void
check_own(const char *schema, const char *relname)
{
	Oid			relation = tagrec_model_relation(schema, relname);

	if (OidIsValid(relation) && !tagrec_owns_relation(relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of relation %s", quote_qualified_identifier(schema, relname)),
				 errdetail("Restoring a tagrec model requires ownership of its relations.")));
}

static void
check_model_relations(const char *model, const char *schema)
{
	static const TagrecRelation views[] = {TAGREC_USERS, TAGREC_ITEMS, TAGREC_NEIGHBOURS};

	for (int i = 0; i < lengthof(views); i++)
		check_own(schema, tagrec_view_relname(model, views[i]));
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
		check_own(schema, tagrec_parent_relname(model, which));
}

static HeapTuple
check_model(const Row *row)
{
	char	   *model = column_text(row, "model");
	char	   *schema = column_text(row, "schema");

	if (model && schema)
		check_model_relations(model, schema);
	return own(row, "owner");
}

/* Fails if there is none, where the foreign key would fail only later, so that no unchecked row can get in.
 * */
static void
find_model(int32 model_id, char **model, char **schema)
{
	Datum		values[1] = {Int32GetDatum(model_id)};
	TagrecSession session = tagrec_registry_begin();

	if (tagrec_registry_run(&model_query, true, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("model %d does not exist in tagrec_model", model_id)));
	*model = tagrec_row_text(0, "model", session.caller);
	*schema = tagrec_row_text(0, "schema", session.caller);
	tagrec_registry_end(session);
}

static bool
may_read(Oid relation, const char *name)
{
	AttrNumber	number = name ? get_attnum(relation, name) : InvalidAttrNumber;

	return number == InvalidAttrNumber || pg_attribute_aclcheck(relation, number, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

static const char *const source_columns[] = {
	"user_column", "item_column", "tag_column", "weight_column", "value_column", "time_column", NULL
};

/*
 * A refresh reads a version's source, and its relations of attributes, as the role that requests it. Of a source, SELECT on
 * its columns will do.
 */
static void
check_relation(const Row *row, const char *which, const char *const *columns)
{
	char	   *name = column_text(row, which);
	List	   *names = name ? textToQualifiedNameList(cstring_to_text(name)) : NIL;
	Oid			relation;
	bool		readable = columns != NULL;

	if (!name)
		return;
	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("%s %s of a version is not schema-qualified", which, name)));
	relation = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
	if (!OidIsValid(relation) || pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return;
	for (int i = 0; readable && columns[i]; i++)
		readable = may_read(relation, column_text(row, columns[i]));
	if (!readable)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for relation %s", name),
				 errdetail("Restoring a tagrec model requires SELECT on its source.")));
}

static void
check_version(const Row *row)
{
	bool		no_model;
	bool		no_version;
	int32		model_id = DatumGetInt32(column(row, "model_id", &no_model));
	int32		version = DatumGetInt32(column(row, "version", &no_version));
	char	   *model;
	char	   *schema;

	if (no_model || no_version)
		return;
	find_model(model_id, &model, &schema);
	check_model_relations(model, schema);
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
		check_own(schema, tagrec_partition_relname(model, which, version));
	check_relation(row, "source", source_columns);
	check_relation(row, "user_features", NULL);
	check_relation(row, "item_features", NULL);
}

static void
check_result(const Row *row)
{
	bool		isnull;
	int32		model_id = DatumGetInt32(column(row, "model_id", &isnull));
	char	   *model;
	char	   *schema;

	if (isnull)
		return;
	find_model(model_id, &model, &schema);
	check_model_relations(model, schema);
}

/* ------------------------------------------------------------------ jobs */

static HeapTuple
check_job(const Row *row)
{
	char	   *state = column_text(row, "state");

	if (!state)
		return row->tuple;
	if (strcmp(state, "done") != 0 && strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to insert a job in state \"%s\"", state),
				 errdetail("Only jobs that are done, failed or cancelled can be restored."),
				 errhint("Use tagrec_train() to submit a job.")));
	return own(row, "role");
}

static void
check_part_of_job(const Row *row)
{
	bool		isnull;
	Datum		values[1] = {column(row, "job", &isnull)};
	TagrecSession session;
	char	   *role;

	if (isnull)
		return;
	session = tagrec_registry_begin();
	role = tagrec_registry_run(&job_query, true, values, NULL) > 0 ? tagrec_row_text(0, "role", session.caller) : NULL;
	tagrec_registry_end(session);
	if (!role || !has_role(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for job %lld", (long long) DatumGetInt64(values[0])),
				 role ? errdetail("It belongs to another role.") : errdetail("There is no such job.")));
}

/* ------------------------------------------------------------------ the trigger */

/* A model whose relations have been restored already, by whomever, is their owner's. */
static HeapTuple
settle_owner(const Row *row)
{
	char	   *model = column_text(row, "model");
	char	   *schema = column_text(row, "schema");
	Oid			view = model && schema ? tagrec_model_view(schema, model) : InvalidOid;

	return OidIsValid(view) ? with_role(row, "owner", tagrec_relation_owner(view)) : row->tuple;
}

static HeapTuple
check_row(const char *table, const Row *row)
{
	if (strcmp(table, "tagrec_model") == 0)
		return check_model(row);
	if (strcmp(table, "tagrec_job") == 0)
		return check_job(row);
	if (strcmp(table, "tagrec_version") == 0)
		check_version(row);
	else if (strcmp(table, "tagrec_result") == 0)
		check_result(row);
	else
		check_part_of_job(row);
	return row->tuple;
}

Datum
tagrec_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	relation;
	Row			row;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event)
		|| !TRIGGER_FIRED_BY_INSERT(trigger->tg_event)
		|| RelationGetNamespace(trigger->tg_relation) != tagrec_schema())
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tagrec_guard() must be called as a trigger on a table of extension \"tagrec\"")));
	relation = trigger->tg_relation;
	row = (Row) {trigger->tg_trigtuple, RelationGetDescr(relation)};
	if (GetUserId() != relation->rd_rel->relowner && !superuser())
		row.tuple = check_row(RelationGetRelationName(relation), &row);
	if (strcmp(RelationGetRelationName(relation), "tagrec_model") == 0)
		row.tuple = settle_owner(&row);
	return PointerGetDatum(row.tuple);
}
