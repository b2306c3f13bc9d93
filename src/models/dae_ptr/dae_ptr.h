/*
 * dae_ptr: a denoising autoencoder over the tags of a post, with a vector for its user and one for its item in the hidden
 * layer. The paper is Zhao et al.: Denoising auto-encoder based personalized tag recommendation, Eq. 7-12:
 *
 *     z = g(W y~ + p_u + q_i + b)		y^ = f(W' z + b')
 *
 * y~ are the post's tags less some that are dropped at random. W, P and Q are one table here, whose rows a post picks as a
 * sparse row does: its tags, its user, its item. Two things the paper does not have are added by option: what the user and
 * the item were given before as sparse parts of the logits (prior), and as inputs (profiles); in both the post itself is
 * left out.
 *
 * Over a large vocabulary the softmax is that of some tags alone: those that the step's posts have as targets, and a
 * sample of the others (nn/tag_sample.h).
 *
 * dae_ptr.c        options, parameters, create		dae_ptr_train.c  one epoch
 * dae_ptr_batch.c  the sparse rows of a step		dae_ptr_serve.c  tags for a post, on the host
 * dae_ptr_known.c  what is known of a post's user and item while training
 *
 * Legend: U users, I items, T tags, K hidden units, F rows of the table, R rows (posts) of a step.
 */
#ifndef DAE_PTR_H
#define DAE_PTR_H

#include "core/topn.h"
#include "models/nn/parameters.h"
#include "models/nn/rows.h"
#include "models/nn/tag_sample.h"
#include "models/tags/tag_neighbours.h"
#include "models/tags/tag_prior.h"
#include "models/nn/upload.h"

typedef enum DaeActivation
{
	DAE_SIGMOID,				/* the paper */
	DAE_TANH,
	DAE_RELU
} DaeActivation;

typedef enum DaeDrop
{
	DAE_DROP_SHARE,				/* each tag with probability `corruption`: the paper */
	DAE_DROP_RANDOM,			/* the same, with a probability of its own for every post */
	DAE_DROP_ONE				/* one tag of every post */
} DaeDrop;

typedef enum DaeLoss
{
	DAE_BCE,					/* Eq. 11 */
	DAE_SOFTMAX
} DaeLoss;

typedef enum DaeTargets
{
	DAE_ALL_TAGS,				/* of the post: the paper */
	DAE_DROPPED_TAGS			/* those that the input lacks; those it has are in no sum */
} DaeTargets;

/* What half the squared parameters are added to (Eq. 12 does not say how a mini-batch has its share) */
typedef enum DaePenalty
{
	DAE_PER_EPOCH,				/* the sum of all posts' losses, shared out over the epoch */
	DAE_PER_BATCH,				/* the sum of each mini-batch's losses */
	DAE_PER_POST				/* the mean of each mini-batch's losses */
} DaePenalty;

typedef enum DaePrior
{
	DAE_NO_PRIOR,
	DAE_PRODUCT					/* what the user and the item were given before */
} DaePrior;

typedef enum DaeDecay
{
	DAE_CONSTANT,
	DAE_LINEAR
} DaeDecay;

typedef enum DaeInit
{
	DAE_GLOROT,
	DAE_NORMAL
} DaeInit;

typedef struct DaeOptions
{
	int			hidden;
	int			activation;
	double		corruption;
	int			drop;
	bool		rescale;
	int			loss;
	int			samples;
	int			targets;
	double		post_balance;
	double		dropout;
	double		id_dropout;
	double		history_dropout;
	int			prior;
	double		user_smoothing;
	double		item_smoothing;
	double		similar;
	int			neighbours;
	bool		profiles;
	int			profile_tags;
	double		regularization;
	int			penalty;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			decay;
	bool		touched_rows;
	int			init;
	double		init_std;
	int			batch;
	int			epoch_posts;
	int			epochs;
	uint64_t	seed;
} DaeOptions;

/* The sparse parts of the logits, each with a learned weight. */
enum
{
	DAE_USER_PART,
	DAE_ITEM_PART,
	DAE_PARTS
};

