/*
 * Checking and reading a relation of held-out pairs or assignments. See held_out.h.
 */
#include "pg/source/held_out.h"

#include "access/relation.h"
#include "lib/stringinfo.h"
#include "pg/source/reader.h"
#include "pg/source/source.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void
check_column(Relation relation, const char *column, const char *what)
{
	TupleDesc	desc = RelationGetDescr(relation);
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (strcmp(NameStr(attribute->attname), column) == 0)
		{
			tagrec_check_column_readable(relation, attribute);
			return;
		}
		appendStringInfo(&names, "%s%s", names.len ? ", " : "", NameStr(attribute->attname));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist", column, RelationGetRelationName(relation)),
			 errdetail("Held-out %s are read from columns of the names that the model is trained with, unless others"
					   " are given.", what),
			 errhint("Its columns are %s.", names.data)));
}

void
tagrec_held_out_check(TagrecHeldOut *held_out)
{
	Relation	relation = try_relation_open(held_out->relation, AccessShareLock);
	const char *what = held_out->tag_column ? "tags" : "pairs";

	if (!relation)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", held_out->relation)));
	if (!tagrec_has_rows(relation->rd_rel->relkind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot read held-out %s from \"%s\"", what, RelationGetRelationName(relation)),
				 errhint("They come from a table, a partitioned table, a view, a materialized view or a foreign table.")));
	held_out->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												RelationGetRelationName(relation));
	tagrec_check_schema_usage(relation);
	check_column(relation, held_out->user_column, what);
	check_column(relation, held_out->item_column, what);
	if (held_out->tag_column)
		check_column(relation, held_out->tag_column, what);
	relation_close(relation, AccessShareLock);
}

int64
tagrec_held_out_read(const TagrecHeldOut *held_out, TagrecKeys *users, TagrecKeys *items, TagrecKeys *tags,
					 TrAssignments *assignments)
{
	TagrecReader reader = {
		.relation = held_out->name,
		.columns = {held_out->user_column, held_out->item_column, held_out->tag_column},
		.users = users,
		.items = items,
		.tags = tags,
		.to = assignments
	};

	tagrec_read_interactions(&reader);
	return reader.rows;
}
