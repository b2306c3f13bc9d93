/*
 * Coding rows, and bounds from the codes. See codes.h.
 *
 * Rounding. u = 2^-24. A float sum of n products, in any order, fused or not, differs from the true one by at most
 * n u / (1 - n u) times the sum of the products' sizes; products that underflow add at most 2^-126 each. tr_dot() adds up
 * stride / 8 products in a lane, and then lanes, so n = stride / 8 + 4; summing() is a little more. The sum of the sizes
 * is at most |q| |x| for the unit part. Lengths are summed in double; tr_codes_up() makes more than up for that, and for
 * becoming a float.
 *
 * The bound itself is formed in float: each of its terms goes through at most ten roundings, so LOOSE (16 u) times the
 * size of every term, added to the term, is enough, and TINY covers all that underflows.
 */
#include "core/codes.h"

#include <math.h>
#include <string.h>

#include "core/codes_work.h"
#include "core/simd.h"

#define BLOCK TR_CODES_BLOCK
#define LOOSE 0x1p-20
#define TINY 1e-36f

/* No scale is less: what is divided by it is far from where floats lose digits. */
#define LEAST_SCALE 1e-30f

/* Beyond these, sums might overflow. */
#define MOST_PRODUCT 1e36
#define MOST_NORM 1e30

static double
summing(size_t stride)
{
	return (double) (stride / 8 + 8) * 0x1p-24;
}

#define AT(codes, type, where) ((type *) ((char *) (codes) + (codes)->where))
#define CONST_AT(codes, type, where) ((const type *) ((const char *) (codes) + (codes)->where))

static size_t
padded_rows(const TrCodes *codes)
{
	return ((size_t) codes->rows + BLOCK - 1) / BLOCK * BLOCK;
}

static TR_CLONES double
square_sum(const float *x, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += (double) x[k] * x[k];
	return sum;
}

/* ------------------------------------------------------------------ coding */

static uint64_t
place(uint64_t *end, uint64_t bytes)
{
	uint64_t	at = *end;

	*end += (bytes + 63) / 64 * 64;
	return at;
}

void
tr_codes_lay_out(TrCodes *codes)
{
	uint64_t	rows = padded_rows(codes);
	uint64_t	end = 0;

	(void) place(&end, sizeof(TrCodes));
	codes->axis_at = place(&end, codes->principal ? (uint64_t) codes->axes * (uint64_t) codes->stride * sizeof(float) : 0);
	codes->back_at = place(&end, codes->principal ? (uint64_t) codes->unit * (uint64_t) codes->axes * sizeof(float) : 0);
	codes->scale_at = place(&end, rows * sizeof(float));
	codes->rest_at = place(&end, rows * sizeof(float));
	codes->extra_at = place(&end, rows * sizeof(float) * (uint64_t) (codes->width - codes->unit));
	codes->code_at = place(&end, rows * (uint64_t) codes->axes);
	codes->bytes = end;
}

/* The largest absolute value */
static TR_CLONES float
largest(const float *x, int n)
{
	float		most = 0;

	for (int k = 0; k < n; k++)
		most = fabsf(x[k]) > most ? fabsf(x[k]) : most;
	return most;
}

/* code (A) = h / scale in whole numbers, in float; returns the square of |h - scale * code|, and adds up that of |code|. */
static TR_CLONES double
round_codes(float *code, const float *h, float scale, int axes, double *norm2)
{
	double		error = 0;
	double		size = 0;

	for (int a = 0; a < axes; a++)
	{
		float		c = rintf(h[a] / scale);
		double		e;

		c = c > 127 ? 127 : c < -127 ? -127 : c;
		code[a] = c;
		e = (double) h[a] - (double) scale * c;
		error += e * e;
		size += (double) c * c;
	}
	*norm2 = size;
	return error;
}

