/*
 * Parts of fm: the features of users and of items, a Gibbs sampler over their weights and factors, and the arrays that the
 * samples make.
 *
 * A rating's row of features is its user's beside its item's, so that sums over ratings are sums over users, and over
 * items, of what was added up for each (Rendle 2013). "Side" is one of the two, by TrSide; its entities are users, or
 * items.
 *
 * Legend: n entities of a side, F its features, G its groups, D factors, P ratings.
 */
#ifndef TR_FM_H
#define TR_FM_H

#include "models/base.h"

#define FM_MOST_GROUPS 66

typedef struct FmOptions
{
	int			factors;
	bool		implicit;
	bool		attributes;
	int			samples;
	int			burn_in;
	double		init_std;
	uint64_t	seed;
	int			epochs;
	int			patience;
	int			metric;
} FmOptions;

/* Sparse rows, one way: a row's columns and their values. */
typedef struct FmRows
{
	int64_t    *ptr;
	int32_t    *col;
	float	   *val;
} FmRows;

/* Weights, or the numbers of one factor, of a group of features come from a normal distribution that is sampled, too. */
typedef struct FmPrior
{
	double		mean,
				precision;
} FmPrior;

typedef struct FmSide
{
	int32_t		n;
	int32_t		F;
	int			G;				/* group 0: each entity's own feature, which comes first: feature e is entity e's */
	int32_t		group[FM_MOST_GROUPS + 1];	/* where each group's features start, and end */
	FmRows		features;		/* (n,F) of an entity */
	FmRows		entities;		/* (F,n) that have a feature */
	float	   *w;				/* (F) */
	float	   *v;				/* (D,F) */
	FmPrior    *prior;			/* (D+1,G) of each factor, and of w, which is the last */
	float	   *sum;			/* (D,n) of x_f v_f over an entity's features */
	double	   *ratings;		/* (n) how many */
	bool	   *used;			/* (F) whether an entity with ratings has the feature; others say nothing */
	double	   *e,				/* (n) sums over an entity's ratings: of the residuals, */
			   *eq,				/* of these times the other side's sum, */
			   *q,				/* of that sum, */
			   *qq;				/* of its square */
	float	   *moved;			/* (n) of its sum, since the residuals were computed, */
	float	   *shifted;		/* (n) and of what it adds whoever the other one is */
} FmSide;

typedef struct Fm
{
	TrModel		model;
	FmOptions	options;
	FmSide		side[2];
	double		mean;			/* of the ratings, */
	double		scale;			/* and their standard deviation, which is the unit of everything below */
	double		w0;
	double		alpha;			/* precision of a rating */
	float	   *residual;		/* (P) rating - prediction, in that unit */
	uint64_t	draws;			/* so far, in this sweep */
	int			sweep;
	float	   *saved[2];		/* by TrSide: tensors "users" (n,width), "items" */
	float	   *nobody;			/* tensor "nobody" (2,width), by TrSide: the array of an unknown one */
} Fm;

/* fm_features.c */
extern TrStatus tr_fm_features(Fm *m, TrError *err);

/* fm_sample.c */
extern void tr_fm_start(Fm *m);
extern TrStatus tr_fm_sweep(Fm *m, const TrPoll *poll);
extern double tr_fm_loss(const Fm *m);

/* What the features of an entity, or the prior of its own one where it has no ratings, add to any rating; e < 0: nobody. */
extern double tr_fm_bias(const Fm *m, TrSide side, int32_t e);
/* Likewise its sum of factor k. */
extern double tr_fm_sum(const Fm *m, TrSide side, int32_t e, int k);

#endif
