/*
 * Ranks and metrics: values worked out by hand, then a brute-force implementation on random lists; means, standard errors,
 * and the bootstrap.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/bootstrap.h"
#include "core/metrics.h"
#include "core/rng.h"

#define EXACT 1e-12

static double
metric(TrMetric which, int k, const int32_t *rank, int32_t n)
{
	int32_t		copy[16];

	memcpy(copy, rank, (size_t) n * sizeof(int32_t));
	return tr_metric(which, k, copy, n);
}

/* Three relevant items at places 2, 5 and nowhere. */
static void
check_by_hand(void)
{
	const int32_t rank[] = {TR_UNRANKED, 5, 2};
	const double log2_3 = log2(3.0);

	CHECK_NEAR(metric(TR_METRIC_PRECISION, 1, rank, 3), 0, EXACT, "precision@1");
	CHECK_NEAR(metric(TR_METRIC_PRECISION, 2, rank, 3), 0.5, EXACT, "precision@2");
	CHECK_NEAR(metric(TR_METRIC_PRECISION, 5, rank, 3), 0.4, EXACT, "precision@5");
	CHECK_NEAR(metric(TR_METRIC_RECALL, 2, rank, 3), 1.0 / 3, EXACT, "recall@2");
	CHECK_NEAR(metric(TR_METRIC_RECALL, 5, rank, 3), 2.0 / 3, EXACT, "recall@5");
	CHECK_NEAR(metric(TR_METRIC_RECALL, INT32_MAX, rank, 3), 2.0 / 3, EXACT, "recall of everything that can be ranked");
	CHECK_NEAR(metric(TR_METRIC_F1, 1, rank, 3), 0, EXACT, "f1@1");
	CHECK_NEAR(metric(TR_METRIC_F1, 5, rank, 3), 2 * 0.4 * (2.0 / 3) / (0.4 + 2.0 / 3), EXACT, "f1@5");
	CHECK_NEAR(metric(TR_METRIC_HIT, 1, rank, 3), 0, EXACT, "hit@1");
	CHECK_NEAR(metric(TR_METRIC_HIT, 2, rank, 3), 1, EXACT, "hit@2");
	CHECK_NEAR(metric(TR_METRIC_NDCG, 2, rank, 3), (1 / log2_3) / (1 + 1 / log2_3), EXACT, "ndcg@2");
	CHECK_NEAR(metric(TR_METRIC_NDCG, 5, rank, 3), (1 / log2_3 + 1 / log2(6.0)) / (1 + 1 / log2_3 + 0.5), EXACT, "ndcg@5");
	CHECK_NEAR(metric(TR_METRIC_MAP, 2, rank, 3), 0.5 / 2, EXACT, "map@2");
	CHECK_NEAR(metric(TR_METRIC_MAP, 5, rank, 3), (0.5 + 0.4) / 3, EXACT, "map@5");
	CHECK_NEAR(metric(TR_METRIC_MRR, 0, rank, 3), 0.5, EXACT, "mrr");
	CHECK_NEAR(tr_auc((int32_t[]) {TR_UNRANKED, 5, 2}, 3, 10), 0.5, EXACT, "auc");
	CHECK_NEAR(tr_auc((int32_t[]) {1, 2}, 2, 3), 1, EXACT, "auc of the best list");
	CHECK(isnan(tr_auc((int32_t[]) {2, 1}, 2, 2)), "no auc without other candidates");
	CHECK_NEAR(metric(TR_METRIC_MRR_PAIR, 0, rank, 3), (0.5 + 0.2) / 3, EXACT, "mrr_pair");
	CHECK_NEAR(metric(TR_METRIC_NDCG, 10, (int32_t[]) {3, 1, 2}, 3), 1, EXACT, "nothing is better than the ideal list");
	CHECK_NEAR(metric(TR_METRIC_MRR, 0, (int32_t[]) {TR_UNRANKED}, 1), 0, EXACT, "nothing found, nothing gained");
	CHECK(!tr_metric_has_k(TR_METRIC_MRR) && !tr_metric_has_k(TR_METRIC_MRR_PAIR) && tr_metric_has_k(TR_METRIC_F1),
		  "which metrics have a k");
	CHECK(tr_metric_names[TR_METRICS] == NULL && strcmp(tr_metric_names[TR_METRIC_F1], "f1") == 0
		  && strcmp(tr_metric_names[TR_METRIC_RMSE], tr_error_metric_names[0]) == 0
		  && tr_ranking_metric_names[TR_METRIC_RMSE] == NULL, "names of the metrics");
}

/* ---- a list and the relevance of each of its places */

