/*
 * The registry's trials: tagrec_trial, a row for each finished trial of a tuning.
 */
#ifndef TAGREC_CATALOG_TRIAL_H
#define TAGREC_CATALOG_TRIAL_H

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
	const char *metric;
	double		value;
	int			epochs,
				best_epoch;
	double		seconds;
	const char *sqlstate;		/* NULL = the trial is done; else why it failed */
	const char *error;
} TagrecTrialRow;

extern void tagrec_trial_insert(const TagrecTrialRow *row);

/*
 * A trial of the model that is done, of the same options (but for those that make no difference to the result) and fingerprint
 * as row: fills its result into row. False when there is none.
 */
extern bool tagrec_trial_find(const char *model, TagrecTrialRow *row);

#endif
