/*
 * Checking and reading a relation of held-out pairs or assignments. See held_out.h.
 */
#include "held_out.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "source.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BATCH_ROWS 10000
#define MOST_COLUMNS 3

/* ------------------------------------------------------------------ checking */

static bool
has_rows(char kind)
{
	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW
		|| kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
}

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
	if (!has_rows(relation->rd_rel->relkind))
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

/* ------------------------------------------------------------------ reading */

typedef struct Column
{
	const char *name;
	TagrecKeys *keys;
	bool		is_text;		/* the value's bytes are its text */
	FmgrInfo	output;
	int64		nulls;
} Column;

typedef struct Reading
{
	const TagrecHeldOut *held_out;
	TrAssignments *assignments;
	Column		column[MOST_COLUMNS];
	int			columns;
	int64		rows;
} Reading;

static void
prepare_column(Column *column, const char *name, TagrecKeys *keys, Oid type)
{
	Oid			output;
	bool		varlena;

	column->name = name;
	column->keys = keys;
	column->is_text = type == TEXTOID || type == VARCHAROID;
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info(output, &column->output);
}

static int32
intern(Column *column, Datum value)
{
	char	   *string;

	if (column->is_text)
	{
		text	   *packed = DatumGetTextPP(value);

		return tagrec_keys_intern(column->keys, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	}
	string = OutputFunctionCall(&column->output, value);
	return tagrec_keys_intern(column->keys, string, strlen(string));
}

static void
read_row(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	int32		key[MOST_COLUMNS] = {0};
	bool		complete = true;

	for (int c = 0; c < reading->columns; c++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(tuple, desc, c + 1, &isnull);

		reading->column[c].nulls += isnull;
		complete = complete && !isnull;
		if (complete)
			key[c] = intern(&reading->column[c], value);
	}
	if (complete && tr_assignments_add(reading->assignments, key[0], key[1], key[2], false, 1) != TR_OK)
		tagrec_out_of_memory(reading->assignments->memory);
}

/* Fetches and reads one batch; false at the end. */
static bool
read_batch(Reading *reading, Portal portal, MemoryContext scratch)
{
	uint64		count;

	SPI_cursor_fetch(portal, true, BATCH_ROWS);
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		MemoryContext before = MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		read_row(reading, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(before);
		MemoryContextReset(scratch);
	}
	reading->rows += (int64) count;
	SPI_freetuptable(SPI_tuptable);
	return count > 0;
}

static void
check_rows(const Reading *reading)
{
	const TagrecHeldOut *held_out = reading->held_out;

	for (int c = 0; c < reading->columns; c++)
		if (reading->column[c].nulls > 0)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of %s contains NULL", reading->column[c].name, held_out->name),
					 errdetail("It is NULL in %lld of %lld rows.", (long long) reading->column[c].nulls,
							   (long long) reading->rows),
					 errhint("Leave them out with a view: SELECT ... FROM %s WHERE %s IS NOT NULL.", held_out->name,
							 quote_identifier(reading->column[c].name))));
	if (reading->rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has no rows", held_out->name),
				 errdetail("Row security may hide rows from the role that reads them.")));
}

static char *
query_text(const TagrecHeldOut *held_out)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", quote_identifier(held_out->user_column));
	appendStringInfo(&sql, ", %s", quote_identifier(held_out->item_column));
	if (held_out->tag_column)
		appendStringInfo(&sql, ", %s", quote_identifier(held_out->tag_column));
	appendStringInfo(&sql, " FROM %s", held_out->name);
	return sql.data;
}

int64
tagrec_held_out_read(const TagrecHeldOut *held_out, TagrecKeys *users, TagrecKeys *items, TagrecKeys *tags,
					 TrAssignments *assignments)
{
	const char *name[MOST_COLUMNS] = {held_out->user_column, held_out->item_column, held_out->tag_column};
	TagrecKeys *keys[MOST_COLUMNS] = {users, items, tags};
	Reading		reading = {.held_out = held_out, .assignments = assignments};
	MemoryContext outside = CurrentMemoryContext;
	MemoryContext scratch;
	Portal		portal;

	SPI_connect();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec row", ALLOCSET_DEFAULT_SIZES);
	portal = SPI_cursor_open_with_args(NULL, query_text(held_out), 0, NULL, NULL, NULL, true, 0);
	reading.columns = held_out->tag_column ? 3 : 2;
	for (int c = 0; c < reading.columns; c++)
		prepare_column(&reading.column[c], name[c], keys[c], SPI_gettypeid(portal->tupDesc, c + 1));
	while (read_batch(&reading, portal, scratch))
		;
	SPI_cursor_close(portal);
	check_rows(&reading);
	SPI_finish();
	MemoryContextSwitchTo(outside);
	return reading.rows;
}
