/*
 * Bounds on inner products from a fraction of the bytes: every row of a matrix in 8-bit codes.
 *
 * The first `unit` entries of a row x are approximated by scale * V' c: V has the principal axes of the rows, or some of
 * them, as its rows, and c is whole numbers in -127 .. 127. With r = x - scale * V' c, p = V q, and q = V' p + q_rest,
 *
 *     q.x = scale * p.c + p.(V r) + q_rest.r  <=  scale * p.c + |p| |V r| + |q_rest| |r|
 *
 * holds whatever V is: that it is orthogonal makes the bound a tight one, not a right one. The query is coded as well,
 * p = sigma * d + delta, which leaves scale * sigma * d.c, a sum of whole numbers, and adds |delta| |scale * c|. Entries
 * beyond the unit part stay floats and are multiplied exactly.
 *
 * A bound is never less than the float that tr_dot() gives for the row: the errors of its sum, and those of computing the
 * bound, are in it (codes.c). So a row whose bound is below the n best scores so far is not among the n best.
 *
 * TrCodes is one block of memory without pointers: it can be written to a file and mapped elsewhere.
 *
 * Legend: N rows, A axes, U unit entries, X extra ones, stride as dot.h has it.
 */
#ifndef TR_CODES_H
#define TR_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dot.h"

#define TR_CODES_BLOCK 16		/* rows whose codes lie together */
#define TR_CODES_MOST_UNIT 1024
#define TR_CODES_MOST_EXTRA 4
#define TR_CODES_LEAST_ROWS 4096	/* of fewer, a plain scan is as fast */

typedef struct TrCodes
{
	uint64_t	bytes;			/* of all of it */
	int32_t		rows;
	int32_t		width;			/* U + X */
	int32_t		unit;
	int32_t		axes;			/* a multiple of TR_CODES_BLOCK */
	int32_t		stride;
	int32_t		principal;		/* 0: the axes are the unit vectors, and no row has a rest */
	float		slant;			/* Frobenius norm of V V' - I, of the axes in use */
	float		head_error;		/* the largest |V r| / scale of a row */
	float		code_norm;		/* the largest |c| */
	float		most_norm;		/* the largest length of a unit part */
	float		most_extra[TR_CODES_MOST_EXTRA];	/* the largest absolute values */
	uint64_t	axis_at;		/* where these start, in bytes: V (A,stride) */
	uint64_t	back_at;		/* its transpose (U,A) */
	uint64_t	scale_at;		/* (N) */
	uint64_t	rest_at;		/* (N) not less than |r| */
	uint64_t	extra_at;		/* (X,N) */
	uint64_t	code_at;		/* (N,A) 128 + c, in blocks: sixteen rows' first four codes, their next four, … */
} TrCodes;

/* Bytes of the working memory that the next two functions want; it may be uninitialised. */
extern size_t tr_codes_work(int unit, size_t stride);

/*
 * Decides how to code a matrix: fills *plan, whose `bytes` say how much room tr_codes_begin() wants, and prepares work.
 * False when a plain scan would be as good. The decision rests on a sample of the rows.
 */
extern bool tr_codes_plan(TrCodes *plan, const float *matrix, int32_t rows, int width, int unit, size_t stride, void *work);

/* Starts the codes in plan->bytes of room, 64-byte aligned. */
extern TrCodes *tr_codes_begin(void *room, const TrCodes *plan, const void *work);

/* Codes rows first .. first+n-1; first is a multiple of TR_CODES_BLOCK. Each row is coded once. */
extern void tr_codes_fill(TrCodes *codes, const float *matrix, int32_t first, int32_t n, void *work);

typedef struct TrCodeQuery
{
	const TrCodes *codes;
	float		sigma;
	float		head;			/* times a row's scale, like sigma * d.c: the errors of codes */
	float		rest;			/* times a row's rest */
	float		rounding;		/* times the size of an extra product */
	int32_t		offset;			/* of the codes' 128 */
	float		extra[TR_CODES_MOST_EXTRA];
	_Alignas(64) int8_t code[TR_CODES_MOST_UNIT];
} TrCodeQuery;

/* False when sums could overflow: then there are no bounds. query: padded as a row of the matrix is. */
extern bool tr_codes_query(TrCodeQuery *out, const TrCodes *codes, const float *query);

/*
 * bound[i] >= what tr_dot() gives for row first + i, i = 0..n-1. first is a multiple of TR_CODES_BLOCK; bound has room for n
 * rounded up to one.
 */
extern void tr_codes_bounds(const TrCodeQuery *query, float *bound, int32_t first, int32_t n);

/*
 * dot (16 blocks) = the inner products of a code (A) and the codes of each row, 128 added to each of them. The forms for this
 * processor, the fastest first, NULL at the end; they give the same numbers.
 */
typedef void (*TrCodesDot) (int32_t *dot, const uint8_t *codes, const int8_t *query, int blocks, int axes);
extern const TrCodesDot *tr_codes_dots(void);

/* For codes*.c. A float that is not less than a double. */
static inline float
tr_codes_up(double x)
{
	return (float) (x * (1 + 0x1p-20)) + 0x1p-120f;
}

#endif
