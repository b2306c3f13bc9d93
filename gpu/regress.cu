/*
 * Ridge regression of many rows, a block to a row: its normal equations a (D,D) in tiles of B x B, the lower triangle
 * alone; Cholesky's factorisation in place; both substitutions.
 *
 *   sums        a thread to a tile (regress.cuh)
 *   factor      per column of tiles: a thread to a row below the diagonal; then a thread to a tile right of it. Who
 *               updates the next tile of the diagonal factorises it at once, while the others are still at theirs
 *   substitute  forward with the factorisation, y being one more row of it; backward a column of tiles at a time
 *
 * Tiles lie in shared memory, or, where D is too large for the device's, in device memory, some rows' at a time. A row may
 * be as long as it likes: entries are cut into segments of equal size, and those that lie in one row are summed by blocks
 * of their own first; the row's block adds them in their order.
 *
 * The floor is arithmetic: n D^2 / 2 multiply-adds for a row of n entries and D^3 / 6 for its factor, 1.2 million at D =
 * 128 and n = 100, some 40 ms for a million such rows at 30 10^12 a second. A tile of 8 x 8 takes 16 floats out of shared
 * memory for 64 multiply-adds, and v is read once from the second-level cache: neither is the limit. What is above the
 * floor is waiting: 3 barriers and one short serial factorisation per column of tiles, which only other blocks of the same
 * processor can fill. There are five at D = 64 and three at D = 128, by their registers; at D = 256 a block has a
 * processor to itself.
 *
 * Legend: R rows, T rows of v, D width, B side of a tile, N = tiles of a side, P = N B = D filled up, with ones on a's
 * diagonal.
 */
#include "regress.cuh"

#define LEAST_CHUNK 4
#define MOST_CHUNK 32			/* rows of v in shared memory at once */
#define CHUNK_FLOATS 2048		/* and their floats, about */
#define MOST_SEGMENTS 1024
#define LEAST_SEGMENT_BITS 9
#define MOST_SLOTS 512			/* rows whose tiles are in device memory at once */
#define SCRATCH_BYTES ((size_t) 256 << 20)	/* for segments, and for slots, about */
#define SHARED_BYTES ((size_t) 48 << 10)	/* what every device has without asking */
#define WARP_SUMS_BYTES (sizeof(double) * TR_WARP)	/* of it, beside what the launch asks for */

/* ------------------------------------------------------------------ solution */

/* Cholesky of a tile in registers, c[j][i] with i >= j, to `tile`; false when a pivot is not positive */
template <int B>
static __device__ inline bool
factor_tile(float (&c)[B][B], float *tile, float *inverse)
{
	bool		positive = true;

#pragma unroll
	for (int j = 0; j < B; j++)
	{
		float		root = sqrtf(c[j][j]);

		positive &= c[j][j] > 0;
		c[j][j] = root;
		inverse[j] = root = 1 / root;
#pragma unroll
		for (int i = j + 1; i < B; i++)
			c[j][i] *= root;
#pragma unroll
		for (int k = j + 1; k < B; k++)
#pragma unroll
			for (int i = k; i < B; i++)
				c[k][i] -= c[j][i] * c[j][k];
	}
	store_tile<B>(tile, c);
	return positive;
}

/* x (B), its elements `step` apart, becomes the solution of x L^T = x with the diagonal's tile L */
template <int B>
static __device__ inline void
solve_row(float *at, int step, const float *tile, const float *inverse)
{
	float		x[B];

#pragma unroll
	for (int k = 0; k < B; k++)
		x[k] = at[k * step];
#pragma unroll
	for (int k = 0; k < B; k++)
	{
		x[k] *= inverse[k];
#pragma unroll
		for (int m = k + 1; m < B; m++)
			x[m] -= x[k] * tile[k * B + m];
	}
#pragma unroll
	for (int k = 0; k < B; k++)
		at[k * step] = x[k];
}

/* c = tile (I,K) less the product of tiles (I,J) and (K,J)^T */
template <int B>
static __device__ inline void
update_tile(const Room &room, int I, int K, int J, float (&c)[B][B])
{
	const float *tile = tile_at<B>(room, I, K);
	const float *left = tile_at<B>(room, I, J);
	const float *right = tile_at<B>(room, K, J);

#pragma unroll
	for (int j = 0; j < B; j++)
		load_run<B>(c[j], tile + j * B);
#pragma unroll 2
	for (int l = 0; l < B; l++)
	{
		float		x[B];
		float		z[B];

		load_run<B>(x, left + l * B);
		load_run<B>(z, right + l * B);
#pragma unroll
		for (int j = 0; j < B; j++)
#pragma unroll
			for (int i = 0; i < B; i++)
				c[j][i] -= x[i] * z[j];
	}
}

