/*
 * The registry's jobs and epochs: tagrec_job, tagrec_job_error, tagrec_epoch.
 *
 * A job's row is `queued` until a worker claims it and `running` until the same worker marks it; a worker holds the job's
 * lock while it works, so a running row whose lock is not held belongs to a worker that died: the job is lost.
 */
#ifndef TAGREC_JOB_ROW_H
#define TAGREC_JOB_ROW_H

#include "postgres.h"

#include "core/trainer.h"
#include "pg/registry/request.h"

/*
 * Fourth field of the job's advisory lock; pg_advisory_lock() uses 1 and 2 there, so no user lock can conflict with ours.
 */
#define TAGREC_JOB_LOCK 29799
/* And of a role's, which a worker holds while it claims a job for it. */
#define TAGREC_CLAIM_LOCK 29798

typedef struct TagrecJob
{
	int64		job;
	char	   *model;
	char	   *kind;
	char	   *state;			/* queued, running, done, failed, cancelled; lost is told by tagrec_job_worker() */
	Oid			role;			/* InvalidOid when it is gone */
	bool		own;			/* the row is this transaction's, not committed yet */
	char	   *phase;
	int			epoch,
				epochs;
	int			version;
	char	   *sqlstate;
} TagrecJob;

/* The error that a job ended with. */
typedef struct TagrecJobError
{
	char	   *sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
} TagrecJobError;

extern int64 tagrec_job_insert(const TagrecRequest *request, bool running);

/* Queued jobs of the current role. */
extern int	tagrec_job_queued(void);

/* ereport(ERROR) when the current role runs as many jobs as tagrec.max_running_jobs allows; holds until the commit. */
extern void tagrec_job_check_running(void);

/* Marks a queued job as running and returns its request; NULL if it is not queued or too many jobs run. */
extern TagrecRequest *tagrec_job_claim(int64 job);

/* Claims the oldest queued job of the current role: its number, or 0. */
extern int64 tagrec_job_claim_next(TagrecRequest **request);

/* An epoch numbered 0: none is done. backend NULL: as before. */
extern void tagrec_job_progress(int64 job, const char *phase, const TrEpoch *epoch, const char *backend);
/* Within an epoch, or where there are none; pace = rows per second, NAN = as before. */
extern void tagrec_job_work(int64 job, const TrWork *work, double pace);
extern void tagrec_job_epochs(int64 job, int trial, const TrEpoch *epochs, int count);
extern void tagrec_job_done(int64 job, int32 version, Size peak_memory);
extern void tagrec_job_failed(int64 job, const char *state, const TagrecJobError *error, Size peak_memory);

/*
 * Deletes the current role's finished jobs except the `most` newest ones, those of existing versions and the given one.
 * most < 0: none.
 */
extern void tagrec_job_purge(int64 job, int most);

/* Makes a queued job cancelled; false when it is not queued. */
extern bool tagrec_job_unqueue(int64 job);

/* As the latest commit left it; NULL when there is none. */
extern TagrecJob *tagrec_job_find(int64 job);

/* What the job's role may know about its end. */
extern TagrecJobError *tagrec_job_error(int64 job);

/* The running job of a model that a worker works on, or the queued one; 0 = none. */
extern int64 tagrec_job_of_model(const char *model);

/* Process that holds the job's lock, 0 = none. */
extern int	tagrec_job_worker(int64 job);

/* ereport(ERROR) unless the current user is the job's role or has its privileges. */
extern void tagrec_job_check_role(const TagrecJob *job);

/* The job's lock, held by the session until it ends. */
extern bool tagrec_job_lock(int64 job);
extern void tagrec_job_unlock(int64 job);

#endif
