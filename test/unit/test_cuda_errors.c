/*
 * What the CUDA backend does when something fails: no device, no memory, a call or a launch that fails. In emulation only,
 * for no device fails on demand.
 */
#include "backends.h"
#include "core/trainer.h"
#include "cuda_emulation/emulation.h"

/* Of cudaError_t and cublasStatus_t */
#define INVALID_VALUE 1
#define NO_MEMORY 2
#define INSUFFICIENT_DRIVER 35
#define NO_KERNEL_IMAGE 209
#define ILLEGAL_ADDRESS 700
#define BLAS_FAILED 3

#define N 100

static const TrBackendOps *ops;

static TrStatus
open_device(TrBackend **b, int device, TrError *err)
{
	TrBackendConfig config = {.threads = 1, .device = device};

	memset(err, 0, sizeof(*err));
	return ops->open(b, &config, err);
}

static void
test_open(void)
{
	static const struct
	{
		const char *call;
		int			status;
		TrStatus	expected;
	}			failures[] = {
		{"cudaGetDeviceCount", INSUFFICIENT_DRIVER, TR_UNSUPPORTED}, {"cudaSetDevice", INVALID_VALUE, TR_UNSUPPORTED},
		{"cudaFuncGetAttributes", NO_KERNEL_IMAGE, TR_UNSUPPORTED}, {"cudaStreamCreateWithFlags", NO_MEMORY, TR_NO_MEMORY},
		{"cudaEventCreateWithFlags", INVALID_VALUE, TR_BACKEND}, {"cudaMallocHost", NO_MEMORY, TR_NO_MEMORY},
		{"cublasCreate", BLAS_FAILED, TR_NO_MEMORY}
	};
	TrBackend  *b;
	TrDevice	devices[2];
	TrError		err;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
	{
		emulate_failure(failures[i].call, failures[i].status, 0);
		CHECK_EQUAL(open_device(&b, 0, &err), failures[i].expected, "open fails when %s does", failures[i].call);
		CHECK(err.message[0] && err.status == failures[i].expected, "... and says: %s (%s)", err.message, err.detail);
	}
	emulate_failure(NULL, 0, 0);
	CHECK_EQUAL(open_device(&b, 1, &err), TR_UNSUPPORTED, "a device that is not there: %s", err.message);
	emulate_devices(0);
	CHECK_EQUAL(open_device(&b, 0, &err), TR_UNSUPPORTED, "no device: %s", err.message);
	CHECK_EQUAL(ops->devices(devices, 2, &err), -1, "no device to list: %s", err.message);
	emulate_devices(3);
	CHECK_EQUAL(ops->devices(devices, 2, &err), 3, "three devices, two of them listed");
	CHECK(strcmp(devices[1].name, "emulated device 1") == 0 && devices[1].major == 7 && devices[1].memory > 0,
		  "the second of them");
	emulate_devices(1);
	setenv("NVIDIA_TF32_OVERRIDE", "1", 1);
	CHECK_EQUAL(open_device(&b, 0, &err), TR_OK, "and a device at last");
	CHECK(!getenv("NVIDIA_TF32_OVERRIDE"), "the environment does not round products that are to be exact");
	ops->close(b);
}

static TrBackend *
open_or_bail(void)
{
	return open_backend(ops, 1);
}

/* The first failure stays, later operations do nothing, downloads give zeroes. */
static void
check_sticky(const char *call, int status, void (*operation) (TrBackend *b, float *x), const char *pattern)
{
	TrBackend  *b = open_or_bail();
	float	   *x = b->ops->alloc(b, N * N * sizeof(float));
	float		host[N] = {[5] = 7};
	TrError		err = {0};

	b->ops->zero(b, x, N * N * sizeof(float));
	emulate_failure(call, status, 0);
	operation(b, x);
	emulate_failure(NULL, 0, 0);
	b->ops->update(b, &(TrOptimizer) {.kind = TR_SGD, .rate = 1, .step = 1}, x, x, NULL, NULL, N);
	b->ops->download(b, host, x, sizeof(host));
	CHECK(host[5] == 0, "%s failed: a download gives zeroes", call);
	CHECK(b->ops->finish(b, &err) != TR_OK && strstr(err.message, pattern), "... and finish() says: %s", err.message);
	CHECK(b->ops->finish(b, NULL) != TR_OK, "... again");
	b->ops->close(b);
	CHECK(emulated_memory_in_use() == 0, "... and no memory is left");
}

static void
do_zero(TrBackend *b, float *x)
{
	b->ops->zero(b, x, sizeof(float));
}