/* What column J of tiles leaves to those right of it, and to y below; thread 0 factorises the next tile of the diagonal. */
template <int B>
static __device__ inline bool
update_rest(const Regress &a, const Room &room, int J)
{
	int			left = a.N - J - 1;
	bool		positive = true;

#pragma unroll 1
	for (int index = threadIdx.x; index < left * (left + 1) / 2; index += blockDim.x)
	{
		float		c[B][B];
		int			I;
		int			K;

		find_tile(index, &I, &K);
		I += J + 1;
		K += J + 1;
		update_tile<B>(room, I, K, J, c);
		if (index == 0)
			positive = factor_tile<B>(c, tile_at<B>(room, I, K), room.inverse + I * B);
		else
			store_tile<B>(tile_at<B>(room, I, K), c);
	}
#pragma unroll 1
	for (int i = (J + 1) * B + (int) (blockDim.x - 1 - threadIdx.x); i < a.N * B; i += blockDim.x)
	{
		const float *tile = tile_at<B>(room, i / B, J) + i % B;
		float		sum = room.y[i];

#pragma unroll
		for (int l = 0; l < B; l++)
			sum -= tile[l * B] * room.y[J * B + l];
		room.y[i] = sum;
	}
	return positive;
}

/* a = L L^T, y = L^-1 y; thread 0 knows whether a is positive definite */
template <int B>
static __device__ inline bool
factorise(const Regress &a, const Room &room)
{
	bool		positive = true;

	if (threadIdx.x == 0)
	{
		float		c[B][B];

#pragma unroll
		for (int j = 0; j < B; j++)
			load_run<B>(c[j], room.tile + j * B);
		positive = factor_tile<B>(c, room.tile, room.inverse);
	}
	__syncthreads();
	for (int J = 0; J < a.N; J++)
	{
		int			below = (a.N - J - 1) * B;

#pragma unroll 1
		for (int i = threadIdx.x; i <= below; i += blockDim.x)
			solve_row<B>(i < below ? tile_at<B>(room, J + 1 + i / B, J) + i % B : room.y + J * B, i < below ? B : 1,
						 tile_at<B>(room, J, J), room.inverse + J * B);
		__syncthreads();
		positive &= update_rest<B>(a, room, J);
		__syncthreads();
	}
	return positive;
}

/* w = L^-T y; y is used up */
template <int B>
static __device__ inline void
substitute(const Regress &a, const Room &room)
{
	for (int J = a.N - 1; J >= 0; J--)
	{
		const float *tile = tile_at<B>(room, J, J);
		float		x[B];

		if (threadIdx.x == 0 || (int) threadIdx.x < J * B)
		{
#pragma unroll
			for (int k = B - 1; k >= 0; k--)
			{
				float		sum = room.y[J * B + k];

#pragma unroll
				for (int m = k + 1; m < B; m++)
					sum -= tile[k * B + m] * x[m];
				x[k] = sum * room.inverse[J * B + k];
			}
			if (threadIdx.x == 0)
				store_run<B>(room.w + J * B, x);
		}
#pragma unroll 1
		for (int c = threadIdx.x; c < J * B; c += blockDim.x)
		{
			const float *column = tile_at<B>(room, J, c / B) + c % B * B;
			float		l[B];
			float		sum = room.y[c];

			load_run<B>(l, column);
#pragma unroll
			for (int i = 0; i < B; i++)
				sum -= l[i] * x[i];
			room.y[c] = sum;
		}
		__syncthreads();
	}
}

/* Row r of out, and its loss: the sum of c - y . w, where y . w = |L^-1 y|^2 */
template <int B>
static __device__ inline void
solve(const Regress &a, const Room &room, int r, double *warp_sums)
{
	bool		empty = a.ptr[r] == a.ptr[r + 1];
	double		loss = empty ? 0 : normal_equations<B>(a, room, r);

	if (!empty)
	{
		bool		positive = factorise<B>(a, room);

		for (int i = threadIdx.x; i < a.D; i += blockDim.x)
			loss -= (double) room.y[i] * room.y[i];
		loss = tr_block_sum(loss, warp_sums);
		substitute<B>(a, room);
		if (!positive)
			atomicMin(a.failed, a.call << 32 | (unsigned) r);
	}
	for (int i = threadIdx.x; i < a.D; i += blockDim.x)
		a.out[(size_t) r * a.D + i] = empty ? 0 : room.w[i];
	if (threadIdx.x == 0)
		a.loss[r] = loss;
	__syncthreads();
}

