/*
 * The operations a model is written against: one const struct of function pointers per backend (plain, cpu, cuda).
 *
 * Memory: "backend memory" is what alloc() returns; only operations, upload() and download() touch it (a device pointer on
 * a GPU). All matrices are row-major float32. Operations are queued in order and return nothing; a failure is sticky and
 * finish() reports it, after waiting for the queue. download() waits as well. Scalars called `loss` are double accumulators
 * in backend memory. An argument marked += is added to, every other output is overwritten. Outputs never alias inputs
 * unless an operation says so.
 *
 * Every operation is deterministic, and the same on one backend whatever its number of threads.
 *
 * Legend: R rows, I inputs, O outputs, T tags, H hidden units, D embedding width, U users, C candidate columns, P pairs.
 */
#ifndef TR_BACKEND_H
#define TR_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/profile.h"
#include "core/status.h"

#define TR_BACKEND_API_VERSION 10

typedef struct TrBackend TrBackend;

/* How a GPU multiplies matrices. What is stored, and all sums, stay float32. */
typedef enum TrPrecision
{
	TR_FP32,
	TR_TF32,					/* factors rounded to 10 bits of fraction */
	TR_BF16						/* factors rounded to 7 bits of fraction */
} TrPrecision;

typedef struct TrBackendConfig
{
	int			threads;		/* >= 1; a backend never runs more */
	int			device;			/* ordinal of a GPU */
	TrPrecision precision;		/* GPUs; a CPU always multiplies in float32 */
} TrBackendConfig;

/* A device that a backend could run on, for tagrec_devices(). */
typedef struct TrDevice
{
	char		name[128];
	uint64_t	memory;			/* bytes */
	int			major,
				minor;			/* compute capability */
	char		driver[64];
} TrDevice;

/* Sparse rows in backend memory. */
typedef struct TrCsr
{
	int32_t		rows;			/* R */
	int32_t		cols;			/* T */
	int64_t		capacity;		/* entries allocated in col and val */
	int64_t    *ptr;			/* (R+1) */
	int32_t    *col;			/* (nnz) ascending within a row */
	float	   *val;			/* (nnz); a zero is allowed and has no effect */
} TrCsr;

typedef enum TrActivation
{
	TR_LINEAR,
	TR_TANH,
	TR_SIGMOID,
	TR_RELU
} TrActivation;

/* How a dense layer finds its weights: stored (I,O), or stored (O,I) and used transposed (the tied decoder, Eq. 9-12). */
typedef enum TrLayout
{
	TR_STORED_IO,
	TR_STORED_OI
} TrLayout;

/* Which posts and tags of an entity make up a row of a batch. */
typedef struct TrProfileRule
{
	float		keep;			/* a post counts when uniform(seed, KEEP, step, post) < keep; >= 1: all posts */
	float		tag_dropout;	/* an entry is zeroed when uniform(seed, TAG_DROPOUT, step, row<<32|tag) < tag_dropout */
	uint64_t	seed;
	uint64_t	step;
} TrProfileRule;

/*
 * Softmax over the candidates of each user row (Eq. 8, 13, 14), all pairs of a row at once.
 * Pair p of user row u, item column c = pair_column[p] (-1: its item is not among the candidates):
 *     s_p   = pair_logit ? pair_logit[p] : logits[u][c]
 *     Z_p   = sum over columns k of exp(logits[u][k] - column_offset[k]), k neither c nor in the row's skip list,
 *             nor, with mask_pairs, the column of another pair of the row
 *     loss_p = weight_p (log(Z_p + (include_positive ? exp(s_p) : 0)) - s_p);   0 when that sum is empty
 *     loss  += scale * sum of loss_p
 * logits (U,C) is replaced by d loss / d logits; pair_dlogit (P), when pair_logit is given, by d loss / d pair_logit.
 * Columns of one row's pairs are distinct. Skip lists are ascending, and never name a column of the row's pairs.
 */
