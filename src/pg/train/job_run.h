/*
 * A job while it is done, private to job_run.c, job_progress.c, job_tune.c,
 * job_refresh.c and job_prune.c.
 */
#ifndef TAGREC_JOB_RUN_H
#define TAGREC_JOB_RUN_H

#include "pg/base/options.h"
#include "pg/registry/job_row.h"
#include "pg/source/source.h"
#include "pg/train/backend_load.h"
#include "pg/train/job.h"
#include "portability/instr_time.h"

/* Epochs that wait to be written: a transaction a second is enough. */
#define TAGREC_EPOCHS_KEPT 64

typedef struct TagrecRun
{
	int64		job;
	const TagrecRequest *request;
	TagrecShared *shared;		/* NULL = no client waits */
	MemoryContext context;

	/* what is trained; memory holds the data, and what is loaded for a refresh */
	TrMemory	memory;
	TrMemory	model_memory;	/* of the model in training: what the data leave of the limit */
	Size		model_peak;		/* of those before */
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

	/* of a tuning */
	int			trial;			/* in training; 0 = none */
	int			trials;
	bool		refit;			/* trained on everything, the held-out pairs as well */
	Jsonb	   *asked;			/* options to ask for to get the version again; NULL = the request's */

	/* progress */
	const char *phase;
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

/* Opens the device that the request asks for, unless it is open. */
extern void tagrec_run_open(TagrecRun *run);

/* Trains a model with the run's options, which is then the run's; tagrec_run_forget_model() frees it. */
extern void tagrec_run_train(TagrecRun *run, const char *phase);
extern void tagrec_run_forget_model(TagrecRun *run);

/* job_tune.c: the trials of a tuning, and the model to deploy. */
extern void tagrec_run_tune(TagrecRun *run);

/* job_progress.c: the phase, which lives as long as it lasts, in a transaction of its own */
extern void tagrec_progress_phase(TagrecRun *run, const char *phase);

/* The hooks of tr_train(), with the run as their argument. */
extern bool tagrec_progress_poll(void *run);
extern void tagrec_progress_epoch(void *run, const TrEpoch *epoch);

/* Writes what waits; inside a transaction. */
extern void tagrec_progress_flush(TagrecRun *run);

/* "ndcg@20", "mrr"; NULL without validation. */
extern char *tagrec_metric_name(const TagrecOptions *options);

/* job_refresh.c: instead of training, loads the deployed version's network; reads the source for it. */
extern void tagrec_refresh_read(TagrecRun *run, TrAssignments *raw);
extern void tagrec_refresh_model(TagrecRun *run);

/* job_prune.c: drops the versions that are not kept; patiently: tries again for a moment what is in use. */
extern void tagrec_run_prune(TagrecRun *run, bool patiently);

#endif
