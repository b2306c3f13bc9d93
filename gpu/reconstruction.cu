/*
 * Reconstruction of sparse rows through a tanh output layer, a block to a row; the row's targets pass through shared memory
 * a chunk of columns at a time. The decoded row is computed twice rather than stored. Legend: R rows, T tags.
 */
#include "cuda_common.cuh"

#define THREADS 256
#define CHUNK 2048				/* columns */

typedef struct Reconstruction
{
	float	   *z;				/* (R,T) */
	const float *bias;			/* (T) */
	TrCsr		x;
	int			first;
	const float *multiplicity;
	bool		squared;
	float		scale;
	double	   *loss;			/* (R) */
} Reconstruction;

/* target (CHUNK) = columns start … of the row */
static __device__ void
load_targets(const Reconstruction &a, int r, int start, float *target)
{
	__syncthreads();
	for (int i = threadIdx.x; i < CHUNK; i += THREADS)
		target[i] = 0;
	__syncthreads();
	for (int64_t e = a.x.ptr[r] + threadIdx.x; e < a.x.ptr[r + 1]; e += THREADS)
	{
		int			column = a.x.col[e] - start;

		if (column >= 0 && column < CHUNK)
			target[column] = a.x.val[e];
	}
	__syncthreads();
}

/* Sum over the row of (tanh(z + bias) - target)^2; the same in every thread */
static __device__ double
sum_errors(const Reconstruction &a, const float *z, int r, float *target, double *warp_sums)
{
	double		squares = 0;

	for (int start = 0; start < a.x.cols; start += CHUNK)
	{
		int			end = a.x.cols - start < CHUNK ? a.x.cols - start : CHUNK;
		float		sum = 0;

		load_targets(a, r, start, target);
		for (int i = threadIdx.x; i < end; i += THREADS)
		{
			float		d = tanhf(z[start + i] + a.bias[start + i]) - target[i];

			sum += d * d;
		}
		squares += sum;
	}
	return tr_block_sum(squares, warp_sums);
}

static __global__ void __launch_bounds__(THREADS)
loss_kernel(Reconstruction a)
{
	TR_SHARED(float, target, CHUNK);
	TR_SHARED(double, warp_sums, TR_WARP);
	int			r = a.first + blockIdx.x;
	float	   *z = a.z + (size_t) blockIdx.x * a.x.cols;
	double		multiplicity = a.multiplicity[r];
	double		squares = sum_errors(a, z, r, target, warp_sums);
	double		norm = sqrt(squares);
	float		g = (float) (a.scale * multiplicity * (a.squared ? 2 : 1 / (norm < 1e-12 ? 1e-12 : norm)));

	if (threadIdx.x == 0)
		a.loss[blockIdx.x] = multiplicity * (a.squared ? squares : norm);
	for (int start = 0; start < a.x.cols; start += CHUNK)
	{
		int			end = a.x.cols - start < CHUNK ? a.x.cols - start : CHUNK;

		load_targets(a, r, start, target);
		for (int i = threadIdx.x; i < end; i += THREADS)
		{
			float		y = tanhf(z[start + i] + a.bias[start + i]);

			z[start + i] = g * (y - target[i]) * (1 - y * y);
		}
	}
}

void
tr_cuda_reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
							const float *multiplicity, bool squared, float scale, double *loss)
{
	Reconstruction a = {z, bias, *x, first, multiplicity, squared, scale, NULL};

	if (R <= 0)
		return;
	a.loss = (double *) tr_cuda_scratch(b, sizeof(double) * R);
	if (!a.loss)
		return;
	TR_LAUNCH(b, loss_kernel, (unsigned) R, THREADS, 0, a);
	tr_cuda_add_sum(b, loss, a.loss, R, scale);
	tr_cuda_activation_backward(b, z, dbias, z, NULL, R, x->cols, TR_LINEAR);
}
