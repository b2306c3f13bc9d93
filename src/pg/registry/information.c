/*
 * The views tagrec_algorithms and tagrec_options: the algorithms' own descriptions.
 */
#include "postgres.h"

#include "core/model.h"
#include "core/trainer.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "pg/base/auto.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_algorithm_rows);
PG_FUNCTION_INFO_V1(tagrec_algorithm_says);
PG_FUNCTION_INFO_V1(tagrec_option_rows);

static void
put_algorithm(ReturnSetInfo *result, const TrAlgorithm *a)
{
	Datum		values[] = {
		CStringGetTextDatum(a->name),
		CStringGetTextDatum(a->task->name),
		CStringGetTextDatum(a->summary),
		CStringGetTextDatum(a->source)
	};
	bool		nulls[lengthof(values)] = {false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
tagrec_algorithm_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; tagrec_autos[i]; i++)
		put_algorithm(result, tagrec_autos[i]);
	for (int i = 0; tr_algorithms[i]; i++)
		put_algorithm(result, tr_algorithms[i]);
	return (Datum) 0;
}

/* Of the view's columns needs_tags, uses_values and uses_attributes, the one with this name. */
Datum
tagrec_algorithm_says(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *column = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const TrAlgorithm *a = tagrec_auto_find(name);

	if (!a)
		a = tr_algorithm_find(name);
	if (a && strcmp(column, "needs_tags") == 0)
		PG_RETURN_BOOL(tr_needs_tags(a));
	if (a && strcmp(column, "uses_values") == 0)
		PG_RETURN_BOOL(a->uses_values || a->task->values);
	if (a && strcmp(column, "uses_attributes") == 0)
		PG_RETURN_BOOL(a->uses_attributes);
	PG_RETURN_NULL();
}

/* ------------------------------------------------------------------ options */

static const char *
type_name(TrOptionType type)
{
	switch (type)
	{
		case TR_OPTION_BOOL:
			return "boolean";
		case TR_OPTION_INT:
		case TR_OPTION_SEED:
			return "integer";
		case TR_OPTION_REAL:
			return "number";
		case TR_OPTION_ENUM:
			return "name";
		case TR_OPTION_INTS:
			return "integers";
		case TR_OPTION_TEXT:
			return "text";
	}
	return "unknown";
}

/* What a preset says of the option; NULL when it leaves the option alone. */
static const char *
preset_value(const TrPreset *preset, const char *option)
{
	for (const TrSetting *s = preset->settings; s->name; s++)
		if (strcmp(s->name, option) == 0)
			return s->value;
	return NULL;
}

/* {"paper": "0.005"}, the presets that set the option. Those of the algorithm reach the training loop's options, too. */
static Datum
presets_of(const TrAlgorithm *algorithm, const char *option)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (const TrPreset *p = algorithm->options->presets; p && p->name; p++)
	{
		const char *value = preset_value(p, option);

		if (!value)
			continue;
		appendStringInfoString(&json, json.len > 1 ? ", " : "");
		escape_json(&json, p->name);
		appendStringInfoString(&json, ": ");
		escape_json(&json, value);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

static void
put_option(ReturnSetInfo *result, const TrAlgorithm *algorithm, const char *option, const char *type,
		   const char *initial, const char *range, const char *meaning)
{
	Datum		values[7] = {
		CStringGetTextDatum(algorithm->name),
		CStringGetTextDatum(option),
		CStringGetTextDatum(type),
		initial ? CStringGetTextDatum(initial) : (Datum) 0,
		CStringGetTextDatum(range),
		presets_of(algorithm, option),
		CStringGetTextDatum(meaning)
	};
	bool		nulls[7] = {false, false, false, initial == NULL, false, false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static bool
has_option(const TrOptionSet *set, const char *name)
{
	for (int i = 0; i < set->count; i++)
		if (strcmp(set->options[i].name, name) == 0)
			return true;
	return false;
}

/* An option that both the algorithm and the training loop read is shown as the algorithm's. */
static void
put_option_set(ReturnSetInfo *result, const TrAlgorithm *algorithm, const TrOptionSet *set)
{
	char		range[512];

	for (int i = 0; i < set->count; i++)
	{
		const TrOption *option = &set->options[i];

		if (set != algorithm->options && has_option(algorithm->options, option->name))
			continue;
		tr_option_range(option, range, sizeof(range));
		put_option(result, algorithm, option->name, type_name(option->type), option->initial, range, option->meaning);
	}
}

/* Options that neither an algorithm nor the training loop reads. */
static void
put_common_options(ReturnSetInfo *result, const TrAlgorithm *algorithm)
{
	StringInfoData names;

	initStringInfo(&names);
	appendStringInfoString(&names, "one of default");
	for (const TrPreset *p = algorithm->options->presets; p && p->name; p++)
		appendStringInfo(&names, ", %s", p->name);
	put_option(result, algorithm, "preset", "name", "default", names.data,
			   "Named set of defaults for the other options.");
	put_option(result, algorithm, "schema", "name", NULL, "a schema in which the caller may create tables",
			   "Schema for the tables and views of a new model; the default is the current schema.");
	put_option(result, algorithm, "validation_source", "name", NULL, "a relation that the caller may read",
			   "Relation of held-out (user, item) pairs, or (user, item, tag) rows for the task tag, to validate on "
			   "instead of a share of the source; columns have the same names as in the source.");
}

static void
put_algorithm_options(ReturnSetInfo *result, const TrAlgorithm *algorithm)
{
	put_option_set(result, algorithm, algorithm->options);
	put_option_set(result, algorithm, &tr_train_options);
	put_common_options(result, algorithm);
}

Datum
tagrec_option_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; tagrec_autos[i]; i++)
		put_algorithm_options(result, tagrec_autos[i]);
	for (int i = 0; tr_algorithms[i]; i++)
		put_algorithm_options(result, tr_algorithms[i]);
	return (Datum) 0;
}
