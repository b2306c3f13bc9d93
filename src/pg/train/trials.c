/*
 * Trials: the source is read once, and trial after trial is trained on it. See trials.h.
 */
#include "pg/train/trials.h"

#include <math.h>

#include "common/hashfn.h"
#include "core/metrics.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "utils/builtins.h"

/* Bytes between two looks for a cancel. */
#define HASHED_AT_ONCE ((Size) 1 << 26)

/* ------------------------------------------------------------------ what was read */

static uint64
hash_bytes64(uint64 hash, const void *bytes, Size size)
{
	const unsigned char *p = bytes;

	for (Size done = 0; done < size;)
	{
		int			part = (int) Min(size - done, HASHED_AT_ONCE);

		CHECK_FOR_INTERRUPTS();
		hash = hash_bytes_extended(p + done, part, hash);
		done += part;
	}
	return hash;
}

static uint64
hash_keys(uint64 hash, const TagrecKeys *keys)
{
	hash = hash_bytes64(hash, &keys->count, sizeof(keys->count));
	for (int32 i = 0; i < keys->count; i++)
		hash = hash_bytes64(hash, keys->text[i], strlen(keys->text[i]) + 1);
	return hash;
}

/* Of everything read. */
static uint64
hash_data(const TagrecData *data)
{
	const TrDataset *d = &data->all;
	const TrPairs *pairs = &data->validation;
	uint64		hash = hash_bytes64(0, &data->sample.n_posts, sizeof(data->sample.n_posts));

	hash = hash_keys(hash, &data->users);
	hash = hash_keys(hash, &data->items);
	hash = hash_keys(hash, &data->tags);
	hash = hash_bytes64(hash, d->post_user, d->n_posts * sizeof(int32));
	hash = hash_bytes64(hash, d->post_item, d->n_posts * sizeof(int32));
	hash = hash_bytes64(hash, d->post_ptr, (d->n_posts + 1) * sizeof(int64));
	hash = hash_bytes64(hash, d->post_tag, d->n_assignments * sizeof(int32));
	if (d->post_value)
		hash = hash_bytes64(hash, d->post_value, d->n_posts * sizeof(float));
	if (d->user.weight)
		hash = hash_bytes64(hash, d->user.weight, d->n_assignments * sizeof(float));
	if (d->n_described > 0)
	{
		hash = hash_bytes64(hash, d->item.entry_ptr, (d->n_items + 1) * sizeof(int64));
		hash = hash_bytes64(hash, d->item.tag, d->item.n_entries * sizeof(int32));
		hash = hash_bytes64(hash, d->item.count, d->item.n_entries * sizeof(float));
	}
	for (int i = 0; i < d->n_profiles; i++)
	{
		const TrNamedProfiles *p = &d->profiles[i];

		hash = hash_bytes64(hash, p->table.entry_ptr, (p->table.n_entities + 1) * sizeof(int64));
		hash = hash_bytes64(hash, p->table.tag, p->table.n_entries * sizeof(int32));
	}
	hash = hash_bytes64(hash, pairs->user, pairs->count * sizeof(int32));
	hash = hash_bytes64(hash, pairs->item, pairs->count * sizeof(int32));
	if (pairs->tag)
		hash = hash_bytes64(hash, pairs->tag, pairs->count * sizeof(int32));
	if (pairs->value)
		hash = hash_bytes64(hash, pairs->value, pairs->count * sizeof(float));
	return hash;
}

/* Of the algorithm as well: where it is the same, figures can be compared, and taken over. */
static char *
fingerprint(const char *algorithm, uint64 data)
{
	return psprintf("%016llx", (unsigned long long) hash_bytes64(data, algorithm, strlen(algorithm)));
}

/* ------------------------------------------------------------------ trials */

static void
consider(TagrecTrials *t, int i)
{
	double		value = t->rows[i].value;
	double		best = t->best < 0 ? NAN : t->rows[t->best].value;
	TrMetric	metric = (TrMetric) t->trials[i].options->train.metric;

	t->done[i] = true;
	/* of equal ones the first, whichever was done first */
	if (t->best < 0 || tr_metric_better(metric, value, best) || (value == best && i < t->best))
		t->best = i;
}

