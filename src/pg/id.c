/*
 * Ids of users and items. See id.h.
 */
#include "id.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
				 errhint("Cast it, for example to text.")));
	id->value = PG_GETARG_DATUM(n);
	return true;
}

char *
tagrec_id_text(const TagrecId *id)
{
	Oid			output;
	bool		is_varlena;

	/* a literal beside an argument of a known type: ('m', 'bob', 42) */
	if (id->type == UNKNOWNOID)
		return DatumGetCString(id->value);
	getTypeOutputInfo(id->type, &output, &is_varlena);
	return OidOutputFunctionCall(output, id->value);
}

static Datum
text_as(const char *text, Oid type)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(type, &input, &parameter);
	return OidInputFunctionCall(input, unconstify(char *, text), parameter, -1);
}

Datum
tagrec_id_as(const TagrecId *id, Oid type)
{
	return id->type == type ? id->value : text_as(tagrec_id_text(id), type);
}

ArrayType *
tagrec_ids_as(ArrayType *ids, Oid type)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int16		length;
	bool		by_value;
	char		align;

	deconstruct_array(ids, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("candidates must not contain null")));
		values[i] = text_as(TextDatumGetCString(values[i]), type);
	}
	get_typlenbyvalalign(type, &length, &by_value, &align);
	return construct_array(values, n, type, length, by_value, align);
}

void
tagrec_key_output(Oid type, FmgrInfo *output)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(type, &function, &is_varlena);
	fmgr_info(function, output);
}

text *
tagrec_key_text(FmgrInfo *output, Datum key)
{
	return cstring_to_text(OutputFunctionCall(output, key));
}
