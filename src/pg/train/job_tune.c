/*
 * Tuning: random search over options by the validation metric. See tune_space.h for the space and its trials.
 *
 * The source is read once. Trial after trial is trained on it and leaves a row of its own, in a transaction of its own, so
 * that finished trials survive a cancel or a crash: a tuning of the same model that draws the same options on the same data
 * reuses their results. A trial that fails because of its settings is recorded; the search goes on.
 *
 * With auto, the trials are of several algorithms, see auto.h; they have a limit of time together, and of very many pairs a
 * sample is enough for them.
 *
 * The model to deploy is trained once more, rather than its weights kept: the best trial may be another job's, and memory
 * then has to hold one model. With refit it is trained on the held-out pairs as well, for as many epochs as were best
 * without them; the learning rate decays as it did then.
 */
#include "pg/train/job_tune.h"

#include <math.h>

#include "common/hashfn.h"
#include "core/metrics.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/registry/trial_row.h"
#include "pg/train/auto.h"
#include "pg/train/tune_space.h"
#include "utils/builtins.h"

/* Bytes between two looks for a cancel. */
#define HASHED_AT_ONCE ((Size) 1 << 26)

/* Held-out pairs of more users tell algorithms apart no better, and ranking for them takes its time. */
#define AUTO_USERS 20000

/* Fewer held-out pairs tell nothing. */
#define AUTO_PAIRS 20

