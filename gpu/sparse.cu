/*
 * The sparse layer. Forward: a block to a row and a slice of the columns; all rows of one slice come before the next, so
 * that a slice of w (T,H) stays in the second-level cache. Backward: the entries by column (sort.cu) in tiles of equal
 * size, whatever the columns' lengths; a column that lies in one tile is added to dw at once, the parts of one that crosses
 * tiles are added up in their order by a second pass. An entry of value 0 is read, but no row of w or dz for it.
 * Legend: R rows, T tags, H hidden units.
 */
#include "cuda_common.cuh"

#define SLICE_THREADS 128
#define AHEAD 4					/* rows of w or dz being loaded at once */
#define CHUNK 128				/* entries in shared memory at once */
#define MOST_TILES 8192

/* out[r] (slice) = act(bias + sum of val[e] w[col[e]]), W columns a thread */
template <int W>
static __global__ void __launch_bounds__(SLICE_THREADS)
forward_kernel(float *out, const int64_t *ptr, const int32_t *col, const float *val, const float *w, const float *bias,
			   int H, TrActivation act)
{
	size_t		j = (size_t) (blockIdx.y * blockDim.x + threadIdx.x) * W;
	int64_t		e = ptr[blockIdx.x];
	int64_t		end = ptr[blockIdx.x + 1];
	TrPack<W>	sum = {};

	if (j >= (size_t) H)
		return;
	if (bias)
		sum = tr_load<W>(bias + j);
	for (; e < end; e += AHEAD)
	{
		TrPack<W>	from[AHEAD];
		float		x[AHEAD];

#pragma unroll
		for (int i = 0; i < AHEAD; i++)
		{
			x[i] = e + i < end ? val[e + i] : 0;
			from[i] = x[i] != 0 ? tr_load<W>(w + (size_t) col[e + i] * H + j) : TrPack<W>{};
		}
#pragma unroll
		for (int i = 0; i < AHEAD; i++)
#pragma unroll
			for (int l = 0; l < W; l++)
				sum.v[l] += x[i] * from[i].v[l];
	}
#pragma unroll
	for (int l = 0; l < W; l++)
		sum.v[l] = tr_activation(sum.v[l], act);
	tr_store<W>(out + (size_t) blockIdx.x * H + j, sum);
}

/* out (R,H) = act(x (R,T) w (T,H) + bias) */
void
tr_cuda_sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H, TrActivation act)
{
	bool		wide = H % 4 == 0 && tr_cuda_aligned(out) && tr_cuda_aligned(w) && tr_cuda_aligned(bias);
	int			packs = wide ? H / 4 : H;
	int			threads = tr_cuda_threads(packs, SLICE_THREADS);
	dim3		grid(x->rows, (unsigned) tr_cuda_blocks(packs, threads));

	if (wide)
		TR_LAUNCH(b, forward_kernel<4>, grid, threads, 0, out, x->ptr, x->col, x->val, w, bias, H, act);
	else
		TR_LAUNCH(b, forward_kernel<1>, grid, threads, 0, out, x->ptr, x->col, x->val, w, bias, H, act);
}

typedef struct Backward
{
	float	   *dw;				/* (T,H) */
	float	   *partial;		/* (tiles, 2, H): of a tile's first column if it began before; of its last if it goes on */
	TrByColumn	x;
	const float *dz;			/* (R,H) */
	const int64_t *n;			/* entries */
	int			H;
	int			tile;			/* entries of a tile */
} Backward;

/* Where entries i … i + CHUNK - 1 lie for the block's threads. */
typedef struct Chunk
{
	uint32_t   *col;
	int32_t    *row;
	float	   *val;
} Chunk;

static __device__ inline void
load_chunk(const Backward &a, const Chunk &chunk, int64_t first, int count)
{
	__syncthreads();
	for (int i = threadIdx.x; i < count; i += blockDim.x)
	{
		chunk.col[i] = a.x.col[first + i];
		chunk.row[i] = a.x.row[first + i];
		chunk.val[i] = a.x.val[first + i];
	}
	__syncthreads();
}

/* The sum of a column's entries first … end-1, all in this tile. */
template <int W>
static __device__ inline void
put_sum(const Backward &a, size_t j, uint32_t col, int64_t first, int64_t end, const TrPack<W> &sum)
{
	int64_t		tile_first = (int64_t) blockIdx.x * a.tile;
	bool		began_before = first == tile_first && first > 0 && a.x.col[first - 1] == col;
	bool		goes_on = end == tile_first + a.tile && end < *a.n && a.x.col[end] == col;

	if (j >= (size_t) a.H)
		return;
	if (began_before || goes_on)
		tr_store<W>(a.partial + ((size_t) blockIdx.x * 2 + !began_before) * a.H + j, sum);
	else
	{
		TrPack<W>	dw = tr_load<W>(a.dw + (size_t) col * a.H + j);

#pragma unroll
		for (int l = 0; l < W; l++)
			dw.v[l] += sum.v[l];
		tr_store<W>(a.dw + (size_t) col * a.H + j, dw);
	}
}

/* Rows of dz that entries i … i + AHEAD - 1 of the chunk point to; zeroes where there is nothing to add */
template <int W>
static __device__ inline void
load_rows(const Backward &a, const Chunk &chunk, size_t j, int i, int count, TrPack<W> *from)
{
#pragma unroll
	for (int l = 0; l < AHEAD; l++)
		from[l] = i + l < count && chunk.val[i + l] != 0 && j < (size_t) a.H
			? tr_load<W>(a.dz + (size_t) chunk.row[i + l] * a.H + j) : TrPack<W>{};
}

