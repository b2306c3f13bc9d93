/*
 * The training loop that every algorithm shares: epochs, the held-out metric, patience, the best weights.
 */
#ifndef TR_TRAINER_H
#define TR_TRAINER_H

#include "core/model.h"

/* Options of the loop itself; every algorithm accepts them in addition to its own. */
typedef struct TrTrainOptions
{
	int			epochs;			/* at most; 0 = the usual ones */
	int			stop_after;		/* epochs to run although more are planned; 0 = all that are planned */
	double		max_seconds;	/* after which no epoch begins; 0 = any number */
	double		validation;		/* share of the (user, item) pairs held out */
	int			validation_every;	/* epochs */
	int			patience;		/* validations without a better metric before stopping; 0 = never stop early */
	int			metric;			/* TrMetric */
	int			metric_k;
	uint64_t	seed;
	int			min_tag_count;	/* tags used by fewer assignments are dropped, once */
	int			core;			/* users, items and tags with fewer assignments are dropped until none is left; 0 = off */
	int			duplicates;		/* 0 = by the task, else 1 + TrMerge */
	double		half_life;		/* days in which the weight of an interaction halves; 0 = it does not */
	double		like_from;		/* values below are dislikes */
	double		caution;		/* what recommending takes off a predicted value, by the square root of its item's ratings */
	int			keep_versions;	/* versions kept in addition to the deployed one */
	int			threads;		/* 0 = tagrec.threads */
	int			precision;		/* TrPrecision */
} TrTrainOptions;

extern const TrOptionSet tr_train_options;

/* What one epoch reports. */
typedef struct TrEpoch
{
	int			epoch;			/* 1, 2, … */
	int			epochs;			/* planned at most; equals epoch when this one turned out to be the last */
	double		loss;
	double		metric;			/* NAN when not measured */
	double		seconds;		/* of training, without validation */
	int64_t		pairs;
	bool		partial;		/* there are only parts of a model yet; other parts may take more or less time */
} TrEpoch;

typedef struct TrTrainHooks
{
	TrPoll		poll;
	void		(*epoch) (void *argument, const TrEpoch *epoch);	/* poll.argument; may be NULL; may longjmp */
} TrTrainHooks;

typedef struct TrTrainResult
{
	int			epochs;			/* run */
	int			best_epoch;		/* whose weights the model holds */
	double		loss;			/* of that epoch */
	double		metric;			/* of that epoch; NAN without validation */
	double		metric_error;	/* its standard error; NAN with fewer than two users */
} TrTrainResult;

/* The most epochs, of so many posts each: what is usual over little data, fewer over much, where each teaches more. */
extern int	tr_usual_epochs(int usual, int64_t posts);

/* asked, or, for 0, what is usual for the algorithm over so many posts */
extern int	tr_planned_epochs(const TrAlgorithm *algorithm, const void *options, int asked, int64_t posts);

/*
 * Trains model on the dataset it was created with. validation may be NULL or empty. Ends with TR_NOT_FINITE when an epoch's
 * loss is NaN or infinite, TR_CANCELLED when the poll says so.
 */
extern TrStatus tr_train(TrModel *model, const TrDataset *dataset, const TrPairs *validation, const TrTrainOptions *options,
						 const TrTrainHooks *hooks, TrTrainResult *result, TrError *err);

#endif
