/*
 * Attention of queries over rows of a table, a warp to a row: its lanes share an inner product, then take an entry each.
 * Legend: R rows, T rows of the table, D width.
 */
#include "cuda_common.cuh"

#define ROWS 8					/* warps of a block */
#define THREADS (ROWS * TR_WARP)

/*
 * out[e] = q . table[col[e]] for entries first … end-1; entry first + i is written by lane i % 32, which alone reads it
 * again.
 */
static __device__ inline void
scores_of_row(float *out, const int32_t *col, int64_t first, int64_t end, const float *q, const float *table, int D)
{
	int			lane = threadIdx.x % TR_WARP;

	for (int64_t e = first; e < end; e++)
	{
		const float *row = table + (size_t) col[e] * D;
		float		sum = 0;

		for (int j = lane; j < D; j += TR_WARP)
			sum += q[j] * row[j];
		sum = tr_warp_sum(sum);
		if ((e - first) % TR_WARP == lane)
			out[e] = sum;
	}
}

static __global__ void __launch_bounds__(THREADS)
weights_kernel(float *weight, int R, const int64_t *ptr, const int32_t *col, const float *val, const float *q,
			   const float *k, int D, float scale)
{
	int			r = blockIdx.x * ROWS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	float		top = -INFINITY;
	float		sum = 0;

	if (r >= R)
		return;
	scores_of_row(weight, col, ptr[r], ptr[r + 1], q + (size_t) r * D, k, D);
	for (int64_t e = ptr[r] + lane; e < ptr[r + 1]; e += TR_WARP)
		if (val[e] > 0)
			top = fmaxf(top, scale * weight[e]);
	top = tr_warp_max(top);
	for (int64_t e = ptr[r] + lane; e < ptr[r + 1]; e += TR_WARP)
	{
		weight[e] = val[e] > 0 ? val[e] * expf(scale * weight[e] - top) : 0;
		sum += weight[e];
	}
	sum = tr_warp_sum(sum);
	for (int64_t e = ptr[r] + lane; e < ptr[r + 1] && sum != 0; e += TR_WARP)
		weight[e] /= sum;
}

static __global__ void __launch_bounds__(THREADS)
backward_kernel(float *dscore, int R, const int64_t *ptr, const int32_t *col, const float *weight, const float *dout,
				const float *v, int D, float scale)
{
	int			r = blockIdx.x * ROWS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	float		mean = 0;

	if (r >= R)
		return;
	scores_of_row(dscore, col, ptr[r], ptr[r + 1], dout + (size_t) r * D, v, D);
	for (int64_t e = ptr[r] + lane; e < ptr[r + 1]; e += TR_WARP)
		mean += weight[e] * dscore[e];
	mean = tr_warp_sum(mean);
	for (int64_t e = ptr[r] + lane; e < ptr[r + 1]; e += TR_WARP)
		dscore[e] = scale * weight[e] * (dscore[e] - mean);
}

/* weight[e] = val[e] exp(scale q[r] . k[col[e]]) / their sum over the row */
void
tr_cuda_attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale)
{
	TR_LAUNCH(b, weights_kernel, (unsigned) tr_cuda_blocks(x->rows, ROWS), THREADS, 0, weight, x->rows, x->ptr, x->col,
			  x->val, q, k, D, scale);
}

/* dscore[e] = scale weight[e] (dout[r] . v[col[e]] - sum over the row of weight[f] dout[r] . v[col[f]]) */
void
tr_cuda_attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
						   const float *v, int D, float scale)
{
	TR_LAUNCH(b, backward_kernel, (unsigned) tr_cuda_blocks(x->rows, ROWS), THREADS, 0, dscore, x->rows, x->ptr, x->col,
			  weight, dout, v, D, scale);
}
