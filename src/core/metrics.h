/*
 * Ranking quality of one user's list (DESIGN of the evaluation: candidates are all items but the user's training items;
 * ties go to the smaller index, that is, to the smaller key).
 */
#ifndef TR_METRICS_H
#define TR_METRICS_H

#include <stdint.h>

typedef enum TrMetric
{
	TR_METRIC_NDCG,				/* at k, log2 discount, ideal = min(k, relevant) */
	TR_METRIC_RECALL,			/* at k */
	TR_METRIC_PRECISION,		/* at k */
	TR_METRIC_HIT,				/* at k */
	TR_METRIC_MRR,				/* 1 / rank of the first relevant item, whatever k */
	TR_METRIC_MRR_PAIR			/* mean of 1 / rank over the relevant items, whatever k */
} TrMetric;

extern const char *const tr_metric_names[];	/* "ndcg", …, ends with NULL */

/*
 * rank (n) = 1-based rank of each relevant item among the n_items scores, items with excluded[item] != 0 left out (a
 * relevant item is never excluded). A NaN score ranks last.
 */
extern void tr_ranks(int32_t *rank, const float *score, int32_t n_items, const uint8_t *excluded,
					 const int32_t *relevant, int32_t n);

/* The metric of one user from the ranks of his n > 0 relevant items; the ranks get sorted. */
extern double tr_metric(TrMetric metric, int k, int32_t *rank, int32_t n);

#endif
