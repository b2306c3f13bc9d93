/*
 * Attention of queries over rows of a table: inner products where a sparse row has entries, and a softmax over them.
 * Legend: R rows, T rows of the table, D width.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <math.h>

#define ROWS 8					/* per task */

typedef struct Attention
{
	float	   *out;			/* a number for every entry */
	const TrCsr *x;
	const float *weight;
	const float *q;				/* (R,D) queries, or gradients of the mixtures */
	const float *table;			/* (T,D) */
	int			D;
	float		scale;
} Attention;

/* out[e] = q . table[col[e]] */
TR_INLINE void
scores_of_row(const Attention *a, int r)
{
	const float *q = a->q + (size_t) r * a->D;

	for (int64_t e = a->x->ptr[r]; e < a->x->ptr[r + 1]; e++)
	{
		const float *row = a->table + (size_t) a->x->col[e] * a->D;
		float		sum = 0;

		for (int j = 0; j < a->D; j++)
			sum += q[j] * row[j];
		a->out[e] = sum;
	}
}

TR_SIMD static void
weigh_rows(void *argument, int task)
{
	const Attention *a = argument;
	const TrCsr *x = a->x;
	int			end = (int) tr_block_end(x->rows, ROWS, task);

	for (int r = task * ROWS; r < end; r++)
	{
		float		top = -INFINITY;
		float		sum = 0;

		scores_of_row(a, r);
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			if (x->val[e] > 0 && a->scale * a->out[e] > top)
				top = a->scale * a->out[e];
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			a->out[e] = x->val[e] > 0 ? x->val[e] * expf(a->scale * a->out[e] - top) : 0;
			sum += a->out[e];
		}
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1] && sum != 0; e++)
			a->out[e] /= sum;
	}
}

/* weight[e] = val[e] exp(scale q[r] . k[col[e]]) / their sum over the row */
void
tr_cpu_attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale)
{
	Attention	a = {.out = weight, .x = x, .q = q, .table = k, .D = D, .scale = scale};

	tr_cpu_run(b, weigh_rows, &a, tr_blocks(x->rows, ROWS));
}

TR_SIMD static void
backward_rows(void *argument, int task)
{
	const Attention *a = argument;
	const TrCsr *x = a->x;
	int			end = (int) tr_block_end(x->rows, ROWS, task);

	for (int r = task * ROWS; r < end; r++)
	{
		float		mean = 0;

		scores_of_row(a, r);
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			mean += a->weight[e] * a->out[e];
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			a->out[e] = a->scale * a->weight[e] * (a->out[e] - mean);
	}
}

/* dscore[e] = scale weight[e] (dout[r] . v[col[e]] - sum over the row of weight[f] dout[r] . v[col[f]]) */
void
tr_cpu_attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
						  const float *v, int D, float scale)
{
	Attention	a = {.out = dscore, .x = x, .weight = weight, .q = dout, .table = v, .D = D, .scale = scale};

	tr_cpu_run(b, backward_rows, &a, tr_blocks(x->rows, ROWS));
}
