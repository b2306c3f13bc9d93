/*
 * Reading a relation of interactions: one cursor, a batch of rows at a time, keys interned as they come. See reader.h.
 */
#include "pg/source/reader.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "pg/base/told.h"
#include "pg/source/cursor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BATCH_ROWS 10000

#define KEY_COLUMNS 3

/* A key column, in the order of the query; the weight follows them. */
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
	TagrecReader *reader;
	int			columns;		/* of keys */
	Column		column[KEY_COLUMNS];
} Reading;

static char *
query_text(const TagrecReader *reader)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", quote_identifier(reader->columns.user));
	appendStringInfo(&sql, ", %s", quote_identifier(reader->columns.item));
	if (reader->columns.tag)
		appendStringInfo(&sql, ", %s", quote_identifier(reader->columns.tag));
	if (reader->columns.weight)
		appendStringInfo(&sql, ", %s::pg_catalog.float8", quote_identifier(reader->columns.weight));
	if (reader->columns.value)
		appendStringInfo(&sql, ", %s::pg_catalog.float8", quote_identifier(reader->columns.value));
	if (reader->columns.time)
		appendStringInfo(&sql, ", %s::pg_catalog.timestamptz", quote_identifier(reader->columns.time));
	appendStringInfo(&sql, " FROM %s", reader->relation);
	return sql.data;
}

static void
add_column(Reading *reading, const char *name, TagrecKeys *keys, TupleDesc desc, Size longest)
{
	Column	   *column = &reading->column[reading->columns++];
	Oid			type = SPI_gettypeid(desc, reading->columns);
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
	if (column->longest > 0 && length > column->longest)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" contains a key of %zu bytes", column->name, length),
				 errdetail("Keys of users and items are indexed and must not exceed %zu bytes.", column->longest),
				 errhint("Shorten them in a view, for example with md5().")));
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

/* A value of a column of numbers; ERROR when it is NULL. what: "weight", … */
static Datum
read_number(const Reading *reading, HeapTuple tuple, TupleDesc desc, int column, const char *what, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("%s column \"%s\" of %s contains NULL", what, name, reading->reader->relation),
				 errhint("Assign a %s to those rows, or exclude them with a view.", what)));
	return value;
}

static float
read_weight(const Reading *reading, HeapTuple tuple, TupleDesc desc, int column)
{
	const TagrecReader *reader = reading->reader;
	double		weight = DatumGetFloat8(read_number(reading, tuple, desc, column, "weight", reader->columns.weight));

	if (isnan(weight) || weight < 0 || weight > TR_MOST_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight column \"%s\" of %s contains %g", reader->columns.weight, reader->relation, weight),
				 errdetail("Weights must be between 0 and %g.", TR_MOST_WEIGHT)));
	return (float) weight;
}

static double
read_value(const Reading *reading, HeapTuple tuple, TupleDesc desc, int column)
{
	const TagrecReader *reader = reading->reader;
	double		value = DatumGetFloat8(read_number(reading, tuple, desc, column, "value", reader->columns.value));

	if (isnan(value) || fabs(value) > TR_MOST_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value column \"%s\" of %s contains %g", reader->columns.value, reader->relation, value),
				 errdetail("Values must be between %g and %g.", -TR_MOST_WEIGHT, TR_MOST_WEIGHT)));
	if (reader->rules.confidences && value < 0 && value >= reader->rules.like_from)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value column \"%s\" of %s contains %g", reader->columns.value, reader->relation, value),
				 errdetail("To an algorithm that does not predict values, a value is how much an interaction counts."),
				 errhint("If low values are dislikes, set the option like_from to the lowest value of an interaction that"
						 " counts.")));
	return value;
}

static int64
read_time(const Reading *reading, HeapTuple tuple, TupleDesc desc, int column)
{
	const TagrecReader *reader = reading->reader;
	TimestampTz time = DatumGetTimestampTz(read_number(reading, tuple, desc, column, "time", reader->columns.time));

	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time column \"%s\" of %s contains an infinite time", reader->columns.time, reader->relation)));
	return time;
}

