/*
 * A job while it is done, private to job_run.c, job_progress.c and job_refresh.c.
 */
#ifndef TAGREC_JOB_RUN_H
#define TAGREC_JOB_RUN_H

#include "backend_load.h"
#include "catalog_job.h"
#include "job.h"
#include "options.h"
#include "portability/instr_time.h"
#include "source.h"

/* Epochs that wait to be written: a transaction a second is enough. */
#define TAGREC_EPOCHS_KEPT 64

typedef struct TagrecRun
{
	int64		job;
	const TagrecRequest *request;
	TagrecShared *shared;		/* NULL = no client waits */
	MemoryContext context;

	/* what is trained; memory holds the data, the model and its tensors */
	TrMemory	memory;
	TagrecSource source;
	TagrecOptions *options;
	TagrecData	data;
	TrBackend  *backend;
	TrModel    *model;
	TrTensor   *tensors;
	int			n_tensors;
	TrTrainResult result;
	Size		backend_bytes;
	bool		done;			/* the version is deployed, and the job's row says so */

	/* progress */
	instr_time	started;
	instr_time	training;		/* when the first epoch began */
	instr_time	noticed;		/* when the last notice was sent */
	instr_time	recorded;		/* when the last transaction was made */
	TrEpoch		epochs[TAGREC_EPOCHS_KEPT];
	int			n_epochs;
} TagrecRun;

/* A transaction with a snapshot; allocations go to the run's context. */
extern void tagrec_run_begin(TagrecRun *run);
extern void tagrec_run_commit(TagrecRun *run);

extern double tagrec_run_seconds(instr_time since);

/* job_progress.c: the phase, in a transaction of its own */
extern void tagrec_progress_phase(TagrecRun *run, const char *phase);

/* The hooks of tr_train(), with the run as their argument. */
extern bool tagrec_progress_poll(void *run);
extern void tagrec_progress_epoch(void *run, const TrEpoch *epoch);

/* Writes what waits; inside a transaction. */
extern void tagrec_progress_flush(TagrecRun *run);

/* "ndcg@20", "mrr"; NULL without validation. */
extern char *tagrec_metric_name(const TagrecOptions *options);

/* job_refresh.c: instead of training, loads the deployed version's network. */
extern void tagrec_refresh_vocabulary(TagrecRun *run);
extern void tagrec_refresh_model(TagrecRun *run);

#endif