#define DAE_LOGS 256

/* Where the parameters lie in their array. */
typedef struct DaeLayout
{
	int32_t		U,				/* 0 in a model that was loaded: posts bring their vectors */
				I,
				T;
	int			K;
	int			parts;			/* 0 or DAE_PARTS */
	/* rows of the table: tags from 0, then users, items, tags of the user's profile, tags of the item's */
	int32_t		users,
				items,
				user_profile,
				item_profile;
	int32_t		rows;			/* F */
	int64_t		hidden_bias;	/* (K), behind the table (F,K) */
	int64_t		decoder;		/* (T,K) */
	int64_t		tag_bias;		/* (T) */
	int64_t		prior;			/* (parts); not regularized */
} DaeLayout;

/* The sparse rows of some posts, those that have something to learn. */
typedef struct DaeRows
{
	int32_t		rows;			/* R */
	TrRows		input;			/* (R,F) */
	TrRows		targets;		/* (R,T) */
	TrRows		part[DAE_PARTS];	/* (R,T) */
} DaeRows;

/* The plan of one step. */
typedef struct DaeBatch
{
	int32_t		posts;			/* looked at */
	DaeRows    *rows;			/* of its posts: those of the first planner, once all have theirs */
	TrTouched	touched;		/* rows of the table that the input names */
} DaeBatch;

/* What an epoch's random numbers share, see rng.h. */
typedef struct DaeKeys
{
	uint64_t	history,
				corruption,
				tag_dropout,
				id_dropout;
} DaeKeys;

/* One of the items like an item that the user has a post on. */
typedef struct DaeMatch
{
	int32_t		similar;		/* which of them */
	int32_t		position;		/* the post, among the user's */
} DaeMatch;

/* A tag that counts once less in an item's profile. */
typedef struct DaeLess
{
	double		weight;			/* of the tag in the unit profile */
	double		change;			/* the share of it that goes */
} DaeLess;

typedef union DaeWord
{
	int32_t		whole;
	float		real;
} DaeWord;

/* What the planners know of all users and items; nothing of it changes while they work: dae_ptr_known.c. */
typedef struct DaeKnown
{
	TrTagLogs	user_logs,		/* of the prior */
				item_logs;
	uint8_t    *most_used[2];	/* (entries of all users, items) is it one of the most used tags? NULL = all are */

	/*
	 * What does not change from epoch to epoch, for the posts that were looked at first, while there is room: how many of
	 * the items like the post's item its user has; for each tag of the post, how often the item was given it; for each, its
	 * weight in the item's unit profile; and for each match the position of the user's post, the cosine, and for each tag
	 * of this post its weight in the unit profile of that item.
	 */
	const DaeWord **matches_of; /* (posts) NULL = not kept */
} DaeKnown;

/*
 * Who plans some posts of a step, one thread: their rows, and what is known of the user and the item of the post at hand,
 * without the post.
 */
typedef struct DaePlanner
{
	DaeRows		rows;
	const int32_t *post;		/* (posts) */
	int32_t		posts,
				next;			/* of them; before the end: there was no room for its row */

	int32_t    *dropped_at;		/* (tags of a post) which tags of the post are dropped: the first is 0 */
	TrSparse	user,			/* profiles, or what the step asks of them; counts may be 0 or less */
				item;
	uint8_t    *user_read;		/* (entries) are they an input, too? Those of the profile's most used tags are */
	uint8_t    *item_read;
	bool		thinned;		/* keep says which of the user's posts count, else all but this one */
	uint8_t    *keep;			/* (posts of the user) */
	int32_t    *entry;			/* (entries) of a profile: those that the step asks for */
	int32_t    *user_tag;
	int32_t    *item_tag;
	float	   *user_count;
	float	   *item_count;

	float	   *extra;			/* (T) zeros between calls */
	DaeMatch   *match;			/* (neighbours) */
	DaeLess    *less;			/* (tags dropped) */
	DaeWord    *matches;		/* kept ones */
	size_t		used,			/* of the words in matches */
				room;
	DaeWord    *spare;			/* of a post that there is no room for */
} DaePlanner;

