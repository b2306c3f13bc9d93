/*
 * pitf: the parts of its implementation, which nltf shares. See pitf.c and nltf.c.
 *
 * Legend: U users, I items, T tags, D factors, E = U + I users and items in one table, P pairs of a batch (a post and one
 * of its tags), Q distinct posts among them, N tags drawn for each pair, M = P (1 + N) tags of a batch.
 */
#ifndef TR_PITF_H
#define TR_PITF_H

#include <stddef.h>

#include "core/model.h"

typedef struct PitfOptions
{
	int			factors;
	int			negatives;
	int			sampling;		/* PitfSampling */
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			batch;
	double		init_std;
	uint64_t	seed;
	int			epochs;
	double		sigma;			/* nltf: width of its kernels; 0 = inner products */
	double		scale;			/* nltf: what they are multiplied by */
} PitfOptions;

/* Rows for the option tables of pitf and nltf, whose own options stand between the two. */
#define PITF_FIELD(field) offsetof(PitfOptions, field)

#define PITF_FACTORS_OPTION \
	{"factors", TR_OPTION_INT, PITF_FIELD(factors), "64", 1, 1024, NULL, \
	"width of the vectors of users and items; tags have one for either"}

#define PITF_OPTIONS_WITH(init_std_default) \
	{"negatives", TR_OPTION_INT, PITF_FIELD(negatives), "8", 1, 1000, NULL, \
	"tags drawn for every tag of a post, from those the post lacks; 1 is the loss of the paper, more are told apart by a " \
	"softmax"}, \
	{"sampling", TR_OPTION_ENUM, PITF_FIELD(sampling), "uniform", 0, 0, pitf_sampling_names, \
	"how they are drawn: each alike, or by how often they are used"}, \
	{"regularization", TR_OPTION_REAL, PITF_FIELD(regularization), "0.001", 0, 1000, NULL, \
	"weight of the squared vectors of a batch's posts and tags"}, \
	{"optimizer", TR_OPTION_ENUM, PITF_FIELD(optimizer), "adam", 0, 0, pitf_optimizer_names, \
	"how a gradient becomes a step"}, \
	{"learning_rate", TR_OPTION_REAL, PITF_FIELD(learning_rate), "0.003", 1e-9, 1000, NULL, \
	"size of a step; the gradient is summed over a batch"}, \
	{"batch", TR_OPTION_INT, PITF_FIELD(batch), "512", 1, 1000000, NULL, \
	"assignments of a step"}, \
	{"init_std", TR_OPTION_REAL, PITF_FIELD(init_std), init_std_default, 1e-6, 1000, NULL, \
	"size of the initial vectors: standard deviation of a factor, times the root of factors"}, \
	{"seed", TR_OPTION_SEED, PITF_FIELD(seed), "1", 0, 0, NULL, \
	"start of every random number; the same seed gives the same model"}, \
	{"epochs", TR_OPTION_INT, PITF_FIELD(epochs), "30", 1, 100000, NULL, \
	"passes over the assignments, at most"}

extern const char *const pitf_sampling_names[];
extern const char *const pitf_optimizer_names[];

typedef enum PitfSampling
{
	PITF_UNIFORM,
	PITF_POPULARITY
} PitfSampling;

/* Rows that are learned, all of them, and those of a batch; backend memory. */
typedef struct PitfTable
{
	int32_t		n;
	int			width;
	float	   *rows;			/* (n,width) */
	float	   *m;				/* (n,width) of Adam */
	float	   *v;
	float	   *gathered;		/* users and items: (2Q,D), which is (Q,2D): user, then item, of every post; tags: (M,2D) */
	float	   *dgathered;		/* gradient of gathered */
	float	   *gradient;		/* (distinct ones,width) */
	int			n_gathered;
	int			n_distinct;
} PitfTable;

