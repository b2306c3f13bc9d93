/*
 * auto: a trial for each candidate, on held-out data, and the choice among them.
 *
 * What is tried, and how large the trials are, follows from the data and the options alone: the same data and seed give the
 * same choice, as long as the caller sets no limit of time. Trials are trained on a sample of the users of large data, and
 * measured on a sample of the held-out ones; what would take too long by its estimate is not tried; an algorithm that
 * learns in epochs is given up once it cannot reach the best one so far.
 *
 * What an algorithm has chosen by held-out pairs itself, such as the weights of a blend, joins the settings of its trial,
 * so that the final training has these pairs to learn from as well.
 */
#include "pg/train/job_auto.h"

#include <math.h>

#include "core/metrics.h"
#include "lib/stringinfo.h"
#include "pg/base/tagrec.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* Held-out pairs of more users, and more posts, tell algorithms apart no better, and ranking for them takes its time. */
#define MOST_USERS 5000
#define MOST_POSTS 20000

/* Fewer held-out pairs tell nothing. */
#define FEWEST_PAIRS 20

/* ------------------------------------------------------------------ what is tried */

static const TagrecAutoOptions *
limits(const TagrecTrials *t)
{
	return tagrec_auto_options(tagrec_options_read(tagrec_algorithm(t->job->request->algorithm), t->job->request->options));
}

/* The trial of an algorithm that has a figure; -1 = there is none. */
static int
done_trial(const TagrecTrials *t, const char *algorithm)
{
	for (int i = 0; i < t->count; i++)
		if (t->done[i] && strcmp(t->trials[i].options->algorithm->name, algorithm) == 0)
			return i;
	return -1;
}

static bool
tags_help(const TagrecTrials *t)
{
	int			with = done_trial(t, "ease_tags");
	int			without = done_trial(t, "ease");

	return with >= 0 && (without < 0 || tr_metric_better((TrMetric) t->trials[with].options->train.metric,
														 t->rows[with].value, t->rows[without].value));
}

static bool
is_wanted(const TagrecTrials *t, int i)
{
	TagrecWhen	when = t->trials[i].candidate->when;

	if (when == TAGREC_WHEN_TAGS_HELP || when == TAGREC_WHEN_TAGS_DO_NOT_HELP)
		return tags_help(t) == (when == TAGREC_WHEN_TAGS_HELP);
	return true;
}

/* Of the data that trials are trained on */
static const TrDataset *
trial_data(const TagrecTrials *t)
{
	const TagrecData *data = &t->training->data;

	return data->sampled ? &data->sample : data->split ? &data->train : &data->all;
}

/* Estimated seconds that the first n trials have taken */
static double
work_done(const TagrecTrials *t, int n)
{
	double		work = 0;

	for (int i = 0; i < n; i++)
		if (t->done[i] || t->rows[i].seconds > 0)
			work += tagrec_auto_trial_work(&t->trials[i], trial_data(t));
	return work;
}

/* ------------------------------------------------------------------ what a model has chosen itself */

static void
append_setting(StringInfo json, const TrOption *option, const void *before, const void *after)
{
	char		old[TR_MAX_TEXT];
	char		now[TR_MAX_TEXT];

	tr_option_format(option, before, old, sizeof(old));
	tr_option_format(option, after, now, sizeof(now));
	if (strcmp(old, now) == 0)
		return;
	appendStringInfoString(json, json->len > 1 ? ", " : "");
	escape_json(json, option->name);
	appendStringInfoString(json, ": ");
	if (option->type == TR_OPTION_REAL || option->type == TR_OPTION_INT)
		appendStringInfoString(json, now);
	else
		escape_json(json, now);
}

/* The settings of the trial get the options that stand for the choice; some are right for as many users only. */
static void
settle(TagrecTrials *t, int i)
{
	const TrAlgorithm *algorithm = t->trials[i].options->algorithm;
	const void *before = tagrec_options_read(algorithm, t->trials[i].asked)->values;
	void	   *after = palloc(algorithm->options->size);
	StringInfoData json;

	if (t->training->data.sampled && !algorithm->held_out)
		return;
	memcpy(after, t->trials[i].options->values, algorithm->options->size);
	if (!algorithm->settled || !algorithm->settled(t->training->model, after))
		return;
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int o = 0; o < algorithm->options->count; o++)
		append_setting(&json, &algorithm->options->options[o], before, after);
	appendStringInfoChar(&json, '}');
	t->rows[i].settings = tagrec_jsonb_with(t->trials[i].settings, tagrec_jsonb(json.data));
}

