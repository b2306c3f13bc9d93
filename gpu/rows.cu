/*
 * Extra columns of embeddings, and rows gathered and scattered by index. Legend: R rows.
 */
#include "cuda_common.cuh"

#define THREADS 256
#define BLOCK_ROWS 2048			/* per partial sum of a column */

static __global__ void __launch_bounds__(THREADS)
fill_column_kernel(float *out, int ld, const float *weight, const float *feature, int R)
{
	int			r = blockIdx.x * THREADS + threadIdx.x;

	if (r < R)
		out[(size_t) r * ld] = (weight ? weight[0] : 1) * (feature ? feature[r] : 1);
}

static __global__ void __launch_bounds__(THREADS)
sum_column_kernel(double *partial, const float *dy, int ld, const float *feature, int R)
{
	TR_SHARED(double, warp_sums, TR_WARP);
	int			first = blockIdx.x * BLOCK_ROWS;
	int			end = R - first < BLOCK_ROWS ? R : first + BLOCK_ROWS;
	double		sum = 0;

	for (int r = first + threadIdx.x; r < end; r += THREADS)
		sum += (double) dy[(size_t) r * ld] * (feature ? feature[r] : 1);
	sum = tr_block_sum(sum, warp_sums);
	if (threadIdx.x == 0)
		partial[blockIdx.x] = sum;
}

void
tr_cuda_fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R)
{
	TR_LAUNCH(b, fill_column_kernel, (unsigned) tr_cuda_blocks(R, THREADS), THREADS, 0, out, ld, weight, feature, R);
}

/* dweight[0] += sum of dy[r * ld] feature[r] */
void
tr_cuda_fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R)
{
	int64_t		blocks = tr_cuda_blocks(R, BLOCK_ROWS);
	double	   *partial = (double *) tr_cuda_scratch(b, sizeof(double) * blocks);

	if (!partial || R <= 0)
		return;
	TR_LAUNCH(b, sum_column_kernel, (unsigned) blocks, THREADS, 0, partial, dy, ld, feature, R);
	tr_cuda_add_sum_float(b, dweight, partial, blocks);
}

/* Rows of `width` packs of W floats, one pack a thread */
template <int W>
static __global__ void __launch_bounds__(THREADS)
gather_kernel(float *out, const float *table, const int32_t *index, int64_t n, int width)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	size_t		from;

	if (i >= n)
		return;
	from = ((size_t) index[i / width] * width + i % width) * W;
	tr_store<W>(out + i * W, tr_load<W>(table + from));
}

/* out[r] = table[index[r]] */
void
tr_cuda_gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width)
{
	int64_t		n = (int64_t) R * width;

	if (width % 4 == 0 && tr_cuda_aligned(out) && tr_cuda_aligned(table))
		TR_LAUNCH(b, gather_kernel<4>, (unsigned) tr_cuda_blocks(n / 4, THREADS), THREADS, 0, out, table, index, n / 4,
				  width / 4);
	else
		TR_LAUNCH(b, gather_kernel<1>, (unsigned) tr_cuda_blocks(n, THREADS), THREADS, 0, out, table, index, n, width);
}

/* The thread of the first row that goes to a row of the table adds up all of them, in their order. */
template <int W>
static __global__ void __launch_bounds__(THREADS)
scatter_kernel(float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width, float scale)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	int64_t		r = i / width;
	int			j = (int) (i % width);
	float	   *to;
	TrPack<W>	sum;

	if (r >= R || (r > 0 && index[r - 1] == index[r]))
		return;
	to = table + ((size_t) index[r] * width + j) * W;
	sum = tr_load<W>(to);
	for (int64_t q = r; q < R && index[q] == index[r]; q++)
	{
		TrPack<W>	from = tr_load<W>(x + ((size_t) (row ? row[q] : q) * width + j) * W);

#pragma unroll
		for (int l = 0; l < W; l++)
			sum.v[l] += scale * from.v[l];
	}
	tr_store<W>(to, sum);
}

/* table[index[r]] += scale x[row[r]] */
void
tr_cuda_scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width,
					 float scale)
{
	int64_t		n = (int64_t) R * width;

	if (width % 4 == 0 && tr_cuda_aligned(table) && tr_cuda_aligned(x))
		TR_LAUNCH(b, scatter_kernel<4>, (unsigned) tr_cuda_blocks(n / 4, THREADS), THREADS, 0, table, index, x, row, R,
				  width / 4, scale);
	else
		TR_LAUNCH(b, scatter_kernel<1>, (unsigned) tr_cuda_blocks(n, THREADS), THREADS, 0, table, index, x, row, R, width,
				  scale);
}
