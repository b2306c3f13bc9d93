/*
 * Softmax over candidates, one user row at a time: a vector pass takes the columns that every pair of the row sums over
 * (the base), then each pair adds what is its own. Legend: U users, C candidate columns, P pairs.
 */
#include "cpu/cpu.h"
#include "cpu/vecmath.h"

#include <math.h>

#define ROWS 4					/* per task */

/* value * exp(top), so that neither a sum nor the sum without its largest term over- or underflows */
typedef struct Sum
{
	double		top;
	double		value;
} Sum;

/* A pair while its row is worked on. */
typedef struct Pair
{
	double		x;				/* its column's logit less the offset */
	double		positive;		/* s_p */
	double		log_z;			/* log of its denominator */
	bool		counts;			/* is there any term in that? */
	Sum			before;			/* of the row's pairs before it; then those after it are added */
} Pair;

typedef struct Softmax
{
	const TrSoftmax *s;
	Pair	   *pairs;			/* (P) */
	double	   *loss;			/* (U) */
} Softmax;

static Sum
plus(Sum sum, double value, double exponent)
{
	if (exponent == -INFINITY)
		return sum;
	if (sum.value == 0)
		return (Sum) {exponent, value};
	if (exponent > sum.top)
		return (Sum) {exponent, sum.value * exp(sum.top - exponent) + value};
	sum.value += value * exp(exponent - sum.top);
	return sum;
}

static Sum
both(Sum a, Sum b)
{
	return b.value == 0 ? a : plus(a, b.value, b.top);
}

static double
log_of(Sum sum)
{
	return sum.top + log(sum.value);
}

TR_SIMD static float
largest(const float *x, int n)
{
	return tr_largest(x, n);
}

/* x (n) -= offset */
TR_SIMD static void
subtract(float *restrict x, const float *restrict offset, int n)
{
	for (int k = 0; k < n; k++)
		x[k] -= offset[k];
}

/* x (n) becomes exp(x - top); returns its sum */
TR_SIMD static float
exponentials(float *x, float top, int n)
{
	float		sum = 0;

	for (int k = 0; k < n; k++)
	{
		x[k] = tr_exp(x[k] - top);
		sum += x[k];
	}
	return sum;
}

TR_SIMD static void
scale_row(float *x, float a, int n)
{
	for (int k = 0; k < n; k++)
		x[k] *= a;
}

/* Saves the pairs' columns and takes them, and the skipped ones, out of the row; returns how many columns are left. */
static int
take_columns(const Softmax *w, float *x, int u)
{
	const TrSoftmax *s = w->s;
	int			left = s->columns;

	for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
	{
		int			c = s->pair_column[p];
		Pair	   *pair = &w->pairs[p];

		pair->positive = s->pair_logit ? s->pair_logit[p] : x[c];
		if (c < 0)
			continue;
		pair->x = (double) x[c] - (s->column_offset ? s->column_offset[c] : 0);
		x[c] = -INFINITY;
		left--;
	}
	if (s->skip_ptr)
		for (int e = s->skip_ptr[u]; e < s->skip_ptr[u + 1]; e++, left--)
			x[s->skip_column[e]] = -INFINITY;
	return left;
}

/* The row becomes its exponentials; returns their sum. */
static Sum
sum_base(const TrSoftmax *s, float *x, int left)
{
	float		top;

	if (left <= 0)
	{
		memset(x, 0, sizeof(float) * s->columns);
		return (Sum) {0, 0};
	}
	if (s->column_offset)
		subtract(x, s->column_offset, s->columns);
	top = largest(x, s->columns);
	if (top == -INFINITY)
		top = 0;				/* an infinite offset took every column out: the sum is 0, or NaN where a logit is */
	return (Sum) {top, exponentials(x, top, s->columns)};
}