/* The pairs of new users and items are measured by themselves, with no limit of time: the trial is done. */
static void
look(TagrecTrials *t, int i)
{
	t->training->seconds = 0;
	t->rows[i].new_users = tagrec_training_measure_new(t->training, TR_USER);
	t->rows[i].new_items = tagrec_training_measure_new(t->training, TR_ITEM);
	settle(t, i);
}

/* " lambda=300": what the trial of an algorithm has chosen */
static void
append_choice(StringInfo text, const TagrecTrials *t, int i)
{
	JsonbIterator *it = JsonbIteratorInit(&t->rows[i].settings->root);
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvNumeric)
			appendStringInfo(text, " %s=%s", pnstrdup(key.val.string.val, key.val.string.len),
							 tagrec_option_text("members", &value));
	}
}

/* A blend's members need not choose again what their own trials have chosen. */
static void
tell_members(TagrecTrials *t, int i)
{
	TagrecTrial *trial = &t->trials[i];
	char	   *rest = tagrec_auto_members(trial);
	StringInfoData text;
	char	   *validation_source = trial->options->validation_source;

	if (!rest)
		return;
	initStringInfo(&text);
	for (char *member; (member = strsep(&rest, ";"));)
	{
		int			own;

		member += strspn(member, " ");
		own = done_trial(t, member);
		appendStringInfo(&text, "%s%s", text.len > 0 ? "; " : "", member);
		if (own >= 0)
			append_choice(&text, t, own);
	}
	trial->options = tagrec_options_read(trial->options->algorithm,
										 tagrec_jsonb_with(trial->asked, tagrec_jsonb_text("members", text.data)));
	trial->options->validation_source = validation_source;
}

static bool
is_settled(const TagrecTrials *t, int i)
{
	return JB_ROOT_COUNT(t->rows[i].settings) > JB_ROOT_COUNT(t->trials[i].settings);
}

/* ------------------------------------------------------------------ a trial */

static void
consider_trial(TagrecTrials *t, int i)
{
	const TagrecAutoOptions *o = limits(t);
	double		left = o->budget - work_done(t, i);
	double		work = tagrec_auto_trial_work(&t->trials[i], trial_data(t))
		+ tagrec_auto_trial_work(&t->trials[i], &t->training->data.all);

	if (!is_wanted(t, i))
		return;
	if (work > left)
		tagrec_trial_skip(t, i, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
						  psprintf("estimated at %.0f s, of %.0f s that are left of the budget", work, Max(left, 0)));
	else if (o->max_seconds > 0 && t->seconds >= o->max_seconds)
		tagrec_trial_skip(t, i, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
						  psprintf("the trials before took %.1f s", t->seconds));
	else
	{
		t->training->seconds = o->max_seconds > 0 ? o->max_seconds - t->seconds : 0;
		tell_members(t, i);
		tagrec_trial_run(t, i);
	}
}

/* ------------------------------------------------------------------ the choice */

/* "popularity 0.0537 (0.0030) in 0.1 s, blend: stopped after 20.0 s" */
static char *
tried_text(const TagrecTrials *t)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < t->count; i++)
	{
		const TagrecTrialRow *row = &t->rows[i];
		const char *name = t->trials[i].options->algorithm->name;

		if (!t->done[i] && !row->error)
			continue;
		appendStringInfoString(&text, text.len > 0 ? ", " : "");
		if (t->done[i])
			appendStringInfo(&text, "%s %.4f%s in %.1f s", name, row->value,
							 isnan(row->value_error) ? "" : psprintf(" (%.4f)", row->value_error), row->seconds);
		else
			appendStringInfo(&text, "%s: %s", name, row->error);
	}
	return text.data;
}

/* What was measured, and what of it is of users or items that training has nothing of. */
static char *
measured_text(const TagrecTrials *t)
{
	const TagrecData *data = &t->training->data;
	const TrDataset *d = trial_data(t);
	const TrPairs *pairs = &data->validation;
	int			users = 0;
	int			items = 0;
	StringInfoData text;

	for (int32 p = 0; p < pairs->count; p++)
	{
		users += tagrec_is_new(d, pairs, p, TR_USER);
		items += tagrec_is_new(d, pairs, p, TR_ITEM);
	}
	initStringInfo(&text);
	if (data->sampled)
		appendStringInfo(&text, " on %d of %d pairs", d->n_posts, data->all.n_posts);
	appendStringInfoString(&text, ", with standard errors");
	if (users + items > 0 && !pairs->tag)
		appendStringInfo(&text, " (%d held-out pairs are of new users, %d of new items%s)", users, items,
						 data->items_are_new ? ", which are ranked among themselves by their tags" : "");
	return text.data;
}

