/*
 * What values and times of interactions mean to an algorithm: a rating, or how much an interaction counts. See reader.h.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "pg/base/tagrec.h"
#include "pg/source/source.h"
#include "utils/timestamp.h"

/* An option that says something about a column that is not there. */
static void
check_option(bool set, const char *option, const char *column, const char *argument)
{
	if (set && !column)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" requires %s", option, argument)));
}

/* A value that is predicted is neither old nor disliked. */
static void
check_rating(const TagrecSource *source, const TagrecOptions *options)
{
	const TrTrainOptions *train = &options->train;

	if (!source->columns.value)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" requires value_column", options->algorithm->name),
				 errdetail("It predicts the values of (user, item) pairs."),
				 errhint("Name the column of %s that has them: value_column => 'stars'.", source->name)));
	if (train->half_life > 0 || train->like_from > -TR_MOST_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" cannot be used with algorithm \"%s\"",
						train->half_life > 0 ? "half_life" : "like_from", options->algorithm->name),
				 errdetail("It predicts the values of (user, item) pairs.")));
}

static void
check_options(const TagrecSource *source, const TagrecOptions *options)
{
	const TagrecColumns *columns = &source->columns;
	const TrTrainOptions *train = &options->train;

	if (train->caution > 0 && !options->algorithm->task->values)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"caution\" cannot be used with algorithm \"%s\"", options->algorithm->name),
				 errdetail("It does not predict values.")));
	check_option(train->half_life > 0, "half_life", columns->time, "time_column");
	check_option(train->like_from > -TR_MOST_WEIGHT, "like_from", columns->value, "value_column");
	check_option(train->duplicates > 0, "duplicates", columns->value, "value_column");
	check_option(train->duplicates == 1 + TR_MERGE_LAST, "duplicates", columns->time, "time_column");
}

/*
 * Unless the option duplicates says it: rows with tags mostly repeat the value of their pair. Without values, a repeated
 * row counts once, as old as the latest.
 */
static TrMerge
merge_of(const TagrecSource *source, const TagrecOptions *options)
{
	if (options->train.duplicates > 0)
		return (TrMerge) (options->train.duplicates - 1);
	if (!source->columns.value)
		return TR_MERGE_MAX;
	return source->columns.tag || options->algorithm->task->values ? TR_MERGE_MEAN : TR_MERGE_SUM;
}

TagrecRules
tagrec_source_rules(const TagrecSource *source, const TagrecOptions *options)
{
	const TrTrainOptions *train = &options->train;
	TagrecRules rules = {
		.nobody = !source->columns.tag ? TAGREC_NOBODY_ERROR
			: tagrec_knows_items_by_tags(options->algorithm) ? TAGREC_NOBODY_TAG : TAGREC_NOBODY_LEFT_OUT,
		.untagged = !options->algorithm->task->tags,
		.confidences = !options->algorithm->task->values,
		.half_life = train->half_life,
		.like_from = train->like_from,
		.merge = merge_of(source, options)
	};
	TrError		err = {0};

	if (options->algorithm->task->values)
		check_rating(source, options);
	check_options(source, options);
	if (!source->columns.tag
		&& !(OidIsValid(source->features[TR_ITEM]) && tagrec_attributes_are_tags(options->algorithm)))
		tagrec_check(tr_check_untagged(options->algorithm, &err), &err);
	return rules;
}

void
tagrec_tell_unused(const TagrecSource *source, const TrAlgorithm *algorithm)
{
	bool		tags = source->columns.tag && (algorithm->encode || algorithm->task->tags);
	bool		decays = source->rules.half_life > 0;
	StringInfoData names;

	if (algorithm->task->values || algorithm->uses_values || !(source->columns.value || (decays && !tags)))
		return;
	initStringInfo(&names);
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		if ((*a)->uses_values)
			appendStringInfo(&names, "%s%s", names.len ? ", " : "", (*a)->name);
	ereport(NOTICE,
			(errmsg("algorithm \"%s\" counts every pair alike, whatever its value or time", algorithm->name),
			 errhint("Algorithms that use them are %s.", names.data)));
}

/* The latest time that is not in the future, or now; *future = rows beyond it. */
static TimestampTz
latest_time(const TrAssignments *raw, int64 *future)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz latest = PG_INT64_MIN;

	*future = 0;
	for (int64 i = 0; i < raw->count; i++)
	{
		if (raw->user[i] == TR_NO_USER)
			continue;
		if (raw->time[i] > now)
			++*future;
		else if (raw->time[i] > latest)
			latest = raw->time[i];
	}
	return latest > PG_INT64_MIN ? latest : now;
}

void
tagrec_decay(TrAssignments *raw, const TagrecSource *source)
{
	int64		future;
	TimestampTz latest = latest_time(raw, &future);

	for (int64 i = 0; i < raw->count; i++)
	{
		double		days = raw->user[i] == TR_NO_USER ? 0 : Max(0, (double) latest - (double) raw->time[i]) / (double) USECS_PER_DAY;
		float		share = (float) exp2(-days / source->rules.half_life);

		raw->value[i] *= share;
		raw->weight[i] *= share;
	}
	if (future > 0)
		ereport(NOTICE,
				(errmsg("%lld of %lld rows of %s have a time in the future", (long long) future, (long long) raw->count,
						source->name),
				 errdetail("They count as if they were of the latest time that is not.")));
}
