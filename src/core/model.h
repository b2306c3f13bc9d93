/*
 * An algorithm: one const TrAlgorithm, in one file of src/models, named in one line of src/models/algorithms.h.
 * An algorithm knows the dataset and the backend's operations; it knows neither a kernel nor PostgreSQL.
 */
#ifndef TR_MODEL_H
#define TR_MODEL_H

#include "core/backend.h"
#include "core/dataset.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/status.h"
#include "core/task.h"

typedef enum TrSide
{
	TR_USER,
	TR_ITEM
} TrSide;

struct TrAlgorithm;
struct TrTensor;
struct TrRange;

typedef struct TrMirror
{
	float	   *host;
	float	   *device;
	size_t		n;
} TrMirror;

/* A model in training, or loaded from its tensors; every implementation's struct starts with this. */
typedef struct TrModel
{
	const struct TrAlgorithm *algorithm;
	TrBackend  *backend;
	TrMemory   *memory;			/* its own: what is taken here goes with the model */
	const TrDataset *dataset;	/* that it is trained on; NULL in a model that was loaded */
	const void *options;		/* of the algorithm; its own copy */
	int32_t		n_tags;
	int			epochs;			/* planned at most; set by tr_train(), 0 outside it; the first epoch may change it */
	const struct TrPoll *poll;	/* of create(), which may be asked to stop; NULL at other times */

	/*
	 * Numbers of a stored array, 0 = the model has none. Task item: the score of (user, item) is the inner product of the
	 * two arrays, or what score_items() says of them, plus the sparse part if there is one. The first `unit` of them are
	 * what similar users and items are compared by, as its cosine; 0 = there is nothing to compare by. The rest are biases
	 * and priors. Task rating: what was a score is the predicted value, which may lie outside of the range of those it was
	 * trained on.
	 */
	int			width,
				unit;
	const float *rows[2];		/* by TrSide: the arrays in backend memory, of a model that keeps them so */

	/* models/base.c: backend memory that goes with it; whether an allocation failed, on the host or there */
	void	  **device;
	int			n_device;
	bool		host_is_full;
	bool		device_is_full;

	/* what saving gives, and where restoring puts it; the ranges of the numbers */
	struct TrTensor *tensors;
	struct TrRange *ranges;
	int			n_tensors;

	/* host memory whose numbers live in the backend: brought here by saving, and there by restoring */
	struct TrMirror *mirrors;
	int			n_mirrors;

	/* what is being loaded or restored; NULL at other times */
	const struct TrTensor *stored;
	int			n_stored;
} TrModel;

typedef struct TrShape
{
	int32_t		n_users,
				n_items,
				n_tags,
				n_posts;
	int64_t		n_assignments;
} TrShape;

typedef struct TrEpochStats
{
	double		loss;			/* mean over the epoch's training pairs */
	int64_t		pairs;			/* training pairs seen */
	bool		last;			/* out: the model needs no further epoch (closed forms) */
	bool		partial;		/* out: there is no model to measure yet, only parts of one */
} TrEpochStats;

/* How far the work at hand is: a pass over the pairs, a closed form, a measurement. */
typedef struct TrWork
{
	int			epoch,			/* that is running, of so many at most; 0 = none yet */
				epochs;
	const char *unit;			/* "pairs": what is counted; NULL = nothing yet */
	int64_t		done,
				total;
} TrWork;

/*
 * Called between steps, at least once per 0.1 s of work where a step is that short; true = stop. May not return (longjmp).
 */
typedef struct TrPoll
{
	bool		(*stop) (void *argument);
	void	   *argument;
	TrWork	   *work;			/* NULL = nobody wants to know */
} TrPoll;

static inline bool
tr_poll(const TrPoll *poll)
{
	return poll && poll->stop && poll->stop(poll->argument);
}

/* Small pieces of work, entries for example, between two polls: some milliseconds even where each waits for memory */
#define TR_POLL_WORK (1 << 18)

/* The same, but only when so much has been done; *since = what was done since it was last asked */
static inline bool
tr_poll_after(const TrPoll *poll, int64_t *since, int64_t work)
{
	*since += work;
	if (*since < TR_POLL_WORK)
		return false;
	*since = 0;
	return tr_poll(poll);
}

/* The same, after it was said how far the work is. */
static inline bool
tr_poll_at(const TrPoll *poll, const char *unit, int64_t done, int64_t total)
{
	if (poll && poll->work)
	{
		poll->work->unit = unit;
		poll->work->done = done;
		poll->work->total = total;
	}
	return tr_poll(poll);
}

/*
 * A named matrix of a trained model, in host memory. Where one is read, everything of it may be wrong but that value, and
 * whole, is NULL or has rows x cols numbers.
 */
