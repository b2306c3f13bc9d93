/*
 * The space of a tuning, and drawing trials from it. See tune_space.h.
 */
#include "pg/train/tune_space.h"

#include "common/hashfn.h"
#include "core/search.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/registry/request.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

/* Draws in a row that may be invalid, or repeat an earlier trial, before the space counts as exhausted. */
#define MAX_ATTEMPTS 1000

/* One option to be searched. */
typedef struct Dimension
{
	char	   *name;
	int			n_choices;		/* 0 = a range */
	char	  **choice;			/* as JSON */
	TrSearchRange range;
} Dimension;

struct TagrecSpace
{
	int			count;
	Dimension  *dimension;
};

/* Options for the data, the metric and the place of the model: the same for all trials. */
static const char *const never_tuned[] = {
	"validation", "validation_source", "metric", "metric_k", "min_tag_count", "core", "seed", "threads", "precision",
	"keep_versions", "schema", "stop_after", "max_seconds", "duplicates", "half_life", "like_from", "caution"
};

/* ------------------------------------------------------------------ reading; targets are scratch options */

static char *
member_name(const JsonbValue *key)
{
	return pnstrdup(key->val.string.val, key->val.string.len);
}

static void
check_tunable(const char *name)
{
	for (int i = 0; i < lengthof(never_tuned); i++)
		if (strcmp(name, never_tuned[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" cannot be tuned", name),
					 errdetail("It must be the same for all trials so that their results are comparable."),
					 errhint("Specify it in the argument options.")));
}

static void
check_value(const TrOptionTarget *targets, const char *name, const char *text)
{
	TrSetting	setting = {name, text};
	TrError		err = {0};

	tagrec_options_check(tr_options_check_one(targets, 2, &setting, &err), &err);
}

/* Unknown options and malformed spaces get different errors. */
static const TrOption *
find_option(const TrOptionTarget *targets, const char *name)
{
	const TrOption *option = tr_options_find(targets, 2, name);

	check_tunable(name);
	if (!option && strcmp(name, "preset") != 0)
		check_value(targets, name, "");
	return option;
}

/* The value as JSON again. */
static char *
value_json(const char *name, const JsonbValue *value)
{
	StringInfoData json;

	if (value->type != jbvString)
		return tagrec_option_text(name, value);
	initStringInfo(&json);
	escape_json(&json, tagrec_option_text(name, value));
	return json.data;
}

static void
read_choices(const TrOptionTarget *targets, Dimension *d, JsonbContainer *list)
{
	JsonbIterator *it = JsonbIteratorInit(list);
	JsonbIteratorToken token;
	JsonbValue	value;

	d->choice = palloc0(Max(JsonContainerSize(list), 1) * sizeof(char *));
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		check_value(targets, d->name, tagrec_option_text(d->name, &value));
		d->choice[d->n_choices++] = value_json(d->name, &value);
	}
	if (d->n_choices == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the list of choices for option \"%s\" is empty", d->name)));
}

pg_noreturn static void bad_range(const char *name, const char *what);

static void
bad_range(const char *name, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid range for option \"%s\": %s", name, what),
			 errdetail("A range has numeric members min and max and, optionally, scale, which is linear or log."),
			 errhint("For example: '{\"learning_rate\": {\"min\": 0.001, \"max\": 0.1, \"scale\": \"log\"}}'.")));
}

/* A bound, which must be a valid value of the option. */
static double
read_bound(const TrOptionTarget *targets, const Dimension *d, const char *member, const JsonbValue *value)
{
	char	   *text;

	if (value->type != jbvNumeric)
		bad_range(d->name, psprintf("%s is not a number", member));
	text = tagrec_option_text(d->name, value);
	check_value(targets, d->name, text);
	return strtod(text, NULL);
}

static bool
read_scale(const Dimension *d, const JsonbValue *value)
{
	char	   *scale = value->type == jbvString ? member_name(value) : "";

	if (strcmp(scale, "log") != 0 && strcmp(scale, "linear") != 0)
		bad_range(d->name, "scale is neither linear nor log");
	return strcmp(scale, "log") == 0;
}