static double
brute_ndcg(const int *relevance, int length, int n, int k)
{
	double		gain = 0;
	double		ideal = 0;

	for (int place = 1; place <= k; place++)
	{
		gain += place <= length && relevance[place - 1] ? 1 / log2(place + 1) : 0;
		ideal += place <= n ? 1 / log2(place + 1) : 0;
	}
	return gain / ideal;
}

static double
brute_map(const int *relevance, int length, int n, int k)
{
	double		hits = 0;
	double		sum = 0;

	for (int place = 1; place <= k && place <= length; place++)
	{
		hits += relevance[place - 1];
		sum += relevance[place - 1] * hits / place;
	}
	return sum / (n < k ? n : k);
}

/* Pairs of a relevant item and another: the share in the right order; what is not in the list comes behind all. */
static double
brute_auc(const int *relevance, int length, int n)
{
	double		right = 0;
	int			others = 0;

	for (int place = length; place >= 1; place--)
	{
		right += relevance[place - 1] ? others : 0;
		others += !relevance[place - 1];
	}
	return others > 0 ? right / ((double) n * others) : NAN;
}

static double
brute_metric(TrMetric which, const int *relevance, int length, int n, int k)
{
	double		hits = 0;
	double		first = 0;
	double		sum = 0;

	for (int place = length; place >= 1; place--)
	{
		hits += place <= k && relevance[place - 1];
		first = relevance[place - 1] ? 1.0 / place : first;
		sum += relevance[place - 1] ? 1.0 / place : 0;
	}
	switch (which)
	{
		case TR_METRIC_NDCG:
			return brute_ndcg(relevance, length, n, k);
		case TR_METRIC_RECALL:
			return hits / n;
		case TR_METRIC_PRECISION:
			return hits / k;
		case TR_METRIC_HIT:
			return hits > 0;
		case TR_METRIC_MRR:
			return first;
		case TR_METRIC_MRR_PAIR:
			return sum / n;
		case TR_METRIC_F1:
			return hits > 0 ? 2 / (k / hits + n / hits) : 0;
		case TR_METRIC_MAP:
			return brute_map(relevance, length, n, k);
		case TR_METRIC_RMSE:
		case TR_METRIC_MAE:
			break;
	}
	return NAN;
}

typedef struct Case
{
	int			items;
	float		score[300];
	int			excluded[300];
	int			relevant[300];	/* never excluded */
	int			unknown;		/* relevant, but not among the items */
} Case;

static void
draw_case(Case *c, uint64_t seed)
{
	c->items = 1 + (int) tr_below(seed, 1, 0, 0, 300);
	c->unknown = (int) tr_below(seed, 1, 0, 1, 3);
	for (int i = 0; i < c->items; i++)
	{
		uint64_t	what = tr_below(seed, 2, 0, (uint64_t) i, 10);

		/* few values: many ties */
		c->score[i] = (float) tr_below(seed, 3, 0, (uint64_t) i, seed % 2 ? 5 : 1000) - 2;
		c->excluded[i] = what == 0;
		c->relevant[i] = what == 1 || (i == 0 && what != 0);
	}
	if (c->excluded[0])
		c->unknown++;			/* so that something is relevant */
}

/* The candidates in their order, by selection. */
static int
sort_case(const Case *c, int *relevance)
{
	int			taken[300] = {0};
	int			length = 0;

	for (;;)
	{
		int			best = -1;

		for (int i = 0; i < c->items; i++)
			if (!taken[i] && !c->excluded[i] && (best < 0 || c->score[i] > c->score[best]))
				best = i;
		if (best < 0)
			return length;
		taken[best] = 1;
		relevance[length++] = c->relevant[best];
	}
}

/* Ranks by tiles of this width. */
static int
tile_ranks(const Case *c, int32_t *rank, int tile)
{
	int32_t		relevant[300];
	float		bar[300];
	int32_t		ahead[300] = {0};
	int			n = 0;

	for (int i = 0; i < c->items; i++)
		if (c->relevant[i])
		{
			relevant[n] = i;
			bar[n++] = c->score[i];
		}
	for (int first = 0; first < c->items; first += tile)
	{
		float		score[300];
		int			width = c->items - first < tile ? c->items - first : tile;

		for (int i = 0; i < width; i++)
			score[i] = c->excluded[first + i] ? NAN : c->score[first + i];
		tr_ranks_tile(ahead, relevant, bar, n, score, first, width);
	}
	for (int r = 0; r < n; r++)
		rank[r] = ahead[r] + 1;
	for (int r = 0; r < c->unknown; r++)
		rank[n + r] = TR_UNRANKED;
	return n + c->unknown;
}

