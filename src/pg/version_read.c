/*
 * Reading a version's vocabulary and weights. See version_read.h.
 */
#include "version_read.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "keys.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Rows fetched from a cursor at a time: a part of a weight may hold 16 MB. */
#define FETCH_TAGS 1000
#define FETCH_PARTS 1

typedef struct TagReader
{
	const TagrecVersion *version;
	int32		read;
	void		(*take) (void *argument, const char *tag);
	void	   *argument;
} TagReader;

typedef struct WeightReader
{
	const TagrecVersion *version;
	TrMemory   *memory;
	TrTensor   *tensor;
	int			count;
	int64		filled;			/* values read of the last one */
} WeightReader;

void
tagrec_version_corrupted(const TagrecVersion *version, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("version %d of model \"%s\" does not hold what was stored in it", version->version, version->model),
			 errdetail("%s", what),
			 errhint("Rows of a version must not be changed. Train the model again.")));
	pg_unreachable();
}

/* Calls take for each row of a partition, in a context that is emptied after each fetch. */
static void
for_each_row(const TagrecVersion *version, TagrecRelation which, const char *columns, const char *order, int fetch,
			 void (*take) (void *argument, HeapTuple tuple, TupleDesc desc), void *argument)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "tagrec rows", ALLOCSET_DEFAULT_SIZES);
	char	   *query = psprintf("SELECT %s FROM %s WHERE version OPERATOR(pg_catalog.=) %d ORDER BY %s", columns,
								 tagrec_partition_name(version, which), version->version, order);
	Portal		cursor;

	(void) tagrec_lock_partition(version, which);
	tagrec_check_readable(tagrec_partition(version, which), which);
	SPI_connect();
	cursor = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, fetch);
		if (SPI_processed == 0)
			break;
		MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < SPI_processed; i++)
			take(argument, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
		MemoryContextReset(batch);
	}
	SPI_cursor_close(cursor);
	SPI_finish();
	pfree(query);
	MemoryContextDelete(batch);
}

/* ------------------------------------------------------------------ vocabulary */

/* Columns: position, tag. */
static void
take_tag(void *argument, HeapTuple tuple, TupleDesc desc)
{
	TagReader  *reader = argument;
	bool		isnull;
	Datum		position = SPI_getbinval(tuple, desc, 1, &isnull);
	char	   *tag = SPI_getvalue(tuple, desc, 2);

	if (isnull || !tag || DatumGetInt32(position) != reader->read)
		tagrec_version_corrupted(reader->version, psprintf("The tag at position %d is missing.", reader->read));
	reader->take(reader->argument, tag);
	reader->read++;
}

void
tagrec_read_tags(const TagrecVersion *version, void (*take) (void *argument, const char *tag), void *argument)
{
	TagReader	reader = {.version = version, .take = take, .argument = argument};

	for_each_row(version, TAGREC_TAGS, "\"position\", tag", "\"position\"", FETCH_TAGS, take_tag, &reader);
	if (reader.read != version->tags)
		tagrec_version_corrupted(version, psprintf("It has %d tags instead of %d.", reader.read, version->tags));
}

/* ------------------------------------------------------------------ weights */

static void
check_filled(const WeightReader *reader)
{
	const TrTensor *last = reader->count > 0 ? &reader->tensor[reader->count - 1] : NULL;

	if (last && reader->filled != (int64) last->rows * last->cols)
		tagrec_version_corrupted(reader->version, psprintf("Parts of the weight \"%s\" are missing.", last->name));
}

static TrTensor *
add_tensor(WeightReader *reader, const char *name, int32 rows, int32 cols)
{
	TrTensor   *tensor;

	check_filled(reader);
	tensor = tr_realloc(reader->memory, reader->tensor, (reader->count + 1) * sizeof(TrTensor));
	if (!tensor)
		tagrec_out_of_memory(reader->memory);
	reader->tensor = tensor;
	tensor += reader->count;
	*tensor = (TrTensor) {.rows = rows, .cols = cols};
	strlcpy(tensor->name, name, sizeof(tensor->name));
	tensor->value = tagrec_calloc(reader->memory, (Size) rows * cols, sizeof(float));
	reader->count++;
	reader->filled = 0;
	return tensor;
}

/* Columns: name, rows, cols, value; the parts of a weight come one after another. */
static void
take_part(void *argument, HeapTuple tuple, TupleDesc desc)
{
	WeightReader *reader = argument;
	bool		isnull[3];
	int32		rows = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull[0]));
	int32		cols = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull[1]));
	Datum		value = SPI_getbinval(tuple, desc, 4, &isnull[2]);
	char	   *name = SPI_getvalue(tuple, desc, 1);
	TrTensor   *tensor = reader->count > 0 ? &reader->tensor[reader->count - 1] : NULL;
	ArrayType  *part;
	int			n;

	if (!name || isnull[0] || isnull[1] || isnull[2] || rows < 0 || cols < 0)
		tagrec_version_corrupted(reader->version, "A weight has a null, or a negative size.");
	if (!tensor || strcmp(tensor->name, name) != 0)
		tensor = add_tensor(reader, name, rows, cols);
	part = DatumGetArrayTypeP(value);
	n = ArrayGetNItems(ARR_NDIM(part), ARR_DIMS(part));
	if (ARR_HASNULL(part) || reader->filled + n > (int64) tensor->rows * tensor->cols)
		tagrec_version_corrupted(reader->version, psprintf("The weight \"%s\" has more numbers than it should, or nulls.",
														   name));
	memcpy(tensor->value + reader->filled, ARR_DATA_PTR(part), n * sizeof(float));
	reader->filled += n;
}

TrTensor *
tagrec_read_weights(const TagrecVersion *version, TrMemory *memory, int *count)
{
	WeightReader reader = {.version = version, .memory = memory};

	for_each_row(version, TAGREC_WEIGHTS, "name, rows, cols, value", "name, part", FETCH_PARTS, take_part, &reader);
	check_filled(&reader);
	*count = reader.count;
	return reader.tensor;
}

void
tagrec_free_weights(TrMemory *memory, TrTensor *tensors, int count)
{
	for (int i = 0; i < count; i++)
		tr_free(memory, tensors[i].value);
	tr_free(memory, tensors);
}
