/*
 * The sparse layer, by strips of columns: a strip of w (T,H) stays in the second-level cache while every row gathers from
 * it, and the strip of an output row stays in registers. A strip of dw belongs to one task, which adds the rows in order.
 * Legend: R rows, T tags, H hidden units.
 */
#include "cpu/columns.h"
#include "cpu/step.h"
#include "cpu/vecmath.h"

#define ROWS 256				/* per task, forward */
#define AHEAD 16				/* entries between a prefetch and its use */
#define COLUMNS 64				/* per task, backward */
#define STEPS_AHEAD 4			/* columns between a prefetch of the optimizer's state and its use */
#define STRIP 64				/* floats of a row of dw that are in registers at a time */

typedef struct Sparse
{
	float	   *out;			/* (R,H), or dw (T,H) */
	const TrCsr *x;
	const float *in;			/* w (T,H), or dz (R,H) */
	const float *bias;
	int			H;
	int			strip;			/* columns per task: 128, 64, 32 or 16 */
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

	return (double) x->cols * strip <= CACHED_FLOATS || H < 64 ? strip : H < 128 ? 64 : 128;
}

/*
 * out (width) = bias + sum of val[e] w[col[e]], width a multiple of 16 known when compiling; the rows that come next have
 * entries up to `more`
 */
TR_INLINE void
gather_strip(float *out, const int32_t *col, const float *val, int64_t n, int64_t more, const float *w, int H,
			 const float *bias, int width)
{
	TrLanes		sum[8];
	int			lanes = width / TR_LANES;

	for (int l = 0; l < lanes; l++)
		sum[l] = bias ? *(const TrLanes *) (bias + l * TR_LANES) : (TrLanes) {0};
	for (int64_t e = 0; e < n; e++)
	{
		const float *from = w + (size_t) col[e] * H;

		if (e + AHEAD < more)
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
		int64_t		more = x->ptr[end] - x->ptr[r];
		float	   *out = s->out + (size_t) r * s->H + first;

		if (width == 128)
			gather_strip(out, col, val, n, more, w, s->H, bias, 128);
		else if (width == 64)
			gather_strip(out, col, val, n, more, w, s->H, bias, 64);
		else if (width == 32)
			gather_strip(out, col, val, n, more, w, s->H, bias, 32);
		else if (width == 16)
			gather_strip(out, col, val, n, more, w, s->H, bias, 16);
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

/*
 * sum (width) += val dz[row] of n entries, width a multiple of 16 known when compiling, dz from the strip's first column on
 */
TR_INLINE void
add_rows(float *sum, const TrColumnEntry *entry, int n, const float *dz, int H, int width)
{
	TrLanes		d[4];
	int			lanes = width / TR_LANES;

	for (int l = 0; l < lanes; l++)
		d[l] = *(const TrLanes *) (sum + l * TR_LANES);
	for (int e = 0; e < n; e++)
	{
		const float *from = dz + (size_t) entry[e].row * H;

		for (int l = 0; l < lanes; l++)
			d[l] += entry[e].val * *(const TrLanes *) (from + l * TR_LANES);
	}
	for (int l = 0; l < lanes; l++)
		*(TrLanes *) (sum + l * TR_LANES) = d[l];
}

/* The same of any width below 64 */
TR_INLINE void
add_rest(float *restrict sum, const TrColumnEntry *entry, int n, const float *restrict dz, int H, int width)
{
	for (int e = 0; e < n; e++)
		for (int j = 0; j < width; j++)
			sum[j] += entry[e].val * dz[(size_t) entry[e].row * H + j];
}

/* sum (width <= 64) += the rows of dz that column c names, in their order */
TR_INLINE void
add_column(float *sum, const TrColumns *x, int c, const float *dz, int H, int width)
{
	const TrColumnEntry *entry = x->entry + x->ptr[c];
	int			n = x->ptr[c + 1] - x->ptr[c];

	if (width == 64)
		add_rows(sum, entry, n, dz, H, 64);
	else if (width == 32)
		add_rows(sum, entry, n, dz, H, 32);
	else if (width == 16)
		add_rows(sum, entry, n, dz, H, 16);
	else
		add_rest(sum, entry, n, dz, H, width);
}

typedef struct Backward
{
	TrColumns	x;
	int			T;
	int			H;
	const float *dz;			/* (R,H) */
	float	   *dw;				/* (T,H) */
	TrStep		step;			/* of sparse_update */
} Backward;

TR_SIMD static void
backward_columns(void *argument, int task)
{
	const Backward *s = argument;
	int			end = (int) tr_block_end(s->T, COLUMNS, task);

	for (int c = task * COLUMNS; c < end; c++)
		for (int j = 0; j < s->H && s->x.ptr[c] < s->x.ptr[c + 1]; j += STRIP)
			add_column(s->dw + (size_t) c * s->H + j, &s->x, c, s->dz + j, s->H, s->H - j < STRIP ? s->H - j : STRIP);
}

/* dw (T,H) += x^T dz (R,H) */
void
tr_cpu_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
	Backward	s = {.T = x->cols, .H = H, .dz = dz, .dw = dw};

	if (x->rows > 0 && tr_cpu_columns(b, &s.x, x, 1))
		tr_cpu_run(b, backward_columns, &s, tr_blocks(s.T, COLUMNS));
}

/* What a step changes of column c from j on is on its way while those before it are updated. */
TR_INLINE void
prefetch_step(const Backward *s, int c, int j, int width)
{
	size_t		at = (size_t) c * s->H + j;

	for (int i = 0; i < width && c < s->T; i += TR_LANES)
	{
		__builtin_prefetch(s->step.w + at + i, 1);
		if (s->step.m)
			__builtin_prefetch(s->step.m + at + i, 1);
		if (s->step.v)
			__builtin_prefetch(s->step.v + at + i, 1);
	}
}

TR_SIMD static void
update_columns(void *argument, int task)
{
	const Backward *s = argument;
	int			end = (int) tr_block_end(s->T, COLUMNS, task);

	for (int c = task * COLUMNS; c < end; c++)
		for (int j = 0; j < s->H; j += STRIP)
		{
			int			width = s->H - j < STRIP ? s->H - j : STRIP;
			float		g[STRIP] = {0};

			prefetch_step(s, c + STEPS_AHEAD, j, width);
			add_column(g, &s->x, c, s->dz + j, s->H, width);
			tr_step_over(&s->step, (size_t) c * s->H + j, g, width);
		}
}

/* The gradient of each column is there only while the column is updated. */
void
tr_cpu_sparse_update(TrBackend *b, const TrOptimizer *o, float *w, float *m, float *v, const TrCsr *groups, int n,
					 const float *dz, int H, float *room)
{
	Backward	s = {.T = groups[0].cols, .H = H, .dz = dz, .step = tr_new_step(o, w, m, v)};

	(void) room;
	if (tr_cpu_columns(b, &s.x, groups, n))
		tr_cpu_run(b, update_columns, &s, tr_blocks(s.T, COLUMNS));
}
