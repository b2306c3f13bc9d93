/*
 * Options between SQL and the core. See options.h.
 */
#include "pg/base/options.h"

#include "lib/stringinfo.h"
#include "pg/base/auto.h"
#include "pg/base/tagrec.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

const TrAlgorithm *
tagrec_algorithm(const char *name)
{
	StringInfoData names;
	const TrAlgorithm *algorithm = tr_algorithm_find(name);

	if (!algorithm)
		algorithm = tagrec_auto_find(name);
	if (algorithm)
		return algorithm;
	initStringInfo(&names);
	for (int i = 0; tagrec_autos[i]; i++)
		appendStringInfo(&names, "%s, ", tagrec_autos[i]->name);
	for (int i = 0; tr_algorithms[i]; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", tr_algorithms[i]->name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown algorithm \"%s\"", name),
			 name[0] == '{' ? errdetail("Specify options by name: options => '...'.") : 0,
			 errhint("The algorithms are %s; the view tagrec_algorithms describes them.", names.data)));
}

char *
tagrec_option_text(const char *name, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvBinary:
			if (JsonContainerIsArray(value->val.binary.data))
				return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
			break;
		default:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": %s", name, value->type == jbvNull ? "null" : "an object"),
			 errdetail("The value of an option is a number, a string, true, false or an array of numbers.")));
}

/* An interval as days, which the core's option has; anything else as it is. */
static char *
days_text(char *text)
{
	char	   *end;
	Interval   *interval;

	(void) strtod(text, &end);
	if (end != text && *end == '\0')
		return text;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	return psprintf("%.17g", interval->month / MONTHS_PER_YEAR * DAYS_PER_YEAR
					+ interval->month % MONTHS_PER_YEAR * (double) DAYS_PER_MONTH + interval->day
					+ interval->time / (double) USECS_PER_DAY);
}

/* Where an option that the core does not know goes; NULL for the others. */
static char **
own_option(TagrecOptions *options, const char *name)
{
	if (strcmp(name, "schema") == 0)
		return &options->schema;
	if (strcmp(name, "validation_source") == 0)
		return &options->validation_source;
	return NULL;
}

static bool
has_member(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL) != NULL;
}

/*
 * The object's members, except those that the core does not know. Ends with a NULL name. An algorithm that holds out a
 * share by default does not when there is a relation to validate on.
 */
static TrSetting *
settings_of(Jsonb *object, TagrecOptions *options)
{
	TrSetting  *settings;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;
	int			n = 0;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example: '{\"epochs\": 20, \"seed\": 7}'.")));
	settings = palloc0((JB_ROOT_COUNT(object) + 2) * sizeof(TrSetting));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		char	   *name;
		char	  **own;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		name = pnstrdup(key.val.string.val, key.val.string.len);
		own = own_option(options, name);
		if (own)
			*own = tagrec_option_text(name, &value);
		else
		{
			settings[n].name = name;
			settings[n].value = tagrec_option_text(name, &value);
			if (strcmp(name, "half_life") == 0 && value.type == jbvString)
				settings[n].value = days_text(pstrdup(settings[n].value));
			n++;
		}
	}
	if (options->validation_source && !has_member(object, "validation"))
		settings[n] = (TrSetting) {"validation", "0"};
	return settings;
}

void
tagrec_options_check(TrStatus status, TrError *err)
{
	Size		length = strlen(err->detail);

	if (status == TR_BAD_OPTION && strncmp(err->detail, "Valid options", 13) == 0 && err->detail[length - 1] == '.')
		snprintf(err->detail + length - 1, sizeof(err->detail) - length + 1, ", validation_source, schema.");
	tagrec_check(status, err);
}

static void
check_validation(const TagrecOptions *options)
{
	if (options->validation_source && options->train.validation > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"validation\" and \"validation_source\" are mutually exclusive"),
				 errdetail("The model is validated either on a share of its source, here %g, or on the pairs of another"
						   " relation, here %s.", options->train.validation, options->validation_source)));
}

TrStatus
tagrec_options_try(const TrAlgorithm *algorithm, Jsonb *object, TagrecOptions **result, TrError *err)
{
	TrSetting  *settings = NULL;
	TagrecOptions *options = palloc0(sizeof(TagrecOptions));
	TrOptionTarget targets[2];

	options->algorithm = algorithm;
	options->values = palloc0(Max(algorithm->options->size, 1));
	targets[0].set = algorithm->options;
	targets[0].values = options->values;
	targets[1].set = &tr_train_options;
	targets[1].values = &options->train;
	if (object)
		settings = settings_of(object, options);
	*result = options;
	return tr_options_set(targets, 2, settings, err);
}

TagrecOptions *
tagrec_options_read(const TrAlgorithm *algorithm, Jsonb *object)
{
	TagrecOptions *options;
	TrError		err = {0};

	TrStatus	status = tagrec_options_try(algorithm, object, &options, &err);

	if (status == TR_BAD_OPTION && strncmp(err.message, "unknown option", 14) == 0 && tagrec_auto_find(algorithm->name))
		snprintf(err.hint, sizeof(err.hint), "An option of one algorithm requires its name, as the argument algorithm.");
	tagrec_options_check(status, &err);
	check_validation(options);
	return options;
}

/* "2000,300,128" becomes [2000,300,128]; numbers and booleans stay bare; the rest is a string. */
static void
append_option(StringInfo json, const TrOption *option, const void *values)
{
	char		text[TR_MAX_TEXT];

	tr_option_format(option, values, text, sizeof(text));
	appendStringInfoString(json, json->len > 1 ? ", " : "");
	escape_json(json, option->name);
	appendStringInfoString(json, ": ");
	switch (option->type)
	{
		case TR_OPTION_BOOL:
		case TR_OPTION_INT:
		case TR_OPTION_REAL:
		case TR_OPTION_SEED:
			appendStringInfoString(json, text);
			break;
		case TR_OPTION_INTS:
			appendStringInfo(json, "[%s]", text);
			break;
		case TR_OPTION_ENUM:
		case TR_OPTION_TEXT:
			escape_json(json, text);
			break;
	}
}

Jsonb *
tagrec_options_effective(const TagrecOptions *options)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < options->algorithm->options->count; i++)
		append_option(&json, &options->algorithm->options->options[i], options->values);
	for (int i = 0; i < tr_train_options.count; i++)
		append_option(&json, &tr_train_options.options[i], &options->train);
	if (options->validation_source)
	{
		appendStringInfoString(&json, ", \"validation_source\": ");
		escape_json(&json, options->validation_source);
	}
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
