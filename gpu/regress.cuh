/*
 * The normal equations of a row, in tiles: what regress.cu solves. A thread holds a tile in registers, while rows of v go
 * through shared memory a few at a time; gram and ridge are added when they are through.
 * Legend: see regress.cu.
 */
#ifndef TR_CUDA_REGRESS_CUH
#define TR_CUDA_REGRESS_CUH

#include "cuda_common.cuh"

/* A tile's floats, and four to keep neighbours out of each other's banks */
#define STRIDE(B) ((B) * (B) + 4)
#define MOST_THREADS(B) ((B) == 4 ? 160 : 256)

typedef struct Regress
{
	float	   *out;			/* (R,D) */
	const int64_t *ptr;
	const int32_t *col;
	const float *val;
	const float *v;				/* (T,D) */
	const float *gram;			/* (D,D) */
	const float *ridge;			/* (R) */
	double	   *loss;			/* (R) */
	float	   *slots;			/* (blocks, tiles STRIDE), where shared memory is too small for them */
	float	   *sums;			/* (segments, record) of segments that lie in one row */
	unsigned long long *failed; /* the first row without a solution: call << 32 | row */
	unsigned long long call;
	int			segment_bits;	/* a segment has so many entries, as a power of two */
	int			record;			/* floats: tiles, then y (P), then the sum of c, a double */
	int			segments;
	int			R;
	int			D;
	int			N;
	int			tiles;			/* N (N + 1) / 2 */
	int			chunk;
	bool		wide;			/* rows of v may be read 16 bytes at a time */
} Regress;

/* A block's shared memory. */
typedef struct Room
{
	float	   *tile;			/* (tiles, STRIDE), or in device memory */
	float	   *rows;			/* (chunk, P) of v, each times the root of its weight */
	float	   *y;				/* (P) */
	float	   *w;				/* (P) */
	float	   *inverse;		/* (P) of the factor's diagonal */
	float	   *root;			/* (chunk) */
} Room;

/* Element (i,j) of a tile is at j B + i. */
template <int B>
static __device__ inline float *
tile_at(const Room &room, int I, int J)
{
	return room.tile + (size_t) (I * (I + 1) / 2 + J) * STRIDE(B);
}

/* (0,0) (1,0) (1,1) (2,0) … */
static __device__ inline void
find_tile(int index, int *I, int *J)
{
	int			i = (int) ((sqrtf(8.0f * (float) index + 1) - 1) / 2);

	i -= i * (i + 1) / 2 > index;
	i += (i + 1) * (i + 2) / 2 <= index;
	*I = i;
	*J = index - i * (i + 1) / 2;
}

/* Where column i of a staged row is: lanes that read tiles of 8 side by side meet no bank twice. */
template <int B>
static __device__ inline int
place(int i)
{
	return B == 8 ? i ^ (i >> 3 & 4) : i;
}

template <int B>
static __device__ inline void
load_run(float *to, const float *from)
{
#pragma unroll
	for (int i = 0; i < B; i += 4)
	{
		TrPack<4>	pack = tr_load<4>(from + i);

#pragma unroll
		for (int l = 0; l < 4; l++)
			to[i + l] = pack.v[l];
	}
}

template <int B>
static __device__ inline void
store_run(float *to, const float *from)
{
#pragma unroll
	for (int i = 0; i < B; i += 4)
	{
		TrPack<4>	pack;

#pragma unroll
		for (int l = 0; l < 4; l++)
			pack.v[l] = from[i + l];
		tr_store<4>(to + i, pack);
	}
}

/* ------------------------------------------------------------------ sums */

/* room.rows = rows of v that entries first … first + count - 1 name, a warp to a row; all threads call it */
template <int B>
static __device__ inline void
stage(const Regress &a, const Room &room, int64_t first, int count)
{
	int			P = a.N * B;

	__syncthreads();
#pragma unroll 1
	for (int e = threadIdx.x / TR_WARP; e < count; e += blockDim.x / TR_WARP)
	{
		const float *row = a.v + (size_t) a.col[first + e] * a.D;
		float		root = sqrtf(a.val[first + e]);

#pragma unroll 1
		for (int i = threadIdx.x % TR_WARP * 4; i < P; i += TR_WARP * 4)
		{
			TrPack<4>	pack = {};

			if (a.wide && i < a.D)
				pack = tr_load<4>(row + i);
#pragma unroll
			for (int l = 0; l < 4; l++)
				pack.v[l] = root * (!a.wide && i + l < a.D ? row[i + l] : pack.v[l]);
			tr_store<4>(room.rows + (size_t) e * P + place<B>(i), pack);
		}
		if (threadIdx.x % TR_WARP == 0)
			room.root[e] = root;
	}
	__syncthreads();
}

/* y += the staged rows, each times its root once more */
template <int B>
static __device__ inline void
add_rows(const Regress &a, const Room &room, int count)
{
	int			P = a.N * B;

#pragma unroll 1
	for (int i = threadIdx.x; i < P; i += blockDim.x)
	{
		float		sum = 0;

#pragma unroll 4
		for (int e = 0; e < count; e++)
			sum += room.root[e] * room.rows[(size_t) e * P + place<B>(i)];
		room.y[i] += sum;
	}
}

