/*
 * Draws from normal distributions. Legend: R rows, D numbers of a row.
 */
#include "cpu/cpu.h"

#include <math.h>

#include "core/rng.h"

#define ROWS 16					/* per task */

typedef struct Latent
{
	float	   *z;				/* (R,D) */
	const float *dz;			/* (R,D) */
	const float *x;				/* (R,2D) */
	float	   *dx;				/* (R,2D) */
	int			R;
	size_t		D;
	uint64_t	seed,
				step;
	float		scale;
	double	   *loss;			/* (tasks) */
} Latent;

static inline float
deviation(const Latent *w, size_t i)
{
	return w->step > 0 ? (float) tr_normal(w->seed, TR_STREAM_LATENT, w->step, i) : 0;
}

static void
draw_rows(void *argument, int task)
{
	const Latent *w = argument;
	size_t		end = (size_t) tr_block_end(w->R, ROWS, task);

	for (size_t r = (size_t) task * ROWS; r < end; r++)
		for (size_t d = 0; d < w->D; d++)
		{
			const float *row = w->x + 2 * r * w->D;

			w->z[r * w->D + d] = row[d] + expf(0.5f * row[w->D + d]) * deviation(w, r * w->D + d);
		}
}

void
tr_cpu_latent(TrBackend *b, float *z, const float *x, int R, int D, uint64_t seed, uint64_t step)
{
	Latent		w = {.z = z, .x = x, .R = R, .D = (size_t) D, .seed = seed, .step = step};

	tr_cpu_run(b, draw_rows, &w, tr_blocks(R, ROWS));
}

static void
backward_rows(void *argument, int task)
{
	const Latent *w = argument;
	size_t		end = (size_t) tr_block_end(w->R, ROWS, task);
	double		sum = 0;

	for (size_t r = (size_t) task * ROWS; r < end; r++)
		for (size_t d = 0; d < w->D; d++)
		{
			const float *row = w->x + 2 * r * w->D;
			float	   *drow = w->dx + 2 * r * w->D;
			float		dz = w->dz[r * w->D + d];
			float		sigma = expf(0.5f * row[w->D + d]);

			sum += ((double) sigma * sigma + (double) row[d] * row[d] - 1 - row[w->D + d]) / 2;
			drow[d] = dz + w->scale * row[d];
			drow[w->D + d] = 0.5f * dz * sigma * deviation(w, r * w->D + d) + w->scale * 0.5f * (sigma * sigma - 1);
		}
	w->loss[task] = sum;
}

void
tr_cpu_latent_backward(TrBackend *b, float *dx, const float *dz, const float *x, int R, int D, uint64_t seed,
					   uint64_t step, float scale, double *loss)
{
	Latent		w = {.dz = dz, .x = x, .dx = dx, .R = R, .D = (size_t) D, .seed = seed, .step = step, .scale = scale};
	int			tasks = tr_blocks(R, ROWS);
	double		sum = 0;

	w.loss = tr_cpu_scratch(b, sizeof(double) * (size_t) tasks + 1);
	if (!w.loss)
		return;
	tr_cpu_run(b, backward_rows, &w, tasks);
	for (int task = 0; task < tasks; task++)
		sum += w.loss[task];
	*loss += scale * sum;
}
