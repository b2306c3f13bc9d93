/*
 * How a version ranks what another one holds out: for deploying the better one.
 */
#ifndef TAGREC_VERSIONS_H
#define TAGREC_VERSIONS_H

#include "postgres.h"

#include "core/metrics.h"
#include "pg/source/source.h"

typedef struct TagrecVersus
{
	const char *model;
	int32		version;
	TrMetric	metric;
	int			k;
	TrPairs		pairs;			/* out: held-out pairs that the version does not know, of users, or posts, that it knows */
	int32		groups;			/* out: so many users, or posts */
	double		value;			/* out: mean over these */
} TagrecVersus;

/*
 * Ranks the held-out pairs of the data, whose keys are of the model's types. In a transaction, as a role that may use the
 * model; pairs are in data's memory.
 */
extern void tagrec_rank_held_out(TagrecVersus *versus, const TagrecData *data);

#endif