/* Which rows of a table a batch gathers, and the same rows in their own order. */
typedef struct PitfRows
{
	int32_t    *index;			/* (n_gathered) */
	int32_t    *slot;			/* (n_gathered) which of the distinct ones, ascending */
	int32_t    *from;			/* (n_gathered) the place in index that has it */
	int32_t    *distinct;		/* (n_distinct) ascending */
} PitfRows;

/* What a batch is about: in host memory and, a copy, in backend memory. */
typedef struct PitfBatch
{
	PitfRows	rows[2];		/* of the tables: at most 2P, and M */
	int32_t    *post;			/* (M) which of the distinct posts: of every pair, then of every tag drawn */
} PitfBatch;

enum
{
	PITF_ENTITIES,				/* rows 0..U-1 are users, U.. items; width D */
	PITF_TAGS					/* next to users, then next to items; width 2D */
};

typedef enum PitfTensor
{
	PITF_TENSOR_TAGS,			/* (T,2D) */
	PITF_TENSOR_MEANS,			/* (2,D) of users, of items: what stands for one that nobody knows */
	PITF_TENSOR_USERS,			/* (U,D), of a model in training alone */
	PITF_TENSOR_ITEMS,			/* (I,D) */
	PITF_TENSORS
} PitfTensor;

typedef struct Pitf
{
	TrModel		model;
	PitfOptions options;
	const TrDataset *dataset;	/* NULL in a model that was loaded; then only the first tensors and what serves are there */
	int32_t		n_tags;
	int			D;
	int			P;				/* at most, in a batch */
	PitfTable	table[2];
	int32_t		n_pairs;		/* assignments whose post lacks a tag */
	int32_t    *order;			/* (n_pairs) those assignments, shuffled */
	int32_t    *post_of;		/* (assignments) */
	uint64_t   *sort;			/* (max(2P,M)) row << 32 | place */
	int32_t    *host_memory;
	int32_t    *backend_memory;
	PitfBatch	host;
	PitfBatch	batch;
	float	   *score;			/* (M) of the pairs, then of the tags drawn; backend memory from here on */
	float	   *dscore;			/* (P) */
	int32_t    *pair_ptr;		/* (P+1) 0, 1, 2, … */
	int32_t    *no_column;		/* (P) -1 */
	float	   *ones;			/* (P) */
	double	   *loss;
	TrTensor	tensors[PITF_TENSORS];
	float	   *served;			/* (T,stride of 2D) the tags again, for tr_dot_block(); host memory */
	float	   *query;			/* (stride of 2D) */
} Pitf;

static inline size_t
pitf_tags_of_batch(int P, int N)
{
	return (size_t) P * (1 + (size_t) N);
}

/* pitf_train.c */
extern size_t pitf_batch_ints(int P, int N);
extern PitfBatch pitf_carve_batch(int32_t *memory, int P, int N);
extern TrStatus pitf_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* exp(-gamma |w - a|^2) is the kernel of width sigma */
static inline float
pitf_gamma(const PitfOptions *o)
{
	return (float) (1 / (2 * o->sigma * o->sigma));
}

/* pitf.c: all of TrAlgorithm but how tags are scored */
extern size_t pitf_estimate(const TrShape *shape, const void *values);
extern TrStatus pitf_create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset,
							const void *values, TrError *err);
extern TrStatus pitf_save(TrModel *model, TrTensor **tensors, int *count, TrError *err);
extern TrStatus pitf_restore(TrModel *model, const TrTensor *tensors, int n, TrError *err);
extern TrStatus pitf_load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values,
						  const TrTensor *tensors, int n, TrError *err);
extern int	pitf_width(const TrModel *model, int *unit);
extern TrStatus pitf_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
						   TrError *err);
extern void pitf_destroy(TrModel *model);

/* The slots of TrAlgorithm but for what it is called and how it scores tags. */
#define PITF_SLOTS \
	.task = TR_TASK_TAG, .estimate = pitf_estimate, .create = pitf_create, .train_epoch = pitf_train_epoch, \
	.save = pitf_save, .restore = pitf_restore, .load = pitf_load, .width = pitf_width, .embed = pitf_embed, \
	.destroy = pitf_destroy

#endif
