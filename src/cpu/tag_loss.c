/*
 * Loss of posts over all tags, one row at a time: the few columns with targets are taken out of the row first, so that the
 * dense passes need not know them. Legend: R rows, T tags.
 */
#include "cpu/cpu.h"
#include "cpu/vecmath.h"

#include <math.h>

/* A logit that adds nothing to a sum and gets no gradient. */
#define LEFT_OUT -1e30f

/* Factors 1 + exp(-|z|), each at most 2, multiplied before their logarithm is taken. */
#define FACTORS 112

typedef struct TagLoss
{
	const TrTagLoss *t;
	int			R,
				T;
	int			rows;			/* per task */
	double	   *loss;			/* (R) unscaled */
	double	   *dpart;			/* (R,parts) */
	float	   *scratch;		/* (tasks, 2, T): sums of columns; the logits at a row's entries */
} TagLoss;

TR_SIMD static float
largest(const float *z, int n)
{
	return tr_largest(z, n);
}

/* z (n) = exp(z - top) in place; returns their sum */
TR_SIMD static float
exponentials(float *z, float top, int n)
{
	float		sum = 0;

	for (int k = 0; k < n; k++)
	{
		float		e = tr_exp(z[k] - top);

		z[k] = e;
		sum += e;
	}
	return sum;
}

/* z (n) *= factor; sums (n) += z */
TR_SIMD static void
scale(float *restrict z, float *restrict sums, float factor, int n)
{
	for (int k = 0; k < n; k++)
	{
		float		d = z[k] * factor;

		z[k] = d;
		sums[k] += d;
	}
}

/*
 * n <= FACTORS columns: d = factor / (1 + exp(-z)) in place, sums += d. Returns the sum of max(z, 0), and in *product the
 * product of 1 + exp(-|z|), whose logarithm is what the sum of log(1 + exp(z)) lacks.
 */
TR_INLINE float
logistic(float *restrict z, float *restrict sums, float factor, float *product, int n)
{
	float		positive = 0;
	float		all = 1;

	for (int k = 0; k < n; k++)
	{
		float		x = z[k];
		float		a = tr_float_of(tr_bits_of(x) & 0x7fffffffu);
		float		e = tr_exp(-a);
		float		d = factor * tr_select(x >= 0, 1.0f, e) / (1.0f + e);

		positive += 0.5f * (x + a);
		all *= 1.0f + e;
		z[k] = d;
		sums[k] += d;
	}
	*product = all;
	return positive;
}

/* Sum of log(1 + exp(z)); z and sums as above */
TR_SIMD static double
logistics(float *restrict z, float *restrict sums, float factor, int n)
{
	double		loss = 0;

	for (int start = 0; start < n; start += FACTORS)
	{
		float		product;
		int			some = n - start < FACTORS ? n - start : FACTORS;

		loss += logistic(z + start, sums + start, factor, &product, some);
		loss += (double) logf(product);
	}
	return loss;
}

/* The row's logits with bias and parts */
static void
complete(const TrTagLoss *t, float *z, int r)
{
	tr_cpu_add(z, t->bias, t->targets->cols);
	for (int j = 0; j < t->parts; j++)
	{
		const TrCsr *part = &t->part[j];
		float		weight = t->part_weight[j];

		for (int64_t e = part->ptr[r]; e < part->ptr[r + 1]; e++)
			z[part->col[e]] += weight * part->val[e];
	}
}

static void
part_gradients(const TrTagLoss *t, const float *dz, double *dpart, int r)
{
	for (int j = 0; j < t->parts; j++)
	{
		const TrCsr *part = &t->part[j];

		dpart[j] = 0;
		for (int64_t e = part->ptr[r]; e < part->ptr[r + 1]; e++)
			dpart[j] += (double) dz[part->col[e]] * part->val[e];
	}
}

static double
one_row(const TagLoss *w, int r, float *sums, float *kept)
{
	const TrTagLoss *t = w->t;
	float	   *z = t->logits + (size_t) r * w->T;
	const int32_t *col = t->targets->col + t->targets->ptr[r];
	const float *y = t->targets->val + t->targets->ptr[r];
	int			n = (int) (t->targets->ptr[r + 1] - t->targets->ptr[r]);
	double		targets = 0;
	double		loss = 0;

	for (int e = 0; e < n; e++)
		targets += y[e];
	if (t->softmax && targets == 0)
	{
		memset(z, 0, sizeof(float) * w->T);
		return 0;
	}
	complete(t, z, r);
	for (int e = 0; e < n; e++)
	{
		kept[e] = z[col[e]];
		if (y[e] == 0)
			z[col[e]] = LEFT_OUT;
		else
			loss -= (double) y[e] * kept[e];
	}
	if (t->softmax)
	{
		float		top = largest(z, w->T);
		float		sum = exponentials(z, top, w->T);

		loss += targets * (top + log(sum));
		scale(z, sums, (float) (t->scale * targets / sum), w->T);
	}
	else
		loss += logistics(z, sums, t->scale, w->T);
	for (int e = 0; e < n; e++)
	{
		z[col[e]] -= t->scale * y[e];
		sums[col[e]] -= t->scale * y[e];
	}
	return loss;
}

static void
loss_rows(void *argument, int task)
{
	const TagLoss *w = argument;
	int			end = (int) tr_block_end(w->R, w->rows, task);
	float	   *sums = w->scratch + (size_t) task * 2 * w->T;

	memset(sums, 0, sizeof(float) * w->T);
	for (int r = task * w->rows; r < end; r++)
	{
		w->loss[r] = one_row(w, r, sums, sums + w->T);
		part_gradients(w->t, w->t->logits + (size_t) r * w->T, w->dpart + (size_t) r * w->t->parts, r);
	}
}

void
tr_cpu_tag_loss(TrBackend *b, const TrTagLoss *t)
{
	TagLoss		w = {.t = t, .R = t->targets->rows, .T = t->targets->cols, .rows = tr_sum_rows(t->targets->rows)};
	int			tasks = tr_blocks(w.R, w.rows);
	double		sum = 0;

	w.loss = tr_cpu_scratch(b, sizeof(double) * (1 + t->parts) * w.R + sizeof(float) * 2 * tasks * w.T);
	if (!w.loss)
		return;
	w.dpart = w.loss + w.R;
	w.scratch = (float *) (w.dpart + (size_t) w.R * t->parts);
	tr_cpu_run(b, loss_rows, &w, tasks);
	for (int task = 0; task < tasks; task++)
		tr_cpu_add(t->dbias, w.scratch + (size_t) task * 2 * w.T, w.T);
	for (int j = 0; j < t->parts; j++)
	{
		double		dpart = 0;

		for (int r = 0; r < w.R; r++)
			dpart += w.dpart[(size_t) r * t->parts + j];
		t->dpart_weight[j] += (float) dpart;
	}
	for (int r = 0; r < w.R; r++)
		sum += w.loss[r];
	*t->loss += t->scale * sum;
}
