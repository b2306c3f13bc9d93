/*
 * Gaussian kernels of pairs with a vector of their own, a warp to a pair. Backward in two passes: the pulls of every pair,
 * which are dv; then the warp of the first pair of a row adds up the row's. Legend: P pairs, B parts of a row, D width of a
 * part.
 */
#include "cuda_common.cuh"

#define PAIRS 8					/* warps of a block */
#define THREADS (PAIRS * TR_WARP)

/* exp(-gamma |u - v|^2), the same in every lane */
static __device__ inline float
kernel_of(const float *u, const float *v, int D, float gamma)
{
	float		sum = 0;

	for (int j = threadIdx.x % TR_WARP; j < D; j += TR_WARP)
		sum += (u[j] - v[j]) * (u[j] - v[j]);
	return expf(-gamma * tr_warp_sum(sum));
}

static __global__ void __launch_bounds__(THREADS)
score_kernel(float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D, float gamma,
			 float scale)
{
	int			p = blockIdx.x * PAIRS + threadIdx.x / TR_WARP;
	float		sum = 0;

	if (p >= P)
		return;
	for (int part = 0; part < B; part++)
		sum += kernel_of(u + ((size_t) row[p] * B + part) * D, v + ((size_t) p * B + part) * D, D, gamma);
	if (threadIdx.x % TR_WARP == 0)
		score[p] = scale * sum;
}

static __global__ void __launch_bounds__(THREADS)
pull_kernel(float *dv, const float *dscore, const float *u, const float *v, const int32_t *row, int P, int B, int D,
			float gamma, float scale)
{
	int			p = blockIdx.x * PAIRS + threadIdx.x / TR_WARP;

	if (p >= P)
		return;
	for (int part = 0; part < B; part++)
	{
		size_t		at = ((size_t) row[p] * B + part) * D;
		size_t		to = ((size_t) p * B + part) * D;
		float		f = 2 * gamma * scale * dscore[p] * kernel_of(u + at, v + to, D, gamma);

		for (int j = threadIdx.x % TR_WARP; j < D; j += TR_WARP)
			dv[to + j] = f * (u[at + j] - v[to + j]);
	}
}

/* du[row] -= what its pairs pull, in the order of the pairs; width = B D */
static __global__ void __launch_bounds__(THREADS)
collect_kernel(float *du, const float *dv, const int32_t *row, int P, int width)
{
	int			p = blockIdx.x * PAIRS + threadIdx.x / TR_WARP;

	if (p >= P || (p > 0 && row[p - 1] == row[p]))
		return;
	for (int j = threadIdx.x % TR_WARP; j < width; j += TR_WARP)
	{
		float		sum = du[(size_t) row[p] * width + j];

		for (int q = p; q < P && row[q] == row[p]; q++)
			sum -= dv[(size_t) q * width + j];
		du[(size_t) row[p] * width + j] = sum;
	}
}

/* score[p] = scale * sum over the parts of exp(-gamma |u[row[p]] - v[p]|^2) */
void
tr_cuda_gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D,
						float gamma, float scale)
{
	TR_LAUNCH(b, score_kernel, (unsigned) tr_cuda_blocks(P, PAIRS), THREADS, 0, score, u, v, row, P, B, D, gamma, scale);
}

/* du[row[p]] += f (v[p] - u[row[p]]); dv[p] = f (u[row[p]] - v[p]), part by part, f = 2 gamma scale dscore[p] kernel */
void
tr_cuda_gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
								 const int32_t *row, int P, int B, int D, float gamma, float scale)
{
	unsigned	blocks = (unsigned) tr_cuda_blocks(P, PAIRS);

	TR_LAUNCH(b, pull_kernel, blocks, THREADS, 0, dv, dscore, u, v, row, P, B, D, gamma, scale);
	TR_LAUNCH(b, collect_kernel, blocks, THREADS, 0, du, dv, row, P, B * D);
}
