/*
 * The network of the DSPR family (dspr, hdlpr, hdlpr_ns): one tanh tower shared by users and items over their tag profiles
 * (Eq. 1-5), cosine of the two outputs (Eq. 6), a softmax over candidates (Eq. 7, 8, 14), and, for the hybrid models, a
 * decoder with tied weights and its reconstruction error (Eq. 9-13). The paper is Xu, Lukasiewicz, Chen, Miao, Meng:
 * Tag-aware personalized recommendation using a hybrid deep model, IJCAI 2017.
 *
 * tower_options.h  what can be chosen
 * tower_network.c  parameters, forward and backward passes
 * tower_batch.c    which users, items and pairs make up a step (host)
 * tower_train.c    one epoch
 * tower.c          the TrAlgorithm functions: create, save, load, encode
 *
 * Legend: T tags, K layers, D width of the last one, R rows of a batch, U users, C candidate items, P pairs, G target
 * items.
 */
#ifndef TOWER_H
#define TOWER_H

#include "core/model.h"
#include "models/tower_options.h"
#include "models/upload.h"

/* Where the parameters lie in one array of floats: the optimizer's step is then one operation. */
typedef struct TowerLayout
{
	int			K;
	int			dim[TR_MAX_INTS + 1];	/* dim[0] = T, dim[1..K] */
	bool		decoder;
	bool		popularity;
	int64_t		weight[TR_MAX_INTS + 1];	/* [1..K]: W_k (dim[k-1],dim[k]) */
	int64_t		bias[2 * TR_MAX_INTS + 1];	/* [1..K] encoder, [K+1..2K] decoder */
	int64_t		regularized;	/* the first so many floats are W and b: Eq. 13's penalty is theirs */
	int64_t		popularity_weight;	/* the one after them, when popularity is on */
	int64_t		size;			/* floats in all */
} TowerLayout;

#define TOWER_MOST_TENSORS (3 * TR_MAX_INTS + 3)

typedef struct Tower
{
	TrModel		model;
	TowerOptions options;
	const TrDataset *dataset;	/* NULL in a model that was loaded */
	TowerLayout layout;

	/* parameters and the optimizer's state, backend memory, layout.size floats each; gradient and below NULL when loaded */
	float	   *parameters;
	float	   *gradient;
	float	   *moment1;
	float	   *moment2;
	int64_t		steps;
	double		rate;			/* of this epoch */

	float	   *idf;			/* (T) backend memory */
	float	   *host_idf;		/* (T) */
	float		mean_length[2]; /* assignments of a user's, an item's profile */
	TrProfileTable side[2];		/* TR_USER, TR_ITEM, in backend memory; empty when loaded */
	double	   *loss;			/* backend memory: the steps' losses, and the sum of squared parameters */

	/* what tower_batch.c keeps between steps, see there */
	struct TowerPlanner *planner;

	/* step buffers */
	TrBuffer	csr[3][3];		/* group (user, candidate, positive) x (ptr, col, val) */
	TrBuffer	hidden[TR_MAX_INTS + 1];	/* [k] (R,dim[k]) */
	TrBuffer	hidden_grad[TR_MAX_INTS + 1];
	TrBuffer	decoded[TR_MAX_INTS + 1];	/* [k] (U+G,dim[k]), k = K-1..1 */
	TrBuffer	decoded_grad[TR_MAX_INTS + 1];
	TrBuffer	output;			/* a block of the decoder's output layer */
	TrBuffer	embedding;		/* (R,width) */
	TrBuffer	embedding_grad;
	TrBuffer	norm;			/* (R) */
	TrBuffer	logits;			/* (U,C) */
	TrBuffer	pair_logit;		/* (P) */
	TrBuffer	pair_grad;		/* (P) */
	TrUpload	upload;			/* the batch's integers and floats */

	float	   *host;			/* (layout.size) what was last saved or restored; NULL = nothing was */
	TrTensor	tensors[TOWER_MOST_TENSORS];	/* of the last save() */
} Tower;

/* Rows of one batch: users 0..U-1, candidates U..U+C-1 (the G targets first), positives U+C..U+C+P-1. */
enum
{
	TOWER_USERS,
	TOWER_CANDIDATES,
	TOWER_POSITIVES,
	TOWER_GROUPS
};

