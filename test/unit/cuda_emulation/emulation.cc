/*
 * Fibers, blocks and grids; and the runtime on host memory, but for streams (stream.cc). See emulation.h.
 */
#include "cublas_v2.h"
#include "internal.h"

#include <cmath>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef __x86_64__
#include <ucontext.h>
#endif

#define MOST_THREADS 1024
#define STACK_BYTES ((size_t) 256 << 10)
#define MOST_SHARED ((size_t) 48 << 10)
#define MOST_OPTED ((size_t) 64 << 10)	/* of a kernel that has asked for it */

void
emulate_stop(const char *what)
{
	printf("Bail out! emulated CUDA: %s\n", what);
	fflush(stdout);
	abort();
}

/* ------------------------------------------------------------------ fibers */

/* A stack of its own and where it stopped. */
typedef struct Fiber
{
#ifdef __x86_64__
	void	   *stack_pointer;
#else
	ucontext_t	context;
#endif
	char	   *stack;
} Fiber;

#ifdef __x86_64__
extern "C" void emulate_switch(void **from, void *to);

/* Leaves its registers on its own stack, the pointer to them in *from, and goes on where `to` points. */
__asm__(
	".text\n"
	".type emulate_switch, @function\n"
	"emulate_switch:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	popq %rbp\n"
	"	ret\n"
	".size emulate_switch, . - emulate_switch\n");

static void
fiber_switch(Fiber *from, Fiber *to)
{
	emulate_switch(&from->stack_pointer, to->stack_pointer);
}

static void
fiber_start(Fiber *fiber, void (*entry) (void))
{
	void	  **top = (void **) (fiber->stack + STACK_BYTES);

	*--top = NULL;				/* a frame's return address, so that the stack is aligned as after a call */
	*--top = (void *) entry;
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	fiber->stack_pointer = top;
}
#else
static void
fiber_switch(Fiber *from, Fiber *to)
{
	swapcontext(&from->context, &to->context);
}

static void
fiber_start(Fiber *fiber, void (*entry) (void))
{
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, entry, 0);
}
#endif

/* ------------------------------------------------------------------ a block */

typedef enum State
{
	READY,
	AT_BARRIER,
	IN_WARP,					/* waits for the other lanes */
	DONE
} State;

typedef struct Thread
{
	EmulatedPlace place;
	State		state;
	bool		started;
	Fiber	   *fiber;
	uint64_t	value;			/* offered to the warp */
	uint32_t	warp_barriers;	/* that it has passed */
} Thread;

typedef struct Shared
{
	const void *key;
	void	   *data;
	size_t		bytes;
} Shared;

dim3		emulated_block_size;
dim3		emulated_grid_size;

static Thread threads[MOST_THREADS];
static uint64_t exchanged[MOST_THREADS];	/* what each warp's last exchange brought */
static int	n_threads;
static Thread *self;
static Fiber scheduler;
static Fiber fibers[MOST_THREADS];
static char *stacks;				/* of all fibers */
static Fiber *idle[MOST_THREADS];	/* fibers without a thread */
static int	n_idle;
static int	n_fibers;
static Shared shared[16];
static int	n_shared;
static size_t shared_used;		/* of this block, bytes */
static size_t shared_most;		/* and what it may use */
static size_t shared_wanted;	/* dynamic, of this launch */
static size_t shared_opted = MOST_SHARED;	/* of the next one */
static void (*kernel_body) (void *argument);
static void *kernel_argument;

static uint64_t order_seed;		/* 0 = no shuffling */
static uint64_t order_state;
static long launches;

