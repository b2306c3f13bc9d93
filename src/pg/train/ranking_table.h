/*
 * The table that tagrec_recommend_into() writes: user_id, rank, item, score. One that is there already keeps what it is:
 * its owner, privileges, indexes, other columns, and what depends on it; its rows are replaced in one transaction.
 *
 * What runs when rows are written (triggers, defaults, the functions of indexes and constraints) is its owner's, so it runs
 * as the owner, restricted (identity.h). Only who owns the table may have it written.
 */
#ifndef TAGREC_RANKING_TABLE_H
#define TAGREC_RANKING_TABLE_H

#include "postgres.h"

#include "utils/tuplestore.h"

/* Which table a name means, there or to be made. ereport(ERROR) unless the current role may have it written or make it. */
extern void tagrec_ranking_target(const char *text, char **schema, char **name);

/* ereport(ERROR) when this transaction holds a lock on it, for which a worker would wait for ever. */
extern void tagrec_ranking_check_unlocked(const char *schema, const char *name);

/* desc: of rows (user_id, rank, item, score) */
extern TupleDesc tagrec_ranking_desc(Oid user_type, Oid user_collation, Oid item_type, Oid item_collation);

/* Makes the rows the table's only ones; makes the table, with a primary key, when there is none. */
extern void tagrec_ranking_write(const char *schema, const char *name, TupleDesc desc, Tuplestorestate *rows, int64 count);

#endif
