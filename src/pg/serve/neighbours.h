/*
 * The weights between features and items of a version, in memory: the sparse part of its scores, as store.h has it.
 */
#ifndef TAGREC_NEIGHBOURS_H
#define TAGREC_NEIGHBOURS_H

#include "postgres.h"

#include "core/model.h"
#include "pg/serve/mapped.h"
#include "pg/store/read.h"

typedef struct TagrecNeighbours
{
	MemoryContext context;		/* holds all of it */
	Size		bytes;
	int32		items;
	int64		features;
	int64	   *ptr;			/* (features+1) */
	int32	   *item;			/* ascending within a feature */
	float	   *weight;
	TagrecMapping mapping;		/* what sessions share of all this, if they do */
} TagrecNeighbours;

/* Features of a version, of all kinds it has. */
extern int64 tagrec_feature_count(const TagrecVersion *version);

/* In a context of its own below the current one. */
extern TagrecNeighbours *tagrec_neighbours(TagrecTable *table);
extern void tagrec_neighbours_free(TagrecNeighbours *neighbours);

/*
 * sum (items) += the sparse part of a user's scores. Both functions add in the order of the features, so that a score is
 * the same number in every query.
 */
extern void tagrec_neighbours_scatter(const TagrecNeighbours *neighbours, const TrSparse *user, float *sum);
extern float tagrec_neighbours_pair(const TagrecNeighbours *neighbours, const TrSparse *user, int32 item);

/* Users of a block that such sums are kept of at a time: `most`, or fewer when there are very many items. */
extern int	tagrec_neighbours_block(const TagrecNeighbours *neighbours, int most);

/* An item's weight for a feature; false when it has none. */
extern bool tagrec_neighbours_weight(const TagrecNeighbours *neighbours, int64 feature, int32 item, float *weight);

/* ereport(ERROR) unless the features returned by a network are ascending and valid for the version. */
extern void tagrec_check_features(const TrSparse *user, const TagrecVersion *version);

#endif