static uint64_t
draw(void)
{
	uint64_t	x = order_state += UINT64_C(0x9E3779B97F4A7C15);

	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* 0 … n-1, or shuffled */
static void
make_order(int *order, int n)
{
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n - 1; i > 0 && order_seed; i--)
	{
		int			j = (int) (draw() % (uint64_t) (i + 1));
		int			swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

const EmulatedPlace *
emulate_place(void)
{
	return &self->place;
}

static void
wait_as(State state)
{
	self->state = state;
	fiber_switch(self->fiber, &scheduler);
}

/* A fiber runs one thread after another. */
static void
fiber_main(void)
{
	for (;;)
	{
		kernel_body(kernel_argument);
		wait_as(DONE);
	}
}

static void
resume(Thread *thread)
{
	self = thread;
	if (!thread->started)
	{
		thread->started = true;
		if (n_idle == 0)
		{
			Fiber	   *fiber = &fibers[n_fibers++];

			if (!stacks)
				stacks = (char *) mmap(NULL, MOST_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
									   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			fiber->stack = stacks + STACK_BYTES * (n_fibers - 1);
			fiber_start(fiber, fiber_main);
			idle[n_idle++] = fiber;
		}
		thread->fiber = idle[--n_idle];
	}
	fiber_switch(&scheduler, thread->fiber);
	if (thread->state == DONE)
		idle[n_idle++] = thread->fiber;
}

void
emulate_block_barrier(void)
{
	wait_as(AT_BARRIER);
}

void
emulate_warp_exchange(unsigned mask, uint64_t value, uint64_t *result)
{
	if (mask != 0xffffffffu)
		emulate_stop("a shuffle names fewer than 32 lanes");
	self->value = value;
	wait_as(IN_WARP);
	memcpy(result, &exchanged[(self - threads) / 32 * 32], 32 * sizeof(uint64_t));
}

void
emulate_warp_barrier(unsigned mask)
{
	uint64_t	all[32];

	emulate_warp_exchange(mask, 0, all);
	self->warp_barriers++;
}

/* ------------------------------------------------------------------ who is running, for races.cc */

static uint64_t grids_run;
static uint64_t blocks_run;
static uint32_t block_barriers;	/* that the block has passed */

bool
emulate_now(EmulatedNow *now)
{
	if (!self)
		return false;
	now->launch = grids_run;
	now->block = blocks_run;
	now->thread = (uint32_t) (self - threads);
	now->barriers = block_barriers;
	now->warp_barriers = self->warp_barriers;
	return true;
}

EmulatedMemory
emulate_memory_of(const void *p)
{
	const char *at = (const char *) p;

	if (at >= stacks && at < stacks + MOST_THREADS * STACK_BYTES)
		return EMULATED_STACK;
	for (int i = 0; i < n_shared; i++)
		if (at >= (char *) shared[i].data && at < (char *) shared[i].data + shared[i].bytes)
			return EMULATED_SHARED;
	return EMULATED_GLOBAL;
}

/* ------------------------------------------------------------------ blocks */

/* A warp runs until each of its threads is at a barrier of the block, or done. */
static void
run_warp(Thread *warp)
{
	int			order[32];
	int			in_warp;

	do
	{
		in_warp = 0;
		make_order(order, 32);
		for (int i = 0; i < 32; i++)
			if (warp[order[i]].state == READY)
				resume(&warp[order[i]]);
		for (int i = 0; i < 32; i++)
			in_warp += warp[i].state == IN_WARP;
		for (int i = 0; i < 32 && in_warp == 32; i++)
		{
			exchanged[warp - threads + i] = warp[i].value;
			warp[i].state = READY;
		}
	} while (in_warp == 32);
	if (in_warp > 0)
		emulate_stop("lanes of a warp wait for others that have left or wait elsewhere");
}

/* Lets go of a complete barrier; false when all threads are done. */
static bool
release_block(void)
{
	int			waiting = 0;

	for (int i = 0; i < n_threads; i++)
		waiting += threads[i].state == AT_BARRIER;
	if (waiting > 0 && waiting < n_threads)
		emulate_stop("threads wait at a barrier for others that have left");
	for (int i = 0; i < n_threads && waiting > 0; i++)
		threads[i].state = READY;
	block_barriers++;
	return waiting > 0;
}

static void
run_block(dim3 block, dim3 at)
{
	int			order[MOST_THREADS / 32];

	for (int i = 0; i < n_threads; i++)
	{
		threads[i].place.thread = block.x == (unsigned) n_threads ? dim3((unsigned) i, 0, 0)
			: dim3(i % block.x, i / block.x % block.y, i / block.x / block.y);
		threads[i].place.block = at;
		threads[i].state = READY;
		threads[i].started = false;
		threads[i].warp_barriers = 0;
	}
	blocks_run++;
	block_barriers = 0;
	do
	{
		make_order(order, n_threads / 32);
		for (int i = 0; i < n_threads / 32; i++)
			run_warp(&threads[order[i] * 32]);
	} while (release_block());
	while (n_shared > 0)
		free(shared[--n_shared].data);
	shared_used = 0;
}

void *
emulate_shared(const void *key, size_t bytes)
{
	for (int i = 0; i < n_shared; i++)
		if (shared[i].key == key)
			return shared[i].data;
	if (n_shared == 16)
		emulate_stop("too many pieces of shared memory");
	shared_used += bytes;
	if (shared_used > shared_most)
		emulate_stop("more shared memory than a block may have");
	shared[n_shared].key = key;
	shared[n_shared].bytes = bytes;
	shared[n_shared].data = malloc(bytes);
	memset(shared[n_shared].data, 0xff, bytes);
	return shared[n_shared++].data;
}

void *
emulate_dynamic_shared(void)
{
	return emulate_shared(&shared_wanted, shared_wanted);
}

/* CUDA_EMULATION_ORDER=seed and CUDA_EMULATION_LATE=yes in the environment, for tests that do not set it themselves. */
__attribute__((constructor)) static void
read_environment(void)
{
	const char *seed = getenv("CUDA_EMULATION_ORDER");

	if (seed)
		emulate_order(strtoull(seed, NULL, 10));
	emulate_late(getenv("CUDA_EMULATION_LATE") != NULL);
}

/* ------------------------------------------------------------------ failures */

static cudaError_t last_error;
static const char *failing_call;
static int	failing_status;
static int	failing_after;

/* The status that a call is to return. */
int
outcome(const char *call)
{
	if (!failing_call || strcmp(call, failing_call) != 0 || failing_after-- > 0)
		return 0;
	failing_call = NULL;
	return failing_status;
}

cudaError_t
told(cudaError_t status)
{
	if (status != cudaSuccess)
		last_error = status;
	return status;
}

void
emulate_order(uint64_t seed)
{
	order_seed = order_state = seed;
}

void
emulate_failure(const char *call, int status, int after)
{
	failing_call = call;
	failing_status = status;
	failing_after = after;
}

long
emulated_launches(void)
{
	return launches;
}

/* A launch; the kernel's arguments follow, aligned. */
typedef struct alignas(16) Launch
{
	dim3		grid;
	dim3		block;
	size_t		shared;			/* dynamic, bytes */
	bool		opted;			/* into more than MOST_SHARED */
	void		(*body) (void *argument);
} Launch;

static void
run_grid(void *data)
{
	Launch	   *launch = (Launch *) data;
	dim3		grid = launch->grid;
	dim3		block = launch->block;
	size_t		blocks = (size_t) grid.x * grid.y * grid.z;
	size_t		step = 1;

	grids_run++;
	n_threads = (int) (block.x * block.y * block.z);
	kernel_body = launch->body;
	kernel_argument = launch + 1;
	shared_wanted = launch->shared;
	shared_most = launch->opted ? MOST_OPTED : MOST_SHARED;
	emulated_block_size = block;
	emulated_grid_size = grid;
	/* another order of blocks: every step-th, step having no factor in common with the number of blocks */
	for (size_t wanted = 1 + draw() % blocks; order_seed && step == 1 && wanted > 1; wanted--)
	{
		size_t		a = blocks;
		size_t		b = wanted;

		while (b)
		{
			size_t		rest = a % b;

			a = b;
			b = rest;
		}
		step = a == 1 ? wanted : 1;
	}
	for (size_t i = 0, at = order_seed ? draw() % blocks : 0; i < blocks; i++, at = (at + step) % blocks)
		run_block(block, dim3((unsigned) (at % grid.x), (unsigned) (at / grid.x % grid.y),
							  (unsigned) (at / grid.x / grid.y)));
	self = NULL;
}

void
emulate_grid(cudaStream_t stream, dim3 grid, dim3 block, size_t shared_bytes, void (*body) (void *argument),
			 const void *argument, size_t bytes)
{
	size_t		blocks = (size_t) grid.x * grid.y * grid.z;
	size_t		threads_of_block = (size_t) block.x * block.y * block.z;
	size_t		opted = shared_opted;
	Launch	   *launch;

	launches++;
	shared_opted = MOST_SHARED;
	if (told((cudaError_t) outcome("launch")) != cudaSuccess)
		return;
	if (blocks == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535 || threads_of_block == 0
		|| threads_of_block > MOST_THREADS || shared_bytes > opted)
	{
		told(cudaErrorInvalidConfiguration);
		return;
	}
	if (threads_of_block % 32 != 0)
		emulate_stop("a block of broken warps");
	launch = (Launch *) malloc(sizeof(Launch) + bytes);
	*launch = Launch{grid, block, shared_bytes, opted > MOST_SHARED, body};
	memcpy(launch + 1, argument, bytes);
	submit_bytes(stream, KERNEL, run_grid, launch, sizeof(Launch) + bytes);
	free(launch);
}

/* ------------------------------------------------------------------ runtime */

static int	n_devices = 1;
static size_t memory_size = (size_t) 8 << 30;
static size_t memory_used;

#define MOST_PINNED 64

typedef struct Pinned
{
	char	   *memory;
	size_t		bytes;
} Pinned;

static Pinned pinned[MOST_PINNED];

void
emulate_devices(int count)
{
	n_devices = count;
}

void
emulate_memory(size_t bytes)
{
	memory_size = bytes;
}

size_t
emulated_memory_in_use(void)
{
	return memory_used;
}

cudaError_t
cudaGetLastError(void)
{
	cudaError_t status = last_error;

	last_error = cudaSuccess;
	return status;
}

const char *
cudaGetErrorString(cudaError_t status)
{
	return status == cudaSuccess ? "no error" : status == cudaErrorNoDevice ? "no CUDA-capable device is detected"
		: status == cudaErrorMemoryAllocation ? "out of memory" : "emulated failure";
}

const char *
cudaGetErrorName(cudaError_t status)
{
	return status == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorEmulated";
}

cudaError_t
cudaDriverGetVersion(int *version)
{
	*version = 13000;
	return cudaSuccess;
}

cudaError_t
cudaGetDeviceCount(int *count)
{
	TELL("cudaGetDeviceCount");
	*count = n_devices;
	return n_devices ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t
cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
	TELL("cudaGetDeviceProperties");
	snprintf(properties->name, sizeof(properties->name), "emulated device %d", device);
	properties->totalGlobalMem = memory_size;
	properties->major = 7;
	properties->minor = 5;
	return cudaSuccess;
}

cudaError_t
cudaDeviceGetAttribute(int *value, int attribute, int)
{
	TELL("cudaDeviceGetAttribute");
	*value = attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? (int) MOST_OPTED : 1;
	return cudaSuccess;
}

cudaError_t
cudaSetDevice(int)
{
	TELL("cudaSetDevice");
	return cudaSuccess;
}

cudaError_t
cudaDeviceReset(void)
{
	return memory_used > 0 ? told(cudaErrorInvalidValue) : cudaSuccess;
}

cudaError_t
cudaFuncGetAttributes(cudaFuncAttributes *, const void *)
{
	TELL("cudaFuncGetAttributes");
	return cudaSuccess;
}

/* For the next launch alone, which must be the kernel's. */
cudaError_t
cudaFuncSetAttribute(const void *, cudaFuncAttribute, int value)
{
	TELL("cudaFuncSetAttribute");
	if (value < 0 || (size_t) value > MOST_OPTED)
		return told(cudaErrorInvalidValue);
	shared_opted = (size_t) value;
	return cudaSuccess;
}

/* The size stands in front. */
cudaError_t
cudaMalloc(void **pointer, size_t bytes)
{
	char	   *block;

	REFUSE_IN_RECORD();
	TELL("cudaMalloc");
	if (bytes > memory_size - memory_used || !(block = (char *) malloc(bytes + 16)))
		return told(cudaErrorMemoryAllocation);
	memset(block, 0xff, bytes + 16);
	memcpy(block, &bytes, sizeof(bytes));
	memory_used += bytes;
	/* 16-byte aligned; a device gives 256 */
	*pointer = block + 16;
	return cudaSuccess;
}

static void
release(void *pointer)
{
	size_t		bytes;

	memcpy(&bytes, (char *) pointer - 16, sizeof(bytes));
	memory_used -= bytes;
	free((char *) pointer - 16);
}

cudaError_t
cudaFree(void *pointer)
{
	REFUSE_IN_RECORD();
	TELL("cudaFree");
	if (pointer)
		release(pointer);
	return cudaSuccess;
}

cudaError_t
cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t)
{
	REFUSE_IN_RECORD();
	TELL("cudaMallocAsync");
	return cudaMalloc(pointer, bytes);
}

cudaError_t
cudaFreeAsync(void *pointer, cudaStream_t stream)
{
	REFUSE_IN_RECORD();
	TELL("cudaFreeAsync");
	return submit(stream, RELEASE, [=]() { release(pointer); });
}

cudaError_t
cudaMallocHost(void **pointer, size_t bytes)
{
	REFUSE_IN_RECORD();
	TELL("cudaMallocHost");
	*pointer = malloc(bytes);
	for (int i = 0; i < MOST_PINNED && *pointer; i++)
		if (!pinned[i].memory)
		{
			pinned[i] = Pinned{(char *) *pointer, bytes};
			return cudaSuccess;
		}
	return told(cudaErrorMemoryAllocation);
}

cudaError_t
cudaFreeHost(void *pointer)
{
	for (int i = 0; i < MOST_PINNED; i++)
		if (pinned[i].memory == pointer)
			pinned[i].memory = NULL;
	free(pointer);
	return cudaSuccess;
}

bool
is_pinned(const void *p)
{
	for (int i = 0; i < MOST_PINNED; i++)
		if (pinned[i].memory && (const char *) p >= pinned[i].memory && (const char *) p < pinned[i].memory + pinned[i].bytes)
			return true;
	return false;
}

cudaError_t
cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	*free_bytes = memory_size - memory_used;
	*total = memory_size;
	return cudaSuccess;
}

cudaError_t
cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int)
{
	*pool = NULL;
	return cudaSuccess;
}

