/*
 * Reading a source through a cursor, a batch of rows after the other.
 */
#ifndef TAGREC_CURSOR_H
#define TAGREC_CURSOR_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/portal.h"

/*
 * Calls take for each of the next rows, `most` of them, in the context scratch, which is emptied after each; 0 = no more.
 */
extern uint64 tagrec_fetch_rows(Portal portal, int most, MemoryContext scratch,
								void (*take) (void *argument, HeapTuple row, TupleDesc desc), void *argument);

#endif