typedef struct TrTensor
{
	char		name[64];		/* ends with a 0, or fills it */
	int32_t		rows,
				cols;
	float	   *value;			/* (rows,cols) */
	const int32_t *whole;		/* (rows,cols) in place of value, which is then NULL: whole numbers */
	bool		training;		/* restore() reads it and load() does not: a version does not store it */
} TrTensor;

/*
 * Functions of an algorithm trust their arguments except tensors. Callers that read them from a table must check them
 * first: ptr starts at 0 and never falls, ends and positions likewise; indices are from 0 up to what they count (tags below
 * the model's n_tags), ascend where it says so, and are then distinct; counts are from 0 to TR_MOST_WEIGHT; arrays have the
 * model's width. Numbers of arrays and weights may be any: no index is made of them unchecked.
 */

/* Tag profiles of users or items, which may be new: raw counts, in host memory. */
typedef struct TrProfiles
{
	int32_t		rows;
	const int64_t *ptr;			/* (rows+1) */
	const int32_t *tag;			/* ascending within a row, distinct */
	const float *count;
	const int32_t *posts;		/* (rows) posts of each profile (an item's taggers); NULL = unknown, 0 */
} TrProfiles;

/* A sparse vector in host memory. */
typedef struct TrSparse
{
	int32_t		n;
	const int32_t *index;		/* (n) ascending, distinct */
	const float *value;			/* (n) */
} TrSparse;

/*
 * What the entries of a user's sparse vector stand for: items, tags, users, or several of these one after the other, in
 * this order. With N items, T tags and U users, item i is feature i; tag t is feature t, or N + t after the items; and so
 * on.
 */
typedef enum TrFeatures
{
	TR_FEATURES_NONE = 0,
	TR_FEATURES_ITEMS = 1,
	TR_FEATURES_TAGS = 2,
	TR_FEATURES_USERS = 4
} TrFeatures;

static inline int64_t
tr_feature_count(int features, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	return (features & TR_FEATURES_ITEMS ? (int64_t) n_items : 0) + (features & TR_FEATURES_TAGS ? n_tags : 0)
		+ (features & TR_FEATURES_USERS ? n_users : 0);
}

/*
 * What is known of a user who may be new: items of the training data, with how much each counts (1 is once); the profile of
 * tags, raw counts; and how often he would have given which tags to the items if he were the average of their users.
 */
typedef struct TrHistory
{
	TrSparse	items;
	TrSparse	tags;
	TrSparse	item_tags;
} TrHistory;

/* His own tags; without any, those of his items. */
static inline TrSparse
tr_history_tags(const TrHistory *history)
{
	return history->tags.n > 0 ? history->tags : history->item_tags;
}

/* What is stored of a trained model outside its tensors: the items' arrays, and the weights of the features. */
typedef struct TrCatalogue
{
	int32_t		n_items;
	int			width;			/* of the model's arrays */
	const float *array;			/* (n_items,width), stride floats apart */
	size_t		stride;
	int64_t		n_features;		/* of all kinds */
	const int64_t *ptr;			/* (n_features+1) into the two below */
	const int32_t *item;		/* ascending within a feature */
	const float *weight;
} TrCatalogue;

/*
 * A post that tags are wanted for: what is known of its user and its item, and the tags it has. A part that is unknown is
 * empty (n = 0, NULL). Everything is host memory; tags are ascending.
 */
typedef struct TrPost
{
	const float *user,			/* (width) stored arrays; NULL = not one of the model's users, items */
			   *item;
	TrSparse	user_tags,		/* profiles: tags, raw counts; the post itself is part of them when it was trained on */
				item_tags;
	int32_t		item_posts;		/* users of the item */
	int32_t		n_posts;		/* the user's posts */
	const int32_t *post_item;	/* (n_posts) ascending */
	const int32_t *post_end;	/* (n_posts) post p has post_tag[p == 0 ? 0 : post_end[p - 1] .. post_end[p]) */
	const int32_t *post_tag;
	TrSparse	similar;		/* feature_weights() of the item: items like it */
	int32_t		own;			/* which of the user's posts this one is; -1 = none, it was not trained on */
	int32_t		n_given;		/* tags it has, as input */
	const int32_t *given;
} TrPost;

/* The items of a version that is refreshed: item i is item from[i] of those that the weights are of, -1 = a new one. */
typedef struct TrRenumbering
{
	int32_t		n_tags;
	int32_t		n_before;
	int32_t		n_items;
	const int32_t *from;		/* (n_items) */
} TrRenumbering;

