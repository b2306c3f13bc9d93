/*
 * Ids that an argument holds, and the rows of a matrix that they are the keys of.
 *
 * The SQL type tagrec_ids is an array of one of the system's plain types, as it is; the cast makes text of ids of other
 * types. Its text form is that of text[], or the word all. So one argument takes '{1,2}', ARRAY[1,2], a parameter whose
 * type is left open, and 'all'.
 */
#ifndef TAGREC_IDS_H
#define TAGREC_IDS_H

#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "pg/base/id.h"
#include "pg/serve/cache.h"
#include "utils/array.h"

/* Argument n. Its array; NULL when the argument is, or when it is all, which *all says, or when the array is empty. */
extern ArrayType *tagrec_ids_argument(FunctionCallInfo fcinfo, int n, bool *all);

/* The same where all is an ERROR. */
extern ArrayType *tagrec_some_ids_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* The ids, n of them, and their type. */
extern Datum *tagrec_ids_values(ArrayType *array, bool **nulls, int *n);

static inline bool
tagrec_is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static inline int64
tagrec_integer_of(Datum value, Oid type)
{
	return type == INT8OID ? DatumGetInt64(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

/* False when the number is out of the type's range. */
static inline bool
tagrec_integer_as(int64 number, Oid type, Datum *value)
{
	int64		most = type == INT8OID ? PG_INT64_MAX : type == INT4OID ? PG_INT32_MAX : PG_INT16_MAX;

	*value = type == INT8OID ? Int64GetDatum(number) : type == INT4OID ? Int32GetDatum((int32) number)
		: Int16GetDatum((int16) number);
	return number <= most && number >= -most - 1;
}

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

/* Do the same values name the same rows whatever the session's settings are? Reading a date depends on them. */
extern bool tagrec_finds_the_same(const TagrecKeyFinder *finder);

/* The row; -1 when there is none. The finder keeps memory of the context it was made in. */
extern int32 tagrec_find_row(TagrecKeyFinder *finder, Datum value);

/*
 * The set of rows that the ids of an array name. from: what the matrix was read from. Not to be changed: arrays of some
 * length that are asked for again are remembered, with their sets, so that page after page by the same filter costs next to
 * nothing.
 */
extern const uint64 *tagrec_id_set(const TagrecMatrix *matrix, const TagrecStored *from, ArrayType *ids);

/* The positions that the ids of an array have in a matrix, ascending, each once; *n of them. NULLs are nobody's. */
extern int32 *tagrec_find_positions(const TagrecMatrix *matrix, ArrayType *ids, int *n);

#endif
