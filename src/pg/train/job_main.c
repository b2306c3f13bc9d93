/*
 * The training worker: its session, and the one job it does. See job.h.
 */
#include "pg/train/job_running.h"

#include <signal.h>

#include "access/xact.h"
#include "libpq/pqmq.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/base/tagrec.h"
#include "pg/registry/job_row.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* SIGTERM came: mark the job, start no successor, end. */
static volatile sig_atomic_t terminated = false;

/* The postmaster is to start a worker in this slot again. */
static bool again = false;

/* A job is being done, which a cancel or a termination may end. */
static volatile sig_atomic_t working = false;

/*
 * In a job as StatementCancelHandler(), so that an ERROR, not a FATAL, ends it and its row can still be marked; else as
 * die().
 */
static void
handle_terminate(SIGNAL_ARGS)
{
	int			save_errno = errno;

	terminated = true;
	if (working)
		QueryCancelPending = true;
	else
		ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
	errno = save_errno;
}

/* Override settings of role and database: keys must survive output and input, and names must not be hijacked. */
static void
settle_session(void)
{
	static const char *const settings[][2] = {
		{"role", "none"},
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"row_security", "on"},
		{"client_min_messages", "notice"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"check_function_bodies", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Between jobs, and while the end of one is written down, there is nothing to cancel: a second cancel must not leave the
 * job unmarked, nor a queued one untaken. An ERROR lets go of what was held, so each is followed by this.
 */
static void
refuse_cancels(void)
{
	working = false;
	QueryCancelHoldoffCount = 1;
}

/* A termination that was to be a FATAL now ends the job first. */
static void
accept_cancels(void)
{
	QueryCancelHoldoffCount = 0;
	working = true;
	if (ProcDiePending)
	{
		ProcDiePending = false;
		QueryCancelPending = true;
	}
}

/* ------------------------------------------------------------------ the end of a job */

/* For example, a function used by a view that relies on the caller's search_path. */
static void
explain_missing(ErrorData *error)
{
	bool		missing = error->sqlerrcode == ERRCODE_UNDEFINED_TABLE || error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION;

	if (missing && error->internalquery && !error->hint)
		error->hint = pstrdup("The worker's search_path is pg_catalog; functions that the source calls must qualify names"
							  " with schemas, or set search_path.");
}

/* A cancelled statement is a cancelled job; a terminated worker says so. */
static void
reword(ErrorData *error, int64 job)
{
	explain_missing(error);
	if (error->sqlerrcode != ERRCODE_QUERY_CANCELED)
		return;
	error->detail = NULL;
	error->hint = NULL;
	error->context = NULL;
	if (terminated)
	{
		error->sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
		error->message = psprintf("job %lld failed because its worker was terminated", (long long) job);
	}
	else
		error->message = psprintf("job %lld was cancelled", (long long) job);
}

/* In a transaction of its own. May fail: when the extension is gone, say, there is nothing to mark. */
static void
mark_failed(int64 job, const ErrorData *error, Size peak)
{
	MemoryContext context = CurrentMemoryContext;
	bool		cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
	TagrecJobError words = {
		.sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode)),
		.message = error->message,
		.detail = error->detail,
		.hint = error->hint
	};

	PG_TRY();
	{
		tagrec_worker_begin(context);
		tagrec_job_failed(job, cancelled ? "cancelled" : "failed", &words, peak);
		tagrec_worker_commit(context);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		refuse_cancels();
		EmitErrorReport();
		(void) tagrec_worker_abort(context);
	}
	PG_END_TRY();
}

/* Deletes jobs that have ended long ago, in a transaction of its own. What goes wrong with that is not the job's error. */
static void
purge(int64 job)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *error;

	PG_TRY();
	{
		tagrec_worker_begin(context);
		tagrec_job_purge(job, tagrec_max_finished_jobs);
		tagrec_worker_commit(context);
	}
	PG_CATCH();
	{
		refuse_cancels();
		error = tagrec_worker_abort(context);
		error->elevel = LOG;
		ThrowErrorData(error);
	}
	PG_END_TRY();
}

/* To the log, and to the client that waits. */
static void
report(ErrorData *error)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		error->elevel = ERROR;
		ThrowErrorData(error);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		refuse_cancels();
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
}

/* ------------------------------------------------------------------ one job */

/* Runs a job whose row is marked as running and whose lock is ours, to its end, whatever that is. */
static void
do_job(int64 job, const TagrecRequest *request, TagrecShared *shared)
{
	MemoryContext context = CurrentMemoryContext;
	TagrecRun  *run = tagrec_run_start(job, request, shared);
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		accept_cancels();
		tagrec_run(run);
		refuse_cancels();
	}
	PG_CATCH();
	{
		refuse_cancels();
		error = tagrec_worker_abort(context);
	}
	PG_END_TRY();

	/* an error after the version was deployed does not undo that */
	if (error && !tagrec_run_done(run))
	{
		reword(error, job);
		mark_failed(job, error, tagrec_run_peak(run));
		report(error);
	}
	tagrec_run_end(run);
	tagrec_job_unlock(job);
	purge(job);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static TagrecShared *