typedef struct TrSoftmax
{
	int32_t		users,
				columns;
	float	   *logits;			/* (U,C) in, out */
	const float *column_offset; /* (C) log of the column's sampling probability, INFINITY = never a negative; NULL = 0 */
	const int32_t *pair_ptr;	/* (U+1) */
	const int32_t *pair_column; /* (P) */
	const float *pair_weight;	/* (P) */
	const float *pair_logit;	/* (P) or NULL */
	float	   *pair_dlogit;	/* (P) or NULL */
	const int32_t *skip_ptr;	/* (U+1) or NULL */
	const int32_t *skip_column;
	bool		include_positive;
	bool		mask_pairs;
	float		scale;
	double	   *loss;			/* += */
} TrSoftmax;

/* Sparse parts of the logits in a TrTagLoss. */
#define TR_MOST_PARTS 4

/*
 * Loss of R posts over T tags, one row of logits each. With z = logits + bias + sum over parts j of part_weight[j] part[j],
 * y the targets, and the columns of a row's entries of value 0 left out of every sum:
 *     loss_r = sum over t of log(1 + exp(z_t)) - y_t z_t					cross-entropy from logits (DAE-PTR, Eq. 11)
 *     loss_r = sum over t of y_t (log(sum over k of exp(z_k)) - z_t)		softmax
 *     loss  += scale * sum of loss_r
 * logits (R,T) is replaced by d loss / d z; dbias (T) += its column sums; dpart_weight[j] += its inner product with
 * part[j].
 */
typedef struct TrTagLoss
{
	bool		softmax;
	float	   *logits;			/* (R,T) in, out */
	const TrCsr *targets;		/* (R,T) y >= 0; an entry of value 0 leaves its column out */
	const float *bias;			/* (T) */
	float	   *dbias;			/* (T) += */
	int			parts;			/* at most TR_MOST_PARTS */
	TrCsr		part[TR_MOST_PARTS];	/* (R,T) each */
	const float *part_weight;	/* (parts) */
	float	   *dpart_weight;	/* (parts) += */
	float		scale;
	double	   *loss;			/* += */
} TrTagLoss;

typedef enum TrOptimizerKind
{
	TR_SGD,						/* v = momentum v + g; w -= rate v (plain SGD when momentum = 0: v unused) */
	TR_ADAM						/* Kingma & Ba 2015, with bias correction */
} TrOptimizerKind;

typedef struct TrOptimizer
{
	TrOptimizerKind kind;
	float		rate;
	float		momentum;		/* SGD */
	float		beta1,
				beta2,
				epsilon;		/* Adam */
	int64_t		step;			/* 1, 2, … */
	float		decay;			/* g + 2 decay w is the gradient used: d/dw of decay * w^2 */
} TrOptimizer;

