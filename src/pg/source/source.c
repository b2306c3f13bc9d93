/*
 * Checking a source relation before it is read. See source.h.
 */
#include "pg/source/source.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pg/base/compat.h"
#include "pg/base/id.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

bool
tagrec_has_rows(char kind)
{
	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW
		|| kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
}

static void
check_kind(Relation relation)
{
	if (!tagrec_has_rows(relation->rd_rel->relkind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot train from \"%s\"", RelationGetRelationName(relation)),
				 errhint("Use a table, a partitioned table, a view, a materialized view or a foreign table.")));
	if (relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot train from the temporary relation \"%s\"", RelationGetRelationName(relation)),
				 errdetail("Training runs in a background worker, which cannot access this session's temporary relations."),
				 errhint("Use an unlogged table.")));
}

/* "a, b, c" */
static char *
column_names(Relation relation)
{
	StringInfoData names;
	TupleDesc	desc = RelationGetDescr(relation);

	initStringInfo(&names);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			appendStringInfo(&names, "%s%s", names.len ? ", " : "", NameStr(TupleDescAttr(desc, i)->attname));
	return names.data;
}

static Form_pg_attribute
find_column(Relation relation, const char *column, const char *argument)
{
	TupleDesc	desc = RelationGetDescr(relation);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), column) == 0)
			return attribute;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist", column, RelationGetRelationName(relation)),
			 errhint("Its columns are %s; specify one of them as %s%s.", column_names(relation), argument,
					 strcmp(argument, "tag_column") == 0 ? ", or train without tags, with tag_column => NULL" : "")));
}

void
tagrec_check_column_readable(Relation relation, Form_pg_attribute attribute)
{
	Oid			id = RelationGetRelid(relation);

	if (pg_class_aclcheck(id, GetUserId(), ACL_SELECT) != ACLCHECK_OK
		&& pg_attribute_aclcheck(id, attribute->attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for column \"%s\" of relation \"%s\"", NameStr(attribute->attname),
						RelationGetRelationName(relation)),
				 errhint("Reading a column requires SELECT on it or on the relation.")));
}

/* A key column's type must have an order, because keys are ranked by it and indexed. */
static TagrecKeyType
key_column(Relation relation, const char *column, const char *argument)
{
	Form_pg_attribute attribute = find_column(relation, column, argument);
	TagrecKeyType key = {attribute->atttypid, attribute->attcollation};

	tagrec_check_column_readable(relation, attribute);
	if (!OidIsValid(lookup_type_cache(key.type, TYPECACHE_CMP_PROC)->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has type %s, which has no default order", column, format_type_be(key.type)),
				 errhint("Keys must be of a type that can be indexed, such as text, integer, bigint or uuid;"
						 " cast the column in a view.")));
	tagrec_check_key_type(key.type, column);
	return key;
}

void
tagrec_check_number_column(Relation relation, const char *column, const char *what)
{
	Form_pg_attribute attribute = find_column(relation, column, psprintf("%s_column", what));
	Oid			type = getBaseType(attribute->atttypid);

	tagrec_check_column_readable(relation, attribute);
	if (type != INT2OID && type != INT4OID && type != INT8OID && type != FLOAT4OID && type != FLOAT8OID
		&& type != NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s column \"%s\" has type %s", what, column, format_type_be(attribute->atttypid)),
				 errhint("%c%ss must be numbers.", pg_toupper((unsigned char) what[0]), what + 1)));
}

static void
time_column(Relation relation, const char *column)
{
	Form_pg_attribute attribute = find_column(relation, column, "time_column");
	Oid			type = getBaseType(attribute->atttypid);

	tagrec_check_column_readable(relation, attribute);
	if (type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time column \"%s\" has type %s", column, format_type_be(attribute->atttypid)),
				 errhint("Times must be of type date, timestamp or timestamp with time zone; convert seconds since 1970"
						 " with to_timestamp() in a view.")));
}

/* Tags may be missing, and so may anything else but users and items. */
static void
other_columns(Relation relation, const TagrecColumns *columns)
{
	if (columns->tag)
		tagrec_check_column_readable(relation, find_column(relation, columns->tag, "tag_column"));
	if (columns->weight && !columns->tag)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight_column requires tag_column"),
				 errdetail("Weights are of tags in profiles."),
				 errhint("Use value_column for how much an interaction counts.")));
	if (columns->weight)
		tagrec_check_number_column(relation, columns->weight, "weight");
	if (columns->value)
		tagrec_check_number_column(relation, columns->value, "value");
	if (columns->time)
		time_column(relation, columns->time);
}

void
tagrec_check_schema_usage(Relation relation)
{
	Oid			schema = RelationGetNamespace(relation);

	if (tagrec_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", get_namespace_name(schema))));
}

void
tagrec_source_check(TagrecSource *source)
{
	const TagrecColumns *columns = &source->columns;
	Relation	relation = try_relation_open(source->relation, AccessShareLock);

	if (!relation)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", source->relation),
				 MyBackendType != B_BG_WORKER ? 0
				 : errdetail("The source was dropped after the job was submitted.")));
	check_kind(relation);
	tagrec_check_schema_usage(relation);
	source->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
											  RelationGetRelationName(relation));
	if (strcmp(columns->user, columns->item) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_column and item_column are both \"%s\"", columns->user),
				 errhint("Specify the columns that contain users and items.")));
	source->user = key_column(relation, columns->user, "user_column");
	source->item = key_column(relation, columns->item, "item_column");
	other_columns(relation, columns);
	relation_close(relation, AccessShareLock);
}

Oid
tagrec_source_find(const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Oid			relation = RangeVarGetRelid(range, NoLock, true);

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the model's source %s does not exist", name),
				 errhint("Train the model from another source with tagrec_train().")));
	return relation;
}
