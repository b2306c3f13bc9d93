/*
 * Reading embeddings into a matrix. See matrix.h.
 */
#include "pg/serve/matrix.h"

#include <math.h>

#include "core/topn.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

typedef struct Loader
{
	TagrecTable *table;
	TagrecMatrix *matrix;
	uint64	   *filled;			/* positions seen */
	int32		rows;			/* read */
	int16		key_length;
	bool		key_by_value;
} Loader;

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

/* Where the row goes: items say it, and users come in the order of their keys. */
static int32
row_position(Loader *loader, const TagrecScan *scan)
{
	int32		rows = loader->matrix->rows;
	int32		position = loader->table->which == TAGREC_ITEMS ? tagrec_get_int(scan, Item_position, rows) : loader->rows;

	if (position >= rows || tr_bit_test(loader->filled, position))
		tagrec_version_corrupted(loader->table->version,
								 psprintf("Relation \"%s\" has a duplicate position, or more than %d rows.",
										  RelationGetRelationName(loader->table->relation), rows));
	tr_bit_set(loader->filled, position);
	return position;
}

static void
take_row(Loader *loader, const TagrecScan *scan)
{
	TagrecMatrix *m = loader->matrix;
	bool		items = loader->table->which == TAGREC_ITEMS;
	int32		position = row_position(loader, scan);
	float	   *row = m->value + (size_t) position * m->stride;

	m->key[position] = copy_key(loader, tagrec_get_key(scan, items ? (int) Item_item_id : (int) User_user_id));
	tagrec_get_embedding(scan, items ? (int) Item_embedding : (int) User_embedding, row);
	memset(row + m->width, 0, (m->stride - m->width) * sizeof(float));
	m->unit_norm[position] = tagrec_norm(row, m->unit_width);
	loader->rows++;
}

static void
read_rows(Loader *loader)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "tagrec matrix rows", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = loader->table->which == TAGREC_ITEMS ? tagrec_scan_all(loader->table)
		: tagrec_scan_ordered(loader->table);

	while (tagrec_scan_next(&scan))
	{
		MemoryContext before = MemoryContextSwitchTo(batch);

		take_row(loader, &scan);
		MemoryContextSwitchTo(before);
		MemoryContextReset(batch);
	}
	tagrec_scan_end(&scan);
	MemoryContextDelete(batch);
}

static TagrecMatrix *
allocate(const TagrecTable *table)
{
	const TagrecVersion *version = table->version;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec matrix", ALLOCSET_DEFAULT_SIZES);
	TagrecMatrix *m = MemoryContextAllocZero(context, sizeof(TagrecMatrix));

	m->context = context;
	m->rows = table->which == TAGREC_ITEMS ? version->items : version->users;
	m->width = version->width;
	m->unit_width = version->unit_width;
	m->key_type = table->key_type;
	m->collation = table->collation;
	m->stride = tr_dot_stride(m->width);
	m->value = aligned_floats(context, (size_t) m->rows * m->stride);
	m->unit_norm = MemoryContextAllocHuge(context, ((Size) m->rows + 1) * sizeof(float));
	m->key = MemoryContextAllocHuge(context, ((Size) m->rows + 1) * sizeof(Datum));
	return m;
}

TagrecMatrix *
tagrec_matrix_load(TagrecTable *table)
{
	Loader		loader = {.table = table, .matrix = allocate(table)};
	int32		rows = loader.matrix->rows;

	loader.filled = palloc0((TR_BIT_WORDS(rows) + 1) * sizeof(uint64));
	get_typlenbyval(table->key_type, &loader.key_length, &loader.key_by_value);
	read_rows(&loader);
	if (loader.rows != rows)
		tagrec_version_corrupted(table->version, psprintf("Relation \"%s\" has %d rows instead of %d.",
														  RelationGetRelationName(table->relation), loader.rows, rows));
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