/*
 * The keys of a row; false when it has none, or one that closed keys do not have. The last column first: a row whose tag is
 * not in a closed vocabulary adds neither user nor item.
 */
static bool
read_keys(Reading *reading, HeapTuple tuple, TupleDesc desc, int32 *key)
{
	bool		complete = true;

	for (int c = reading->columns - 1; c >= 0; c--)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, c + 1, desc, &isnull);

		if (isnull && c == KEY_COLUMNS - 1 && reading->reader->rules.untagged)
		{
			reading->reader->without_tag += key[0] != TR_NO_USER;
			continue;
		}
		if (c == 0 && key[0] == TR_NO_USER)
			continue;
		if (isnull)
			reading->column[c].nulls++;
		if (isnull || !complete)
		{
			complete = false;
			continue;
		}
		key[c] = intern(&reading->column[c], value);
		if (key[c] < 0 && c == KEY_COLUMNS - 1 && reading->reader->rules.unknown_tags && key[0] != TR_NO_USER)
			continue;
		if (key[c] < 0)
		{
			reading->reader->ignored++;
			return false;
		}
	}
	return complete;
}

/* What a row has beside its keys; false when it is a dislike. */
static bool
read_numbers(Reading *reading, HeapTuple tuple, TupleDesc desc, TrAssignment *row)
{
	TagrecReader *reader = reading->reader;
	int			column = reading->columns;
	double		value = 1;

	if (reader->columns.weight)
		row->weight = read_weight(reading, tuple, desc, ++column);
	if (reader->columns.value)
		value = read_value(reading, tuple, desc, ++column);
	if (reader->columns.time)
		row->time = read_time(reading, tuple, desc, ++column);
	row->value = (float) value;
	return !reader->rules.confidences || value >= reader->rules.like_from;
}

static void
add_row(TagrecReader *reader, const TrAssignment *row)
{
	if (tr_assignments_add_row(reader->to, row) != TR_OK)
		tagrec_out_of_memory(reader->to->memory);
}

/* What a row without a user says of its item. */
static void
read_description(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	TagrecReader *reader = reading->reader;
	int32		key[KEY_COLUMNS] = {TR_NO_USER, 0, TR_NO_TAG};
	TrAssignment row = {.user = TR_NO_USER, .weight = 1, .value = 1};
	bool		tagged = reading->columns == KEY_COLUMNS && !heap_attisnull(tuple, KEY_COLUMNS, desc);

	reader->without_user++;
	if (reader->rules.nobody == TAGREC_NOBODY_LEFT_OUT || (reader->rules.nobody == TAGREC_NOBODY_TAG && !tagged)
		|| !read_keys(reading, tuple, desc, key))
		return;
	row.item = key[1];
	row.tag = key[2];
	if (reader->columns.weight)
		row.weight = read_weight(reading, tuple, desc, reading->columns + 1);
	if (reader->rules.nobody == TAGREC_NOBODY_TAG)
		add_row(reader, &row);
}

/* A dislike is of a user and an item, whatever its tag. */
static void
take_dislike(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	TrAssignment row = {.tag = TR_NO_TAG};
	int32	   *key[] = {&row.user, &row.item};
	bool		complete = true;

	for (int c = 0; c < lengthof(key); c++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, c + 1, desc, &isnull);

		reading->column[c].nulls += isnull;
		complete = complete && !isnull;
		if (complete)
			*key[c] = intern(&reading->column[c], value);
	}
	if (complete && row.user >= 0 && row.item >= 0
		&& tr_assignments_add_row(reading->reader->disliked_to, &row) != TR_OK)
		tagrec_out_of_memory(reading->reader->to->memory);
}

