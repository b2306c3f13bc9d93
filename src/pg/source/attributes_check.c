/*
 * Checking a relation of attributes before it is read. See attributes.h.
 */
#include "pg/source/attributes.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "pg/source/source.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static bool
is_category(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID || type == BOOLOID
		|| type_is_enum(type);
}

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID || type == FLOAT8OID
		|| type == NUMERICOID;
}

/* False for a type that has no features. */
static bool
find_kind(Oid type, TagrecAttributeKind *kind)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);

	if (is_category(base))
		*kind = TAGREC_CATEGORY;
	else if (is_number(base))
		*kind = TAGREC_NUMBER;
	else if (base == DATEOID || base == TIMESTAMPOID || base == TIMESTAMPTZOID)
		*kind = TAGREC_TIME;
	else if (OidIsValid(element) && (is_category(getBaseType(element)) || is_number(getBaseType(element))))
		*kind = TAGREC_CATEGORIES;
	else
		return false;
	return true;
}

static void
check_kind(const TagrecAttributes *a, Relation relation)
{
	if (!tagrec_has_rows(relation->rd_rel->relkind) || relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot read %s_features from \"%s\"", tagrec_attributes_of(a), RelationGetRelationName(relation)),
				 errhint("Use a table, a partitioned table, a view, a materialized view or a foreign table that is not"
						 " temporary.")));
}

static void
check_number_of_columns(const TagrecAttributes *a, Relation relation)
{
	if (a->count > 0 && a->count <= TAGREC_MAX_ATTRIBUTES)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 a->count == 0 ? errmsg("relation \"%s\" has no attributes beside column \"%s\"",
									RelationGetRelationName(relation), a->key)
			 : errmsg("relation \"%s\" has %d attributes, but at most %d are possible", RelationGetRelationName(relation),
					  a->count, TAGREC_MAX_ATTRIBUTES),
			 errhint("Every column but \"%s\" is an attribute; choose them with a view.", a->key)));
}

/* ereport(ERROR) with all that have no features. */
static void
check_unusable(const StringInfo unusable, Relation relation)
{
	if (unusable->len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("columns of relation \"%s\" cannot be used as attributes: %s", RelationGetRelationName(relation),
						unusable->data),
				 errdetail("Attributes are texts, enums, booleans, numbers, dates and times, and arrays."),
				 errhint("Leave the columns out, or cast them, with a view.")));
}

static void
take_column(TagrecAttributes *a, Relation relation, Form_pg_attribute column, StringInfo unusable)
{
	TagrecAttribute *attribute = &a->attribute[a->count];
	TagrecAttributeKind kind;

	tagrec_check_column_readable(relation, column);
	if (!find_kind(column->atttypid, &kind))
	{
		appendStringInfo(unusable, "%s%s (%s)", unusable->len ? ", " : "", NameStr(column->attname),
						 format_type_be(column->atttypid));
		return;
	}
	*attribute = (TagrecAttribute) {.name = pstrdup(NameStr(column->attname)), .number = column->attnum, .kind = kind};
	a->count++;
}

static void
take_columns(TagrecAttributes *a, Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	StringInfoData unusable;
	bool		has_key = false;

	initStringInfo(&unusable);
	a->attribute = palloc0(Max(desc->natts, 1) * sizeof(TagrecAttribute));
	a->count = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped)
			continue;
		if (strcmp(NameStr(column->attname), a->key) != 0)
			take_column(a, relation, column, &unusable);
		else
		{
			tagrec_check_column_readable(relation, column);
			has_key = true;
		}
	}
	if (!has_key)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", a->key, RelationGetRelationName(relation)),
				 errdetail("In %s_features, the key has the same name as in the source.", tagrec_attributes_of(a)),
				 errhint("Rename it in a view.")));
	check_unusable(&unusable, relation);
	check_number_of_columns(a, relation);
}

void
tagrec_attributes_check(TagrecAttributes *a)
{
	Relation	relation = try_relation_open(a->relation, AccessShareLock);

	if (!relation)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", a->relation)));
	check_kind(a, relation);
	tagrec_check_schema_usage(relation);
	a->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
										 RelationGetRelationName(relation));
	take_columns(a, relation);
	relation_close(relation, AccessShareLock);
}
