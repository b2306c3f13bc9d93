/*
 * Ids in an argument, and finding the rows that they name. See ids.h.
 */
#include "pg/serve/ids.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/ascending.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(tagrec_ids_in);
PG_FUNCTION_INFO_V1(tagrec_ids_out);
PG_FUNCTION_INFO_V1(tagrec_ids);

/* ------------------------------------------------------------------ the type */

/* No array has elements of this type. */
#define ALL_TYPE VOIDOID

static bool
is_all(const char *text)
{
	while (scanner_isspace(*text))
		text++;
	if (strncmp(text, "all", 3) != 0)
		return false;
	for (text += 3; scanner_isspace(*text);)
		text++;
	return *text == '\0';
}

Datum
tagrec_ids_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);

	if (is_all(text))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(ALL_TYPE));
	return OidInputFunctionCall(F_ARRAY_IN, text, TEXTOID, -1);
}

Datum
tagrec_ids_out(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);

	if (ARR_ELEMTYPE(array) == ALL_TYPE)
		PG_RETURN_CSTRING(pstrdup("all"));
	PG_RETURN_CSTRING(OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(array)));
}

/* Do values of the type mean the same for ever? What a row is made of, for example, can be altered. */
static bool
is_plain(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case UUIDOID:
		case OIDOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case BYTEAOID:
		case INETOID:
			return true;
	}
	return false;
}

static ArrayType *
texts_of(ArrayType *array)
{
	bool	   *nulls;
	int			n;
	Datum	   *values = tagrec_ids_values(array, &nulls, &n);
	int			first = 1;

	for (int i = 0; i < n; i++)
	{
		TagrecId	id = {ARR_ELEMTYPE(array), values[i]};

		CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			values[i] = CStringGetTextDatum(tagrec_id_text(&id));
	}
	if (n == 0)
		return construct_empty_array(TEXTOID);
	return construct_md_array(values, nulls, 1, &n, &first, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * The cast of arrays. An array may be stored, and then be read after its type was altered or dropped, which knows nothing
 * of columns of the type tagrec_ids: so ids of a type that a user has made become text.
 */
Datum
tagrec_ids(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Oid			base = getBaseType(ARR_ELEMTYPE(array));

	if (!is_plain(base))
		array = texts_of(array);
	else if (base != ARR_ELEMTYPE(array))
	{
		array = PG_GETARG_ARRAYTYPE_P_COPY(0);
		ARR_ELEMTYPE(array) = base;
	}
	PG_RETURN_ARRAYTYPE_P(array);
}

ArrayType *
tagrec_ids_argument(FunctionCallInfo fcinfo, int n, bool *all)
{
	ArrayType  *array;

	*all = false;
	if (PG_ARGISNULL(n))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(n);
	*all = ARR_ELEMTYPE(array) == ALL_TYPE;
	return ARR_NDIM(array) == 0 ? NULL : array;
}

ArrayType *
tagrec_some_ids_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	bool		all;
	ArrayType  *ids = tagrec_ids_argument(fcinfo, n, &all);

	if (all)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of ids, not all of them", name)));
	return ids;
}

Datum *
tagrec_ids_values(ArrayType *array, bool **nulls, int *n)
{
	Datum	   *values;
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &values, nulls, n);
	return values;
}

/* ------------------------------------------------------------------ finding rows */

void
tagrec_key_finder(TagrecKeyFinder *finder, const TagrecMatrix *matrix, Oid from)
{
	memset(finder, 0, sizeof(*finder));
	finder->matrix = matrix;
	finder->from = getBaseType(from);
	finder->integers = tagrec_is_integer(finder->from) && tagrec_is_integer(matrix->key_type);
	if (finder->integers)
		return;
	finder->compare = &lookup_type_cache(matrix->key_type, TYPECACHE_CMP_PROC_FINFO)->cmp_proc_finfo;
	finder->same = IsBinaryCoercible(finder->from, matrix->key_type);
	finder->scratch = AllocSetContextCreate(CurrentMemoryContext, "tagrec ids", ALLOCSET_DEFAULT_SIZES);
	if (finder->same)
		return;
	tagrec_key_output(finder->from, &finder->output, CurrentMemoryContext);
	tagrec_key_input(&finder->input, matrix->key_type);
}

