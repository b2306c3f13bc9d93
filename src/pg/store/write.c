/*
 * Making and dropping a model's relations. See write.h.
 */
#include "pg/store/write.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/cluster.h"
#include "pg/base/identity.h"
#include "pg/store/columns.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#define RELATIONS (TAGREC_NEIGHBOURS + 1)
#define VIEWS 3

static const TagrecRelation views[VIEWS] = {TAGREC_USERS, TAGREC_ITEMS, TAGREC_NEIGHBOURS};

static char *
place_name(const TagrecPlace *place, const char *relname)
{
	return quote_qualified_identifier(place->schema, relname);
}

char *
tagrec_place_parent(const TagrecPlace *place, TagrecRelation which)
{
	return place_name(place, tagrec_parent_relname(place->model, which));
}

char *
tagrec_place_partition(const TagrecPlace *place, TagrecRelation which)
{
	return place_name(place, tagrec_partition_relname(place->model, which, place->version));
}

void
tagrec_execute(const char *format,...)
{
	StringInfoData sql;
	int			needed = 0;
	int			settings;
	int			rc;

	initStringInfo(&sql);
	do
	{
		va_list		args;

		enlargeStringInfo(&sql, needed);
		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
	} while (needed > 0);
	settings = NewGUCNestLevel();
	tagrec_create_locally();
	SPI_connect();
	rc = SPI_execute(sql.data, false, 0);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", sql.data, SPI_result_code_string(rc));
	SPI_finish();
	AtEOXact_GUC(false, settings);
	pfree(sql.data);
}

/* ------------------------------------------------------------------ checks */

static void
check_free(const char *schema, const char *relname, const char *model)
{
	if (OidIsValid(tagrec_model_relation(schema, relname)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s.%s\" already exists", schema, relname),
				 errdetail("Model \"%s\" needs this name, but the relation does not belong to a model of tagrec.", model),
				 errhint("Choose another model name or another schema; drop the relation if it was left by a removed"
						 " installation of tagrec.")));
}

void
tagrec_store_check_free(const char *model, const char *schema)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		check_free(schema, tagrec_parent_relname(model, which), model);
	for (int i = 0; i < VIEWS; i++)
		check_free(schema, tagrec_view_relname(model, views[i]), model);
}

pg_noreturn static void relation_missing(const char *model, const char *schema, const char *relname);

static void
relation_missing(const char *model, const char *schema, const char *relname)
{
	if (!tagrec_model_find(model, true, true))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was concurrently dropped", model)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s.%s\" of model \"%s\" does not exist", schema, relname, model),
			 errhint("Drop the model with tagrec_drop() and train it again.")));
}

/* NULL if there is none, also if it is dropped or renamed while we wait for the lock. */
static Relation
open_relation(const char *schema, const char *relname, LOCKMODE mode)
{
	for (;;)
	{
		Oid			found = tagrec_model_relation(schema, relname);
		Relation	relation = OidIsValid(found) ? try_relation_open(found, mode) : NULL;

		if (!OidIsValid(found))
			return NULL;
		if (relation && tagrec_model_relation(schema, relname) == found)
			return relation;
		if (relation)
			relation_close(relation, mode);
	}
}

static void
check_key(const char *model, const char *schema, TagrecRelation which, const char *column, TagrecKeyType key)
{
	char	   *relname = tagrec_parent_relname(model, which);
	Oid			relation = tagrec_model_relation(schema, relname);
	HeapTuple	tuple = SearchSysCacheAttName(relation, column);
	Form_pg_attribute attribute;
	bool		same;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		relation_missing(model, schema, relname);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	type = attribute->atttypid;
	same = type == key.type && attribute->attcollation == key.collation;
	ReleaseSysCache(tuple);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of model \"%s\" has type %s, but the source has type %s", column, model,
						format_type_be(type), format_type_be(key.type)),
				 errdetail(type == key.type ? "The collations differ." : "All versions of a model must have one type."),
				 errhint("Drop the model with tagrec_drop() first, or train under another name.")));
}