/* One tile or many: the same. */
static bool
same_in_one_tile(const Case *c, const int32_t *rank, int n)
{
	int32_t		other[310];

	return tile_ranks(c, other, 300) == n && memcmp(other, rank, (size_t) n * sizeof(int32_t)) == 0;
}

static void
check_by_force(void)
{
	static const int ks[] = {1, 2, 5, 20, 299, 1000};
	double		worst[TR_METRICS] = {0};
	double		auc;
	double		expected_auc;
	int			wrong_auc = 0;
	bool		same = true;

	for (uint64_t seed = 0; seed < 400; seed++)
	{
		Case		c;
		int			relevance[300];
		int32_t		rank[310];
		int			length;
		int			n;

		draw_case(&c, seed);
		length = sort_case(&c, relevance);
		n = tile_ranks(&c, rank, 1 + (int) (seed * 7 % 90));
		same = same && same_in_one_tile(&c, rank, n);
		for (int which = 0; which < TR_METRIC_RMSE; which++)
			for (size_t k = 0; k < sizeof(ks) / sizeof(ks[0]); k++)
			{
				double		got = tr_metric((TrMetric) which, ks[k], rank, n);
				double		expected = brute_metric((TrMetric) which, relevance, length, n, ks[k]);

				worst[which] = fmax(worst[which], isnan(got) ? INFINITY : fabs(got - expected));
			}
		auc = tr_auc(rank, n, length);
		expected_auc = brute_auc(relevance, length, n);
		wrong_auc += isnan(auc) != isnan(expected_auc) || fabs(auc - expected_auc) > EXACT;
	}
	CHECK(same, "ranks do not depend on the tiles");
	CHECK(wrong_auc == 0, "auc of 400 random lists, %d wrong", wrong_auc);
	for (int which = 0; which < TR_METRIC_RMSE; which++)
		CHECK(worst[which] < EXACT, "%s of 400 random lists, off by %g", tr_metric_names[which], worst[which]);
}

static void
check_means(void)
{
	TrMean		mean = {0};
	TrMean		ratio = {0};
	TrMean		equal = {0};
	double		residual = 0;

	CHECK(isnan(tr_mean_value(&mean)) && isnan(tr_mean_error(&mean)), "no user, no mean");
	tr_mean_add(&mean, 0.25, 1);
	CHECK(tr_mean_value(&mean) == 0.25 && isnan(tr_mean_error(&mean)), "one user, no error");
	tr_mean_add(&mean, 0.5, 1);
	tr_mean_add(&mean, 1, 1);
	tr_mean_add(&mean, 0, 1);
	CHECK_NEAR(tr_mean_value(&mean), 0.4375, EXACT, "mean of four");
	/* squares of the deviations: .03515625 + .00390625 + .31640625 + .19140625 = .546875; / 3 / 4 */
	CHECK_NEAR(tr_mean_error(&mean), sqrt(0.546875 / 12), EXACT, "standard error of the mean of four");

	tr_mean_add(&ratio, 0.5, 2);
	tr_mean_add(&ratio, 0.25, 4);
	tr_mean_add(&ratio, 1, 1);
	/* 3 / 7; residuals value * weight - 3/7 * weight: 1/7, -5/7, 4/7; mean weight 7/3 */
	residual = (1.0 + 25 + 16) / 49;
	CHECK_NEAR(tr_mean_value(&ratio), 3.0 / 7, EXACT, "weighted mean");
	CHECK_NEAR(tr_mean_error(&ratio), sqrt(residual / 2 / 3) / (7.0 / 3), EXACT, "its standard error");

	for (int i = 0; i < 1000; i++)
		tr_mean_add(&equal, 1.0 / 3, 1);
	CHECK_NEAR(tr_mean_error(&equal), 0, 1e-15, "no error where all are the same");
	CHECK(tr_metric_weight(TR_METRIC_MRR_PAIR, 7) == 7 && tr_metric_weight(TR_METRIC_MRR, 7) == 1, "what a user weighs");
}

