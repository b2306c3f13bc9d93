/*
 * The CPU backend, private to src/cpu: what its files share. Each operation cuts its work into tasks by the shapes alone,
 * never by the number of threads, and adds up the tasks' partial results in the order of the tasks.
 */
#ifndef TR_CPU_H
#define TR_CPU_H

#include "core/backend.h"
#include "cpu/heap.h"
#include "cpu/pool.h"

/* ln(1 + c) of the counts that occur: most are small whole numbers. */
#define TR_CPU_LOGS 256

typedef struct TrCpu
{
	TrBackend	base;
	TrPool	   *pool;
	int			threads;
	TrMemory	memory;
	TrError		error;			/* the first failure, sticky */
	void	   *scratch;		/* grows to the largest size requested */
	size_t		scratch_bytes;
	float		logs[TR_CPU_LOGS];
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
extern void tr_cpu_gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy,
						bool trans_y, int m, int n, int k, float alpha, float beta);

/* sparse.c */
extern void tr_cpu_sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H,
								  TrActivation act);
extern void tr_cpu_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H);

/* dense.c */
extern void tr_cpu_dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I,
								 int O, TrLayout layout, TrActivation act);
extern void tr_cpu_dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w,
								  int R, int I, int O, TrLayout layout);

/* activation.c */
/* x = act(x + bias); bias may be NULL */
extern void tr_cpu_activate(float *x, const float *bias, int n, TrActivation act);
extern void tr_cpu_add(float *x, const float *y, int n);	/* x += y */
extern void tr_cpu_activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O,
									   TrActivation act);

/* normalize.c */
extern void tr_cpu_normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale);
extern void tr_cpu_normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld,
									  const float *norm, int R, int D, float scale);

/* rows.c */
extern void tr_cpu_fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R);
extern void tr_cpu_fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R);
extern void tr_cpu_gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width);
extern void tr_cpu_scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row,
								int R, int width, float scale);

/* attention.c */
extern void tr_cpu_attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D,
									 float scale);
extern void tr_cpu_attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
									  const float *v, int D, float scale);

/* pairs.c */
extern void tr_cpu_pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
							   int D);
extern void tr_cpu_pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
										const float *v, const int32_t *row, int P, int D);

/* gaussian.c */
extern void tr_cpu_gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
								   int B, int D, float gamma, float scale);
extern void tr_cpu_gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
											const float *v, const int32_t *row, int P, int B, int D, float gamma,
											float scale);

/* softmax.c, reconstruction.c */
extern void tr_cpu_softmax_loss(TrBackend *b, const TrSoftmax *s);
extern void tr_cpu_reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first,
									   int R, const float *multiplicity, bool squared, float scale, double *loss);

/* tag_loss.c, dropout.c */
extern void tr_cpu_tag_loss(TrBackend *b, const TrTagLoss *t);
extern void tr_cpu_dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step);

/* optimizer.c */
extern void tr_cpu_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n);
extern void tr_cpu_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v,
							   const int32_t *index, int R, int width);
extern void tr_cpu_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay);

/* regress.c */
extern void tr_cpu_regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram,
								const float *ridge, int D, double *loss);

/* profile_rows.c */
extern void tr_cpu_profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
								const int32_t *without_post, int R, const TrProfileWeights *weights,
								const TrProfileRule *rule);

#endif