typedef struct TrBackendOps
{
	uint32_t	api_version;	/* TR_BACKEND_API_VERSION */
	const char *name;			/* "plain", "cpu", "cuda" */

	TrStatus	(*open) (TrBackend **backend, const TrBackendConfig *config, TrError *err);
	void		(*close) (TrBackend *backend);	/* releases all memory and ends all threads */
	const char *(*describe) (TrBackend *backend);	/* e.g. "cpu, OpenBLAS 0.3.21 SkylakeX, 2 threads" */

	/* memory; alloc returns NULL when there is none, and does not zero */
	void	   *(*alloc) (TrBackend *b, size_t bytes);
	void		(*release) (TrBackend *b, void *p);
	size_t		(*allocated) (TrBackend *b);	/* bytes live now */
	void		(*upload) (TrBackend *b, void *dst, const void *src, size_t bytes);
	void		(*download) (TrBackend *b, void *dst, const void *src, size_t bytes);
	void		(*zero) (TrBackend *b, void *dst, size_t bytes);
	TrStatus	(*finish) (TrBackend *b, TrError *err);

	/*
	 * (optional) A training step: operations between the two may be recorded and launched together, at end_step(). What
	 * they mean is the same. Everything may be called in between, but alloc(), release(), download() and finish() cut the
	 * record short. A step that failed need not be ended: finish(), close() or the next begin_step() does. Models call
	 * tr_begin_step() and tr_end_step().
	 */
	void		(*begin_step) (TrBackend *b);
	void		(*end_step) (TrBackend *b);

	/* C (m,n) = alpha op(A) op(B) + beta C, op(A) is (m,k), op(B) is (k,n); ld in elements of the stored matrix */
	void		(*gemm) (TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy,
						 bool trans_y, int m, int n, int k, float alpha, float beta);

	/* out (R,H) = act(x (R,T) w (T,H) + bias (H)); bias may be NULL */
	void		(*sparse_forward) (TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H,
								   TrActivation act);
	/* dw (T,H) += x^T dz (R,H) */
	void		(*sparse_backward) (TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H);

	/* out (R,O) = act(x (R,I) W + bias (O)); bias may be NULL */
	void		(*dense_forward) (TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R,
								  int I, int O, TrLayout layout, TrActivation act);
	/* dx (R,I) = dz (R,O) W^T unless dx is NULL; dw, in the layout of w, += x^T dz unless dw is NULL */
	void		(*dense_backward) (TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w,
								   int R, int I, int O, TrLayout layout);

	/* dz (R,O) = dy * act'(y), with y = act(z); dbias (O) += column sums of dz unless NULL. dz may be dy. */
	void		(*activation_backward) (TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R,
										int O, TrActivation act);

	/*
	 * out[r][0..D) = scale x[r] / norm[r], rows of out ld apart; norm[r] = |x[r]|, or INFINITY below 1e-12: a row without
	 * a direction comes out as zeros, and gets no gradient.
	 */
	void		(*normalize) (TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale);
	/* dx (R,D) = scale (dy - y (y . dy)) / norm, with unit rows y = out / scale; dy has the ld of out */
	void		(*normalize_backward) (TrBackend *b, float *dx, const float *dy, const float *out, int ld,
									   const float *norm, int R, int D, float scale);

	/* out[r * ld] = weight[0] * feature[r]; NULL weight = 1, NULL feature = 1 */
	void		(*fill_column) (TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R);
	/* dweight[0] += sum over r of dy[r * ld] * feature[r] */
	void		(*fill_column_backward) (TrBackend *b, float *dweight, const float *dy, int ld, const float *feature,
										 int R);

	/* score[p] = u[row[p]] . v[p]; u is (U,D), v is (P,D) */
	void		(*pair_scores) (TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
								int D);
	/* du[row[p]] += dscore[p] v[p]; dv (P,D) = dscore[p] u[row[p]]; row is ascending */
	void		(*pair_scores_backward) (TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
										 const float *v, const int32_t *row, int P, int D);

	/*
	 * score[p] = scale * sum of exp(-gamma |u[row[p]] - v[p]|^2) over the B parts, D wide, of rows of u (U,B D) and
	 * v (P,B D)
	 */
	void		(*gaussian_scores) (TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
									int B, int D, float gamma, float scale);
	/* du[row[p]] += and dv (P,B D) = the gradients of dscore[p] score[p]; row is ascending */
	void		(*gaussian_scores_backward) (TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
											 const float *v, const int32_t *row, int P, int B, int D, float gamma,
											 float scale);

	void		(*softmax_loss) (TrBackend *b, const TrSoftmax *s);

	/*
	 * Reconstruction of sparse rows through a tanh output layer (Eq. 11-13), for rows first..first+R-1 of x:
	 * y = tanh(z (R,T) + bias (T)); e_r = |y_r - x_r|, or its square with squared;
	 * loss += scale * sum of multiplicity[first + r] e_r; z is replaced by d loss / d z; dbias (T) += its column sums.
	 * The norm's gradient is guarded by max(|.|, 1e-12).
	 */
	void		(*reconstruction_loss) (TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first,
										int R, const float *multiplicity, bool squared, float scale, double *loss);

	void		(*tag_loss) (TrBackend *b, const TrTagLoss *t);

	/*
	 * out[i] = x[i] / (1 - p) where tr_stays(seed, step, i, p), else 0. The gradient goes back through the same operation.
	 * out may be x.
	 */
	void		(*dropout) (TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step);

	/* One step over n parameters; m and v (n) are the optimizer's state (SGD uses m alone, and only with momentum). */
	void		(*update) (TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n);
	/*
	 * The same step over the rows index[r] of w, m and v alone (width floats a row), by the gradients g (R,width); index is
	 * distinct. Other rows stay as they are, their state too.
	 */
	void		(*update_rows) (TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v,
								const int32_t *index, int R, int width);

	/* loss += decay * sum of w^2 */
	void		(*sum_squares) (TrBackend *b, double *loss, const float *w, int64_t n, float decay);

	/*
	 * Row r of out = the profile of entity[r] over the posts that pass rule->keep and are not without_post[r]
	 * (-1 or a NULL array: none), as tr_tag_weight gives it, then tag dropout, then normalised over the rest. Pointers
	 * of table, entity, without_post and weights->idf are backend memory; out->ptr has room for R+1, out->col and out->val
	 * for the sum of the entities' entries. An entry whose count is 0 is left out, or kept with value 0.
	 */
	void		(*profile_rows) (TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
								 const int32_t *without_post, int R, const TrProfileWeights *weights,
								 const TrProfileRule *rule);

	/* out[r] = table[index[r]] (width floats a row) */
	void		(*gather_rows) (TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width);
	/*
	 * table[index[r]] += scale x[row[r]], width floats a row; index is ascending, and may repeat: what goes to one row is
	 * added in order. NULL row = r itself; otherwise it says where the sorted index came from.
	 */
	void		(*scatter_rows) (TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row,
								 int R, int width, float scale);

	/*
	 * Attention of R queries q (R,D), each over the rows of the table k (T,D) that row r of x names:
	 *     weight[e] = val_e exp(scale q[r] . k[col_e]) / sum of the same over the row's entries
	 * with values >= 0, one weight per entry; a row of zeros gets zeros. Of the mixtures out[r] = sum of weight[e]
	 * v[col_e], which sparse_forward() makes, d loss / d out = dout (R,D) goes back to the inner products:
	 *     dscore[e] = scale weight[e] (dout[r] . v[col_e] - sum over the row's entries of weight[f] dout[r] . v[col_f])
	 * so that rows with these values give dq by sparse_forward() from k, and dk by sparse_backward() from q.
	 */
	void		(*attention_weights) (TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D,
									  float scale);
	void		(*attention_backward) (TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
									   const float *v, int D, float scale);

	/*
	 * (optional) Weighted ridge regression of 1 on the rows of v (T,D) that a sparse row names, for every row r of x, whose
	 * values are weights c >= 0: out[r] (D) minimises
	 *     f_r(w) = sum over entries e of c_e (1 - w . v[col_e])^2 + w . gram w + ridge[r] |w|^2
	 * that is, solves (gram + ridge[r] I + sum of c_e v v^T) w = sum of c_e v. gram (D,D) is symmetric and positive
	 * semidefinite, ridge (R) > 0. A row without entries comes out as zeros. loss += sum of f_r at its minimum.
	 */
	void		(*regress_rows) (TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram,
								 const float *ridge, int D, double *loss);

	/*
	 * (optional) After alloc() returned NULL: adds the requested and the free memory to err; or err = an earlier failure.
	 */
	void		(*shortage) (TrBackend *b, TrError *err);
	/* (optional) Bytes that a device has left for alloc(); 0 when that cannot be told. None: memory is the host's. */
	size_t		(*available) (TrBackend *b);

	/*
	 * (optional) Needs no open(): how many devices there are, the first `most` of them; -1 and err when that cannot be
	 * told.
	 */
	int			(*devices) (TrDevice *devices, int most, TrError *err);
} TrBackendOps;

