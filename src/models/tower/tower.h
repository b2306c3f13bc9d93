/*
 * The network of the DSPR family (dspr, hdlpr, hdlpr_ns): one tanh tower shared by users and items over their tag profiles
 * (Eq. 1-5), cosine of the two outputs (Eq. 6), a softmax over candidates (Eq. 7, 8, 14), and, for the hybrid models, a
 * decoder with tied weights and its reconstruction error (Eq. 9-13). The paper is Xu, Lukasiewicz, Chen, Miao, Meng:
 * Tag-aware personalized recommendation using a hybrid deep model, IJCAI 2017.
 *
 * tower_options.h  what can be chosen
 * tower_network.c  parameters, forward and backward passes
 * tower_batch.c    which users, items and pairs make up a step (host)
 * tower_profiles.c what of the items' profiles is read
 * tower_train.c    one epoch
 * tower_choice.c   options chosen on held-out pairs, before the first epoch
 * tower.c          the TrAlgorithm functions: create, save, load, encode
 * tower_fold_in.c  users who were not trained on
 * tower_popularity.c  embed(), with the popularity of new items
 *
 * Legend: T tags, K layers, D width of the last one, R rows of a batch, U users, C candidate items, P pairs, G target
 * items.
 */
#ifndef TOWER_H
#define TOWER_H

#include "models/nn/stack.h"
#include "models/tower/tower_options.h"
#include "models/nn/upload.h"

typedef struct Tower
{
	TrModel		model;
	TowerOptions options;		/* what is open in the model's own is filled in */
	float	   *chosen;			/* (1) tensor "temperature", as chosen; NULL = it was given */
	const TrDataset *dataset;	/* NULL in a model that was loaded */
	TrStack		stack;			/* its last layer is the embedding, D wide */
	TrParameters p;
	int64_t		popularity_weight;	/* a parameter when popularity is on; not regularized, as W and b are (Eq. 13) */
	double		rate;			/* of this epoch */

	float	   *idf;			/* (T) backend memory */
	float	   *host_idf;		/* (T) */
	float	   *mean_length;	/* (2) assignments of a user's, an item's profile */
	TrProfileTable side[2];		/* TR_USER, TR_ITEM, in backend memory; empty when loaded */
	const int64_t *item_entry_ptr;	/* (items+1) host memory: that of the items' profiles as they are read */

	/* what tower_batch.c keeps between steps, see there */
	struct TowerPlanner *planner;

	/* step buffers */
	TrBuffer	csr[3][3];		/* group (user, candidate, positive) x (ptr, col, val) */
	TrBuffer	embedding;		/* (R,width) */
	TrBuffer	embedding_grad;
	TrBuffer	norm;			/* (R) */
	TrBuffer	logits;			/* (U,C) */
	TrBuffer	pair_logit;		/* (P) */
	TrBuffer	pair_grad;		/* (P) */
	TrUpload	upload;			/* the batch's integers and floats */
	int32_t    *encoded;		/* 0, 1, … while encoding */

	/* tower_popularity.c: (items) users that new items are expected to get, of this dataset */
	float	   *expected;
	const TrDataset *expected_of;
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
/* Returns where the weight of popularity is. */
extern int64_t tower_layout(TrStack *stack, TrParameters *p, const TowerOptions *options, int32_t n_tags);
/* csr = n rows with room for so many entries; its memory is the group's */
extern TrStatus tower_reserve_rows(Tower *t, int group, int n, int64_t entries, TrCsr *csr, TrError *err);
extern TrProfileWeights tower_profile_weights(const Tower *t, TrSide side);

/* Is the step of W1 one with its gradient? Not where the decoder adds to this. */
static inline bool
tower_first_apart(const Tower *t)
{
	return t->options.reconstruction <= 0;
}

/* Encodes rows of up to three groups; afterwards embedding (R,width) holds users as they are and items times item_scale. */
extern TrStatus tower_forward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale,
							  const float *item_feature, TrError *err);
/*
 * From embedding_grad (R,width) to the gradient of every parameter, W1 apart where it is; that of hidden[K] of the first
 * `decoded_rows` rows comes on top.
 */
extern TrStatus tower_backward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale,
							   const float *item_feature, int decoded_rows, TrError *err);
/* Decodes the users and targets, adds the reconstruction loss, and leaves its gradient in decoded_grad[K] (U+G,D). */
extern TrStatus tower_reconstruct(Tower *t, const TrCsr *users, const TrCsr *targets, int n_targets,
								  const float *multiplicity, float scale, TrError *err);

/* tower_batch.c: the plan of one step, host memory, valid until the next one; and its arrays in backend memory */
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
extern void tower_plan_epoch(Tower *t, int epoch);
/* false when the epoch is over; a batch may come out without pairs. */
extern bool tower_plan_step(Tower *t, TowerBatch *batch);

/*
 * tower_profiles.c: the items' profiles that training reads, the dataset's or copies in host memory, which go once they
 * have been uploaded
 */
extern TrStatus tower_read_profiles(Tower *t, TrProfileTable *read, TrError *err);
/* Bytes that such copies take */
extern size_t tower_profiles_bytes(const TrShape *shape, const TowerOptions *o);
extern void tower_forget_profiles(Tower *t, const TrProfileTable *read);

/* tower_choice.c: is something to be chosen? */
extern bool tower_is_open(const TowerOptions *o);
/* o = the i-th of those tried, where it is not given; the first is what to take in doubt. */
extern void tower_set_tried(TowerOptions *o, const TowerOptions *given, int i);
extern void tower_take(Tower *t, const TowerOptions *chosen);

/* tower_train.c, tower.c: slots of TrAlgorithm */
extern size_t tower_estimate(const TrShape *shape, const void *options);
/* The same over profiles that are not the dataset's, which are read as they are */
extern size_t tower_estimate_over(const TrShape *shape, const void *options);
extern TrStatus tower_create(TrModel *model, TrError *err);
/* The same over a dataset of its own, NULL when loaded; inputs from n_tags on start without a say. */
extern TrStatus tower_create_over(Tower *t, const TrDataset *dataset, int32_t inputs, int32_t n_tags, TrError *err);
extern TrStatus tower_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
/* The same, with a choice before the first one; and after a choice was read back. */
extern TrStatus tower_choose_and_train(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus tower_restored(TrModel *model, TrError *err);
extern TrStatus tower_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err);

/*
 * What the algorithms of the family share: the slots of TrAlgorithm, some of which hybrid has its own for; and the
 * description of a table of options.
 */
extern TrStatus tower_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							TrError *err);
/* What ln(1 + users) is multiplied by in an item's array. */
extern TrStatus tower_popularity_factor(Tower *t, float *factor, TrError *err);

/* tower_fold_in.c: the slot; and for profiles that have their items among the tags, so many times, steps taken towards them */
extern TrStatus tower_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array,
							  TrSparse *features, TrError *err);
extern TrStatus tower_fold_in_with(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float times,
								   int steps, float *array, TrError *err);

#define TOWER_SHARED_SLOTS \
	.task = TR_TASK_ITEM, .loads = true, .train_epoch = tower_choose_and_train, .restored = tower_restored, \
	.encode = tower_encode

#define TOWER_SLOTS \
	TOWER_SHARED_SLOTS, .size = sizeof(Tower), .estimate = tower_estimate, .create = tower_create, \
	.embed = tower_embed, .fold_in = tower_fold_in

#define TOWER_OPTION_SET(table, preset_list) \
	{.options = (table), .count = sizeof(table) / sizeof((table)[0]), .presets = (preset_list), \
	 .size = sizeof(TowerOptions), .check = tower_check_options}

#endif
