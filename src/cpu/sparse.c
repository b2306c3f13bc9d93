/*
 * The sparse layer, by strips of columns: a strip of w (T,H) stays in the second-level cache while every row gathers from
 * it, and the strip of an output row stays in registers. A strip of dw belongs to one task, which adds the rows in order.
 * Legend: R rows, T tags, H hidden units.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"
#include "cpu/vecmath.h"

#define ROWS 256				/* per task, forward */
#define AHEAD 4					/* entries between a prefetch and its use */

typedef struct Sparse
{
	float	   *out;			/* (R,H), or dw (T,H) */
	const TrCsr *x;
	const float *in;			/* w (T,H), or dz (R,H) */
	const float *bias;
	int			H;
	int			strip;			/* columns per task: 64, 32 or 16 */
	TrActivation act;
} Sparse;

/* Floats of a strip of w that stay in the second-level cache. */
#define CACHED_FLOATS (256 << 10)

/* Narrower strips where there would be too few of them. */
static int
strip_of(int H)
{
	return H >= 512 ? 64 : H >= 128 ? 32 : 16;
}

/* Wide ones where w is too large to stay in the cache: then rows make the tasks. */
static int
forward_strip_of(const TrCsr *x, int H)
{
	int			strip = strip_of(H);

	return (double) x->cols * strip > CACHED_FLOATS && H >= 64 ? 64 : strip;
}

/* out (width) = bias + sum of val[e] w[col[e]], width a multiple of 16 known when compiling */
TR_INLINE void
gather_strip(float *out, const int32_t *col, const float *val, int64_t n, const float *w, int H, const float *bias,
			 int width)
{
	TrLanes		sum[4];
	int			lanes = width / TR_LANES;

	for (int l = 0; l < lanes; l++)
		sum[l] = bias ? *(const TrLanes *) (bias + l * TR_LANES) : (TrLanes) {0};
	for (int64_t e = 0; e < n; e++)
	{
		const float *from = w + (size_t) col[e] * H;

		if (e + AHEAD < n)
			for (int l = 0; l < lanes; l++)
				__builtin_prefetch(w + (size_t) col[e + AHEAD] * H + l * TR_LANES);
		for (int l = 0; l < lanes; l++)
			sum[l] += val[e] * *(const TrLanes *) (from + l * TR_LANES);
	}
	for (int l = 0; l < lanes; l++)
		*(TrLanes *) (out + l * TR_LANES) = sum[l];
}

/* The same for the remaining columns, any width below 64 */
TR_INLINE void
gather_rest(float *out, const int32_t *col, const float *val, int64_t n, const float *w, int H, const float *bias,
			int width)
{
	for (int j = 0; j < width; j++)
		out[j] = bias ? bias[j] : 0.0f;
	for (int64_t e = 0; e < n; e++)
		for (int j = 0; j < width; j++)
			out[j] += val[e] * w[(size_t) col[e] * H + j];
}

TR_SIMD static void
forward_strip(void *argument, int task)
{
	const Sparse *s = argument;
	const TrCsr *x = s->x;
	int			blocks = tr_blocks(x->rows, ROWS);
	int			first = task / blocks * s->strip;
	int			width = s->H - first < s->strip ? s->H - first : s->strip;
	int			end = (int) tr_block_end(x->rows, ROWS, task % blocks);
	const float *w = s->in + first;
	const float *bias = s->bias ? s->bias + first : NULL;

	for (int r = task % blocks * ROWS; r < end; r++)
	{
		const int32_t *col = x->col + x->ptr[r];
		const float *val = x->val + x->ptr[r];
		int64_t		n = x->ptr[r + 1] - x->ptr[r];
		float	   *out = s->out + (size_t) r * s->H + first;

		if (width == 64)
			gather_strip(out, col, val, n, w, s->H, bias, 64);
		else if (width == 32)
			gather_strip(out, col, val, n, w, s->H, bias, 32);
		else if (width == 16)
			gather_strip(out, col, val, n, w, s->H, bias, 16);
		else
			gather_rest(out, col, val, n, w, s->H, bias, width);
		tr_activate(out, width, s->act);
	}
}

/* out (R,H) = act(x (R,T) w (T,H) + bias) */
void
tr_cpu_sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H, TrActivation act)
{
	Sparse		s = {out, x, w, bias, H, forward_strip_of(x, H), act};

	tr_cpu_run(b, forward_strip, &s, tr_blocks(H, s.strip) * tr_blocks(x->rows, ROWS));
}

/* dw[col[e]] (width) += val[e] dz, width a multiple of 16 known when compiling */
TR_INLINE void
scatter_strip(float *dw, const int32_t *col, const float *val, int64_t n, const float *dz, int H, int width)
{
	TrLanes		d[4];
	int			lanes = width / TR_LANES;

	for (int l = 0; l < lanes; l++)
		d[l] = *(const TrLanes *) (dz + l * TR_LANES);
	for (int64_t e = 0; e < n; e++)
	{
		float	   *to = dw + (size_t) col[e] * H;

		if (e + AHEAD < n)
			for (int l = 0; l < lanes; l++)
				__builtin_prefetch(dw + (size_t) col[e + AHEAD] * H + l * TR_LANES, 1);
		for (int l = 0; l < lanes; l++)
			*(TrLanes *) (to + l * TR_LANES) += val[e] * d[l];
	}
}

TR_INLINE void
scatter_rest(float *restrict dw, const int32_t *col, const float *val, int64_t n, const float *restrict dz, int H,
			 int width)
{
	for (int64_t e = 0; e < n; e++)
		for (int j = 0; j < width; j++)
			dw[(size_t) col[e] * H + j] += val[e] * dz[j];
}

TR_SIMD static void
backward_strip(void *argument, int task)
{
	const Sparse *s = argument;
	const TrCsr *x = s->x;
	int			first = task * s->strip;
	int			width = s->H - first < s->strip ? s->H - first : s->strip;
	float	   *dw = s->out + first;

	for (int r = 0; r < x->rows; r++)
	{
		const int32_t *col = x->col + x->ptr[r];
		const float *val = x->val + x->ptr[r];
		int64_t		n = x->ptr[r + 1] - x->ptr[r];
		const float *dz = s->in + (size_t) r * s->H + first;

		if (width == 64)
			scatter_strip(dw, col, val, n, dz, s->H, 64);
		else if (width == 32)
			scatter_strip(dw, col, val, n, dz, s->H, 32);
		else if (width == 16)
			scatter_strip(dw, col, val, n, dz, s->H, 16);
		else
			scatter_rest(dw, col, val, n, dz, s->H, width);
	}
}

/* dw (T,H) += x^T dz (R,H) */
void
tr_cpu_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
	Sparse		s = {dw, x, dz, NULL, H, strip_of(H), TR_LINEAR};

	tr_cpu_run(b, backward_strip, &s, x->rows > 0 ? tr_blocks(H, s.strip) : 0);
}
