/*
 * Inner products for serving: one or many vectors against the rows of a matrix, without BLAS and on one thread.
 *
 * Rows are padded with zeros to a multiple of TR_DOT_PAD floats and start on a 64-byte boundary, so that the loops have no
 * remainder. The sum of one pair is formed in the same order whichever function forms it, and however many rows or vectors
 * it is called with: a score is the same number in every query.
 */
#ifndef TR_DOT_H
#define TR_DOT_H

#include <stddef.h>

#define TR_DOT_PAD 16
#define TR_DOT_ALIGN 64

/* The distance between rows, in floats, of a matrix of this width. */
static inline size_t
tr_dot_stride(int width)
{
	return ((size_t) width + TR_DOT_PAD - 1) / TR_DOT_PAD * TR_DOT_PAD;
}

/* The inner product of two padded vectors. */
extern float tr_dot(const float *x, const float *y, size_t stride);

/* out[v * ld + r] = x[v] . matrix[r], for vectors 0..vectors-1 and rows 0..rows-1, both of them stride floats apart. */
extern void tr_dot_block(float *out, size_t ld, const float *x, int vectors, const float *matrix, int rows, size_t stride);

#endif