find_shared(shm_toc *toc)
{
	if (!toc)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("bad magic number in shared memory segment")));
	return shm_toc_lookup(toc, TAGREC_KEY_SHARED, false);
}

/* The job of a client that waits in the segment. False when it has gone, or this is the slot's second worker. */
static bool
serve_client(dsm_handle handle)
{
	MemoryContext context = CurrentMemoryContext;
	dsm_segment *segment = dsm_attach(handle);
	shm_toc    *toc;
	TagrecShared *shared;
	shm_mq	   *queue;
	TagrecRequest *request;
	int64		job;

	if (!segment)
		return false;
	toc = shm_toc_attach(TAGREC_MAGIC, dsm_segment_address(segment));
	shared = find_shared(toc);
	if (pg_atomic_exchange_u32(&shared->taken, 1) != 0)
	{
		dsm_detach(segment);
		return false;
	}
	queue = shm_toc_lookup(toc, TAGREC_KEY_QUEUE, false);
	shm_mq_set_sender(queue, MyProc);
	pq_redirect_to_shm_mq(segment, shm_mq_attach(queue, segment, NULL));

	tagrec_worker_begin(context);
	tagrec_job_check_running();
	request = tagrec_request_read(tagrec_jsonb(shm_toc_lookup(toc, TAGREC_KEY_REQUEST, false)));
	job = tagrec_job_insert(request, true);
	tagrec_job_lock(job);
	tagrec_worker_commit(context);
	shared->job = job;
	do_job(job, request, shared);
	pg_write_barrier();
	pg_atomic_write_u32(&shared->ended, 1);
	dsm_detach(segment);
	return true;
}

/* The job that a transaction has submitted. False when it was rolled back, or another worker was faster. */
static bool
serve_submitted(const TagrecLaunch *launch)
{
	MemoryContext context = CurrentMemoryContext;
	TagrecRequest *request = NULL;
	bool		locked;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (TransactionIdIsValid(launch->xid))
		XactLockTableWait(launch->xid, NULL, NULL, XLTW_None);
	CommitTransactionCommand();

	tagrec_worker_begin(context);
	locked = tagrec_job_lock(launch->job);
	if (locked)
		request = tagrec_job_claim(launch->job);
	tagrec_worker_commit(context);
	if (request)
		do_job(launch->job, request, NULL);
	else if (locked)
		tagrec_job_unlock(launch->job);
	return request != NULL;
}

/* False when no queued job was left, or as many run as may. */
static bool
serve_next(void)
{
	MemoryContext context = CurrentMemoryContext;
	TagrecRequest *request;
	int64		job;

	/* meant for the job that this worker was started for; the next one cannot be cancelled before we hold its lock */
	QueryCancelPending = false;
	tagrec_worker_begin(context);
	job = tagrec_job_claim_next(&request);
	if (job)
		tagrec_job_lock(job);
	tagrec_worker_commit(context);
	if (!job)
		return false;
	do_job(job, request, NULL);
	return true;
}

/* A worker for the jobs that are still queued: another one, so that it need not wait, or else this slot's next. */
static void
start_successor(const TagrecLaunch *launch)
{
	TagrecLaunch successor = {.database = launch->database, .role = launch->role};
	MemoryContext context = CurrentMemoryContext;
	bool		queued;

	tagrec_worker_begin(context);
	queued = tagrec_job_queued() > 0;
	tagrec_worker_commit(context);
	if (queued && !tagrec_worker_start(&successor))
		again = true;
}

/* However the process ends, a FATAL included. The status that this exit() replaces would mean a new start for ever. */
static void
end_for_good(int code, Datum argument)
{
	if (code == 1 && !again)
		proc_exit(0);
}

void
tagrec_worker_main(Datum argument)
{
	TagrecLaunch launch;
	bool		served = false;

	memcpy(&launch, MyBgworkerEntry->bgw_extra, sizeof(launch));
	on_proc_exit(end_for_good, (Datum) 0);
	pqsignal(SIGTERM, handle_terminate);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(launch.database, launch.role, TAGREC_WORKER_FLAGS);
	settle_session();

	refuse_cancels();
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "tagrec job", ALLOCSET_DEFAULT_SIZES));
	if (launch.segment)
		served = serve_client(launch.segment);
	else if (launch.job)
		served = serve_submitted(&launch);
	if (!served)
		served = serve_next();
	if (served && !terminated)
		start_successor(&launch);
	proc_exit(again ? 1 : 0);
}
