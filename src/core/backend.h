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

#define TR_BACKEND_API_VERSION 13

typedef struct TrBackend TrBackend;

/* How matrices are multiplied. What is stored, and all sums, stay float32. */
typedef enum TrPrecision
{
	TR_FP32,
	TR_TF32,					/* GPUs: factors rounded to 10 bits of fraction */
	TR_BF16						/* factors rounded to 7 bits of fraction; on a CPU that of large products, where it can */
} TrPrecision;

typedef struct TrBackendConfig
{
	int			threads;		/* >= 1; a backend never runs more */
	int			device;			/* ordinal of a GPU */
	TrPrecision precision;
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
	TR_RELU,
	TR_SELU						/* SCALE x, below 0 SCALE ALPHA (exp(x) - 1): Klambauer et al. 2017 */
} TrActivation;

#define TR_SELU_SCALE 1.05070098f
#define TR_SELU_LEAST 1.75809934f	/* SCALE ALPHA */

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
 * Loss of R posts over T tags, one row of logits each; with T = 1 the cross-entropy is that of R single scores, those with
 * an entry and those without. With z = logits + bias + sum over parts j of part_weight[j] part[j],
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

/* Part `task` of some work on host memory. */
typedef void (*TrHostTask) (void *argument, int task);

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
	size_t		(*allocated) (TrBackend *b);	/* bytes that callers have now */
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

	/* void (*name) (TrBackend *b, …), each of them */
#define OPERATION(name, parameters) void (*name) parameters;
#include "core/operations.h"

	/*
	 * (optional) Work of the caller's own, on host memory: task(argument, i) for i = 0..tasks-1, some of them side by side.
	 * It may not call the backend. Models call tr_run_tasks().
	 */
	void		(*run_tasks) (TrBackend *b, TrHostTask task, void *argument, int tasks);

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

/* Whom an operation that takes long may ask, between its parts, whether to give up: its outputs are then undefined. */
typedef struct TrAsked
{
	bool		(*stop) (void *argument);	/* NULL = nobody */
	void	   *argument;
	bool		stopped;		/* has it said so? */
} TrAsked;

/* Every backend's struct starts with this. Set by open(); 0 = suitable for a CPU. */
struct TrBackend
{
	const TrBackendOps *ops;
	size_t		block_bytes;	/* an intermediate result that can be made in blocks should stay below */
	const char *shortfall;		/* why it multiplies in float32 although another precision was asked for; NULL = as asked */
	double		step_work;		/* floating-point operations that take 0.1 s where they are slow: between two polls */
	int			threads;		/* that run_tasks() has; 0 = one */
	TrAsked		asked;			/* set by who calls an operation */
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

/* Asks; once it was told so it need not. */
static inline bool
tr_give_up(TrBackend *b)
{
	if (!b->asked.stopped && b->asked.stop)
		b->asked.stopped = b->asked.stop(b->asked.argument);
	return b->asked.stopped;
}

static inline int
tr_threads(const TrBackend *b)
{
	return b->threads > 0 ? b->threads : 1;
}

static inline void
tr_run_tasks(TrBackend *b, TrHostTask task, void *argument, int tasks)
{
	if (b->ops->run_tasks)
		b->ops->run_tasks(b, task, argument, tasks);
	else
		for (int i = 0; i < tasks; i++)
			task(argument, i);
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
 * The reference backend: portable C loops, one thread, no library. Serving encodes with it; tests compare others with it.
 */
extern const TrBackendOps tr_plain_ops;

/* What a backend library (tagrec_cpu.so, tagrec_cuda.so) exports as its only symbol. */
#define TR_BACKEND_SYMBOL "tagrec_backend_ops"
typedef const TrBackendOps *(*TrBackendSymbol) (void);

#endif
