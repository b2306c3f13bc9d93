/*
 * Plain attention of queries over rows of a table. Sums are taken in double. Legend: R rows, T rows of the table, D width.
 */
#include "core/plain.h"

#include <math.h>

static double
dot(const float *x, const float *y, int n)
{
	double		sum = 0;

	for (int j = 0; j < n; j++)
		sum += (double) x[j] * y[j];
	return sum;
}

/* weight[e] = val[e] exp(scale q[r] . k[col[e]]) / their sum over the row */
void
tr_plain_attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale)
{
	(void) b;
	for (int r = 0; r < x->rows; r++)
	{
		double		top = -INFINITY;
		double		sum = 0;

		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			weight[e] = (float) (scale * dot(q + (size_t) r * D, k + (size_t) x->col[e] * D, D));
			if (x->val[e] > 0)
				top = fmax(top, weight[e]);
		}
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			weight[e] = x->val[e] > 0 ? (float) (x->val[e] * exp(weight[e] - top)) : 0;
			sum += weight[e];
		}
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1] && sum != 0; e++)
			weight[e] = (float) (weight[e] / sum);
	}
}

/* dscore[e] = scale weight[e] (dout[r] . v[col[e]] - sum over the row of weight[f] dout[r] . v[col[f]]) */
void
tr_plain_attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
							const float *v, int D, float scale)
{
	(void) b;
	for (int r = 0; r < x->rows; r++)
	{
		double		mean = 0;

		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			dscore[e] = (float) dot(dout + (size_t) r * D, v + (size_t) x->col[e] * D, D);
			mean += (double) weight[e] * dscore[e];
		}
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			dscore[e] = (float) (scale * weight[e] * (dscore[e] - mean));
	}
}
