/*
 * C = alpha op(A) op(B) + beta C as a grid of blocks of C, each one serial sgemm and then the caller's epilogue while the
 * block is in cache. A C too small to be cut far enough is cut along k as well: every slice of k leaves a partial C, and
 * the partial Cs are added in their order.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"

#include <string.h>

/* No block is smaller than this, and there are no more blocks than that. */
#define LEAST_M 96
#define LEAST_N 128
#define LEAST_K 512
#define MOST_BLOCKS 32

typedef struct Plan
{
	const TrGemm *g;
	int			parts_m,
				parts_n,
				parts_k;
	float	   *partial;		/* (parts_k, m, n), or NULL when parts_k is 1 */
} Plan;

/* Where part i of n starts: equal parts, rounded to whole registers. */
static int
part_start(int n, int parts, int i)
{
	int			start = (int) ((int64_t) n * i / parts);

	return i == parts ? n : start & ~15;
}

/* Longest share of `blocks` equal blocks that one of `threads` has, times the threads */
static float
imbalance(int blocks, int threads)
{
	return (float) ((blocks + threads - 1) / threads * threads) / blocks;
}

/*
 * Expected time of a plan, without a unit. The overhead of a block falls with its sides (measured with OpenBLAS on
 * AVX-512); the number of blocks should suit 2 threads, and also more, but may not depend on the actual number.
 */
static float
cost_of(const TrGemm *g, int parts_m, int parts_n, int parts_k)
{
	int			blocks = parts_m * parts_n * parts_k;
	float		block = 1 + 50.0f * parts_m / g->m + 60.0f * parts_n / g->n;

	if (parts_k > 1)
		block += 150.0f * parts_k / g->k;
	return block * (0.55f * imbalance(blocks, 2) + 0.25f * imbalance(blocks, 4) + 0.15f * imbalance(blocks, 8)
					+ 0.05f * imbalance(blocks, 16));
}

static void
make_plan(Plan *plan)
{
	const TrGemm *g = plan->g;
	float		best;

	plan->parts_m = plan->parts_n = plan->parts_k = 1;
	best = cost_of(g, 1, 1, 1);
	for (int k = 1; k == 1 || (k <= MOST_BLOCKS && g->k / k >= LEAST_K); k *= 2)
		for (int m = 1; m == 1 || (m * k <= MOST_BLOCKS && g->m / m >= LEAST_M); m++)
			for (int n = 1; n == 1 || (n * m * k <= MOST_BLOCKS && g->n / n >= LEAST_N); n++)
			{
				float		cost = cost_of(g, m, n, k);

				if (cost < best)
				{
					best = cost;
					plan->parts_m = m;
					plan->parts_n = n;
					plan->parts_k = k;
				}
			}
}

static void
multiply_block(void *argument, int task)
{
	const Plan *plan = argument;
	const TrGemm *g = plan->g;
	int			part_m = task % plan->parts_m;
	int			part_n = task / plan->parts_m % plan->parts_n;
	int			part_k = task / plan->parts_m / plan->parts_n;
	int			m0 = part_start(g->m, plan->parts_m, part_m);
	int			n0 = part_start(g->n, plan->parts_n, part_n);
	int			k0 = part_start(g->k, plan->parts_k, part_k);
	int			m = part_start(g->m, plan->parts_m, part_m + 1) - m0;
	int			n = part_start(g->n, plan->parts_n, part_n + 1) - n0;
	int			k = part_start(g->k, plan->parts_k, part_k + 1) - k0;
	const float *x = g->trans_x ? g->x + (size_t) k0 * g->ldx + m0 : g->x + (size_t) m0 * g->ldx + k0;
	const float *y = g->trans_y ? g->y + (size_t) n0 * g->ldy + k0 : g->y + (size_t) k0 * g->ldy + n0;
	int			ldc = plan->partial ? g->n : g->ldc;
	float	   *c = plan->partial ? plan->partial + (size_t) part_k * g->m * g->n : g->c;

	c += (size_t) m0 * ldc + n0;
	/* a matrix without elements may come with a leading dimension of 0, which sgemm refuses */
	cblas_sgemm(CblasRowMajor, g->trans_x ? CblasTrans : CblasNoTrans, g->trans_y ? CblasTrans : CblasNoTrans, m, n, k,
				g->alpha, x, g->ldx < 1 ? 1 : g->ldx, y, g->ldy < 1 ? 1 : g->ldy, plan->partial ? 0 : g->beta, c, ldc);
	if (g->epilogue && !plan->partial)
		g->epilogue(g->epilogue_argument, c, ldc, m0, n0, m, n);
}

#define SUM_ROWS 8

/* Rows of C = beta C + the partial Cs in their order */
static void
sum_partials(void *argument, int task)
{
	const Plan *plan = argument;
	const TrGemm *g = plan->g;
	int			row = task * SUM_ROWS;
	int			end = (int) tr_block_end(g->m, SUM_ROWS, task);

	for (int i = row; i < end; i++)
	{
		float	   *c = g->c + (size_t) i * g->ldc;

		if (g->beta == 0)
			memset(c, 0, sizeof(float) * g->n);
		else if (g->beta != 1)
			cblas_sscal(g->n, g->beta, c, 1);
		for (int part = 0; part < plan->parts_k; part++)
			tr_cpu_add(c, plan->partial + ((size_t) part * g->m + i) * g->n, g->n);
	}
	if (g->epilogue)
		g->epilogue(g->epilogue_argument, g->c + (size_t) row * g->ldc, g->ldc, row, 0, end - row, g->n);
}

void
tr_cpu_multiply(TrBackend *b, const TrGemm *g)
{
	Plan		plan = {.g = g};

	if (g->m <= 0 || g->n <= 0)
		return;
	make_plan(&plan);
	if (plan.parts_k > 1)
	{
		plan.partial = tr_cpu_scratch(b, sizeof(float) * plan.parts_k * g->m * g->n);
		if (!plan.partial)
			return;
	}
	tr_cpu_run(b, multiply_block, &plan, plan.parts_m * plan.parts_n * plan.parts_k);
	if (plan.partial)
		tr_cpu_run(b, sum_partials, &plan, tr_blocks(g->m, SUM_ROWS));
}

void
tr_cpu_gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy, bool trans_y,
			int m, int n, int k, float alpha, float beta)
{
	TrGemm		g = {
		.c = c, .ldc = ldc, .x = x, .ldx = ldx, .trans_x = trans_x, .y = y, .ldy = ldy, .trans_y = trans_y,
		.m = m, .n = n, .k = k, .alpha = alpha, .beta = beta
	};

	tr_cpu_multiply(b, &g);
}