bool
tagrec_finds_the_same(const TagrecKeyFinder *finder)
{
	return finder->integers || finder->same ||
		(func_volatile(finder->output.fn_oid) == PROVOLATILE_IMMUTABLE &&
		 func_volatile(finder->input.function.fn_oid) == PROVOLATILE_IMMUTABLE);
}

/* A key that is looked for: a number, or a value of the matrix's type */
typedef struct Sought
{
	int64		number;
	Datum		key;
} Sought;

/* < 0: before the row */
static inline int
order_of(const TagrecKeyFinder *finder, const Sought *sought, int32 row)
{
	const TagrecMatrix *m = finder->matrix;
	Datum		key = tagrec_matrix_key(m, row);

	if (finder->integers)
	{
		int64		number = tagrec_integer_of(key, m->key_type);

		return (sought->number > number) - (sought->number < number);
	}
	return DatumGetInt32(FunctionCall2Coll(finder->compare, m->collation, sought->key, key));
}

/* The rows low .. high where the key can be: keys in order are found a few rows behind the one before. */
static bool
enclose(const TagrecKeyFinder *finder, const Sought *sought, int32 *low, int32 *high)
{
	int32		rows = finder->matrix->rows;
	int64		at = finder->next;
	int64		step = 1;

	*low = 0;
	*high = rows - 1;
	while (at < rows)
	{
		int			order = order_of(finder, sought, (int32) at);

		if (order <= 0)
		{
			*high = (int32) at - (order < 0);
			if (order == 0)
				*low = (int32) at;
			return order == 0;
		}
		*low = (int32) at + 1;
		at += step;
		step *= 2;
	}
	return false;
}

static int32
find(TagrecKeyFinder *finder, const Sought *sought)
{
	int32		low;
	int32		high;

	if (enclose(finder, sought, &low, &high))
		return low;
	while (low <= high)
	{
		int32		middle = low + (high - low) / 2;
		int			order = order_of(finder, sought, middle);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

static char *
text_of(TagrecKeyFinder *finder, Datum value)
{
	TagrecId	id = {finder->from, value};

	return finder->from == BPCHAROID ? tagrec_id_text(&id) : OutputFunctionCall(&finder->output, value);
}

int32
tagrec_find_row(TagrecKeyFinder *finder, Datum value)
{
	Sought		sought = {0};
	int32		row;

	if (finder->integers)
	{
		sought.number = tagrec_integer_of(value, finder->from);
		row = find(finder, &sought);
	}
	else
	{
		MemoryContext before = MemoryContextSwitchTo(finder->scratch);

		sought.key = finder->same ? value : tagrec_key_read(&finder->input, text_of(finder, value));
		row = find(finder, &sought);
		MemoryContextSwitchTo(before);
		MemoryContextReset(finder->scratch);
	}
	if (row >= 0)
		finder->next = row + 1;
	return row;
}

int32 *
tagrec_find_positions(const TagrecMatrix *matrix, ArrayType *ids, int *n)
{
	TagrecKeyFinder finder;
	bool	   *nulls;
	Datum	   *values = tagrec_ids_values(ids, &nulls, n);
	int32	   *position = MemoryContextAllocHuge(CurrentMemoryContext, Max(*n, 1) * sizeof(int32));
	int			found = 0;

	tagrec_key_finder(&finder, matrix, ARR_ELEMTYPE(ids));
	for (int i = 0; i < *n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		position[found] = tagrec_find_row(&finder, values[i]);
		if (position[found] >= 0)
			found++;
	}
	/* the matrix is then read from front to back; each row comes once, however often it was named */
	*n = tr_sort_distinct(position, found);
	return position;
}
