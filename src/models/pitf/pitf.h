/*
 * pitf: the parts of its implementation, which nltf shares. See pitf.c and nltf.c.
 *
 * Legend: U users, I items, T tags, D factors, E = U + I users and items in one table, P pairs of a batch (a post and one
 * of its tags), Q distinct posts among them, N tags drawn for each pair, M = P (1 + N) tags of a batch.
 */
#ifndef TR_PITF_H
#define TR_PITF_H

#include <stddef.h>

#include "models/factors/factors.h"

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
	{"optimizer", TR_OPTION_ENUM, PITF_FIELD(optimizer), "adam", 0, 0, tr_optimizer_names, \
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

typedef enum PitfSampling
{
	PITF_UNIFORM,
	PITF_POPULARITY
} PitfSampling;

enum
{
	PITF_ENTITIES,				/* rows 0..U-1 are users, U.. items; width D; gathered (2Q,D) is (Q,2D), user, item of a post */
	PITF_TAGS					/* next to users, then next to items; width 2D */
};

typedef struct Pitf
{
	TrModel		model;
	PitfOptions options;
	int			D;
	int			P;				/* at most, in a batch */
	TrFactors	table[2];
	int32_t		n_pairs;		/* assignments whose post lacks a tag */
	int32_t    *order;			/* (n_pairs) those assignments, shuffled */
	int32_t    *post_of;		/* (assignments) */
	uint64_t   *sort;			/* (max(2P,M)) */
	TrBatchInts ints;
	int32_t    *post;			/* (M) which of the distinct posts: of every pair, then of every tag drawn */
	int32_t    *batch_post;		/* the same in backend memory */
	TrRankLoss	loss;
	float	   *served;			/* (T,stride of 2D) the tags again, for tr_dot_block(); host memory */
	float	   *query;			/* (stride of 2D) */

	/* tensors */
	float	   *tags;			/* (T,2D) */
	float	   *means;			/* (2,D) of users, of items: what stands for one that nobody knows */
	float	   *entities;		/* (U,D), (I,D) one behind the other, of a model in training alone */
} Pitf;

static inline size_t
pitf_tags_of_batch(int P, int N)
{
	return (size_t) P * (1 + (size_t) N);
}

/* pitf_train.c */
extern TrStatus pitf_create_batch(Pitf *m, TrError *err);
extern TrStatus pitf_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* exp(-gamma |w - a|^2) is the kernel of width sigma */
static inline float
pitf_gamma(const PitfOptions *o)
{
	return (float) (1 / (2 * o->sigma * o->sigma));
}

/* pitf.c: all of TrAlgorithm but how tags are scored */
extern size_t pitf_estimate(const TrShape *shape, const void *values);
extern TrStatus pitf_create(TrModel *model, TrError *err);
extern TrStatus pitf_saving(TrModel *model, TrError *err);
extern TrStatus pitf_restored(TrModel *model, TrError *err);

/* The slots of TrAlgorithm but for what it is called and how it scores tags. */
#define PITF_SLOTS \
	.task = TR_TASK_TAG, .size = sizeof(Pitf), .loads = true, .estimate = pitf_estimate, .create = pitf_create, \
	.train_epoch = pitf_train_epoch, .saving = pitf_saving, .restored = pitf_restored, \
	.embed = tr_embed_rows

#endif