static void
check_parent(const char *model, const char *schema, Oid owner, TagrecRelation which)
{
	char	   *relname = tagrec_parent_relname(model, which);
	Relation	relation = open_relation(schema, relname, AccessShareLock);

	if (!relation)
		relation_missing(model, schema, relname);
	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE || relation->rd_rel->relowner != owner)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s.%s\" is not a partitioned table owned by the owner of model \"%s\"", schema, relname,
						model),
				 errdetail("The model belongs to \"%s\".", GetUserNameFromId(owner, true)),
				 errhint("Undo the change, or drop the model with tagrec_drop() and train it again.")));
	tagrec_check_writable(RelationGetRelid(relation), which);
	tagrec_check_plain(relation, which);
	relation_close(relation, AccessShareLock);
}

void
tagrec_store_check_model(const char *model, const char *schema, const TagrecSource *source)
{
	Oid			owner = tagrec_relation_owner(tagrec_model_view(schema, model));

	for (TagrecRelation which = 0; which < RELATIONS; which++)
		check_parent(model, schema, owner, which);
	check_key(model, schema, TAGREC_USERS, "user_id", source->user);
	check_key(model, schema, TAGREC_ITEMS, "item_id", source->item);
}

void
tagrec_store_check_version(const char *model, const char *schema, int32 version)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		check_free(schema, tagrec_partition_relname(model, which, version), model);
}

/* ------------------------------------------------------------------ a model's relations */

/* "bigint", "pg_catalog.text COLLATE \"C\"" */
static char *
key_definition(TagrecKeyType key)
{
	char	   *type = format_type_extended(key.type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);

	if (!OidIsValid(key.collation) || key.collation == get_typcollation(key.type))
		return type;
	return psprintf("%s COLLATE %s", type, generate_collation_name(key.collation));
}

static void
create_table(const TagrecPlace *place, TagrecRelation which, TagrecKeyType key)
{
	const TagrecLayout *layout = &tagrec_layout[which];
	char	   *parent = tagrec_place_parent(place, which);
	StringInfoData columns;
	StringInfoData keys;
	StringInfoData storage;

	initStringInfo(&columns);
	initStringInfo(&keys);
	initStringInfo(&storage);
	for (int i = 0; i < layout->columns; i++)
	{
		const TagrecColumn *column = &layout->column[i];
		const char *name = quote_identifier(column->name);

		appendStringInfo(&columns, "%s %s NOT NULL, ", name,
						 OidIsValid(column->type) ? format_type_be(column->type) : key_definition(key));
		if (i < layout->key_columns)
			appendStringInfo(&keys, "%s%s", i > 0 ? ", " : "", name);
		if (column->storage)
			appendStringInfo(&storage, "%sALTER COLUMN %s SET STORAGE %s", storage.len > 0 ? ", " : "", name,
							 column->storage);
	}
	tagrec_execute("CREATE TABLE %s (%sPRIMARY KEY (%s)) PARTITION BY LIST (version)", parent, columns.data, keys.data);
	if (storage.len > 0)
		tagrec_execute("ALTER TABLE %s %s", parent, storage.data);
}

static void
comment_view(const TagrecPlace *place, const char *model, TagrecRelation which)
{
	static const char *const rows[] = {
		[TAGREC_USERS] = "users",
		[TAGREC_ITEMS] = "items",
		[TAGREC_NEIGHBOURS] = "neighbour weights, what having one item adds to the score of another,"
	};
	char	   *comment = psprintf("tagrec: %s of the deployed version of model %s", rows[which], model);

	tagrec_execute("COMMENT ON VIEW %s IS %s", place_name(place, tagrec_view_relname(model, which)),
			quote_literal_cstr(comment));
}

/* The deployed version, or the previous one when the plan does not hold the deployed one's partition of `parent`. */
static char *
version_to_show(const TagrecPlace *place, const char *parent)
{
	return psprintf("(SELECT CASE WHEN EXISTS (SELECT FROM %s p WHERE p.version OPERATOR(pg_catalog.=) m.deployed_version)"
					" THEN m.deployed_version ELSE m.previous_version END"
					" FROM %s.tagrec_model m WHERE m.model_id OPERATOR(pg_catalog.=) %d)",
					parent, quote_identifier(get_namespace_name(tagrec_schema())), place->model_id);
}

