/*
 * Draws from normal distributions, a thread to a number. Legend: R rows, D numbers of a row.
 */
#include "cuda_common.cuh"

#define THREADS 256

static __device__ float
deviation(uint64_t seed, uint64_t step, int64_t i)
{
	return step > 0 ? (float) tr_normal(seed, TR_STREAM_LATENT, step, (uint64_t) i) : 0.0f;
}

static __global__ void __launch_bounds__(THREADS)
draw_kernel(float *z, const float *x, int64_t n, int D, uint64_t seed, uint64_t step)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	const float *row = x + i / D * 2 * D;

	if (i < n)
		z[i] = row[i % D] + expf(0.5f * row[D + i % D]) * deviation(seed, step, i);
}

void
tr_cuda_latent(TrBackend *b, float *z, const float *x, int R, int D, uint64_t seed, uint64_t step)
{
	int64_t		n = (int64_t) R * D;

	TR_LAUNCH(b, draw_kernel, (unsigned) tr_cuda_blocks(n, THREADS), THREADS, 0, z, x, n, D, seed, step);
}

static __global__ void __launch_bounds__(THREADS)
backward_kernel(float *dx, const float *dz, const float *x, int64_t n, int D, uint64_t seed, uint64_t step, float scale,
				double *loss)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	int64_t		mean = i / D * 2 * D + i % D;
	float		sigma;

	if (i >= n)
		return;
	sigma = expf(0.5f * x[mean + D]);
	loss[i] = ((double) sigma * sigma + (double) x[mean] * x[mean] - 1 - x[mean + D]) / 2;
	dx[mean] = dz[i] + scale * x[mean];
	dx[mean + D] = 0.5f * dz[i] * sigma * deviation(seed, step, i) + scale * 0.5f * (sigma * sigma - 1);
}

void
tr_cuda_latent_backward(TrBackend *b, float *dx, const float *dz, const float *x, int R, int D, uint64_t seed,
						uint64_t step, float scale, double *loss)
{
	int64_t		n = (int64_t) R * D;
	double	   *partial;

	if (n <= 0)
		return;
	partial = (double *) tr_cuda_scratch(b, sizeof(double) * n);
	if (!partial)
		return;
	TR_LAUNCH(b, backward_kernel, (unsigned) tr_cuda_blocks(n, THREADS), THREADS, 0, dx, dz, x, n, D, seed, step, scale,
			  partial);
	tr_cuda_add_sum(b, loss, partial, n, scale);
}
