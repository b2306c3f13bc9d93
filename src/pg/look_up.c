/*
 * Looking many keys up. See look_up.h.
 */
#include "look_up.h"

#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define Col_n 1					/* place in the array of keys, from 1 */

void
tagrec_look_up_prepare(TagrecLookUp *look_up, const TagrecKeys *keys, const TagrecStored *source, const char *key_column,
					   int32 version, const char *columns)
{
	Oid			input;
	Oid			array = get_array_type(source->key_type);
	char	   *query = psprintf("SELECT k.n, %s FROM pg_catalog.unnest($1) WITH ORDINALITY AS k (key, n)"
								 " JOIN %s AS r ON r.%s %s k.key WHERE r.version OPERATOR(pg_catalog.=) %d", columns,
								 source->name, key_column, tagrec_equality_operator(source->key_type), version);

	look_up->scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec keys", ALLOCSET_DEFAULT_SIZES);
	look_up->keys = keys;
	look_up->relation = source->name;
	look_up->type = source->key_type;
	getTypeInputInfo(source->key_type, &input, &look_up->ioparam);
	fmgr_info(input, &look_up->input);
	get_typlenbyvalalign(source->key_type, &look_up->length, &look_up->by_value, &look_up->align);
	look_up->plan = SPI_prepare(query, 1, &array);
	if (!look_up->plan)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
}

uint64
tagrec_look_up_keys(TagrecLookUp *look_up, const int32 *which, int32 first, int32 n)
{
	MemoryContext before = MemoryContextSwitchTo(look_up->scratch);
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	Datum		array;
	int			rc;

	CHECK_FOR_INTERRUPTS();
	for (int32 i = 0; i < n; i++)
		values[i] = InputFunctionCall(&look_up->input, look_up->keys->text[which ? which[i] : first + i],
									  look_up->ioparam, -1);
	array = PointerGetDatum(construct_array(values, n, look_up->type, look_up->length, look_up->by_value,
											look_up->align));
	rc = SPI_execute_plan(look_up->plan, &array, NULL, true, 0);
	MemoryContextSwitchTo(before);
	MemoryContextReset(look_up->scratch);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not look up keys: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

Datum
tagrec_look_up_column(const TagrecLookUp *look_up, uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("relation %s has a null %s", look_up->relation, SPI_fname(SPI_tuptable->tupdesc, column))));
	return value;
}

int32
tagrec_look_up_place(uint64 row)
{
	bool		isnull;

	return (int32) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, Col_n, &isnull)) - 1;
}
