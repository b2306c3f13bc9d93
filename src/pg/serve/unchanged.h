/*
 * Would a statement find what it found the last time? Then a set of keys need not be read again.
 *
 * How it can be known: the statement depends on nothing but tables of this database (no function that is not IMMUTABLE or
 * not the system's, no row security, no foreign or temporary table). Each page of a table bears the position in the WAL of
 * its last change. When the statement was run, every transaction that had ever written to one of the pages had ended before
 * the oldest one that its snapshot saw running, and no page bore a later position than that of the time. As long as no page
 * bears a later one, the rows are the same; and a snapshot in which no older transaction runs sees the same of them, as what
 * has ended has ended the same way for all.
 *
 * Looking at the heads of pages is much quicker than reading their rows. Where nothing was written to the WAL in between,
 * not even that is needed. A table that is much larger than what is read of it is read again.
 */
#ifndef TAGREC_UNCHANGED_H
#define TAGREC_UNCHANGED_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "executor/spi.h"

/* A run of a statement. All zero: of which nothing is known. */
typedef struct TagrecReadMark
{
	uint64		statement;		/* number of the caller's, not 0 */
	int			generation;		/* of its plan */
	XLogRecPtr	position;
	XLogRecPtr	looked;			/* where the WAL ended when the pages were looked at last */
	TransactionId oldest;
} TagrecReadMark;

/* Right after a run of a plan that is kept, in the active snapshot. The mark is all zero when there is no proof. */
extern TagrecReadMark tagrec_mark_read(SPIPlanPtr plan, uint64 statement);

/*
 * Would it find the same in the active snapshot? Checks privileges as a run would: ereport(ERROR) where it would. Takes the
 * locks of a run.
 */
extern bool tagrec_unchanged(TagrecReadMark *mark, SPIPlanPtr plan, uint64 statement);

#endif
