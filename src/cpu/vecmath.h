/*
 * tanh, exp and the logistic function without branches or calls, for loops that become SIMD. Where the order of the
 * operations is the accuracy, a fence keeps -fassociative-math from changing it.
 */
#ifndef TR_VECMATH_H
#define TR_VECMATH_H

#include "core/backend.h"
#include "cpu/simd.h"

#include <math.h>

#define TR_LOG2_E 1.44269504f

/* ln 2 in two parts; the product of the first with an exponent is exact. */
#define TR_LN_2_HIGH 0.693359375f
#define TR_LN_2_LOW -2.12194440e-4f

TR_INLINE float
tr_float_of(uint32_t bits)
{
	float		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

TR_INLINE uint32_t
tr_bits_of(float x)
{
	uint32_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* 2^n, n in -126..127 */
TR_INLINE float
tr_power_of_2(int32_t n)
{
	return tr_float_of((uint32_t) (n + 127) << 23);
}

/* exp(r) - 1 for |r| <= ln(2) / 2: the Taylor series, whose first missing term is below a tenth of an ulp */
TR_INLINE float
tr_expm1_small(float r)
{
	float		q = 1.0f / 5040;

	q = q * r + 1.0f / 720;
	q = q * r + 1.0f / 120;
	q = q * r + 1.0f / 24;
	q = q * r + 1.0f / 6;
	q = q * r + 0.5f;
	return q * r * r + r;
}

/* x without its last bit: no compiler reorders additions across that */
TR_INLINE float
tr_fence(float x)
{
	return tr_float_of(tr_bits_of(x) & ~1u);
}

/* yes where condition is 1, no where it is 0; with bit operations, because a compiler may turn a condition into a branch */
TR_INLINE float
tr_select(int condition, float yes, float no)
{
	uint32_t	mask = 0u - (uint32_t) condition;

	return tr_float_of((tr_bits_of(yes) & mask) | (tr_bits_of(no) & ~mask));
}

/* exp(a) for |a| <= 87.3, a few ulp; a NaN stays one, but must not become an integer, which C leaves undefined */
TR_INLINE float
tr_exp_core(float a)
{
	float		turns = a * TR_LOG2_E + tr_float_of(tr_bits_of(0.5f) | (tr_bits_of(a) & 0x80000000u));
	int32_t		n = (int32_t) tr_select(a == a, turns, 0.0f);
	float		r = tr_fence(a - (float) n * TR_LN_2_HIGH) - (float) n * TR_LN_2_LOW;

	return (tr_expm1_small(r) + 1.0f) * tr_power_of_2(n);
}

/* exp(x) for x <= 87.3; 0 below -87.3, where the result would be denormal; a NaN stays one */
TR_INLINE float
tr_exp(float x)
{
	return tr_select(x < -87.3f, 0.0f, tr_exp_core(tr_select(x < -87.3f, -87.3f, x)));
}

/*
 * tanh within 2 ulp; a NaN stays one. Below 0.625 an odd polynomial (the coefficients of Moshier's Cephes), above it
 * 1 - 2 / (exp(2|x|) + 1); both are computed, for a branch would end the vector.
 */
TR_INLINE float
tr_tanh(float x)
{
	uint32_t	sign = tr_bits_of(x) & 0x80000000u;
	float		a = tr_float_of(tr_bits_of(x) ^ sign);
	float		z = a * a;
	float		p = -5.70498872745e-3f;
	float		near_0;
	float		far;

	p = p * z + 2.06390887954e-2f;
	p = p * z - 5.37397155531e-2f;
	p = p * z + 1.33314422036e-1f;
	p = p * z - 3.33332819422e-1f;
	near_0 = tr_fence(p * z) * a + a;
	far = 1.0f - 2.0f / (tr_exp_core(tr_select(a > 10.0f, 20.0f, 2.0f * a)) + 1.0f);
	return tr_float_of(tr_bits_of(tr_select(a > 0.625f, far, near_0)) | sign);
}

/* 1 / (1 + exp(-x)), a few ulp; a NaN stays one */
TR_INLINE float
tr_sigmoid(float x)
{
	float		e = tr_exp(tr_float_of(tr_bits_of(x) | 0x80000000u));

	return tr_select(x >= 0, 1.0f, e) / (1.0f + e);
}

/*
 * The largest of n. Lane by lane by hand, because a NaN keeps a compiler from reordering a maximum; this one passes over
 * NaN.
 */
TR_INLINE float
tr_largest(const float *x, int n)
{
	float		lane[TR_LANES];
	TrLanes		top;
	float		all = -INFINITY;
	int			k = 0;

	for (int l = 0; l < TR_LANES; l++)
		lane[l] = -INFINITY;
	top = *(TrLanes *) lane;
	for (; k + TR_LANES <= n; k += TR_LANES)
	{
		TrLanes		v = *(const TrLanes *) (x + k);
		TrBits		greater = (TrBits) (v > top);

		top = (TrLanes) ((greater & (TrBits) v) | (~greater & (TrBits) top));
	}
	*(TrLanes *) lane = top;
	for (int l = 0; l < TR_LANES; l++)
		all = lane[l] > all ? lane[l] : all;
	for (; k < n; k++)
		all = x[k] > all ? x[k] : all;
	return all;
}

/* x (n) = act(x) */
TR_INLINE void
tr_activate(float *x, int n, TrActivation act)
{
	if (act == TR_TANH)
		for (int j = 0; j < n; j++)
			x[j] = tr_tanh(x[j]);
	else if (act == TR_SIGMOID)
		for (int j = 0; j < n; j++)
			x[j] = tr_sigmoid(x[j]);
	else if (act == TR_RELU)
		for (int j = 0; j < n; j++)
			x[j] = tr_select(x[j] < 0, 0.0f, x[j]);
	else if (act == TR_SELU)
		for (int j = 0; j < n; j++)
			x[j] = tr_select(x[j] < 0, TR_SELU_LEAST * (tr_exp(tr_select(x[j] < 0, x[j], 0.0f)) - 1.0f), TR_SELU_SCALE * x[j]);
}

#endif