static void
read_members(const TrOptionTarget *targets, Dimension *d, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;
	bool		has_min = false;
	bool		has_max = false;

	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		char	   *member;

		if (token != WJB_KEY)
			continue;
		member = member_name(&key);
		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(member, "min") == 0)
		{
			d->range.min = read_bound(targets, d, member, &value);
			has_min = true;
		}
		else if (strcmp(member, "max") == 0)
		{
			d->range.max = read_bound(targets, d, member, &value);
			has_max = true;
		}
		else if (strcmp(member, "scale") == 0)
			d->range.log = read_scale(d, &value);
		else
			bad_range(d->name, psprintf("unknown member \"%s\"", member));
	}
	if (!has_min || !has_max)
		bad_range(d->name, has_min ? "max is missing" : "min is missing");
}

static void
read_range(const TrOptionTarget *targets, Dimension *d, const TrOption *option, JsonbContainer *object)
{
	if (!option || (option->type != TR_OPTION_INT && option->type != TR_OPTION_REAL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" cannot have a range, because its values are not single numbers", d->name),
				 errhint("Specify a list of choices: '{\"%s\": [ ... ]}'.", d->name)));
	d->range.whole = option->type == TR_OPTION_INT;
	read_members(targets, d, object);
	if (d->range.min > d->range.max)
		bad_range(d->name, psprintf("min %g is greater than max %g", d->range.min, d->range.max));
	if (d->range.log && d->range.min <= 0)
		bad_range(d->name, psprintf("min %g is not greater than 0, as scale log requires", d->range.min));
}

static void
read_dimension(const TrOptionTarget *targets, Dimension *d, const JsonbValue *value)
{
	const TrOption *option = find_option(targets, d->name);

	if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		read_choices(targets, d, value->val.binary.data);
	else if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
		read_range(targets, d, option, value->val.binary.data);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of the space has neither choices nor a range", d->name),
				 errdetail("It must be a list, or an object with the members min, max and, optionally, scale."),
				 errhint("Specify a value that is the same for all trials in the argument options.")));
}

static void
check_object(Jsonb *object)
{
	if (JB_ROOT_IS_OBJECT(object) && JB_ROOT_COUNT(object) > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg(JB_ROOT_IS_OBJECT(object) ? "the space is empty" : "the space must be a JSON object"),
			 errdetail("It must name the options to tune, each with a list of choices or a range."),
			 errhint("For example: '{\"layers\": [[128], [256]], \"keep\": {\"min\": 0.3, \"max\": 0.8}}'.")));
}

TagrecSpace *
tagrec_space_read(const TrAlgorithm *algorithm, Jsonb *object)
{
	TagrecSpace *space = palloc0(sizeof(TagrecSpace));
	TrTrainOptions train;
	TrOptionTarget targets[2] = {{algorithm->options, palloc0(Max(algorithm->options->size, 1))},
	{&tr_train_options, &train}};
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	check_object(object);
	space->dimension = palloc0(JB_ROOT_COUNT(object) * sizeof(Dimension));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		space->dimension[space->count].name = member_name(&key);
		(void) JsonbIteratorNext(&it, &value, true);
		read_dimension(targets, &space->dimension[space->count++], &value);
	}
	return space;
}

/* ------------------------------------------------------------------ drawing */

Jsonb *
tagrec_jsonb_with(Jsonb *a, Jsonb *b)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(a), JsonbPGetDatum(b)));
}

static Jsonb *
draw_settings(const TagrecSpace *space, const TrSearchDraw *draw)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < space->count; i++)
	{
		const Dimension *d = &space->dimension[i];

		appendStringInfoString(&json, i > 0 ? ", " : "");
		escape_json(&json, d->name);
		if (d->n_choices > 0)
			appendStringInfo(&json, ": %s", d->choice[tr_search_choice(draw, d->name, d->n_choices)]);
		else
			appendStringInfo(&json, ": %.15g", tr_search_number(draw, d->name, &d->range));
	}
	appendStringInfoChar(&json, '}');
	return tagrec_jsonb(json.data);
}