typedef struct TrAlgorithm
{
	const char *name;			/* SQL name: 'hdlpr_ns' */
	const char *summary;		/* one sentence, for tagrec_algorithms */
	const char *source;			/* paper and equation, for tagrec_algorithms */
	const TrTask *task;
	const TrOptionSet *options;

	/*
	 * embed() goes by who has which item, too, in the dataset that the model was trained on; in any other, and in a
	 * model that was loaded, it is encode() of the tags.
	 */
	bool		knows_items;

	/* What a dataset may lack, and what it may have: see the notes on them in dataset.h. */
	bool		pairs_alone;	/* pairs without tags can be trained on; the task rating always can: see tr_needs_tags() */
	bool		uses_values;	/* of pairs: how much they count; all of the task rating do */
	bool		uses_attributes;	/* profiles of users and items beside their tags */

	/* Counting the dataset, in create(), is all of training: a refresh counts again, where others load what was trained. */
	bool		counts;

	/* Bytes that training will need at its peak beyond the dataset: host and backend memory together. */
	size_t		(*estimate) (const TrShape *shape, const void *options);


	/* (optional) Epochs that are planned where none are asked for; otherwise tr_usual_epochs(30, posts). */
	int			(*usual_epochs) (const void *options, int64_t posts);
	size_t		size;			/* of the struct that starts with a TrModel */
	bool		loads;			/* a model can be loaded from what is stored, to encode or to score */

	/*
	 * Makes a model ready to train on model->dataset, which outlives it; or, where that is NULL, one to be loaded: what it
	 * takes of the stored tensors is there as soon as it has asked for it (models/base.h). The struct is zeroed but for its
	 * TrModel. Of a model that fails, whatever it has taken is freed.
	 */
	TrStatus	(*create) (TrModel *model, TrError *err);

	/* One pass over the training pairs; epoch = 1, 2, … */
	TrStatus	(*train_epoch) (TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);

	/*
	 * (optional) Between the backend's numbers coming to the host and the tensors being read; after the tensors were
	 * written, by tr_model_load() or tr_model_restore().
	 */
	TrStatus	(*saving) (TrModel *model, TrError *err);
	TrStatus	(*restored) (TrModel *model, TrError *err);

	/* (optional) In place of all that, for a model made of models; create() then loads what is stored by itself. */
	TrStatus	(*save) (TrModel *model, TrTensor **tensors, int *count, TrError *err);
	TrStatus	(*restore) (TrModel *model, const TrTensor *tensors, int count, TrError *err);

	/*
	 * (optional, where the width is always 0) out (n,width) = the arrays of entities first..first+n-1 of dataset, which may
	 * hold more users and items than the one the model was trained on when the algorithm has encode(). Not asked of a model
	 * that was loaded unless it has encode().
	 */
	TrStatus	(*embed) (TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
						  TrError *err);

	/* (optional) out (rows,width) = the arrays of these profiles; NULL when the algorithm does not read tags. */
	TrStatus	(*encode) (TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err);

	/*
	 * (optional; all of features, user_features and feature_weights, or none) The sparse part of a score, for neighbourhood
	 * models:
	 *     sum over the entries f of user_features(user) of value_f * feature_weights(f)[item]
	 * features() says what the entries stand for, as a set of TrFeatures. user_features() takes its user from dataset, as
	 * embed() does; feature_weights() names items of the dataset that the model was trained on. What they return is the
	 * model's until the function is called again. A model that was loaded has encode_features() alone: stored rows have the
	 * rest. encode_features() (optional) is user_features() for a profile that may be new.
	 * In the task tag, features() is TR_FEATURES_ITEMS, there is no user_features(), and feature_weights(i) are items like
	 * i.
	 */
	int			(*features) (const TrModel *model);
	TrStatus	(*user_features) (TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err);
	TrStatus	(*feature_weights) (TrModel *model, int32_t feature, TrSparse *out, TrError *err);
	TrStatus	(*encode_features) (TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err);

	/*
	 * (optional, not for the task tag) array (width), features = what embed() and user_features() would give for a user
	 * with this history; the array is zeroed before. Of a model that was loaded; where the algorithm has not set `loads`,
	 * that is one with options and nothing else, which create() was not called for. The catalogue is the same in every
	 * call, so that what follows from it may be kept. Without this function, a user is what encode() and encode_features()
	 * make of the tags. features are the model's until the next call.
	 */
	TrStatus	(*fold_in) (TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array,
							TrSparse *features, TrError *err);

	/*
	 * (optional, where stored tensors have numbers for each item) Gives the tensors of a model, from memory, the items of a
	 * refresh. With embeds_items, embed() of what is loaded from them knows who has which of these items in a dataset that
	 * has as many.
	 */
	bool		embeds_items;
	TrStatus	(*renumber_items) (const TrRenumbering *renumbering, const void *options, TrTensor *tensors, int count,
								   TrMemory *memory, TrError *err);

	/*
	 * (optional, with fold_in) out (items of the history) = what having each of them adds to the score of an item, so far
	 * as it does not come from features that stand for items.
	 */
	TrStatus	(*contributions) (TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item,
								  float *out, TrError *err);

	/*
	 * (optional, not for the task tag) In place of the inner product: out (n) = what a network says of a user's array and
	 * each of n items' arrays, which start at items[0], items[stride], … . Also on a model that was loaded, so `loads` must
	 * be set; such a model has what create() asked of the stored tensors, not the arrays, which the caller has. The width
	 * must be above 0. Reads host memory alone, as the weights that tr_mirror() keeps there: in training, they are what
	 * save() copied last, which validation sees to. An item's value is the same, to the bit, whichever others it is asked
	 * with, and wherever they lie. For many users and items in turn, by one thread: work space may be the model's, taken in
	 * create(). A member of a blend cannot have it.
	 */
	TrStatus	(*score_items) (TrModel *model, const float *user, const float *items, size_t stride, int32_t n, float *out,
								TrError *err);

	/*
	 * (task rating) out (width) = the array of a user, or an item, of whom nothing is known: a prediction then is what the
	 * other one says, and the mean where neither is known. Also on a model that was loaded, so `loads` must be set.
	 */
	TrStatus	(*unknown) (TrModel *model, TrSide side, float *out, TrError *err);

	/*
	 * (task tag) out (n,T) = the score of every tag for each of these posts. Also on a model that was loaded: `loads` must
	 * be set, though encode() is optional. Reads host memory alone: what training keeps elsewhere is what save() copied
	 * last.
	 */
	TrStatus	(*score_tags) (TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err);

	/*
	 * (optional) Before the first epoch: the pairs held out from the dataset, for what a model chooses by them; they
	 * outlive the training. Without validation it is not called.
	 */
	void		(*held_out) (TrModel *model, const TrPairs *pairs);

	/*
	 * (optional) Of a trained model: options, a copy of its own, get what it has chosen by held-out pairs, so that with
	 * them it would choose nothing; false = there is nothing to say.
	 */
	bool		(*settled) (const TrModel *model, void *options);

	/* (optional) Before the model's memory goes, on the host and in the backend. */
	void		(*destroy) (TrModel *model);
} TrAlgorithm;

