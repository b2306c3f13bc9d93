/*
 * Reconstruction of sparse rows through a tanh output layer. A row's targets are 0 but for its entries: the entries are
 * taken out of the row first, so that the dense passes need not know the targets.
 * Legend: R rows, T tags.
 */
#include "cpu/cpu.h"
#include "cpu/vecmath.h"

#include <math.h>

typedef struct Reconstruction
{
	float	   *z;				/* (R,T) */
	const float *bias;			/* (T) */
	const TrCsr *x;
	int			first;
	int			R,
				T;
	int			rows;			/* per task */
	const float *multiplicity;
	bool		squared;
	float		scale;
	double	   *loss;			/* (R) */
	float	   *scratch;		/* (tasks, 2, T): sums of columns; a row's entries */
} Reconstruction;

/* kept (n) = z[col] + bias[col]; z[col] = -bias[col], whose tanh with the bias is 0 */
static void
take_entries(float *z, const float *bias, float *kept, const int32_t *col, int n)
{
	for (int e = 0; e < n; e++)
	{
		kept[e] = z[col[e]] + bias[col[e]];
		z[col[e]] = -bias[col[e]];
	}
}

/* y (n) = tanh(z + bias) in place; returns the sum of y^2 */
TR_SIMD static float
decode(float *restrict z, const float *restrict bias, int n)
{
	float		sum = 0;

	for (int t = 0; t < n; t++)
	{
		float		y = tr_tanh(z[t] + bias[t]);

		z[t] = y;
		sum += y * y;
	}
	return sum;
}

/* y (n) = tanh(kept) in place; returns the sum of (y - val)^2 */
TR_SIMD static float
decode_entries(float *restrict kept, const float *restrict val, int n)
{
	float		sum = 0;

	for (int e = 0; e < n; e++)
	{
		float		y = tr_tanh(kept[e]);

		kept[e] = y;
		sum += (y - val[e]) * (y - val[e]);
	}
	return sum;
}

/* dz (n) = g y (1 - y^2) in place; sums (n) += dz */
TR_SIMD static void
differentiate(float *restrict y, float *restrict sums, float g, int n)
{
	for (int t = 0; t < n; t++)
	{
		float		d = g * y[t] * (1.0f - y[t] * y[t]);

		y[t] = d;
		sums[t] += d;
	}
}

static void
put_entries(float *z, float *sums, const float *kept, const float *val, const int32_t *col, float g, int n)
{
	for (int e = 0; e < n; e++)
	{
		float		d = g * (kept[e] - val[e]) * (1.0f - kept[e] * kept[e]);

		z[col[e]] = d;
		sums[col[e]] += d;
	}
}

static void
one_row(const Reconstruction *w, int r, float *sums, float *kept)
{
	float	   *z = w->z + (size_t) r * w->T;
	int64_t		start = w->x->ptr[w->first + r];
	int			n = (int) (w->x->ptr[w->first + r + 1] - start);
	const int32_t *col = w->x->col + start;
	const float *val = w->x->val + start;
	double		multiplicity = w->multiplicity[w->first + r];
	double		squares;
	double		norm;
	double		g;

	take_entries(z, w->bias, kept, col, n);
	squares = (double) decode(z, w->bias, w->T) + decode_entries(kept, val, n);
	norm = sqrt(squares);
	g = w->scale * multiplicity * (w->squared ? 2 : 1 / (norm < 1e-12 ? 1e-12 : norm));
	w->loss[r] = multiplicity * (w->squared ? squares : norm);
	differentiate(z, sums, (float) g, w->T);
	put_entries(z, sums, kept, val, col, (float) g, n);
}

static void
loss_rows(void *argument, int task)
{
	const Reconstruction *w = argument;
	int			end = (int) tr_block_end(w->R, w->rows, task);
	float	   *sums = w->scratch + (size_t) task * 2 * w->T;

	memset(sums, 0, sizeof(float) * w->T);
	for (int r = task * w->rows; r < end; r++)
		one_row(w, r, sums, sums + w->T);
}

void
tr_cpu_reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
						   const float *multiplicity, bool squared, float scale, double *loss)
{
	Reconstruction w = {
		.z = z, .bias = bias, .x = x, .first = first, .R = R, .T = x->cols, .rows = tr_sum_rows(R),
		.multiplicity = multiplicity, .squared = squared, .scale = scale
	};
	int			tasks = tr_blocks(R, w.rows);
	double		sum = 0;

	w.loss = tr_cpu_scratch(b, sizeof(double) * R + sizeof(float) * 2 * tasks * w.T);
	if (!w.loss)
		return;
	w.scratch = (float *) (w.loss + R);
	tr_cpu_run(b, loss_rows, &w, tasks);
	for (int task = 0; task < tasks; task++)
		tr_cpu_add(dbias, w.scratch + (size_t) task * 2 * w.T, w.T);
	for (int r = 0; r < R; r++)
		sum += w.loss[r];
	*loss += scale * sum;
}
