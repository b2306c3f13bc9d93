/*
 * Ranking metrics from the ranks of the relevant items.
 */
#include <math.h>
#include <stdlib.h>

#include "core/metrics.h"

const char *const tr_metric_names[] = {"ndcg", "recall", "precision", "hit", "mrr", "mrr_pair", NULL};

/* Does item j come before item i? */
static inline int
before(const float *score, int32_t j, int32_t i)
{
	if (isnan(score[i]))
		return !isnan(score[j]) || j < i;
	return score[j] > score[i] || (score[j] == score[i] && j < i);
}

void
tr_ranks(int32_t *rank, const float *score, int32_t n_items, const uint8_t *excluded, const int32_t *relevant, int32_t n)
{
	for (int32_t r = 0; r < n; r++)
	{
		int32_t		ahead = 0;

		for (int32_t j = 0; j < n_items; j++)
			ahead += before(score, j, relevant[r]) & !excluded[j];
		rank[r] = ahead + 1;
	}
}

static int
compare_ranks(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

static double
ndcg(int k, const int32_t *rank, int32_t n)
{
	double		gain = 0;
	double		ideal = 0;

	for (int32_t i = 0; i < n && rank[i] <= k; i++)
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
		sum += 1.0 / rank[i];
	return sum / n;
}

double
tr_metric(TrMetric metric, int k, int32_t *rank, int32_t n)
{
	int32_t		hits = 0;

	qsort(rank, (size_t) n, sizeof(*rank), compare_ranks);
	while (hits < n && rank[hits] <= k)
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
			return 1.0 / rank[0];
		case TR_METRIC_MRR_PAIR:
			return mean_reciprocal(rank, n);
	}
	return NAN;
}
