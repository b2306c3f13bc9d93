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

/* A matrix of the table's rows, nothing of it in memory yet. */
static TagrecMatrix *
describe(const TagrecTable *table)
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
	return m;
}

static TagrecMatrix *
allocate(const TagrecTable *table)
{
	TagrecMatrix *m = describe(table);

	m->value = aligned_floats(m->context, (size_t) m->rows * m->stride);
	m->unit_norm = MemoryContextAllocHuge(m->context, ((Size) m->rows + 1) * sizeof(float));
	m->key = MemoryContextAllocHuge(m->context, ((Size) m->rows + 1) * sizeof(Datum));
	return m;
}

static TagrecMatrix *
load(TagrecTable *table)
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

/* ------------------------------------------------------------------ codes */

/* Searches that do without codes before they are made */
#define SEARCHES_BEFORE 3

/* Rows coded between two looks at the interrupts */
#define CODED_ROWS 4096

/* The part that is coded: all but the few entries behind what similarity compares. */
static int
coded_width(const TagrecMatrix *m)
{
	return m->unit_width > 0 && m->width - m->unit_width <= TR_CODES_MOST_EXTRA ? m->unit_width : m->width;
}

static void *
aligned_bytes(MemoryContext context, size_t n)
{
	return aligned_floats(context, n / sizeof(float));
}

static void
make_codes(TagrecMatrix *m)
{
	TrCodes		plan;
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "tagrec coding", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = AllocSetContextCreate(work_context, "tagrec codes", ALLOCSET_DEFAULT_SIZES);
	void	   *work = aligned_bytes(work_context, tr_codes_work(coded_width(m), m->stride));

	if (tr_codes_plan(&plan, m->value, m->rows, m->width, coded_width(m), m->stride, work))
	{
		TrCodes    *codes = tr_codes_begin(aligned_bytes(context, plan.bytes), &plan, work);

		for (int32 first = 0; first < m->rows; first += CODED_ROWS)
		{
			CHECK_FOR_INTERRUPTS();
			tr_codes_fill(codes, m->value, first, Min(CODED_ROWS, m->rows - first), work);
		}
		m->codes = codes;
		MemoryContextSetParent(context, m->context);
		m->bytes = MemoryContextMemAllocated(m->context, true);
	}
	m->searches = SEARCHES_BEFORE + 1;
	MemoryContextDelete(work_context);
}

static bool
may_have_codes(const TagrecMatrix *m)
{
	return !m->mapping.base && m->rows >= TR_CODES_LEAST_ROWS && coded_width(m) <= TR_CODES_MOST_UNIT;
}

const TrCodes *
tagrec_matrix_codes(TagrecMatrix *matrix)
{
	if (!matrix->codes && may_have_codes(matrix) && matrix->searches <= SEARCHES_BEFORE)
	{
		if (matrix->searches < SEARCHES_BEFORE)
			matrix->searches++;
		else
			make_codes(matrix);
	}
	return matrix->codes;
}

/* ------------------------------------------------------------------ sharing */

enum
{
	VALUES, NORMS, KEYS, KEY_PLACES, CODES
};

static Size
key_size(Datum key, int16 length)
{
	return MAXALIGN(datumGetSize(key, false, length));
}

/* Keys that are not in the Datum itself: their bytes, one behind the other, and where each starts. */
static void
key_pieces(const TagrecMatrix *m, int16 length, TagrecPiece *bytes, TagrecPiece *places)
{
	uint64	   *place = MemoryContextAllocHuge(m->context, ((Size) m->rows + 1) * sizeof(uint64));
	Size		total = 0;
	char	   *data;

	for (int32 row = 0; row < m->rows; row++)
	{
		place[row] = total;
		total += key_size(m->key[row], length);
	}
	data = MemoryContextAllocExtended(m->context, Max(total, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int32 row = 0; row < m->rows; row++)
		memcpy(data + place[row], DatumGetPointer(m->key[row]), datumGetSize(m->key[row], false, length));
	*bytes = (TagrecPiece) {data, total};
	*places = (TagrecPiece) {place, (Size) m->rows * sizeof(uint64)};
}

static void
matrix_pieces(void *part, TagrecPiece *piece)
{
	TagrecMatrix *m = part;
	int16		length;
	bool		by_value;

	if (may_have_codes(m))
		make_codes(m);
	get_typlenbyval(m->key_type, &length, &by_value);
	piece[VALUES] = (TagrecPiece) {m->value, (Size) m->rows * m->stride * sizeof(float)};
	piece[NORMS] = (TagrecPiece) {m->unit_norm, (Size) m->rows * sizeof(float)};
	if (by_value)
		piece[KEYS] = (TagrecPiece) {m->key, (Size) m->rows * sizeof(Datum)};
	else
		key_pieces(m, length, &piece[KEYS], &piece[KEY_PLACES]);
	if (m->codes)
		piece[CODES] = (TagrecPiece) {m->codes, m->codes->bytes};
}

static bool
pieces_are_whole(const TagrecMatrix *m, const TagrecPiece *piece, bool by_value)
{
	const TrCodes *codes = piece[CODES].data;
	Size		rows = m->rows;

	return piece[VALUES].bytes == rows * m->stride * sizeof(float) && piece[NORMS].bytes == rows * sizeof(float) &&
		(by_value ? piece[KEYS].bytes == rows * sizeof(Datum) : piece[KEY_PLACES].bytes == rows * sizeof(uint64)) &&
		(piece[CODES].bytes == 0 || (piece[CODES].bytes >= sizeof(TrCodes) && codes->bytes == piece[CODES].bytes &&
									 codes->rows == m->rows && (Size) codes->stride == m->stride &&
									 codes->width == m->width && codes->unit == coded_width(m)));
}

static void *
matrix_attach(const TagrecTable *table, TagrecMapping *mapping)
{
	TagrecMatrix *m = describe(table);
	const TagrecPiece *piece = mapping->piece;
	int16		length;
	bool		by_value;

	get_typlenbyval(m->key_type, &length, &by_value);
	if (!pieces_are_whole(m, piece, by_value))
	{
		MemoryContextDelete(m->context);
		return NULL;
	}
	m->mapping = *mapping;
	tagrec_unmap_with(m->context, &m->mapping);
	m->value = unconstify(void *, piece[VALUES].data);
	m->unit_norm = unconstify(void *, piece[NORMS].data);
	if (by_value)
		m->key = unconstify(void *, piece[KEYS].data);
	m->key_bytes = piece[KEYS].data;
	m->key_at = piece[KEY_PLACES].data;
	m->codes = piece[CODES].bytes ? piece[CODES].data : NULL;
	m->bytes = MemoryContextMemAllocated(m->context, true);
	return m;
}

static void *
matrix_load(TagrecTable *table)
{
	return load(table);
}

static void
matrix_free(void *part)
{
	tagrec_matrix_free(part);
}

TagrecMatrix *
tagrec_matrix(TagrecTable *table)
{
	static const TagrecShareable kind = {matrix_load, matrix_pieces, matrix_attach, matrix_free};
	const TagrecVersion *version = table->version;
	Size		rows = table->which == TAGREC_ITEMS ? version->items : version->users;

	return tagrec_shared(&kind, table, rows * tr_dot_stride(version->width) * sizeof(float));
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
															tagrec_matrix_key(matrix, middle)));

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}