cudaError_t
cudaMemPoolSetAttribute(cudaMemPool_t, int, void *)
{
	return cudaSuccess;
}

cudaError_t
cudaMemPoolTrimTo(cudaMemPool_t, size_t)
{
	return cudaSuccess;
}

cudaError_t
cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
	if (!is_pinned(kind == cudaMemcpyHostToDevice ? src : dst))
		REFUSE_IN_RECORD();
	TELL("cudaMemcpyAsync");
	return submit(stream, COPY, [=]() { memcpy(dst, src, bytes); });
}

cudaError_t
cudaMemsetAsync(void *dst, int value, size_t bytes, cudaStream_t stream)
{
	TELL("cudaMemsetAsync");
	return submit(stream, FILL, [=]() { memset(dst, value, bytes); });
}

/* ------------------------------------------------------------------ cuBLAS */

struct EmulatedBlas
{
	cudaStream_t stream;
	void	   *workspace;
};

cublasStatus_t
cublasCreate(cublasHandle_t *handle)
{
	*handle = (cublasHandle_t) calloc(1, sizeof(EmulatedBlas));
	return (cublasStatus_t) outcome("cublasCreate");
}

cublasStatus_t
cublasDestroy(cublasHandle_t handle)
{
	free(handle);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
	handle->stream = stream;
	handle->workspace = NULL;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t)
{
	cublasStatus_t status = (cublasStatus_t) outcome("cublasSetWorkspace");

	if (status == CUBLAS_STATUS_SUCCESS)
		handle->workspace = workspace;
	return status;
}

