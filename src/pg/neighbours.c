/*
 * Reading the weights of a version, and scoring with them. See neighbours.h.
 */
#include "neighbours.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "version_read.h"

/* Rows fetched from the cursor at a time: one may hold a weight for every item. */
#define FETCH_ROWS 100

/* Bytes that the sums of a block of users may take. */
#define BLOCK_BYTES ((Size) 64 << 20)

/* Columns of the query. */
enum
{
	Col_feature = 1,
	Col_items,
	Col_weights
};

typedef struct Loader
{
	const TagrecVersion *version;
	TagrecNeighbours *neighbours;
	int64		read;			/* features whose end is known */
	int64		capacity;
} Loader;

int64
tagrec_feature_count(const TagrecVersion *version)
{
	return tr_feature_count(version->features, version->users, version->items, version->tags);
}

/* ------------------------------------------------------------------ loading */

static void
reserve(Loader *loader, int64 wanted)
{
	TagrecNeighbours *n = loader->neighbours;

	if (wanted <= loader->capacity)
		return;
	loader->capacity = Max(wanted, loader->capacity + loader->capacity / 2);
	n->item = repalloc_huge(n->item, loader->capacity * sizeof(int32));
	n->weight = repalloc_huge(n->weight, loader->capacity * sizeof(float));
}

/* An array of 4-byte values without nulls. */
static ArrayType *
array_column(const Loader *loader, HeapTuple tuple, TupleDesc desc, int column, int *count)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, column, &isnull);
	ArrayType  *array = isnull ? NULL : DatumGetArrayTypeP(value);

	if (!array || ARR_NDIM(array) > 1 || ARR_HASNULL(array))
		tagrec_version_corrupted(loader->version, "The items or weights of a feature are null, or have nulls.");
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return array;
}

static void
check_items(const Loader *loader, const int32 *item, int n)
{
	for (int i = 0; i < n; i++)
		if (item[i] < 0 || item[i] >= loader->version->items || (i > 0 && item[i] <= item[i - 1]))
			tagrec_version_corrupted(loader->version, psprintf("A feature refers to item %d of %d, or not in order.",
														  item[i], loader->version->items));
}

static void
take_row(Loader *loader, HeapTuple tuple, TupleDesc desc)
{
	TagrecNeighbours *n = loader->neighbours;
	bool		isnull;
	int32		feature = DatumGetInt32(SPI_getbinval(tuple, desc, Col_feature, &isnull));
	int			n_items;
	int			n_weights;
	ArrayType  *items = array_column(loader, tuple, desc, Col_items, &n_items);
	ArrayType  *weights = array_column(loader, tuple, desc, Col_weights, &n_weights);
	int64		start = n->ptr[loader->read];

	if (isnull || feature < loader->read || feature >= n->features || n_items != n_weights)
		tagrec_version_corrupted(loader->version, psprintf("It has weights of feature %d of %lld, which it should not, or"
													  " not one per item.", feature, (long long) n->features));
	check_items(loader, (const int32 *) ARR_DATA_PTR(items), n_items);
	reserve(loader, start + n_items);
	memcpy(n->item + start, ARR_DATA_PTR(items), n_items * sizeof(int32));
	memcpy(n->weight + start, ARR_DATA_PTR(weights), n_items * sizeof(float));
	/* those without a row have no weights */
	while (loader->read < feature)
		n->ptr[++loader->read] = start;
	n->ptr[++loader->read] = start + n_items;
}

static void
read_rows(Loader *loader, const char *relation)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(old, "tagrec neighbour rows", ALLOCSET_DEFAULT_SIZES);
	char	   *query = psprintf("SELECT feature, items, weights FROM %s WHERE version OPERATOR(pg_catalog.=) %d"
								 " ORDER BY feature", relation, loader->version->version);
	Portal		cursor = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
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

TagrecNeighbours *
tagrec_neighbours_load(const TagrecVersion *version, const char *relation)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec neighbours", ALLOCSET_DEFAULT_SIZES);
	TagrecNeighbours *n = MemoryContextAllocZero(context, sizeof(TagrecNeighbours));
	Loader		loader = {.version = version, .neighbours = n, .capacity = 1024};

	n->context = context;
	n->items = version->items;
	n->features = tagrec_feature_count(version);
	n->ptr = MemoryContextAllocHuge(context, (n->features + 1) * sizeof(int64));
	n->item = MemoryContextAllocHuge(context, loader.capacity * sizeof(int32));
	n->weight = MemoryContextAllocHuge(context, loader.capacity * sizeof(float));
	n->ptr[0] = 0;
	read_rows(&loader, relation);
	while (loader.read < n->features)
	{
		n->ptr[loader.read + 1] = n->ptr[loader.read];
		loader.read++;
	}
	n->bytes = MemoryContextMemAllocated(context, true);
	return n;
}

void
tagrec_neighbours_free(TagrecNeighbours *neighbours)
{
	MemoryContextDelete(neighbours->context);
}

/* ------------------------------------------------------------------ scoring */

void
tagrec_check_features(const TrSparse *user, int64 features, const char *relation)
{
	for (int32 f = 0; f < user->n; f++)
		if (user->index[f] < 0 || user->index[f] >= features || (f > 0 && user->index[f] <= user->index[f - 1]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the features of a user in relation %s are not in order, or not below %lld", relation,
							(long long) features)));
}

void
tagrec_neighbours_scatter(const TagrecNeighbours *neighbours, const TrSparse *user, float *sum)
{
	for (int32 f = 0; f < user->n; f++)
	{
		float		value = user->value[f];
		int64		end = neighbours->ptr[user->index[f] + 1];

		CHECK_FOR_INTERRUPTS();
		for (int64 e = neighbours->ptr[user->index[f]]; e < end; e++)
			sum[neighbours->item[e]] += value * neighbours->weight[e];
	}
}

static const void *
user_array(Datum value, Oid type, int *count, const char *relation)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the features of a user in relation %s are not the arrays that were stored in it", relation)));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

void
tagrec_neighbours_sum(const TagrecNeighbours *neighbours, Datum features, Datum values, const char *relation, float *sum)
{
	TrSparse	user;
	int			n_features;
	int			n_values;

	user.index = user_array(features, INT4OID, &n_features, relation);
	user.value = user_array(values, FLOAT4OID, &n_values, relation);
	user.n = Min(n_features, n_values);
	tagrec_check_features(&user, neighbours->features, relation);
	memset(sum, 0, neighbours->items * sizeof(float));
	tagrec_neighbours_scatter(neighbours, &user, sum);
}

int
tagrec_neighbours_block(const TagrecNeighbours *neighbours, int most)
{
	Size		fit = BLOCK_BYTES / (Max(neighbours->items, 1) * sizeof(float));

	return (int) Min((Size) most, Max(fit, 1));
}

bool
tagrec_neighbours_weight(const TagrecNeighbours *neighbours, int64 feature, int32 item, float *weight)
{
	int64		low = neighbours->ptr[feature];
	int64		end = neighbours->ptr[feature + 1];
	int64		high = end;

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (neighbours->item[middle] < item)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == end || neighbours->item[low] != item)
		return false;
	*weight = neighbours->weight[low];
	return true;
}

float
tagrec_neighbours_pair(const TagrecNeighbours *neighbours, const TrSparse *user, int32 item)
{
	float		sum = 0;
	float		weight;

	for (int32 f = 0; f < user->n; f++)
		if (tagrec_neighbours_weight(neighbours, user->index[f], item, &weight))
			sum += user->value[f] * weight;
	return sum;
}
