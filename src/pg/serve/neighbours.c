/*
 * Reading the weights of a version, and scoring with them. See neighbours.h.
 */
#include "pg/serve/neighbours.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Bytes that the sums of a block of users may take. */
#define BLOCK_BYTES ((Size) 64 << 20)

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

static void
take_row(Loader *loader, const TagrecScan *scan)
{
	TagrecNeighbours *n = loader->neighbours;
	int64		feature = tagrec_get_int(scan, Neighbour_feature, n->features);
	TrSparse	weights = tagrec_get_sparse(scan, Neighbour_items, Neighbour_weights, n->items);
	int64		start = n->ptr[loader->read];

	if (feature < loader->read)
		tagrec_version_corrupted(loader->version, psprintf("It has weights of feature %lld twice.", (long long) feature));
	reserve(loader, start + weights.n);
	memcpy(n->item + start, weights.index, weights.n * sizeof(int32));
	memcpy(n->weight + start, weights.value, weights.n * sizeof(float));
	/* those without a row have no weights */
	while (loader->read < feature)
		n->ptr[++loader->read] = start;
	n->ptr[++loader->read] = start + weights.n;
}

static void
read_rows(Loader *loader, TagrecTable *table)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "tagrec neighbour rows", ALLOCSET_DEFAULT_SIZES);
	TagrecScan	scan = tagrec_scan_ordered(table);

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

/*
 * A version without any weights was never written to, and has no blocks. Where rows are there that the snapshot does not
 * show (ALTER TABLE has rewritten them since it was taken, or they were deleted), no session may go on with none, nor share
 * them.
 */
static void
check_any_read(const Loader *loader, const TagrecTable *table)
{
	if (loader->read == 0 && RelationGetNumberOfBlocks(table->relation) > 0)
		tagrec_version_corrupted(loader->version, psprintf("Relation \"%s\" has no rows.",
														   RelationGetRelationName(table->relation)));
}

/* Nothing of it in memory yet. */
static TagrecNeighbours *
describe(const TagrecTable *table)
{
	const TagrecVersion *version = table->version;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec neighbours", ALLOCSET_DEFAULT_SIZES);
	TagrecNeighbours *n = MemoryContextAllocZero(context, sizeof(TagrecNeighbours));

	n->context = context;
	n->items = version->items;
	n->features = tagrec_feature_count(version);
	return n;
}

static void *
load(TagrecTable *table)
{
	TagrecNeighbours *n = describe(table);
	Loader		loader = {.version = table->version, .neighbours = n, .capacity = 1024};

	n->ptr = MemoryContextAllocHuge(n->context, (n->features + 1) * sizeof(int64));
	n->item = MemoryContextAllocHuge(n->context, loader.capacity * sizeof(int32));
	n->weight = MemoryContextAllocHuge(n->context, loader.capacity * sizeof(float));
	n->ptr[0] = 0;
	read_rows(&loader, table);
	check_any_read(&loader, table);
	while (loader.read < n->features)
	{
		n->ptr[loader.read + 1] = n->ptr[loader.read];
		loader.read++;
	}
	n->bytes = MemoryContextMemAllocated(n->context, true);
	return n;
}

/* ------------------------------------------------------------------ sharing */

enum
{
	ENDS, ITEMS, WEIGHTS
};

static void
pieces(void *part, TagrecPiece *piece)
{
	const TagrecNeighbours *n = part;
	Size		entries = n->ptr[n->features];

	piece[ENDS] = (TagrecPiece) {n->ptr, (n->features + 1) * sizeof(int64)};
	piece[ITEMS] = (TagrecPiece) {n->item, entries * sizeof(int32)};
	piece[WEIGHTS] = (TagrecPiece) {n->weight, entries * sizeof(float)};
}

/* The ends of the features' weights, which places in the file go by. */
static bool
ends_are_right(const TagrecNeighbours *n)
{
	bool		right = n->ptr[0] == 0;

	for (int64 f = 0; f < n->features; f++)
		right &= n->ptr[f] <= n->ptr[f + 1];
	return right;
}

static void *
attach(const TagrecTable *table, TagrecMapping *mapping)
{
	TagrecNeighbours *n = describe(table);
	const TagrecPiece *piece = mapping->piece;

	n->ptr = unconstify(void *, piece[ENDS].data);
	n->item = unconstify(void *, piece[ITEMS].data);
	n->weight = unconstify(void *, piece[WEIGHTS].data);
	if (piece[ENDS].bytes != (n->features + 1) * sizeof(int64) || !ends_are_right(n) ||
		piece[ITEMS].bytes != n->ptr[n->features] * sizeof(int32) || piece[WEIGHTS].bytes != piece[ITEMS].bytes)
	{
		MemoryContextDelete(n->context);
		return NULL;
	}
	n->mapping = *mapping;
	tagrec_unmap_with(n->context, &n->mapping);
	n->bytes = MemoryContextMemAllocated(n->context, true);
	return n;
}

static void
free_part(void *part)
{
	tagrec_neighbours_free(part);
}

TagrecNeighbours *
tagrec_neighbours(TagrecTable *table)
{
	static const TagrecShareable kind = {load, pieces, attach, free_part};

	return tagrec_shared(&kind, table, (Size) RelationGetNumberOfBlocks(table->relation) * BLCKSZ);
}

void
tagrec_neighbours_free(TagrecNeighbours *neighbours)
{
	MemoryContextDelete(neighbours->context);
}

/* ------------------------------------------------------------------ scoring */

void
tagrec_check_features(const TrSparse *user, const TagrecVersion *version)
{
	int64		features = tagrec_feature_count(version);

	for (int32 f = 0; f < user->n; f++)
		if (user->index[f] < 0 || user->index[f] >= features || (f > 0 && user->index[f] <= user->index[f - 1]))
			tagrec_version_corrupted(version, psprintf("Its network returned feature %d of %lld, or features out of order.",
													   user->index[f], (long long) features));
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
