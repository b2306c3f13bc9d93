/*
 * Reading option values from text, against the tables the algorithms describe themselves with.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"

static void *
field(const TrOption *option, void *values)
{
	return (char *) values + option->offset;
}

static const void *
const_field(const TrOption *option, const void *values)
{
	return (const char *) values + option->offset;
}

/* ------------------------------------------------------------------ ranges */

static void
append(char *buffer, size_t size, const char *text)
{
	size_t		used = strlen(buffer);

	if (used + 1 < size)
		snprintf(buffer + used, size - used, "%s", text);
}

static void
append_names(char *buffer, size_t size, const char *const *names)
{
	for (int i = 0; names[i]; i++)
	{
		append(buffer, size, i > 0 ? ", " : "");
		append(buffer, size, names[i]);
	}
}

void
tr_option_range(const TrOption *option, char *buffer, size_t size)
{
	buffer[0] = '\0';
	switch (option->type)
	{
		case TR_OPTION_BOOL:
			append(buffer, size, "true or false");
			break;
		case TR_OPTION_INT:
		case TR_OPTION_REAL:
			snprintf(buffer, size, "from %g to %g", option->min, option->max);
			break;
		case TR_OPTION_ENUM:
			append(buffer, size, "one of ");
			append_names(buffer, size, option->values);
			break;
		case TR_OPTION_INTS:
			snprintf(buffer, size, "1 to %d numbers from %g to %g", TR_MAX_INTS, option->min, option->max);
			break;
		case TR_OPTION_SEED:
			append(buffer, size, "from 0 to 9223372036854775807");
			break;
		case TR_OPTION_TEXT:
			append(buffer, size, option->values[0]);
			break;
	}
}

static TrStatus
bad_value(const TrOption *option, const char *text, TrError *err)
{
	char		range[512];
	bool		whole = option->type == TR_OPTION_INT || option->type == TR_OPTION_SEED;

	tr_option_range(option, range, sizeof(range));
	tr_fail(err, TR_BAD_OPTION, "invalid value for option \"%s\": \"%s\"", option->name, text);
	if (err)
		snprintf(err->detail, sizeof(err->detail), "Valid values are %s%s.", whole ? "whole numbers " : "", range);
	return TR_BAD_OPTION;
}

/* ------------------------------------------------------------------ parsing */

static bool
parse_bool(const char *text, bool *value)
{
	*value = strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
	return *value || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;
}

static bool
parse_number(const char *text, double min, double max, double *value)
{
	char	   *end;

	errno = 0;
	*value = strtod(text, &end);
	return end != text && *end == '\0' && errno == 0 && isfinite(*value) && *value >= min && *value <= max;
}

static bool
parse_int(const char *text, double min, double max, int *value)
{
	double		number;

	if (!parse_number(text, min, max, &number) || number != floor(number))
		return false;
	*value = (int) number;
	return true;
}

static bool
parse_enum(const char *text, const char *const *names, int *value)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(text, names[i]) == 0)
		{
			*value = i;
			return true;
		}
	return false;
}

/* "2000,300,128", "[2000, 300, 128]" */
static bool
parse_ints(const char *text, double min, double max, TrIntList *list)
{
	const char *s = text + strspn(text, "[ ");

	list->count = 0;
	while (*s && *s != ']')
	{
		char		number[32];
		size_t		length = strcspn(s, ",] ");

		if (list->count == TR_MAX_INTS || length == 0 || length >= sizeof(number))
			return false;
		memcpy(number, s, length);
		number[length] = '\0';
		if (!parse_int(number, min, max, &list->value[list->count++]))
			return false;
		s += length;
		s += strspn(s, " ");
		if (*s == ',')
		{
			s += 1 + strspn(s + 1, " ");
			if (*s == '\0' || *s == ']')
				return false;
		}
		else if (*s != '\0' && *s != ']')
			return false;
	}
	return list->count > 0 && (*s == '\0' || s[1 + strspn(s + 1, " ")] == '\0');
}