/* Everything but the tiles; floats */
template <int B>
static __host__ __device__ inline size_t
room_floats(int N, int chunk)
{
	return (size_t) (chunk + 3) * N * B + MOST_CHUNK;
}

template <int B>
static __device__ inline Room
make_room(float *at, int N, int chunk)
{
	Room		room;
	size_t		P = (size_t) N * B;

	room.rows = at;
	room.y = at + chunk * P;
	room.w = room.y + P;
	room.inverse = room.w + P;
	room.root = room.inverse + P;
	room.tile = room.root + MOST_CHUNK;
	return room;
}

template <int B>
static __global__ void __launch_bounds__(MOST_THREADS(B), 2)
rows_kernel(Regress a)
{
	TR_DYNAMIC_SHARED(float, memory);
	TR_SHARED(double, warp_sums, TR_WARP);

	solve<B>(a, make_room<B>(memory, a.N, a.chunk), blockIdx.x, warp_sums);
}

/* The same with tiles in device memory: a block takes one row after another. */
template <int B>
static __global__ void __launch_bounds__(MOST_THREADS(B), 2)
slots_kernel(Regress a)
{
	TR_DYNAMIC_SHARED(float, memory);
	TR_SHARED(double, warp_sums, TR_WARP);
	Room		room = make_room<B>(memory, a.N, a.chunk);

	room.tile = a.slots + (size_t) blockIdx.x * a.tiles * STRIDE(B);
	for (int r = blockIdx.x; r < a.R; r += gridDim.x)
		solve<B>(a, room, r, warp_sums);
}

/* Do entries first … end-1 belong to one row? */
static __device__ inline bool
in_one_row(const Regress &a, int64_t first, int64_t end)
{
	int			low = 0;		/* ptr[low] <= first < ptr[high] */
	int			high = a.R;

	if (first < a.ptr[0] || end > a.ptr[a.R])
		return false;
	while (high - low > 1)
	{
		int			middle = low + (high - low) / 2;

		if (a.ptr[middle] <= first)
			low = middle;
		else
			high = middle;
	}
	return end <= a.ptr[high];
}

/* A block to a segment: its record, if it lies in one row. */
template <int B>
static __global__ void __launch_bounds__(MOST_THREADS(B), 2)
segments_kernel(Regress a)
{
	TR_DYNAMIC_SHARED(float, memory);
	TR_SHARED(double, warp_sums, TR_WARP);
	Room		room = make_room<B>(memory, a.N, a.chunk);
	int64_t		first = (int64_t) blockIdx.x << a.segment_bits;
	float	   *record = a.sums + (size_t) blockIdx.x * a.record;
	Share		share = {first, first + ((int64_t) 1 << a.segment_bits), 0, 0, 0, 0};
	double		total;

	if (!in_one_row(a, share.first, share.middle))
		return;
	room.y = record + (size_t) a.tiles * STRIDE(B);
	for (int i = threadIdx.x; i < a.N * B; i += blockDim.x)
		room.y[i] = 0;
	total = sum_tiles<B>(a, room, share, [&](int index, float (&sum)[B][B]) {
		store_tile<B>(record + (size_t) index * STRIDE(B), sum);
	});
	total = tr_block_sum(total, warp_sums);
	if (threadIdx.x == 0)
		*(double *) (room.y + a.N * B) = total;
}

/* ------------------------------------------------------------------ launch */

/* The device's shared memory for a block, when a kernel asks for it; bytes */
static size_t
most_shared(TrBackend *b)
{
	int			bytes = 0;

	tr_cuda_check(b, cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, tr_cuda(b)->device),
				  "cudaDeviceGetAttribute");
	return (size_t) bytes;
}

typedef void (*Kernel) (Regress a);

static void
launch(TrBackend *b, Kernel regress_kernel, int blocks, int threads, size_t shared, const Regress &a)
{
	if (blocks > 0 && shared + WARP_SUMS_BYTES > SHARED_BYTES)
		tr_cuda_check(b, cudaFuncSetAttribute((const void *) regress_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
											  (int) shared), "cudaFuncSetAttribute");
	TR_LAUNCH(b, regress_kernel, (unsigned) blocks, threads, shared, a);
}

/* *failed: no row has, at first; false after noting the failure */
static bool
watch(TrBackend *b, Regress *a)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (!cuda->failed_row)
	{
		cuda->failed_row = (unsigned long long *) tr_cuda_alloc(b, sizeof(*cuda->failed_row));
		if (!cuda->failed_row && !tr_cuda_failed(b))
			tr_fail(&cuda->error, TR_NO_MEMORY, "out of device memory");
		if (!tr_cuda_failed(b))
			tr_cuda_check(b, cudaMemsetAsync(cuda->failed_row, 0xff, sizeof(*cuda->failed_row), cuda->stream),
						  "cudaMemsetAsync");
	}
	cuda->rows_unchecked = true;
	a->failed = cuda->failed_row;
	a->call = cuda->regressions++;
	return !tr_cuda_failed(b);
}

