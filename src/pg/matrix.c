/*
 * Reading embeddings into a matrix. See matrix.h.
 */
#include "matrix.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/topn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* Rows fetched from the cursor at a time. */
#define FETCH_ROWS 1000

/* Columns of the query. */
enum
{
	Col_position = 1,
	Col_key,
	Col_embedding
};

typedef struct Loader
{
	const TagrecMatrixSource *source;
	TagrecMatrix *matrix;
	uint64	   *filled;			/* positions seen */
	int32		rows;			/* read */
	int16		key_length;
	bool		key_by_value;
} Loader;

static void
incomplete(const TagrecMatrixSource *source, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("relation %s does not hold what was stored in it", source->relation),
			 errdetail("%s", what),
			 errhint("Rows of a version must not be changed. Train the model again.")));
}

float
tagrec_norm(const float *x, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double) x[i] * x[i];
	return (float) sqrt(sum);
}

/* Room for n floats on a boundary of TR_DOT_ALIGN bytes. */
static float *
aligned_floats(MemoryContext context, size_t n)
{
	void	   *room = MemoryContextAllocHuge(context, n * sizeof(float) + TR_DOT_ALIGN);

	return (float *) TYPEALIGN(TR_DOT_ALIGN, room);
}

float *
tagrec_padded_vectors(int n, int width)
{
	size_t		size = Max(n, 1) * tr_dot_stride(width);
	float	   *vectors = aligned_floats(CurrentMemoryContext, size);

	memset(vectors, 0, size * sizeof(float));
	return vectors;
}

void
tagrec_read_embedding(float *out, Datum array, int width, const char *relation)
{
	ArrayType  *a = DatumGetArrayTypeP(array);

	if (ARR_NDIM(a) > 1 || ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a)) != width || ARR_HASNULL(a)
		|| ARR_ELEMTYPE(a) != FLOAT4OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an embedding in relation %s is not an array of %d numbers", relation, width),
				 errhint("Rows of a version must not be changed. Train the model again.")));
	memcpy(out, ARR_DATA_PTR(a), width * sizeof(float));
	if ((Pointer) a != DatumGetPointer(array))
		pfree(a);
}

static Datum
copy_key(const Loader *loader, Datum key)
{
	Datum		copy;
	MemoryContext old = MemoryContextSwitchTo(loader->matrix->context);

	if (loader->key_length == -1)
		copy = PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
	else
		copy = datumCopy(key, loader->key_by_value, loader->key_length);
	MemoryContextSwitchTo(old);
	return copy;
}

/* Where the row goes. */
static int32
row_position(Loader *loader, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	int32		position = DatumGetInt32(SPI_getbinval(tuple, desc, Col_position, &isnull));

	if (isnull)
		position = loader->rows;
	if (position < 0 || position >= loader->source->rows || tr_bit_test(loader->filled, position))
		incomplete(loader->source,
				   psprintf("It has position %d twice, or more than %d rows.", position, loader->source->rows));
	tr_bit_set(loader->filled, position);
	return position;
}

static void
take_row(Loader *loader, HeapTuple tuple, TupleDesc desc)
{
	TagrecMatrix *m = loader->matrix;
	int32		position = row_position(loader, tuple, desc);
	float	   *row = m->value + (size_t) position * m->stride;
	bool		key_null;
	bool		embedding_null;
	Datum		key = SPI_getbinval(tuple, desc, Col_key, &key_null);
	Datum		embedding = SPI_getbinval(tuple, desc, Col_embedding, &embedding_null);

	if (key_null || embedding_null)
		incomplete(loader->source, "It has a null key or embedding.");
	m->key[position] = copy_key(loader, key);
	tagrec_read_embedding(row, embedding, m->width, loader->source->relation);
	memset(row + m->width, 0, (m->stride - m->width) * sizeof(float));
	m->unit_norm[position] = tagrec_norm(row, m->unit_width);
	loader->rows++;
}

static void
read_rows(Loader *loader)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(old, "tagrec matrix rows", ALLOCSET_DEFAULT_SIZES);
	Portal		cursor = SPI_cursor_open_with_args(NULL, loader->source->query, 0, NULL, NULL, NULL, true, 0);

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		/* SPI leaves its own context behind as the current one */
		MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(loader, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
		MemoryContextReset(batch);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch);
}

static TagrecMatrix *
allocate(const TagrecMatrixSource *source)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec matrix", ALLOCSET_DEFAULT_SIZES);
	TagrecMatrix *m = MemoryContextAllocZero(context, sizeof(TagrecMatrix));

	m->context = context;
	m->rows = source->rows;
	m->width = source->width;
	m->unit_width = source->unit_width;
	m->key_type = source->key_type;
	m->collation = source->collation;
	m->stride = tr_dot_stride(source->width);
	m->value = aligned_floats(context, (size_t) m->rows * m->stride);
	m->unit_norm = MemoryContextAllocHuge(context, ((Size) m->rows + 1) * sizeof(float));
	m->key = MemoryContextAllocHuge(context, ((Size) m->rows + 1) * sizeof(Datum));
	return m;
}

TagrecMatrix *
tagrec_matrix_load(const TagrecMatrixSource *source)
{
	Loader		loader = {.source = source};

	loader.matrix = allocate(source);
	loader.filled = palloc0((TR_BIT_WORDS(source->rows) + 1) * sizeof(uint64));
	get_typlenbyval(source->key_type, &loader.key_length, &loader.key_by_value);
	read_rows(&loader);
	if (loader.rows != source->rows)
		incomplete(source, psprintf("It has %d rows instead of %d.", loader.rows, source->rows));
	pfree(loader.filled);
	loader.matrix->bytes = MemoryContextMemAllocated(loader.matrix->context, true);
	return loader.matrix;
}

void
tagrec_matrix_free(TagrecMatrix *matrix)
{
	MemoryContextDelete(matrix->context);
}

int32
tagrec_matrix_find(const TagrecMatrix *matrix, Datum key)
{
	TypeCacheEntry *type = lookup_type_cache(matrix->key_type, TYPECACHE_CMP_PROC_FINFO);
	int32		low = 0;
	int32		high = matrix->rows - 1;

	while (low <= high)
	{
		int32		middle = low + (high - low) / 2;
		int32		order = DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo, matrix->collation, key,
															matrix->key[middle]));

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}
