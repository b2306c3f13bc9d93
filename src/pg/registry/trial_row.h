/*
 * The registry's trials: tagrec_trial, a row for each finished trial of a tuning.
 */
#ifndef TAGREC_TRIAL_ROW_H
#define TAGREC_TRIAL_ROW_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct TagrecTrialRow
{
	int64		job;
	int			trial;
	int64		done_by;		/* job that has done the trial: this one, or an earlier one */
	Jsonb	   *settings;
	Jsonb	   *options;		/* effective */
	const char *fingerprint;	/* of the algorithm and the data */
	const char *device;			/* "cpu", "cuda" */
	const char *library;		/* version of tagrec */
	const char *metric;
	double		value;
	double		value_error;	/* its standard error; NAN = unknown */
	double		new_users,		/* the metric on the held-out pairs of users without others; NAN = none */
				new_items;
	int			epochs,
				best_epoch;
	double		seconds;
	Jsonb	   *earlier;		/* out: settings of the trial that was found */
	const char *sqlstate;		/* NULL = the trial is done; else why it failed */
	const char *error;
} TagrecTrialRow;

extern void tagrec_trial_insert(const TagrecTrialRow *row);

typedef enum TagrecTrialMatch
{
	TAGREC_TRIAL_NONE,
	TAGREC_TRIAL_SAME,
	TAGREC_TRIAL_OTHER_DATA,
	TAGREC_TRIAL_OTHER_DEVICE,
	TAGREC_TRIAL_OTHER_LIBRARY
} TagrecTrialMatch;

/*
 * A trial of the model that is done, of the same options (but for those that make no difference to the result) as row, by a
 * role whose privileges the current one has. SAME when fingerprint, device and library are row's as well: then its result
 * is filled into row. Else what is not, of the latest one; *other is what it has instead of row's device or library.
 */
extern TagrecTrialMatch tagrec_trial_find(const char *model, TagrecTrialRow *row, char **other);

#endif