/* With the figures that an earlier job has for it, or a note of why they do not count. */
static void
take_over(TagrecTrials *t, int i)
{
	char	   *other = NULL;
	TagrecTrialMatch match = tagrec_trial_find(t->job->request->model, &t->rows[i], &other);

	if (match == TAGREC_TRIAL_SAME)
	{
		if (t->look)
			t->rows[i].settings = t->rows[i].earlier;
		tagrec_trial_insert(&t->rows[i]);
		consider(t, i);
		t->taken_over++;
		return;
	}
	t->refused[match]++;
	if (match == TAGREC_TRIAL_OTHER_DEVICE)
		t->other_device = other;
	if (match == TAGREC_TRIAL_OTHER_LIBRARY)
		t->other_library = other;
}

/* A client that calls again to continue is told why the search starts over. */
static void
tell_refused(const TagrecTrials *t)
{
	const int  *n = t->refused;
	int			all = n[TAGREC_TRIAL_OTHER_DATA] + n[TAGREC_TRIAL_OTHER_DEVICE] + n[TAGREC_TRIAL_OTHER_LIBRARY];
	StringInfoData why;

	if (!t->job->shared || all == 0)
		return;
	initStringInfo(&why);
	if (n[TAGREC_TRIAL_OTHER_DATA])
		appendStringInfo(&why, "%d of them on other data", n[TAGREC_TRIAL_OTHER_DATA]);
	if (n[TAGREC_TRIAL_OTHER_DEVICE])
		appendStringInfo(&why, "%s%d of them on device %s instead of %s", why.len ? ", " : "", n[TAGREC_TRIAL_OTHER_DEVICE],
						 t->other_device, t->rows[0].device);
	if (n[TAGREC_TRIAL_OTHER_LIBRARY])
		appendStringInfo(&why, "%s%d of them by tagrec %s instead of %s", why.len ? ", " : "",
						 n[TAGREC_TRIAL_OTHER_LIBRARY], t->other_library, t->rows[0].library);
	ereport(NOTICE,
			(errmsg_plural("%d trial of earlier tunings of model \"%s\" cannot be reused",
						   "%d trials of earlier tunings of model \"%s\" cannot be reused", all,
						   all, t->job->request->model),
			 errdetail("Results would not be comparable: %s.", why.data)));
}

/* All trials, with the figures of those that earlier jobs have done. */
void
tagrec_trials_begin(TagrecTrials *t)
{
	TagrecTraining *training = t->training;
	const TagrecRequest *request = t->job->request;
	uint64		data = hash_data(&training->data);

	t->rows = palloc0(t->count * sizeof(TagrecTrialRow));
	t->done = palloc0(t->count * sizeof(bool));
	t->told = t->job->started;
	t->best = -1;
	tagrec_training_open(training);
	tagrec_worker_begin(t->job->context);
	for (int i = 0; i < t->count; i++)
	{
		TagrecTrial *trial = &t->trials[i];

		if (training->options->validation_source)
		{
			trial->options->validation_source = training->options->validation_source;
			trial->effective = tagrec_options_effective(trial->options);
		}
		t->rows[i] = (TagrecTrialRow) {
			.job = t->job->number,
			.trial = i + 1,
			.done_by = t->job->number,
			.settings = trial->settings,
			.options = trial->effective,
			.fingerprint = fingerprint(trial->options->algorithm->name, data),
			.device = training->backend->ops->name,
			.library = TAGREC_VERSION,
			.metric = tagrec_metric_name(trial->options),
			.new_users = NAN,
			.new_items = NAN
		};
		if (request->resume)
			take_over(t, i);
	}
	tagrec_worker_commit(t->job->context);
	tell_refused(t);
}

/* Was the error caused by the settings? Such messages are about options and sizes, never about data. */
static bool
is_trials_own(int sqlstate)
{
	return sqlstate == ERRCODE_OUT_OF_MEMORY || sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
		|| sqlstate == ERRCODE_INVALID_PARAMETER_VALUE || sqlstate == ERRCODE_DATA_EXCEPTION
		|| sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED || sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
}

/* Whose model was trained, but could not be looked at */
static void
forget_figures(TagrecTrials *t, int i)
{
	t->training->result = (TrTrainResult) {.metric = NAN};
	t->rows[i].new_users = NAN;
	t->rows[i].new_items = NAN;
}

