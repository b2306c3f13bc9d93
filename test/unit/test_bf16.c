/*
 * Products in bfloat16 on a CPU: the CPU backend against the plain one, with different numbers of threads to the bit; which
 * products stay in float32; what becomes of NaN. Skipped where the processor has no such instructions, or oneDNN is
 * missing.
 */
#include "backends.h"

static TrBackend *
open_in(TrPrecision precision, int threads)
{
	TrBackendConfig config = {.threads = threads, .precision = precision};
	TrBackend  *b = NULL;

	if (tagrec_backend_ops()->open(&b, &config, NULL) != TR_OK)
		exit(1);
	return b;
}

/* C (m,n) of random factors; flags: transposed x, transposed y, added to what was there */
static float *
product(TrBackend *b, int m, int n, int k, int flags)
{
	Draw		draw = {.seed = 3};
	bool		tx = flags & 1;
	bool		ty = flags & 2;
	int			pad = 3;
	int			ldx = (tx ? m : k) + pad;
	int			ldy = (ty ? k : n) + pad;
	float	   *x = random_floats(b, &draw, (size_t) (tx ? k : m) * ldx, -1, 1);
	float	   *y = random_floats(b, &draw, (size_t) (ty ? n : k) * ldy, -1, 1);
	float	   *c = random_floats(b, &draw, (size_t) m * n, -1, 1);

	b->ops->gemm(b, c, n, x, ldx, tx, y, ldy, ty, m, n, k, 0.5f, flags & 4 ? 0.75f : 0);
	CHECK(b->ops->finish(b, NULL) == TR_OK, "%d x %d x %d flags %d", m, n, k, flags);
	return c;
}

static double
difference(const float *a, const float *b, size_t n)
{
	double		largest = 0;
	double		apart = 0;

	for (size_t i = 0; i < n; i++)
	{
		largest = fmax(largest, fabs(b[i]));
		apart = isnan(a[i]) ? INFINITY : fmax(apart, fabs((double) a[i] - b[i]));
	}
	return apart / largest;
}

/* As plain up to the rounding of the factors, and rounded indeed; the same whatever the number of threads */
static void
test_products(int m, int n, int k, int flags)
{
	TrBackend  *plain = open_backend(&tr_plain_ops, 1);
	TrBackend  *one = open_in(TR_BF16, 1);
	TrBackend  *three = open_in(TR_BF16, 3);
	size_t		size = (size_t) m * n;
	float	   *expected = product(plain, m, n, k, flags);
	float	   *c = product(one, m, n, k, flags);
	double		apart = difference(c, expected, size);

	CHECK(apart < 0.01 && apart > 1e-5, "%d x %d x %d flags %d is rounded, and no more: %g", m, n, k, flags, apart);
	CHECK(memcmp(c, product(three, m, n, k, flags), size * sizeof(float)) == 0, "three threads do as one");
	plain->ops->close(plain);
	one->ops->close(one);
	three->ops->close(three);
}

/* x (n,n) of one value, or with another in front; c = x x */
static float
square(TrBackend *b, int n, float value, float first)
{
	float	   *x = malloc((size_t) n * n * sizeof(float));
	float	   *c = b->ops->alloc(b, (size_t) n * n * sizeof(float));
	float	   *in;
	float		out;

	for (int i = 0; i < n * n; i++)
		x[i] = value;
	x[0] = first;
	in = to_backend(b, x, (size_t) n * n * sizeof(float));
	b->ops->gemm(b, c, n, in, n, false, in, n, false, n, n, n, 1, 0);
	b->ops->download(b, &out, c, sizeof(out));
	free(x);
	return out;
}

static void
test_values(void)
{
	TrBackend  *b = open_in(TR_BF16, 1);
	TrBackend  *exact = open_in(TR_FP32, 1);
	float		fine = 1 + 0x1p-9f;
	uint32_t	bits = 0x7fffffff;	/* a NaN that a rounding by addition would make a number */
	float		nan;

	memcpy(&nan, &bits, sizeof(nan));
	CHECK(strstr(b->ops->describe(b), "bf16") != NULL, "what multiplies is told: %s", b->ops->describe(b));
	CHECK(square(b, 64, fine, fine) == 64, "large products are of rounded factors");
	CHECK(square(b, 16, fine, fine) == square(exact, 16, fine, fine), "small ones are not");
	CHECK(square(exact, 64, fine, fine) > 64.2f, "in fp32 none are");
	CHECK(isnan(square(b, 64, 1, nan)), "NaN stays NaN");
	CHECK(isinf(square(b, 64, 1, INFINITY)), "infinity stays infinity");
	b->ops->close(b);
	exact->ops->close(exact);
}

int
main(void)
{
	TrBackend  *b;
	const char *shortfall;

	if (tagrec_backend_ops() == &tr_plain_ops)
	{
		printf("1..0 # SKIP there is no CPU backend in this build\n");
		return 0;
	}
	b = open_in(TR_TF32, 1);
	CHECK(b->shortfall && strstr(b->shortfall, "bf16"), "a CPU has no tf32: %s", b->shortfall);
	b->ops->close(b);
	b = open_in(TR_FP32, 1);
	CHECK(!b->shortfall, "fp32 is what it is");
	b->ops->close(b);
	b = open_in(TR_BF16, 1);
	shortfall = b->shortfall;
	b->ops->close(b);
	if (shortfall)
		printf("ok %d - bf16 # SKIP %s\n", ++check_count, shortfall);
	else
	{
		for (int flags = 0; flags < 8; flags++)
		{
			test_products(70, 90, 130, flags);
			test_products(200, 64, 1500, flags);
		}
		test_values();
	}
	return check_done();
}
