/*
 * C = alpha op(A) op(B) + beta C as a grid of blocks of C, each one serial sgemm and then the caller's epilogue while the
 * block is in cache. A C too small to be cut far enough is cut along k as well: every slice of k leaves a partial C, and
 * the partial Cs are added in their order. In bf16 both factors are rounded first, once for all blocks.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <string.h>

/* The bits of a float, where it lies */
typedef uint32_t __attribute__((may_alias)) Word;

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
	const TrBf16 *bf16;			/* NULL = float32 */
	uint16_t   *x16;			/* the factors rounded, as they are stored but without gaps */
	uint16_t   *y16;
	bool		failed;			/* a product in bf16 */
} Plan;

/* Smaller products gain nothing in bf16: rounding the factors takes as long (measured with oneDNN on AVX512-BF16). */
#define LEAST_BF16_SIDE 32
#define LEAST_BF16_PRODUCTS (1 << 18)

static bool
wants_bf16(const TrCpu *cpu, const TrGemm *g)
{
	return cpu->bf16.gemm && g->m >= LEAST_BF16_SIDE && g->n >= LEAST_BF16_SIDE && g->k >= LEAST_BF16_SIDE
		&& (double) g->m * g->n * g->k >= LEAST_BF16_PRODUCTS;
}

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

/* A block of C, where it lies in the factors, and c (m,n) of leading dimension ldc, which is C or part_k's share of it. */
typedef struct Block
{
	int			m0,
				n0,
				k0,
				m,
				n,
				k;
	float	   *c;
	int			ldc;
} Block;

static Block
block_of(const Plan *plan, int task)
{
	const TrGemm *g = plan->g;
	int			part_m = task % plan->parts_m;
	int			part_n = task / plan->parts_m % plan->parts_n;
	int			part_k = task / plan->parts_m / plan->parts_n;
	Block		block = {
		.m0 = part_start(g->m, plan->parts_m, part_m), .n0 = part_start(g->n, plan->parts_n, part_n),
		.k0 = part_start(g->k, plan->parts_k, part_k), .ldc = plan->partial ? g->n : g->ldc,
		.c = plan->partial ? plan->partial + (size_t) part_k * g->m * g->n : g->c
	};

	block.m = part_start(g->m, plan->parts_m, part_m + 1) - block.m0;
	block.n = part_start(g->n, plan->parts_n, part_n + 1) - block.n0;
	block.k = part_start(g->k, plan->parts_k, part_k + 1) - block.k0;
	block.c += (size_t) block.m0 * block.ldc + block.n0;
	return block;
}

/* Where the block's part of a factor begins: rows and columns of what is multiplied, which may be stored transposed */
static size_t
place(bool transposed, int ld, int row, int column)
{
	return transposed ? (size_t) column * ld + row : (size_t) row * ld + column;
}

static void
multiply_in_fp32(const Plan *plan, const Block *b)
{
	const TrGemm *g = plan->g;
	const float *x = g->x + place(g->trans_x, g->ldx, b->m0, b->k0);
	const float *y = g->y + place(g->trans_y, g->ldy, b->k0, b->n0);

	/* a matrix without elements may come with a leading dimension of 0, which sgemm refuses */
	cblas_sgemm(CblasRowMajor, g->trans_x ? CblasTrans : CblasNoTrans, g->trans_y ? CblasTrans : CblasNoTrans, b->m, b->n,
				b->k, g->alpha, x, g->ldx < 1 ? 1 : g->ldx, y, g->ldy < 1 ? 1 : g->ldy, plan->partial ? 0 : g->beta, b->c,
				b->ldc);
}

static bool
multiply_in_bf16(const Plan *plan, const Block *b)
{
	const TrGemm *g = plan->g;
	int			ldx = g->trans_x ? g->m : g->k;
	int			ldy = g->trans_y ? g->k : g->n;

	plan->bf16->set_threads(1);
	return plan->bf16->gemm(g->trans_x ? 'T' : 'N', g->trans_y ? 'T' : 'N', b->m, b->n, b->k, g->alpha,
							plan->x16 + place(g->trans_x, ldx, b->m0, b->k0), ldx,
							plan->y16 + place(g->trans_y, ldy, b->k0, b->n0), ldy, plan->partial ? 0 : g->beta, b->c,
							b->ldc) == 0;
}