/* tower_network.c */
extern void tower_layout(TowerLayout *layout, const TowerOptions *options, int32_t n_tags);
/* csr = n rows with room for so many entries; its memory is the group's */
extern TrStatus tower_reserve_rows(Tower *t, int group, int n, int64_t entries, TrCsr *csr, TrError *err);
extern void tower_initialize(Tower *t, float *host_parameters);
extern int	tower_width(const Tower *t);
extern TrProfileWeights tower_profile_weights(const Tower *t, TrSide side);

/* Encodes rows of up to three groups; afterwards embedding (R,width) holds users as they are and items times item_scale. */
extern TrStatus tower_forward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale,
							  const float *item_feature, TrError *err);
/* From embedding_grad (R,width) to the gradient of every parameter; dh_K of the first `decoded_rows` rows comes on top. */
extern TrStatus tower_backward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale,
							   const float *item_feature, int decoded_rows, TrError *err);
/* Decodes the users and targets, adds the reconstruction loss, and leaves its gradient in decoded_grad[K] (U+G,D). */
extern TrStatus tower_reconstruct(Tower *t, const TrCsr *users, const TrCsr *targets, int n_targets,
								  const float *multiplicity, float scale, TrError *err);

/* tower_batch.c: the plan of one step, host memory, valid until the next one */
typedef struct TowerBatch
{
	uint64_t	step;			/* of the random numbers */
	int32_t		users,			/* U */
				columns,		/* C */
				targets,		/* G */
				pairs;			/* P */
	double		pair_weight_sum;
	int64_t		entries[TOWER_GROUPS];	/* upper bound of each group's non-zeros */
	int32_t    *user;			/* (U) */
	int32_t    *column;			/* (C) item of each candidate column */
	float	   *column_offset;	/* (C) log of its sampling probability, INFINITY = nobody's negative */
	int32_t    *pair_ptr;		/* (U+1) */
	int32_t    *pair_row;		/* (P) user row */
	int32_t    *pair_column;	/* (P) */
	float	   *pair_weight;	/* (P) */
	int32_t    *pair_post;		/* (P) the post the pair comes from */
	int32_t    *pair_without;	/* (P) the same, to be left out of the item's profile; -1 where it is all the item has */
	int32_t    *pair_item;		/* (P) */
	float	   *item_feature;	/* (C+P) ln(1 + users of the column's item); of the pair's, but for its own user */
	int32_t    *skip_ptr;		/* (U+1) */
	int32_t    *skip_column;
	float	   *multiplicity;	/* (U+G) pairs of each user and of each target */
} TowerBatch;

extern TrStatus tower_planner_create(Tower *t, TrError *err);
extern void tower_planner_destroy(Tower *t);
extern void tower_plan_epoch(Tower *t, int epoch);
/* false when the epoch is over; a batch may come out without pairs. */
extern bool tower_plan_step(Tower *t, TowerBatch *batch);

/* tower_train.c, tower.c: slots of TrAlgorithm */
extern size_t tower_estimate(const TrShape *shape, const void *options);
extern TrStatus tower_create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset,
							 const void *options, TrError *err);
extern TrStatus tower_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus tower_save(TrModel *model, TrTensor **tensors, int *count, TrError *err);
extern TrStatus tower_restore(TrModel *model, const TrTensor *tensors, int count, TrError *err);
extern TrStatus tower_load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *options,
						   const TrTensor *tensors, int count, TrError *err);
extern int	tower_model_width(const TrModel *model, int *unit);
extern TrStatus tower_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							TrError *err);
extern TrStatus tower_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err);
extern void tower_destroy(TrModel *model);

/* What the algorithms of the family share: the slots of TrAlgorithm, and the description of a table of options. */
#define TOWER_SLOTS \
	.task = TR_TASK_ITEM, .estimate = tower_estimate, .create = tower_create, .train_epoch = tower_train_epoch, \
	.save = tower_save, .restore = tower_restore, .load = tower_load, .width = tower_model_width, .embed = tower_embed, \
	.encode = tower_encode, .destroy = tower_destroy

#define TOWER_OPTION_SET(table, preset_list) \
	{.options = (table), .count = sizeof(table) / sizeof((table)[0]), .presets = (preset_list), \
	 .size = sizeof(TowerOptions), .check = tower_check_options}

#endif
