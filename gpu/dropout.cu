/*
 * Dropout from counted random numbers: four elements a thread share one.
 */
#include "cuda_common.cuh"

#define THREADS 256

static __global__ void __launch_bounds__(THREADS)
dropout_kernel(float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
	int64_t		first = ((int64_t) blockIdx.x * THREADS + threadIdx.x) * 4;

	for (int64_t i = first; i < n && i < first + 4; i++)
		out[i] = tr_stays(seed, step, i, p) ? x[i] / (1 - p) : 0;
}

void
tr_cuda_dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
	TR_LAUNCH(b, dropout_kernel, (unsigned) tr_cuda_blocks(n, THREADS * 4), THREADS, 0, out, x, n, p, seed, step);
}
