/*
 * A relation of held-out (user, item) pairs, for the task tag (user, item, tag) assignments: what a model is tested on, or
 * validated with while it trains.
 *
 * It is read as the current user, so that privileges and row security apply. Other columns and repeated pairs are ignored,
 * so that a relation of (user, item, tag) rows can be used, too. A NULL in a column that is read is an error, as in
 * training; so is a relation without rows.
 */
#ifndef TAGREC_HELD_OUT_H
#define TAGREC_HELD_OUT_H

#include "postgres.h"

#include "core/dataset.h"
#include "core/task.h"
#include "pg/base/keys.h"
#include "pg/base/source_columns.h"
#include "pg/source/reader.h"

typedef struct TagrecHeldOut
{
	Oid			relation;
	char	   *name;			/* quoted and schema-qualified */
	TagrecColumns columns;		/* without a tag: pairs */
	TagrecNobody nobody;
} TagrecHeldOut;

/* Those of the columns that are read for a task. */
extern TagrecColumns tagrec_held_out_columns(const TagrecColumns *columns, const TrTask *task);

/*
 * Fills name from relation; ereport(ERROR) unless that is of a kind that has rows, and the current user may read its
 * columns.
 */
extern void tagrec_held_out_check(TagrecHeldOut *held_out);

/*
 * Reads it, in a transaction with an active snapshot: keys are interned, in the order of arrival, and pairs added as
 * assignments without a tag; tags may then be NULL. Returns the number of rows.
 */
extern int64 tagrec_held_out_read(const TagrecHeldOut *held_out, TagrecKeys *users, TagrecKeys *items, TagrecKeys *tags,
								  TrAssignments *assignments);

#endif