/* Rejects options that a preset in the space must not change. */
static void
keep_fixed(TrTrainOptions *train, const TrTrainOptions *fixed)
{
	train->validation = fixed->validation;
	train->metric = fixed->metric;
	train->metric_k = fixed->metric_k;
	train->min_tag_count = fixed->min_tag_count;
	train->core = fixed->core;
	train->duplicates = fixed->duplicates;
	train->half_life = fixed->half_life;
	train->like_from = fixed->like_from;
	train->caution = fixed->caution;
	train->seed = fixed->seed;
	train->precision = fixed->precision;
}

/* False if the settings are incompatible. */
static bool
set_trial(TagrecTrial *trial, const TrAlgorithm *algorithm, Jsonb *settings, Jsonb *fixed, const TrTrainOptions *same,
		  TrError *refused)
{
	trial->settings = settings;
	trial->asked = tagrec_jsonb_with(fixed, settings);
	if (tagrec_options_try(algorithm, trial->asked, &trial->options, refused) != TR_OK)
		return false;
	keep_fixed(&trial->options->train, same);
	trial->effective = tagrec_options_effective(trial->options);
	return true;
}

/* Equal objects have equal bytes here: their numbers are written by one function. */
static bool
is_repeated(const TagrecTrial *trial, const TagrecTrial *earlier, const uint64 *hashes, int count, uint64 *hash)
{
	Size		size = VARSIZE(trial->effective);

	*hash = hash_bytes_extended((const unsigned char *) trial->effective, (int) size, 0);
	for (int i = 0; i < count; i++)
		if (hashes[i] == *hash && VARSIZE(earlier[i].effective) == size
			&& memcmp(earlier[i].effective, trial->effective, size) == 0)
			return true;
	return false;
}

static Jsonb *
copy(const Jsonb *object)
{
	return memcpy(palloc(VARSIZE(object)), object, VARSIZE(object));
}

/* Trial number `count` + 1; false when none is found. What is thrown away goes with the context. */
static bool
draw_trial(const TagrecSpace *space, const TrAlgorithm *algorithm, Jsonb *fixed, uint64 seed, TagrecTrial *trials,
		   uint64 *hashes, int count, TrError *refused)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext attempt = AllocSetContextCreate(caller, "tagrec draw", ALLOCSET_SMALL_SIZES);
	TrSearchDraw draw = {.seed = seed, .trial = count + 1};
	TagrecTrial *trial = &trials[count];
	bool		found = false;

	for (draw.attempt = 0; draw.attempt < MAX_ATTEMPTS && !found; draw.attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(attempt);
		MemoryContextSwitchTo(attempt);
		found = set_trial(trial, algorithm, draw_settings(space, &draw), fixed, &trials[0].options->train, refused)
			&& !is_repeated(trial, trials, hashes, count, &hashes[count]);
		MemoryContextSwitchTo(caller);
	}
	if (found)
		(void) set_trial(trial, algorithm, copy(trial->settings), fixed, &trials[0].options->train, refused);
	MemoryContextDelete(attempt);
	return found;
}

TagrecTrial *
tagrec_space_draw(const TagrecSpace *space, const TrAlgorithm *algorithm, Jsonb *fixed, uint64 seed, int most, int *count,
				  TrError *refused)
{
	TagrecTrial *trials = palloc0(most * sizeof(TagrecTrial));
	uint64	   *hashes = palloc0(most * sizeof(uint64));
	TagrecOptions *options = tagrec_options_read(algorithm, fixed);

	memset(refused, 0, sizeof(*refused));
	(void) set_trial(&trials[0], algorithm, tagrec_jsonb("{}"), fixed, &options->train, refused);
	(void) is_repeated(&trials[0], trials, hashes, 0, &hashes[0]);
	for (*count = 1; *count < most; (*count)++)
		if (!draw_trial(space, algorithm, fixed, seed, trials, hashes, *count, refused))
			break;
	return trials;
}
