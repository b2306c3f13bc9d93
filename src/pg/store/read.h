/*
 * Reading a version's partitions.
 *
 * Rows come straight from the table access method. No SQL is planned or run, so no code of the tables' owner runs,
 * whichever role reads: no policy, rule, trigger, default, index expression or domain check. Relations that are not the
 * plain tables of the model's owner are refused, and so are those with row-level security forced on the owner.
 *
 * The data may be anything that the owner could write. The functions below check every value, on every read: NULL, the
 * number of dimensions, nulls among the elements, length, range, order, finite numbers. Errors are raised by
 * tagrec_version_corrupted().
 *
 * Reading goes by the active snapshot. Results are in the current memory context.
 */
#ifndef TAGREC_READ_H
#define TAGREC_READ_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"

#include "core/model.h"
#include "pg/store/columns.h"

/* An open partition. */
typedef struct TagrecTable
{
	const TagrecVersion *version;
	TagrecRelation which;
	Relation	relation;
	AttrNumber	place[TAGREC_MOST_COLUMNS]; /* number of each column of columns.h */
	Oid			key_type;		/* of users and items: never a domain, but what it is over */
	Oid			collation;
	bool		index_known;
	Oid			index;			/* on the key columns; InvalidOid = there is none */
} TagrecTable;

/* Opens a version's partition; ereport(ERROR) when it is gone or not one that can be read. */
extern TagrecTable *tagrec_table_open(const TagrecVersion *version, TagrecRelation which);

/* Keeps the lock until the transaction ends. NULL is nothing to close. */
extern void tagrec_table_close(TagrecTable *table);

/* A pass over rows. */
typedef struct TagrecScan
{
	TagrecTable *table;
	Relation	index;			/* of a pass in order */
	SysScanDesc scan;
	HeapTuple	row;			/* the one at hand */
} TagrecScan;

/*
 * All rows, in physical order; all rows in the order of the primary key; the row of a key, of the type table->key_type
 * (int4: of a feature).
 */
extern TagrecScan tagrec_scan_all(TagrecTable *table);
extern TagrecScan tagrec_scan_ordered(TagrecTable *table);
extern TagrecScan tagrec_scan_key(TagrecTable *table, Datum key);

/* False when there is no further row. */
extern bool tagrec_scan_next(TagrecScan *scan);
extern void tagrec_scan_end(TagrecScan *scan);

/* ------------------------------------------------------------------ values of the row at hand; column: one of columns.h */

/* A number in 0 .. limit - 1. */
extern int32 tagrec_get_int(const TagrecScan *scan, int column, int64 limit);

/* A key, which may lie in the row: good until the next one. */
extern Datum tagrec_get_key(const TagrecScan *scan, int column);
extern char *tagrec_get_text(const TagrecScan *scan, int column);

/* Numbers, all of them finite. */
extern float *tagrec_get_numbers(const TagrecScan *scan, int column, int32 *n);

/* Numbers in 0 .. limit - 1, each larger than the one before if they ascend. */
extern int32 *tagrec_get_positions(const TagrecScan *scan, int column, int64 limit, bool ascending, int32 *n);

/*
 * What a user has, and dislikes: ascending numbers, of which the first *n_disliked are the complements (~) of positions of
 * disliked items, and the *n others positions of those that the user has.
 */
extern int32 *tagrec_get_seen(const TagrecScan *scan, int64 limit, int32 *n_disliked, int32 *n);

/* out (version->width) = an embedding */
extern void tagrec_get_embedding(const TagrecScan *scan, int column, float *out);

/* Two columns of the same length: ascending positions, and values. */
extern TrSparse tagrec_get_sparse(const TagrecScan *scan, int positions, int values, int64 limit);

/* The same of a profile: tags, and counts, which are not negative. */
extern TrSparse tagrec_get_profile(const TagrecScan *scan, int tags, int counts);

/* Raises the error for corrupted data. */
pg_noreturn extern void tagrec_version_corrupted(const TagrecVersion *version, const char *what);

#endif
