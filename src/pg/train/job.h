/*
 * A job: one run of training, from the session that asks for it to the worker that does it.
 *
 *   tagrec_train(wait => true)    the request travels in a shared memory segment. The worker makes and commits the job's
 *    row itself, and sends notices and errors back over a queue in that segment. When the client exits, for whatever
 *    reason, detaching from the segment cancels the job.
 *   tagrec_train(wait => false)   the job's row is the caller's, in the caller's transaction. The worker is registered
 *                                 just before that commits, and first waits for the commit: no slot is taken before, none
 *                                 after a rollback. (Not after the commit: an error there would crash the server.)
 *
 * One process runs one job, and exits: whatever the source's code has left in the session (settings, another role,
 * temporary tables, prepared statements, advisory locks, LISTEN, loaded libraries and what they remember) ends with it, so
 * that no list of things to reset can be incomplete. If jobs of its database and role are still queued, it starts a worker
 * for the next one first; where no slot is free for that, the postmaster starts it again in the slot it has (after a
 * second: TAGREC_RESTART). tagrec_wait() starts one for a job that is still queued.
 *
 * A role runs no more jobs at once than tagrec.max_running_jobs of its settings: a worker counts them when it claims one,
 * one worker of a role at a time (tagrec_job_claim()), and leaves the job queued for those that run. No more than
 * tagrec.max_queued_jobs wait.
 *
 * A worker runs as the role that asked, in its own session, with search_path = pg_catalog, pg_temp. What ends it: SIGINT
 * (tagrec_cancel, pg_cancel_backend, a client that waits no more) cancels the job; SIGTERM ends the worker after it has
 * marked the job as failed. Both only set flags that CHECK_FOR_INTERRUPTS() sees, on the main thread, between the steps
 * of a training.
 */
#ifndef TAGREC_JOB_H
#define TAGREC_JOB_H

#include "postgres.h"

#include "access/transam.h"
#include "pg/registry/request.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/lock.h"

#define TAGREC_MAGIC 0x74616772

/* Seconds. A worker that ends with status 1 is started again, with the same TagrecLaunch; one that ends with 0 is not. */
#define TAGREC_RESTART 1

/* What a worker is told when it is registered; fits bgw_extra. */
typedef struct TagrecLaunch
{
	Oid			database;
	Oid			role;
	dsm_handle	segment;		/* of a waiting client, or 0 */
	TransactionId xid;			/* else: the transaction that submitted the job; invalid = it has committed */
	int64		job;			/* 0, or no longer queued: the oldest queued job of the role */
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
	VirtualTransactionId client;
	pg_atomic_uint32 cancelled;
	/* set by the worker that does the job, so that no other one does it */
	pg_atomic_uint32 taken;
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
typedef struct TagrecRun TagrecRun;
extern TagrecRun *tagrec_run_start(int64 job, const TagrecRequest *request, TagrecShared *shared);
extern void tagrec_run(TagrecRun *run);
extern Size tagrec_run_peak(const TagrecRun *run);
extern bool tagrec_run_done(const TagrecRun *run);	/* an error that comes later does not count */
/* Frees everything, also after an error. */
extern void tagrec_run_end(TagrecRun *run);

/* job_main.c */
extern PGDLLEXPORT void tagrec_worker_main(Datum argument);

#endif
