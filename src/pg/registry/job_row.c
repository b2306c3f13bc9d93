/*
 * The registry's jobs. See job_row.h.
 */
#include "pg/registry/job_row.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/base/tagrec.h"
#include "pg/registry/statement.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* ------------------------------------------------------------------ beginning */

static TagrecQuery insert_query = {
	"INSERT INTO @.tagrec_job (model, kind, state, role, request, started_at)"
	" VALUES ($1, $2, $3, $4, $5, CASE WHEN $3 OPERATOR(pg_catalog.=) 'running' THEN pg_catalog.clock_timestamp() END)"
	" RETURNING job",
	5, {TEXTOID, TEXTOID, TEXTOID, NAMEOID, JSONBOID}
};

static TagrecQuery claim_query = {
	"UPDATE @.tagrec_job SET state = 'running', started_at = pg_catalog.clock_timestamp()"
	" WHERE job OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'queued' RETURNING job, request",
	1, {INT8OID}
};

static TagrecQuery claim_next_query = {
	"UPDATE @.tagrec_job SET state = 'running', started_at = pg_catalog.clock_timestamp()"
	" WHERE job OPERATOR(pg_catalog.=) (SELECT job FROM @.tagrec_job WHERE state OPERATOR(pg_catalog.=) 'queued'"
	" AND role OPERATOR(pg_catalog.=) $1 ORDER BY job LIMIT 1 FOR UPDATE SKIP LOCKED)"
	" AND state OPERATOR(pg_catalog.=) 'queued' RETURNING job, request",
	1, {NAMEOID}
};

static TagrecQuery running_query = {
	"SELECT job FROM @.tagrec_job WHERE state OPERATOR(pg_catalog.=) 'running' AND role OPERATOR(pg_catalog.=) $1",
	1, {NAMEOID}
};

static TagrecQuery queued_query = {
	"SELECT pg_catalog.count(*)::pg_catalog.int4 AS jobs FROM @.tagrec_job"
	" WHERE state OPERATOR(pg_catalog.=) 'queued' AND role OPERATOR(pg_catalog.=) $1",
	1, {NAMEOID}
};

static Datum
role_name(void)
{
	Name		name = palloc0(sizeof(NameData));

	namestrcpy(name, GetUserNameFromId(GetUserId(), false));
	return NameGetDatum(name);
}

static int64
row_int8(uint64 row, const char *name)
{
	bool		isnull;
	Datum		value = tagrec_row_datum(row, name, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int64
tagrec_job_insert(const TagrecRequest *request, bool running)
{
	Datum		values[5] = {CStringGetTextDatum(request->model), CStringGetTextDatum(request->kind),
		CStringGetTextDatum(running ? "running" : "queued"), role_name(),
		JsonbPGetDatum(tagrec_jsonb(tagrec_request_text(request)))};
	TagrecSession session = tagrec_registry_begin();
	int64		job;

	tagrec_registry_run(&insert_query, true, values, NULL);
	job = row_int8(0, "job");
	tagrec_registry_end(session);
	return job;
}

int
tagrec_job_queued(void)
{
	Datum		values[1] = {role_name()};

	return tagrec_registry_int(&queued_query, true, values);
}

/*
 * Jobs of the current role that a worker works on; lost ones do not count. Other workers of the role are locked out until
 * the transaction ends, so that two of them cannot take the last free place.
 */
static int
count_running(void)
{
	LOCKTAG		tag;
	Datum		values[1] = {role_name()};
	int			running = 0;
	TagrecSession session;
	uint64		count;
	int64	   *jobs;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, GetUserId(), TAGREC_CLAIM_LOCK);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	session = tagrec_registry_begin();
	count = tagrec_registry_run(&running_query, true, values, NULL);
	jobs = palloc(Max(count, 1) * sizeof(int64));
	for (uint64 i = 0; i < count; i++)
		jobs[i] = row_int8(i, "job");
	for (uint64 i = 0; i < count; i++)
		running += tagrec_job_worker(jobs[i]) != 0;
	tagrec_registry_end(session);
	return running;
}

void
tagrec_job_check_running(void)
{
	int			running = count_running();

	if (running >= tagrec_max_running_jobs)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many running jobs for role \"%s\"", GetUserNameFromId(GetUserId(), false)),
				 errdetail_plural("%d job is running, and tagrec.max_running_jobs is %d.",
								  "%d jobs are running, and tagrec.max_running_jobs is %d.",
								  running, running, tagrec_max_running_jobs),
				 errhint("Wait for one of them, or queue the job with wait => false.")));
}