static void
store_codes(TrCodes *codes, int32_t row, const float *code)
{
	uint8_t    *block = AT(codes, uint8_t, code_at) + (size_t) (row / BLOCK) * BLOCK * (size_t) codes->axes;

	block += row % BLOCK * 4;
	for (int a = 0; a < codes->axes; a++)
		block[a / 4 * 4 * BLOCK + a % 4] = (uint8_t) (128 + (int) code[a]);
}

static void
raise_to(float *most, double value)
{
	float		up = tr_codes_up(value);

	if (!(up <= *most))
		*most = up;
}

/* Codes a row whose part on the axes is h, known but for `blur`; returns its scale. */
static float
code_row(TrCodes *codes, int32_t row, const float *h, float *code, double norm, double blur)
{
	float		scale = fmaxf(fmaxf(largest(h, codes->axes) / 127, (float) norm * 0x1p-12f), LEAST_SCALE);
	double		norm2;
	double		error = sqrt(round_codes(code, h, scale, codes->axes, &norm2));

	raise_to(&codes->code_norm, sqrt(norm2));
	raise_to(&codes->head_error, (error + blur) / scale + (double) codes->slant * sqrt(norm2));
	store_codes(codes, row, code);
	AT(codes, float, scale_at)[row] = scale;
	return scale;
}

/* sum of (x - scale * back)^2; back is every step-th number */
static double
rest_square(const float *x, const float *back, size_t step, float scale, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
	{
		double		r = (double) x[k] - (double) scale * back[(size_t) k * step];

		sum += r * r;
	}
	return sum;
}

/* Rows whose axes are the unit vectors: no rest. */
static void
fill_direct(TrCodes *codes, const float *matrix, int32_t first, int32_t n, TrCodesWork *w)
{
	float	   *h = w->head;

	memset(h, 0, (size_t) codes->axes * sizeof(float));
	for (int32_t row = first; row < first + n; row++)
	{
		const float *x = matrix + (size_t) row * (size_t) codes->stride;
		double		norm = sqrt(square_sum(x, codes->unit));

		raise_to(&codes->most_norm, norm);
		memcpy(h, x, (size_t) codes->unit * sizeof(float));
		code_row(codes, row, h, w->code, norm, 0);
		AT(codes, float, rest_at)[row] = 0;
	}
}

/* A tile of at most TR_CODES_TILE rows: their parts on the axes, the codes, and what these leave of the rows. */
static void
fill_tile(TrCodes *codes, const float *matrix, int32_t first, int32_t n, TrCodesWork *w)
{
	const float *x = matrix + (size_t) first * (size_t) codes->stride;
	size_t		axes = (size_t) codes->axes;
	double		sizes[TR_CODES_TILE];
	float		scale[TR_CODES_TILE];
	double		code_blur = summing(axes) * sqrt((double) axes) * 1.001;

	tr_dot_block(w->part, TR_CODES_TILE, AT(codes, float, axis_at), codes->axes, x, n, (size_t) codes->stride);
	for (int32_t i = 0; i < n; i++)
	{
		double		norm = sqrt(square_sum(x + (size_t) i * (size_t) codes->stride, codes->unit));

		raise_to(&codes->most_norm, norm);
		for (size_t a = 0; a < axes; a++)
			w->head[a] = w->part[a * TR_CODES_TILE + (size_t) i];
		sizes[i] = norm;
		scale[i] = code_row(codes, first + i, w->head, w->code + (size_t) i * axes, norm,
							summing((size_t) codes->stride) * sqrt((double) axes) * 1.001 * norm);
	}
	tr_dot_block(w->part, TR_CODES_TILE, AT(codes, float, back_at), codes->unit, w->code, n, axes);
	for (int32_t i = 0; i < n; i++)
	{
		double		r = sqrt(rest_square(x + (size_t) i * (size_t) codes->stride, w->part + i, TR_CODES_TILE, scale[i],
										 codes->unit));
		double		code_norm = sqrt(square_sum(w->code + (size_t) i * axes, codes->axes));

		AT(codes, float, rest_at)[first + i] = tr_codes_up(r + scale[i] * code_blur * code_norm + 1e-12 * sizes[i]);
	}
}

