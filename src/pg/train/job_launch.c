/*
 * Starting workers. See job.h.
 *
 * A job that is not waited for is noted here until its transaction is about to commit; jobs rolled back, by a savepoint or
 * the whole transaction, are forgotten.
 */
#include "pg/train/job.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/base/tagrec.h"
#include "pg/registry/job_row.h"
#include "utils/memutils.h"

typedef struct Submitted
{
	TagrecLaunch launch;
	SubTransactionId subtransaction;
} Submitted;

/* Of this transaction, in its memory context. */
static List *submitted = NIL;

BackgroundWorkerHandle *
tagrec_worker_start(const TagrecLaunch *launch)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	StaticAssertStmt(sizeof(TagrecLaunch) <= BGW_EXTRALEN, "a launch must fit bgw_extra");
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = TAGREC_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "$libdir/tagrec");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "tagrec_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "tagrec worker");
	snprintf(worker.bgw_type, BGW_MAXLEN, "tagrec worker");
	memcpy(worker.bgw_extra, launch, sizeof(*launch));
	worker.bgw_notify_pid = launch->segment ? MyProcPid : 0;
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

/* Before the commit, and with the worker waiting for it. More workers than may run at once would find nothing to do. */
static void
start_workers(void)
{
	ListCell   *cell;
	int			started = 0;

	foreach(cell, submitted)
	{
		TagrecLaunch *launch = &((Submitted *) lfirst(cell))->launch;

		if (started == tagrec_max_running_jobs)
			break;
		launch->xid = GetTopTransactionId();
		if (!tagrec_worker_start(launch))
		{
			ereport(NOTICE,
					(errmsg("job %lld remains queued because no background worker slot is free", (long long) launch->job),
					 errdetail("The next tagrec worker of this role to finish its job will run it."),
					 errhint("To run more jobs at once, increase max_worker_processes (now %d).", max_worker_processes)));
			break;
		}
		started++;
	}
}

static void
at_end(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT && submitted != NIL)
		start_workers();
	if (event == XACT_EVENT_PRE_PREPARE && submitted != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has submitted a tagrec job"),
				 errdetail("Workers are started by the session that commits."),
				 errhint("Submit the job in a separate transaction.")));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		submitted = NIL;
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *argument)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, submitted)
	{
		Submitted  *job = lfirst(cell);

		if (job->subtransaction != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			job->subtransaction = parent;
		else
			submitted = foreach_delete_current(submitted, cell);
	}
}

static void
note_submitted(int64 job)
{
	static bool registered = false;
	MemoryContext before;
	Submitted  *note;

	if (!registered)
	{
		RegisterXactCallback(at_end, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		registered = true;
	}
	before = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc0(sizeof(Submitted));
	note->launch = (TagrecLaunch) {.database = MyDatabaseId, .role = GetUserId(), .job = job};
	note->subtransaction = GetCurrentSubTransactionId();
	submitted = lappend(submitted, note);
	MemoryContextSwitchTo(before);
}

int64
tagrec_job_submit(const TagrecRequest *request)
{
	int			queued = tagrec_job_queued();
	int64		job;

	if (queued >= tagrec_max_queued_jobs)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many queued jobs for role \"%s\"", GetUserNameFromId(GetUserId(), false)),
				 errdetail_plural("%d job is queued, and tagrec.max_queued_jobs is %d.",
								  "%d jobs are queued, and tagrec.max_queued_jobs is %d.",
								  queued, queued, tagrec_max_queued_jobs),
				 errhint("Wait for some of them, or cancel some with tagrec_cancel().")));
	job = tagrec_job_insert(request, false);
	note_submitted(job);
	return job;
}
