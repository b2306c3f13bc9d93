/*
 * The CUDA backend, private to gpu: what its files share. Every operation is queued on one stream, and cuts its work into
 * blocks by the shapes alone. Sums over blocks are two passes: partial sums in device memory, then one pass over those in
 * their order; floats are never added atomically.
 *
 * The same sources compile as C++ for the processor (test/unit/cuda_emulation): what CUDA's language adds to C++ is used
 * through the macros below only. Blocks have whole warps, and all 32 lanes of a warp take part in its shuffles.
 */
#ifndef TR_CUDA_COMMON_CUH
#define TR_CUDA_COMMON_CUH

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cublas_v2.h>
#include <cuda_runtime.h>

#define TR_RNG_DEVICE static inline __host__ __device__
#define TR_PROFILE_DEVICE static inline __host__ __device__

extern "C"
{
#include "core/backend.h"
#include "core/rng.h"
}

#define TR_WARP 32
#define TR_ALL_LANES 0xffffffffu

/* Uploads below this size wait in pinned memory for their turn; segments are reused in turn. */
#define TR_STAGING_SEGMENTS 4
#define TR_STAGING_SEGMENT ((size_t) 4 << 20)

/* The host runs at most so many launches ahead of the device, so that a cancelled training stops soon. */
#define TR_PACE_EVENTS 4
#define TR_PACE_LAUNCHES 64

/* A graph that can be launched, for steps of one kind. */
#define TR_GRAPHS_KEPT 8

typedef struct TrCudaExec
{
	cudaGraphExec_t exec;
	uint64_t	signature;
	int64_t		used;			/* by that step, last */
} TrCudaExec;

/* What graph.cu knows of the training's steps. */
typedef struct TrCudaGraphs
{
	bool		on;
	bool		forced;			/* never given up */
	bool		recording;		/* operations go into a graph, not into the stream */
	int64_t		steps;
	int64_t		instantiated;
	uint64_t	signature;		/* of the kinds of the operations recorded, in their order */
	int			recorded;		/* operations */
	uint32_t	misses;			/* a bit to each of the last steps, set where the step was no gain */
	size_t		uploaded;		/* bytes of pinned memory taken since the step began */
	TrCudaExec	kept[TR_GRAPHS_KEPT];
} TrCudaGraphs;

typedef struct TrCudaBlock
{
	char	   *pointer;
	size_t		bytes;
} TrCudaBlock;

typedef struct TrCuda
{
	TrBackend	base;
	int			device;
	cudaStream_t stream;
	cublasHandle_t blas;
	cublasComputeType_t compute;
	bool		pooled;			/* cudaMallocAsync is there */
	TrError		error;			/* the first failure, sticky */

	/* live memory, and the last request that there was none for */
	TrCudaBlock *blocks;
	int			n_blocks;
	int			max_blocks;
	size_t		allocated;
	size_t		refused;
	size_t		free_then;

	void	   *scratch;		/* grows to what the hungriest operation asked for */
	size_t		scratch_bytes;

	/* pinned memory that uploads go through; staged[s] follows the last copy out of segment s */
	char	   *staging;
	cudaEvent_t staged[TR_STAGING_SEGMENTS];
	int			segment;
	size_t		segment_used;

	/* what rows regress_rows() could not solve: see tr_cuda_check_rows() */
	unsigned long long *failed_row;
	unsigned long long regressions;
	bool		rows_unchecked;

	cudaEvent_t pace[TR_PACE_EVENTS];
	int64_t		launches;		/* since the last event */
	int			paced;			/* events recorded, modulo their number */

	TrCudaGraphs graphs;

	char		description[512];
} TrCuda;

static inline TrCuda *
tr_cuda(TrBackend *b)
{
	return (TrCuda *) b;
}

/* backend.cu: notes the first failure, with the call's name; false from then on */
extern bool tr_cuda_check(TrBackend *b, cudaError_t status, const char *call);
extern bool tr_cuda_check_blas(TrBackend *b, cublasStatus_t status, const char *call);
extern void tr_cuda_launched(TrBackend *b, const char *kernel);

/* backend.cu: so many operations more are in the stream; waits when the host is too far ahead. */
extern void tr_cuda_pace(TrBackend *b, int operations);

/* Device memory that lasts until the operation ends, one piece per operation; NULL after noting the failure. */
extern void *tr_cuda_scratch(TrBackend *b, size_t bytes);

/* Bytes from p to the end of the allocation that holds it. */
extern size_t tr_cuda_room(TrBackend *b, const void *p);

static inline bool
tr_cuda_failed(TrBackend *b)
{
	return tr_cuda(b)->error.status != TR_OK;
}

/* graph.cu: what was recorded of a step is launched, and the rest of the step goes into the stream */
extern void tr_cuda_cut_step(TrBackend *b);
extern void tr_cuda_record(TrBackend *b, char kind);

/* Before all that a record may not contain: memory taken or given back, events, waits. */
static inline void
tr_cuda_cut(TrBackend *b)
{
	if (tr_cuda(b)->graphs.recording)
		tr_cuda_cut_step(b);
}

