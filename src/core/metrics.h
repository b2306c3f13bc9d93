/*
 * Ranking quality of one user's list, and errors of predicted values: see doc/evaluation.md. Ties go to the smaller
 * index, that is, to the smaller key.
 */
#ifndef TR_METRICS_H
#define TR_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/topn.h"

typedef enum TrMetric
{
	TR_METRIC_NDCG,				/* at k, log2 discount, ideal = min(k, relevant) */
	TR_METRIC_RECALL,			/* at k */
	TR_METRIC_PRECISION,		/* at k */
	TR_METRIC_HIT,				/* at k */
	TR_METRIC_MRR,				/* 1 / rank of the first relevant item, whatever k */
	TR_METRIC_MRR_PAIR,			/* mean of 1 / rank over the relevant items, whatever k */
	TR_METRIC_F1,				/* at k, harmonic mean of precision and recall; 0 when both are */
	TR_METRIC_MAP,				/* at k, mean precision at the hits; of min(k, relevant) */

	/* of predicted values, over all pairs; smaller is better */
	TR_METRIC_RMSE,				/* square root of the mean squared error */
	TR_METRIC_MAE				/* mean absolute error */
} TrMetric;

#define TR_METRICS (TR_METRIC_MAE + 1)

extern const char *const tr_metric_names[];	/* "ndcg", …, ends with NULL */
extern const char *const tr_ranking_metric_names[];	/* the same without those of predicted values, which are the last */
extern const char *const tr_error_metric_names[];	/* these alone */

static inline bool
tr_metric_is_error(TrMetric metric)
{
	return metric == TR_METRIC_RMSE || metric == TR_METRIC_MAE;
}

static inline bool
tr_metric_better(TrMetric metric, double value, double than)
{
	return tr_metric_is_error(metric) ? value < than : value > than;
}

/* Does the metric depend on k? */
static inline bool
tr_metric_has_k(TrMetric metric)
{
	return metric != TR_METRIC_MRR && metric != TR_METRIC_MRR_PAIR && !tr_metric_is_error(metric);
}

/* The rank of an item that can never be recommended: it counts as relevant, and as found at no k; 1 / rank is 0. */
#define TR_UNRANKED INT32_MAX

/*
 * Ranks, in passes over tiles of items: ahead[r] += how many of score[0..n-1], the scores of items first, first + 1, …,
 * come before the relevant item relevant[r], whose score is bar[r]. Over all tiles, ahead + 1 is the rank. A NaN score
 * comes before nothing, which is also how to leave an item out; a bar must be a number.
 */
extern void tr_ranks_tile(int32_t *ahead, const int32_t *relevant, const float *bar, int32_t n_relevant,
						  const float *score, int32_t first, int32_t n);

/* The metric of one user from the ranks of the user's n > 0 relevant items; the ranks get sorted. */
extern double tr_metric(TrMetric metric, int k, int32_t *rank, int32_t n);

/*
 * The area under the ROC curve: how likely a relevant item comes before one that is not, of so many candidates; an item
 * that can never be recommended comes behind all. NAN when all candidates are relevant. The ranks get sorted.
 */
extern double tr_auc(int32_t *rank, int32_t n, int32_t candidates);

/* Of one user's n > 0 predictions: the mean squared error for TR_METRIC_RMSE, the mean absolute one for TR_METRIC_MAE. */
extern double tr_metric_of_errors(TrMetric metric, const float *predicted, const float *value, int32_t n);

/*
 * Of one user's n > 0 predictions: how many of the top percent of them, rounded up, are among as many of the highest
 * values; ties go to the smaller index. room (2n) is work space.
 */
extern double tr_top_precision(const float *predicted, const float *value, int32_t n, int percent, TrScored *room);

/* What the user's value weighs in the mean over users: 1, or n for a mean over pairs. */
static inline double
tr_metric_weight(TrMetric metric, int32_t n)
{
	return metric == TR_METRIC_MRR_PAIR || tr_metric_is_error(metric) ? n : 1;
}

/*
 * A mean over users that come one by one, with its standard error. Weighted, it is the ratio of two sums over users, and
 * the error is that of such a ratio: users are what was sampled, not pairs.
 */
typedef struct TrMean
{
	int64_t		count;
	double		total,			/* means over users of value * weight, and of weight */
				weight;
	double		tt,				/* sums of products of the deviations from the two */
				tw,
				ww;
} TrMean;

extern void tr_mean_add(TrMean *mean, double value, double weight);
extern double tr_mean_value(const TrMean *mean);	/* NAN without users */
extern double tr_mean_error(const TrMean *mean);	/* NAN with fewer than two */

/* The metric, and its standard error, from the mean over users: of RMSE, the root of it. */
extern double tr_metric_value(TrMetric metric, const TrMean *mean);
extern double tr_metric_error(TrMetric metric, const TrMean *mean);

#endif