static void
create_view(const TagrecPlace *place, TagrecRelation which, const char *key)
{
	char	   *view = place_name(place, tagrec_view_relname(place->model, which));
	char	   *parent = tagrec_place_parent(place, which);

	tagrec_execute("CREATE VIEW %s AS SELECT %s, embedding FROM %s WHERE version OPERATOR(pg_catalog.=) %s",
				   view, key, parent, version_to_show(place, parent));
	comment_view(place, place->model, which);
}

/*
 * Items come first among the features, so a feature that is an item's position is that item. That a row has the item
 * follows from the join; said before it, a look-up of one item unnests no rows but those.
 */
static void
create_neighbour_view(const TagrecPlace *place)
{
	char	   *view = place_name(place, tagrec_view_relname(place->model, TAGREC_NEIGHBOURS));
	char	   *items = tagrec_place_parent(place, TAGREC_ITEMS);
	char	   *neighbours = tagrec_place_parent(place, TAGREC_NEIGHBOURS);
	const char *schema = quote_identifier(get_namespace_name(tagrec_schema()));

	tagrec_execute("CREATE VIEW %s AS SELECT i.item_id, k.item_id AS neighbour_id, n.weight FROM %s k"
			" JOIN %s f ON f.version OPERATOR(pg_catalog.=) k.version AND f.feature OPERATOR(pg_catalog.=) k.\"position\""
			" CROSS JOIN LATERAL %s.tagrec_neighbour_entries(f.items, f.weights) n (item, weight)"
			" JOIN %s i ON i.version OPERATOR(pg_catalog.=) k.version AND i.\"position\" OPERATOR(pg_catalog.=) n.item"
			" AND %s.tagrec_ascending_has(f.items, i.\"position\")"
			" WHERE k.version OPERATOR(pg_catalog.=) %s AND EXISTS (SELECT FROM %s.tagrec_version v"
			" WHERE v.model_id OPERATOR(pg_catalog.=) %d AND v.version OPERATOR(pg_catalog.=) k.version"
			" AND v.features OPERATOR(pg_catalog.&) %d OPERATOR(pg_catalog.<>) 0)",
			view, items, neighbours, schema, items, schema, version_to_show(place, items), schema, place->model_id,
			TR_FEATURES_ITEMS);
	comment_view(place, place->model, TAGREC_NEIGHBOURS);
}

void
tagrec_store_create(const TagrecPlace *place, const TagrecSource *source)
{
	TagrecActing before;

	tagrec_store_check_free(place->model, place->schema);
	before = tagrec_act_as(GetUserId());
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		create_table(place, which, which == TAGREC_USERS ? source->user : source->item);
	create_view(place, TAGREC_USERS, "user_id");
	create_view(place, TAGREC_ITEMS, "item_id");
	create_neighbour_view(place);
	tagrec_act_again(before);
}

/* ------------------------------------------------------------------ renaming and dropping */

/*
 * The owner of what is there under a name of the model's, if the current user may act as the owner; InvalidOid if there is
 * none. Relations of other roles are left alone: any role that may create relations in the schema could have put them
 * there.
 */
static Oid
owner_to_act_as(const TagrecPlace *place, const char *relname)
{
	Oid			found = tagrec_model_relation(place->schema, relname);

	if (!OidIsValid(found))
		return InvalidOid;
	if (!tagrec_owns_relation(found, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of relation %s", relname),
				 errdetail("It has the name of a relation of model \"%s\".", place->model)));
	return tagrec_relation_owner(found);
}

static void
lock_relation(const TagrecPlace *place, const char *relname)
{
	Relation	relation;

	if (!OidIsValid(owner_to_act_as(place, relname)))
		return;
	relation = open_relation(place->schema, relname, AccessExclusiveLock);
	if (relation)
		relation_close(relation, NoLock);
}

/* Everything at once, in the order that write.h gives. */
static void
lock_model(const TagrecPlace *place, const int32 *versions, int n_versions)
{
	for (int i = 0; i < VIEWS; i++)
		lock_relation(place, tagrec_view_relname(place->model, views[i]));
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		lock_relation(place, tagrec_parent_relname(place->model, which));
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		for (int v = 0; v < n_versions; v++)
			lock_relation(place, tagrec_partition_relname(place->model, which, versions[v]));
}

