/*
 * tagrec_cancel() and tagrec_wait(): controlling a job from other sessions.
 */
#include "pg/base/tagrec.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pg/registry/job_row.h"
#include "pg/train/job.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define POLL_MS 200
/* A running job without a worker is lost, unless it has just ended: so many looks in a row must agree. */
#define LOST_LOOKS 3
/* A job that is queued for so many looks in a row gets a worker, if a slot has become free. */
#define QUEUED_LOOKS 5

PG_FUNCTION_INFO_V1(tagrec_cancel);
PG_FUNCTION_INFO_V1(tagrec_wait);

static TagrecJob *
find_job(int64 number)
{
	TagrecJob  *job = tagrec_job_find(number);

	if (!job)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("job %lld does not exist", (long long) number),
				 errhint("The view tagrec_jobs lists the jobs.")));
	return job;
}

static bool
is_state(const TagrecJob *job, const char *state)
{
	return strcmp(job->state, state) == 0;
}

/* A standby has the rows of the primary's jobs, but not their workers. */
static void
check_primary(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute tagrec_cancel() during recovery"),
				 errhint("Cancel the job on the primary server.")));
}

Datum
tagrec_cancel(PG_FUNCTION_ARGS)
{
	int64		number = PG_GETARG_INT64(0);
	TagrecJob  *job = find_job(number);
	int			pid;

	tagrec_job_check_role(job);
	if (is_state(job, "queued"))
	{
		PreventCommandIfReadOnly("tagrec_cancel()");
		if (tagrec_job_unqueue(number))
			PG_RETURN_BOOL(true);
		job = find_job(number);
	}
	if (is_state(job, "running"))
	{
		check_primary();
		pid = tagrec_job_worker(number);
		if (pid != 0 && kill(pid, SIGINT) == 0)
			PG_RETURN_BOOL(true);
		job = find_job(number);
	}
	ereport(NOTICE,
			(errmsg("job %lld is not running", (long long) number),
			 errdetail("Its state is %s.", is_state(job, "running") ? "lost" : job->state)));
	PG_RETURN_BOOL(false);
}

/* ------------------------------------------------------------------ waiting */

static void
raise_failure(const TagrecJob *job)
{
	TagrecJobError *error = NULL;

	if (superuser() || (OidIsValid(job->role) && has_privs_of_role(GetUserId(), job->role)))
		error = tagrec_job_error(job->job);
	ereport(ERROR,
			(errcode(job->sqlstate ? MAKE_SQLSTATE(job->sqlstate[0], job->sqlstate[1], job->sqlstate[2], job->sqlstate[3],
												   job->sqlstate[4]) : ERRCODE_INTERNAL_ERROR),
			 errmsg("%s", error && error->message ? error->message : psprintf("job %lld %s", (long long) job->job,
					is_state(job, "failed") ? "failed" : "was cancelled")),
			 error && error->detail ? errdetail("%s", error->detail) : 0,
			 error && error->hint ? errhint("%s", error->hint) : 0));
}

static void
raise_lost(const TagrecJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("job %lld is lost", (long long) job->job),
			 errdetail("Its worker ended without finishing it: the server was restarted, or the worker was killed."),
			 strcmp(job->kind, "tune") == 0
			 ? errhint("Call the function again with the same arguments to continue after the finished trials.")
			 : strcmp(job->kind, "recommend") == 0 ? errhint("Call tagrec_recommend_into() again.")
			 : errhint("Train model \"%s\" again.", job->model)));
}

static void
check_own(const TagrecJob *job)
{
	if (job->own && is_state(job, "queued"))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("job %lld was submitted by this transaction and starts when it commits",
						(long long) job->job),
				 errhint("Commit the transaction first.")));
}

/* How many times in a row a job seemed to have no worker. */
typedef struct Looks
{
	int			lost,
				queued;
} Looks;

/*
 * A job without a slot waits for the end of another one of its role; there may be none any more. A worker too many finds
 * the job taken, and ends.
 */
static void
start_queued(const TagrecJob *job)
{
	TagrecLaunch launch = {.database = MyDatabaseId, .role = job->role, .job = job->job};

	if (job->role == GetUserId() && !RecoveryInProgress())
		(void) tagrec_worker_start(&launch);
}

/* Has the job ended well? An end of another kind is an error. Allocates in the current memory context. */
static bool
finished(int64 number, Looks *looks)
{
	TagrecJob  *job = find_job(number);
	bool		queued = is_state(job, "queued");
	bool		lost = is_state(job, "running") && !RecoveryInProgress() && tagrec_job_worker(number) == 0;

	if (is_state(job, "done"))
		return true;
	if (is_state(job, "failed") || is_state(job, "cancelled"))
		raise_failure(job);
	looks->lost = lost ? looks->lost + 1 : 0;
	looks->queued = queued ? looks->queued + 1 : 0;
	if (looks->lost >= LOST_LOOKS)
		raise_lost(job);
	if (queued && looks->queued % QUEUED_LOOKS == 0)
		start_queued(job);
	return false;
}

/* Microseconds; -1 without a timeout. */
static int64
timeout_of(FunctionCallInfo fcinfo)
{
	Datum		seconds;

	if (PG_ARGISNULL(1))
		return -1;
	seconds = DirectFunctionCall2(interval_part, PointerGetDatum(cstring_to_text("epoch")),
								  PG_GETARG_DATUM(1));
	/* an interval may be longer than microseconds can say */
	return (int64) Min(Max(DatumGetFloat8(seconds), 0) * USECS_PER_SEC, (double) (PG_INT64_MAX / 2));
}

/* In a CALL of its own, ends the statement's transaction, so that waiting holds no snapshot. */
static void
let_go(FunctionCallInfo fcinfo)
{
	bool		atomic = !fcinfo->context || !IsA(fcinfo->context, CallContext)
		|| castNode(CallContext, fcinfo->context)->atomic;

	if (atomic)
		return;
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();
	SPI_finish();
}

static void
sleep_a_while(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

Datum
tagrec_wait(PG_FUNCTION_ARGS)
{
	int64		number;
	int64		timeout = timeout_of(fcinfo);
	TimestampTz start = GetCurrentTimestamp();
	Looks		seen = {0};
	MemoryContext looks;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument job of tagrec_wait must not be null")));
	number = PG_GETARG_INT64(0);
	check_own(find_job(number));
	let_go(fcinfo);
	looks = AllocSetContextCreate(CurrentMemoryContext, "tagrec wait", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(looks);
	while (!finished(number, &seen))
	{
		MemoryContextReset(looks);
		if (timeout >= 0 && GetCurrentTimestamp() - start >= timeout)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("job %lld did not finish within the timeout", (long long) number),
					 errdetail("The job continues; this session waited %.1f s.", timeout / 1e6),
					 errhint("Wait for it again, or cancel it with tagrec_cancel().")));
		sleep_a_while();
	}
	MemoryContextSwitchTo(MemoryContextGetParent(looks));
	PG_RETURN_VOID();
}