static int64
claim(TagrecQuery *query, Datum value, TagrecRequest **request)
{
	Datum		values[1] = {value};
	TagrecSession session;
	int64		job = 0;

	*request = NULL;
	if (count_running() >= tagrec_max_running_jobs)
		return 0;
	session = tagrec_registry_begin();
	if (tagrec_registry_run(query, true, values, NULL) > 0)
	{
		bool		isnull;
		Datum		object = tagrec_row_datum(0, "request", &isnull);
		MemoryContext inside = MemoryContextSwitchTo(session.caller);

		*request = tagrec_request_read(DatumGetJsonbP(object));
		MemoryContextSwitchTo(inside);
		job = row_int8(0, "job");
	}
	tagrec_registry_end(session);
	return job;
}

TagrecRequest *
tagrec_job_claim(int64 job)
{
	TagrecRequest *request;

	claim(&claim_query, Int64GetDatum(job), &request);
	return request;
}

int64
tagrec_job_claim_next(TagrecRequest **request)
{
	return claim(&claim_next_query, role_name(), request);
}

/* ------------------------------------------------------------------ progress and end */

static TagrecQuery progress_query = {
	"UPDATE @.tagrec_job SET phase = $2, epoch = $3, epochs = $4, loss = $5, metric_value = $6, rows_per_second = $7,"
	" backend = COALESCE($8, backend), unit = NULL, done = NULL, total = NULL, progress_at = pg_catalog.clock_timestamp()"
	" WHERE job OPERATOR(pg_catalog.=) $1",
	8, {INT8OID, TEXTOID, INT4OID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TEXTOID}
};

static TagrecQuery work_query = {
	"UPDATE @.tagrec_job SET unit = $2, done = $3, total = $4, rows_per_second = COALESCE($5, rows_per_second),"
	" progress_at = pg_catalog.clock_timestamp() WHERE job OPERATOR(pg_catalog.=) $1",
	5, {INT8OID, TEXTOID, INT8OID, INT8OID, FLOAT8OID}
};

static TagrecQuery epoch_query = {
	"INSERT INTO @.tagrec_epoch (job, epoch, loss, metric_value, seconds, rows_per_second, trial)"
	" VALUES (#) ON CONFLICT DO NOTHING",
	7, {INT8OID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID}
};

static TagrecQuery done_query = {
	"UPDATE @.tagrec_job SET state = 'done', phase = NULL, version = $2, peak_memory = $3,"
	" finished_at = pg_catalog.clock_timestamp() WHERE job OPERATOR(pg_catalog.=) $1",
	3, {INT8OID, INT4OID, INT8OID}
};

static TagrecQuery failed_query = {
	"UPDATE @.tagrec_job SET state = $2, sqlstate = $3, peak_memory = $4, finished_at = pg_catalog.clock_timestamp()"
	" WHERE job OPERATOR(pg_catalog.=) $1",
	4, {INT8OID, TEXTOID, TEXTOID, INT8OID}
};

static TagrecQuery error_query = {
	"INSERT INTO @.tagrec_job_error (job, message, detail, hint) VALUES (#) ON CONFLICT DO NOTHING",
	4, {INT8OID, TEXTOID, TEXTOID, TEXTOID}
};

/* A version's job has its curve and its trials. */
static TagrecQuery purge_query = {
	"DELETE FROM @.tagrec_job WHERE job OPERATOR(pg_catalog.=) ANY (SELECT j.job FROM @.tagrec_job j"
	" WHERE j.role OPERATOR(pg_catalog.=) $1 AND j.job OPERATOR(pg_catalog.<>) $2"
	" AND j.state OPERATOR(pg_catalog.=) ANY (ARRAY['done', 'failed', 'cancelled'])"
	" AND NOT EXISTS (SELECT FROM @.tagrec_version v WHERE v.job OPERATOR(pg_catalog.=) j.job)"
	" ORDER BY j.job DESC OFFSET $3)",
	3, {NAMEOID, INT8OID, INT8OID}
};

static TagrecQuery unqueue_query = {
	"UPDATE @.tagrec_job SET state = 'cancelled', finished_at = pg_catalog.clock_timestamp()"
	" WHERE job OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'queued'",
	1, {INT8OID}
};