static void
do_upload(TrBackend *b, float *x)
{
	float		host[N] = {0};

	b->ops->upload(b, x, host, sizeof(host));
}

static void
do_gemm(TrBackend *b, float *x)
{
	b->ops->gemm(b, x, 2, x + 8, 2, false, x + 16, 2, false, 2, 2, 2, 1, 0);
}

static void
do_update(TrBackend *b, float *x)
{
	b->ops->update(b, &(TrOptimizer) {.kind = TR_SGD, .rate = 1, .step = 1}, x, x + N, NULL, NULL, N);
}

static void
do_download(TrBackend *b, float *x)
{
	float		host;

	b->ops->download(b, &host, x, sizeof(host));
}

static void
test_failures(void)
{
	check_sticky("cudaMemsetAsync", INVALID_VALUE, do_zero, "cudaMemsetAsync");
	check_sticky("cudaMemcpyAsync", INVALID_VALUE, do_upload, "cudaMemcpyAsync to the device");
	check_sticky("cublasGemmEx", BLAS_FAILED, do_gemm, "cublasGemmEx");
	check_sticky("launch", INVALID_VALUE, do_update, "sgd_kernel");
	check_sticky("cudaMemcpyAsync", ILLEGAL_ADDRESS, do_download, "cudaMemcpyAsync to the host");
	check_sticky("cudaStreamSynchronize", ILLEGAL_ADDRESS, do_download, "cudaStreamSynchronize");
}

static void
test_memory(void)
{
	TrBackend  *b;
	float	   *x;
	TrError		err = {.message = "no room"};

	emulate_memory((size_t) 64 << 20);
	b = open_or_bail();			/* which takes 8 MB for cuBLAS */
	CHECK(b->ops->alloc(b, (size_t) 100 << 20) == NULL, "no memory for an array");
	b->ops->shortage(b, &err);
	CHECK(strstr(err.detail, "101 MB") && strstr(err.detail, "56 MB are free"), "... and shortage() says: %s", err.detail);
	CHECK_EQUAL(b->ops->finish(b, NULL), TR_OK, "... which is no failure");
	x = b->ops->alloc(b, (size_t) 55 << 20);
	CHECK(x != NULL, "a smaller array");
	CHECK(b->ops->available(b) >> 20 == 1, "... leaves %zu MB", b->ops->available(b) >> 20);
	b->ops->activation_backward(b, x, x + 1000000, x, x, 4096, 5000, TR_LINEAR);
	CHECK_EQUAL(b->ops->finish(b, &err), TR_NO_MEMORY, "no memory within an operation: %s. %s", err.message, err.detail);
	CHECK(strstr(err.detail, "MB are free") != NULL, "... says what is free");
	b->ops->close(b);
	CHECK(emulated_memory_in_use() == 0, "no memory is left");

	/* an array is refused because a kernel has failed, not for want of memory */
	emulate_memory((size_t) 64 << 20);
	b = open_or_bail();
	emulate_failure("cudaStreamSynchronize", ILLEGAL_ADDRESS, 0);
	CHECK(b->ops->alloc(b, (size_t) 100 << 20) == NULL, "no array after a kernel has failed");
	b->ops->shortage(b, &err);
	CHECK(err.status == TR_BACKEND && strstr(err.message, "cudaStreamSynchronize"), "... and shortage() says: %s", err.message);
	CHECK_EQUAL(b->ops->finish(b, NULL), TR_BACKEND, "... which is a failure");
	b->ops->close(b);

	/* what the pool keeps is given up before a request is refused */
	b = open_or_bail();
	emulate_failure("cudaMallocAsync", NO_MEMORY, 0);
	x = b->ops->alloc(b, 1000);
	CHECK(x != NULL, "a second attempt at memory");
	b->ops->release(b, x);
	b->ops->close(b);
	emulate_failure(NULL, 0, 0);
	CHECK(emulated_memory_in_use() == 0, "no memory is left");
	emulate_memory((size_t) 8 << 30);
}

