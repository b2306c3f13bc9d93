/*
 * How far a job is, and what of that has been told: to the registry's rows, a client that waits, pg_stat_activity.
 */
#ifndef TAGREC_JOB_PROGRESS_H
#define TAGREC_JOB_PROGRESS_H

#include "core/backend.h"
#include "core/trainer.h"
#include "pg/train/job_running.h"

/* Epochs that wait to be written: a transaction a second is enough. */
#define TAGREC_EPOCHS_KEPT 64

typedef struct TagrecProgress
{
	const TagrecRunningJob *job;
	const char *phase;
	int			trial;			/* in training; 0 = none */
	int			trials;
	const char *metric;			/* "ndcg@20"; NULL = nothing is measured */
	instr_time	training;		/* when the first epoch began */
	instr_time	noticed;		/* when the last notice was sent */
	instr_time	recorded;		/* when the last transaction was made */
	TrEpoch		epochs[TAGREC_EPOCHS_KEPT];
	int			n_epochs;
	TrWork		work;			/* that is under way */
	const char *counted;		/* its unit when it was last looked at, with what was done then */
	int64		counted_done;
	int64		counted_from;	/* what was done when it began, and when that was */
	instr_time	counting;
	instr_time	ticked;			/* when it was last shown */
} TagrecProgress;

extern void tagrec_progress_init(TagrecProgress *progress, const TagrecRunningJob *job);

/*
 * The phase, which lives as long as it lasts, in a transaction of its own; with the backend, if there is one yet, and the
 * result of the training, if that is done.
 */
extern void tagrec_progress_phase(TagrecProgress *progress, const char *phase, TrBackend *backend,
								  const TrTrainResult *result);

/* Epochs begin; each then is told. */
extern void tagrec_progress_train(TagrecProgress *progress, const char *metric);
extern void tagrec_progress_epoch(TagrecProgress *progress, const TrEpoch *epoch);

/* Shows how far the work is, if it is time to; inside a transaction, without the job's row. */
extern void tagrec_progress_tick(TagrecProgress *progress);

/* What TrMemory.pause is in a worker: looks for a cancel, and ticks. */
extern void tagrec_progress_pause(void);

/* Writes what waits; inside a transaction. */
extern void tagrec_progress_flush(TagrecProgress *progress);

#endif
