/*
 * What a training tells while it runs: the registry's rows, the notices of a client that waits, pg_stat_activity.
 */
#include "pg/train/job_run.h"

#include <math.h>

#include "core/metrics.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/backend_status.h"

/* Seconds between two transactions of an unfinished training. */
#define RECORD_INTERVAL 1.0

double
tagrec_run_seconds(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_DOUBLE(now);
}

char *
tagrec_metric_name(const TagrecOptions *options)
{
	const TrTrainOptions *train = &options->train;
	const char *name = tr_metric_names[train->metric];

	if (train->validation <= 0 && !options->validation_source)
		return NULL;
	return tr_metric_has_k((TrMetric) train->metric) ? psprintf("%s@%d", name, train->metric_k) : pstrdup(name);
}

static void
show_activity(TagrecRun *run, const char *what)
{
	char		name[NAMEDATALEN];
	char		activity[256];

	snprintf(name, sizeof(name), "tagrec job %lld %s", (long long) run->job, what);
	snprintf(activity, sizeof(activity), "tagrec: %s model %s, %s",
			 tagrec_request_is_refresh(run->request) ? "refreshing" : tagrec_request_is_tune(run->request) ? "tuning" :
			 "training", run->request->model, what);
	pgstat_report_appname(name);
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
tagrec_progress_phase(TagrecRun *run, const char *phase)
{
	TagrecProgress progress = {.phase = phase, .metric = NAN, .loss = NAN, .rate = NAN};
	const TrEpoch *last = run->n_epochs > 0 ? &run->epochs[run->n_epochs - 1] : NULL;

	run->phase = phase;
	tagrec_run_begin(run);
	if (last)
	{
		progress.epoch = last->epoch;
		progress.epochs = last->epochs;
		progress.loss = last->loss;
		progress.metric = last->metric;
		progress.rate = last->seconds > 0 ? last->pairs / last->seconds : NAN;
	}
	else if (run->result.epochs > 0)
	{
		progress.epoch = run->result.epochs;
		progress.epochs = run->result.epochs;
		progress.loss = run->result.loss;
		progress.metric = run->result.metric;
	}
	if (run->backend)
		progress.backend = run->backend->ops->describe(run->backend);
	tagrec_progress_flush(run);
	tagrec_job_progress(run->job, &progress);
	tagrec_run_commit(run);
	show_activity(run, phase);
}

void
tagrec_progress_flush(TagrecRun *run)
{
	if (run->n_epochs > 0)
		tagrec_job_epochs(run->job, run->trial, run->epochs, run->n_epochs);
	run->n_epochs = 0;
	INSTR_TIME_SET_CURRENT(run->recorded);
}

bool
tagrec_progress_poll(void *argument)
{
	TagrecRun  *run = argument;

	CHECK_FOR_INTERRUPTS();
	/* a training waits on no latch that could tell, and while it lives the server cannot be started again */
	if (!PostmasterIsAlive())
		proc_exit(1);
	return run->shared && pg_atomic_read_u32(&run->shared->cancelled) != 0;
}

/* Time for the epochs that are left, at the pace of those that are done; early stopping may spare some. */
static double
seconds_left(const TagrecRun *run, const TrEpoch *epoch)
{
	return tagrec_run_seconds(run->training) / epoch->epoch * (epoch->epochs - epoch->epoch);
}

static void
notice(TagrecRun *run, const TrEpoch *epoch)
{
	char	   *metric = tagrec_metric_name(run->options);
	char	   *measured = metric && !isnan(epoch->metric) ? psprintf(", %s %.4f", metric, epoch->metric) : "";
	double		rate = epoch->seconds > 0 ? epoch->pairs / epoch->seconds : 0;

	ereport(NOTICE,
			(errmsg("%sepoch %d of %d: loss %.4f%s, %.0f pairs/s, %.0f s left",
					run->trial > 0 ? psprintf("trial %d of %d, ", run->trial, run->trials) : "", epoch->epoch,
					epoch->epochs, epoch->loss, measured, rate, seconds_left(run, epoch))));
	INSTR_TIME_SET_CURRENT(run->noticed);
}

static void
record(TagrecRun *run, const TrEpoch *epoch)
{
	TagrecProgress progress = {
		.phase = run->phase,
		.epoch = epoch->epoch,
		.epochs = epoch->epochs,
		.loss = epoch->loss,
		.metric = epoch->metric,
		.rate = epoch->seconds > 0 ? epoch->pairs / epoch->seconds : NAN
	};

	tagrec_run_begin(run);
	tagrec_progress_flush(run);
	tagrec_job_progress(run->job, &progress);
	tagrec_run_commit(run);
}

void
tagrec_progress_epoch(void *argument, const TrEpoch *epoch)
{
	TagrecRun  *run = argument;
	char		what[64];

	run->epochs[run->n_epochs++] = *epoch;
	run->backend_bytes = Max(run->backend_bytes, run->backend->ops->allocated(run->backend));
	if (run->trial > 0)
		snprintf(what, sizeof(what), "trial %d/%d epoch %d/%d", run->trial, run->trials, epoch->epoch, epoch->epochs);
	else
		snprintf(what, sizeof(what), "epoch %d/%d", epoch->epoch, epoch->epochs);
	show_activity(run, what);
	if (epoch->epoch == 1 || run->n_epochs == TAGREC_EPOCHS_KEPT || tagrec_run_seconds(run->recorded) >= RECORD_INTERVAL)
		record(run, epoch);
	if (run->shared && epoch->epoch < epoch->epochs && epoch->pairs > 0
		&& tagrec_run_seconds(run->noticed) >= run->request->progress_interval)
		notice(run, epoch);
}