static void
fill_extra(TrCodes *codes, const float *matrix, int32_t first, int32_t n)
{
	for (int k = 0; k < codes->width - codes->unit; k++)
	{
		float	   *extra = AT(codes, float, extra_at) + (size_t) k * padded_rows(codes);

		for (int32_t row = first; row < first + n; row++)
		{
			extra[row] = matrix[(size_t) row * (size_t) codes->stride + (size_t) (codes->unit + k)];
			codes->most_extra[k] = fmaxf(codes->most_extra[k], fabsf(extra[row]));
		}
	}
}

/* The rows that fill up the last block: bounds of 0, which nobody reads. */
static void
fill_up(TrCodes *codes)
{
	size_t		rows = padded_rows(codes);

	memset(AT(codes, float, extra_at), 0, rows * sizeof(float) * (size_t) (codes->width - codes->unit));
	for (size_t row = (size_t) codes->rows; row < rows; row++)
		AT(codes, float, scale_at)[row] = AT(codes, float, rest_at)[row] = 0;
	memset(AT(codes, uint8_t, code_at) + (rows - BLOCK) * (size_t) codes->axes, 128, BLOCK * (size_t) codes->axes);
}

TrCodes *
tr_codes_begin(void *room, const TrCodes *plan, const void *work)
{
	TrCodes    *codes = room;
	const TrCodesWork *w = work;

	*codes = *plan;
	codes->code_norm = codes->head_error = codes->most_norm = 0;
	memset(codes->most_extra, 0, sizeof(codes->most_extra));
	fill_up(codes);
	if (codes->principal)
		tr_codes_store_axes(codes, AT(codes, float, axis_at), AT(codes, float, back_at), w);
	return codes;
}

void
tr_codes_fill(TrCodes *codes, const float *matrix, int32_t first, int32_t n, void *work)
{
	fill_extra(codes, matrix, first, n);
	if (!codes->principal)
		fill_direct(codes, matrix, first, n, work);
	else
		for (int32_t i = 0; i < n; i += TR_CODES_TILE)
			fill_tile(codes, matrix, first + i, n - i < TR_CODES_TILE ? n - i : TR_CODES_TILE, work);
}

/* ------------------------------------------------------------------ a query */

/* p (A) = V q, and rest (U) = q - V' p */
static TR_CLONES void
project(const TrCodes *codes, const float *query, double *p, double *rest)
{
	const float *axis = CONST_AT(codes, float, axis_at);

	for (int k = 0; k < codes->unit; k++)
		rest[k] = query[k];
	for (int a = 0; a < codes->axes; a++)
	{
		double		sum = 0;

		for (int k = 0; k < codes->unit; k++)
			sum += (double) axis[(size_t) a * (size_t) codes->stride + (size_t) k] * query[k];
		p[a] = sum;
	}
	for (int a = 0; a < codes->axes; a++)
		for (int k = 0; k < codes->unit; k++)
			rest[k] -= p[a] * axis[(size_t) a * (size_t) codes->stride + (size_t) k];
}

static double
norm_of(const double *x, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += x[k] * x[k];
	return sqrt(sum);
}

/* Codes p; returns |p - sigma * code|. */
static double
code_query(TrCodeQuery *out, const double *p, int axes)
{
	double		most = 0;
	double		delta = 0;

	for (int a = 0; a < axes; a++)
		most = fmax(most, fabs(p[a]));
	out->sigma = most > 1e-30 ? (float) (most / 127) : 0;
	out->offset = 0;
	for (int a = 0; a < axes; a++)
	{
		double		c = out->sigma > 0 ? rint(p[a] / out->sigma) : 0;

		c = c > 127 ? 127 : c < -127 ? -127 : c;
		out->code[a] = (int8_t) c;
		out->offset += 128 * (int) c;
		delta += (p[a] - out->sigma * c) * (p[a] - out->sigma * c);
	}
	return sqrt(delta);
}

