/*
 * Ids of users and items. See id.h.
 */
#include "pg/base/id.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

bool
tagrec_id_argument(FunctionCallInfo fcinfo, int n, TagrecId *id)
{
	if (PG_ARGISNULL(n))
		return false;
	id->type = get_fn_expr_argtype(fcinfo->flinfo, n);
	if (!OidIsValid(id->type))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of the id in argument %d", n + 1),
				 errhint("Add an explicit cast, for example to text.")));
	id->value = PG_GETARG_DATUM(n);
	return true;
}

char *
tagrec_id_text(const TagrecId *id)
{
	Oid			output;
	bool		is_varlena;

	/* a literal next to an argument of known type: ('m', 'bob', 42) */
	if (id->type == UNKNOWNOID)
		return DatumGetCString(id->value);
	/* the spaces at its end do not count */
	if (getBaseType(id->type) == BPCHAROID)
		return TextDatumGetCString(DirectFunctionCall1(rtrim1, id->value));
	getTypeOutputInfo(id->type, &output, &is_varlena);
	return OidOutputFunctionCall(output, id->value);
}

Datum
tagrec_text_as(const char *text, Oid type)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(type, &input, &parameter);
	return OidInputFunctionCall(input, unconstify(char *, text), parameter, -1);
}

Datum
tagrec_id_as(const TagrecId *id, Oid type)
{
	return getBaseType(id->type) == type ? id->value : tagrec_text_as(tagrec_id_text(id), type);
}

/* ------------------------------------------------------------------ types of keys */

static bool runs_c_alone(Oid type);

static bool
is_c_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			language = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
		ReleaseSysCache(tuple);
	}
	return language == INTERNALlanguageId || language == ClanguageId;
}

static bool
range_runs_c_alone(Oid type)
{
	TypeCacheEntry *range = lookup_type_cache(type, TYPECACHE_RANGE_INFO);

	return range->rngelemtype && runs_c_alone(range->rngelemtype->type_id) &&
		(!OidIsValid(range->rng_canonical_finfo.fn_oid) || is_c_function(range->rng_canonical_finfo.fn_oid));
}

static bool
row_runs_c_alone(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	bool		alone = true;

	for (int i = 0; i < desc->natts && alone; i++)
		alone = TupleDescAttr(desc, i)->attisdropped || runs_c_alone(TupleDescAttr(desc, i)->atttypid);
	ReleaseTupleDesc(desc);
	return alone;
}

/* Only superusers can create base types and their functions. */
static bool
runs_c_alone(Oid type)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (OidIsValid(element))
		return runs_c_alone(element);
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
		case TYPTYPE_ENUM:
			return true;
		case TYPTYPE_RANGE:
			return range_runs_c_alone(type);
		case TYPTYPE_MULTIRANGE:
			return range_runs_c_alone(get_multirange_range(type));
		case TYPTYPE_COMPOSITE:
			return row_runs_c_alone(type);
	}
	return false;
}

void
tagrec_check_key_type(Oid type, const char *column)
{
	Oid			base = getBaseType(type);

	if (runs_c_alone(base))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" has type %s, which cannot be a key", column, format_type_be(type)),
			 errdetail("Converting text to this type may execute functions that any user can define."),
			 errhint("Cast the column to text in a view.")));
}

void
tagrec_key_input(TagrecKeyInput *input, Oid type)
{
	Oid			function;

	getTypeInputInfo(getBaseType(type), &function, &input->parameter);
	fmgr_info(function, &input->function);
}

Datum
tagrec_key_read(TagrecKeyInput *input, char *text)
{
	return InputFunctionCall(&input->function, text, input->parameter, -1);
}

void
tagrec_key_output(Oid type, FmgrInfo *output, MemoryContext context)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(type, &function, &is_varlena);
	fmgr_info_cxt(function, output, context);
}

text *
tagrec_key_text(FmgrInfo *output, Datum key)
{
	return cstring_to_text(OutputFunctionCall(output, key));
}
