/*
 * The job that this worker does: who it is and what it is asked. What its training is made of: job_training.h; how far it
 * is: job_progress.h.
 *
 * The arrows among the files that do a job: job_run.c -> job_tune.c, job_refresh.c -> job_training.c -> job_progress.c ->
 * this; job_run.c -> job_prune.c -> this.
 */
#ifndef TAGREC_JOB_RUNNING_H
#define TAGREC_JOB_RUNNING_H

#include "pg/train/job.h"
#include "portability/instr_time.h"

typedef struct TagrecRunningJob
{
	int64		number;
	const TagrecRequest *request;
	TagrecShared *shared;		/* NULL = no client waits */
	MemoryContext context;		/* of what lives as long as the job */
	instr_time	started;
} TagrecRunningJob;

/* For the loops of a training: is it to end? Serves interrupts. */
extern bool tagrec_running_cancelled(const TagrecRunningJob *job);

extern double tagrec_seconds_since(instr_time start);

/* A transaction of the worker's, with a snapshot; allocations go to the context, and so does what comes after. */
extern void tagrec_worker_begin(MemoryContext context);
extern void tagrec_worker_commit(MemoryContext context);

/* In a PG_CATCH() that does not throw: ends what has failed, its transaction included; the error, in the context. */
extern ErrorData *tagrec_worker_abort(MemoryContext context);

#endif
