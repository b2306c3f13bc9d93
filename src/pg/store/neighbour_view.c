/*
 * Functions used by the view of neighbours.
 *
 * tagrec_neighbour_entries() unnests a row's items and weights. It does no more than unnest() would, but says how many rows
 * are to be expected, without which the planner sorts millions of them.
 *
 * tagrec_ascending_has() repeats a condition of the view's join, so that a look-up of one item skips the rows without it
 * before they are unnested. When all rows are read the question comes for each of their elements, one row after another, so
 * an array that was fetched from its TOAST table stays until another one comes.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_neighbour_entries);
PG_FUNCTION_INFO_V1(tagrec_ascending_has);

static int
length(const ArrayType *array)
{
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

Datum
tagrec_neighbour_entries(PG_FUNCTION_ARGS)
{
	ArrayType  *items = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *weights = PG_GETARG_ARRAYTYPE_P(1);
	const int32 *item = (const int32 *) ARR_DATA_PTR(items);
	const float4 *weight = (const float4 *) ARR_DATA_PTR(weights);
	int			n = Min(length(items), length(weights));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (ARR_HASNULL(items) || ARR_HASNULL(weights))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored neighbours are corrupted"),
				 errhint("Rows of a version must not be changed. Train the model again.")));
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		Datum		values[2] = {Int32GetDatum(item[i]), Float4GetDatum(weight[i])};
		bool		nulls[2] = {false, false};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

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
	int			n = length(array);
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