static void
alter_relation(const TagrecPlace *place, const char *kind, const char *relname, const char *change, const char *to)
{
	Oid			owner = owner_to_act_as(place, relname);
	TagrecActing before;

	if (!OidIsValid(owner))
		relation_missing(place->model, place->schema, relname);
	before = tagrec_act_as(owner);
	tagrec_execute("ALTER %s %s %s %s", kind, place_name(place, relname), change, quote_identifier(to));
	tagrec_act_again(before);
}

static void
rename_relation(const TagrecPlace *place, const char *kind, const char *from, const char *to)
{
	alter_relation(place, kind, from, "RENAME TO", to);
}

static void
rename_view(const TagrecPlace *place, const char *name, TagrecRelation which)
{
	char	   *from = tagrec_view_relname(place->model, which);
	Oid			owner = owner_to_act_as(place, from);
	TagrecActing before;

	rename_relation(place, "VIEW", from, tagrec_view_relname(name, which));
	before = tagrec_act_as(owner);
	comment_view(place, name, which);
	tagrec_act_again(before);
}

void
tagrec_store_rename(const TagrecPlace *place, const char *name, const int32 *versions, int n_versions)
{
	lock_model(place, versions, n_versions);
	for (int i = 0; i < VIEWS; i++)
		rename_view(place, name, views[i]);
	for (TagrecRelation which = 0; which < RELATIONS; which++)
	{
		rename_relation(place, "TABLE", tagrec_parent_relname(place->model, which), tagrec_parent_relname(name, which));
		for (int v = 0; v < n_versions; v++)
			rename_relation(place, "TABLE", tagrec_partition_relname(place->model, which, versions[v]),
							tagrec_partition_relname(name, which, versions[v]));
	}
}

void
tagrec_store_set_schema(const TagrecPlace *place, const char *schema, const int32 *versions, int n_versions)
{
	lock_model(place, versions, n_versions);
	for (int i = 0; i < VIEWS; i++)
		alter_relation(place, "VIEW", tagrec_view_relname(place->model, views[i]), "SET SCHEMA", schema);
	for (TagrecRelation which = 0; which < RELATIONS; which++)
	{
		alter_relation(place, "TABLE", tagrec_parent_relname(place->model, which), "SET SCHEMA", schema);
		for (int v = 0; v < n_versions; v++)
			alter_relation(place, "TABLE", tagrec_partition_relname(place->model, which, versions[v]), "SET SCHEMA", schema);
	}
}

static void
drop_relation(const TagrecPlace *place, const char *kind, const char *relname)
{
	Oid			owner = owner_to_act_as(place, relname);
	TagrecActing before;

	if (!OidIsValid(owner))
		return;
	before = tagrec_act_as(owner);
	tagrec_execute("DROP %s %s RESTRICT", kind, place_name(place, relname));
	tagrec_act_again(before);
}

static bool
lock_at_once(const TagrecPlace *place, const char *relname)
{
	Oid			found = tagrec_model_relation(place->schema, relname);

	return !OidIsValid(found) || ConditionalLockRelationOid(found, AccessExclusiveLock);
}

bool
tagrec_store_lock_version(const TagrecPlace *place)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		if (!lock_at_once(place, tagrec_parent_relname(place->model, which)))
			return false;
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		if (!lock_at_once(place, tagrec_partition_relname(place->model, which, place->version)))
			return false;
	return true;
}

void
tagrec_store_drop_version(const TagrecPlace *place)
{
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		drop_relation(place, "TABLE", tagrec_partition_relname(place->model, which, place->version));
}

void
tagrec_store_drop(const TagrecPlace *place, const int32 *versions, int n_versions)
{
	lock_model(place, versions, n_versions);
	for (int i = 0; i < VIEWS; i++)
		drop_relation(place, "VIEW", tagrec_view_relname(place->model, views[i]));
	for (TagrecRelation which = 0; which < RELATIONS; which++)
		drop_relation(place, "TABLE", tagrec_parent_relname(place->model, which));
}