typedef struct Tuning
{
	TagrecTraining *training;
	const TagrecRunningJob *job;
	TagrecTrial *trials;
	int			count;
	TagrecTrialRow *rows;		/* (count) */
	bool	   *done;			/* (count) with a figure */
	int			best;			/* -1 = none yet */
	int			taken_over;		/* trials of earlier jobs */
	int			refused[TAGREC_TRIAL_OTHER_LIBRARY + 1];	/* earlier trials that are not, by what is not the same */
	char	   *other_device,
			   *other_library;	/* what one of them has instead */
	int			failed;
	ErrorData  *failure;		/* of the first one that failed */
	double		budget;			/* seconds that all trials may take; 0 = any number */
	double		seconds;		/* of the trials trained here */
	int			trained;
	instr_time	told;			/* when the last notice about a trial was sent */
} Tuning;

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
consider(Tuning *t, int i)
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
take_over(Tuning *t, int i)
{
	char	   *other = NULL;
	TagrecTrialMatch match = tagrec_trial_find(t->job->request->model, &t->rows[i], &other);

	if (match == TAGREC_TRIAL_SAME)
	{
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
tell_refused(const Tuning *t)
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

static void
make_trials(Tuning *t)
{
	TagrecTraining *training = t->training;
	const TagrecRequest *request = t->job->request;
	const TrAlgorithm *algorithm = training->options->algorithm;
	TrError		refused;

	if (tagrec_request_is_auto(request))
	{
		t->trials = tagrec_auto_trials(request, &t->count);
		t->budget = tagrec_auto_options(training->options)->max_seconds;
		tagrec_data_thin_validation(&training->data, AUTO_USERS);
	}
	else
		t->trials = tagrec_space_draw(tagrec_space_read(algorithm, request->space), algorithm, request->options,
									  (uint64) request->search_seed, request->trials, &t->count, &refused);
	t->rows = palloc0(t->count * sizeof(TagrecTrialRow));
	t->done = palloc0(t->count * sizeof(bool));
}

/* All trials, with the figures of those that earlier jobs have done. */
static void
draw_trials(Tuning *t)
{
	TagrecTraining *training = t->training;
	const TagrecRequest *request = t->job->request;
	uint64		data;

	make_trials(t);
	data = hash_data(&training->data);
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
			.metric = tagrec_metric_name(trial->options)
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

/* NULL, or what went wrong with the settings; other errors end the job. */
static ErrorData *
train_trial(TagrecTraining *training, const char *phase)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		tagrec_training_run(training, phase);
	}
	PG_CATCH();
	{
		if (!is_trials_own(geterrcode()))
			PG_RE_THROW();
		error = tagrec_worker_abort(training->job->context);
	}
	PG_END_TRY();
	return error;
}

/* The outcome, in a transaction of its own, with the epochs that are not written yet. */
static void
record(Tuning *t, int i, ErrorData *error, double seconds)
{
	const TrTrainResult *result = &t->training->result;
	TagrecTrialRow *row = &t->rows[i];

	row->seconds = seconds;
	row->value = result->metric;
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

static char *
settings_text(const Tuning *t, int i)
{
	Jsonb	   *settings = t->trials[i].settings;

	return JsonbToCString(NULL, &settings->root, VARSIZE(settings));
}

static int
still_to_do(const Tuning *t, int i)
{
	int			left = 0;

	for (i++; i < t->count; i++)
		left += !t->done[i];
	return left;
}

static void
tell(Tuning *t, int i, const ErrorData *error)
{
	const TagrecTrialRow *row = &t->rows[i];
	char	   *outcome = error ? psprintf("failed: %s", error->message) : psprintf("%s %.4f", row->metric, row->value);

	if (!t->job->shared || tagrec_seconds_since(t->told) < t->job->request->progress_interval)
		return;
	ereport(NOTICE,
			(errmsg("trial %d of %d: %s%s, %.0f s left", i + 1, t->count, outcome, t->best < 0 ? "" :
					psprintf(", best %.4f", t->rows[t->best].value), t->seconds / t->trained * still_to_do(t, i)),
			 errdetail("Its settings are %s.", settings_text(t, i))));
	INSTR_TIME_SET_CURRENT(t->told);
	t->training->progress->noticed = t->told;
}

static void
skip_trial(Tuning *t, int i, int sqlstate, char *why)
{
	ErrorData	error = {.sqlerrcode = sqlstate, .message = psprintf("not tried: %s", why)};

	t->failed++;
	record(t, i, &error, 0);
}

/* The trial of an algorithm that has a figure; -1 = there is none. */
static int
done_trial(const Tuning *t, const char *algorithm)
{
	for (int i = 0; algorithm && i < t->count; i++)
		if (t->done[i] && strcmp(t->trials[i].options->algorithm->name, algorithm) == 0)
			return i;
	return -1;
}

/* Have the trials before shown that this one is not worth its time? */
static bool
is_pointless(const Tuning *t, int i)
{
	const TagrecCandidate *candidate = t->trials[i].candidate;
	int			better = candidate ? done_trial(t, candidate->better) : -1;
	int			than = candidate ? done_trial(t, candidate->than) : -1;
	TrMetric	metric = (TrMetric) t->trials[i].options->train.metric;

	return better >= 0 && than >= 0 && !tr_metric_better(metric, t->rows[better].value, t->rows[than].value);
}

static void
run_trial(Tuning *t, int i)
{
	TagrecTraining *training = t->training;
	instr_time	started;
	double		seconds;
	ErrorData  *error;

	INSTR_TIME_SET_CURRENT(started);
	training->progress->trial = i + 1;
	training->options = t->trials[i].options;
	training->result = (TrTrainResult) {.metric = NAN};
	training->seconds = t->budget > 0 ? t->budget - t->seconds : 0;
	error = train_trial(training, psprintf("trial %d of %d", i + 1, t->count));
	tagrec_training_forget(training);
	if (error)
		tagrec_training_close(training);
	seconds = tagrec_seconds_since(started);
	t->seconds += seconds;
	t->trained++;
	record(t, i, error, seconds);
	if (!error)
		consider(t, i);
	else if (t->failed++ == 0)
		t->failure = error;
	tell(t, i, error);
}

static void
consider_trial(Tuning *t, int i)
{
	const TagrecCandidate *candidate = t->trials[i].candidate;

	if (t->budget > 0 && t->seconds >= t->budget)
		skip_trial(t, i, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, psprintf("the trials before took %.1f s", t->seconds));
	else if (is_pointless(t, i))
		skip_trial(t, i, ERRCODE_WARNING, psprintf("%s is no better than %s", candidate->better, candidate->than));
	else
		run_trial(t, i);
}

/* ------------------------------------------------------------------ the model to deploy */

static void
check_any(const Tuning *t)
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

/* "popularity 0.0537 in 0.1 s, blend: stopped after 20.0 s" */
static char *
tried_text(const Tuning *t)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < t->count; i++)
	{
		const TagrecTrialRow *row = &t->rows[i];
		const char *name = t->trials[i].options->algorithm->name;

		appendStringInfoString(&text, i > 0 ? ", " : "");
		if (t->done[i])
			appendStringInfo(&text, "%s %.4f in %.1f s", name, row->value, row->seconds);
		else
			appendStringInfo(&text, "%s: %s", name, row->error);
	}
	return text.data;
}

static void
announce_chosen(const Tuning *t)
{
	const TagrecTrialRow *best = &t->rows[t->best];
	const TrAlgorithm *chosen = t->trials[t->best].options->algorithm;
	const TagrecData *data = &t->training->data;

	ereport(NOTICE,
			(errmsg("algorithm \"%s\" ranks %d held-out %ss best: %s %.4f", chosen->name, data->validation.count,
					chosen->task->pair, best->metric, best->value),
			 errdetail("Tried%s: %s.", data->sampled ? psprintf(" on %d of %d pairs", data->sample.n_posts, data->all.n_posts)
					   : "", tried_text(t)),
			 chosen->counts || (chosen->encode && chosen->loads && !chosen->features)
			 ? errhint("tagrec_refresh() adds users and items that come later.")
			 : tr_folds_in(chosen)
			 ? errhint("Items that come later take part after the next training, users with fresh => true.")
			 : errhint("Users and items that come later take part after the next training.")));
}

