/*
 * The choices of dae_ptr. The preset "paper" is the paper's reading; the defaults are the best recipe measured.
 */
#ifndef DAE_PTR_OPTIONS_H
#define DAE_PTR_OPTIONS_H

#include "core/options.h"

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
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			decay;
	bool		touched_rows;
	int			init;
	double		init_std;
	int			batch;
	int			epochs;
	uint64_t	seed;
} DaeOptions;

extern const TrOptionSet dae_option_set;

#endif
