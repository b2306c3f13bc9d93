/*
 * Inner products. The order of a sum and its roundings are those of the code below, whatever compiles it: lane l of eight
 * adds up the products of elements l, l + 8, l + 16, … in this order, and the lanes are added at the end. Where the
 * processor can (arm64, x86-64 since 2013), a product is not rounded before it is added: all of these give the same number.
 *
 * This file is compiled with flags of its own (EXACT_CFLAGS), so that no compiler adds in another order.
 *
 * Legend: V vectors, R rows, K floats of a padded row.
 */
#include "core/dot.h"

#include <stdbool.h>
#include <string.h>

#ifdef __ASSOCIATIVE_MATH__
#error "compile this file with -fno-associative-math -ffp-contract=off"
#endif

#if defined(__x86_64__) && !defined(TR_NO_CLONES)
#define CHOOSE_FUSED
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* In front of a loop of few rounds, so that what is in arrays can be in registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

#define LANES 8

/* A tile of a block: small enough for its sums to stay in the registers. */
#define TILE_V 4
#define TILE_R 3

/*
 * The rows of a tile are read side by side, which no prefetcher foresees: it asks for what lies so many floats, a page,
 * ahead.
 */
#define AHEAD 1024

/* ------------------------------------------------------------------ what every processor has */

typedef float Four __attribute__((vector_size(16), may_alias));

typedef struct basic_Lanes
{
	Four		low,
				high;
} basic_Lanes;

INLINE Four
add_four_products(Four sum, const float *x, const float *y)
{
#ifdef __ARM_FEATURE_FMA
	return vfmaq_f32(sum, *(const Four *) x, *(const Four *) y);
#else
	return sum + *(const Four *) x * *(const Four *) y;
#endif
}

INLINE basic_Lanes
basic_add_products(basic_Lanes sum, const float *x, const float *y)
{
	sum.low = add_four_products(sum.low, x, y);
	sum.high = add_four_products(sum.high, x + 4, y + 4);
	return sum;
}

INLINE float
basic_total(basic_Lanes sum)
{
	Four		s = sum.low + sum.high;

	return (s[0] + s[1]) + (s[2] + s[3]);
}

#define FORM(name) basic_##name
#define TARGET
#include "core/dot_kernel.h"
#undef FORM
#undef TARGET

/* ------------------------------------------------------------------ x86-64 with FMA */

#ifdef CHOOSE_FUSED

#define FORM(name) fused_##name
#define TARGET __attribute__((target("avx2,fma")))

typedef __m256 fused_Lanes;

TARGET INLINE __m256
fused_add_products(__m256 sum, const float *x, const float *y)
{
	return _mm256_fmadd_ps(_mm256_load_ps(x), _mm256_load_ps(y), sum);
}

TARGET INLINE float
fused_total(__m256 sum)
{
	__m128		s = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));

	s = _mm_hadd_ps(s, s);
	return _mm_cvtss_f32(_mm_hadd_ps(s, s));
}

#include "core/dot_kernel.h"

/* A look at a variable that is set when the library is loaded */
static inline bool
fused(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#endif

float
tr_dot(const float *x, const float *y, size_t stride)
{
#ifdef CHOOSE_FUSED
	if (fused())
		return fused_dot(x, y, stride);
#endif
	return basic_dot(x, y, stride);
}

void
tr_dot_block(float *out, size_t ld, const float *x, int vectors, const float *matrix, int rows, size_t stride)
{
#ifdef CHOOSE_FUSED
	if (fused())
	{
		fused_block(out, ld, x, vectors, matrix, rows, stride);
		return;
	}
#endif
	basic_block(out, ld, x, vectors, matrix, rows, stride);
}
