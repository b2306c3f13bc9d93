/*
 * Inner products, eight lanes at a time. The compiler's vector extension says what is meant whatever the flags; a clone per
 * instruction set is chosen when the library is loaded.
 *
 * Legend: V vectors, R rows, K floats of a padded row.
 */
#include "core/dot.h"

#include <string.h>

#include "core/simd.h"

/* One order of summation in every function below, also where the rest of the program leaves it to the compiler. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-associative-math")
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES 8

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

/* A tile of a block: small enough for its sums to stay in the registers of the narrower instruction sets. */
#define TILE_V 4
#define TILE_R 3

/* Rows in one pass over a single vector. */
#define PASS_R 4

INLINE float
sum_lanes(const Lanes *a)
{
	return (((*a)[0] + (*a)[4]) + ((*a)[1] + (*a)[5])) + (((*a)[2] + (*a)[6]) + ((*a)[3] + (*a)[7]));
}

/* out (V,R), ld apart = x (V,K) . matrix (R,K); V and R are constants wherever this is inlined, at most 4 each. */
INLINE void
tile(float *out, size_t ld, const float *x, const float *matrix, size_t stride, const int V, const int R)
{
	Lanes		sum[4][4];

	memset(sum, 0, sizeof(sum));
	for (size_t k = 0; k < stride; k += LANES)
	{
#pragma GCC unroll 4
		for (int v = 0; v < V; v++)
		{
			const Lanes left = *(const Lanes *) (x + v * stride + k);

#pragma GCC unroll 4
			for (int r = 0; r < R; r++)
				sum[v][r] += left * *(const Lanes *) (matrix + r * stride + k);
		}
	}
#pragma GCC unroll 4
	for (int v = 0; v < V; v++)
#pragma GCC unroll 4
		for (int r = 0; r < R; r++)
			out[v * ld + r] = sum_lanes(&sum[v][r]);
}

TR_CLONES float
tr_dot(const float *x, const float *y, size_t stride)
{
	float		out;

	tile(&out, 1, x, y, stride, 1, 1);
	return out;
}

/* out (R) = x (1,K) . matrix (R,K) */
INLINE void
one_vector(float *out, const float *x, const float *matrix, int rows, size_t stride)
{
	int			r = 0;

	for (; r + PASS_R <= rows; r += PASS_R)
		tile(out + r, 0, x, matrix + r * stride, stride, 1, PASS_R);
	for (; r < rows; r++)
		tile(out + r, 0, x, matrix + r * stride, stride, 1, 1);
}

/* out (TILE_V,R) = x (TILE_V,K) . matrix (R,K) */
INLINE void
several_vectors(float *out, size_t ld, const float *x, const float *matrix, int rows, size_t stride)
{
	int			r = 0;

	for (; r + TILE_R <= rows; r += TILE_R)
		tile(out + r, ld, x, matrix + r * stride, stride, TILE_V, TILE_R);
	for (; r < rows; r++)
		tile(out + r, ld, x, matrix + r * stride, stride, TILE_V, 1);
}

TR_CLONES void
tr_dot_block(float *out, size_t ld, const float *x, int vectors, const float *matrix, int rows, size_t stride)
{
	int			v = 0;

	for (; v + TILE_V <= vectors; v += TILE_V)
		several_vectors(out + v * ld, ld, x + v * stride, matrix, rows, stride);
	for (; v < vectors; v++)
		one_vector(out + v * ld, x + v * stride, matrix, rows, stride);
}