typedef struct Dae
{
	TrModel		model;
	DaeOptions	options;
	DaeLayout	layout;
	TrParameters p;
	double		rate;			/* of this epoch */
	int32_t		most_read;		/* tags of a profile as input */

	TrTagPrior	prior;			/* its log_share (T) is stored */
	float	   *log_share;
	float		log_count[DAE_LOGS];	/* log(1 + count) of the first counts */
	TrTagNeighbours neighbours; /* while training, when the prior looks at similar items */

	/* dae_ptr_batch.c */
	DaeBatch	batch;
	int			planners;		/* as many as there are threads */
	DaePlanner *planner;
	int32_t    *order;			/* (posts) of this pass */
	int32_t		first,			/* in order: those of this epoch */
				end;
	int32_t		next;
	DaeKeys		keys;
	DaeKnown	known;
	TrTagSample sample;			/* where the softmax is not over all tags; the columns of targets and parts go by it */

	/* step buffers */
	TrUpload	upload;
	TrBuffer	hidden;			/* (R,K) */
	TrBuffer	dropped;		/* (R,K) */
	TrBuffer	hidden_grad;	/* (R,K) */
	TrBuffer	logits;			/* (R,T), or (R,C) of the sample */
	TrBuffer	table_grad;		/* (touched,K) with touched_rows, else (F,K) */

	float	   *decoder;		/* (T, tr_dot_stride(K)) of what was last saved or loaded; in p.host where that is K */
	float	   *scratch;		/* of score_tags() */
	size_t		scratch_floats;
	int32_t    *part_tag;		/* (T) of score_tags() */
	float	   *part_value;		/* (T) */
} Dae;

/* dae_ptr.c */
extern TrActivation dae_activation(const Dae *m);

/* dae_ptr_batch.c */
extern TrStatus dae_planner_create(Dae *m, TrError *err);
extern void dae_plan_epoch(Dae *m, int epoch);
/* *more = false when the epoch is over; a batch may come out without rows. */
extern TrStatus dae_plan_step(Dae *m, bool *more, TrError *err);
/*
 * col, val = a profile's tags, as a row of the table's profile columns: from `first` on, of length 1; tags that are not
 * read, or counted 0 times or less, are left out. Returns how many; at most counts->n.
 */
extern int32_t dae_profile_row(const Dae *m, const TrSparse *counts, const uint8_t *read, int32_t first, int32_t *col,
							   float *val);
/* read (n) = is it one of the `most` largest counts? Ties go to those that come first; best has room for `most`. */
extern void dae_most_used(const float *count, int32_t n, int32_t most, uint8_t *read, TrScored *best);
/* In how many epochs each post has its turn once */
extern int	dae_epochs_of_pass(const DaeOptions *o, int64_t posts);
/* Posts of a mini-batch */
extern int	dae_batch(const DaeOptions *o, double posts, int32_t tags);

/* dae_ptr_known.c */
extern TrStatus dae_known_create(Dae *m, TrError *err);
extern bool dae_has_neighbours(const Dae *m);
extern bool dae_uses_history(const Dae *m);
extern size_t dae_known_estimate(const TrShape *shape, const DaeOptions *o);
/* What the planner knows of the post */
extern void dae_know(const Dae *m, DaePlanner *p, int32_t post);
/* Have it on its way from memory: who and what the post is of; then where that is; then what is there */
extern void dae_fetch_post(const Dae *m, int32_t post);
extern void dae_fetch_places(const Dae *m, int32_t post);
extern void dae_fetch_profiles(const Dae *m, int32_t post);
/* extra (T) = what similar items add to the post's user's counts when the first of dropped_at are dropped */
extern void dae_add_similar(const Dae *m, DaePlanner *p, int32_t post, int32_t n_dropped);

/* dae_ptr_train.c, dae_ptr_serve.c: slots of TrAlgorithm */
extern TrStatus dae_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus dae_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err);
/* After the parameters on the host have changed: decoder follows. */
extern TrStatus dae_pad_decoder(TrModel *model, TrError *err);

#endif