/* Every backend's struct starts with this. Set by open(); 0 = suitable for a CPU. */
struct TrBackend
{
	const TrBackendOps *ops;
	size_t		block_bytes;	/* an intermediate result that can be made in blocks should stay below */
	double		step_work;		/* floating-point operations that take 0.1 s where they are slow: between two polls */
};

static inline size_t
tr_block_bytes(const TrBackend *b)
{
	return b->block_bytes ? b->block_bytes : (size_t) 16 << 20;
}

static inline double
tr_step_work(const TrBackend *b)
{
	return b->step_work > 0 ? b->step_work : 2e9;
}

static inline void
tr_begin_step(TrBackend *b)
{
	if (b->ops->begin_step)
		b->ops->begin_step(b);
}

static inline void
tr_end_step(TrBackend *b)
{
	if (b->ops->end_step)
		b->ops->end_step(b);
}

/*
 * The reference backend: portable C loops, one thread, no library. Serving encodes with it; tests hold the others against it.
 */
extern const TrBackendOps tr_plain_ops;

/* What a backend library (tagrec_cpu.so, tagrec_cuda.so) exports as its only symbol. */
#define TR_BACKEND_SYMBOL "tagrec_backend_ops"
typedef const TrBackendOps *(*TrBackendSymbol) (void);

#endif
