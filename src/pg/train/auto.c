/*
 * What auto tries. See auto.h.
 */
#include "pg/train/auto.h"

#include "lib/stringinfo.h"
#include "pg/base/tagrec.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

/* Share of the pairs that is held out by default. */
#define DEFAULT_VALIDATION "0.1"

const TagrecAutoOptions *
tagrec_auto_options(const TagrecOptions *options)
{
	return options->values;
}

static Jsonb *
without(Jsonb *options, const char *name)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(options), CStringGetTextDatum(name)));
}

/* What is for the training of whatever is chosen. */
static Jsonb *
common_options(const TrAlgorithm *which, Jsonb *options)
{
	for (int i = 0; i < which->options->count; i++)
		options = without(options, which->options->options[i].name);
	return options;
}

/* ------------------------------------------------------------------ candidates */

static void
check_candidate(const TrAlgorithm *algorithm, const TrTask *task)
{
	if (algorithm->task != task || tagrec_auto_find(algorithm->name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" cannot be a candidate", algorithm->name),
				 errdetail("Candidates are algorithms for the task \"%s\".", task->name)));
}

/* "ease, ials" */
static TagrecCandidate *
named_candidates(const char *names, const TrTask *task)
{
	char	   *rest = pstrdup(names);
	TagrecCandidate *list = palloc0((strlen(names) / 2 + 2) * sizeof(TagrecCandidate));
	int			n = 0;

	for (char *name = strtok_r(rest, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest))
	{
		check_candidate(tagrec_algorithm(name), task);
		list[n++].algorithm = name;
	}
	return list;
}

static const TagrecCandidate *
candidates_of(const TagrecOptions *options)
{
	const char *names = tagrec_auto_options(options)->candidates.value;
	const TrTask *task = options->algorithm->task;

	return strspn(names, ", ") == strlen(names) ? tagrec_auto_candidates(task) : named_candidates(names, task);
}

static Jsonb *
settings_of(const TagrecCandidate *candidate)
{
	Jsonb	   *own = tagrec_jsonb(candidate->options ? candidate->options : "{}");

	return tagrec_jsonb_with(tagrec_jsonb_text("algorithm", candidate->algorithm), own);
}

static void
set_trial(TagrecTrial *trial, const TagrecCandidate *candidate, Jsonb *common)
{
	trial->candidate = candidate;
	trial->settings = settings_of(candidate);
	trial->asked = tagrec_jsonb_with(common, without(trial->settings, "algorithm"));
	trial->options = tagrec_options_read(tagrec_algorithm(candidate->algorithm), trial->asked);
	trial->effective = tagrec_options_effective(trial->options);
}

char *
tagrec_auto_members(const TagrecTrial *trial)
{
	JsonbValue *members = getKeyJsonValueFromContainer(&trial->effective->root, "members", strlen("members"), NULL);

	return members && members->type == jbvString ? pnstrdup(members->val.string.val, members->val.string.len) : NULL;
}

double
tagrec_auto_trial_work(const TagrecTrial *trial, const TrDataset *d)
{
	TrShape		shape = {d->n_users, d->n_items, d->n_tags, d->n_posts, d->n_assignments};

	return tagrec_auto_work(trial->options->algorithm, &shape, tagrec_auto_members(trial));
}

/* Attributes of items are tags, too. */
static bool
has_tags(const TagrecRequest *request)
{
	const TrAlgorithm *which = tagrec_algorithm(request->algorithm);

	return request->columns.tag || (which->task == TR_TASK_ITEM && OidIsValid(request->item_features));
}

TagrecTrial *
tagrec_auto_trials(const TagrecRequest *request, int *count)
{
	const TrAlgorithm *which = tagrec_algorithm(request->algorithm);
	const TagrecCandidate *list = candidates_of(tagrec_options_read(which, request->options));
	Jsonb	   *common = common_options(which, request->options);
	TagrecTrial *trials;
	int			most = 0;

	while (list[most].algorithm)
		most++;
	trials = palloc0(Max(most, 1) * sizeof(TagrecTrial));
	*count = 0;
	for (int i = 0; i < most; i++)
		if (has_tags(request) || !tr_needs_tags(tagrec_algorithm(list[i].algorithm)))
			set_trial(&trials[(*count)++], &list[i], common);
	return trials;
}

/* ------------------------------------------------------------------ before and after */

void
tagrec_auto_request(TagrecRequest *request)
{
	TagrecOptions *options = tagrec_options_read(tagrec_algorithm(request->algorithm), request->options);
	int			count;

	request->kind = "tune";
	request->trials = TAGREC_MAX_TRIALS;
	request->resume = true;
	request->refit = true;
	request->requested = request->options;
	if (options->train.stop_after > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"stop_after\" cannot be used with algorithm \"%s\"", request->algorithm),
				 errdetail("Each trial determines its own best epoch.")));
	if (options->train.validation <= 0 && !options->validation_source)
		request->options = tagrec_jsonb_with(request->options, tagrec_jsonb("{\"validation\": " DEFAULT_VALIDATION "}"));
	(void) tagrec_auto_trials(request, &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" has no candidates for a source without tags", request->algorithm)));
}

int
tagrec_auto_sort(TagrecTrial *trials, int count, bool items_are_new)
{
	TagrecTrial *sorted = palloc(count * sizeof(TagrecTrial));
	int			first = 0;
	int			last = count;

	for (int i = 0; i < count; i++)
	{
		TagrecWhen	when = trials[i].candidate->when;
		bool		fits = when == TAGREC_ALWAYS || (when == TAGREC_WHEN_ITEMS_ARE_NEW) == items_are_new;

		sorted[fits ? first++ : --last] = trials[i];
	}
	memcpy(trials, sorted, count * sizeof(TagrecTrial));
	return first;
}

int
tagrec_auto_default(const TagrecRequest *request, const TagrecTrial *trials, int count)
{
	const char *name = tagrec_auto_fallback(trials[0].options->algorithm->task, has_tags(request));

	for (int i = 0; i < count; i++)
		if (strcmp(trials[i].options->algorithm->name, name) == 0)
			return i;
	return 0;
}

Jsonb *
tagrec_auto_final(const TagrecRequest *request, Jsonb *settings)
{
	return tagrec_jsonb_with(common_options(tagrec_algorithm(request->algorithm), request->requested),
							 without(settings, "algorithm"));
}
