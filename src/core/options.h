/*
 * Options: an algorithm describes each of its own once, in a table; parsing, defaults, presets, range checks, error
 * messages and the tagrec_options view all read that table.
 */
#ifndef TR_OPTIONS_H
#define TR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef enum TrOptionType
{
	TR_OPTION_BOOL,				/* bool */
	TR_OPTION_INT,				/* int */
	TR_OPTION_REAL,				/* double */
	TR_OPTION_ENUM,				/* int: position in values */
	TR_OPTION_INTS,				/* TrIntList */
	TR_OPTION_SEED,				/* uint64_t; any integer from 0 to 2^63-1 */
	TR_OPTION_TEXT				/* TrText; validated by the set's check() */
} TrOptionType;

#define TR_MAX_INTS 8

typedef struct TrIntList
{
	int			count;
	int			value[TR_MAX_INTS];
} TrIntList;

#define TR_MAX_TEXT 1024		/* bytes, with the 0 at the end */

typedef struct TrText
{
	char		value[TR_MAX_TEXT];
} TrText;

typedef struct TrOption
{
	const char *name;
	TrOptionType type;
	size_t		offset;			/* of the field in the algorithm's options struct */
	const char *initial;		/* the default, as text ("256", "true", "adam", "2000,300,128") */
	double		min,
				max;			/* INT, REAL, and each element of INTS; inclusive */
	const char *const *values;	/* ENUM: names, ends with NULL; TEXT: one sentence on its syntax, NULL */
	const char *meaning;		/* one sentence for tagrec_options */
} TrOption;

/* A named set of values; applied before the user's own. */
typedef struct TrSetting
{
	const char *name;			/* NULL ends a list */
	const char *value;
} TrSetting;

typedef struct TrPreset
{
	const char *name;			/* NULL ends a list; the defaults themselves are the preset "default" */
	const TrSetting *settings;
} TrPreset;

typedef struct TrOptionSet
{
	const TrOption *options;
	int			count;
	const TrPreset *presets;	/* may be NULL */
	size_t		size;			/* of the options struct, zeroed before the defaults are set */
	/* Checks that concern several options; may be NULL. */
	TrStatus	(*check) (const void *values, TrError *err);
} TrOptionSet;

/* An options struct to fill, with its description. */
typedef struct TrOptionTarget
{
	const TrOptionSet *set;
	void	   *values;
} TrOptionTarget;

/*
 * Sets the values of n targets (an algorithm's own options and the training loop's) at once: from the defaults, then from
 * the preset named by the setting "preset" if there is one (a preset may set options of any target), then from settings
 * (ends with a NULL name; values as text). Errors name the option and what would be valid; an unknown option lists the
 * valid ones. Where two targets have an option of the same name, both get the value, and the earlier one's default.
 */
extern TrStatus tr_options_set(const TrOptionTarget *targets, int n, const TrSetting *settings, TrError *err);

/*
 * One setting alone, a preset among them, without the checks that concern several options: is there such an option or
 * preset, and is the value in its range? Overwrites values of the targets.
 */
extern TrStatus tr_options_check_one(const TrOptionTarget *targets, int n, const TrSetting *setting, TrError *err);

/* The option of that name, of the first target that has one; NULL when none has. */
extern const TrOption *tr_options_find(const TrOptionTarget *targets, int n, const char *name);

/* The value of one option as text, into buffer of TR_MAX_TEXT bytes at most; the text reads back as the same value. */
extern void tr_option_format(const TrOption *option, const void *values, char *buffer, size_t size);

/* "from 0 to 1", "one of sgd, adam", … into buffer: for messages and for tagrec_options. */
extern void tr_option_range(const TrOption *option, char *buffer, size_t size);

#endif