/* After an operation: a kernel, a product, a copy, zeroes. False when it went into the stream. */
static inline bool
tr_cuda_recorded(TrBackend *b, char kind)
{
	if (!tr_cuda(b)->graphs.recording)
		return false;
	tr_cuda_record(b, kind);
	return true;
}

static inline int64_t
tr_cuda_blocks(int64_t n, int64_t size)
{
	return (n + size - 1) / size;
}

/* Whole warps for n threads, at most `most`. */
static inline int
tr_cuda_threads(int64_t n, int most)
{
	return n >= most ? most : (int) (tr_cuda_blocks(n < 1 ? 1 : n, TR_WARP) * TR_WARP);
}

static inline bool
tr_cuda_aligned(const void *p)
{
	return (uintptr_t) p % 16 == 0;
}

/* A piece of scratch memory, 256-byte aligned: moves *at on. */
static inline char *
tr_cuda_piece(char **at, size_t bytes)
{
	char	   *piece = *at;

	*at += (bytes + 255) / 256 * 256;
	return piece;
}

/* ------------------------------------------------------------------ language */

/*
 * TR_LAUNCH(b, kernel, grid, block, bytes of dynamic shared memory, arguments …): nothing for an empty grid. The arguments
 * are copied; they may point to device memory, and to nothing else.
 * TR_SHARED(type, name, n): shared memory of fixed size, at the top of a kernel or of a device function.
 * TR_DYNAMIC_SHARED(type, name): that of the launch, 16-byte aligned, at the top of a kernel.
 */
