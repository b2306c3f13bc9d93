/*
 * The CUDA backend's life: the last to close leaves nothing on the device, and the next one starts afresh; those that are
 * open together do not disturb each other. In emulation, or on a device: cuda_emulation/cuda_ops.c.
 */
#include "backends.h"

#define N 40

extern const TrBackendOps *tr_cuda_cold_ops(void);

/* x becomes y y and half of itself, by cuBLAS; y takes a step against x, by a kernel; and so on */
static void
work(TrBackend *b, float *host)
{
	Draw		draw = {.seed = 3};
	float	   *x = random_floats(b, &draw, N * N, -1, 1);
	float	   *y = random_floats(b, &draw, N * N, -1, 1);
	TrOptimizer step = {.kind = TR_SGD, .rate = 0.01f, .step = 1};

	for (int i = 0; i < 100; i++)
	{
		b->ops->gemm(b, x, N, y, N, i % 2, y, N, i % 3, N, N, N, 0.01f, 0.5f);
		b->ops->update(b, &step, y, x, NULL, NULL, N * N);
	}
	b->ops->download(b, host, x, sizeof(float) * N * N);
}

static bool
works_as(TrBackend *b, const float *expected)
{
	static float host[N * N];

	work(b, host);
	return b->ops->finish(b, NULL) == TR_OK && memcmp(host, expected, sizeof(host)) == 0;
}

int
main(void)
{
	static float first[N * N];
	const TrBackendOps *ops = tr_cuda_cold_ops();
	TrBackend  *b = open_backend(ops, 1);
	TrBackend  *other;

	work(b, first);
	CHECK_EQUAL(b->ops->finish(b, NULL), TR_OK, "a backend works");
	CHECK(isfinite(first[0]) && first[0] != first[1], "... and has something to say");
	CHECK(works_as(b, first), "the same bits again");
	ops->close(b);
	for (int i = 0; i < 3; i++)
	{
		b = open_backend(ops, 1);
		CHECK(works_as(b, first), "the same bits after the last backend was closed");
		ops->close(b);
	}
	b = open_backend(ops, 1);
	other = open_backend(ops, 1);
	CHECK(works_as(other, first), "the same bits beside another backend");
	ops->close(other);
	CHECK(works_as(b, first), "... and in that one, when this is closed");
	ops->close(b);
	return check_done();
}