static bool
parse_seed(const char *text, uint64_t *value)
{
	char	   *end;
	long long	number;

	errno = 0;
	number = strtoll(text, &end, 10);
	*value = (uint64_t) number;
	return end != text && *end == '\0' && errno == 0 && number >= 0;
}

static bool
parse_text(const char *text, TrText *value)
{
	if (strlen(text) >= TR_MAX_TEXT)
		return false;
	strcpy(value->value, text);
	return true;
}

static bool
parse(const TrOption *option, const char *text, void *values)
{
	void	   *to = field(option, values);

	switch (option->type)
	{
		case TR_OPTION_BOOL:
			return parse_bool(text, to);
		case TR_OPTION_INT:
			return parse_int(text, option->min, option->max, to);
		case TR_OPTION_REAL:
			return parse_number(text, option->min, option->max, to);
		case TR_OPTION_ENUM:
			return parse_enum(text, option->values, to);
		case TR_OPTION_INTS:
			return parse_ints(text, option->min, option->max, to);
		case TR_OPTION_SEED:
			return parse_seed(text, to);
		case TR_OPTION_TEXT:
			return parse_text(text, to);
	}
	return false;
}

/* ------------------------------------------------------------------ setting */

/* Does a set before this one have an option of that name, which stands for both? */
static bool
is_named_before(const TrOptionTarget *targets, int n, const char *name)
{
	for (int t = 0; t < n; t++)
		for (int i = 0; i < targets[t].set->count; i++)
			if (strcmp(targets[t].set->options[i].name, name) == 0)
				return true;
	return false;
}

static TrStatus
unknown_option(const TrOptionTarget *targets, int n, const char *name, TrError *err)
{
	tr_fail(err, TR_BAD_OPTION, "unknown option \"%s\"", name);
	if (!err)
		return TR_BAD_OPTION;
	append(err->detail, sizeof(err->detail), "Valid options are preset");
	for (int t = 0; t < n; t++)
		for (int i = 0; i < targets[t].set->count; i++)
		{
			if (is_named_before(targets, t, targets[t].set->options[i].name))
				continue;
			append(err->detail, sizeof(err->detail), ", ");
			append(err->detail, sizeof(err->detail), targets[t].set->options[i].name);
		}
	append(err->detail, sizeof(err->detail), ".");
	return TR_BAD_OPTION;
}

static TrStatus
set_one(const TrOptionTarget *targets, int n, const TrSetting *setting, TrError *err)
{
	bool		found = false;

	for (int t = 0; t < n; t++)
		for (int i = 0; i < targets[t].set->count; i++)
		{
			const TrOption *option = &targets[t].set->options[i];

			if (strcmp(option->name, setting->name) != 0)
				continue;
			if (!parse(option, setting->value, targets[t].values))
				return bad_value(option, setting->value, err);
			found = true;
		}
	return found ? TR_OK : unknown_option(targets, n, setting->name, err);
}

static TrStatus
unknown_preset(const TrOptionTarget *targets, int n, const char *name, TrError *err)
{
	tr_fail(err, TR_BAD_OPTION, "unknown preset \"%s\"", name);
	if (!err)
		return TR_BAD_OPTION;
	append(err->detail, sizeof(err->detail), "Valid presets are default");
	for (int t = 0; t < n; t++)
		for (const TrPreset *p = targets[t].set->presets; p && p->name; p++)
		{
			append(err->detail, sizeof(err->detail), ", ");
			append(err->detail, sizeof(err->detail), p->name);
		}
	append(err->detail, sizeof(err->detail), ".");
	return TR_BAD_OPTION;
}

static TrStatus
set_preset(const TrOptionTarget *targets, int n, const char *name, TrError *err)
{
	if (strcmp(name, "default") == 0)
		return TR_OK;
	for (int t = 0; t < n; t++)
		for (const TrPreset *p = targets[t].set->presets; p && p->name; p++)
		{
			if (strcmp(p->name, name) != 0)
				continue;
			for (const TrSetting *s = p->settings; s->name; s++)
				TR_TRY(set_one(targets, n, s, err));
			return TR_OK;
		}
	return unknown_preset(targets, n, name, err);
}

