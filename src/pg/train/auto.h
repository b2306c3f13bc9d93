/*
 * The trials of auto: a training with the default options for each candidate. See job_auto.c for what is done with them.
 */
#ifndef TAGREC_TRAIN_AUTO_H
#define TAGREC_TRAIN_AUTO_H

#include "core/dataset.h"
#include "pg/base/auto.h"
#include "pg/registry/request.h"
#include "pg/train/tune_space.h"

static inline bool
tagrec_request_is_auto(const TagrecRequest *request)
{
	return tagrec_auto_find(request->algorithm) != NULL;
}

/* The options of the request's auto itself. */
extern const TagrecAutoOptions *tagrec_auto_options(const TagrecOptions *options);

/*
 * The rest of a request that tagrec_train() was given with auto for an algorithm: held-out pairs, if none are asked for,
 * and a look at the candidates. ereport(ERROR) when there is nothing to choose from.
 */
extern void tagrec_auto_request(TagrecRequest *request);

/* One trial per candidate that fits the source, *count of them. */
extern TagrecTrial *tagrec_auto_trials(const TagrecRequest *request, int *count);

/* Those first that may come in question now that the data are known; returns how many. */
extern int tagrec_auto_sort(TagrecTrial *trials, int count, bool items_are_new);

/* The members of a blend, as its option says; NULL = it is none. */
extern char *tagrec_auto_members(const TagrecTrial *trial);

/* Estimated seconds of one core. */
extern double tagrec_auto_trial_work(const TagrecTrial *trial, const TrDataset *dataset);

/* The trial to take where too little is held out to choose by. */
extern int tagrec_auto_default(const TagrecRequest *request, const TagrecTrial *trials, int count);

/* The options for the final training, from a trial's settings, without what auto has added for the trials. */
extern Jsonb *tagrec_auto_final(const TagrecRequest *request, Jsonb *settings);

#endif
