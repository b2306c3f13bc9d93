/*
 * What a worker does its job with. See job_running.h.
 */
#include "pg/train/job_running.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/snapmgr.h"

bool
tagrec_running_cancelled(const TagrecRunningJob *job)
{
	CHECK_FOR_INTERRUPTS();
	/* a training waits on no latch that would notice, and while it lives the server cannot be restarted */
	if (!PostmasterIsAlive())
		proc_exit(1);
	return job->shared && pg_atomic_read_u32(&job->shared->cancelled) != 0;
}

double
tagrec_seconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_DOUBLE(now);
}

void
tagrec_worker_begin(MemoryContext context)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
}

void
tagrec_worker_commit(MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

ErrorData *
tagrec_worker_abort(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	return error;
}