/* NULL, or what went wrong with the settings; other errors end the job. *seconds = without the look at the model */
static ErrorData *
train_trial(TagrecTrials *t, int i, double *seconds)
{
	TagrecTraining *training = t->training;
	instr_time	started;
	ErrorData  *volatile error = NULL;
	volatile bool trained = false;

	INSTR_TIME_SET_CURRENT(started);
	PG_TRY();
	{
		tagrec_training_run(training, psprintf("trial %d of %d", i + 1, t->count));
		*seconds = tagrec_seconds_since(started);
		trained = true;
		if (t->look)
			t->look(t, i);
	}
	PG_CATCH();
	{
		if (!is_trials_own(geterrcode()))
			PG_RE_THROW();
		error = tagrec_worker_abort(training->job->context);
		if (trained)
			forget_figures(t, i);
		else
			*seconds = tagrec_seconds_since(started);
	}
	PG_END_TRY();
	return error;
}

/* The outcome, in a transaction of its own, with the epochs that are not written yet. */
static void
record(TagrecTrials *t, int i, ErrorData *error, double seconds)
{
	const TrTrainResult *result = &t->training->result;
	TagrecTrialRow *row = &t->rows[i];

	row->seconds = seconds;
	row->value = result->metric;
	row->value_error = result->metric_error;
	row->epochs = result->epochs;
	row->best_epoch = result->best_epoch;
	if (error)
	{
		row->sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
		row->error = error->message;
	}
	tagrec_worker_begin(t->job->context);
	tagrec_progress_flush(t->training->progress);
	tagrec_trial_insert(row);
	tagrec_worker_commit(t->job->context);
}

char *
tagrec_trial_settings(const TagrecTrials *t, int i)
{
	Jsonb	   *settings = t->trials[i].settings;

	return JsonbToCString(NULL, &settings->root, VARSIZE(settings));
}

static int
still_to_do(const TagrecTrials *t, int i)
{
	int			left = 0;

	for (i++; i < t->count; i++)
		left += !t->done[i];
	return left;
}

static void
tell(TagrecTrials *t, int i, const ErrorData *error)
{
	const TagrecTrialRow *row = &t->rows[i];
	char	   *outcome = error ? psprintf("failed: %s", error->message) : psprintf("%s %.4f", row->metric, row->value);

	if (!t->job->shared || tagrec_seconds_since(t->told) < t->job->request->progress_interval)
		return;
	ereport(NOTICE,
			(errmsg("trial %d of %d: %s%s, %.0f s left", i + 1, t->count, outcome, t->best < 0 ? "" :
					psprintf(", best %.4f", t->rows[t->best].value), t->seconds / t->trained * still_to_do(t, i)),
			 errdetail("Its settings are %s.", tagrec_trial_settings(t, i))));
	INSTR_TIME_SET_CURRENT(t->told);
	t->training->progress->noticed = t->told;
}

void
tagrec_trial_skip(TagrecTrials *t, int i, int sqlstate, char *why)
{
	ErrorData	error = {.sqlerrcode = sqlstate, .message = psprintf("not tried: %s", why)};

	t->training->result = (TrTrainResult) {.metric = NAN};
	t->failed++;
	record(t, i, &error, 0);
}

void
tagrec_trial_run(TagrecTrials *t, int i)
{
	TagrecTraining *training = t->training;
	double		seconds;
	ErrorData  *error;

	training->progress->trial = i + 1;
	training->options = t->trials[i].options;
	training->result = (TrTrainResult) {.metric = NAN};
	training->to_beat = t->give_up && t->best >= 0 ? t->rows[t->best].value : NAN;
	error = train_trial(t, i, &seconds);
	tagrec_training_forget(training);
	if (error)
		tagrec_training_close(training);
	t->seconds += seconds;
	t->trained++;
	record(t, i, error, seconds);
	if (!error)
		consider(t, i);
	else if (t->failed++ == 0)
		t->failure = error;
	tell(t, i, error);
}

void
tagrec_trials_run(TagrecTrials *t, void (*run) (TagrecTrials *t, int i))
{
	TagrecTraining *training = t->training;

	training->progress->trials = t->count;
	training->trial = true;
	for (int i = 0; i < t->count; i++)
		if (!t->done[i])
			run(t, i);
	training->trial = false;
	training->to_beat = NAN;
	training->progress->trial = 0;
	training->result = (TrTrainResult) {.metric = NAN};
}

void
tagrec_trials_check_any(const TagrecTrials *t)
{
	const ErrorData *e = t->failure;

	if (t->best >= 0)
		return;
	ereport(ERROR,
			(errcode(e->sqlerrcode),
			 t->count == 1 ? errmsg("the only trial failed: %s", e->message)
			 : errmsg("all %d trials failed; the first: %s", t->count, e->message),
			 e->detail ? errdetail("%s", e->detail) : 0,
			 e->hint ? errhint("%s", e->hint) : 0));
}
