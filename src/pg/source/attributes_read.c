/*
 * Reading a relation of attributes, and making features of its values. See attributes.h.
 */
#include "pg/source/attributes.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/told.h"
#include "pg/source/cursor.h"
#include "pg/source/source.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BATCH_ROWS 1000
#define MOST_VALUES 20			/* of numbers, before there are bins */
#define BINS 10
#define MOST_ELEMENTS 1000		/* of an array */

typedef struct Reading
{
	TagrecAttributes *attributes;
	TagrecKeys *keys;
	FmgrInfo	output;			/* of the key */
	int32		room;
	bool	   *seen;			/* (room) */
	int32		known;			/* rows of who is in the source */
} Reading;

/* ------------------------------------------------------------------ rows */

static void
append_column(StringInfo sql, const TagrecAttribute *attribute)
{
	const char *name = quote_identifier(attribute->name);

	switch (attribute->kind)
	{
		case TAGREC_CATEGORY:
			appendStringInfo(sql, ", %s::pg_catalog.text", name);
			break;
		case TAGREC_CATEGORIES:
			appendStringInfo(sql, ", %s::pg_catalog.text[]", name);
			break;
		case TAGREC_NUMBER:
			appendStringInfo(sql, ", %s::pg_catalog.float8", name);
			break;
		case TAGREC_TIME:
			appendStringInfo(sql, ", pg_catalog.date_part('epoch', %s)", name);
			break;
	}
}

static char *
query_text(const TagrecAttributes *a)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", quote_identifier(a->key));
	for (int i = 0; i < a->count; i++)
		append_column(&sql, &a->attribute[i]);
	appendStringInfo(&sql, " FROM %s", a->name);
	return sql.data;
}

/* Where the next row of the attribute goes. */
static int64
add_row(TrMemory *memory, TagrecAttribute *attribute, int32 entity)
{
	if (attribute->count == attribute->capacity)
	{
		int64		capacity = attribute->capacity ? 2 * attribute->capacity : 1024;

		attribute->entity = tr_realloc(memory, attribute->entity, capacity * sizeof(int32));
		attribute->feature = tr_realloc(memory, attribute->feature, capacity * sizeof(int32));
		attribute->value = tr_realloc(memory, attribute->value, capacity * sizeof(double));
		if (!attribute->entity || !attribute->feature || !attribute->value)
			tagrec_out_of_memory(memory);
		attribute->capacity = capacity;
	}
	attribute->entity[attribute->count] = entity;
	return attribute->count++;
}

static void
add_category(const TagrecAttributes *a, TagrecAttribute *attribute, int32 entity, Datum value)
{
	text	   *packed = DatumGetTextPP(value);
	Size		length = VARSIZE_ANY_EXHDR(packed);
	int64		row;

	if (length > TAGREC_MAX_FEATURE_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" of %s contains a text of %zu bytes", attribute->name, a->name, length),
				 errdetail("The texts of an attribute are categories, of at most %d bytes.", TAGREC_MAX_FEATURE_BYTES),
				 errhint("Leave the column out with a view.")));
	row = add_row(a->memory, attribute, entity);
	attribute->feature[row] = tagrec_keys_intern(&attribute->features, VARDATA_ANY(packed), length);
}

static void
add_categories(const TagrecAttributes *a, TagrecAttribute *attribute, int32 entity, Datum value)
{
	Datum	   *element;
	bool	   *isnull;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &element, &isnull, &n);
	if (n > MOST_ELEMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" of %s contains an array of %d elements", attribute->name, a->name, n),
				 errdetail("At most %d are possible.", MOST_ELEMENTS)));
	for (int i = 0; i < n; i++)
		if (!isnull[i])
			add_category(a, attribute, entity, element[i]);
}

static void
add_number(const TagrecAttributes *a, TagrecAttribute *attribute, int32 entity, double value)
{
	int64		row;

	if (!isfinite(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("column \"%s\" of %s contains %g", attribute->name, a->name, value),
				 errhint("Replace it by NULL in a view.")));
	row = add_row(a->memory, attribute, entity);
	attribute->value[row] = value;
}

