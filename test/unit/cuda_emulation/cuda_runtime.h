/*
 * CUDA's language and runtime as far as gpu/ uses them, on the processor. Found in place of the real header when gpu/ is
 * compiled as C++ for the tests. See emulation.h.
 */
#ifndef CUDA_RUNTIME_EMULATION_H
#define CUDA_RUNTIME_EMULATION_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#include "emulation.h"

#define CUDART_VERSION 13000

/*
 * The device's arithmetic at its worst, where a test is compiled for it (make check-core-arithmetic): functions are wrong
 * by as many units in the last place as CUDA's programming guide allows them (its "Mathematical Functions"), up or down as
 * their argument's bits have it; products and sums are fused by the compiler; a matrix product is one chain of float32 sums
 * (emulation.cc).
 */
#ifdef EMULATE_ARITHMETIC
static inline float
emulate_wrong(float x, float argument, int most)
{
	uint32_t	bits;
	float		y = x;

	memcpy(&bits, &argument, sizeof(bits));
	bits = (bits ^ bits >> 15) * UINT32_C(0x2C1B3C6D);
	for (int i = 0; i < most && x != 0 && isfinite(x); i++)
		y = nextafterf(y, bits >> 16 & 1 ? INFINITY : 0);
	return y;
}

static inline float
emulate_tanhf(float x)
{
	return emulate_wrong(tanhf(x), x, 2);
}

static inline float
emulate_expf(float x)
{
	return emulate_wrong(expf(x), x, 2);
}

static inline float
emulate_log1pf(float x)
{
	return emulate_wrong(log1pf(x), x, 1);
}

#define tanhf emulate_tanhf
#define expf emulate_expf
#define log1pf emulate_log1pf
#endif

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

/* ------------------------------------------------------------------ types */

struct dim3
{
	unsigned	x,
				y,
				z;

	dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

typedef enum cudaError
{
	cudaSuccess,
	cudaErrorInvalidValue,
	cudaErrorMemoryAllocation,
	cudaErrorInvalidConfiguration = 9,
	cudaErrorStubLibrary = 34,
	cudaErrorInsufficientDriver = 35,
	cudaErrorNoDevice = 100,
	cudaErrorNoKernelImageForDevice = 209,
	cudaErrorIllegalState = 401,
	cudaErrorIllegalAddress = 700,
	cudaErrorSystemDriverMismatch = 803,
	cudaErrorStreamCaptureUnsupported = 900,
	cudaErrorStreamCaptureInvalidated = 901,
	cudaErrorGraphExecUpdateFailure = 910
} cudaError_t;

typedef struct EmulatedStream *cudaStream_t;
typedef struct EmulatedEvent *cudaEvent_t;
typedef struct EmulatedPool *cudaMemPool_t;
typedef struct EmulatedGraph *cudaGraph_t;
typedef struct EmulatedExec *cudaGraphExec_t;

enum cudaMemcpyKind
{
	cudaMemcpyHostToDevice = 1,
	cudaMemcpyDeviceToHost = 2
};

enum
{
	cudaStreamNonBlocking = 1,
	cudaEventDisableTiming = 2,
	cudaMemPoolAttrReleaseThreshold = 4,
	cudaDevAttrComputeCapabilityMajor = 75,
	cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
	cudaDevAttrMemoryPoolsSupported = 115
};

enum cudaStreamCaptureMode
{
	cudaStreamCaptureModeRelaxed = 2
};

struct cudaGraphExecUpdateResultInfo
{
	int			result;
};

struct cudaDeviceProp
{
	char		name[256];
	size_t		totalGlobalMem;
	int			major,
				minor;
};

enum cudaFuncAttribute
{
	cudaFuncAttributeMaxDynamicSharedMemorySize = 8
};

struct cudaFuncAttributes
{
	int			numRegs;
};

/* ------------------------------------------------------------------ runtime */

extern cudaError_t cudaGetLastError(void);
extern const char *cudaGetErrorString(cudaError_t status);
extern const char *cudaGetErrorName(cudaError_t status);
extern cudaError_t cudaDriverGetVersion(int *version);
extern cudaError_t cudaGetDeviceCount(int *count);
extern cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
extern cudaError_t cudaDeviceGetAttribute(int *value, int attribute, int device);
extern cudaError_t cudaSetDevice(int device);
extern cudaError_t cudaDeviceReset(void);
extern cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *kernel);
extern cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value);

extern cudaError_t cudaMalloc(void **pointer, size_t bytes);
extern cudaError_t cudaFree(void *pointer);
extern cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream);
extern cudaError_t cudaFreeAsync(void *pointer, cudaStream_t stream);
extern cudaError_t cudaMallocHost(void **pointer, size_t bytes);
extern cudaError_t cudaFreeHost(void *pointer);
extern cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
extern cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int device);
extern cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, int attribute, void *value);
extern cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t bytes);
extern cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
extern cudaError_t cudaMemsetAsync(void *dst, int value, size_t bytes, cudaStream_t stream);

extern cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
extern cudaError_t cudaStreamDestroy(cudaStream_t stream);
extern cudaError_t cudaStreamSynchronize(cudaStream_t stream);
extern cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
extern cudaError_t cudaEventDestroy(cudaEvent_t event);
extern cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
extern cudaError_t cudaEventSynchronize(cudaEvent_t event);