/* Options of one name start from the default of the first target that has one. */
static void
share_defaults(const TrOptionTarget *targets, int n)
{
	for (int t = n - 2; t >= 0; t--)
		for (int i = 0; i < targets[t].set->count; i++)
		{
			TrSetting	initial = {targets[t].set->options[i].name, targets[t].set->options[i].initial};

			(void) set_one(targets + t, n - t, &initial, NULL);
		}
}

TrStatus
tr_options_set(const TrOptionTarget *targets, int n, const TrSetting *settings, TrError *err)
{
	for (int t = 0; t < n; t++)
	{
		memset(targets[t].values, 0, targets[t].set->size);
		for (int i = 0; i < targets[t].set->count; i++)
			if (!parse(&targets[t].set->options[i], targets[t].set->options[i].initial, targets[t].values))
				return bad_value(&targets[t].set->options[i], targets[t].set->options[i].initial, err);
	}
	share_defaults(targets, n);
	for (const TrSetting *s = settings; s && s->name; s++)
		if (strcmp(s->name, "preset") == 0)
			TR_TRY(set_preset(targets, n, s->value, err));
	for (const TrSetting *s = settings; s && s->name; s++)
		if (strcmp(s->name, "preset") != 0)
			TR_TRY(set_one(targets, n, s, err));
	for (int t = 0; t < n; t++)
		if (targets[t].set->check)
			TR_TRY(targets[t].set->check(targets[t].values, err));
	return TR_OK;
}

TrStatus
tr_options_check_one(const TrOptionTarget *targets, int n, const TrSetting *setting, TrError *err)
{
	if (strcmp(setting->name, "preset") == 0)
		return set_preset(targets, n, setting->value, err);
	return set_one(targets, n, setting, err);
}

const TrOption *
tr_options_find(const TrOptionTarget *targets, int n, const char *name)
{
	for (int t = 0; t < n; t++)
		for (int i = 0; i < targets[t].set->count; i++)
			if (strcmp(targets[t].set->options[i].name, name) == 0)
				return &targets[t].set->options[i];
	return NULL;
}

/* ------------------------------------------------------------------ formatting */

static void
format_ints(const TrIntList *list, char *buffer, size_t size)
{
	buffer[0] = '\0';
	for (int i = 0; i < list->count; i++)
	{
		char		number[16];

		snprintf(number, sizeof(number), i > 0 ? ",%d" : "%d", list->value[i]);
		append(buffer, size, number);
	}
}

/* The shortest text that reads back as the same double. */
static void
format_real(double value, char *buffer, size_t size)
{
	for (int digits = 6; digits <= 17; digits++)
	{
		snprintf(buffer, size, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			return;
	}
}

void
tr_option_format(const TrOption *option, const void *values, char *buffer, size_t size)
{
	const void *from = const_field(option, values);

	switch (option->type)
	{
		case TR_OPTION_BOOL:
			snprintf(buffer, size, "%s", *(const bool *) from ? "true" : "false");
			break;
		case TR_OPTION_INT:
			snprintf(buffer, size, "%d", *(const int *) from);
			break;
		case TR_OPTION_REAL:
			format_real(*(const double *) from, buffer, size);
			break;
		case TR_OPTION_ENUM:
			snprintf(buffer, size, "%s", option->values[*(const int *) from]);
			break;
		case TR_OPTION_INTS:
			format_ints(from, buffer, size);
			break;
		case TR_OPTION_SEED:
			snprintf(buffer, size, "%llu", (unsigned long long) *(const uint64_t *) from);
			break;
		case TR_OPTION_TEXT:
			snprintf(buffer, size, "%s", ((const TrText *) from)->value);
			break;
	}
}
