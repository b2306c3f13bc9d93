/*
 * Lists whose items differ: maximal marginal relevance over the embeddings.
 */
#ifndef TAGREC_DIVERSITY_H
#define TAGREC_DIVERSITY_H

#include "postgres.h"

#include "core/topn.h"
#include "pg/serve/matrix.h"

/*
 * Puts the first rows of a sorted list, at most `pool`, in the order in which they maximize, one after the other,
 *
 *     (1 - diversity) * relevance - diversity * similarity
 *
 * relevance: the score, scaled to 0 .. 1 within the pool; similarity: the largest cosine of a row's unit part to those
 * before it, at least 0. Ties go to the higher score. The order depends on the pool alone, so that it is the same whatever
 * part of the list is asked for; after the first `wanted` rows it need not be made.
 */
extern void tagrec_diversify(const TagrecMatrix *matrix, double diversity, int pool, int32 wanted, TrTopN *top);

#endif