/* Errors 1 and -2 of one user, 0 of another: two thirds of the ratings are one user's. */
static void
check_errors(void)
{
	float		predicted[] = {4, 1, 5};
	float		value[] = {3, 3, 5};
	TrMean		squares = {0};
	TrMean		absolute = {0};

	tr_mean_add(&squares, tr_metric_of_errors(TR_METRIC_RMSE, predicted, value, 2), tr_metric_weight(TR_METRIC_RMSE, 2));
	tr_mean_add(&squares, tr_metric_of_errors(TR_METRIC_RMSE, predicted + 2, value + 2, 1), 1);
	tr_mean_add(&absolute, tr_metric_of_errors(TR_METRIC_MAE, predicted, value, 2), tr_metric_weight(TR_METRIC_MAE, 2));
	tr_mean_add(&absolute, tr_metric_of_errors(TR_METRIC_MAE, predicted + 2, value + 2, 1), 1);
	CHECK_NEAR(tr_metric_value(TR_METRIC_RMSE, &squares), sqrt(5.0 / 3), EXACT, "root mean squared error");
	CHECK_NEAR(tr_metric_value(TR_METRIC_MAE, &absolute), 1, EXACT, "mean absolute error");
	/* residuals 3 - 2 * 1 = 1 and -1; mean weight 1.5 */
	CHECK_NEAR(tr_metric_error(TR_METRIC_MAE, &absolute), sqrt(2.0 / 2) / 1.5, EXACT, "its standard error");
	CHECK_NEAR(tr_metric_error(TR_METRIC_RMSE, &squares), tr_mean_error(&squares) / (2 * sqrt(5.0 / 3)), EXACT,
			   "that of the root");
	CHECK(tr_metric_better(TR_METRIC_RMSE, 1, 2) && tr_metric_better(TR_METRIC_NDCG, 2, 1)
		  && !tr_metric_better(TR_METRIC_MAE, 1, 1), "smaller errors are better, larger rankings");
}

static void
check_bootstrap(void)
{
	enum { N = 50, SAMPLES = 4000 };
	int32_t		times[N];
	int32_t		again[N];
	double		value[N];
	double		weight[N];
	TrMean		mean = {0};
	TrMean		of_samples = {0};
	const double five[] = {1, 2, 4, 8, 16};
	int			drawn = 0;

	tr_resample(times, N, 7, 3);
	tr_resample(again, N, 7, 3);
	CHECK(memcmp(times, again, sizeof(times)) == 0, "the same seed and number give the same sample");
	tr_resample(again, N, 7, 4);
	CHECK(memcmp(times, again, sizeof(times)) != 0, "the next sample is another");
	for (int i = 0; i < N; i++)
		drawn += times[i];
	CHECK_EQUAL(drawn, N, "a sample is as large as what it is drawn from");

	for (int i = 0; i < N; i++)
	{
		value[i] = i % 7 / 7.0;
		weight[i] = 1 + i % 3;
		tr_mean_add(&mean, value[i], weight[i]);
	}
	CHECK_NEAR(tr_resampled_mean(value, weight, NULL, N), tr_mean_value(&mean), EXACT, "everybody once is the mean");
	for (int s = 0; s < SAMPLES; s++)
	{
		tr_resample(times, N, 1, (uint64_t) s);
		tr_mean_add(&of_samples, tr_resampled_mean(value, weight, times, N), 1);
	}
	/* two estimates of one spread */
	CHECK_NEAR(tr_mean_error(&of_samples) * sqrt(SAMPLES) / tr_mean_error(&mean), 1, 0.05,
			   "the samples' means spread as the standard error says");

	CHECK(tr_quantile(five, 5, 0) == 1 && tr_quantile(five, 5, 1) == 16 && tr_quantile(five, 5, 0.5) == 4,
		  "ends and middle of five");
	CHECK_NEAR(tr_quantile(five, 5, 0.6), 4 + 0.4 * 4, EXACT, "between two of five");
	CHECK_NEAR(tr_quantile(five, 1, 0.3), 1, EXACT, "one number");
}

static void
check_top_precision(void)
{
	const float value[] = {5, 3, 4, 1, 5};
	const float predicted[] = {1, 2, 3, NAN, 2};
	TrScored	room[10];

	/* of two: values 0 and 4, predictions 2 and 1, which ties with 4 */
	CHECK_NEAR(tr_top_precision(predicted, value, 5, 40, room), 0, EXACT, "none of two");
	CHECK_NEAR(tr_top_precision(predicted, value, 5, 41, room), 2.0 / 3, EXACT, "of three, rounded up: 2 and 4 of 0, 2, 4");
	CHECK_NEAR(tr_top_precision(value, value, 5, 10, room), 1, EXACT, "at least one");
	CHECK_NEAR(tr_top_precision(predicted, value, 5, 100, room), 4.0 / 5, EXACT, "what is not a number is not among them");
}

int
main(void)
{
	check_by_hand();
	check_by_force();
	check_means();
	check_bootstrap();
	check_errors();
	check_top_precision();
	return check_done();
}
