/*
 * The second pass of sums: partial sums that blocks have left in device memory, added in a fixed order.
 */
#include "cuda_common.cuh"

#define THREADS 256

/* Thread i adds partial[i], partial[i + THREADS], …; then the threads are added up. */
static __device__ double
sum_of(const double *partial, int64_t n, double *warp_sums)
{
	double		sum = 0;

	for (int64_t i = threadIdx.x; i < n; i += THREADS)
		sum += partial[i];
	return tr_block_sum(sum, warp_sums);
}

static __global__ void __launch_bounds__(THREADS)
add_sum_kernel(double *total, const double *partial, int64_t n, double scale)
{
	TR_SHARED(double, warp_sums, TR_WARP);
	double		sum = sum_of(partial, n, warp_sums);

	if (threadIdx.x == 0)
		*total += scale * sum;
}

static __global__ void __launch_bounds__(THREADS)
add_sum_float_kernel(float *total, const double *partial, int64_t n)
{
	TR_SHARED(double, warp_sums, TR_WARP);
	double		sum = sum_of(partial, n, warp_sums);

	if (threadIdx.x == 0)
		*total += (float) sum;
}

void
tr_cuda_add_sum(TrBackend *b, double *sum, const double *partial, int64_t n, double scale)
{
	TR_LAUNCH(b, add_sum_kernel, 1, THREADS, 0, sum, partial, n, scale);
}

void
tr_cuda_add_sum_float(TrBackend *b, float *sum, const double *partial, int64_t n)
{
	TR_LAUNCH(b, add_sum_float_kernel, 1, THREADS, 0, sum, partial, n);
}
