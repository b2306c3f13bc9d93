/*
 * Looking many keys of a test up in a relation of a version, some at a time. Inside SPI, as the model's owner.
 */
#ifndef TAGREC_LOOK_UP_H
#define TAGREC_LOOK_UP_H

#include "postgres.h"

#include "cache.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "keys.h"

/* Where the asked-for columns begin in a row of the answer. */
#define TAGREC_LOOK_UP_COLUMN 2

/* One side of the test, looked up in one relation. */
typedef struct TagrecLookUp
{
	const TagrecKeys *keys;
	const char *relation;
	Oid			type;
	FmgrInfo	input;
	Oid			ioparam;
	int16		length;
	bool		by_value;
	char		align;
	SPIPlanPtr	plan;
	MemoryContext scratch;		/* keys of one query, below the context current when it was prepared */
} TagrecLookUp;

/* columns: of the relation, as r.name, … */
extern void tagrec_look_up_prepare(TagrecLookUp *look_up, const TagrecKeys *keys, const TagrecStored *source,
								   const char *key_column, int32 version, const char *columns);

/*
 * Looks up n keys: those in `which`, or first, first + 1, … when it is NULL. Returns the number of rows, in SPI_tuptable.
 */
extern uint64 tagrec_look_up_keys(TagrecLookUp *look_up, const int32 *which, int32 first, int32 n);

/* Which of the n keys, from 0, row `row` is for. */
extern int32 tagrec_look_up_place(uint64 row);

/* A value of the answer; ERROR when it is NULL. */
extern Datum tagrec_look_up_column(const TagrecLookUp *look_up, uint64 row, int column);

#endif
