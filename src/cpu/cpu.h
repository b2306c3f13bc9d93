/*
 * The CPU backend, private to src/cpu: what its files share. Each operation cuts its work into tasks by the shapes alone,
 * never by the number of threads, and adds up the tasks' partial results in the order of the tasks.
 */
#ifndef TR_CPU_H
#define TR_CPU_H

#include "core/backend.h"
#include "cpu/bf16.h"
#include "cpu/heap.h"
#include "cpu/pool.h"

/* ln(1 + c) of the counts that occur: most are small whole numbers. */
#define TR_CPU_LOGS 2048

typedef struct TrCpu
{
	TrBackend	base;
	TrPool	   *pool;
	TrMemory	memory;
	TrError		error;			/* the first failure, sticky */
	void	   *scratch;		/* grows to the largest size requested */
	size_t		scratch_bytes;
	size_t		scratch_used;	/* of memory, which is nobody's */
	float		logs[TR_CPU_LOGS];
	TrBf16		bf16;			/* its gemm is NULL where products are in float32 */
	char		description[128];
} TrCpu;

static inline TrCpu *
tr_cpu(TrBackend *b)
{
	return (TrCpu *) b;
}

/* Memory that lasts until the operation ends, one piece per operation; NULL after noting the failure. */
extern void *tr_cpu_scratch(TrBackend *b, size_t bytes);

static inline void
tr_cpu_run(TrBackend *b, TrTask task, void *argument, int tasks)
{
	tr_pool_run(tr_cpu(b)->pool, task, argument, tasks);
}

/* How many blocks of `size` cover n, and where block i ends. */
static inline int
tr_blocks(int64_t n, int64_t size)
{
	return (int) ((n + size - 1) / size);
}

static inline int64_t
tr_block_end(int64_t n, int64_t size, int64_t i)
{
	return (i + 1) * size < n ? (i + 1) * size : n;
}

/* Rows per task where every task has a partial column sum: at most 64 tasks. */
static inline int
tr_sum_rows(int rows)
{
	return rows <= 64 * 32 ? 32 : tr_blocks(rows, 64);
}

/* gemm.c: what is done to a finished block of C, rows × columns at c, whose first element is C[row][column] */
typedef void (*TrEpilogue) (const void *argument, float *c, int ldc, int row, int column, int rows, int columns);

typedef struct TrGemm
{
	float	   *c;
	int			ldc;
	const float *x;
	int			ldx;
	bool		trans_x;
	const float *y;
	int			ldy;
	bool		trans_y;
	int			m,
				n,
				k;
	float		alpha,
				beta;
	TrEpilogue	epilogue;		/* (optional) */
	const void *epilogue_argument;
} TrGemm;

extern void tr_cpu_multiply(TrBackend *b, const TrGemm *g);

/* activation.c */
/* x = act(x + bias); bias may be NULL */
extern void tr_cpu_activate(float *x, const float *bias, int n, TrActivation act);
extern void tr_cpu_add(float *x, const float *y, int n);	/* x += y */

/* tr_cpu_gemm() and so on */
#define OPERATION(name, parameters) extern void tr_cpu_##name parameters;
#include "core/operations.h"

#endif
