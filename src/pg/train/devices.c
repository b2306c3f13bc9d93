/*
 * tagrec_devices(): the devices to train on. A short-lived worker looks for them, because CUDA, once initialised, would
 * stay in a client's backend with its threads and memory. It has no database; answers come in a shared memory segment.
 */
#include "postgres.h"

#include <unistd.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/train/backend_load.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define MOST_DEVICES 64

/* Set by the worker; done last. */
typedef struct Answer
{
	int			count;			/* CUDA devices; -1 = none, and why */
	TrDevice	device[MOST_DEVICES];
	char		reason[1536];
	char		cpu[128];		/* the CPU backend's description */
	bool		done;
} Answer;

extern PGDLLEXPORT void tagrec_devices_main(Datum argument);

PG_FUNCTION_INFO_V1(tagrec_devices);

/* ------------------------------------------------------------------ the worker */

/* "OpenBLAS 0.3.21 SkylakeX" out of "cpu, OpenBLAS 0.3.21 SkylakeX, 1 thread" */
static void
describe_cpu(char *name, size_t size)
{
	TrBackend  *cpu = tagrec_backend_open((TagrecDevice) {TAGREC_CPU}, 1, TR_FP32);
	char	   *end;

	strlcpy(name, cpu->ops->describe(cpu) + strlen("cpu, "), size);
	end = strrchr(name, ',');
	if (end)
		*end = '\0';
	cpu->ops->close(cpu);
}

void
tagrec_devices_main(Datum argument)
{
	dsm_segment *segment;
	Answer	   *answer;

	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(argument));
	if (!segment)
		return;					/* the client has gone already */
	answer = dsm_segment_address(segment);
	answer->count = tagrec_backend_devices(answer->device, MOST_DEVICES, answer->reason, sizeof(answer->reason));
	describe_cpu(answer->cpu, sizeof(answer->cpu));
	answer->done = true;
	dsm_detach(segment);
}

/* ------------------------------------------------------------------ the client */

static void
run_worker(dsm_segment *segment)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "$libdir/tagrec");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "tagrec_devices_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "tagrec devices");
	snprintf(worker.bgw_type, BGW_MAXLEN, "tagrec devices");
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("out of background worker slots"),
				 errhint("Increase max_worker_processes (now %d).", max_worker_processes)));
	PG_TRY();
	{
		if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
			proc_exit(1);
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
put_cpu(ReturnSetInfo *result, const Answer *answer)
{
	int64		memory = (int64) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	Datum		values[5] = {CStringGetTextDatum("cpu"), CStringGetTextDatum(answer->cpu), Int64GetDatum(memory)};
	bool		nulls[5] = {false, false, false, true, true};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_cuda(ReturnSetInfo *result, const TrDevice *device, int number)
{
	bool		nulls[5] = {false};
	Datum		values[5] = {
		/* training takes the first */
		CStringGetTextDatum(number == 0 ? "cuda" : psprintf("cuda:%d", number)),
		CStringGetTextDatum(device->name),
		Int64GetDatum((int64) device->memory),
		CStringGetTextDatum(psprintf("%d.%d", device->major, device->minor)),
		CStringGetTextDatum(device->driver)
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
tagrec_devices(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	dsm_segment *segment = dsm_create(sizeof(Answer), 0);
	Answer	   *answer = dsm_segment_address(segment);

	memset(answer, 0, sizeof(Answer));
	run_worker(segment);
	if (!answer->done)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("worker that detects devices failed"),
				 errhint("See the server log for details.")));
	if (answer->count < 0)
		ereport(NOTICE,
				(errmsg("device \"cuda\" is not available"),
				 errdetail("%s", tagrec_sentence(answer->reason))));
	InitMaterializedSRF(fcinfo, 0);
	put_cpu(result, answer);
	for (int i = 0; i < answer->count; i++)
		put_cuda(result, &answer->device[i], i);
	dsm_detach(segment);
	return (Datum) 0;
}
