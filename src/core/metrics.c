/*
 * Ranking metrics from the ranks of the relevant items, and means of them.
 */
#include <math.h>
#include <stdlib.h>

#include "core/metrics.h"
#include "core/simd.h"

const char *const tr_metric_names[] = {"ndcg", "recall", "precision", "hit", "mrr", "mrr_pair", "f1", "map", "rmse", "mae", NULL};
const char *const tr_ranking_metric_names[] = {"ndcg", "recall", "precision", "hit", "mrr", "mrr_pair", "f1", "map", NULL};
const char *const tr_error_metric_names[] = {"rmse", "mae", NULL};

/* How many scores are above the bar; of those that equal it, with_ties says. */
static inline __attribute__((always_inline)) int32_t
count_before(const float *score, int32_t n, float bar, bool with_ties)
{
	int32_t		count = 0;

	if (with_ties)
		for (int32_t i = 0; i < n; i++)
			count += score[i] >= bar;
	else
		for (int32_t i = 0; i < n; i++)
			count += score[i] > bar;
	return count;
}

TR_CLONES void
tr_ranks_tile(int32_t *ahead, const int32_t *relevant, const float *bar, int32_t n_relevant, const float *score,
			  int32_t first, int32_t n)
{
	for (int32_t r = 0; r < n_relevant; r++)
	{
		int32_t		smaller = relevant[r] - first;	/* items of the tile with a smaller index */

		smaller = smaller < 0 ? 0 : smaller > n ? n : smaller;
		ahead[r] += count_before(score, smaller, bar[r], true);
		ahead[r] += count_before(score + smaller, n - smaller, bar[r], false);
	}
}

static int
compare_ranks(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

static inline bool
within(int32_t rank, int k)
{
	return rank <= k && rank < TR_UNRANKED;
}

static inline double
reciprocal(int32_t rank)
{
	return rank < TR_UNRANKED ? 1.0 / rank : 0;
}

static double
ndcg(int k, const int32_t *rank, int32_t n)
{
	double		gain = 0;
	double		ideal = 0;

	for (int32_t i = 0; i < n && within(rank[i], k); i++)
		gain += 1 / log2(rank[i] + 1.0);
	for (int32_t i = 0; i < n && i < k; i++)
		ideal += 1 / log2(i + 2.0);
	return gain / ideal;
}

static double
mean_reciprocal(const int32_t *rank, int32_t n)
{
	double		sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += reciprocal(rank[i]);
	return sum / n;
}

static double
f1(double precision, double recall)
{
	return precision > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

static double
average_precision(int k, const int32_t *rank, int32_t n)
{
	double		sum = 0;

	for (int32_t i = 0; i < n && within(rank[i], k); i++)
		sum += (i + 1.0) / rank[i];
	return sum / (n < k ? n : k);
}

double
tr_auc(int32_t *rank, int32_t n, int32_t candidates)
{
	int32_t		ranked = 0;
	int32_t		others;
	double		ahead = 0;		/* pairs in the wrong order */

	qsort(rank, (size_t) n, sizeof(*rank), compare_ranks);
	for (; ranked < n && rank[ranked] < TR_UNRANKED; ranked++)
		ahead += rank[ranked] - 1.0 - ranked;
	others = candidates - ranked;
	if (others <= 0)
		return NAN;
	ahead += (double) (n - ranked) * others;
	return 1 - ahead / ((double) n * others);
}

double
tr_metric(TrMetric metric, int k, int32_t *rank, int32_t n)
{
	int32_t		hits = 0;

	qsort(rank, (size_t) n, sizeof(*rank), compare_ranks);
	while (hits < n && within(rank[hits], k))
		hits++;
	switch (metric)
	{
		case TR_METRIC_NDCG:
			return ndcg(k, rank, n);
		case TR_METRIC_RECALL:
			return (double) hits / n;
		case TR_METRIC_PRECISION:
			return (double) hits / k;
		case TR_METRIC_HIT:
			return hits > 0;
		case TR_METRIC_MRR:
			return reciprocal(rank[0]);
		case TR_METRIC_MRR_PAIR:
			return mean_reciprocal(rank, n);
		case TR_METRIC_F1:
			return f1((double) hits / k, (double) hits / n);
		case TR_METRIC_MAP:
			return average_precision(k, rank, n);
		case TR_METRIC_RMSE:
		case TR_METRIC_MAE:
			break;
	}
	return NAN;
}

double
tr_metric_of_errors(TrMetric metric, const float *predicted, const float *value, int32_t n)
{
	double		sum = 0;

	for (int32_t i = 0; i < n; i++)
	{
		double		error = (double) predicted[i] - value[i];

		sum += metric == TR_METRIC_RMSE ? error * error : fabs(error);
	}
	return sum / n;
}

/* Is it one of those that were kept? Before tr_topn_sort(), the worst of them comes first. */
static bool
in_top(const TrTopN *top, float score, int32_t index)
{
	TrScored	scored = {score, index};

	return top->count > 0 && score == score && !tr_scored_better(top->best[0], scored);
}

double
tr_top_precision(const float *predicted, const float *value, int32_t n, int percent, TrScored *room)
{
	int32_t		limit = (int32_t) (((int64_t) n * percent + 99) / 100);
	int32_t		hits = 0;
	TrTopN		best;
	TrTopN		right;

	tr_topn_init(&best, room, limit);
	tr_topn_init(&right, room + n, limit);
	for (int32_t i = 0; i < n; i++)
	{
		tr_topn_offer(&best, predicted[i], i);
		tr_topn_offer(&right, value[i], i);
	}
	for (int32_t i = 0; i < n; i++)
		hits += in_top(&best, predicted[i], i) && in_top(&right, value[i], i);
	return (double) hits / limit;
}

/* Welford's update: no difference of large sums. */
void
tr_mean_add(TrMean *mean, double value, double weight)
{
	double		total = value * weight - mean->total;	/* deviations from the means so far */
	double		wide = weight - mean->weight;

	mean->count++;
	mean->total += total / (double) mean->count;
	mean->weight += wide / (double) mean->count;
	mean->tt += total * (value * weight - mean->total);
	mean->tw += total * (weight - mean->weight);
	mean->ww += wide * (weight - mean->weight);
}

double
tr_mean_value(const TrMean *mean)
{
	return mean->count > 0 ? mean->total / mean->weight : NAN;
}

double
tr_mean_error(const TrMean *mean)
{
	double		ratio = tr_mean_value(mean);
	double		square = mean->tt - 2 * ratio * mean->tw + ratio * ratio * mean->ww;

	if (mean->count < 2)
		return NAN;
	return sqrt((square > 0 ? square : 0) / (double) (mean->count - 1) / (double) mean->count) / mean->weight;
}

double
tr_metric_value(TrMetric metric, const TrMean *mean)
{
	double		value = tr_mean_value(mean);

	return metric == TR_METRIC_RMSE ? sqrt(value) : value;
}

/* The root's error follows from that of its square: to first order, it is divided by twice the root. */
double
tr_metric_error(TrMetric metric, const TrMean *mean)
{
	double		error = tr_mean_error(mean);
	double		root = tr_metric_value(metric, mean);

	if (metric != TR_METRIC_RMSE)
		return error;
	return root > 0 ? error / (2 * root) : error;
}
