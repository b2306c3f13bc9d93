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
			 errdetail("By default, held-out %s are read from columns with the same names as in the training data.", what),
			 errhint("Its columns are %s.", names.data)));
}

TagrecColumns
tagrec_held_out_columns(const TagrecColumns *columns, const TrTask *task)
{
	return (TagrecColumns) {
		.user = columns->user,
		.item = columns->item,
		.tag = task->tags ? columns->tag : NULL,
		.value = task->values ? columns->value : NULL
	};
}

void
tagrec_held_out_check(TagrecHeldOut *held_out)
{
	Relation	relation = try_relation_open(held_out->relation, AccessShareLock);
	const TagrecColumns *columns = &held_out->columns;
	const char *what = columns->tag ? "tags" : columns->value ? "ratings" : "pairs";

	if (!relation)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", held_out->relation)));
	if (!tagrec_has_rows(relation->rd_rel->relkind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot read held-out %s from \"%s\"", what, RelationGetRelationName(relation)),
				 errhint("Use a table, a partitioned table, a view, a materialized view or a foreign table.")));
	held_out->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												RelationGetRelationName(relation));
	tagrec_check_schema_usage(relation);
	check_column(relation, columns->user, what);
	check_column(relation, columns->item, what);
	if (columns->tag)
		check_column(relation, columns->tag, what);
	if (columns->value)
		check_column(relation, columns->value, what);
	if (columns->value)
		tagrec_check_number_column(relation, columns->value, "value");
	relation_close(relation, AccessShareLock);
}

int64
tagrec_held_out_read(const TagrecHeldOut *held_out, TagrecKeys *users, TagrecKeys *items, TagrecKeys *tags,
					 TrAssignments *assignments)
{
	TagrecReader reader = {
		.relation = held_out->name,
		.columns = held_out->columns,
		.rules.nobody = held_out->nobody,
		.users = users,
		.items = items,
		.tags = tags,
		.to = assignments
	};

	tagrec_read_interactions(&reader);
	return reader.rows;
}
