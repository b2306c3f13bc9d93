/*
 * Ids that an argument holds, and the rows of a matrix that they are the keys of.
 *
 * The SQL type tagrec_ids is an array of any type, as it is: the cast to it does nothing. Its text form is that of text[], or
 * the word all. So one argument takes '{1,2}', ARRAY[1,2], a parameter whose type is left open, and 'all'.
 */
#ifndef TAGREC_IDS_H
#define TAGREC_IDS_H

#include "postgres.h"

#include "fmgr.h"
#include "pg/base/id.h"
#include "pg/serve/matrix.h"
#include "utils/array.h"

/* Argument n. Its array; NULL when the argument is, or when it is all, which *all says, or when the array is empty. */
extern ArrayType *tagrec_ids_argument(FunctionCallInfo fcinfo, int n, bool *all);

/* The same where all is an ERROR. */
extern ArrayType *tagrec_some_ids_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* The ids, n of them, and their type. */
extern Datum *tagrec_ids_values(ArrayType *array, bool **nulls, int *n);

/* Finds the rows of a matrix by keys of some type, quickest when they come in their order. */
typedef struct TagrecKeyFinder
{
	const TagrecMatrix *matrix;
	Oid			from;
	bool		integers;		/* both types are integers */
	bool		same;			/* values are keys as they are */
	FmgrInfo	output;			/* else: from value to text, */
	TagrecKeyInput input;		/* from text to key */
	FmgrInfo   *compare;
	MemoryContext scratch;
	int32		next;			/* the row behind the one found last */
} TagrecKeyFinder;

extern void tagrec_key_finder(TagrecKeyFinder *finder, const TagrecMatrix *matrix, Oid from);

/* The row; -1 when there is none. The finder keeps memory of the context it was made in. */
extern int32 tagrec_find_row(TagrecKeyFinder *finder, Datum value);

/* The positions that the ids of an array have in a matrix, ascending, each once; *n of them. NULLs are nobody's. */
extern int32 *tagrec_find_positions(const TagrecMatrix *matrix, ArrayType *ids, int *n);

#endif
