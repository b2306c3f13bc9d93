/*
 * The best by nearly right scores against the best by exact ones: the same list, ties and all, whatever the sums' order;
 * and that few rows are scored.
 */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/dot.h"
#include "core/rng.h"
#include "core/screen.h"

#define ROWS 700
#define WIDTH 129

typedef struct Exact
{
	const float *query;
	const float *matrix;
	size_t		stride;
} Exact;

static float
exact(void *arg, int32_t row)
{
	const Exact *e = arg;

	return tr_dot(e->query, e->matrix + (size_t) row * e->stride, e->stride);
}

/*
 * The kinds of matrices: as trained; many equal rows; tiny numbers; of all sizes; a few huge ones; products that underflow;
 * rows that differ in their last digits
 */
enum
{
	TRAINED, EQUAL, TINY_NORMS, ALL_SIZES, HUGE_ONES, DENORMAL, CLOSE, KINDS
};

static float
number(int kind, uint64_t seed, uint64_t row, uint64_t k)
{
	float		x = (float) tr_normal(seed, 1, kind == EQUAL ? row % 7 : row, k);

	switch (kind)
	{
		case TINY_NORMS:
			return x * 1e-18f;
		case ALL_SIZES:
			return x * ldexpf(1, (int) tr_below(seed, 2, row, k, 60) - 30);
		case HUGE_ONES:
			return row % 50 == 0 ? x * 1e18f : x;
		case DENORMAL:
			return x * 1e-21f;
		case CLOSE:
			return (float) tr_normal(seed, 1, 0, k) * (1 + 0x1p-22f * x);
		default:
			return x;
	}
}

static double
norm_of(const float *x, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += (double) x[k] * x[k];
	return sqrt(sum) * (1 + 1e-12);
}

/*
 * A sum from the back, in float, and with what underflows flushed to zero: another order than tr_dot()'s, and a rougher
 * one.
 */
static float
another_sum(const float *x, const float *y)
{
	volatile float sum = 0;

	for (int k = WIDTH - 1; k >= 0; k--)
	{
		float		product = x[k] * y[k];

		sum = sum + (fabsf(product) < 0x1p-126f ? 0 : product);
	}
	return sum;
}

static bool
same_list(int kind, uint64_t seed, int limit, int64_t *scored)
{
	size_t		stride = tr_dot_stride(WIDTH);
	float	   *matrix = aligned_alloc(64, ROWS * stride * sizeof(float));
	float	   *query = aligned_alloc(64, stride * sizeof(float));
	float		near[ROWS];
	TrScored	room[2][ROWS];
	TrTopN		top[2];
	int32_t		skip[] = {3, 17, 18, 400};
	Exact		e = {query, matrix, stride};
	TrScreen	screen = {.score = exact, .arg = &e, .skip = skip, .n_skip = 4};
	double		most = 0;
	bool		same;

	memset(matrix, 0, ROWS * stride * sizeof(float));
	memset(query, 0, stride * sizeof(float));
	for (uint64_t k = 0; k < WIDTH; k++)
		query[k] = number(kind == HUGE_ONES ? TRAINED : kind, seed, 12345, k);
	for (uint64_t row = 0; row < ROWS; row++)
	{
		for (uint64_t k = 0; k < WIDTH; k++)
			matrix[row * stride + k] = number(kind, seed, row, k);
		most = fmax(most, norm_of(matrix + row * stride, WIDTH));
		near[row] = another_sum(query, matrix + row * stride);
	}
	tr_topn_init(&top[0], room[0], limit);
	tr_topn_init(&top[1], room[1], limit);
	for (int32_t row = 0; row < ROWS; row++)
		if (row != 3 && row != 17 && row != 18 && row != 400)
			tr_topn_offer(&top[0], exact(&e, row), row);
	for (int32_t first = 0; first < ROWS; first += 96)
		tr_screen(&screen, &top[1], near + first, tr_screen_slack(WIDTH, stride, norm_of(query, WIDTH), most), first,
				  ROWS - first < 96 ? ROWS - first : 96);
	tr_topn_sort(&top[0]);
	tr_topn_sort(&top[1]);
	*scored += screen.scored;
	same = top[0].count == top[1].count && memcmp(room[0], room[1], sizeof(TrScored) * (size_t) top[0].count) == 0;
	free(matrix);
	free(query);
	return same;
}

int
main(void)
{
	for (int kind = 0; kind < KINDS; kind++)
	{
		int			wrong = 0;
		int64_t		scored = 0;

		for (uint64_t seed = 1; seed <= 60; seed++)
			for (int limit = 0; limit <= 40; limit += 10)
				wrong += !same_list(kind, seed, limit, &scored);
		CHECK(wrong == 0, "kind %d: the best by nearly right scores, %d of 300 lists wrong", kind, wrong);
		if (kind == TRAINED)
			CHECK(scored < 60 * 4 * ROWS / 4, "few rows are scored: %lld", (long long) scored);
	}
	return check_done();
}
