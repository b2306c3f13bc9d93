/*
 * Loading a version's weights and vocabulary. See encoder.h.
 */
#include "encoder.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "options.h"
#include "tagrec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Rows fetched from a cursor at a time: a part of a weight may hold 16 MB. */
#define FETCH_TAGS 1000
#define FETCH_PARTS 1

struct TagrecEncoder
{
	MemoryContext context;
	MemoryContextCallback cleanup;
	int			width;
	TrMemory	memory;			/* of the model */
	TrBackend  *backend;
	TrModel    *model;
	TagrecOptions *options;
	int32		n_tags;
	char	  **tag;			/* (tags) by position */
	int32	   *by_name;		/* (tags) positions in the order of strcmp */
};

/* The tensors while they are read, part by part. */
typedef struct Tensors
{
	TrMemory   *memory;
	TrTensor   *tensor;
	int64	   *filled;			/* values read of each */
	int			count;
	int			room;
} Tensors;

/* Frees what palloc does not know of; runs when the context goes, also after an error. */
static void
release(void *argument)
{
	TagrecEncoder *encoder = argument;

	if (encoder->model)
		encoder->model->algorithm->destroy(encoder->model);
	if (encoder->backend)
		encoder->backend->ops->close(encoder->backend);
	tr_memory_release(&encoder->memory);
}

static void
corrupted(const TagrecVersion *version, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("version %d of model \"%s\" does not hold what was stored in it", version->version, version->model),
			 errdetail("%s", what),
			 errhint("Rows of a version must not be changed. Train the model again.")));
}

/* Runs query through a cursor and calls take for each row, in a context that is emptied after each fetch. */
static void
for_each_row(const char *query, int fetch, void (*take) (void *argument, HeapTuple tuple, TupleDesc desc), void *argument)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(old, "tagrec rows", ALLOCSET_DEFAULT_SIZES);
	Portal		cursor = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);

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
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch);
}

/* ------------------------------------------------------------------ vocabulary */

static void
take_tag(void *argument, HeapTuple tuple, TupleDesc desc)
{
	TagrecEncoder *encoder = argument;
	bool		isnull;
	int32		position = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	char	   *tag = SPI_getvalue(tuple, desc, 2);

	if (!isnull && tag && position >= 0 && position < encoder->n_tags && !encoder->tag[position])
		encoder->tag[position] = MemoryContextStrdup(encoder->context, tag);
}

static int
compare_tags(const void *a, const void *b, void *argument)
{
	char	  **tag = argument;

	return strcmp(tag[*(const int32 *) a], tag[*(const int32 *) b]);
}

static void
load_tags(TagrecEncoder *encoder, const TagrecVersion *version)
{
	encoder->n_tags = version->tags;
	encoder->tag = MemoryContextAllocZero(encoder->context, (encoder->n_tags + 1) * sizeof(char *));
	encoder->by_name = MemoryContextAlloc(encoder->context, (encoder->n_tags + 1) * sizeof(int32));
	for_each_row(psprintf("SELECT position, tag FROM %s WHERE version OPERATOR(pg_catalog.=) %d",
						  tagrec_partition_name(version, TAGREC_TAGS), version->version),
				 FETCH_TAGS, take_tag, encoder);
	for (int32 i = 0; i < encoder->n_tags; i++)
	{
		if (!encoder->tag[i])
			corrupted(version, psprintf("The tag at position %d is missing.", i));
		encoder->by_name[i] = i;
	}
	qsort_arg(encoder->by_name, encoder->n_tags, sizeof(int32), compare_tags, encoder->tag);
}

int32
tagrec_encoder_find(const TagrecEncoder *encoder, const char *tag)
{
	int32		low = 0;
	int32		high = encoder->n_tags - 1;

	while (low <= high)
	{
		int32		middle = low + (high - low) / 2;
		int			order = strcmp(tag, encoder->tag[encoder->by_name[middle]]);

		if (order == 0)
			return encoder->by_name[middle];
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

const char *
tagrec_encoder_tag(const TagrecEncoder *encoder, int32 position)
{
	return position >= 0 && position < encoder->n_tags ? encoder->tag[position] : NULL;
}

int32
tagrec_encoder_tags(const TagrecEncoder *encoder)
{
	return encoder->n_tags;
}

/* ------------------------------------------------------------------ weights */

/* The tensor of that name, made when it is new. */
static TrTensor *
tensor_named(Tensors *tensors, const char *name, int32 rows, int32 cols)
{
	TrTensor   *tensor;

	for (int i = 0; i < tensors->count; i++)
		if (strcmp(tensors->tensor[i].name, name) == 0)
			return &tensors->tensor[i];
	if (tensors->count == tensors->room)
	{
		tensors->room *= 2;
		tensors->tensor = repalloc(tensors->tensor, tensors->room * sizeof(TrTensor));
		tensors->filled = repalloc(tensors->filled, tensors->room * sizeof(int64));
	}
	tensor = &tensors->tensor[tensors->count];
	strlcpy(tensor->name, name, sizeof(tensor->name));
	tensor->rows = rows;
	tensor->cols = cols;
	tensor->value = tr_alloc(tensors->memory, Max((size_t) rows * cols, 1) * sizeof(float));
	if (!tensor->value)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory for weight \"%s\"", name)));
	tensors->filled[tensors->count++] = 0;
	return tensor;
}

