/*
 * Bias and activation in place, and the gradient through an activation with the bias's gradient.
 * Legend: R rows, O outputs.
 */
#include "cuda_common.cuh"

#define THREADS 256
#define COLUMNS 32				/* of a block's tile: one warp's access */
#define TILE_ROWS 8				/* at a time */
#define MOST_PARTS 128			/* parts of the rows, each with partial sums */

/* x (R,O) = act(x + bias), W columns a thread */
template <int W>
static __global__ void __launch_bounds__(THREADS)
activate_kernel(float *x, const float *bias, int64_t n, int O, TrActivation act)
{
	int64_t		i = ((int64_t) blockIdx.x * THREADS + threadIdx.x) * W;
	TrPack<W>	y;
	TrPack<W>	shift = {};

	if (i >= n)
		return;
	y = tr_load<W>(x + i);
	if (bias)
		shift = tr_load<W>(bias + i % O);
#pragma unroll
	for (int j = 0; j < W; j++)
		y.v[j] = tr_activation(y.v[j] + shift.v[j], act);
	tr_store<W>(x + i, y);
}

void
tr_cuda_activate(TrBackend *b, float *x, const float *bias, int R, int O, TrActivation act)
{
	int64_t		n = (int64_t) R * O;

	if (O % 4 == 0 && tr_cuda_aligned(x) && tr_cuda_aligned(bias))
		TR_LAUNCH(b, activate_kernel<4>, (unsigned) tr_cuda_blocks(n, THREADS * 4), THREADS, 0, x, bias, n, O, act);
	else
		TR_LAUNCH(b, activate_kernel<1>, (unsigned) tr_cuda_blocks(n, THREADS), THREADS, 0, x, bias, n, O, act);
}

/* dz (R,O) = dy act'(y); partial (parts,O) = column sums of each part of the rows, unless NULL */
static __global__ void __launch_bounds__(COLUMNS * TILE_ROWS)
backward_kernel(float *dz, float *partial, const float *dy, const float *y, int R, int O, int rows,
				TrActivation act)
{
	TR_SHARED(float, sums, COLUMNS * TILE_ROWS);
	int			lane = threadIdx.x % COLUMNS;
	int			tile_row = threadIdx.x / COLUMNS;
	int			column = blockIdx.x * COLUMNS + lane;
	int			first = blockIdx.y * rows;
	int			end = R - first < rows ? R : first + rows;
	float		sum = 0;

	for (int r = first + tile_row; r < end && column < O; r += TILE_ROWS)
	{
		size_t		at = (size_t) r * O + column;
		float		d = act == TR_LINEAR ? dy[at] : dy[at] * tr_slope(y[at], act);

		if (act != TR_LINEAR || dz != dy)
			dz[at] = d;
		sum += d;
	}
	if (!partial)
		return;
	sums[threadIdx.x] = sum;
	__syncthreads();
	if (tile_row > 0 || column >= O)
		return;
	for (int i = 1; i < TILE_ROWS; i++)
		sum += sums[i * COLUMNS + lane];
	partial[(size_t) blockIdx.y * O + column] = sum;
}

/* sums (O) += the parts' sums in their order */
static __global__ void __launch_bounds__(THREADS)
add_parts_kernel(float *sums, const float *partial, int parts, int O)
{
	int			column = blockIdx.x * THREADS + threadIdx.x;
	float		sum = 0;

	if (column >= O)
		return;
	for (int part = 0; part < parts; part++)
		sum += partial[(size_t) part * O + column];
	sums[column] += sum;
}

void
tr_cuda_activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O,
							TrActivation act)
{
	int			rows = R <= MOST_PARTS * 32 ? 32 : (int) tr_cuda_blocks(R, MOST_PARTS);
	int			parts = (int) tr_cuda_blocks(R, rows);
	float	   *partial = NULL;

	if (R <= 0 || O <= 0 || (!dbias && act == TR_LINEAR && dz == dy))
		return;
	if (dbias && !(partial = (float *) tr_cuda_scratch(b, sizeof(float) * parts * O)))
		return;
	/* O may be the number of tags: a grid has no more than 65,535 blocks but along x */
	TR_LAUNCH(b, backward_kernel, dim3((unsigned) tr_cuda_blocks(O, COLUMNS), parts), COLUMNS * TILE_ROWS, 0, dz, partial,
			  dy, y, R, O, rows, act);
	if (dbias)
		TR_LAUNCH(b, add_parts_kernel, (unsigned) tr_cuda_blocks(O, THREADS), THREADS, 0, dbias, partial, parts, O);
}
