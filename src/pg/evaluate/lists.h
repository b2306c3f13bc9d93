/*
 * What the lists of the measured users are like, apart from hits: novelty, diversity, coverage.
 */
#ifndef TAGREC_LISTS_H
#define TAGREC_LISTS_H

#include "pg/evaluate/test.h"

typedef struct TagrecLists
{
	int			n_k;
	double	   *novelty;		/* (groups,n_k) of a list's items: mean of log2(users / users who have it); NAN = no list */
	double	   *diversity;		/* (groups,n_k) of pairs of its items: mean of 1 - cosine; NAN also without embeddings */
	double	   *coverage;		/* (n_k) share of the candidates that are in a list */
} TagrecLists;

/*
 * Of the best k[0] < k[1] < … candidates for each user, of the task item, whose group `measured` says so. In the current
 * memory context.
 */
extern TagrecLists *tagrec_make_lists(const TagrecVersion *version, const TagrecTest *test, const bool *measured,
									  bool exclude_seen, const int *k, int n_k);

#endif
