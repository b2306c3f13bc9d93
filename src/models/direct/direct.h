/*
 * What nrp and neumf share: a network that predicts a rating from what it makes of the user and of the item. Each side has
 * sources: its ratings, each of its profiles, and itself. A source is encoded by layers of its own, or by a vector; all of
 * them are the input of joint layers, the last of which has one number. Beside that there are an inner product of vectors,
 * and biases:
 *
 *     a_u = sum over the user's sources s of encoded_s J_s, a_i likewise
 *     h_1 = act(a_u + a_i + c_1), h_2 = act(h_1 C_2 + c_2), …
 *     prediction = mean + b_u + b_i + p_u . q_i + h_last . C + c
 *
 * array of a user = (a_u, p_u, b_u, 1), of an item = (a_i, q_i, 1, mean + b_i). The joint layers score them.
 * Legend: S sources, J width of the first joint layer, D factors, n entities of a batch on a side, P its ratings.
 */
#ifndef TR_DIRECT_H
#define TR_DIRECT_H

#include "models/factors/factors.h"
#include "models/nn/parameters.h"
#include "models/nn/rows.h"
#include "models/rating/ratings.h"

#define DIRECT_SOURCES 4		/* of a side, beside itself */
#define DIRECT_LAYERS (TR_MAX_INTS + 1)

typedef struct DirectSettings
{
	TrIntList	encoder;		/* sizes of the layers of a source */
	TrIntList	layers;			/* sizes of the joint layers but the last */
	TrActivation activation;
	bool		ratings;		/* are a source */
	bool		attributes;
	bool		own_rating;		/* whether a rating is part of what it is predicted from, in training */
	int			identity;		/* size of the vector that each user and item has as a source; 0 = none */
	int			factors;		/* D of the inner product; 0 = none */
	bool		biases;
	double		dropout;		/* of the joint layers */
	double		input_dropout;	/* of the ratings that are a source */
	double		regularization;
	int			optimizer;
	double		learning_rate;
	bool		decay;
	int			batch;
	uint64_t	seed;
} DirectSettings;

typedef struct DirectSource
{
	const TrProfileTable *table;	/* NULL = ratings */
	int32_t		F;				/* columns */
	int64_t		weight[DIRECT_LAYERS];	/* 1.. of its layers */
	int64_t		bias[DIRECT_LAYERS];
	int64_t		join;			/* (last layer,J) */
	TrRows		list;
	TrCsr		x;				/* (n,F) */
	TrBuffer	layer[DIRECT_LAYERS];
	TrBuffer	dlayer[DIRECT_LAYERS];
} DirectSource;

typedef struct DirectSide
{
	int32_t		n_all;
	int			S;
	DirectSource source[DIRECT_SOURCES];
	TrFactors	identity;		/* (n_all, identity) */
	TrFactors	vector;			/* (n_all, D+2) */
	float	   *saved[2];		/* tensors of the two */
	int64_t		join;			/* of identity */
	int			n;
	int32_t    *entity;			/* (n) of the batch, ascending */
	int32_t    *place;			/* (n_all) of an entity in it */
	int32_t    *batch_entity;
	float	   *arrays;			/* (n_all,width) as of the last epoch */
} DirectSide;

typedef struct Direct
{
	TrModel		model;
	DirectSettings s;
	TrParameters p;
	int			K;				/* joint layers, with the last */
	int64_t		weight[DIRECT_LAYERS + 1];	/* 2..K */
	int64_t		bias[DIRECT_LAYERS + 1];	/* 1..K */
	int			size[DIRECT_LAYERS + 1];	/* 1..K */
	DirectSide	side[2];		/* by TrSide */
	float	   *mean;			/* (1) */
	float	   *nobody;			/* tensor "nobody" (2,width), by TrSide */
	float	   *hidden[2];		/* (largest size) of score_items */
	int			B;
	int32_t    *order;			/* (ratings) shuffled */
	uint8_t    *hidden_post;	/* (posts) is the rating one of the batch? */

	/* a batch */
	int			P;
	int32_t    *row[2];			/* by TrSide: (P) of a rating: place of its user, of its item */
	int64_t    *pair_ptr;		/* (P+1) 0, 2, 4, … */
	int32_t    *pair_col;		/* (2P) place of the user, n users + place of the item */
	float	   *ones;			/* (2P) */
	int64_t    *count;			/* (P+1) */
	int32_t    *zeros;			/* (P) */
	float	   *residual;		/* (P) */
	uint64_t   *sort;			/* (P) ratings by item */
	int32_t    *by_item[2];		/* (P) place of the item, ascending, and the rating */
	TrUpload	upload;
	int32_t    *batch_row[2];
	int32_t    *batch_by_item[2];
	TrCsr		pairs;			/* (P, n users + n items) */
	TrCsr		target;			/* (P,1) */
	int32_t    *identity;		/* (P) 0, 1, 2, … in the backend */
	TrBuffer	joined,			/* (n users + n items,J) and its gradient */
				djoined;
	TrBuffer	layer[DIRECT_LAYERS + 1];	/* 1..K (P,size) */
	TrBuffer	dlayer[DIRECT_LAYERS + 1];
	TrBuffer	dropped[DIRECT_LAYERS + 1];	/* layers after the dropout, if there is one */
	TrBuffer	taken,			/* (P,D+2) the items' vectors, and their gradient */
				dtaken,
				dot;			/* (P) */
	float	   *nothing;		/* (1) 0 */
	double		rate;
} Direct;

/* direct.c */
extern size_t tr_direct_estimate(const TrShape *shape, const DirectSettings *s);
extern TrStatus tr_direct_create(Direct *m, TrError *err);
extern TrStatus tr_direct_restored(TrModel *model, TrError *err);
extern TrStatus tr_direct_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
								TrError *err);
extern TrStatus tr_direct_unknown(TrModel *model, TrSide side, float *out, TrError *err);
extern TrStatus tr_direct_score(TrModel *model, const float *user, const float *items, size_t stride, int32_t n, float *out,
								TrError *err);

/* direct_batch.c: which ratings, and the rows of their users' and items' sources */
extern TrStatus tr_direct_list(Direct *m, int epoch, int32_t first, int n, TrError *err);
extern TrStatus tr_direct_list_all(Direct *m, TrSide side, int32_t first, int n, TrError *err);

/* direct_train.c */
extern TrStatus tr_direct_join(Direct *m, TrSide side, float *joined, TrError *err);
extern TrStatus tr_direct_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus tr_direct_fill_arrays(Direct *m, const TrPoll *poll, TrError *err);

#define DIRECT_FUNCTIONS \
	.task = TR_TASK_RATING, .pairs_alone = true, .loads = true, .size = sizeof(Direct), .train_epoch = tr_direct_epoch, \
	.restored = tr_direct_restored, .embed = tr_direct_embed, .unknown = tr_direct_unknown, .score_items = tr_direct_score

#endif