/* Keys come last: a row that is left out adds none. */
static void
read_row(void *argument, HeapTuple tuple, TupleDesc desc)
{
	Reading    *reading = argument;
	TagrecReader *reader = reading->reader;
	int32		key[KEY_COLUMNS] = {0, 0, TR_NO_TAG};
	TrAssignment row = {.weight = 1};

	if (reader->rules.nobody != TAGREC_NOBODY_ERROR && heap_attisnull(tuple, 1, desc))
	{
		read_description(reading, tuple, desc);
		return;
	}
	if (!read_numbers(reading, tuple, desc, &row))
	{
		reader->disliked++;
		if (reader->disliked_to)
			take_dislike(reading, tuple, desc);
		return;
	}
	if (!read_keys(reading, tuple, desc, key))
		return;
	row.user = key[0];
	row.item = key[1];
	row.tag = key[2];
	add_row(reader, &row);
}

/* All columns at once, so that nobody mends one after the other. */
static void
check_nulls(const Reading *reading)
{
	const TagrecReader *reader = reading->reader;
	StringInfoData names;
	StringInfoData counts;
	StringInfoData condition;
	int64		nulls = 0;
	int			n = 0;

	initStringInfo(&names);
	initStringInfo(&counts);
	initStringInfo(&condition);
	for (int c = 0; c < reading->columns; c++)
	{
		const Column *column = &reading->column[c];

		if (column->nulls == 0)
			continue;
		n++;
		nulls = column->nulls;
		appendStringInfo(&names, "%s\"%s\"", n > 1 ? ", " : "", column->name);
		appendStringInfo(&counts, "%s%s is NULL in %lld", n > 1 ? ", " : "", column->name, (long long) column->nulls);
		appendStringInfo(&condition, "%s%s IS NOT NULL", n > 1 ? " AND " : "", quote_identifier(column->name));
	}
	if (n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg_plural("column %s of %s contains NULL", "columns %s of %s contain NULL", n, names.data,
							   reader->relation),
				 errdetail("%s of %lld rows.", n > 1 ? counts.data : psprintf("It is NULL in %lld", (long long) nulls),
						   (long long) reader->rows),
				 errhint("Exclude these rows with a view: SELECT ... FROM %s WHERE %s.", reader->relation,
						 condition.data)));
}

static void
check_rows(const Reading *reading)
{
	const TagrecReader *reader = reading->reader;

	check_nulls(reading);
	if (reader->rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has no rows", reader->relation),
				 errdetail("Row security may hide rows from the role that reads them.")));
	if (reader->without_user == reader->rows)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\" of %s is NULL in all rows", reader->columns.user, reader->relation),
				 errdetail("Rows without a user say which tags an item has; there are none of users.")));
	if (reader->disliked == reader->rows - reader->without_user)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("value column \"%s\" of %s has no value of %g or above", reader->columns.value, reader->relation,
						reader->rules.like_from),
				 errhint("Lower the option like_from.")));
}

void
tagrec_read_interactions(TagrecReader *reader)
{
	Reading		reading = {.reader = reader};
	const TagrecColumns *columns = &reader->columns;
	bool		decays = reader->rules.half_life > 0;
	MemoryContext outside = CurrentMemoryContext;
	MemoryContext scratch;
	Portal		portal;
	uint64		fetched;

	tr_assignments_set_columns(reader->to,
							   (columns->weight || decays ? TR_COLUMN_WEIGHT : 0) |
							   (columns->value || decays ? TR_COLUMN_VALUE : 0) | (columns->time ? TR_COLUMN_TIME : 0),
							   reader->rules.merge);
	SPI_connect();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec row", ALLOCSET_DEFAULT_SIZES);
	portal = SPI_cursor_open_with_args(NULL, query_text(reader), 0, NULL, NULL, NULL, true, 0);
	add_column(&reading, columns->user, reader->users, portal->tupDesc, reader->longest);
	add_column(&reading, columns->item, reader->items, portal->tupDesc, reader->longest);
	if (columns->tag)
		add_column(&reading, columns->tag, reader->tags, portal->tupDesc, 0);
	while ((fetched = tagrec_fetch_rows(portal, BATCH_ROWS, scratch, read_row, &reading)) > 0)
	{
		reader->rows += (int64) fetched;
		tagrec_tell("rows", reader->rows, 0);
	}
	SPI_cursor_close(portal);
	check_rows(&reading);
	SPI_finish();
	MemoryContextSwitchTo(outside);
}
