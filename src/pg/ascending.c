/*
 * tagrec_ascending_has(): whether an ascending array of integers, such as the items of a row of neighbours, has a number.
 *
 * The view of neighbours asks it what its join would find out anyway, so that a look-up of one item passes over the rows
 * without it before they are unnested. When all rows are read the question comes for each of their elements, one row after
 * another, so an array that was fetched from its TOAST table stays until another one comes.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(tagrec_ascending_has);

/* The array fetched last, and the pointer that it was fetched by. */
typedef struct Fetched
{
	varatt_external pointer;
	ArrayType  *array;			/* NULL = none yet */
} Fetched;

static ArrayType *
fetch(FunctionCallInfo fcinfo, struct varlena *datum)
{
	Fetched    *fetched = fcinfo->flinfo->fn_extra;
	varatt_external pointer;
	MemoryContext before;

	VARATT_EXTERNAL_GET_POINTER(pointer, datum);
	if (!fetched)
		fcinfo->flinfo->fn_extra = fetched = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Fetched));
	if (fetched->array && memcmp(&fetched->pointer, &pointer, sizeof(pointer)) == 0)
		return fetched->array;
	if (fetched->array)
		pfree(fetched->array);
	fetched->array = NULL;
	before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	fetched->array = (ArrayType *) PG_DETOAST_DATUM_COPY(PointerGetDatum(datum));
	MemoryContextSwitchTo(before);
	fetched->pointer = pointer;
	return fetched->array;
}

static bool
has(const ArrayType *array, int32 number)
{
	const int32 *value = (const int32 *) ARR_DATA_PTR(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			low = 0;
	int			high = n;

	if (ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT4OID)
		return true;			/* not what was stored: the join decides */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (value[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && value[low] == number;
}

Datum
tagrec_ascending_has(PG_FUNCTION_ARGS)
{
	struct varlena *datum = (struct varlena *) PG_GETARG_POINTER(0);
	ArrayType  *array;
	bool		found;

	if (VARATT_IS_EXTERNAL_ONDISK(datum))
		PG_RETURN_BOOL(has(fetch(fcinfo, datum), PG_GETARG_INT32(1)));
	array = PG_GETARG_ARRAYTYPE_P(0);
	found = has(array, PG_GETARG_INT32(1));
	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_BOOL(found);
}
