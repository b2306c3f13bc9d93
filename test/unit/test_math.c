/*
 * The accuracy of the vector tanh and exp, in the form that the loops of the CPU backend are compiled to.
 */
#include "check.h"
#include "cpu/vecmath.h"

#include <math.h>

#define RUN 4096

TR_SIMD static void
tanh_all(float *restrict y, const float *restrict x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = tr_tanh(x[i]);
}

TR_SIMD static void
exp_all(float *restrict y, const float *restrict x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = tr_exp(x[i]);
}

/* How many float steps y is away from the exact value */
static double
ulps(float y, double exact)
{
	int			exponent;
	double		step;

	frexp(exact, &exponent);
	step = ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
	return fabs(y - exact) / step;
}

typedef void (*Vector) (float *restrict, const float *restrict, int);
typedef double (*Scalar) (double);

/* The worst error over every stride-th float whose magnitude lies between two, both signs or the negative one alone */
static double
worst(Vector vector, Scalar scalar, float low, float high, uint32_t stride, bool positive)
{
	static float x[RUN];
	static float y[RUN];
	double		most = 0;
	uint32_t	bits = tr_bits_of(low);

	while (bits <= tr_bits_of(high))
	{
		int			n = 0;

		for (; n < RUN && bits <= tr_bits_of(high); bits += stride, n++)
			x[n] = tr_float_of(bits | (positive && n % 2 == 0 ? 0 : 0x80000000u));
		vector(y, x, n);
		for (int i = 0; i < n; i++)
			most = fmax(most, ulps(y[i], scalar(x[i])));
	}
	return most;
}

static void
test_tanh(void)
{
	float		x[8] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-40f, 9.1f};
	float		y[8];

	tanh_all(y, x, 8);
	CHECK(tr_bits_of(y[0]) == 0 && tr_bits_of(y[1]) == 0x80000000u, "tanh of the zeroes");
	CHECK(y[2] == 1 && y[3] == -1, "tanh of the infinities");
	CHECK(isnan(y[4]), "tanh of NaN");
	CHECK(y[5] == x[5] && y[6] == x[6], "tanh of denormals");
	CHECK(y[7] == 1.0f, "tanh saturates at 1");
	CHECK_NEAR(worst(tanh_all, tanh, 0.0f, 1e-3f, 211, true), 0, 2, "tanh below 0.001 within 2 ulp");
	CHECK_NEAR(worst(tanh_all, tanh, 1e-3f, 12.0f, 13, true), 0, 2, "tanh up to 12 within 2 ulp");
	CHECK_NEAR(worst(tanh_all, tanh, 12.0f, 3e38f, 1009, true), 0, 2, "tanh of large values within 2 ulp");
}

static void
test_exp(void)
{
	float		x[6] = {0.0f, -0.0f, -INFINITY, NAN, -1000.0f, -3e38f};
	float		y[6];

	exp_all(y, x, 6);
	CHECK(y[0] == 1 && y[1] == 1, "exp of the zeroes");
	CHECK(y[2] == 0 && y[4] == 0 && y[5] == 0, "exp of large negative values is 0");
	CHECK(isnan(y[3]), "exp of NaN");
	CHECK_NEAR(worst(exp_all, exp, 0.0f, 1e-3f, 211, false), 0, 3, "exp near 0 within 3 ulp");
	CHECK_NEAR(worst(exp_all, exp, 1e-3f, 87.2f, 13, false), 0, 3, "exp down to -87 within 3 ulp");
	CHECK_NEAR(worst(exp_all, exp, 1e-3f, 87.2f, 13, true), 0, 3, "exp up to 87 within 3 ulp");
}

int
main(void)
{
	test_tanh();
	test_exp();
	return check_done();
}
