/*
 * The CUDA backend's life and its table. Operations are queued on one stream and return at once; the first failure stays,
 * stops everything after it, and is told by finish().
 */
#include "cuda_common.cuh"

static const TrBackendOps *cuda_ops(void);

/* Backends open in this process. The last one takes the device's context with it: memory is back to where it was. */
static int	open_backends;

/* ------------------------------------------------------------------ failures */

/* What is recorded as a graph may fail where the same would not, and what was recorded is lost. */
static void
blame_graphs(TrCuda *cuda)
{
	if (cuda->graphs.on && cuda->error.status != TR_NO_MEMORY)
		snprintf(cuda->error.hint, sizeof(cuda->error.hint),
				 "Steps are launched as CUDA graphs; TAGREC_CUDA_GRAPHS=no in the server's environment trains without.");
}

bool
tr_cuda_check(TrBackend *b, cudaError_t status, const char *call)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (status == cudaSuccess)
		return !tr_cuda_failed(b);
	cudaGetLastError();
	if (tr_cuda_failed(b))
		return false;
	tr_fail(&cuda->error, status == cudaErrorMemoryAllocation ? TR_NO_MEMORY : TR_BACKEND, "CUDA failed in %s: %s", call,
			cudaGetErrorString(status));
	snprintf(cuda->error.detail, sizeof(cuda->error.detail),
			 "%s, on %s. Work is queued, so an earlier operation may be the cause.", cudaGetErrorName(status),
			 cuda->description);
	blame_graphs(cuda);
	return false;
}

bool
tr_cuda_check_blas(TrBackend *b, cublasStatus_t status, const char *call)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (status == CUBLAS_STATUS_SUCCESS)
		return !tr_cuda_failed(b);
	if (tr_cuda_failed(b))
		return false;
	tr_fail(&cuda->error, status == CUBLAS_STATUS_ALLOC_FAILED ? TR_NO_MEMORY : TR_BACKEND, "cuBLAS failed in %s: %s", call,
			cublasGetStatusString(status));
	snprintf(cuda->error.detail, sizeof(cuda->error.detail), "%s, on %s.", cublasGetStatusName(status), cuda->description);
	blame_graphs(cuda);
	return false;
}

/* A graph of many operations is one turn: the host is at most TR_PACE_EVENTS turns ahead. */
void
tr_cuda_pace(TrBackend *b, int operations)
{
	TrCuda	   *cuda = tr_cuda(b);
	cudaEvent_t event = cuda->pace[cuda->paced];

	cuda->launches += operations;
	if (cuda->launches < TR_PACE_LAUNCHES)
		return;
	cuda->launches = 0;
	cuda->paced = (cuda->paced + 1) % TR_PACE_EVENTS;
	tr_cuda_check(b, cudaEventSynchronize(event), "cudaEventSynchronize");
	tr_cuda_check(b, cudaEventRecord(event, cuda->stream), "cudaEventRecord");
}

void
tr_cuda_launched(TrBackend *b, const char *kernel)
{
	if (tr_cuda_check(b, cudaGetLastError(), kernel) && !tr_cuda_recorded(b, 'k'))
		tr_cuda_pace(b, 1);
}

static TrStatus
cuda_finish(TrBackend *b, TrError *err)
{
	TrCuda	   *cuda = tr_cuda(b);

	tr_cuda_cut(b);
	if (!tr_cuda_failed(b))
		tr_cuda_check(b, cudaStreamSynchronize(cuda->stream), "cudaStreamSynchronize");
	tr_cuda_check_rows(b);
	if (tr_cuda_failed(b) && err)
		*err = cuda->error;
	return cuda->error.status;
}

/* ------------------------------------------------------------------ life */

static void
create_events(TrBackend *b, cudaEvent_t *event, int n)
{
	for (int i = 0; i < n; i++)
		tr_cuda_check(b, cudaEventCreateWithFlags(&event[i], cudaEventDisableTiming), "cudaEventCreateWithFlags");
}

static void
destroy_events(cudaEvent_t *event, int n)
{
	for (int i = 0; i < n; i++)
		if (event[i])
			cudaEventDestroy(event[i]);
}

/* The pool keeps what is released, up to all of it. */
static void
prepare_pool(TrCuda *cuda)
{
	cudaMemPool_t pool;
	uint64_t	keep = UINT64_MAX;
	int			supported = 0;

	cuda->pooled = cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, cuda->device) == cudaSuccess
		&& supported
		&& cudaDeviceGetDefaultMemPool(&pool, cuda->device) == cudaSuccess
		&& cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep) == cudaSuccess;
	cudaGetLastError();
}

/*
 * The variables by which a server's environment could have cuBLAS compute otherwise than `precision` says. An override of 0
 * takes TF32 away and stays: it rounds less than it was told to.
 */
static void
refuse_environment(void)
{
	const char *tf32 = getenv("NVIDIA_TF32_OVERRIDE");

	if (tf32 && strcmp(tf32, "0") != 0)
		unsetenv("NVIDIA_TF32_OVERRIDE");
	unsetenv("CUBLAS_EMULATE_SINGLE_PRECISION");
}

/*
 * cuBLAS would take its workspace when it needs it, in the middle of a record too, and choose its kernels by what it got.
 * So it gets what its manual recommends, or more. Without room for that nothing is lost but graphs.
 */
static bool
prepare_workspace(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);
	int			major = 0;
	size_t		bytes;
	void	   *workspace;

	cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, cuda->device);
	bytes = (size_t) (major >= 9 ? 32 : 8) << 20;
	workspace = tr_cuda_alloc(b, bytes);
	if (workspace && cublasSetWorkspace(cuda->blas, workspace, bytes) == CUBLAS_STATUS_SUCCESS)
		return true;
	tr_cuda_release(b, workspace);
	return false;
}