void
tagrec_job_progress(int64 job, const char *phase, const TrEpoch *epoch, const char *backend)
{
	TagrecValues values = {0};
	bool		none = epoch->epoch == 0;

	tagrec_put(&values, Int64GetDatum(job), false);
	tagrec_put_text(&values, phase);
	tagrec_put(&values, Int32GetDatum(epoch->epoch), none);
	tagrec_put(&values, Int32GetDatum(epoch->epochs), none);
	tagrec_put_float(&values, none ? NAN : epoch->loss);
	tagrec_put_float(&values, none ? NAN : epoch->metric);
	tagrec_put_float(&values, epoch->seconds > 0 ? epoch->pairs / epoch->seconds : NAN);
	tagrec_put_text(&values, backend);
	tagrec_registry_put(&progress_query, &values);
}

void
tagrec_job_work(int64 job, const TrWork *work, double pace)
{
	TagrecValues values = {0};

	tagrec_put(&values, Int64GetDatum(job), false);
	tagrec_put_text(&values, work->unit);
	tagrec_put(&values, Int64GetDatum(work->done), false);
	tagrec_put(&values, Int64GetDatum(work->total), work->total == 0);
	tagrec_put_float(&values, pace);
	tagrec_registry_put(&work_query, &values);
}

void
tagrec_job_epochs(int64 job, int trial, const TrEpoch *epochs, int count)
{
	for (int i = 0; i < count; i++)
	{
		const TrEpoch *e = &epochs[i];
		TagrecValues values = {0};

		tagrec_put(&values, Int64GetDatum(job), false);
		tagrec_put(&values, Int32GetDatum(e->epoch), false);
		tagrec_put(&values, Float8GetDatum(e->loss), false);
		tagrec_put_float(&values, e->metric);
		tagrec_put(&values, Float8GetDatum(e->seconds), false);
		tagrec_put(&values, Float8GetDatum(e->seconds > 0 ? e->pairs / e->seconds : 0), false);
		tagrec_put(&values, Int32GetDatum(trial), false);
		tagrec_registry_put(&epoch_query, &values);
	}
}

void
tagrec_job_done(int64 job, int32 version, Size peak_memory)
{
	Datum		values[3] = {Int64GetDatum(job), Int32GetDatum(version), Int64GetDatum((int64) peak_memory)};

	tagrec_registry_write(&done_query, values);
}

void
tagrec_job_failed(int64 job, const char *state, const TagrecJobError *error, Size peak_memory)
{
	TagrecValues row = {0};
	TagrecValues words = {0};

	tagrec_put(&row, Int64GetDatum(job), false);
	tagrec_put_text(&row, state);
	tagrec_put_text(&row, error->sqlstate);
	tagrec_put(&row, Int64GetDatum((int64) peak_memory), false);
	tagrec_registry_put(&failed_query, &row);

	tagrec_put(&words, Int64GetDatum(job), false);
	tagrec_put_text(&words, error->message);
	tagrec_put_text(&words, error->detail);
	tagrec_put_text(&words, error->hint);
	tagrec_registry_put(&error_query, &words);
}

void
tagrec_job_purge(int64 job, int most)
{
	Datum		values[3] = {role_name(), Int64GetDatum(job), Int64GetDatum(most)};

	if (most >= 0)
		tagrec_registry_write(&purge_query, values);
}

bool
tagrec_job_unqueue(int64 job)
{
	Datum		values[1] = {Int64GetDatum(job)};

	return tagrec_registry_write(&unqueue_query, values) > 0;
}

/* ------------------------------------------------------------------ asking */

static TagrecQuery find_query = {
	"SELECT job, model, kind, state, role, phase, epoch, epochs, version, sqlstate, xmin FROM @.tagrec_job"
	" WHERE job OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static TagrecQuery find_error_query = {
	"SELECT j.sqlstate, e.message, e.detail, e.hint FROM @.tagrec_job j JOIN @.tagrec_job_error e"
	" ON e.job OPERATOR(pg_catalog.=) j.job WHERE j.job OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static TagrecQuery of_model_query = {
	"SELECT job, state FROM @.tagrec_job WHERE model OPERATOR(pg_catalog.=) $1"
	" AND state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'running']) ORDER BY job",
	1, {TEXTOID}
};

/* The two halves of the job's number are the lock's second and third field. */
static TagrecQuery worker_query = {
	"SELECT pid FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND granted"
	" AND database OPERATOR(pg_catalog.=) $1 AND classid OPERATOR(pg_catalog.=) $2"
	" AND objid OPERATOR(pg_catalog.=) $3 AND objsubid OPERATOR(pg_catalog.=) $4",
	4, {OIDOID, OIDOID, OIDOID, INT2OID}
};

