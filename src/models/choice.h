/*
 * Options that a model chooses by itself: short trainings on most of its pairs, measured on the rest. For what depends on
 * the data more than a rule can say.
 */
#ifndef TR_CHOICE_H
#define TR_CHOICE_H

#include "models/base.h"

/* Bytes that a choice takes of the data, beside what its trainings do. */
extern size_t tr_choice_bytes(const TrShape *shape);

typedef struct TrChoice
{
	const void *const *options; /* (n) complete structs of the model's algorithm; the first is what to take in doubt */
	int			n;
	int			epochs;			/* of each training */
	double		margin;			/* relative: another one than the first has to be so much better */
	bool		(*worth) (int best, int i); /* NULL = all, or whether i is worth a try where that one is best so far */
	int32_t		most_users;		/* to train on; 0 = as many as there are */
	uint64_t	seed;
} TrChoice;

/* The share of the dataset's pairs that the trainings learn from */
extern double tr_choice_share(const TrDataset *dataset, int32_t most_users);

/*
 * *best = which of the options rank held-out pairs of the model's dataset best; another one than the first has to be better
 * by more than half its standard error. Of very many pairs, those of some users are taken.
 */
extern TrStatus tr_choose(int *best, const TrModel *model, const TrChoice *choice, const TrPoll *poll, TrError *err);

#endif
