/*
 * The best items by score, or the rows of a matrix most similar to a vector.
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
	const uint64 *out;			/* the set of further rows left out, when only is NULL; NULL = none */
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

#endif
