/*
 * The relation that a training reads: a table (partitioned or not), view, materialized view or foreign table with one row
 * per assignment. It is read through a cursor as the submitting role, so that privileges and row security apply.
 *
 * Rules: where there is a column of tags, a row whose user is NULL says which tag its item has, to algorithms that know
 * items by tags; others leave it out. A NULL in the item column is an error, which counts them; so are weights that are
 * NULL, negative, not finite or above 1e12, and keys of users and items too long to be indexed. A NULL tag is an
 * interaction without one, except to those that recommend tags. A repeated (user, item, tag) counts once, with the sum of
 * its weights. Keys are told apart by their type's equality. Tags may be of any type: their text counts.
 */
#ifndef TAGREC_SOURCE_H
#define TAGREC_SOURCE_H

#include "postgres.h"

#include "core/dataset.h"
#include "core/model.h"
#include "core/trainer.h"
#include "pg/base/keys.h"
#include "pg/base/options.h"
#include "pg/base/source_columns.h"
#include "pg/source/attributes.h"
#include "pg/source/reader.h"
#include "utils/rel.h"

typedef struct TagrecSource
{
	Oid			relation;
	char	   *name;			/* quoted and schema-qualified */
	TagrecColumns columns;
	TagrecKeyType user,
				item;
	TagrecRules rules;
	Oid			features[2];	/* by TrSide: relations of attributes; InvalidOid = none */
	TagrecAttributes attributes[2]; /* by TrSide: what was read of them */
} TagrecSource;

/*
 * Fills name, user and item from relation and the columns; ereport(ERROR) unless the current user may read a relation of a
 * fitting kind with columns of fitting types. Done before a job starts, and again when it does.
 */
extern void tagrec_source_check(TagrecSource *source);

/* values.c: how its rows are read for an algorithm; ereport(ERROR) when the options and the columns do not agree. */
extern TagrecRules tagrec_source_rules(const TagrecSource *source, const TagrecOptions *options);

/* values.c: NOTICE when the algorithm does not use the values there are. */
extern void tagrec_tell_unused(const TagrecSource *source, const TrAlgorithm *algorithm);

/* values.c: the older, the less its value and its weight; before rows are merged. */
extern void tagrec_decay(TrAssignments *raw, const TagrecSource *source);

/* A kind of relation that rows can be read from. */
extern bool tagrec_has_rows(char kind);

/* ereport(ERROR) unless the current user may read this column, look into the relation's schema. */
extern void tagrec_check_column_readable(Relation relation, Form_pg_attribute attribute);
extern void tagrec_check_schema_usage(Relation relation);

/* The same for a column of numbers; what: "weight", "value". */
extern void tagrec_check_number_column(Relation relation, const char *column, const char *what);

/* The relation of a qualified name as tagrec_source_check() gave it; ereport(ERROR) when it is gone. */
extern Oid	tagrec_source_find(const char *name);

/* What a training works on. Everything lies in one TrMemory. */
typedef struct TagrecData
{
	TrMemory   *memory;
	int64		rows;			/* read */
	int64		ignored;		/* rows with a key that closed keys do not have */
	bool		keep_items;		/* in: items that were interned before stay, also without a row */
	TagrecKeys	users,
				items,
				tags;			/* ranked, in the datasets' numbering */
	TrDataset	all;
	TrAssignments disliked;		/* pairs, as they were read */
	TrDislikes	dislikes;		/* what became of them */
	bool		split;			/* train and validation are filled; else all is trained on */
	TrDataset	train;			/* users, items and tags numbered as in all */
	TrPairs		validation;		/* held-out pairs, or triples: of the source, or of another relation */
	bool		may_hold_none;	/* in: where the split would leave nothing on a side, there is none */
	bool		meets_new;		/* in: fill met, where most held-out pairs are of items that train has nothing of */
	bool		items_are_new;	/* it is */
	TrDataset	met;			/* train, and the tags of such items, as if they were from elsewhere */
	int			most_pairs;		/* in: beyond so many, there is a sample of what is trained on; 0 = never */
	bool		sampled;		/* sample is filled, and validation is of its users */
	TrDataset	sample;			/* numbered as in all */
} TagrecData;

extern void tagrec_data_init(TagrecData *data, TrMemory *memory);

/* Reads the source into raw assignments, in a transaction with an active snapshot; raw->memory is data's. */
extern void tagrec_source_read(const TagrecSource *source, TagrecData *data, TrAssignments *raw);

/*
 * Ranks the keys and builds the datasets; frees raw. Tags that fewer than options->min_tag_count assignments use go first,
 * then what is not in the core of options->core, then the users and items that have nothing left. options->validation holds
 * out, of the task item, a share of the pairs; of the task tag, one tag each of a share of the posts that have two or more.
 * held_out: what another relation holds out, whose keys were interned in data as well, or NULL; freed, too. With a closed
 * vocabulary, nothing is dropped and nothing held out.
 */
extern void tagrec_data_build(TagrecData *data, const TagrecSource *source, TrAssignments *raw,
							  const TrTrainOptions *options, const TrTask *task, TrAssignments *held_out);

/* split.c: fills train and validation of data, whose `all` was built from raw, as above */
extern void tagrec_data_split(TagrecData *data, const TrAssignments *raw, const TrTrainOptions *options,
							  const TrTask *task);

/*
 * The same from assignments that another relation holds out, of which `all` were read and those left whose keys are trained
 * on. Those that are in the training data themselves are excluded, too: NOTICE, or ERROR if there are no others.
 */
extern void tagrec_data_hold_out(TagrecData *data, TrAssignments *held_out, int64 all, const TrTask *task);

/* sample.c: fills sample, if there is to be one; raw as above, validation filled */
extern void tagrec_data_sample(TagrecData *data, const TrAssignments *raw);

/* sample.c: leaves the held-out pairs of some users, so that there are about so many users, and pairs, at most */
extern void tagrec_data_thin_validation(TagrecData *data, int users, int pairs);

/*
 * source_attributes.c: can the algorithm use the attributes, and can the current user read them? ereport(ERROR) if not.
 * Reads them, after the source, into raw as tags where the algorithm reads tags; adds them to a dataset as profiles where
 * it does not.
 */
extern void tagrec_source_check_attributes(TagrecSource *source, const TrAlgorithm *algorithm);
extern void tagrec_source_read_attributes(TagrecSource *source, const TrAlgorithm *algorithm, TagrecData *data,
										  TrAssignments *raw);
extern void tagrec_source_add_profiles(const TagrecSource *source, const TrAlgorithm *algorithm, TagrecData *data,
									   TrDataset *dataset);

/*
 * source_attributes.c: are the attributes of items tags to the algorithm? Can it recommend an item that has tags, and no
 * user?
 */
extern bool tagrec_attributes_are_tags(const TrAlgorithm *algorithm);
extern bool tagrec_knows_items_by_tags(const TrAlgorithm *algorithm);

/* Raises the error of a core function that works in this memory. */
extern void tagrec_data_check(TrStatus status, const TrError *err, const TrMemory *memory);
extern void tagrec_free_assignments(TrAssignments *a);

#endif
