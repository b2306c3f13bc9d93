/*
 * Reading a relation of interactions: what a model is trained on, and what is held out of it. Keys are interned in the
 * order of arrival.
 *
 * Rules: a NULL in a column that is read is an error, which counts them; so are weights that are NULL, negative, not finite
 * or above 1e12, and a relation without rows.
 */
#ifndef TAGREC_READER_H
#define TAGREC_READER_H

#include "postgres.h"

#include "core/dataset.h"
#include "pg/base/keys.h"
#include "pg/base/source_columns.h"

/* Keys of users and items must fit an index, whose entries hold a third of a page; checked here, not after training. */
#define TAGREC_MAX_KEY_BYTES 2600

typedef struct TagrecReader
{
	const char *relation;		/* quoted and schema-qualified */
	TagrecColumns columns;
	TagrecKeys *users,
			   *items,
			   *tags;			/* NULL where there is no column of tags */
	bool		untagged;		/* a NULL tag is an interaction without one */
	TrMerge		merge;			/* values of a pair's rows */
	Size		longest;		/* bytes that a key of a user or an item may have; 0 = any number */
	TrAssignments *to;			/* without a column of tags, of a tag 0; times in microseconds */
	int64		rows;			/* out: read */
	int64		ignored;		/* out: with a key that keys which are closed do not have */
} TagrecReader;

/* As the current user, so that privileges and row security apply; in a transaction with an active snapshot. */
extern void tagrec_read_interactions(TagrecReader *reader);

#endif