extern cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
extern cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
extern cudaError_t cudaGraphDestroy(cudaGraph_t graph);
extern cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
extern cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo *info);
extern cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
extern cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

/* ------------------------------------------------------------------ kernels */

struct EmulatedPlace
{
	dim3		thread;
	dim3		block;
};

extern const EmulatedPlace *emulate_place(void);
extern dim3 emulated_block_size;
extern dim3 emulated_grid_size;

#define threadIdx (emulate_place()->thread)
#define blockIdx (emulate_place()->block)
#define blockDim emulated_block_size
#define gridDim emulated_grid_size

/*
 * Queues body(argument), to be run once for every thread of the grid; `bytes` of argument are copied. A wrong configuration
 * is cudaGetLastError()'s.
 */
extern void emulate_grid(cudaStream_t stream, dim3 grid, dim3 block, size_t shared, void (*body) (void *argument),
						 const void *argument, size_t bytes);
/* The block's shared memory that `key` stands for, full of garbage at first. */
extern void *emulate_shared(const void *key, size_t bytes);
/* The same, as many bytes as the launch asked for. */
extern void *emulate_dynamic_shared(void);
/* Waits for all threads of the block. */
extern void emulate_block_barrier(void);
/* Waits for all lanes of the warp with a value each; result (32) = theirs. Orders no memory, as CUDA's shuffles do not. */
extern void emulate_warp_exchange(unsigned mask, uint64_t value, uint64_t *result);
/* Waits for all lanes of the warp; what they wrote can be read. */
extern void emulate_warp_barrier(unsigned mask);
/* *p = (*p + add) | set; returns what it was */
extern unsigned emulate_atomic(unsigned *p, unsigned add, unsigned set);
extern unsigned long long emulate_atomic_min(unsigned long long *p, unsigned long long x);

template <typename T>
struct EmulatedParameter
{
	static_assert(std::is_trivially_copyable<T>::value && !std::is_reference<T>::value, "a kernel's arguments are copied");
	typedef T	type;
};

/* The arguments, as the kernel's parameters, are copied here and now. */
template <typename... Parameters>
static inline void
emulate_launch(cudaStream_t stream, dim3 grid, dim3 block, size_t shared, void (*kernel) (Parameters...),
			   typename EmulatedParameter<Parameters>::type... arguments)
{
	auto		body = [=]() { kernel(arguments...); };
	typedef decltype(body) Body;

	static_assert(std::is_trivially_copyable<Body>::value, "a launch is copied byte by byte");
	emulate_grid(stream, grid, block, shared, [](void *argument) { (*(Body *) argument)(); }, &body, sizeof(body));
}

static inline void
__syncthreads(void)
{
	emulate_block_barrier();
}

static inline void
__syncwarp(unsigned mask)
{
	emulate_warp_barrier(mask);
}

/* What lane `from` holds */
template <typename T>
static inline T
emulate_shuffle(unsigned mask, T value, int from)
{
	uint64_t	bits = 0;
	uint64_t	all[32];
	T			result;

	static_assert(sizeof(T) <= sizeof(bits), "a lane exchanges up to eight bytes");
	memcpy(&bits, &value, sizeof(T));
	emulate_warp_exchange(mask, bits, all);
	memcpy(&result, &all[from], sizeof(T));
	return result;
}

template <typename T>
static inline T
__shfl_xor_sync(unsigned mask, T value, int lanes)
{
	return emulate_shuffle(mask, value, (int) (threadIdx.x % 32) ^ lanes);
}

template <typename T>
static inline T
__shfl_sync(unsigned mask, T value, int lane)
{
	return emulate_shuffle(mask, value, lane);
}

template <typename T>
static inline T
__shfl_up_sync(unsigned mask, T value, int lanes)
{
	int			lane = threadIdx.x % 32;

	return emulate_shuffle(mask, value, lane < lanes ? lane : lane - lanes);
}

static inline unsigned
__match_any_sync(unsigned mask, unsigned value)
{
	uint64_t	all[32];
	unsigned	same = 0;

	emulate_warp_exchange(mask, value, all);
	for (int lane = 0; lane < 32; lane++)
		same |= (unsigned) (all[lane] == value) << lane;
	return same;
}

static inline unsigned
__ballot_sync(unsigned mask, int condition)
{
	uint64_t	all[32];
	unsigned	lanes = 0;

	emulate_warp_exchange(mask, condition != 0, all);
	for (int lane = 0; lane < 32; lane++)
		lanes |= (unsigned) all[lane] << lane;
	return lanes;
}

static inline int
__ffs(int x)
{
	return __builtin_ffs(x);
}

static inline int
__popc(unsigned x)
{
	return __builtin_popcount(x);
}

/* Threads change places at barriers alone, so that any access is atomic. */
static inline int
atomicAdd(int *p, int x)
{
	return (int) emulate_atomic((unsigned *) p, (unsigned) x, 0);
}

static inline unsigned long long
atomicMin(unsigned long long *p, unsigned long long x)
{
	return emulate_atomic_min(p, x);
}

static inline unsigned
atomicOr(unsigned *p, unsigned x)
{
	return emulate_atomic(p, 0, x);
}

#endif
