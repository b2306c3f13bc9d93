/*
 * The client's side of a training that is waited for. See job.h.
 */
#include "pg/train/job.h"

#include <signal.h>

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#define QUEUE_SIZE ((Size) 65536)
#define CLIENT_CHECK_MS 500

typedef struct Waiting
{
	dsm_segment *segment;
	TagrecShared *shared;
	shm_mq_handle *queue;
	BackgroundWorkerHandle *worker;
} Waiting;

/*
 * The client lets go of the segment: its function has returned, or its statement failed (Ctrl-C, a timeout), or it exits.
 * A job that has not ended by then is orphaned.
 */
static void
stop_worker(dsm_segment *segment, Datum argument)
{
	Waiting    *waiting = (Waiting *) DatumGetPointer(argument);
	pid_t		pid;

	if (!waiting->worker || pg_atomic_read_u32(&waiting->shared->ended) != 0)
		return;
	pg_atomic_write_u32(&waiting->shared->cancelled, 1);
	switch (GetBackgroundWorkerPid(waiting->worker, &pid))
	{
		case BGWH_STARTED:
			kill(pid, SIGINT);
			break;
		case BGWH_NOT_YET_STARTED:
			TerminateBackgroundWorker(waiting->worker);
			break;
		default:
			break;
	}
}

static void
make_segment(Waiting *waiting, const char *request)
{
	shm_toc_estimator estimator;
	Size		length = strlen(request) + 1;
	Size		size;
	shm_toc    *toc;
	char	   *text;
	shm_mq	   *queue;

	shm_toc_initialize_estimator(&estimator);
	shm_toc_estimate_chunk(&estimator, sizeof(TagrecShared));
	shm_toc_estimate_chunk(&estimator, length);
	shm_toc_estimate_chunk(&estimator, QUEUE_SIZE);
	shm_toc_estimate_keys(&estimator, 3);
	size = shm_toc_estimate(&estimator);

	waiting->segment = dsm_create(size, 0);
	toc = shm_toc_create(TAGREC_MAGIC, dsm_segment_address(waiting->segment), size);
	waiting->shared = shm_toc_allocate(toc, sizeof(TagrecShared));
	memset(waiting->shared, 0, sizeof(TagrecShared));
	GET_VXID_FROM_PGPROC(waiting->shared->client, *MyProc);
	pg_atomic_init_u32(&waiting->shared->cancelled, 0);
	pg_atomic_init_u32(&waiting->shared->taken, 0);
	pg_atomic_init_u32(&waiting->shared->ended, 0);
	shm_toc_insert(toc, TAGREC_KEY_SHARED, waiting->shared);
	text = shm_toc_allocate(toc, length);
	memcpy(text, request, length);
	shm_toc_insert(toc, TAGREC_KEY_REQUEST, text);
	queue = shm_mq_create(shm_toc_allocate(toc, QUEUE_SIZE), QUEUE_SIZE);
	shm_toc_insert(toc, TAGREC_KEY_QUEUE, queue);
	shm_mq_set_receiver(queue, MyProc);
	waiting->queue = shm_mq_attach(queue, waiting->segment, NULL);
}

static void
launch(Waiting *waiting)
{
	TagrecLaunch launch = {0};
	MemoryContext caller;

	launch.database = MyDatabaseId;
	launch.role = GetUserId();
	launch.segment = dsm_segment_handle(waiting->segment);
	/* for stop_worker(): the memory of a statement that fails is freed before its segments are detached */
	caller = MemoryContextSwitchTo(TopTransactionContext);
	waiting->worker = tagrec_worker_start(&launch);
	MemoryContextSwitchTo(caller);
	if (!waiting->worker)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("out of background worker slots"),
				 errhint("Increase max_worker_processes (now %d), or queue the job with wait => false.",
						 max_worker_processes)));
	shm_mq_set_handle(waiting->queue, waiting->worker);
}

/* An error of the worker is one of this statement; a notice is passed on. */
static void
pass_on(char *data, Size length)
{
	StringInfoData message;
	ErrorData	error;
	char		kind;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, data, (int) length);
	kind = (char) pq_getmsgbyte(&message);
	if (kind == 'E' || kind == 'N')
	{
		pq_parse_errornotice(&message, &error);
		error.elevel = Min(error.elevel, ERROR);
		ThrowErrorData(&error);
	}
	pfree(message.data);
}

/*
 * A client that has died is noticed when something is sent to it, or when the socket is asked. The server asks only if
 * client_connection_check_interval is set, but an orphaned job should always be cancelled.
 */
static void
check_client(void)
{
	if (MyProcPort == NULL || whereToSendOutput != DestRemote || !WaitEventSetCanReportClosed())
		return;
	if (!pq_check_connection())
	{
		ClientConnectionLost = true;
		InterruptPending = true;
	}
}

/* Until the worker lets go of the queue. */
static void
receive(Waiting *waiting)
{
	for (;;)
	{
		Size		length;
		void	   *data;
		shm_mq_result result = shm_mq_receive(waiting->queue, &length, &data, true);

		if (result == SHM_MQ_DETACHED)
			return;
		if (result == SHM_MQ_SUCCESS)
		{
			pass_on(data, length);
			continue;
		}
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, CLIENT_CHECK_MS, PG_WAIT_EXTENSION)
			& WL_TIMEOUT)
			check_client();
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

int64
tagrec_job_run_waiting(const TagrecRequest *request)
{
	/* outlives this function: stop_worker() runs when the statement is aborted */
	Waiting    *waiting = MemoryContextAllocZero(TopTransactionContext, sizeof(Waiting));
	int64		job;
	bool		ended;

	make_segment(waiting, tagrec_request_text(request));
	on_dsm_detach(waiting->segment, stop_worker, PointerGetDatum(waiting));
	launch(waiting);
	receive(waiting);
	ended = pg_atomic_read_u32(&waiting->shared->ended) != 0;
	job = waiting->shared->job;
	dsm_detach(waiting->segment);
	if (!ended)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("training worker exited without finishing its job"),
				 errhint("See the server log for details.")));
	return job;
}
