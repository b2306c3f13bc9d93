/*
 * tagrec_recommend() and tagrec_recommend_as(): the best items for a user.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "parser/parse_coerce.h"
#include "pg/serve/search.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_recommend);
PG_FUNCTION_INFO_V1(tagrec_recommend_as);

/* Arguments from `first` on: model, user_id, n, exclude_seen, candidates. */
static void
recommend(FunctionCallInfo fcinfo, int first, TagrecCall *call, Oid item_type)
{
	int			n = tagrec_limit_argument(fcinfo, first + 2);
	bool		exclude_seen = tagrec_flag_argument(fcinfo, first + 3, "exclude_seen");
	ArrayType  *candidates = PG_ARGISNULL(first + 4) ? NULL : PG_GETARG_ARRAYTYPE_P(first + 4);
	TagrecId	id;
	TagrecRow	user;

	if (tagrec_id_argument(fcinfo, first + 1, &id) && tagrec_find_user(call, &id, &user))
		tagrec_recommend_items(fcinfo, call, user.embedding, &user.sparse, exclude_seen ? &user : NULL, candidates, n,
							   item_type);
	else
		tagrec_call_end(call);
}

Datum
tagrec_recommend(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	recommend(fcinfo, 0, tagrec_call_begin(model), TEXTOID);
	return (Datum) 0;
}

/* A key becomes what an assignment to a column of that type would make of it; anything else is a mistake. */
static void
check_item_type(const TagrecCall *call, Oid asked)
{
	Oid			stored = call->tables.items->key_type;
	Oid			function;

	if (find_coercion_pathway(asked, stored, COERCION_ASSIGNMENT, &function) == COERCION_PATH_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("item ids of model \"%s\" are of type %s, not %s", call->version->model,
						format_type_be(stored), format_type_be(asked)),
				 errhint("Use tagrec_recommend_as(NULL::%s, ...), or tagrec_recommend() for ids as text.",
						 format_type_be(stored))));
}

Datum
tagrec_recommend_as(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 1);
	Oid			item_type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	TagrecCall *call;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin(model);
	check_item_type(call, item_type);
	recommend(fcinfo, 1, call, item_type);
	return (Datum) 0;
}
