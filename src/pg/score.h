/*
 * The best rows of a matrix for a vector.
 */
#ifndef TAGREC_SCORE_H
#define TAGREC_SCORE_H

#include "postgres.h"

#include "call.h"
#include "core/topn.h"
#include "matrix.h"

typedef struct TagrecSearch
{
	const TagrecMatrix *matrix;
	const float *query;			/* padded as the matrix's rows */
	const float *sparse;		/* (rows) added to the inner products, NULL = nothing */
	bool		cosine;			/* compare the first unit_width entries by angle, not the arrays by inner product */
	const uint64 *skip;			/* rows left out, NULL = none */
	const int32 *only;			/* (n_only) rows to choose from, ascending; NULL = all */
	int			n_only;
	int			n;				/* rows wanted */
} TagrecSearch;

/* The best first; fewer than n when there are no more. In the current memory context. Runs no SQL. */
extern TrTopN tagrec_search(const TagrecSearch *search);

/* score (n) += sparse (n): the two parts of a score are summed apart, and added last. */
extern void tagrec_add(float *score, const float *sparse, int n);

/* The set of a user's items, for TagrecSearch.skip. */
extern uint64 *tagrec_seen_set(const TagrecRow *row, int32 items);

/*
 * Recommends items for a padded user array and a user's features: the best n of the candidates (NULL = all), those in
 * `seen` left out. Puts rows (rank, item, score) into the tuplestore of the set-returning function; ends the call.
 * item_type = TEXTOID or what the caller asked for.
 */
extern void tagrec_recommend_items(FunctionCallInfo fcinfo, TagrecCall *call, const float *query, const TrSparse *features,
								   const TagrecRow *seen, ArrayType *candidates, int n, Oid item_type);

/* Puts rows (rank, key, score) of a search's result into the tuplestore, and ends the call. */
extern void tagrec_return_ranking(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *matrix,
								  const TrTopN *top, Oid key_type);

#endif
