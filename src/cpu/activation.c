/*
 * Activations forward on a row, and the gradient through one with the bias's gradient.
 * Legend: R rows, O outputs.
 */
#include "cpu/cpu.h"
#include "cpu/vecmath.h"

TR_SIMD static void
activate(float *x, int n, TrActivation act)
{
	tr_activate(x, n, act);
}

TR_SIMD static void
bias_tanh(float *restrict x, const float *restrict bias, int n)
{
	for (int i = 0; i < n; i++)
		x[i] = tr_tanh(x[i] + bias[i]);
}

TR_SIMD static void
add(float *restrict x, const float *restrict y, int n)
{
	for (int i = 0; i < n; i++)
		x[i] += y[i];
}

/* The entry points are plain functions: those that the loader resolves would be exported. */
void
tr_cpu_activate(float *x, const float *bias, int n, TrActivation act)
{
	if (bias && act == TR_TANH)
	{
		bias_tanh(x, bias, n);
		return;
	}
	if (bias)
		add(x, bias, n);
	activate(x, n, act);
}

void
tr_cpu_add(float *x, const float *y, int n)
{
	add(x, y, n);
}

typedef struct Backward
{
	float	   *dz;
	const float *dy;
	const float *y;
	int			R,
				O;
	int			rows;			/* per task */
	TrActivation act;
	float	   *partial;		/* (tasks, O) column sums, or NULL */
} Backward;

/* act'(z), from y = act(z) */
TR_INLINE float
slope(float y, TrActivation act)
{
	return act == TR_TANH ? 1.0f - y * y : act == TR_SIGMOID ? y * (1.0f - y)
		: act == TR_SELU ? tr_select(y < 0, y + TR_SELU_LEAST, TR_SELU_SCALE) : tr_select(y > 0, 1.0f, 0.0f);
}

/* dz (n) = dy act'(y); sum (n) += dz unless NULL. dz may be dy. */
TR_INLINE void
backward_row(float *dz, const float *dy, const float *restrict y, float *restrict sum, int n, TrActivation act)
{
	if (sum)
		TR_INDEPENDENT
		for (int j = 0; j < n; j++)
		{
			float		d = dy[j] * slope(y[j], act);

			dz[j] = d;
			sum[j] += d;
		}
	else
		TR_INDEPENDENT
		for (int j = 0; j < n; j++)
			dz[j] = dy[j] * slope(y[j], act);
}

/* The activation is a constant in each of the loops. */
TR_SIMD static void
curved_row(float *dz, const float *dy, const float *y, float *sum, int n, TrActivation act)
{
	if (act == TR_TANH)
		backward_row(dz, dy, y, sum, n, TR_TANH);
	else if (act == TR_SIGMOID)
		backward_row(dz, dy, y, sum, n, TR_SIGMOID);
	else if (act == TR_SELU)
		backward_row(dz, dy, y, sum, n, TR_SELU);
	else
		backward_row(dz, dy, y, sum, n, TR_RELU);
}

static void
backward_rows(void *argument, int task)
{
	const Backward *w = argument;
	int			end = (int) tr_block_end(w->R, w->rows, task);
	float	   *sum = w->partial ? w->partial + (size_t) task * w->O : NULL;

	if (sum)
		memset(sum, 0, sizeof(float) * w->O);
	for (int r = task * w->rows; r < end; r++)
	{
		float	   *dz = w->dz + (size_t) r * w->O;
		const float *dy = w->dy + (size_t) r * w->O;

		if (w->act != TR_LINEAR)
			curved_row(dz, dy, w->y + (size_t) r * w->O, sum, w->O, w->act);
		else
		{
			if (dz != dy)
				memcpy(dz, dy, sizeof(float) * w->O);
			if (sum)
				tr_cpu_add(sum, dz, w->O);
		}
	}
}

void
tr_cpu_activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O,
						   TrActivation act)
{
	Backward	w = {dz, dy, y, R, O, tr_sum_rows(R), act, NULL};
	int			tasks = tr_blocks(R, w.rows);

	if (dbias && !(w.partial = tr_cpu_scratch(b, sizeof(float) * tasks * O)))
		return;
	tr_cpu_run(b, backward_rows, &w, tasks);
	for (int task = 0; dbias && task < tasks; task++)
		tr_cpu_add(dbias, w.partial + (size_t) task * O, O);
}