static void
announce_best(const Tuning *t)
{
	const TagrecTrialRow *best = &t->rows[t->best];

	if (!t->job->shared)
		return;
	if (tagrec_request_is_auto(t->job->request))
	{
		announce_chosen(t);
		return;
	}
	ereport(NOTICE,
			(errmsg("best of %d trials is trial %d: %s %.4f", t->count, best->trial, best->metric, best->value),
			 errdetail("Its settings are %s. Trials reused from earlier jobs: %d, failed: %d.", settings_text(t, t->best),
					   t->taken_over, t->failed)));
}

/*
 * The options that give the model to deploy: the trial's, with an end at its best epoch, and, for a refit, nothing held
 * out. Pairs of another relation have no tags to train on: they stay what is measured on. So do those by which the
 * algorithm itself makes a choice. Returns them as tagrec_train() would take them.
 */
static Jsonb *
choose_options(Tuning *t)
{
	TagrecTraining *training = t->training;
	const TagrecTrial *best = &t->trials[t->best];
	int			best_epoch = t->rows[t->best].best_epoch;
	Jsonb	   *asked = tagrec_jsonb_with(best->asked, tagrec_jsonb(psprintf("{\"stop_after\": %d}", best_epoch)));

	training->options = best->options;
	training->options->train.stop_after = best_epoch;
	training->refit = t->job->request->refit && training->data.split && !best->options->algorithm->held_out;
	if (!training->refit)
		return asked;
	training->options->train.validation = 0;
	return tagrec_jsonb_with(asked, tagrec_jsonb("{\"validation\": 0}"));
}

/*
 * The same for auto: the trial's without what was for the trials alone. An algorithm that makes a choice of its own by
 * held-out pairs keeps them. The best epoch on a sample is not the best one on the whole.
 */
static Jsonb *
choose_auto_options(Tuning *t)
{
	TagrecTraining *training = t->training;
	const TagrecTrial *best = &t->trials[t->best];
	const TagrecTrialRow *row = &t->rows[t->best];
	Jsonb	   *asked = tagrec_auto_final(t->job->request, best);
	char	   *validation_source = best->options->validation_source;

	training->refit = t->job->request->refit && training->data.split && !best->options->algorithm->held_out;
	if (training->data.split)
		asked = tagrec_jsonb_with(asked, tagrec_jsonb(psprintf("{\"validation\": %g}", training->refit ? 0
																: best->options->train.validation)));
	if (training->refit && !training->data.sampled && row->best_epoch < best->options->train.epochs)
		asked = tagrec_jsonb_with(asked, tagrec_jsonb(psprintf("{\"stop_after\": %d}", row->best_epoch)));
	training->options = tagrec_options_read(best->options->algorithm, asked);
	training->options->validation_source = validation_source;
	return asked;
}

static void
run_trials(Tuning *t)
{
	TagrecTraining *training = t->training;

	training->trial = true;
	for (int i = 0; i < t->count; i++)
		if (!t->done[i])
			consider_trial(t, i);
	training->trial = false;
	training->seconds = 0;
	training->progress->trial = 0;
	training->result = (TrTrainResult) {.metric = NAN};
	check_any(t);
	announce_best(t);
}

/* There is too little to choose by. */
static void
take_default(Tuning *t)
{
	t->best = tagrec_auto_default(t->job->request, t->trials, t->count);
	t->rows[t->best].best_epoch = t->trials[t->best].options->train.epochs;
	if (t->job->shared)
		ereport(NOTICE,
				(errmsg("training algorithm \"%s\" because there are too few pairs to choose by",
						t->trials[t->best].options->algorithm->name),
				 errdetail("%d of %d pairs are held out; %d are needed.", t->training->data.validation.count,
						   t->training->data.all.n_posts, AUTO_PAIRS)));
}

Jsonb *
tagrec_tune_run(TagrecTraining *training)
{
	Tuning		t = {.training = training, .job = training->job, .best = -1, .told = training->job->started};
	Jsonb	   *asked;

	draw_trials(&t);
	training->progress->trials = t.count;
	if (tagrec_request_is_auto(t.job->request) && training->data.validation.count < AUTO_PAIRS)
		take_default(&t);
	else
		run_trials(&t);
	asked = tagrec_request_is_auto(t.job->request) ? choose_auto_options(&t) : choose_options(&t);
	tagrec_training_run(training, "training");
	return asked;
}
