/*
 * What a training tells while it runs. See job_progress.h.
 */
#include "pg/train/job_progress.h"

#include <math.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pg/base/told.h"
#include "pg/registry/job_row.h"
#include "pgstat.h"
#include "utils/backend_status.h"

/* Seconds between two transactions of an unfinished training. */
#define RECORD_INTERVAL 1.0

/* The one job of this process, for what is told from inside a transaction. */
static TagrecProgress *current;

static void
told(const char *unit, int64 done, int64 total)
{
	current->work = (TrWork) {.unit = unit, .done = done, .total = total};
	tagrec_progress_tick(current);
}

void
tagrec_progress_init(TagrecProgress *progress, const TagrecRunningJob *job)
{
	memset(progress, 0, sizeof(*progress));
	progress->job = job;
	progress->noticed = progress->recorded = progress->training = progress->counting = progress->ticked = job->started;
	current = progress;
	tagrec_told = told;
}

static void
show_activity(const TagrecRunningJob *job, const char *what)
{
	const TagrecRequest *request = job->request;
	char		name[NAMEDATALEN];
	char		activity[256];

	snprintf(name, sizeof(name), "tagrec job %lld %s", (long long) job->number, what);
	snprintf(activity, sizeof(activity), "tagrec: %s model %s, %s",
			 tagrec_request_is_refresh(request) ? "refreshing" : tagrec_request_is_tune(request) ? "tuning" :
			 tagrec_request_is_recommend(request) ? "recommending with" : "training", request->model, what);
	pgstat_report_appname(name);
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
tagrec_progress_flush(TagrecProgress *progress)
{
	if (progress->n_epochs > 0)
		tagrec_job_epochs(progress->job->number, progress->trial, progress->epochs, progress->n_epochs);
	progress->n_epochs = 0;
	INSTR_TIME_SET_CURRENT(progress->recorded);
}

/* The job's row, with the epochs that wait. */
static void
record(TagrecProgress *progress, const TrEpoch *last, TrBackend *backend)
{
	const TagrecRunningJob *job = progress->job;

	tagrec_worker_begin(job->context);
	tagrec_progress_flush(progress);
	tagrec_job_progress(job->number, progress->phase, last, backend ? backend->ops->describe(backend) : NULL);
	tagrec_worker_commit(job->context);
}

void
tagrec_progress_phase(TagrecProgress *progress, const char *phase, TrBackend *backend, const TrTrainResult *result)
{
	TrEpoch		last = {0};

	progress->phase = phase;
	progress->work = (TrWork) {0};
	if (progress->n_epochs > 0)
		last = progress->epochs[progress->n_epochs - 1];
	else if (result)
		last = (TrEpoch) {
			.epoch = result->epochs, .epochs = result->epochs, .loss = result->loss, .metric = result->metric
		};
	record(progress, &last, backend);
	show_activity(progress->job, phase);
}

void
tagrec_progress_train(TagrecProgress *progress, const char *metric)
{
	progress->metric = metric;
	INSTR_TIME_SET_CURRENT(progress->training);
}

/* ------------------------------------------------------------------ within an epoch */

/* Where the counting began: with another unit, or when less was done than before. */
static void
watch_count(TagrecProgress *progress)
{
	const TrWork *work = &progress->work;

	if (work->unit != progress->counted || work->done < progress->counted_done)
	{
		progress->counted_from = work->done;
		INSTR_TIME_SET_CURRENT(progress->counting);
	}
	progress->counted = work->unit;
	progress->counted_done = work->done;
}

/* Units per second since the counting began; 0 = not known yet */
static double
pace_of(const TagrecProgress *progress)
{
	double		seconds = tagrec_seconds_since(progress->counting);

	return seconds > 0 ? (progress->work.done - progress->counted_from) / seconds : 0;
}

/* "epoch 3 of 30: 1200 of 54508 pairs, 5120 pairs/s, 40 s left", or less where less is known */
static void
describe_work(const TagrecProgress *progress, char *what, Size size)
{
	const TrWork *work = &progress->work;
	double		pace = pace_of(progress);
	int			n = 0;

	what[0] = '\0';
	if (progress->trial > 0)
		n += snprintf(what + n, size - n, "trial %d of %d, ", progress->trial, progress->trials);
	if (work->epochs > 1)
		n += snprintf(what + n, size - n, "epoch %d of %d: ", work->epoch, work->epochs);
	else if (progress->phase)
		n += snprintf(what + n, size - n, "%s: ", progress->phase);
	n += snprintf(what + n, size - n, "%lld ", (long long) work->done);
	if (work->total > 0)
		n += snprintf(what + n, size - n, "of %lld ", (long long) work->total);
	n += snprintf(what + n, size - n, "%s", work->unit);
	if (pace > 0)
		n += snprintf(what + n, size - n, ", %.0f %s/s", pace, work->unit);
	if (pace > 0 && work->total > 0)
		snprintf(what + n, size - n, ", %.0f s left", (work->total - work->done) / pace);
}

static void
record_work(TagrecProgress *progress)
{
	const TagrecRunningJob *job = progress->job;
	double		pace = pace_of(progress);

	tagrec_worker_begin(job->context);
	tagrec_progress_flush(progress);
	tagrec_job_work(job->number, &progress->work, pace > 0 && progress->work.epoch > 0 ? pace : NAN);
	tagrec_worker_commit(job->context);
}

void
tagrec_progress_tick(TagrecProgress *progress)
{
	const TagrecRunningJob *job = progress->job;
	char		what[160];

	if (!progress->work.unit)
		return;
	watch_count(progress);
	if (tagrec_seconds_since(progress->ticked) < RECORD_INTERVAL)
		return;
	INSTR_TIME_SET_CURRENT(progress->ticked);
	describe_work(progress, what, sizeof(what));
	show_activity(job, what);
	if (!IsTransactionState())
		record_work(progress);
	if (job->shared && tagrec_seconds_since(progress->noticed) >= job->request->progress_interval)
	{
		ereport(NOTICE, (errmsg("%s", what)));
		INSTR_TIME_SET_CURRENT(progress->noticed);
	}
}

void
tagrec_progress_pause(void)
{
	CHECK_FOR_INTERRUPTS();
	if (current)
		tagrec_progress_tick(current);
}

/* ------------------------------------------------------------------ epochs */

/*
 * Estimated time for the remaining epochs, from those that are done; early stopping may shorten it. Those of one part of a
 * model say nothing about those of the next.
 */
static char *
time_left(const TagrecProgress *progress, const TrEpoch *epoch)
{
	double		each = tagrec_seconds_since(progress->training) / epoch->epoch;

	return epoch->partial ? "" : psprintf(", %.0f s left", each * (epoch->epochs - epoch->epoch));
}

static void
notice(TagrecProgress *progress, const TrEpoch *epoch)
{
	const char *metric = progress->metric;
	char	   *measured = metric && !isnan(epoch->metric) ? psprintf(", %s %.4f", metric, epoch->metric) : "";
	double		rate = epoch->seconds > 0 ? epoch->pairs / epoch->seconds : 0;

	ereport(NOTICE,
			(errmsg("%sepoch %d of %d: loss %.4f%s, %.0f pairs/s%s",
					progress->trial > 0 ? psprintf("trial %d of %d, ", progress->trial, progress->trials) : "",
					epoch->epoch, epoch->epochs, epoch->loss, measured, rate, time_left(progress, epoch))));
	INSTR_TIME_SET_CURRENT(progress->noticed);
}

void
tagrec_progress_epoch(TagrecProgress *progress, const TrEpoch *epoch)
{
	const TagrecRunningJob *job = progress->job;
	char		what[64];

	progress->epochs[progress->n_epochs++] = *epoch;
	if (progress->trial > 0)
		snprintf(what, sizeof(what), "trial %d/%d epoch %d/%d", progress->trial, progress->trials, epoch->epoch,
				 epoch->epochs);
	else
		snprintf(what, sizeof(what), "epoch %d/%d", epoch->epoch, epoch->epochs);
	show_activity(job, what);
	if (epoch->epoch == 1 || progress->n_epochs == TAGREC_EPOCHS_KEPT
		|| tagrec_seconds_since(progress->recorded) >= RECORD_INTERVAL)
		record(progress, epoch, NULL);
	if (job->shared && epoch->epoch < epoch->epochs && epoch->pairs > 0
		&& tagrec_seconds_since(progress->noticed) >= job->request->progress_interval)
		notice(progress, epoch);
}
