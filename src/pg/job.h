/*
 * A job: one run of training, from the session that asks for it to the worker that does it.
 *
 *   tagrec_train(wait => true)    the request travels in a shared memory segment. The worker makes and commits the job's
 *                                 row itself, and sends notices and errors back over a queue in that segment. When the
 *                                 client goes, for whatever reason, its detaching from the segment cancels the job.
 *   tagrec_train(wait => false)   the job's row is the caller's, in the caller's transaction. The worker is registered at
 *                                 once and first waits for that transaction: after a rollback there is no row, and it ends.
 *                                 (A worker started from a commit callback would not hold its slot while the caller stays
 *                                 in the transaction; but a failure to get one could then not be told to the caller, and
 *                                 an error in the callback, after the commit, would take the server down.)
 *
 * A worker that has finished takes the next queued job of its database and role; tagrec_wait() starts one for a job that is
 * still queued. It runs as the role that asked, in its own
 * session, with search_path = pg_catalog, pg_temp. What ends it: SIGINT (tagrec_cancel, pg_cancel_backend, a client that
 * waits no more) cancels the job; SIGTERM ends the worker after it has marked the job as failed. Both only set flags that
 * CHECK_FOR_INTERRUPTS() sees, on the main thread, between the steps of a training.
 */
#ifndef TAGREC_JOB_H
#define TAGREC_JOB_H

#include "postgres.h"

#include "access/transam.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "request.h"
#include "storage/dsm.h"

#define TAGREC_MAGIC 0x74616772

/* What a worker is told when it is registered; fits bgw_extra. */
typedef struct TagrecLaunch
{
	Oid			database;
	Oid			role;
	dsm_handle	segment;		/* of a waiting client, or 0 */
	TransactionId xid;			/* else: the transaction that submitted the job; invalid = it has committed */
	int64		job;
} TagrecLaunch;

/* Keys of the table of contents of the segment. */
enum
{
	TAGREC_KEY_SHARED,
	TAGREC_KEY_REQUEST,			/* text, ends with a zero */
	TAGREC_KEY_QUEUE			/* messages of the worker */
};

typedef struct TagrecShared
{
	/* set by the client */
	pg_atomic_uint32 cancelled;
	/* set by the worker; job before ended */
	pg_atomic_uint32 ended;		/* 1 = the job has ended, and everything about it was sent */
	int64		job;
} TagrecShared;

/* job_launch.c; NULL when there is no free slot */
extern BackgroundWorkerHandle *tagrec_worker_start(const TagrecLaunch *launch);

/* Submits a job in the caller's transaction; returns its number. */
extern int64 tagrec_job_submit(const TagrecRequest *request);

/* job_wait.c: runs a job and waits for its end; returns its number. */
extern int64 tagrec_job_run_waiting(const TagrecRequest *request);

/* job_run.c: does the job, outside any transaction; errors are raised. shared may be NULL. */
struct TagrecRun;
extern struct TagrecRun *tagrec_run_start(int64 job, const TagrecRequest *request, TagrecShared *shared);
extern void tagrec_run(struct TagrecRun *run);
extern Size tagrec_run_peak(const struct TagrecRun *run);
extern bool tagrec_run_done(const struct TagrecRun *run);	/* an error that comes later does not count */
/* Frees everything, also after an error. */
extern void tagrec_run_end(struct TagrecRun *run);

/* job_main.c */
extern PGDLLEXPORT void tagrec_worker_main(Datum argument);

#endif