/* Columns: name, rows, cols, value, in the order of the parts. */
static void
take_part(void *argument, HeapTuple tuple, TupleDesc desc)
{
	Tensors    *tensors = argument;
	bool		isnull[4];
	Datum		rows = SPI_getbinval(tuple, desc, 2, &isnull[1]);
	Datum		cols = SPI_getbinval(tuple, desc, 3, &isnull[2]);
	Datum		value = SPI_getbinval(tuple, desc, 4, &isnull[3]);
	char	   *name = SPI_getvalue(tuple, desc, 1);
	TrTensor   *tensor;
	ArrayType  *part;
	int64	   *filled;
	int			n;

	if (!name || isnull[1] || isnull[2] || isnull[3] || DatumGetInt32(rows) < 0 || DatumGetInt32(cols) < 0)
		return;
	tensor = tensor_named(tensors, name, DatumGetInt32(rows), DatumGetInt32(cols));
	filled = &tensors->filled[tensor - tensors->tensor];
	part = DatumGetArrayTypeP(value);
	n = ArrayGetNItems(ARR_NDIM(part), ARR_DIMS(part));
	if (ARR_ELEMTYPE(part) != FLOAT4OID || ARR_HASNULL(part) || *filled + n > (int64) tensor->rows * tensor->cols)
		return;
	memcpy(tensor->value + *filled, ARR_DATA_PTR(part), n * sizeof(float));
	*filled += n;
}

static void
load_weights(Tensors *tensors, TrMemory *memory, const TagrecVersion *version)
{
	tensors->memory = memory;
	tensors->count = 0;
	tensors->room = 16;
	tensors->tensor = palloc(tensors->room * sizeof(TrTensor));
	tensors->filled = palloc(tensors->room * sizeof(int64));
	for_each_row(psprintf("SELECT name, rows, cols, value FROM %s WHERE version OPERATOR(pg_catalog.=) %d"
						  " ORDER BY name, part",
						  tagrec_partition_name(version, TAGREC_WEIGHTS), version->version),
				 FETCH_PARTS, take_part, tensors);
	for (int i = 0; i < tensors->count; i++)
		if (tensors->filled[i] != (int64) tensors->tensor[i].rows * tensors->tensor[i].cols)
			corrupted(version, psprintf("Parts of the weight \"%s\" are missing.", tensors->tensor[i].name));
}

/* ------------------------------------------------------------------ the encoder */

static const TrAlgorithm *
encoding_algorithm(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	if (!algorithm->encode || !algorithm->load)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot encode tags", version->model),
				 errdetail("Its algorithm, %s, does not read tags.", version->algorithm)));
	return algorithm;
}

static TagrecEncoder *
allocate(int width)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec encoder", ALLOCSET_DEFAULT_SIZES);
	TagrecEncoder *encoder = MemoryContextAllocZero(context, sizeof(TagrecEncoder));

	encoder->context = context;
	encoder->width = width;
	tr_memory_init(&encoder->memory, 0);
	encoder->cleanup.func = release;
	encoder->cleanup.arg = encoder;
	MemoryContextRegisterResetCallback(context, &encoder->cleanup);
	return encoder;
}

TagrecEncoder *
tagrec_encoder_load(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = encoding_algorithm(version);
	TagrecEncoder *encoder = allocate(version->width);
	TrBackendConfig config = {.threads = 1};
	TrError		err = {0};
	Tensors		tensors;
	MemoryContext old;

	load_tags(encoder, version);
	old = MemoryContextSwitchTo(encoder->context);
	encoder->options = tagrec_options_read(algorithm, version->options);
	MemoryContextSwitchTo(old);
	load_weights(&tensors, &encoder->memory, version);
	tagrec_check(tr_plain_ops.open(&encoder->backend, &config, &err), &err);
	tagrec_check(tr_model_load(&encoder->model, algorithm, &encoder->memory, encoder->backend, encoder->n_tags,
							   encoder->options->values, tensors.tensor, tensors.count, &err), &err);
	/* the model has its own copies */
	for (int i = 0; i < tensors.count; i++)
		tr_free(&encoder->memory, tensors.tensor[i].value);
	if (algorithm->width(encoder->model, NULL) != version->width)
		corrupted(version, psprintf("Its weights give arrays of %d numbers, not %d.",
									algorithm->width(encoder->model, NULL), version->width));
	MemoryContextSetParent(encoder->context, CacheMemoryContext);
	return encoder;
}

void
tagrec_encoder_free(TagrecEncoder *encoder)
{
	MemoryContextDelete(encoder->context);
}

Size
tagrec_encoder_bytes(const TagrecEncoder *encoder)
{
	return MemoryContextMemAllocated(encoder->context, true) + encoder->memory.used +
		encoder->backend->ops->allocated(encoder->backend);
}

void
tagrec_encode(TagrecEncoder *encoder, TrSide side, const TrProfiles *profiles, float *out)
{
	TrError		err = {0};

	tagrec_check(encoder->model->algorithm->encode(encoder->model, side, profiles, out, &err), &err);
}