/* log_z of every pair: the base, the row's other columns unless masked, and the positive where it is included */
static void
sum_denominators(const TrSoftmax *s, Pair *pairs, int u, Sum base)
{
	Sum			others = {0, 0};

	for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
	{
		pairs[p].before = others;
		if (!s->mask_pairs && s->pair_column[p] >= 0)
			others = plus(others, 1, pairs[p].x);
	}
	others = (Sum) {0, 0};
	for (int p = s->pair_ptr[u + 1] - 1; p >= s->pair_ptr[u]; p--)
	{
		Sum			z = both(base, both(pairs[p].before, others));

		if (s->include_positive)
			z = plus(z, 1, pairs[p].positive);
		pairs[p].counts = z.value != 0;
		pairs[p].log_z = log_of(z);
		if (!s->mask_pairs && s->pair_column[p] >= 0)
			others = plus(others, 1, pairs[p].x);
	}
}

/* sum + a_p / denominator_p, a_p = scale weight_p */
static Sum
plus_share(Sum sum, const TrSoftmax *s, const Pair *pair, int p)
{
	return pair->counts ? plus(sum, (double) s->scale * s->pair_weight[p], -pair->log_z) : sum;
}

/* Loss of pair p, unscaled; *dpositive = d loss / d s_p */
static double
pair_loss(const TrSoftmax *s, const Pair *pair, int p, double *dpositive)
{
	double		a = (double) s->scale * s->pair_weight[p];

	*dpositive = 0;
	if (!pair->counts)
		return 0;
	*dpositive = a * ((s->include_positive ? exp(pair->positive - pair->log_z) : 0) - 1);
	return s->pair_weight[p] * (pair->log_z - pair->positive);
}

/* What the row's columns share: exp(x_k) times the sum over pairs of a_p / denominator_p, without one pair for its own. */
static double
weight_pairs(const Softmax *w, float *x, int u)
{
	const TrSoftmax *s = w->s;
	Sum			others = {0, 0};
	double		loss = 0;

	for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
	{
		w->pairs[p].before = others;
		others = plus_share(others, s, &w->pairs[p], p);
	}
	others = (Sum) {0, 0};
	for (int p = s->pair_ptr[u + 1] - 1; p >= s->pair_ptr[u]; p--)
	{
		const Pair *pair = &w->pairs[p];
		int			c = s->pair_column[p];
		double		dpositive;
		double		d = 0;

		loss += pair_loss(s, pair, p, &dpositive);
		if (!s->mask_pairs && c >= 0)
		{
			Sum			rest = both(pair->before, others);

			d = rest.value == 0 ? 0 : rest.value * exp(rest.top + pair->x);
		}
		if (s->pair_logit)
			s->pair_dlogit[p] = (float) dpositive;
		else
			d += dpositive;
		if (c >= 0)
			x[c] = (float) d;
		others = plus_share(others, s, pair, p);
	}
	return loss;
}

static double
row_loss(const Softmax *w, int u)
{
	const TrSoftmax *s = w->s;
	float	   *x = s->logits + (size_t) u * s->columns;
	Sum			all = {0, 0};
	Sum			base;

	if (s->pair_ptr[u] == s->pair_ptr[u + 1])
	{
		memset(x, 0, sizeof(float) * s->columns);
		return 0;
	}
	base = sum_base(s, x, take_columns(w, x, u));
	sum_denominators(s, w->pairs, u, base);
	for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
		all = plus_share(all, s, &w->pairs[p], p);
	if (base.value != 0)
		scale_row(x, (float) (all.value * exp(all.top + base.top)), s->columns);
	return weight_pairs(w, x, u);
}

static void
loss_rows(void *argument, int task)
{
	const Softmax *w = argument;
	int			end = (int) tr_block_end(w->s->users, ROWS, task);

	for (int u = task * ROWS; u < end; u++)
		w->loss[u] = row_loss(w, u);
}

void
tr_cpu_softmax_loss(TrBackend *b, const TrSoftmax *s)
{
	Softmax		w = {.s = s};
	double		loss = 0;

	if (s->users <= 0)
		return;
	w.pairs = tr_cpu_scratch(b, sizeof(Pair) * s->pair_ptr[s->users] + sizeof(double) * s->users);
	if (!w.pairs)
		return;
	w.loss = (double *) (w.pairs + s->pair_ptr[s->users]);
	tr_cpu_run(b, loss_rows, &w, tr_blocks(s->users, ROWS));
	for (int u = 0; u < s->users; u++)
		loss += w.loss[u];
	*s->loss += s->scale * loss;
}