/* Rounds what it was told to round and nothing else; no atomics, which would add in any order. */
static void
prepare_blas(TrBackend *b, TrPrecision precision)
{
	TrCuda	   *cuda = tr_cuda(b);

	cuda->compute = precision == TR_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
		: precision == TR_BF16 ? CUBLAS_COMPUTE_32F_FAST_16BF : CUBLAS_COMPUTE_32F;
	if (tr_cuda_check_blas(b, cublasCreate(&cuda->blas), "cublasCreate")
		&& tr_cuda_check_blas(b, cublasSetStream(cuda->blas, cuda->stream), "cublasSetStream")
		&& tr_cuda_check_blas(b, cublasSetMathMode(cuda->blas, CUBLAS_DEFAULT_MATH), "cublasSetMathMode"))
		tr_cuda_check_blas(b, cublasSetAtomicsMode(cuda->blas, CUBLAS_ATOMICS_NOT_ALLOWED), "cublasSetAtomicsMode");
}

/* The context goes when nobody needs it: a job that trains on the CPU after all holds none. */
static void
release_device(void)
{
	if (open_backends == 0)
		cudaDeviceReset();
	cudaGetLastError();
}

static void
cuda_close(TrBackend *b)
{
	TrCuda	   *cuda = tr_cuda(b);

	if (!b)
		return;
	tr_cuda_close_graphs(b);
	if (cuda->blas)
		cublasDestroy(cuda->blas);
	if (cuda->stream)
	{
		cudaStreamSynchronize(cuda->stream);
		tr_cuda_release_all(b);
		cudaStreamDestroy(cuda->stream);
	}
	destroy_events(cuda->staged, TR_STAGING_SEGMENTS);
	destroy_events(cuda->pace, TR_PACE_EVENTS);
	if (cuda->staging)
		cudaFreeHost(cuda->staging);
	free(cuda);
	open_backends--;
	release_device();
}

/*
 * An intermediate result may take a sixteenth of the card, and no more than a gigabyte: of all its memory, not of what is
 * free, so that the same card gives the same bits whoever else is on it.
 */
static void
prepare_sizes(TrBackend *b)
{
	size_t		available;
	size_t		total = 0;

	if (!tr_cuda_check(b, cudaMemGetInfo(&available, &total), "cudaMemGetInfo"))
		return;
	b->block_bytes = total / 16 < (size_t) 1 << 30 ? total / 16 : (size_t) 1 << 30;
	b->step_work = 1e11;
}

static TrStatus
cuda_open(TrBackend **backend, const TrBackendConfig *config, TrError *err)
{
	TrCuda	   *cuda = (TrCuda *) calloc(1, sizeof(TrCuda));
	TrBackend  *b = &cuda->base;
	TrStatus	status;

	if (!cuda)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	b->ops = cuda_ops();
	cuda->device = config->device;
	refuse_environment();
	status = tr_cuda_open_device(config->device, cuda->description, sizeof(cuda->description), err);
	if (status == TR_OK && config->precision != TR_FP32)
		strncat(cuda->description, config->precision == TR_TF32 ? ", tf32" : ", bf16",
				sizeof(cuda->description) - strlen(cuda->description) - 1);
	if (status != TR_OK)
	{
		free(cuda);
		release_device();
		return status;
	}
	open_backends++;
	if (tr_cuda_check(b, cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"))
	{
		prepare_sizes(b);
		prepare_pool(cuda);
		create_events(b, cuda->staged, TR_STAGING_SEGMENTS);
		create_events(b, cuda->pace, TR_PACE_EVENTS);
		tr_cuda_check(b, cudaMallocHost((void **) &cuda->staging, TR_STAGING_SEGMENTS * TR_STAGING_SEGMENT),
					  "cudaMallocHost");
		prepare_blas(b, config->precision);
		if (!tr_cuda_failed(b) && prepare_workspace(b))
			tr_cuda_open_graphs(b);
	}
	status = cuda_finish(b, err);
	if (status != TR_OK)
		cuda_close(b);
	else
		*backend = b;
	return status;
}

static const char *
cuda_describe(TrBackend *b)
{
	return tr_cuda(b)->description;
}

/* ------------------------------------------------------------------ the table */

static TrBackendOps
make_ops(void)
{
	TrBackendOps ops = {};

	ops.api_version = TR_BACKEND_API_VERSION;
	ops.name = "cuda";
	ops.open = cuda_open;
	ops.close = cuda_close;
	ops.describe = cuda_describe;
	ops.alloc = tr_cuda_alloc;
	ops.release = tr_cuda_release;
	ops.allocated = tr_cuda_allocated;
	ops.upload = tr_cuda_upload;
	ops.download = tr_cuda_download;
	ops.zero = tr_cuda_zero;
	ops.finish = cuda_finish;
	ops.begin_step = tr_cuda_begin_step;
	ops.end_step = tr_cuda_end_step;
#define OPERATION(name, parameters) ops.name = tr_cuda_##name;
#include "core/operations.h"
	ops.shortage = tr_cuda_shortage;
	ops.available = tr_cuda_available;
	ops.devices = tr_cuda_devices;
	return ops;
}

static const TrBackendOps *
cuda_ops(void)
{
	static TrBackendOps ops;

	if (!ops.name)
		ops = make_ops();
	return &ops;
}

extern "C" __attribute__((visibility("default")))
const TrBackendOps *
tagrec_backend_ops(void)
{
	return cuda_ops();
}
