/*
 * Gaussian kernels of pairs with a vector of their own. Legend: P pairs, B parts of a row, D width of a part.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <math.h>

#define PAIRS 256				/* per task */

typedef struct Gaussian
{
	float	   *score;
	const float *dscore;
	const float *u;				/* (U,B D) */
	const float *v;				/* (P,B D) */
	float	   *du;
	float	   *dv;
	const int32_t *row;			/* (P) ascending */
	int			P,
				B,
				D;
	float		gamma,
				scale;
} Gaussian;

TR_INLINE float
kernel(const float *u, const float *v, int D, float gamma)
{
	float		sum = 0;

	for (int j = 0; j < D; j++)
		sum += (u[j] - v[j]) * (u[j] - v[j]);
	return expf(-gamma * sum);
}

TR_SIMD static void
score_pairs(void *argument, int task)
{
	const Gaussian *w = argument;
	int			end = (int) tr_block_end(w->P, PAIRS, task);

	for (int p = task * PAIRS; p < end; p++)
	{
		const float *u = w->u + (size_t) w->row[p] * w->B * w->D;
		const float *v = w->v + (size_t) p * w->B * w->D;
		float		sum = 0;

		for (int part = 0; part < w->B; part++)
			sum += kernel(u + part * w->D, v + part * w->D, w->D, w->gamma);
		w->score[p] = w->scale * sum;
	}
}

/* score[p] = scale * sum over the parts of exp(-gamma |u[row[p]] - v[p]|^2) */
void
tr_cpu_gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D,
					   float gamma, float scale)
{
	Gaussian	w = {.score = score, .u = u, .v = v, .row = row, .P = P, .B = B, .D = D, .gamma = gamma, .scale = scale};

	tr_cpu_run(b, score_pairs, &w, tr_blocks(P, PAIRS));
}

/* The first pair at or after p that opens a row: a row belongs to the task in whose pairs it opens. */
static int
row_start(const Gaussian *w, int p)
{
	while (p > 0 && p < w->P && w->row[p] == w->row[p - 1])
		p++;
	return p;
}

TR_SIMD static void
backward_pairs(void *argument, int task)
{
	const Gaussian *w = argument;
	int			D = w->D;
	int			end = row_start(w, (int) tr_block_end(w->P, PAIRS, task));

	for (int p = row_start(w, task * PAIRS); p < end; p++)
		for (int part = 0; part < w->B; part++)
		{
			size_t		at = ((size_t) w->row[p] * w->B + part) * D;
			size_t		to = ((size_t) p * w->B + part) * D;
			const float *u = w->u + at;
			const float *v = w->v + to;
			float	   *du = w->du + at;
			float	   *dv = w->dv + to;
			float		f = 2 * w->gamma * w->scale * w->dscore[p] * kernel(u, v, D, w->gamma);

			TR_INDEPENDENT
			for (int j = 0; j < D; j++)
			{
				float		pull = f * (v[j] - u[j]);

				du[j] += pull;
				dv[j] = -pull;
			}
		}
}

/* du[row[p]] += f (v[p] - u[row[p]]); dv[p] = f (u[row[p]] - v[p]), part by part, f = 2 gamma scale dscore[p] kernel */
void
tr_cpu_gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
								const int32_t *row, int P, int B, int D, float gamma, float scale)
{
	Gaussian	w = {.dscore = dscore, .u = u, .v = v, .du = du, .dv = dv, .row = row, .P = P, .B = B, .D = D,
	.gamma = gamma, .scale = scale};

	tr_cpu_run(b, backward_pairs, &w, tr_blocks(P, PAIRS));
}
