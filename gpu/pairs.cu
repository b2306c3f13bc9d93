/*
 * Scores of (user, item) pairs with an item vector of their own, a warp to a pair. Legend: P pairs, D embedding width.
 */
#include "cuda_common.cuh"

#define PAIRS 8					/* warps of a block */
#define THREADS (PAIRS * TR_WARP)

static __global__ void __launch_bounds__(THREADS)
score_kernel(float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
	int			p = blockIdx.x * PAIRS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	float		sum = 0;

	if (p >= P)
		return;
	for (int j = lane; j < D; j += TR_WARP)
		sum += u[(size_t) row[p] * D + j] * v[(size_t) p * D + j];
	sum = tr_warp_sum(sum);
	if (lane == 0)
		score[p] = sum;
}

/* dv[p] = dscore[p] u[row[p]]; the warp of the first pair of a row adds up the row's du in the order of the pairs. */
static __global__ void __launch_bounds__(THREADS)
backward_kernel(float *du, float *dv, const float *dscore, const float *u, const float *v, const int32_t *row, int P,
				int D)
{
	int			p = blockIdx.x * PAIRS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	int			r;
	bool		opens;

	if (p >= P)
		return;
	r = row[p];
	opens = p == 0 || row[p - 1] != r;
	for (int j = lane; j < D; j += TR_WARP)
	{
		dv[(size_t) p * D + j] = dscore[p] * u[(size_t) r * D + j];
		if (opens)
		{
			float		sum = du[(size_t) r * D + j];

			for (int q = p; q < P && row[q] == r; q++)
				sum += dscore[q] * v[(size_t) q * D + j];
			du[(size_t) r * D + j] = sum;
		}
	}
}

/* score (P) = u[row[p]] . v[p] */
void
tr_cuda_pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
	TR_LAUNCH(b, score_kernel, (unsigned) tr_cuda_blocks(P, PAIRS), THREADS, 0, score, u, v, row, P, D);
}

/* du[row[p]] += dscore[p] v[p]; dv[p] = dscore[p] u[row[p]] */
void
tr_cuda_pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
							 const int32_t *row, int P, int D)
{
	TR_LAUNCH(b, backward_kernel, (unsigned) tr_cuda_blocks(P, PAIRS), THREADS, 0, du, dv, dscore, u, v, row, P, D);
}