/* sum[j][i] += over entries first … end-1, of tile (I,J); with y also room.y, and this thread's share of c to *total */
template <int B>
static __device__ inline void
add_entries(const Regress &a, const Room &room, int64_t first, int64_t end, int I, int J, float (&sum)[B][B], bool y,
			double *total)
{
	int			P = a.N * B;

	for (; first < end; first += a.chunk)
	{
		int			count = (int) (end - first < a.chunk ? end - first : a.chunk);

		stage<B>(a, room, first, count);
		if (y)
		{
			add_rows<B>(a, room, count);
			if ((int) threadIdx.x < count)
				*total += a.val[first + threadIdx.x];
		}
#pragma unroll 2
		for (int e = 0; e < count; e++)
		{
			const float *row = room.rows + (size_t) e * P;
			float		x[B];
			float		z[B];

#pragma unroll
			for (int l = 0; l < B; l += 4)
			{
				load_run<4>(x + l, row + place<B>(I * B + l));
				load_run<4>(z + l, row + place<B>(J * B + l));
			}
#pragma unroll
			for (int j = 0; j < B; j++)
#pragma unroll
				for (int i = 0; i < B; i++)
					sum[j][i] += x[i] * z[j];
		}
	}
}

/* sum += the tile of segments first … end-1 */
template <int B>
static __device__ inline void
add_segments(const Regress &a, int64_t first, int64_t end, int index, float (&sum)[B][B])
{
#pragma unroll 1
	for (int64_t s = first; s < end; s++)
	{
		const float *tile = a.sums + (size_t) s * a.record + (size_t) index * STRIDE(B);

#pragma unroll
		for (int j = 0; j < B; j++)
		{
			float		run[B];

			load_run<B>(run, tile + j * B);
#pragma unroll
			for (int i = 0; i < B; i++)
				sum[j][i] += run[i];
		}
	}
}

/* Sum over segments first … end-1 of this float of their records */
static __device__ inline float
sum_records(const Regress &a, int64_t first, int64_t end, int at)
{
	float		sum = 0;

#pragma unroll 1
	for (int64_t s = first; s < end; s++)
		sum += a.sums[(size_t) s * a.record + at];
	return sum;
}

template <int B>
static __device__ inline void
store_tile(float *tile, const float (&sum)[B][B])
{
#pragma unroll
	for (int j = 0; j < B; j++)
		store_run<B>(tile + j * B, sum[j]);
}

/* room.tile += gram + ridge I, with ones on the diagonal beyond D; a warp to a tile */
template <int B>
static __device__ inline void
add_gram(const Regress &a, const Room &room, float ridge)
{
#pragma unroll 1
	for (int index = threadIdx.x / TR_WARP; index < a.tiles; index += blockDim.x / TR_WARP)
	{
		int			I;
		int			J;

		find_tile(index, &I, &J);
#pragma unroll 1
		for (int at = threadIdx.x % TR_WARP; at < B * B; at += TR_WARP)
		{
			float	   *to = room.tile + (size_t) index * STRIDE(B) + at;
			int			row = I * B + at % B;
			int			column = J * B + at / B;

			if (row < a.D && column < a.D)
				*to += a.gram[(size_t) column * a.D + row] + (row == column ? ridge : 0);
			else
				*to = row == column;
		}
	}
}

/* Which entries are summed: first … middle-1, the segments, then rest … end-1 */
typedef struct Share
{
	int64_t		first,
				middle,
				rest,
				end;
	int64_t		segment,		/* segment … after-1 lie in the row */
				after;
} Share;

/*
 * The tiles' sums over these entries, each given to put(tile's index, sum); room.y is added to; returns this thread's sum
 * of c.
 */
template <int B, typename Put>
static __device__ inline double
sum_tiles(const Regress &a, const Room &room, const Share &share, Put put)
{
	double		total = 0;

	for (int pass = 0; pass < a.tiles; pass += blockDim.x)
	{
		int			index = pass + (int) threadIdx.x;
		float		sum[B][B] = {};
		int			I;
		int			J;

		find_tile(index < a.tiles ? index : a.tiles - 1, &I, &J);
#pragma unroll 1
		for (int part = 0; part < 2; part++)
		{
			add_entries<B>(a, room, part ? share.rest : share.first, part ? share.end : share.middle, I, J, sum, pass == 0,
						   &total);
			if (part == 0 && index < a.tiles)
				add_segments<B>(a, share.segment, share.after, index, sum);
		}
		if (index < a.tiles)
			put(index, sum);
	}
	return total;
}

/* room.tile, room.y = the normal equations of row r; returns this thread's share of the sum of c */
template <int B>
static __device__ inline double
normal_equations(const Regress &a, const Room &room, int r)
{
	int64_t		first = a.ptr[r];
	int64_t		end = a.ptr[r + 1];
	int64_t		segment = ((first - 1) >> a.segment_bits) + 1;
	int64_t		after = end >> a.segment_bits;
	bool		whole = segment >= after;	/* no segment lies in the row */
	Share		share = {first, whole ? end : segment << a.segment_bits, whole ? end : after << a.segment_bits, end,
		segment, after};
	double		before = 0;
	double		total;

	for (int i = threadIdx.x; i < a.N * B; i += blockDim.x)
		room.y[i] = sum_records(a, segment, after, a.tiles * STRIDE(B) + i);
#pragma unroll 1
	for (int64_t s = segment; s < after && threadIdx.x == 0; s++)
		before += *(const double *) (a.sums + (size_t) s * a.record + a.tiles * STRIDE(B) + a.N * B);
	total = sum_tiles<B>(a, room, share, [&](int index, float (&sum)[B][B]) {
		store_tile<B>(room.tile + (size_t) index * STRIDE(B), sum);
	});
	__syncthreads();
	add_gram<B>(a, room, a.ridge[r]);
	__syncthreads();
	return before + total;
}

#endif
