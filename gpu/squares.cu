/*
 * Squared error at the entries of sparse rows, a block to a row. A chunk of the row's columns passes through shared memory:
 * errors are put where entries are, and zeros where there are none. Legend: R rows, T columns.
 */
#include "cuda_common.cuh"

#define THREADS 256
#define CHUNK 2048				/* columns */

typedef struct Squares
{
	float	   *z;				/* (R,T) */
	TrCsr		x;
	float		scale;
	double	   *loss;			/* (R) */
} Squares;

/* dz (CHUNK) = the gradient of columns start … of row r; returns the squares of this thread's entries */
static __device__ double
load_errors(const Squares &a, const float *z, int r, int start, float *dz)
{
	double		squares = 0;

	__syncthreads();
	for (int i = threadIdx.x; i < CHUNK; i += THREADS)
		dz[i] = 0;
	__syncthreads();
	for (int64_t e = a.x.ptr[r] + threadIdx.x; e < a.x.ptr[r + 1]; e += THREADS)
	{
		int			column = a.x.col[e] - start;

		if (column >= 0 && column < CHUNK)
		{
			float		error = z[a.x.col[e]] - a.x.val[e];

			squares += (double) error * error;
			dz[column] = 2 * a.scale * error;
		}
	}
	__syncthreads();
	return squares;
}

static __global__ void __launch_bounds__(THREADS)
row_kernel(Squares a)
{
	TR_SHARED(float, dz, CHUNK);
	TR_SHARED(double, warp_sums, TR_WARP);
	float	   *z = a.z + (size_t) blockIdx.x * a.x.cols;
	double		squares = 0;

	for (int start = 0; start < a.x.cols; start += CHUNK)
	{
		int			end = a.x.cols - start < CHUNK ? a.x.cols - start : CHUNK;

		squares += load_errors(a, z, blockIdx.x, start, dz);
		for (int i = threadIdx.x; i < end; i += THREADS)
			z[start + i] = dz[i];
	}
	squares = tr_block_sum(squares, warp_sums);
	if (threadIdx.x == 0)
		a.loss[blockIdx.x] = squares;
}

/* A single column: a thread to a row, whose entry is there or not */
static __global__ void __launch_bounds__(THREADS)
column_kernel(Squares a)
{
	int			r = blockIdx.x * THREADS + threadIdx.x;
	float		error = 0;

	if (r >= a.x.rows)
		return;
	if (a.x.ptr[r] < a.x.ptr[r + 1])
		error = a.z[r] - a.x.val[a.x.ptr[r]];
	a.loss[r] = (double) error * error;
	a.z[r] = 2 * a.scale * error;
}

void
tr_cuda_squared_loss(TrBackend *b, float *z, const TrCsr *x, float scale, double *loss)
{
	Squares		a = {z, *x, scale, NULL};

	if (x->rows <= 0 || x->cols <= 0)
		return;
	a.loss = (double *) tr_cuda_scratch(b, sizeof(double) * x->rows);
	if (!a.loss)
		return;
	if (x->cols == 1)
		TR_LAUNCH(b, column_kernel, (unsigned) tr_cuda_blocks(x->rows, THREADS), THREADS, 0, a);
	else
		TR_LAUNCH(b, row_kernel, (unsigned) x->rows, THREADS, 0, a);
	tr_cuda_add_sum(b, loss, a.loss, x->rows, scale);
}
