/*
 * Sums of products of 8-bit codes, a block of rows at a time. Sums of whole numbers: every form gives the same.
 */
#include "core/codes.h"

#include <string.h>

#if defined(__x86_64__) && !defined(TR_NO_CLONES)
#include <immintrin.h>
#define HAVE_X86
#elif defined(__aarch64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#include <arm_neon.h>
#include <sys/auxv.h>
#define HAVE_ARM
#endif

#define BLOCK TR_CODES_BLOCK

/* ------------------------------------------------------------------ any processor */

static void
portable(int32_t *dot, const uint8_t *codes, const int8_t *query, int blocks, int axes)
{
	for (int b = 0; b < blocks; b++, dot += BLOCK)
	{
		memset(dot, 0, BLOCK * sizeof(int32_t));
		for (int a = 0; a < axes; a += 4, codes += 4 * BLOCK)
			for (int r = 0; r < BLOCK; r++)
				dot[r] += codes[4 * r] * query[a] + codes[4 * r + 1] * query[a + 1] +
					codes[4 * r + 2] * query[a + 2] + codes[4 * r + 3] * query[a + 3];
	}
}

/* ------------------------------------------------------------------ x86-64 */

#ifdef HAVE_X86

static inline int32_t
four_codes(const int8_t *query)
{
	int32_t		four;

	memcpy(&four, query, sizeof(four));
	return four;
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static void
vnni(int32_t *dot, const uint8_t *codes, const int8_t *query, int blocks, int axes)
{
	for (int b = 0; b < blocks; b++, dot += BLOCK)
	{
		__m512i		sum = _mm512_setzero_si512();

		for (int a = 0; a < axes; a += 4, codes += 4 * BLOCK)
			sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(codes), _mm512_set1_epi32(four_codes(query + a)));
		_mm512_storeu_si512(dot, sum);
	}
}

/* Four rows' sums, each in two parts, get four more codes each. */
__attribute__((target("avx2")))
static inline __m256i
add_wide(__m256i sum, const uint8_t *codes, __m256i query)
{
	return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) codes)), query));
}

/* In 16 bits: the sum of two products of 8 bits would not fit into 16 */
__attribute__((target("avx2")))
static void
avx2(int32_t *dot, const uint8_t *codes, const int8_t *query, int blocks, int axes)
{
	for (int b = 0; b < blocks; b++, dot += BLOCK)
	{
		__m256i		sum[4];

		memset(sum, 0, sizeof(sum));
		for (int a = 0; a < axes; a += 4, codes += 4 * BLOCK)
		{
			__m256i		wide = _mm256_cvtepi8_epi16(_mm_set1_epi32(four_codes(query + a)));

			for (int i = 0; i < 4; i++)
				sum[i] = add_wide(sum[i], codes + 16 * i, wide);
		}
		for (int i = 0; i < 4; i += 2)
		{
			__m256i		rows = _mm256_hadd_epi32(sum[i], sum[i + 1]);	/* 0 1 4 5 2 3 6 7 */

			_mm256_storeu_si256((__m256i *) (dot + 4 * i), _mm256_permute4x64_epi64(rows, 0xd8));
		}
	}
}

#endif

/* ------------------------------------------------------------------ arm64 */

#ifdef HAVE_ARM

__attribute__((target("arch=armv8.2-a+dotprod")))
static void
neon(int32_t *dot, const uint8_t *codes, const int8_t *query, int blocks, int axes)
{
	const uint8x16_t half = vdupq_n_u8(128);
	int32_t		offset = 0;

	for (int a = 0; a < axes; a++)
		offset += 128 * query[a];
	for (int b = 0; b < blocks; b++, dot += BLOCK)
	{
		int32x4_t	sum[4];

		for (int i = 0; i < 4; i++)
			sum[i] = vdupq_n_s32(offset);
		for (int a = 0; a < axes; a += 4, codes += 4 * BLOCK)
		{
			int32_t		four;
			int8x16_t	q;

			memcpy(&four, query + a, sizeof(four));
			q = vreinterpretq_s8_s32(vdupq_n_s32(four));
			for (int i = 0; i < 4; i++)
				sum[i] = vdotq_s32(sum[i], vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes + 16 * i), half)), q);
		}
		for (int i = 0; i < 4; i++)
			vst1q_s32(dot + 4 * i, sum[i]);
	}
}

#endif

/* ------------------------------------------------------------------ choice */

const TrCodesDot *
tr_codes_dots(void)
{
	static TrCodesDot forms[4];
	int			n = 0;

	if (forms[0])
		return forms;
#ifdef HAVE_X86
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
		forms[n++] = vnni;
	if (__builtin_cpu_supports("avx2"))
		forms[n++] = avx2;
#endif
#ifdef HAVE_ARM
	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
		forms[n++] = neon;
#endif
	forms[n] = portable;
	return forms;
}
