/*
 * The trials of a tuning, and of auto.
 *
 * Each is trained on what was read once, and leaves a row of its own, in a transaction of its own, so that finished trials
 * survive a cancel or a crash: trials of the same model with the same options on the same data reuse their results. One
 * that fails because of its settings is recorded; the others go on.
 */
#ifndef TAGREC_TRIALS_H
#define TAGREC_TRIALS_H

#include "pg/registry/trial_row.h"
#include "pg/train/job_training.h"
#include "pg/train/tune_space.h"

typedef struct TagrecTrials TagrecTrials;
struct TagrecTrials
{
	TagrecTraining *training;
	const TagrecRunningJob *job;
	TagrecTrial *trials;
	int			count;
	TagrecTrialRow *rows;		/* (count) */
	bool	   *done;			/* (count) with a figure */
	int			best;			/* -1 = none yet */
	int			taken_over;		/* trials of earlier jobs */
	int			refused[TAGREC_TRIAL_OTHER_LIBRARY + 1];	/* earlier trials that are not, by what is not the same */
	char	   *other_device,
			   *other_library;	/* what one of them has instead */
	int			failed;
	ErrorData  *failure;		/* of the first one that failed; NULL when none was tried */
	double		seconds;		/* of the trials trained here */
	int			trained;
	instr_time	told;			/* when the last notice about a trial was sent */
	bool		give_up;		/* a trial that cannot reach the best one so far */
	void		(*look) (TagrecTrials *t, int i);	/* NULL, or looks at the model of a trial before it goes */
};

/* Of training, job, trials and count: the rest, with the figures that earlier jobs have, if the request says so. */
extern void tagrec_trials_begin(TagrecTrials *t);

/* run() for each that has no figure, in their order: it calls one of the two below. */
extern void tagrec_trials_run(TagrecTrials *t, void (*run) (TagrecTrials *t, int i));
extern void tagrec_trial_run(TagrecTrials *t, int i);
extern void tagrec_trial_skip(TagrecTrials *t, int i, int sqlstate, char *why);

/* ereport(ERROR) with the first failure when there is no figure. */
extern void tagrec_trials_check_any(const TagrecTrials *t);

/* The settings, for messages. */
extern char *tagrec_trial_settings(const TagrecTrials *t, int i);

#endif
