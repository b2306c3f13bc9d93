/*
 * Reading a relation of interactions: what a model is trained on, and what is held out of it. Keys are interned in the
 * order of arrival.
 *
 * A row without a user, but with a tag, says of its item that it has that tag; it has neither a value nor a time. A NULL in
 * a column that is read is an error otherwise, which counts them, unless the rules allow it; so are weights that are NULL,
 * negative, not finite or above 1e12, values and times that are NULL or not finite, and a relation without rows.
 */
#ifndef TAGREC_READER_H
#define TAGREC_READER_H

#include "postgres.h"

#include "core/dataset.h"
#include "pg/base/keys.h"
#include "pg/base/source_columns.h"

/* Keys of users and items must fit an index, whose entries hold a third of a page; checked here, not after training. */
#define TAGREC_MAX_KEY_BYTES 2600

/* What rows without a user are. */
typedef enum TagrecNobody
{
	TAGREC_NOBODY_ERROR,
	TAGREC_NOBODY_LEFT_OUT,
	TAGREC_NOBODY_ITEM,			/* their item is interned */
	TAGREC_NOBODY_TAG			/* assignments without a user, if they have a tag */
} TagrecNobody;

/* How rows are read, by an algorithm's task and the options. */
typedef struct TagrecRules
{
	TagrecNobody nobody;
	bool		untagged;		/* a NULL tag is an interaction without one */
	bool		unknown_tags;	/* and so is one that closed tags do not have */
	bool		confidences;	/* values say how much an interaction counts: none is negative */
	double		half_life;		/* days; above 0, rows have values and weights, 1 where there is no column for them */
	double		like_from;		/* rows with values below are left out; of confidences */
	TrMerge		merge;			/* values of a pair's rows */
} TagrecRules;

typedef struct TagrecReader
{
	const char *relation;		/* quoted and schema-qualified */
	TagrecColumns columns;
	TagrecKeys *users,
			   *items,
			   *tags;			/* NULL where there is no column of tags */
	TagrecRules rules;
	Size		longest;		/* bytes that a key of a user or an item may have; 0 = any number */
	TrAssignments *to;			/* times in microseconds */
	TrAssignments *disliked_to; /* pairs whose rows have a value below like_from; NULL = not wanted */
	int64		rows;			/* out: read */
	int64		without_user;	/* out: with a NULL user, where that is no error */
	int64		without_tag;	/* out: with a NULL tag, and a user */
	int64		disliked;		/* out: with a value below like_from */
	int64		ignored;		/* out: with a key that keys which are closed do not have */
} TagrecReader;

/* As the current user, so that privileges and row security apply; in a transaction with an active snapshot. */
extern void tagrec_read_interactions(TagrecReader *reader);

#endif
