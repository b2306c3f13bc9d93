/*
 * Rows to unit length and back. Legend: R rows, D embedding width.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <math.h>

#define ROWS 128				/* per task */

typedef struct Rows
{
	float	   *out;
	const float *x;				/* or dy */
	const float *y;				/* backward: out of the forward */
	float	   *norm_out;
	const float *norm;
	int			ld;
	int			R,
				D;
	float		scale;
} Rows;

TR_SIMD static float
dot(const float *x, const float *y, int n)
{
	float		sum = 0;

	for (int j = 0; j < n; j++)
		sum += x[j] * y[j];
	return sum;
}

/* out (n) = a x */
TR_SIMD static void
scaled(float *restrict out, const float *restrict x, float a, int n)
{
	for (int j = 0; j < n; j++)
		out[j] = a * x[j];
}

/* out (n) = a x + c y */
TR_SIMD static void
combined(float *restrict out, const float *x, float a, const float *y, float c, int n)
{
	for (int j = 0; j < n; j++)
		out[j] = a * x[j] + c * y[j];
}

static void
forward_rows(void *argument, int task)
{
	const Rows *w = argument;
	int			end = (int) tr_block_end(w->R, ROWS, task);

	for (int r = task * ROWS; r < end; r++)
	{
		const float *x = w->x + (size_t) r * w->D;
		float		norm = sqrtf(dot(x, x, w->D));

		/* written so that a NaN stays one */
		w->norm_out[r] = norm = norm < 1e-12f ? INFINITY : norm;
		scaled(w->out + (size_t) r * w->ld, x, w->scale / norm, w->D);
	}
}

static void
backward_rows(void *argument, int task)
{
	const Rows *w = argument;
	int			end = (int) tr_block_end(w->R, ROWS, task);

	for (int r = task * ROWS; r < end; r++)
	{
		const float *dy = w->x + (size_t) r * w->ld;
		const float *y = w->y + (size_t) r * w->ld;
		float		a = w->scale / w->norm[r];

		combined(w->out + (size_t) r * w->D, dy, a, y, -a * dot(y, dy, w->D) / (w->scale * w->scale), w->D);
	}
}

/* out[r] = scale x[r] / norm[r], norm[r] = |x[r]|, or INFINITY below 1e-12 */
void
tr_cpu_normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
	Rows		w = {.out = out, .x = x, .norm_out = norm, .ld = ld, .R = R, .D = D, .scale = scale};

	tr_cpu_run(b, forward_rows, &w, tr_blocks(R, ROWS));
}

/* dx (R,D) = scale (dy - y (y . dy)) / norm, y = out / scale */
void
tr_cpu_normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R,
						  int D, float scale)
{
	Rows		w = {.out = dx, .x = dy, .y = out, .norm = norm, .ld = ld, .R = R, .D = D, .scale = scale};

	tr_cpu_run(b, backward_rows, &w, tr_blocks(R, ROWS));
}
