/*
 * Starting workers. See job.h.
 */
#include "job.h"

#include "access/xact.h"
#include "catalog_job.h"
#include "compat.h"
#include "miscadmin.h"

BackgroundWorkerHandle *
tagrec_worker_start(const TagrecLaunch *launch)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	StaticAssertStmt(sizeof(TagrecLaunch) <= BGW_EXTRALEN, "a launch must fit bgw_extra");
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "$libdir/tagrec");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "tagrec_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "tagrec worker");
	snprintf(worker.bgw_type, BGW_MAXLEN, "tagrec worker");
	memcpy(worker.bgw_extra, launch, sizeof(*launch));
	worker.bgw_notify_pid = launch->segment ? MyProcPid : 0;
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

int64
tagrec_job_submit(const TagrecRequest *request)
{
	TagrecLaunch launch = {0};

	launch.database = MyDatabaseId;
	launch.role = GetUserId();
	launch.job = tagrec_job_insert(request, false);
	launch.xid = GetTopTransactionId();
	if (!tagrec_worker_start(&launch))
		ereport(NOTICE,
				(errmsg("job %lld stays queued: no background worker slot is free", (long long) launch.job),
				 errdetail("The next tagrec worker of this role that finishes its job takes it."),
				 errhint("To run more jobs at once, raise max_worker_processes (now %d).", max_worker_processes)));
	return launch.job;
}
