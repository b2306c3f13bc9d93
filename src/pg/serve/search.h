/*
 * The best items by score, the rows of a matrix most similar to a vector, and returning them.
 */
#ifndef TAGREC_SEARCH_H
#define TAGREC_SEARCH_H

#include "postgres.h"

#include "core/topn.h"
#include "pg/serve/call.h"
#include "pg/serve/scorer.h"

typedef struct TagrecSearch
{
	const TagrecScorer *scorer; /* scores items for its first user; NULL = by the cosine of the unit parts, */
	TagrecMatrix *matrix;		/* of its rows */
	const float *query;			/* and this, padded as they are */
	const int32 *skip;			/* (n_skip) rows left out, ascending */
	int			n_skip;
	const int32 *only;			/* (n_only) rows to choose from, ascending; NULL = all */
	int			n_only;
	int			n;				/* rows wanted */
} TagrecSearch;

/* This session's searches of all rows. */
typedef struct TagrecSearchCounts
{
	int64		searches;
	int64		by_bounds;		/* of them */
	int64		rows;			/* that there were */
	int64		scored;			/* of them */
} TagrecSearchCounts;

extern const TagrecSearchCounts *tagrec_searches(void);

/* The best first; fewer than n when there are no more. In the current memory context. */
extern TrTopN tagrec_search(const TagrecSearch *search);

/*
 * Recommends items for a user's array and features: the best n of the candidates (NULL = all), those in
 * `seen` left out. Puts rows (rank, item, score) into the tuplestore of the set-returning function; ends the call.
 * item_type = TEXTOID or what the caller asked for.
 */
extern void tagrec_recommend_items(FunctionCallInfo fcinfo, TagrecCall *call, const float *query, const TrSparse *features,
								   const TagrecRow *seen, ArrayType *candidates, int n, Oid item_type);

/* Puts rows (rank, key, score) of a search's result into the tuplestore, and ends the call. */
extern void tagrec_return_ranking(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *matrix,
								  const TrTopN *top, Oid key_type);

#endif