/* " For new users, its ndcg@20 is 0.0213; for new items, 0.0000." */
static const char *
newcomers_text(const TagrecTrialRow *row)
{
	bool		users = !isnan(row->new_users);
	bool		items = !isnan(row->new_items);

	if (users && items)
		return psprintf(" For new users, its %s is %.4f; for new items, %.4f.", row->metric, row->new_users, row->new_items);
	if (users || items)
		return psprintf(" For new %s, its %s is %.4f.", users ? "users" : "items", row->metric,
						users ? row->new_users : row->new_items);
	return "";
}

static const char *
what_of_later_ones(const TrAlgorithm *chosen)
{
	if (chosen->counts || (chosen->encode && chosen->loads && !chosen->features))
		return "tagrec_refresh() adds users and items that come later.";
	if (tr_folds_in(chosen))
		return "Items that come later take part after the next training, users with fresh => true.";
	return "Users and items that come later take part after the next training.";
}

static void
announce(const TagrecTrials *t)
{
	const TagrecTrialRow *best = &t->rows[t->best];
	const TrAlgorithm *chosen = t->trials[t->best].options->algorithm;

	if (t->job->shared)
		ereport(NOTICE,
				(errmsg("algorithm \"%s\" %s %d held-out %ss best: %s %.4f", chosen->name,
						chosen->task->values ? "predicts" : "ranks", t->training->data.validation.count, chosen->task->pair,
						best->metric, best->value),
				 errdetail("Tried%s: %s.%s", measured_text(t), tried_text(t), newcomers_text(best)),
				 errhint("%s", what_of_later_ones(chosen))));
}

/* There is too little to choose by, or everything would take too long. */
static void
take_default(TagrecTrials *t, int of)
{
	const TrPairs *held_out = &t->training->data.validation;
	bool		few = held_out->count < FEWEST_PAIRS;

	t->best = 0;
	t->trials[0] = t->trials[tagrec_auto_default(t->job->request, t->trials, of)];
	t->rows[0].settings = t->trials[0].settings;
	if (!t->job->shared)
		return;
	if (few)
		ereport(NOTICE,
				(errmsg("training algorithm \"%s\" because there are too few pairs to choose by",
						t->trials[t->best].options->algorithm->name),
				 errdetail("%d of %d pairs are held out; %d are needed.", held_out->count, t->training->data.all.n_posts,
						   FEWEST_PAIRS)));
	else
		ereport(NOTICE,
				(errmsg("training algorithm \"%s\" because the budget is too small to try any",
						t->trials[t->best].options->algorithm->name),
				 errhint("Increase the option budget.")));
}

/*
 * The options that give the model to deploy: the trial's without what was for the trials alone. An algorithm that makes a
 * choice of its own by held-out pairs, and cannot say it in options, keeps them. Where the trial stopped early, so does the
 * training; else the best of the planned epochs was so by chance. The best epoch on a sample is not the best one on the
 * whole.
 */
static Jsonb *
choose_options(TagrecTrials *t)
{
	TagrecTraining *training = t->training;
	const TagrecTrial *best = &t->trials[t->best];
	const TagrecTrialRow *row = &t->rows[t->best];
	bool		needs_held_out = best->options->algorithm->held_out && !is_settled(t, t->best);
	Jsonb	   *asked = tagrec_auto_final(t->job->request, row->settings);
	char	   *validation_source = best->options->validation_source;
	int			patience = best->options->train.patience;

	training->refit = t->job->request->refit && training->data.split && !needs_held_out;
	if (training->data.split)
		asked = tagrec_jsonb_with(asked, tagrec_jsonb(psprintf("{\"validation\": %g}", training->refit ? 0
																: best->options->train.validation)));
	if (training->refit && !best->options->algorithm->held_out && !training->data.sampled && patience > 0
		&& row->epochs - row->best_epoch >= patience * best->options->train.validation_every)
		asked = tagrec_training_until(training, best->options, row->best_epoch, asked);
	training->options = tagrec_options_read(best->options->algorithm, asked);
	training->options->validation_source = validation_source;
	return asked;
}

Jsonb *
tagrec_auto_run(TagrecTrials *t)
{
	TagrecData *data = &t->training->data;
	int			all;

	t->trials = tagrec_auto_trials(t->job->request, &all);
	t->count = tagrec_auto_sort(t->trials, all, data->items_are_new);
	t->look = look;
	t->give_up = true;
	tagrec_data_thin_validation(data, MOST_USERS, data->validation.tag ? MOST_POSTS : PG_INT32_MAX);
	tagrec_trials_begin(t);
	if (data->validation.count >= FEWEST_PAIRS)
	{
		tagrec_trials_run(t, consider_trial);
		t->training->seconds = 0;
	}
	if (t->best < 0 && !t->failure)
		take_default(t, all);
	else
	{
		tagrec_trials_check_any(t);
		announce(t);
	}
	return choose_options(t);
}