cublasStatus_t
cublasSetMathMode(cublasHandle_t, int)
{
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasSetAtomicsMode(cublasHandle_t, int)
{
	return CUBLAS_STATUS_SUCCESS;
}

const char *
cublasGetStatusString(cublasStatus_t status)
{
	return status == CUBLAS_STATUS_SUCCESS ? "success" : "emulated failure";
}

const char *
cublasGetStatusName(cublasStatus_t)
{
	return "CUBLAS_STATUS_EMULATED";
}

/* x with so many bits of fraction, half to even */
static double
rounded(float x, int bits)
{
	uint32_t	word;
	int			cut = 23 - bits;

	if (cut <= 0 || !std::isfinite(x))
		return x;
	memcpy(&word, &x, sizeof(word));
	word += (1u << (cut - 1)) - 1 + (word >> cut & 1);
	word &= ~((1u << cut) - 1);
	memcpy(&x, &word, sizeof(word));
	return x;
}

/* The arguments of a product */
typedef struct Product
{
	bool		trans_a,
				trans_b;
	int			m,
				n,
				k;
	float		alpha,
				beta;
	const float *a;
	const float *b;
	float	   *c;
	int			lda,
				ldb,
				ldc;
	int			bits;			/* of fraction that the factors keep */
} Product;

static void
multiply(const Product &p)
{
	size_t		step_a = p.trans_a ? 1 : (size_t) p.lda;
	size_t		step_b = p.trans_b ? (size_t) p.ldb : 1;

	for (int j = 0; j < p.n; j++)
		for (int i = 0; i < p.m; i++)
		{
			const float *x = p.a + (p.trans_a ? (size_t) i * p.lda : i);
			const float *y = p.b + (p.trans_b ? j : (size_t) j * p.ldb);
			float	   *z = p.c + (size_t) j * p.ldc + i;
#ifdef EMULATE_ARITHMETIC
			float		sum = 0;
#else
			double		sum = 0;
#endif

			for (int l = 0; l < p.k; l++)
				sum += rounded(x[l * step_a], p.bits) * rounded(y[l * step_b], p.bits);
			*z = (float) (p.alpha * sum) + (p.beta == 0 ? 0 : p.beta * *z);
		}
}

/* Without a workspace it would have to take one, which a record may not contain. */
cublasStatus_t
cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
			 const void *a, cudaDataType_t type_a, int lda, const void *b, cudaDataType_t type_b, int ldb, const void *beta,
			 void *c, cudaDataType_t type_c, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t)
{
	cublasStatus_t status = (cublasStatus_t) outcome("cublasGemmEx");
	Product		product = {op_a == CUBLAS_OP_T, op_b == CUBLAS_OP_T, m, n, k, *(const float *) alpha, *(const float *) beta,
		(const float *) a, (const float *) b, (float *) c, lda, ldb, ldc,
	compute == CUBLAS_COMPUTE_32F_FAST_16BF ? 7 : compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? 10 : 23};

	if (status != CUBLAS_STATUS_SUCCESS)
		return status;
	if (m < 0 || n < 0 || k < 0 || lda < (op_a == CUBLAS_OP_N ? m : k) || ldb < (op_b == CUBLAS_OP_N ? k : n) || ldc < m
		|| lda < 1 || ldb < 1 || ldc < 1 || type_a != CUDA_R_32F || type_b != CUDA_R_32F || type_c != CUDA_R_32F)
		return CUBLAS_STATUS_INVALID_VALUE;
	if ((!handle->workspace && refuse_in_record() != cudaSuccess)
		|| submit(handle->stream, KERNEL, [=]() { multiply(product); }) != cudaSuccess)
		return CUBLAS_STATUS_EXECUTION_FAILED;
	return CUBLAS_STATUS_SUCCESS;
}
