/*
 * The score of items for users: the score of their arrays, plus the sparse part, less what caution takes off.
 *
 * The score of arrays is their inner product, or, for an algorithm that has score_items (core/model.h), its network's
 * output. The two parts are summed apart and added last, and a part is the same number for a tile of many items as for one:
 * an item has the same score in every query.
 *
 * Legend: B users of a block, N items.
 */
#ifndef TAGREC_SCORER_H
#define TAGREC_SCORER_H

#include "postgres.h"

#include "pg/serve/call.h"

typedef struct TagrecScorer
{
	TagrecEncoder *network;		/* NULL = inner products */
	TagrecMatrix *items;
	const TagrecNeighbours *neighbours; /* NULL = the scores have no sparse part */
	const float *caution;		/* (N) taken off; NULL = nothing is */
	int			width;			/* of the arrays */
	size_t		stride;			/* of the padded arrays */
	int			limit;			/* users at a time */
	int			users;			/* now */
	float	   *vector;			/* (B,width) padded */
	float	   *sparse;			/* (B,N) the sparse part */
} TagrecScorer;

/* For so many users at a time, or fewer when there are very many items: scorer->limit. In the current memory context. */
extern TagrecScorer *tagrec_scorer(TagrecCall *call, int users);

/* Takes the next user's arrays; the array may be padded or not. users = 0 forgets all. */
extern void tagrec_scorer_add(TagrecScorer *scorer, const float *embedding, const TrSparse *features);

/* The same scorer for user u alone, as its first user. */
extern TagrecScorer tagrec_scorer_of(const TagrecScorer *scorer, int u);

/* score[u * ld + i] = the score of item first + i for user u, i = 0 .. n-1, for all users */
extern void tagrec_score_tile(const TagrecScorer *scorer, float *score, size_t ld, int32 first, int32 n);

/* score (n) = the scores of items whose inner products with user 0 these are, as tagrec_score_tile() makes them */
extern void tagrec_score_finish(const TagrecScorer *scorer, float *score, int32 first, int32 n);

/* The score of one item for user u. */
extern float tagrec_score_pair(const TagrecScorer *scorer, int u, int32 item);

/* The score of a pair of arrays, both padded; needs no matrix. network: NULL = the inner product. */
extern float tagrec_score_arrays(TagrecEncoder *network, const float *user, const float *item, int width);

#endif
