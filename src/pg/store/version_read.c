/*
 * Reading a version's vocabulary and weights. See version_read.h.
 */
#include "pg/store/version_read.h"

#include "pg/base/keys.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct WeightReader
{
	const TagrecVersion *version;
	TrMemory   *memory;
	TrTensor   *tensor;
	int			count;
	int64		filled;			/* values read of the last one */
	int64		room;			/* values that it has memory for */
} WeightReader;

void
tagrec_each_row(const TagrecVersion *version, TagrecRelation which, void (*take) (void *argument, const TagrecScan *scan),
				void *argument)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "tagrec rows", ALLOCSET_DEFAULT_SIZES);
	TagrecTable *table;
	TagrecScan	scan;

	(void) tagrec_lock_partition(version, which);
	table = tagrec_table_open(version, which);
	scan = tagrec_scan_ordered(table);
	while (tagrec_scan_next(&scan))
	{
		MemoryContext before = MemoryContextSwitchTo(batch);

		take(argument, &scan);
		MemoryContextSwitchTo(before);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
	tagrec_table_close(table);
	MemoryContextDelete(batch);
}

/* ------------------------------------------------------------------ vocabulary */

typedef struct TagReader
{
	const TagrecVersion *version;
	int32		read;
	void		(*take) (void *argument, const char *tag);
	void	   *argument;
} TagReader;

static void
take_tag(void *argument, const TagrecScan *scan)
{
	TagReader  *reader = argument;

	if (tagrec_get_int(scan, Tag_position, reader->version->tags) != reader->read)
		tagrec_version_corrupted(reader->version, psprintf("The tag at position %d is missing.", reader->read));
	reader->take(reader->argument, tagrec_get_text(scan, Tag_tag));
	reader->read++;
}

void
tagrec_read_tags(const TagrecVersion *version, void (*take) (void *argument, const char *tag), void *argument)
{
	TagReader	reader = {.version = version, .take = take, .argument = argument};

	tagrec_each_row(version, TAGREC_TAGS, take_tag, &reader);
	if (reader.read != version->tags)
		tagrec_version_corrupted(version, psprintf("It has %d tags instead of %d.", reader.read, version->tags));
}

/* ------------------------------------------------------------------ weights */

static int64
size_of(const TrTensor *tensor)
{
	return (int64) tensor->rows * tensor->cols;
}

static void
check_filled(const WeightReader *reader)
{
	const TrTensor *last = reader->count > 0 ? &reader->tensor[reader->count - 1] : NULL;

	if (last && reader->filled != size_of(last))
		tagrec_version_corrupted(reader->version, psprintf("Parts of the weight \"%s\" are missing.", last->name));
}

static void *
resize(const WeightReader *reader, void *p, Size bytes)
{
	p = tr_realloc(reader->memory, p, bytes);
	if (!p)
		tagrec_out_of_memory(reader->memory);
	return p;
}

static void
add_tensor(WeightReader *reader, const char *name, int32 rows, int32 cols)
{
	TrTensor   *tensor;

	check_filled(reader);
	if (strlen(name) >= sizeof(tensor->name))
		tagrec_version_corrupted(reader->version, "The name of a weight is too long.");
	reader->tensor = resize(reader, reader->tensor, (reader->count + 1) * sizeof(TrTensor));
	tensor = &reader->tensor[reader->count++];
	*tensor = (TrTensor) {.rows = rows, .cols = cols};
	strcpy(tensor->name, name);
	tensor->value = tagrec_alloc(reader->memory, sizeof(float));
	reader->filled = 0;
	reader->room = 1;
}

/* Memory grows with the numbers that are stored, not with the size that a row claims. */
static void
add_values(WeightReader *reader, const float *value, int32 n)
{
	TrTensor   *tensor = &reader->tensor[reader->count - 1];

	if (reader->filled + n > size_of(tensor))
		tagrec_version_corrupted(reader->version, psprintf("The weight \"%s\" has more numbers than it should.",
														   tensor->name));
	if (reader->filled + n > reader->room)
	{
		reader->room = Min(size_of(tensor), Max(reader->filled + n, 2 * reader->room));
		tensor->value = resize(reader, tensor->value, reader->room * sizeof(float));
	}
	memcpy(tensor->value + reader->filled, value, n * sizeof(float));
	reader->filled += n;
}

/* The parts of a weight come one after another. */
static void
take_part(void *argument, const TagrecScan *scan)
{
	WeightReader *reader = argument;
	char	   *name = tagrec_get_text(scan, Weight_name);
	int32		rows = tagrec_get_int(scan, Weight_rows, PG_INT32_MAX);
	int32		cols = tagrec_get_int(scan, Weight_cols, PG_INT32_MAX);
	const TrTensor *last = reader->count > 0 ? &reader->tensor[reader->count - 1] : NULL;
	int32		n;
	float	   *value;

	if (!last || strcmp(last->name, name) != 0)
		add_tensor(reader, name, rows, cols);
	else if (last->rows != rows || last->cols != cols)
		tagrec_version_corrupted(reader->version, psprintf("The parts of the weight \"%s\" have different sizes.", name));
	value = tagrec_get_numbers(scan, Weight_value, &n);
	add_values(reader, value, n);
}

TrTensor *
tagrec_read_weights(const TagrecVersion *version, TrMemory *memory, int *count)
{
	WeightReader reader = {.version = version, .memory = memory};

	tagrec_each_row(version, TAGREC_WEIGHTS, take_part, &reader);
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
