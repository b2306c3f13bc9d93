/*
 * Items like an item by their tags: the cosine of tag profiles ln(1 + count) ln(items / items with the tag). An item's
 * neighbours are looked for when they are first asked for, or all beforehand, and kept.
 *
 * Legend: I items, E (item, tag) entries, N neighbours of an item, at most.
 */
#ifndef TR_TAG_NEIGHBOURS_H
#define TR_TAG_NEIGHBOURS_H

#include "models/base.h"
#include "core/topn.h"

/* What looking for one item's neighbours takes: of each thread. */
typedef struct TrNeighbourRoom
{
	float	   *cosine;			/* with some of the items, one behind the other; zeros between calls */
	int32_t    *shared;			/* those of them that share a tag, and room for one that is there already */
	int64_t    *at;				/* (tags of an item) in tag_item: which of a tag's items comes next */
	TrScored   *found;			/* those that share a tag: all of them, or the best so far and the latest */
	TrScored   *best;			/* (N) */
} TrNeighbourRoom;

typedef struct TrTagNeighbours
{
	const TrDataset *dataset;
	TrMemory   *memory;
	int32_t		limit;			/* N */
	int64_t    *tag_ptr;		/* (T+1) into tag_item */
	int32_t    *tag_item;		/* (E) the items of each tag, ascending */
	float	   *tag_weight;		/* (E) the tag's weight in the unit profile of that item */
	float	   *weight;			/* (E) the same, in the order of the dataset's item profiles */
	int			rooms;
	TrNeighbourRoom *room;		/* NULL = all items' neighbours are found */
	int32_t    *count;			/* (I) neighbours found; -1 = not looked for */
	int32_t    *index;			/* (I,N) ascending */
	float	   *value;			/* (I,N) */
} TrTagNeighbours;

extern size_t tr_tag_neighbours_estimate(const TrShape *shape, int limit);

/* In the dataset of this model, and in its memory. */
extern TrStatus tr_tag_neighbours_create(TrTagNeighbours *n, TrModel *model, int limit, TrError *err);

/*
 * The `limit` nearest items that share a tag with this one, itself left out, and their cosines; ties go to the smaller
 * item.
 */
extern TrSparse tr_tag_neighbours_of(TrTagNeighbours *n, int32_t item);

/* Looks for those of all items, by the threads of the backend. */
extern TrStatus tr_tag_neighbours_find(TrTagNeighbours *n, TrBackend *b, const TrPoll *poll);

/* As tr_tag_neighbours_of() where they are found already; any thread may ask. */
static inline TrSparse
tr_tag_neighbours_found(const TrTagNeighbours *n, int32_t item)
{
	return (TrSparse) {.n = n->count[item], .index = n->index + (size_t) item * (size_t) n->limit,
	.value = n->value + (size_t) item * (size_t) n->limit};
}

#endif