static void
multiply_block(void *argument, int task)
{
	Plan	   *plan = argument;
	const TrGemm *g = plan->g;
	Block		block = block_of(plan, task);

	if (!plan->bf16)
		multiply_in_fp32(plan, &block);
	else if (!multiply_in_bf16(plan, &block))
		plan->failed = true;
	if (g->epilogue && !plan->partial)
		g->epilogue(g->epilogue_argument, block.c, block.ldc, block.m0, block.n0, block.m, block.n);
}

/* ------------------------------------------------------------------ bf16 */

#define ROUNDED 32768			/* floats per task */

typedef struct Rounding
{
	uint16_t   *out;			/* (rows,columns) */
	const float *x;				/* rows ld apart */
	int			ld,
				rows,
				columns;
	int			block;			/* rows per task */
} Rounding;

/* The nearest bfloat16, of two the even one; a NaN stays one. */
TR_INLINE uint16_t
to_bf16(uint32_t bits)
{
	uint32_t	rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

	return (uint16_t) ((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}

TR_SIMD static void
round_rows(void *argument, int task)
{
	const Rounding *r = argument;
	int			end = (int) tr_block_end(r->rows, r->block, task);

	for (int i = task * r->block; i < end; i++)
	{
		const Word *x = (const Word *) (r->x + (size_t) i * r->ld);
		uint16_t   *out = r->out + (size_t) i * r->columns;

		for (int j = 0; j < r->columns; j++)
			out[j] = to_bf16(x[j]);
	}
}

static void
round_factor(TrBackend *b, uint16_t *out, const float *x, int ld, int rows, int columns)
{
	Rounding	r = {out, x, ld, rows, columns, ROUNDED / columns + 1};

	tr_cpu_run(b, round_rows, &r, tr_blocks(rows, r.block));
}

static void
round_factors(TrBackend *b, Plan *plan)
{
	const TrGemm *g = plan->g;

	round_factor(b, plan->x16, g->x, g->ldx, g->trans_x ? g->k : g->m, g->trans_x ? g->m : g->k);
	round_factor(b, plan->y16, g->y, g->ldy, g->trans_y ? g->n : g->k, g->trans_y ? g->k : g->n);
}

/* ------------------------------------------------------------------ the whole */

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

/* Room for the partial Cs, and for the rounded factors behind them */
static bool
reserve(TrBackend *b, Plan *plan)
{
	const TrGemm *g = plan->g;
	size_t		partial = plan->parts_k > 1 ? sizeof(float) * plan->parts_k * g->m * g->n : 0;
	size_t		x = plan->bf16 ? (size_t) g->m * g->k : 0;
	size_t		y = plan->bf16 ? (size_t) g->k * g->n : 0;
	char	   *room;

	if (partial + x + y == 0)
		return true;
	room = tr_cpu_scratch(b, partial + (x + y) * sizeof(uint16_t));
	plan->partial = plan->parts_k > 1 ? (float *) room : NULL;
	plan->x16 = (uint16_t *) (room + partial);
	plan->y16 = plan->x16 + x;
	return room;
}

void
tr_cpu_multiply(TrBackend *b, const TrGemm *g)
{
	Plan		plan = {.g = g, .bf16 = wants_bf16(tr_cpu(b), g) ? &tr_cpu(b)->bf16 : NULL};

	if (g->m <= 0 || g->n <= 0)
		return;
	make_plan(&plan);
	if (!reserve(b, &plan))
		return;
	if (plan.bf16)
		round_factors(b, &plan);
	tr_cpu_run(b, multiply_block, &plan, plan.parts_m * plan.parts_n * plan.parts_k);
	if (plan.partial)
		tr_cpu_run(b, sum_partials, &plan, tr_blocks(g->m, SUM_ROWS));
	if (plan.failed && tr_cpu(b)->error.status == TR_OK)
		tr_fail(&tr_cpu(b)->error, TR_BACKEND, "%s could not multiply matrices", plan.bf16->version);
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
