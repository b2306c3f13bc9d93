/*
 * The entries of sparse rows in the order of their columns, rows ascending within a column: a radix sort, eight bits of the
 * column a pass from the lowest up. Every pass keeps the order of equal digits, so the result does not depend on chance.
 *
 *   rows     what row each entry belongs to
 *   count    how often each digit occurs in each tile of entries
 *   scan     for each digit, how often in the tiles before; and in all
 *   scatter  each entry to: entries of lower digits + the digit's in earlier tiles, in earlier warps, in earlier lanes
 *
 * How many entries there are is known on the device alone; grids are cut for as many as there is room for.
 */
#include "cuda_common.cuh"

#define DIGITS 256
#define THREADS 256				/* a thread to a digit in the scans */
#define WARPS (THREADS / TR_WARP)
#define ROUNDS 8				/* entries of a thread */
#define TILE (THREADS * ROUNDS)
#define NO_DIGIT DIGITS			/* behind the last entry */

static int64_t
tiles_of(const TrCsr *x)
{
	return tr_cuda_blocks(x->capacity, TILE);
}

size_t
tr_cuda_sort_bytes(const TrCsr *x)
{
	size_t		entries = ((size_t) x->capacity * 4 + 255) / 256 * 256;

	return 6 * entries + ((size_t) tiles_of(x) + 1) * DIGITS * sizeof(int32_t) + 1024;
}

/* A warp to a row */
static __global__ void __launch_bounds__(THREADS)
rows_kernel(int32_t *row, const int64_t *ptr, int R)
{
	int			r = blockIdx.x * WARPS + threadIdx.x / TR_WARP;

	if (r >= R)
		return;
	for (int64_t e = ptr[r] + threadIdx.x % TR_WARP; e < ptr[r + 1]; e += TR_WARP)
		row[e] = r;
}

/* Warp w of a tile has its entries w * ROUNDS * 32 …, 32 in a round. */
static __device__ inline int64_t
entry_of(int round)
{
	return (int64_t) blockIdx.x * TILE + (threadIdx.x / TR_WARP * ROUNDS + round) * TR_WARP + threadIdx.x % TR_WARP;
}

/* count (DIGITS, tiles) */
static __global__ void __launch_bounds__(THREADS)
count_kernel(int32_t *count, const uint32_t *key, const int64_t *n, int shift, int tiles)
{
	TR_SHARED(int32_t, counts, DIGITS);

	counts[threadIdx.x] = 0;
	__syncthreads();
	for (int round = 0; round < ROUNDS; round++)
		if (entry_of(round) < *n)
			atomicAdd(&counts[key[entry_of(round)] >> shift & (DIGITS - 1)], 1);
	__syncthreads();
	count[(size_t) threadIdx.x * tiles + blockIdx.x] = counts[threadIdx.x];
}

/* A warp to a digit: count becomes the sum over the tiles before; total (DIGITS) */
static __global__ void __launch_bounds__(THREADS)
scan_kernel(int32_t *count, int32_t *total, int tiles)
{
	int			digit = blockIdx.x * WARPS + threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	int32_t    *of_digit = count + (size_t) digit * tiles;
	int32_t		before = 0;

	for (int first = 0; first < tiles; first += TR_WARP)
	{
		int			tile = first + lane;
		int32_t		here = tile < tiles ? of_digit[tile] : 0;
		int32_t		sum = tr_warp_scan(here);

		if (tile < tiles)
			of_digit[tile] = before + sum - here;
		before += __shfl_sync(TR_ALL_LANES, sum, TR_WARP - 1);
	}
	if (lane == 0)
		total[digit] = before;
}

typedef struct Pass
{
	const uint32_t *key;
	const int32_t *row;
	const float *val;
	TrByColumn	out;
	const int32_t *count;
	const int32_t *total;
	const int64_t *n;
	int			shift;
	int			tiles;
} Pass;

/* Lanes of the warp with the same digit; the lowest of them speaks for all. */
static __device__ inline unsigned
same_digit(const Pass &pass, int round, int *digit)
{
	int64_t		e = entry_of(round);

	*digit = e < *pass.n ? (int) (pass.key[e] >> pass.shift & (DIGITS - 1)) : NO_DIGIT;
	return __match_any_sync(TR_ALL_LANES, (unsigned) *digit);
}