/* Is |q_k| |x_k|, summed, so small that no sum overflows? False when anything is not a number. */
static bool
in_range(const TrCodes *codes, const float *query, double norm)
{
	double		most = norm * codes->most_norm;

	for (int k = 0; k < codes->width - codes->unit; k++)
		most += fabs((double) query[codes->unit + k]) * codes->most_extra[k];
	return most < MOST_PRODUCT && norm < MOST_NORM && codes->most_norm < MOST_NORM && codes->head_error < MOST_NORM;
}

bool
tr_codes_query(TrCodeQuery *out, const TrCodes *codes, const float *query)
{
	double		p[TR_CODES_MOST_UNIT];
	double		rest[TR_CODES_MOST_UNIT];
	double		norm = sqrt(square_sum(query, codes->unit));
	double		error = summing((size_t) codes->stride) * norm;
	double		rest_norm = 0;
	double		p_norm;
	double		delta;

	if (!in_range(codes, query, norm))
		return false;
	out->codes = codes;
	memset(p, 0, sizeof(p));
	if (codes->principal)
	{
		project(codes, query, p, rest);
		rest_norm = norm_of(rest, codes->unit) + 1e-12 * norm;
	}
	else
		for (int k = 0; k < codes->unit; k++)
			p[k] = query[k];
	p_norm = norm_of(p, codes->axes);
	delta = code_query(out, p, codes->axes) + 1e-12 * norm;

	/* A row's unit part is no longer than scale * (sqrt(1 + slant) code_norm + head_error) + rest. */
	out->head = tr_codes_up((delta * codes->code_norm + p_norm * codes->head_error) * (1 + LOOSE) +
							LOOSE * codes->code_norm * (p_norm + delta) +
							error * (codes->code_norm * sqrt(1 + codes->slant) + codes->head_error));
	out->rest = tr_codes_up((rest_norm + error) * (1 + LOOSE));
	out->rounding = tr_codes_up(summing((size_t) codes->stride) + LOOSE);
	for (int k = 0; k < codes->width - codes->unit; k++)
		out->extra[k] = query[codes->unit + k];
	return true;
}

/* ------------------------------------------------------------------ bounds */

/* Rows whose sums lie in the first level cache */
#define PIECE 256

static TR_CLONES void
unit_bounds(float *bound, const TrCodeQuery *q, const int32_t *dot, const float *scale, const float *rest, int n)
{
	const float sigma = q->sigma;
	const float head = q->head;
	const float slope = q->rest;
	const int32_t offset = q->offset;

	for (int i = 0; i < n; i++)
		bound[i] = scale[i] * (sigma * (float) (dot[i] - offset) + head) + slope * rest[i] + TINY;
}

static TR_CLONES void
add_extra(float *bound, const float *extra, float value, float rounding, int n)
{
	for (int i = 0; i < n; i++)
	{
		float		product = value * extra[i];

		bound[i] += product + rounding * fabsf(product);
	}
}

void
tr_codes_bounds(const TrCodeQuery *q, float *bound, int32_t first, int32_t n)
{
	const TrCodes *codes = q->codes;
	const uint8_t *code = CONST_AT(codes, uint8_t, code_at);
	TrCodesDot	sums = tr_codes_dots()[0];
	int32_t		end = (first + n + BLOCK - 1) / BLOCK * BLOCK;

	for (int32_t row = first; row < end; row += PIECE, bound += PIECE)
	{
		int			rows = end - row < PIECE ? end - row : PIECE;
		int32_t		dot[PIECE];

		sums(dot, code + (size_t) row * (size_t) codes->axes, q->code, rows / BLOCK, codes->axes);
		unit_bounds(bound, q, dot, CONST_AT(codes, float, scale_at) + row, CONST_AT(codes, float, rest_at) + row, rows);
		for (int k = 0; k < codes->width - codes->unit; k++)
			if (q->extra[k] != 0)
				add_extra(bound, CONST_AT(codes, float, extra_at) + (size_t) k * padded_rows(codes) + row, q->extra[k],
						  q->rounding, rows);
	}
}