/* A model that does not fit: what it says. */
static void
test_model(void)
{
	const TrAlgorithm *algorithm = tr_algorithm_find("hdlpr_ns");
	char		options[4096];
	TrTrainOptions train;
	TrOptionTarget targets[2] = {{algorithm->options, options}, {&tr_train_options, &train}};
	TrSetting	settings[] = {{"layers", "500,20"}, {NULL, NULL}};
	TrMemory	memory;
	TrAssignments a;
	TrDataset	dataset;
	TrModel    *model;
	TrBackend  *b;
	TrError		err = {0};

	tr_memory_init(&memory, 0);
	tr_assignments_init(&a, &memory);
	for (int32_t n = 0; n < 300; n++)
		tr_assignments_add(&a, n % 7, n % 11, n, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, 7, 11, 300, NULL);
	tr_options_set(targets, 2, settings, &err);
	emulate_memory((size_t) 1 << 20);
	b = open_or_bail();
	CHECK_EQUAL(tr_model_create(&model, algorithm, &memory, b, &dataset, options, &err), TR_NO_MEMORY, "a model that does not fit: %s",
				err.message);
	CHECK(strstr(err.detail, "MB are free") != NULL, "... and what is free: %s", err.detail);
	b->ops->close(b);
	CHECK(emulated_memory_in_use() == 0, "no memory is left");
	emulate_memory((size_t) 8 << 30);
	tr_memory_release(&memory);
}

/* More than all the pinned memory at once, and odd sizes in a row. */
static void
test_uploads(void)
{
	TrBackend  *b = open_or_bail();
	size_t		n = (size_t) 37 << 20;
	char	   *host = malloc(n);
	char	   *back = calloc(1, n);
	char	   *x = b->ops->alloc(b, n);
	bool		same;

	for (size_t i = 0; i < n; i++)
		host[i] = (char) (i * 31 + i / 4096);
	for (size_t at = 0, size = 1; at < n; at += size, size = size * 3 + 1)
		b->ops->upload(b, x + at, host + at, n - at < size ? n - at : size);
	b->ops->download(b, back, x, n);
	same = memcmp(host, back, n) == 0;
	CHECK(same, "uploads of all sizes arrive");
	b->ops->upload(b, x, NULL, 0);
	b->ops->download(b, NULL, x, 0);
	CHECK_EQUAL(b->ops->finish(b, NULL), TR_OK, "empty copies are fine");
	free(host);
	free(back);
	b->ops->close(b);
}

/* More columns, of tags say, than the blocks of a grid along y could cover. */
static void
test_wide(void)
{
	const int	O = 65536 * 32;
	TrBackend  *b = open_or_bail();
	float	   *x = b->ops->alloc(b, sizeof(float) * O);
	TrError		err = {0};

	b->ops->zero(b, x, sizeof(float) * O);
	b->ops->activation_backward(b, x, NULL, x, x, 1, O, TR_TANH);
	CHECK_EQUAL(b->ops->finish(b, &err), TR_OK, "a layer of two million columns %s", err.message);
	b->ops->close(b);
}

/* Squares of 1 + a fraction that the precision knows beside 1, or does not. */
static void
test_precision(void)
{
	static const struct
	{
		TrPrecision precision;
		float		fraction;
		float		expected;
		const char *name;
	}			products[] = {
		{TR_FP32, 0x1p-12f, 1 + 0x1p-11f + 0x1p-24f, "fp32"}, {TR_TF32, 0x1p-12f, 1, "tf32"},
		{TR_TF32, 0x1p-9f, 1 + 0x1p-8f + 0x1p-18f, "tf32"}, {TR_BF16, 0x1p-9f, 1, "bf16"},
		{TR_BF16, 0x1p-7f, 1 + 0x1p-6f + 0x1p-14f, "bf16"}
	};

	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
	{
		TrBackendConfig config = {.threads = 1, .precision = products[i].precision};
		float		x = 1 + products[i].fraction;
		float	   *device;
		TrBackend  *b;
		TrError		err;

		if (ops->open(&b, &config, &err) != TR_OK)
			exit(1);
		CHECK(products[i].precision == TR_FP32 || strstr(b->ops->describe(b), products[i].name), "%s is told",
			  products[i].name);
		device = b->ops->alloc(b, 2 * sizeof(float));
		b->ops->upload(b, device, &x, sizeof(x));
		b->ops->gemm(b, device + 1, 1, device, 1, false, device, 1, false, 1, 1, 1, 1, 0);
		b->ops->download(b, &x, device + 1, sizeof(x));
		CHECK(x == products[i].expected, "%s: a product is %.9g", products[i].name, x);
		b->ops->close(b);
	}
}

int
main(void)
{
	if (getenv("TAGREC_CUDA_LIBRARY"))
	{
		printf("1..0 # SKIP for the emulation only\n");
		return 0;
	}
	ops = tr_cuda_test_ops();
	test_open();
	test_failures();
	test_memory();
	test_model();
	test_uploads();
	test_wide();
	test_precision();
	return check_done();
}