/* How many pieces of so many bytes fit in the scratch memory, but at least an eighth of `most` and at most that */
static int
fitting(size_t bytes, int most)
{
	size_t		fit = SCRATCH_BYTES / bytes;

	return fit < (size_t) most / 8 ? most / 8 : fit < (size_t) most ? (int) fit : most;
}

/* In how many pieces long rows are summed: enough to keep a device busy, few enough for their sums to be kept */
static void
cut_segments(Regress *a, int64_t capacity)
{
	int			most = fitting(sizeof(float) * a->record, MOST_SEGMENTS);

	a->segment_bits = LEAST_SEGMENT_BITS;
	while (capacity >> a->segment_bits > most)
		a->segment_bits++;
	a->segments = (int) (capacity >> a->segment_bits);
}

/* The sizes that follow from D; threads of a block */
template <int B>
static int
plan(Regress *a, int64_t capacity)
{
	int			chunk;
	int			passes;

	a->N = (a->D + B - 1) / B;
	a->tiles = a->N * (a->N + 1) / 2;
	a->record = a->tiles * STRIDE(B) + a->N * B + 4;
	chunk = CHUNK_FLOATS / (a->N * B);
	a->chunk = chunk < LEAST_CHUNK ? LEAST_CHUNK : chunk < MOST_CHUNK ? chunk : MOST_CHUNK;
	cut_segments(a, capacity);
	passes = (int) tr_cuda_blocks(a->tiles, MOST_THREADS(B));
	return tr_cuda_threads(tr_cuda_blocks(a->tiles, passes), MOST_THREADS(B));
}

template <int B>
static void
regress(TrBackend *b, Regress a, int64_t capacity, double *loss)
{
	int			threads = plan<B>(&a, capacity);
	size_t		tile_bytes = sizeof(float) * a.tiles * STRIDE(B);
	size_t		shared = sizeof(float) * room_floats<B>(a.N, a.chunk);
	bool		in_shared = shared + tile_bytes + WARP_SUMS_BYTES <= most_shared(b);
	int			slots = in_shared ? 0 : fitting(tile_bytes, MOST_SLOTS);
	char	   *at;

	at = (char *) tr_cuda_scratch(b, sizeof(double) * a.R + sizeof(float) * a.record * a.segments + tile_bytes * slots
								  + 2 * 256);
	if (!at || !watch(b, &a))
		return;
	a.loss = (double *) tr_cuda_piece(&at, sizeof(double) * a.R);
	a.sums = (float *) tr_cuda_piece(&at, sizeof(float) * a.record * a.segments);
	a.slots = (float *) at;
	launch(b, segments_kernel<B>, a.segments, threads, shared, a);
	if (in_shared)
		launch(b, rows_kernel<B>, a.R, threads, shared + tile_bytes, a);
	else
		launch(b, slots_kernel<B>, a.R < slots ? a.R : slots, threads, shared, a);
	tr_cuda_add_sum(b, loss, a.loss, a.R, 1);
}

/* out[r] (D) = argmin f_r; loss += sum of f_r there */
void
tr_cuda_regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge, int D,
					 double *loss)
{
	Regress		a = {};

	if (x->rows <= 0 || D <= 0 || tr_cuda_failed(b))
		return;
	a.out = out;
	a.ptr = x->ptr;
	a.col = x->col;
	a.val = x->val;
	a.v = v;
	a.gram = gram;
	a.ridge = ridge;
	a.R = x->rows;
	a.D = D;
	a.wide = D % 4 == 0 && tr_cuda_aligned(v);
	if (D <= 64)
		regress<4>(b, a, x->capacity, loss);
	else
		regress<8>(b, a, x->capacity, loss);
}

/* For finish(): has a row failed since it last asked? */
void
tr_cuda_check_rows(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	unsigned long long failed = 0;

	if (!cuda->rows_unchecked || tr_cuda_failed(b))
		return;
	cuda->rows_unchecked = false;
	tr_cuda_download(b, &failed, cuda->failed_row, sizeof(failed));
	if (!tr_cuda_failed(b) && failed != ~0ull)
		tr_fail(&cuda->error, TR_NOT_FINITE, "the normal equations of row %u are not positive definite", (unsigned) failed);
}