#ifdef __CUDACC__
#define TR_LAUNCH(b, kernel, grid, block, shared, ...) \
	do { \
		dim3		launch_grid_(grid); \
		if (launch_grid_.x > 0 && launch_grid_.y > 0 && !tr_cuda_failed(b)) \
		{ \
			kernel<<<launch_grid_, (block), (shared), tr_cuda(b)->stream>>>(__VA_ARGS__); \
			tr_cuda_launched((b), #kernel); \
		} \
	} while (0)
#define TR_SHARED(type, name, n) __shared__ type name[n]
#define TR_DYNAMIC_SHARED(type, name) \
	extern __shared__ __align__(16) char name##_bytes_[]; \
	type *name = (type *) name##_bytes_
#else
#define TR_LAUNCH(b, kernel, grid, block, shared, ...) \
	do { \
		dim3		launch_grid_(grid); \
		if (launch_grid_.x > 0 && launch_grid_.y > 0 && !tr_cuda_failed(b)) \
		{ \
			emulate_launch(tr_cuda(b)->stream, launch_grid_, (block), (shared), kernel, __VA_ARGS__); \
			tr_cuda_launched((b), #kernel); \
		} \
	} while (0)
#define TR_SHARED(type, name, n) \
	static char name##_key_; \
	type *name = (type *) emulate_shared(&name##_key_, sizeof(type) * (n))
#define TR_DYNAMIC_SHARED(type, name) type *name = (type *) emulate_dynamic_shared()
#endif

/* W floats side by side: one access of 16 bytes where W is 4. */
template <int W>
struct alignas(4 * W) TrPack
{
	float		v[W];
};

template <int W>
static __device__ inline TrPack<W>
tr_load(const float *p)
{
	return *reinterpret_cast<const TrPack<W> *>(p);
}

template <int W>
static __device__ inline void
tr_store(float *p, const TrPack<W> &x)
{
	*reinterpret_cast<TrPack<W> *>(p) = x;
}

/* act(x), and act'(x) from y = act(x) */
static __device__ inline float
tr_activation(float x, TrActivation act)
{
	switch (act)
	{
		case TR_TANH:
			return tanhf(x);
		case TR_SIGMOID:
			return 1 / (1 + expf(-x));
		case TR_RELU:
			return x < 0 ? 0 : x;
		case TR_SELU:
			return x < 0 ? TR_SELU_LEAST * (expf(x) - 1) : TR_SELU_SCALE * x;
		default:
			return x;
	}
}

static __device__ inline float
tr_slope(float y, TrActivation act)
{
	switch (act)
	{
		case TR_TANH:
			return 1 - y * y;
		case TR_SIGMOID:
			return y * (1 - y);
		case TR_RELU:
			return y > 0 ? 1 : 0;
		case TR_SELU:
			return y < 0 ? y + TR_SELU_LEAST : TR_SELU_SCALE;
		default:
			return 1;
	}
}

/* ------------------------------------------------------------------ sums in a fixed order */

/* Sum over the warp, the same in every lane. */
template <typename T>
static __device__ inline T
tr_warp_sum(T x)
{
	for (int step = TR_WARP / 2; step > 0; step /= 2)
		x += __shfl_xor_sync(TR_ALL_LANES, x, step);
	return x;
}

static __device__ inline float
tr_warp_max(float x)
{
	for (int step = TR_WARP / 2; step > 0; step /= 2)
		x = fmaxf(x, __shfl_xor_sync(TR_ALL_LANES, x, step));
	return x;
}

/* Sum over the block, the same in every thread; all threads call it. warp_sums holds 32. */
static __device__ inline double
tr_block_sum(double x, double *warp_sums)
{
	double		sum = 0;

	x = tr_warp_sum(x);
	__syncthreads();
	if (threadIdx.x % TR_WARP == 0)
		warp_sums[threadIdx.x / TR_WARP] = x;
	__syncthreads();
	for (unsigned w = 0; w < blockDim.x / TR_WARP; w++)
		sum += warp_sums[w];
	return sum;
}

/* Largest of the block, NaN passed over, the same in every thread; all threads call it. */
static __device__ inline float
tr_block_max(float x, double *warp_tops)
{
	float		top = -INFINITY;

	x = tr_warp_max(x);
	__syncthreads();
	if (threadIdx.x % TR_WARP == 0)
		warp_tops[threadIdx.x / TR_WARP] = x;
	__syncthreads();
	for (unsigned w = 0; w < blockDim.x / TR_WARP; w++)
		top = fmaxf(top, (float) warp_tops[w]);
	return top;
}

/* Sum of x over this lane and those before it. */
template <typename T>
static __device__ inline T
tr_warp_scan(T x)
{
	for (int step = 1; step < TR_WARP; step *= 2)
	{
		T			other = __shfl_up_sync(TR_ALL_LANES, x, step);

		if (threadIdx.x % TR_WARP >= (unsigned) step)
			x += other;
	}
	return x;
}

/* Sum of x over the threads before this one; *total = over all. All threads call it; warp_sums holds 32. */
template <typename T>
static __device__ inline T
tr_block_scan(T x, T *warp_sums, T *total)
{
	int			lane = threadIdx.x % TR_WARP;
	int			warp = threadIdx.x / TR_WARP;
	T			sum = tr_warp_scan(x);
	T			before = 0;
	T			all = 0;

	__syncthreads();
	if (lane == TR_WARP - 1)
		warp_sums[warp] = sum;
	__syncthreads();
	for (int w = 0; w < (int) blockDim.x / TR_WARP; w++)
	{
		if (w < warp)
			before += warp_sums[w];
		all += warp_sums[w];
	}
	*total = all;
	return before + sum - x;
}

/* reduce.cu: *sum += scale * (partial[0] + … + partial[n-1]) */
extern void tr_cuda_add_sum(TrBackend *b, double *sum, const double *partial, int64_t n, double scale);
extern void tr_cuda_add_sum_float(TrBackend *b, float *sum, const double *partial, int64_t n);

/* ------------------------------------------------------------------ operations */

/* tr_cuda_gemm() and so on */
#define OPERATION(name, parameters) extern void tr_cuda_##name parameters;
#include "core/operations.h"

/* sort.cu */

/* The entries of sparse rows by column, rows ascending within a column. */
typedef struct TrByColumn
{
	uint32_t   *col;
	int32_t    *row;
	float	   *val;
} TrByColumn;

/* Bytes of scratch that the sort takes, and the sort: *sorted lies in it. There are x->ptr[x->rows] entries. */
extern size_t tr_cuda_sort_bytes(const TrCsr *x);
extern void tr_cuda_sort(TrBackend *b, const TrCsr *x, char *scratch, TrByColumn *sorted);

/* activation.cu */
extern void tr_cuda_activate(TrBackend *b, float *x, const float *bias, int R, int O, TrActivation act);	/* in place */

/* regress.cu: finish()'s question whether a row has failed */
extern void tr_cuda_check_rows(TrBackend *b);

/* memory.cu */
extern void *tr_cuda_alloc(TrBackend *b, size_t bytes);
extern void tr_cuda_release(TrBackend *b, void *p);
extern size_t tr_cuda_allocated(TrBackend *b);
extern void tr_cuda_shortage(TrBackend *b, TrError *err);
extern size_t tr_cuda_available(TrBackend *b);
extern void tr_cuda_upload(TrBackend *b, void *dst, const void *src, size_t bytes);
extern void tr_cuda_download(TrBackend *b, void *dst, const void *src, size_t bytes);
extern void tr_cuda_zero(TrBackend *b, void *dst, size_t bytes);
extern void tr_cuda_release_all(TrBackend *b);
extern bool tr_cuda_trim_pool(TrBackend *b);	/* waits; what the pool keeps goes back to the device */
extern void tr_cuda_make_room(TrBackend *b, size_t bytes);	/* in pinned memory, for uploads without a wait */

/* graph.cu */
extern void tr_cuda_open_graphs(TrBackend *b);
extern void tr_cuda_close_graphs(TrBackend *b);
extern void tr_cuda_begin_step(TrBackend *b);
extern void tr_cuda_end_step(TrBackend *b);

/* device.cu */
extern int	tr_cuda_devices(TrDevice *devices, int most, TrError *err);
extern TrStatus tr_cuda_open_device(int device, char *description, size_t size, TrError *err);
extern TrStatus tr_cuda_no_device(cudaError_t status, const char *call, TrError *err);

#endif
