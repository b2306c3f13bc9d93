/*
 * Reading a source relation: one cursor, a batch of rows at a time, keys interned as they come. See source.h.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "source.h"
#include "tagrec.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BATCH_ROWS 10000

/* Keys of users and items must fit an index, whose entries hold a third of a page; better said here than after training. */
#define MAX_KEY_BYTES 2600

/* Squares of sums of this many must stay finite in single precision. */
#define MAX_WEIGHT TR_MOST_WEIGHT
#define KEY_COLUMNS 3

/* The three key columns in the order of the query; the weight is column 4. */
typedef struct Column
{
	const char *name;
	TagrecKeys *keys;
	bool		is_text;		/* the value's bytes are its text */
	Size		longest;		/* bytes of text that it may have */
	FmgrInfo	output;
	int64		nulls;
} Column;

typedef struct Reading
{
	const TagrecSource *source;
	TagrecData *data;
	TrAssignments *raw;
	Column		column[KEY_COLUMNS];
} Reading;

void
tagrec_data_init(TagrecData *data, TrMemory *memory)
{
	memset(data, 0, sizeof(*data));
	data->memory = memory;
	tagrec_keys_init(&data->users, memory);
	tagrec_keys_init(&data->items, memory);
	tagrec_keys_init(&data->tags, memory);
}

static char *
query_text(const TagrecSource *source)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, ", quote_identifier(source->user_column));
	appendStringInfo(&sql, "%s, ", quote_identifier(source->item_column));
	appendStringInfoString(&sql, quote_identifier(source->tag_column));
	if (source->weight_column)
		appendStringInfo(&sql, ", %s::pg_catalog.float8", quote_identifier(source->weight_column));
	appendStringInfo(&sql, " FROM %s", source->name);
	return sql.data;
}

static void
prepare_column(Column *column, const char *name, TagrecKeys *keys, Oid type, Size longest)
{
	Oid			output;
	bool		varlena;

	column->name = name;
	column->keys = keys;
	column->is_text = type == TEXTOID || type == VARCHAROID;
	column->longest = longest;
	column->nulls = 0;
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info_cxt(output, &column->output, CurrentMemoryContext);
}

static int32
intern_text(const Column *column, const char *text, Size length)
{
	if (length > column->longest)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" contains a key of %zu bytes", column->name, length),
				 errdetail("Keys of users and items are indexed, and may have %zu bytes.", column->longest),
				 errhint("Shorten them in a view, with md5() for example.")));
	return tagrec_keys_intern(column->keys, text, length);
}

static int32
intern(Column *column, Datum value)
{
	char	   *string;

	if (column->is_text)
	{
		text	   *packed = DatumGetTextPP(value);

		return intern_text(column, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	}
	string = OutputFunctionCall(&column->output, value);
	return intern_text(column, string, strlen(string));
}

static float
read_weight(const Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, KEY_COLUMNS + 1, desc, &isnull);
	double		weight = isnull ? 0 : DatumGetFloat8(value);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("weight column \"%s\" of %s contains NULL", reading->source->weight_column,
						reading->source->name),
				 errhint("Give those rows a weight, or leave them out with a view.")));
	if (isnan(weight) || weight < 0 || weight > MAX_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight column \"%s\" of %s contains %g", reading->source->weight_column,
						reading->source->name, weight),
				 errdetail("Weights are numbers from 0 to %g.", MAX_WEIGHT)));
	return (float) weight;
}

static void
read_row(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	bool		weighted = reading->source->weight_column != NULL;
	int32		key[KEY_COLUMNS];
	bool		complete = true;

	for (int c = KEY_COLUMNS - 1; c >= 0; c--)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, c + 1, desc, &isnull);

		if (isnull)
			reading->column[c].nulls++;
		if (isnull || !complete)
		{
			complete = false;
			continue;
		}
		key[c] = intern(&reading->column[c], value);
		if (key[c] < 0)
		{
			reading->data->ignored++;
			return;
		}
	}
	if (complete && tr_assignments_add(reading->raw, key[0], key[1], key[2], weighted,
									   weighted ? read_weight(reading, tuple, desc) : 1.0f) != TR_OK)
		tagrec_out_of_memory(reading->data->memory);
}

static void
check_nulls(const Reading *reading)
{
	for (int c = 0; c < KEY_COLUMNS; c++)
		if (reading->column[c].nulls > 0)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of %s contains NULL", reading->column[c].name, reading->source->name),
					 errdetail("It is NULL in %lld of %lld rows.", (long long) reading->column[c].nulls,
							   (long long) reading->data->rows),
					 errhint("Leave them out with a view: SELECT ... FROM %s WHERE %s IS NOT NULL.",
							 reading->source->name, quote_identifier(reading->column[c].name))));
	if (reading->data->rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has no rows", reading->source->name),
				 errdetail("Row security may hide rows from the role that trains.")));
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
	reading->data->rows += (int64) count;
	SPI_freetuptable(SPI_tuptable);
	return count > 0;
}

void
tagrec_source_read(const TagrecSource *source, TagrecData *data, TrAssignments *raw)
{
	Reading		reading = {.source = source, .data = data, .raw = raw};
	SPIPlanPtr	plan;
	Portal		portal;
	MemoryContext scratch;
	char	   *sql;

	SPI_connect();
	sql = query_text(source);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec row", ALLOCSET_DEFAULT_SIZES);
	plan = SPI_prepare(sql, 0, NULL);
	if (!plan)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	prepare_column(&reading.column[0], source->user_column, &data->users, SPI_gettypeid(portal->tupDesc, 1),
				   MAX_KEY_BYTES);
	prepare_column(&reading.column[1], source->item_column, &data->items, SPI_gettypeid(portal->tupDesc, 2),
				   MAX_KEY_BYTES);
	prepare_column(&reading.column[2], source->tag_column, &data->tags, SPI_gettypeid(portal->tupDesc, 3),
				   MaxAllocSize);
	while (read_batch(&reading, portal, scratch))
		;
	SPI_cursor_close(portal);
	check_nulls(&reading);
	SPI_finish();
}
