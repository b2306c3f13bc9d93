/*
 * The bounded heap against a full sort, the inner products against a loop in double, and the promises that a pair's score
 * is the same number whichever function forms it, and whichever compiler built it.
 */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/dot.h"
#include "core/rng.h"
#include "core/topn.h"

enum
{
	SCORES, VALUES, SKIPS
};

static int
compare_scored(const void *a, const void *b)
{
	const TrScored *x = a,
			   *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Few distinct values, so that most of the order is decided by the index; some NaN; every third index or so skipped. */
static bool
same_as_sort(uint64_t seed, int n, int limit, int distinct, bool with_nan, bool with_skip)
{
	float	   *score = malloc(sizeof(float) * (size_t) (n + 1));
	uint64_t   *skip = calloc(TR_BIT_WORDS(n) + 1, sizeof(uint64_t));
	TrScored   *all = malloc(sizeof(TrScored) * (size_t) (n + 1));
	TrScored   *room = malloc(sizeof(TrScored) * (size_t) (limit + 1));
	TrTopN		top;
	int			eligible = 0;
	bool		same;

	for (int i = 0; i < n; i++)
	{
		score[i] = (float) tr_below(seed, SCORES, (uint64_t) i, 0, (uint64_t) distinct) - (float) distinct / 2;
		if (with_nan && tr_below(seed, SCORES, (uint64_t) i, 1, 10) == 0)
			score[i] = NAN;
		if (with_skip && tr_below(seed, SKIPS, (uint64_t) i, 0, 3) == 0)
			tr_bit_set(skip, i);
		else if (!isnan(score[i]))
			all[eligible++] = (TrScored) {score[i], i};
	}
	qsort(all, (size_t) eligible, sizeof(TrScored), compare_scored);

	room[limit].index = -77;
	tr_topn_init(&top, room, limit);
	for (int first = 0; first < n; first += 100)
		tr_topn_scan(&top, score + first, first, n - first < 100 ? n - first : 100, with_skip ? skip : NULL);
	tr_topn_sort(&top);

	same = top.count == (eligible < limit ? eligible : limit) && room[limit].index == -77;
	for (int i = 0; same && i < top.count; i++)
		same = room[i].index == all[i].index && room[i].score == all[i].score;
	free(score);
	free(skip);
	free(all);
	free(room);
	return same;
}

/* Offers in an order other than the indices' must give the same. */
static void
check_any_order(void)
{
	TrScored	forward[5],
				backward[5];
	TrTopN		a,
				b;

	tr_topn_init(&a, forward, 5);
	tr_topn_init(&b, backward, 5);
	for (int i = 0; i < 40; i++)
		tr_topn_offer(&a, (float) (i * 7 % 4), i);
	for (int i = 39; i >= 0; i--)
		tr_topn_offer(&b, (float) (i * 7 % 4), i);
	tr_topn_sort(&a);
	tr_topn_sort(&b);
	CHECK(a.count == 5 && b.count == 5, "five are kept");
	for (int i = 0; i < 5; i++)
		CHECK_EQUAL(forward[i].index, backward[i].index, "place %d whatever the order of offers", i);
}

static void
check_bits(void)
{
	uint64_t	bits[TR_BIT_WORDS(130)] = {0};
	bool		right = true;

	CHECK(TR_BIT_WORDS(0) == 0 && TR_BIT_WORDS(64) == 1 && TR_BIT_WORDS(65) == 2, "words of a set");
	tr_bit_set(bits, 0);
	tr_bit_set(bits, 63);
	tr_bit_set(bits, 64);
	tr_bit_set(bits, 129);
	for (int i = 0; i < 130; i++)
		right = right && tr_bit_test(bits, i) == (i == 0 || i == 63 || i == 64 || i == 129);
	CHECK(right, "members of a set");
}

static float *
random_rows(uint64_t seed, int rows, int width, size_t stride)
{
	float	   *x = aligned_alloc(TR_DOT_ALIGN, stride * (size_t) (rows + 1) * sizeof(float));

	memset(x, 0, stride * (size_t) (rows + 1) * sizeof(float));
	for (int r = 0; r < rows; r++)
		for (int k = 0; k < width; k++)
			x[(size_t) r * stride + (size_t) k] = tr_uniform(seed, VALUES, (uint64_t) r, (uint64_t) k) - 0.5f;
	return x;
}

/* The sum as dot.c is to form it: eight lanes, the products of each in order, fused or not, and then the lanes. */
static float
sum_as_written(const float *x, const float *y, size_t stride, bool fused)
{
	volatile float s[8] = {0};

	for (size_t k = 0; k < stride; k++)
	{
		volatile float product = x[k] * y[k];

		s[k % 8] = fused ? fmaf(x[k], y[k], s[k % 8]) : s[k % 8] + product;
	}
	for (int i = 0; i < 4; i++)
		s[i] = s[i] + s[i + 4];
	s[0] = s[0] + s[1];
	s[2] = s[2] + s[3];
	return s[0] + s[2];
}

/* A processor fuses always, or never. */
static void
check_order(void)
{
	int			differ[2] = {0};

	for (int width = 1; width <= 300; width++)
	{
		size_t		stride = tr_dot_stride(width);
		float	   *x = random_rows(3, 1, width, stride);
		float	   *y = random_rows(4, 1, width, stride);

		for (int fused = 0; fused < 2; fused++)
			differ[fused] += tr_dot(x, y, stride) != sum_as_written(x, y, stride, fused);
		free(x);
		free(y);
	}
	CHECK(differ[0] == 0 || differ[1] == 0, "the order of a sum: %d of 300 differ, or fused %d", differ[0], differ[1]);
}

static void
check_dot(int vectors, int rows, int width)
{
	size_t		stride = tr_dot_stride(width);
	size_t		ld = (size_t) rows + 3;
	float	   *x = random_rows(1, vectors, width, stride);
	float	   *y = random_rows(2, rows, width, stride);
	float	   *out = malloc(sizeof(float) * ((size_t) vectors * ld + 1));
	float	   *single = malloc(sizeof(float) * ((size_t) rows + 1));
	double		worst = 0;
	bool		same = true;
	bool		inside = true;

	for (size_t i = 0; i < (size_t) vectors * ld; i++)
		out[i] = -9;
	tr_dot_block(out, ld, x, vectors, y, rows, stride);
	for (int v = 0; v < vectors; v++)
	{
		const float *left = x + (size_t) v * stride;

		tr_dot_block(single, (size_t) rows, left, 1, y, rows, stride);
		for (int r = 0; r < rows; r++)
		{
			const float *right = y + (size_t) r * stride;
			float		got = out[(size_t) v * ld + (size_t) r];
			double		sum = 0;

			for (int k = 0; k < width; k++)
				sum += (double) left[k] * right[k];
			worst = fmax(worst, fabs(got - sum));
			same = same && got == single[r] && got == tr_dot(left, right, stride);
		}
		for (size_t r = (size_t) rows; r < ld; r++)
			inside = inside && out[(size_t) v * ld + r] == -9;
	}
	CHECK(stride % TR_DOT_PAD == 0 && stride >= (size_t) width && stride < (size_t) width + TR_DOT_PAD,
		  "stride of width %d", width);
	CHECK(worst < 1e-5, "%d vectors, %d rows, width %d: within %g of the sum", vectors, rows, width, worst);
	CHECK(same, "%d vectors, %d rows, width %d: the same in a block, alone and as a pair", vectors, rows, width);
	CHECK(inside, "%d vectors, %d rows, width %d: nothing written beside the result", vectors, rows, width);
	free(x);
	free(y);
	free(out);
	free(single);
}

int
main(void)
{
	const int	sizes[] = {0, 1, 2, 3, 10, 99, 100, 101, 1000};
	const int	limits[] = {0, 1, 2, 7, 10, 100, 2000};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++)
			for (int variant = 0; variant < 8; variant++)
				CHECK(same_as_sort(s * 100 + l, sizes[s], limits[l], variant & 1 ? 5 : 1000000, variant & 2, variant & 4),
					  "best %d of %d%s%s%s", limits[l], sizes[s], variant & 1 ? ", ties" : "",
					  variant & 2 ? ", some NaN" : "", variant & 4 ? ", some skipped" : "");
	check_any_order();
	check_bits();
	check_order();
	for (int vectors = 0; vectors <= 9; vectors++)
		for (int rows = 0; rows <= 14; rows++)
			check_dot(vectors, rows, 129);
	for (int width = 1; width <= 40; width++)
		check_dot(5, 7, width);
	return check_done();
}
