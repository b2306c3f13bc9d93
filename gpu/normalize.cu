/*
 * Rows to unit length and back, a warp to a row. Legend: R rows, D embedding width.
 */
#include "cuda_common.cuh"

#define ROWS 8					/* warps of a block */
#define THREADS (ROWS * TR_WARP)

static __global__ void __launch_bounds__(THREADS)
normalize_kernel(float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
	int			r = blockIdx.x * ROWS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	const float *from = x + (size_t) r * D;
	float	   *to = out + (size_t) r * ld;
	float		sum = 0;
	float		length;

	if (r >= R)
		return;
	for (int j = lane; j < D; j += TR_WARP)
		sum += from[j] * from[j];
	length = sqrtf(tr_warp_sum(sum));
	/* written so that a NaN stays one */
	length = length < 1e-12f ? INFINITY : length;
	if (lane == 0)
		norm[r] = length;
	for (int j = lane; j < D; j += TR_WARP)
		to[j] = scale / length * from[j];
}

static __global__ void __launch_bounds__(THREADS)
normalize_backward_kernel(float *dx, const float *dy, const float *out, int ld, const float *norm, int R, int D,
						  float scale)
{
	int			r = blockIdx.x * ROWS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	const float *g = dy + (size_t) r * ld;
	const float *y = out + (size_t) r * ld;
	float		along = 0;
	float		a;

	if (r >= R)
		return;
	for (int j = lane; j < D; j += TR_WARP)
		along += y[j] * g[j];
	along = tr_warp_sum(along) / (scale * scale);
	a = scale / norm[r];
	for (int j = lane; j < D; j += TR_WARP)
		dx[(size_t) r * D + j] = a * (g[j] - y[j] * along);
}

/* out[r] = scale x[r] / norm[r], norm[r] = |x[r]|, or INFINITY below 1e-12 */
void
tr_cuda_normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
	TR_LAUNCH(b, normalize_kernel, (unsigned) tr_cuda_blocks(R, ROWS), THREADS, 0, out, ld, norm, x, R, D, scale);
}

/* dx (R,D) = scale (dy - y (y . dy)) / norm, y = out / scale */
void
tr_cuda_normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R,
						   int D, float scale)
{
	TR_LAUNCH(b, normalize_backward_kernel, (unsigned) tr_cuda_blocks(R, ROWS), THREADS, 0, dx, dy, out, ld, norm, R, D,
			  scale);
}