/* Has there been a row of it? */
static bool
was_seen(Reading *reading, int32 entity)
{
	bool		before;

	if (entity >= reading->room)
	{
		int32		room = entity < PG_INT32_MAX / 2 ? 2 * entity + 1024 : PG_INT32_MAX;
		bool	   *grown = tr_realloc(reading->attributes->memory, reading->seen, room);

		if (!grown)
			tagrec_out_of_memory(reading->attributes->memory);
		memset(grown + reading->room, 0, room - reading->room);
		reading->seen = grown;
		reading->room = room;
	}
	before = reading->seen[entity];
	reading->seen[entity] = true;
	return before;
}

/* The entity of a row; -1 = there is none of it. */
static int32
find_entity(Reading *reading, Datum key, bool isnull)
{
	const TagrecAttributes *a = reading->attributes;
	char	   *text = isnull ? NULL : OutputFunctionCall(&reading->output, key);
	int32		entity;

	if (!text)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of %s contains NULL", a->key, a->name)));
	entity = tagrec_keys_intern(reading->keys, text, strlen(text));
	if (entity >= 0 && was_seen(reading, entity))
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s has several rows for %s \"%s\"", a->name, tagrec_attributes_of(a), text),
				 errdetail("There must be one row for each %s.", tagrec_attributes_of(a)),
				 errhint("Aggregate them in a view, for example with array_agg().")));
	return entity;
}

static void
read_row(void *argument, HeapTuple tuple, TupleDesc desc)
{
	Reading    *reading = argument;
	const TagrecAttributes *a = reading->attributes;
	bool		isnull;
	Datum		key = heap_getattr(tuple, 1, desc, &isnull);
	int32		entity = find_entity(reading, key, isnull);

	if (entity < 0)
		return;
	reading->known += entity < a->in_source;
	for (int i = 0; i < a->count; i++)
	{
		TagrecAttribute *attribute = &a->attribute[i];
		Datum		value = heap_getattr(tuple, i + 2, desc, &isnull);

		if (isnull)
			continue;
		if (attribute->kind == TAGREC_CATEGORY)
			add_category(a, attribute, entity, value);
		else if (attribute->kind == TAGREC_CATEGORIES)
			add_categories(a, attribute, entity, value);
		else
			add_number(a, attribute, entity, DatumGetFloat8(value));
	}
}

