/*
 * abnt: a multi-layer perceptron over the vectors of a post's user and item, and attention over the tags that the user gave
 * before. After Yuan et al.: Attention-based neural tag recommendation (2018), as Zhao et al. (2022) compare with it:
 *
 *     q = tanh(Wq [p_u, p_i] + bq)				what the user and the item ask
 *     a_s ~ c_s exp(q . e_s / sqrt(D))			of the tags s that the user gave before, c_s times; they add up to 1
 *     x = [sum of a_s e_s, p_u, p_i]				the perceptron's input
 *     y = softmax(W x' + b)						over all tags, or a sample of them, of its last layer x'
 *
 * Attention without positions does not see an order: the sequence is a bag. A tag that stands in it c times is c equal
 * terms of the softmax, hence the factor. It has the tags of the user's other posts, or, where times are known, in training
 * those of earlier posts only (option history). The post itself is left out of it, by its user's counts less one; of a long
 * one the most used tags stay. Tags that the post has already (given) can join the sequence, with vectors of their own:
 * training then hides some of a post's tags and learns to find those.
 *
 * abnt.c        options, parameters, create		abnt_train.c  one epoch
 * abnt_batch.c  the rows of a step				abnt_serve.c  tags for a post, on the host
 * abnt_earlier.c  the tags given before a post
 *
 * Legend: U users, I items, T tags, D width of the vectors, H width of the last layer, F rows of the table, R posts of a
 * step.
 */
#ifndef ABNT_H
#define ABNT_H

#include <math.h>

#include "models/nn/parameters.h"
#include "models/nn/rows.h"
#include "models/nn/tag_sample.h"

typedef enum AbntGiven
{
	ABNT_NONE,					/* tags of the post are no input */
	ABNT_SOME,					/* training gives as many as it draws, from none to all but one */
	ABNT_OTHERS					/* training gives all but one */
} AbntGiven;

typedef enum AbntHistory
{
	ABNT_ALL,
	ABNT_EARLIER
} AbntHistory;

typedef enum AbntActivation
{
	ABNT_RELU,
	ABNT_TANH,
	ABNT_SIGMOID
} AbntActivation;

typedef struct AbntOptions
{
	int			dimensions;
	int			sequence;
	int			history;
	int			given;
	TrIntList	layers;
	int			activation;
	double		dropout;
	double		id_dropout;
	int			samples;
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	double		init_std;
	int			batch;
	int			epochs;
	uint64_t	seed;
} AbntOptions;

/* Parts of the perceptron's input, and of the vectors that a step makes: (3R,D), one part behind the other. */
enum
{
	ABNT_CONTEXT,
	ABNT_USER,
	ABNT_ITEM,
	ABNT_PARTS
};

/* Where the parameters lie in their array. */
typedef struct AbntLayout
{
	int32_t		U,				/* 0 in a model that was loaded: posts bring their vectors */
				I,
				T;
	int			D;
	/* rows of the table: tags given before from 0, then tags given to the post, users, items */
	int32_t		given,
				users,
				items;
	int32_t		rows;			/* F */
	int			layers;
	int			width[TR_MAX_INTS + 1];	/* of the input, then of every layer */
	int64_t		query;			/* (2D,D), behind the table (F,D) */
	int64_t		query_bias;		/* (D) */
	int64_t		layer[TR_MAX_INTS];	/* (width before, width) */
	int64_t		layer_bias[TR_MAX_INTS];
	int64_t		decoder;		/* (T,H) */
	int64_t		tag_bias;		/* (T) */
} AbntLayout;

/* The plan of one step. */
typedef struct AbntBatch
{
	int32_t		rows;			/* R */
	TrRows		sequence;		/* (R,F) tags given before, tags given to the post */
	TrRows		ids;			/* (2R,F) the users, then the items */
	TrRows		targets;		/* (R,T) */
	TrTouched	touched;		/* rows of the table that sequences and ids name */
} AbntBatch;

/* Work space of abnt_earlier(); (T) each */
typedef struct AbntEarlier
{
	float	   *count;			/* zeros */
	int32_t    *tag;
	float	   *value;
} AbntEarlier;

typedef struct Abnt
{
	TrModel		model;
	AbntOptions options;
	AbntLayout	layout;
	TrParameters p;

	/* abnt_batch.c */
	AbntBatch	batch;
	int32_t    *order;			/* (posts) of this epoch */
	int32_t		next;			/* in order */
	uint64_t   *keys;			/* work space of abnt_sequence() */
	AbntEarlier earlier;
	TrTagSample sample;			/* where the softmax is not over all tags; the columns of targets go by it */

	/* step buffers */
	TrUpload	upload;
	TrBuffer	moves;			/* abnt_train.c: how rows change places */
	int32_t		moves_rows;		/* for so many posts */
	TrBuffer	weight;			/* one per entry of the sequences */
	TrBuffer	score_grad;		/* the same */
	TrBuffer	parts;			/* (3R,D) */
	TrBuffer	parts_grad;		/* (3R,D) */
	TrBuffer	ids;			/* (R,2D) */
	TrBuffer	ids_grad;		/* (R,2D) */
	TrBuffer	query;			/* (R,D) */
	TrBuffer	query_grad;		/* (R,D) */
	TrBuffer	value[TR_MAX_INTS + 1];	/* (R,width): the input, what the layers make of it */
	TrBuffer	dropped[TR_MAX_INTS + 1];	/* what dropout leaves of it */
	TrBuffer	value_grad[TR_MAX_INTS + 1];
	TrBuffer	logits;			/* (R,T), or (R,C) of the sample */
	TrBuffer	table_grad;		/* (touched,D) */

	float	   *decoder;		/* (T, tr_dot_stride(H)) padded with zeros: of what was last saved or loaded */
	float	   *scratch;		/* of score_tags() */
	size_t		scratch_floats;
} Abnt;

static inline int
abnt_last_width(const AbntLayout *l)
{
	return l->width[l->layers];
}

static inline float
abnt_scale(const AbntLayout *l)
{
	return 1 / sqrtf((float) l->D);
}

/* abnt.c */
extern TrActivation abnt_activation(const AbntOptions *o);

/* abnt_batch.c */
extern TrStatus abnt_planner_create(Abnt *m, TrError *err);
extern void abnt_plan_epoch(Abnt *m, int epoch);
extern TrStatus abnt_plan_step(Abnt *m, int epoch, TrError *err);	/* no rows: the epoch is over */

/*
 * The tags of a user's profile that attention looks at: what is left when each of own is counted once less, and of that the
 * `most` most used, ties to the smaller tag. col, val and keys have room for the profile. Returns how many, tags ascending.
 */
extern int32_t abnt_sequence(const TrSparse *profile, const int32_t *own, int32_t n_own, int32_t most, int32_t *col,
							 float *val, uint64_t *keys);

/* abnt_earlier.c: what history asks for; the tags of the user's posts with earlier times, until the next call */
extern TrStatus abnt_earlier_create(Abnt *m, TrError *err);
extern TrSparse abnt_earlier(Abnt *m, int32_t post);

/* abnt_train.c */
extern TrStatus abnt_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* abnt_serve.c */
extern TrStatus abnt_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err);
/* After the parameters on the host have changed: decoder follows. */
extern TrStatus abnt_pad_decoder(TrModel *model, TrError *err);

#endif