template <int W>
static __global__ void __launch_bounds__(SLICE_THREADS)
tiles_kernel(Backward a)
{
	TR_SHARED(uint32_t, cols, CHUNK);
	TR_SHARED(int32_t, rows, CHUNK);
	TR_SHARED(float, vals, CHUNK);
	Chunk		chunk = {cols, rows, vals};
	size_t		j = (size_t) (blockIdx.y * blockDim.x + threadIdx.x) * W;
	int64_t		begin = (int64_t) blockIdx.x * a.tile;	/* of the column being summed */
	int64_t		end = *a.n - begin < a.tile ? *a.n : begin + a.tile;
	uint32_t	col = begin < end ? a.x.col[begin] : 0;
	TrPack<W>	sum = {};

	for (int64_t first = begin; first < end; first += CHUNK)
	{
		int			count = (int) (end - first < CHUNK ? end - first : CHUNK);

		load_chunk(a, chunk, first, count);
		for (int i = 0; i < count; i += AHEAD)
		{
			TrPack<W>	from[AHEAD];

			load_rows<W>(a, chunk, j, i, count, from);
#pragma unroll
			for (int l = 0; l < AHEAD; l++)
			{
				if (i + l >= count)
					break;
				if (chunk.col[i + l] != col)
				{
					put_sum<W>(a, j, col, begin, first + i + l, sum);
					col = chunk.col[i + l];
					begin = first + i + l;
					sum = TrPack<W>{};
				}
#pragma unroll
				for (int k = 0; k < W; k++)
					sum.v[k] += chunk.val[i + l] * from[l].v[k];
			}
		}
	}
	if (begin < end)
		put_sum<W>(a, j, col, begin, end, sum);
}

/* The tile in which a column begins that goes on adds up the column's parts. */
static __global__ void __launch_bounds__(SLICE_THREADS)
crossing_kernel(Backward a)
{
	int			j = blockIdx.y * blockDim.x + threadIdx.x;
	int64_t		n = *a.n;
	int64_t		first = (int64_t) blockIdx.x * a.tile;
	int64_t		end = first + a.tile;
	uint32_t	col;
	float		sum;

	if (end >= n || j >= a.H)
		return;
	col = a.x.col[end - 1];
	if (a.x.col[end] != col || (a.x.col[first] == col && first > 0 && a.x.col[first - 1] == col))
		return;
	sum = a.partial[((size_t) blockIdx.x * 2 + 1) * a.H + j];
	for (size_t tile = blockIdx.x + 1; end < n && a.x.col[end] == col; tile++, end += a.tile)
		sum += a.partial[tile * 2 * a.H + j];
	a.dw[(size_t) col * a.H + j] += sum;
}

/* dw (T,H) += x^T dz (R,H) */
void
tr_cuda_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
	int			chunks = (int) tr_cuda_blocks(x->capacity, (int64_t) CHUNK * MOST_TILES);
	Backward	a = {dw, NULL, {}, dz, x->ptr + x->rows, H, (chunks < 1 ? 1 : chunks) * CHUNK};
	unsigned	tiles = (unsigned) tr_cuda_blocks(x->capacity, a.tile);
	bool		wide = H % 4 == 0 && tr_cuda_aligned(dw) && tr_cuda_aligned(dz);
	int			packs = wide ? H / 4 : H;
	int			threads = tr_cuda_threads(packs, SLICE_THREADS);
	size_t		bytes = tr_cuda_sort_bytes(x);
	char	   *scratch;

	if (x->rows <= 0 || x->capacity <= 0 || H <= 0 || tr_cuda_failed(b))
		return;
	if (x->capacity > INT32_MAX)
	{
		tr_fail(&tr_cuda(b)->error, TR_UNSUPPORTED,
				"the profiles of a mini-batch have %lld entries, more than CUDA training supports",
				(long long) x->capacity);
		return;
	}
	scratch = (char *) tr_cuda_scratch(b, bytes + 256 + sizeof(float) * tiles * 2 * H);
	if (!scratch)
		return;
	a.partial = (float *) (scratch + (bytes + 255) / 256 * 256);
	tr_cuda_sort(b, x, scratch, &a.x);
	if (wide)
		TR_LAUNCH(b, tiles_kernel<4>, dim3(tiles, (unsigned) tr_cuda_blocks(packs, threads)), threads, 0, a);
	else
		TR_LAUNCH(b, tiles_kernel<1>, dim3(tiles, (unsigned) tr_cuda_blocks(packs, threads)), threads, 0, a);
	threads = tr_cuda_threads(H, SLICE_THREADS);
	TR_LAUNCH(b, crossing_kernel, dim3(tiles, (unsigned) tr_cuda_blocks(H, threads)), threads, 0, a);
}

/* The gradient is put together in room (T,H). */
void
tr_cuda_sparse_update(TrBackend *b, const TrOptimizer *o, float *w, float *m, float *v, const TrCsr *groups, int n,
					  const float *dz, int H, float *room)
{
	size_t		size = (size_t) groups[0].cols * H;

	b->ops->zero(b, room, size * sizeof(float));
	for (int g = 0; g < n; dz += (size_t) groups[g++].rows * H)
		tr_cuda_sparse_backward(b, room, &groups[g], dz, H);
	tr_cuda_update(b, o, w, room, m, v, (int64_t) size);
}