static void
read_rows(Reading *reading)
{
	MemoryContext outside = CurrentMemoryContext;
	MemoryContext scratch;
	Portal		portal;
	Oid			output;
	bool		varlena;
	int64		rows = 0;
	uint64		fetched;

	SPI_connect();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec row", ALLOCSET_DEFAULT_SIZES);
	portal = SPI_cursor_open_with_args(NULL, query_text(reading->attributes), 0, NULL, NULL, NULL, true, 0);
	getTypeOutputInfo(SPI_gettypeid(portal->tupDesc, 1), &output, &varlena);
	fmgr_info_cxt(output, &reading->output, CurrentMemoryContext);
	while ((fetched = tagrec_fetch_rows(portal, BATCH_ROWS, scratch, read_row, reading)) > 0)
	{
		rows += (int64) fetched;
		tagrec_tell(reading->attributes->of_items ? "rows of items" : "rows of users", rows, 0);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(outside);
}

/* ------------------------------------------------------------------ numbers as features */

static int
compare_values(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* first (n) = the smallest values of the bins, ascending; their number */
static int
make_bins(const double *sorted, int64 n, double *first)
{
	int			bins = 0;
	int			values = 1;

	for (int64 i = 1; i < n && values <= MOST_VALUES; i++)
		values += sorted[i] != sorted[i - 1];
	for (int64 i = 0; values <= MOST_VALUES && i < n; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			first[bins++] = sorted[i];
	for (int b = 0; values > MOST_VALUES && b < BINS; b++)
		if (b == 0 || sorted[n * b / BINS] != first[bins - 1])
			first[bins++] = sorted[n * b / BINS];
	return bins;
}

static int32
intern_bin(TagrecAttribute *attribute, double first, double last)
{
	char	   *text = first == last ? psprintf("%.15g", first) : psprintf("%.15g..%.15g", first, last);
	int32		feature = tagrec_keys_intern(&attribute->features, text, strlen(text));

	pfree(text);
	return feature;
}

/* The features of the sorted values, and of every row. */
static void
fill_bins(TagrecAttribute *attribute, const double *sorted)
{
	double		first[MOST_VALUES + BINS];
	int32		feature[MOST_VALUES + BINS];
	int			bins = make_bins(sorted, attribute->count, first);
	int64		at = 0;

	for (int b = 0; b < bins; b++)
	{
		while (at < attribute->count && (b == bins - 1 || sorted[at] < first[b + 1]))
			at++;
		feature[b] = intern_bin(attribute, first[b], sorted[at - 1]);
	}
	for (int64 i = 0; i < attribute->count; i++)
	{
		int			b = bins - 1;

		while (b > 0 && attribute->value[i] < first[b])
			b--;
		attribute->feature[i] = feature[b];
	}
}

static void
bin_numbers(TrMemory *memory, TagrecAttribute *attribute)
{
	double	   *sorted = tagrec_alloc(memory, attribute->count * sizeof(double));

	memcpy(sorted, attribute->value, attribute->count * sizeof(double));
	qsort(sorted, attribute->count, sizeof(double), compare_values);
	fill_bins(attribute, sorted);
	tr_free(memory, sorted);
}

/* ------------------------------------------------------------------ the features that a model has */

/* A feature of a number: the range that it stands for. */
typedef struct Bin
{
	double		first,
				last;
	int32		feature;
} Bin;

/* "1950", "1950..1955"; false where a text is no bin */
static bool
read_bin(const char *text, Bin *bin)
{
	const char *dots = strstr(text, "..");
	const char *last = dots ? dots + 2 : text;
	char	   *end;

	bin->last = strtod(last, &end);
	if (end == last || *end)
		return false;
	bin->first = dots ? strtod(pnstrdup(text, dots - text), NULL) : bin->last;
	return isfinite(bin->first) && isfinite(bin->last);
}

static int
compare_bins(const void *a, const void *b)
{
	return compare_values(&((const Bin *) a)->first, &((const Bin *) b)->first);
}

/* The known features as bins, ascending; *ranges: does any stand for more than one value? */
static Bin *
known_bins(TrMemory *memory, const TagrecKeys *features, int *n, bool *ranges)
{
	Bin		   *bin = tagrec_alloc(memory, ((Size) features->count + 1) * sizeof(Bin));

	*n = 0;
	*ranges = false;
	for (int32 f = 0; f < features->count; f++)
	{
		if (!read_bin(features->text[f], &bin[*n]))
			continue;
		*ranges |= bin[*n].first != bin[*n].last;
		bin[(*n)++].feature = f;
	}
	qsort(bin, *n, sizeof(Bin), compare_bins);
	return bin;
}

/* Where there are ranges, a value between two is of the lower one, one below or beyond all of the nearest. */
static void
place_numbers(TrMemory *memory, TagrecAttribute *attribute)
{
	int			n;
	bool		ranges;
	Bin		   *bin = known_bins(memory, &attribute->features, &n, &ranges);

	for (int64 i = 0; i < attribute->count; i++)
	{
		int			b = n - 1;

		while (b > 0 && attribute->value[i] < bin[b].first)
			b--;
		attribute->feature[i] = n > 0 && (ranges || attribute->value[i] == bin[b].first) ? bin[b].feature : -1;
	}
	tr_free(memory, bin);
}

/* Its features are the texts of the tags "name=text" that the model has, and no others. */
static void
know_features(TagrecAttribute *attribute, const TagrecKeys *tags)
{
	Size		length = strlen(attribute->name);

	for (int32 t = 0; t < tags->count; t++)
		if (strncmp(tags->text[t], attribute->name, length) == 0 && tags->text[t][length] == '=')
			tagrec_keys_intern(&attribute->features, tags->text[t] + length + 1, strlen(tags->text[t] + length + 1));
	attribute->features.closed = true;
}

/* ------------------------------------------------------------------ what is worth keeping */

/* used (features) = whether two or more have it; rows of an entity are together */
static uint8 *
shared_features(TrMemory *memory, const TagrecAttribute *attribute)
{
	uint8	   *used = tagrec_calloc(memory, attribute->features.count + 1, 1);
	int32	   *first = tagrec_alloc(memory, ((Size) attribute->features.count + 1) * sizeof(int32));

	for (int32 f = 0; f < attribute->features.count; f++)
		first[f] = -1;
	for (int64 i = 0; i < attribute->count; i++)
	{
		int32		f = attribute->feature[i];

		if (first[f] < 0)
			first[f] = attribute->entity[i];
		else if (first[f] != attribute->entity[i])
			used[f] = 1;
	}
	tr_free(memory, first);
	return used;
}

static void
renumber(TrMemory *memory, TagrecAttribute *attribute, int32 *map)
{
	for (int64 i = 0; i < attribute->count; i++)
		if (attribute->feature[i] >= 0)
			attribute->feature[i] = map[attribute->feature[i]];
	tr_free(memory, map);
}

static void
settle(const TagrecAttributes *a, TagrecAttribute *attribute)
{
	TagrecKeyType bytes = {InvalidOid, InvalidOid};
	bool		known = attribute->features.closed;
	bool		numbers = attribute->count > 0 && (attribute->kind == TAGREC_NUMBER || attribute->kind == TAGREC_TIME);
	uint8	   *used;

	CHECK_FOR_INTERRUPTS();
	if (numbers && known)
		place_numbers(a->memory, attribute);
	else if (numbers)
		bin_numbers(a->memory, attribute);
	tr_free(a->memory, attribute->value);
	attribute->value = NULL;
	if (known)
		return;
	renumber(a->memory, attribute, tagrec_keys_rank(&attribute->features, bytes));
	used = shared_features(a->memory, attribute);
	renumber(a->memory, attribute, tagrec_keys_keep(&attribute->features, used));
	tr_free(a->memory, used);
	if (attribute->features.count == 0)
		ereport(NOTICE,
				(errmsg("leaving out column \"%s\" of %s", attribute->name, a->name),
				 errdetail("No two %ss have the same value.", tagrec_attributes_of(a))));
}

static void
check_result(const TagrecAttributes *a, int32 known)
{
	int64		features = 0;

	for (int i = 0; i < a->count; i++)
		features += a->attribute[i].features.count;
	if (features == 0 || known == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has no attributes of the %ss of the source", a->name, tagrec_attributes_of(a)),
				 errdetail("It has rows for %d of %d %ss, and no two of them have a value in common.", known, a->in_source,
						   tagrec_attributes_of(a)),
				 errhint("The values in column \"%s\" must match those of the source.", a->key)));
	if (known < a->in_source)
		ereport(NOTICE,
				(errmsg("%d of %d %ss have no row in %s", a->in_source - known, a->in_source, tagrec_attributes_of(a), a->name),
				 errdetail("They have no attributes.")));
	if (a->entities > a->in_source)
		ereport(NOTICE,
				(errmsg("%d items of %s are not in the source", a->entities - a->in_source, a->name),
				 errdetail("They are known by their attributes.")));
}

void
tagrec_attributes_read(TagrecAttributes *a, TagrecKeys *keys, const TagrecKeys *tags)
{
	Reading		reading = {.attributes = a, .keys = keys};
	bool		closed = keys->closed;

	a->memory = keys->memory;
	a->in_source = keys->count;
	for (int i = 0; i < a->count; i++)
	{
		tagrec_keys_init(&a->attribute[i].features, a->memory);
		if (tags->closed)
			know_features(&a->attribute[i], tags);
	}
	keys->closed = closed || !a->may_add;
	read_rows(&reading);
	keys->closed = closed;
	a->entities = keys->count;
	a->text = tagrec_alloc(a->memory, ((Size) keys->count + 1) * sizeof(char *));
	memcpy(a->text, keys->text, (Size) keys->count * sizeof(char *));
	tr_free(a->memory, reading.seen);
	for (int i = 0; i < a->count; i++)
		settle(a, &a->attribute[i]);
	check_result(a, reading.known);
}
