/*
 * Scores of (user, item) pairs with an item vector of their own. Legend: P pairs, D embedding width.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#define PAIRS 256				/* per task */

typedef struct Pairs
{
	float	   *score;
	const float *dscore;
	const float *u;				/* (U,D) */
	const float *v;				/* (P,D) */
	float	   *du;
	float	   *dv;
	const int32_t *row;			/* (P) ascending */
	int			P,
				D;
} Pairs;

TR_SIMD static void
score_pairs(void *argument, int task)
{
	const Pairs *w = argument;
	int			D = w->D;
	int			end = (int) tr_block_end(w->P, PAIRS, task);

	for (int p = task * PAIRS; p < end; p++)
	{
		const float *u = w->u + (size_t) w->row[p] * D;
		const float *v = w->v + (size_t) p * D;
		float		sum = 0;

		for (int j = 0; j < D; j++)
			sum += u[j] * v[j];
		w->score[p] = sum;
	}
}

void
tr_cpu_pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
	Pairs		w = {.score = score, .u = u, .v = v, .row = row, .P = P, .D = D};

	tr_cpu_run(b, score_pairs, &w, tr_blocks(P, PAIRS));
}

/* The first pair at or after p that opens a row: a row belongs to the task in whose pairs it opens. */
static int
row_start(const Pairs *w, int p)
{
	while (p > 0 && p < w->P && w->row[p] == w->row[p - 1])
		p++;
	return p;
}

TR_SIMD static void
backward_pairs(void *argument, int task)
{
	const Pairs *w = argument;
	int			D = w->D;
	int			end = row_start(w, (int) tr_block_end(w->P, PAIRS, task));

	for (int p = row_start(w, task * PAIRS); p < end; p++)
	{
		const float *u = w->u + (size_t) w->row[p] * D;
		const float *v = w->v + (size_t) p * D;
		float	   *du = w->du + (size_t) w->row[p] * D;
		float	   *dv = w->dv + (size_t) p * D;
		float		d = w->dscore[p];

		TR_INDEPENDENT
		for (int j = 0; j < D; j++)
		{
			du[j] += d * v[j];
			dv[j] = d * u[j];
		}
	}
}

void
tr_cpu_pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
							const int32_t *row, int P, int D)
{
	Pairs		w = {.dscore = dscore, .u = u, .v = v, .du = du, .dv = dv, .row = row, .P = P, .D = D};

	tr_cpu_run(b, backward_pairs, &w, tr_blocks(P, PAIRS));
}