static TagrecJob *
read_job(MemoryContext to)
{
	TagrecJob  *job = MemoryContextAllocZero(to, sizeof(TagrecJob));
	char	   *role = tagrec_row_text(0, "role", to);
	bool		isnull;

	job->job = row_int8(0, "job");
	job->model = tagrec_row_text(0, "model", to);
	job->kind = tagrec_row_text(0, "kind", to);
	job->state = tagrec_row_text(0, "state", to);
	job->role = get_role_oid(role, true);
	job->phase = tagrec_row_text(0, "phase", to);
	job->epoch = tagrec_row_int(0, "epoch", 0);
	job->epochs = tagrec_row_int(0, "epochs", 0);
	job->version = tagrec_row_int(0, "version", 0);
	job->sqlstate = tagrec_row_text(0, "sqlstate", to);
	job->own = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(tagrec_row_datum(0, "xmin", &isnull)));
	return job;
}

TagrecJob *
tagrec_job_find(int64 number)
{
	TagrecJob  *job = NULL;
	Datum		values[1] = {Int64GetDatum(number)};
	TagrecSession session;

	/* not the transaction's snapshot: under REPEATABLE READ that would never see the job move */
	PushActiveSnapshot(GetLatestSnapshot());
	session = tagrec_registry_begin();
	if (tagrec_registry_run(&find_query, false, values, NULL) > 0)
		job = read_job(session.caller);
	tagrec_registry_end(session);
	PopActiveSnapshot();
	return job;
}

TagrecJobError *
tagrec_job_error(int64 number)
{
	TagrecJobError *error = NULL;
	Datum		values[1] = {Int64GetDatum(number)};
	TagrecSession session = tagrec_registry_begin();

	if (tagrec_registry_run(&find_error_query, true, values, NULL) > 0)
	{
		error = MemoryContextAllocZero(session.caller, sizeof(TagrecJobError));
		error->sqlstate = tagrec_row_text(0, "sqlstate", session.caller);
		error->message = tagrec_row_text(0, "message", session.caller);
		error->detail = tagrec_row_text(0, "detail", session.caller);
		error->hint = tagrec_row_text(0, "hint", session.caller);
	}
	tagrec_registry_end(session);
	return error;
}

int64
tagrec_job_of_model(const char *model)
{
	int64		found = 0;
	Datum		values[1] = {CStringGetTextDatum(model)};
	TagrecSession session = tagrec_registry_begin();
	uint64		count = tagrec_registry_run(&of_model_query, true, values, NULL);
	int64	   *jobs = palloc(Max(count, 1) * sizeof(int64));
	bool	   *queued = palloc(Max(count, 1) * sizeof(bool));

	for (uint64 i = 0; i < count; i++)
	{
		jobs[i] = row_int8(i, "job");
		queued[i] = strcmp(tagrec_row_text(i, "state", CurrentMemoryContext), "queued") == 0;
	}
	for (uint64 i = 0; i < count && found == 0; i++)
		if (queued[i] || tagrec_job_worker(jobs[i]) != 0)
			found = jobs[i];
	tagrec_registry_end(session);
	return found;
}

int
tagrec_job_worker(int64 job)
{
	Datum		values[4] = {ObjectIdGetDatum(MyDatabaseId), ObjectIdGetDatum((Oid) ((uint64) job >> 32)),
		ObjectIdGetDatum((Oid) job), Int16GetDatum(TAGREC_JOB_LOCK)};

	return tagrec_registry_int(&worker_query, true, values);
}

void
tagrec_job_check_role(const TagrecJob *job)
{
	if (superuser() || (OidIsValid(job->role) && has_privs_of_role(GetUserId(), job->role)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for job %lld", (long long) job->job),
			 errdetail("It belongs to another role.")));
}

/* ------------------------------------------------------------------ the lock */

static LOCKTAG
lock_tag(int64 job)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) ((uint64) job >> 32), (uint32) job, TAGREC_JOB_LOCK);
	return tag;
}

bool
tagrec_job_lock(int64 job)
{
	LOCKTAG		tag = lock_tag(job);

	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
tagrec_job_unlock(int64 job)
{
	LOCKTAG		tag = lock_tag(job);

	LockRelease(&tag, ExclusiveLock, true);
}