/* What features() says; nothing for an algorithm without a sparse part. */
static inline int
tr_features(const TrModel *model)
{
	return model->algorithm->features ? model->algorithm->features(model) : TR_FEATURES_NONE;
}

static inline bool
tr_needs_tags(const TrAlgorithm *algorithm)
{
	return !algorithm->pairs_alone && !algorithm->task->values;
}

/* Can users be folded in who were not trained on? And do their tags matter? */
extern bool tr_folds_in(const TrAlgorithm *algorithm);
extern bool tr_reads_tags(const TrAlgorithm *algorithm);

/* TR_BAD_OPTION for an algorithm that cannot be trained on pairs without tags, with those that can in the hint. */
extern TrStatus tr_check_untagged(const TrAlgorithm *algorithm, TrError *err);

/* dataset outlives the model. poll is looked at where creating takes its time. */
extern TrStatus tr_model_create_polled(TrModel **model, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend,
									   const TrDataset *dataset, const void *options, const TrPoll *poll, TrError *err);
extern TrStatus tr_model_create(TrModel **model, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend,
								const TrDataset *dataset, const void *options, TrError *err);
extern void tr_model_destroy(TrModel *model);

/* The trained parameters, copied to model->memory; *tensors stays the model's. */
extern TrStatus tr_model_save(TrModel *model, TrTensor **tensors, int *count, TrError *err);

/*
 * Overwrites a trained or created model's parameters (same shapes): restores the best epoch. Tensors that are not exactly
 * what save() of such a model may give are TR_BAD_DATA, here and in tr_model_load(): missing or surplus ones, other sizes,
 * numbers that are not finite or out of their range.
 */
extern TrStatus tr_model_restore(TrModel *model, const TrTensor *tensors, int count, TrError *err);

/*
 * A model that can encode, score or fold in but not train, from what save() gave but for tensors of training, which need
 * not outlive the call; n_tags is the size of its vocabulary. How many users and items the model was trained on is what the
 * tensors say: positions that encode_features() gives are for the caller to hold against those that it knows of.
 */
extern TrStatus tr_model_load(TrModel **model, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend,
							  int32_t n_tags, const void *options, const TrTensor *tensors, int count, TrError *err);

/*
 * The way to call embed() and encode() for what is stored or shown: a number that is not finite is TR_NOT_FINITE. They come
 * from parameters that ran away in training, or from profiles whose counts are beyond what a float can square and add.
 */
extern TrStatus tr_model_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							   TrError *err);
extern TrStatus tr_model_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err);
extern TrStatus tr_model_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array,
								 TrSparse *features, TrError *err);

/* src/models/algorithms.c */
extern const TrAlgorithm *const tr_algorithms[];	/* ends with NULL */
extern const TrAlgorithm *tr_algorithm_find(const char *name);	/* NULL when there is none */

#endif