/* place (WARPS, DIGITS + 1) = where the warp's next entry of a digit goes */
static __device__ void
find_places(const Pass &pass, int32_t *place, int32_t *warp_sums)
{
	int			warp = threadIdx.x / TR_WARP;
	int			lane = threadIdx.x % TR_WARP;
	int32_t		all;
	int32_t		at;
	int			digit;

	for (int i = threadIdx.x; i < WARPS * (DIGITS + 1); i += THREADS)
		place[i] = 0;
	__syncthreads();
	for (int round = 0; round < ROUNDS; round++)
	{
		unsigned	same = same_digit(pass, round, &digit);

		if (lane == __ffs((int) same) - 1)
			place[warp * (DIGITS + 1) + digit] += __popc(same);
		__syncwarp(TR_ALL_LANES);
	}
	at = tr_block_scan<int32_t>(pass.total[threadIdx.x], warp_sums, &all)
		+ pass.count[(size_t) threadIdx.x * pass.tiles + blockIdx.x];
	__syncthreads();
	for (int w = 0; w < WARPS; w++)
	{
		int32_t    *of_warp = &place[w * (DIGITS + 1) + threadIdx.x];
		int32_t		count = *of_warp;

		*of_warp = at;
		at += count;
	}
	__syncthreads();
}

static __global__ void __launch_bounds__(THREADS)
scatter_kernel(Pass pass)
{
	TR_SHARED(int32_t, place, WARPS * (DIGITS + 1));
	TR_SHARED(int32_t, warp_sums, TR_WARP);
	int32_t    *of_warp = place + threadIdx.x / TR_WARP * (DIGITS + 1);
	int			lane = threadIdx.x % TR_WARP;

	find_places(pass, place, warp_sums);
	for (int round = 0; round < ROUNDS; round++)
	{
		int64_t		e = entry_of(round);
		int			digit;
		unsigned	same = same_digit(pass, round, &digit);
		int32_t		to = of_warp[digit] + __popc(same & ((1u << lane) - 1));

		__syncwarp(TR_ALL_LANES);
		if (lane == __ffs((int) same) - 1)
			of_warp[digit] += __popc(same);
		__syncwarp(TR_ALL_LANES);
		if (digit == NO_DIGIT)
			continue;
		pass.out.col[to] = pass.key[e];
		pass.out.row[to] = pass.row[e];
		pass.out.val[to] = pass.val[e];
	}
}

static int
passes_of(int T)
{
	int			passes = 1;

	while (passes < 4 && (uint32_t) (T - 1) >> (8 * passes) != 0)
		passes++;
	return passes;
}

void
tr_cuda_sort(TrBackend *b, const TrCsr *x, char *scratch, TrByColumn *sorted)
{
	size_t		entries = (size_t) x->capacity * 4;
	int			tiles = (int) tiles_of(x);
	int			passes = passes_of(x->cols);
	TrByColumn	buffer[2];
	int32_t    *count;
	int32_t    *total;
	Pass		pass;

	for (int i = 0; i < 2; i++)
	{
		buffer[i].col = (uint32_t *) tr_cuda_piece(&scratch, entries);
		buffer[i].row = (int32_t *) tr_cuda_piece(&scratch, entries);
		buffer[i].val = (float *) tr_cuda_piece(&scratch, entries);
	}
	total = (int32_t *) tr_cuda_piece(&scratch, sizeof(int32_t) * DIGITS);
	count = (int32_t *) scratch;
	TR_LAUNCH(b, rows_kernel, (unsigned) tr_cuda_blocks(x->rows, WARPS), THREADS, 0, buffer[1].row, x->ptr, x->rows);
	for (int i = 0; i < passes; i++)
	{
		pass.key = i == 0 ? (const uint32_t *) x->col : buffer[(i + 1) % 2].col;
		pass.row = buffer[(i + 1) % 2].row;
		pass.val = i == 0 ? x->val : buffer[(i + 1) % 2].val;
		pass.out = buffer[i % 2];
		pass.count = count;
		pass.total = total;
		pass.n = x->ptr + x->rows;
		pass.shift = 8 * i;
		pass.tiles = tiles;
		TR_LAUNCH(b, count_kernel, (unsigned) tiles, THREADS, 0, count, pass.key, pass.n, pass.shift, tiles);
		TR_LAUNCH(b, scan_kernel, DIGITS / WARPS, THREADS, 0, count, total, tiles);
		TR_LAUNCH(b, scatter_kernel, (unsigned) tiles, THREADS, 0, pass);
	}
	*sorted = buffer[(passes + 1) % 2];
}
