/*
 * Whether a model's relations still have the columns that were made for them. Their owner may alter them like any others,
 * and what is read or written as something it is not would take the server down.
 */
#include "store.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* A type of InvalidOid is that of the source's key. */
typedef struct Column
{
	const char *name;
	Oid			type;
} Column;

#define MOST_COLUMNS 10

/* In the order in which rows are written. */
static const Column columns[][MOST_COLUMNS + 1] = {
	[TAGREC_USERS] = {
		{"version", INT4OID}, {"user_id", InvalidOid}, {"embedding", FLOAT4ARRAYOID}, {"seen", INT4ARRAYOID},
		{"tags", INT4ARRAYOID}, {"counts", FLOAT4ARRAYOID}, {"features", INT4ARRAYOID},
		{"feature_values", FLOAT4ARRAYOID}, {"post_ends", INT4ARRAYOID}, {"post_tags", INT4ARRAYOID}
	},
	[TAGREC_ITEMS] = {
		{"version", INT4OID}, {"item_id", InvalidOid}, {"position", INT4OID}, {"embedding", FLOAT4ARRAYOID},
		{"tags", INT4ARRAYOID}, {"counts", FLOAT4ARRAYOID}, {"posts", INT4OID}
	},
	[TAGREC_TAGS] = {
		{"version", INT4OID}, {"position", INT4OID}, {"tag", TEXTOID}
	},
	[TAGREC_WEIGHTS] = {
		{"version", INT4OID}, {"name", TEXTOID}, {"part", INT4OID}, {"rows", INT4OID}, {"cols", INT4OID},
		{"value", FLOAT4ARRAYOID}
	},
	[TAGREC_NEIGHBOURS] = {
		{"version", INT4OID}, {"feature", INT4OID}, {"items", INT4ARRAYOID}, {"weights", FLOAT4ARRAYOID}
	}
};

static void
complain(Relation relation, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("relation \"%s\" does not have the columns of its model", RelationGetRelationName(relation)),
			 errdetail("%s", detail),
			 errhint("Undo what has changed them, or remove the model with tagrec_drop() and train it again.")));
}

/* The column of that name and its place among those that are not dropped, from 0; NULL when there is none. */
static Form_pg_attribute
find_column(TupleDesc desc, const char *name, int *place)
{
	*place = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (strcmp(NameStr(attribute->attname), name) == 0)
			return attribute;
		++*place;
	}
	return NULL;
}

/* Returns how many columns the relation should have at least. */
static int
check_known(Relation relation, const Column *column, bool in_order)
{
	int			n = 0;

	for (; column[n].name; n++)
	{
		int			place;
		Form_pg_attribute attribute = find_column(RelationGetDescr(relation), column[n].name, &place);

		if (!attribute)
			complain(relation, psprintf("There is no column \"%s\".", column[n].name));
		if (OidIsValid(column[n].type) && attribute->atttypid != column[n].type)
			complain(relation, psprintf("Column \"%s\" has type %s instead of %s.", column[n].name,
										format_type_be(attribute->atttypid), format_type_be(column[n].type)));
		if (in_order && place != n)
			complain(relation, psprintf("Column \"%s\" is number %d instead of %d.", column[n].name, place + 1, n + 1));
	}
	return n;
}

/* Rows are written with NULL in the columns that the owner has added. */
static void
check_added(Relation relation, int known)
{
	TupleDesc	desc = RelationGetDescr(relation);
	int			place = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || place++ < known)
			continue;
		if (attribute->attnotnull)
			complain(relation, psprintf("Column \"%s\" is NOT NULL, and a new version leaves it NULL.",
										NameStr(attribute->attname)));
	}
}

void
tagrec_check_readable(Oid relation, TagrecRelation which)
{
	Relation	opened = relation_open(relation, AccessShareLock);

	check_known(opened, columns[which], false);
	relation_close(opened, AccessShareLock);
}

void
tagrec_check_writable(Oid relation, TagrecRelation which)
{
	Relation	opened = relation_open(relation, AccessShareLock);

	check_added(opened, check_known(opened, columns[which], true));
	relation_close(opened, AccessShareLock);
}
