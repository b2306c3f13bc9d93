/*
 * tagrec_recommend() and tagrec_recommend_as(): the best items for a user.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "pg/serve/rank.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_2);
PG_FUNCTION_INFO_V1(tagrec_recommend_as_2);

/* Arguments, as sql/queries.sql declares them; with _as, the type of the items comes before them. */
enum
{
	Arg_model,
	Arg_user,
	Arg_n,
	Arg_exclude_seen,
	Arg_rules
};

static Datum
recommend(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first + Arg_model);
	int			n = tagrec_limit_argument(fcinfo, first + Arg_n);
	bool		exclude_seen = tagrec_flag_argument(fcinfo, first + Arg_exclude_seen, "exclude_seen");
	TagrecRules rules;
	TagrecCall *call;
	Oid			item_type;
	TagrecId	id;
	TagrecRow	user;

	tagrec_rules_arguments(fcinfo, first + Arg_rules, &rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, rules.version, TAGREC_ASKS_ITEMS);
	item_type = typed ? tagrec_result_type(fcinfo, 0, call, false) : TEXTOID;
	if (tagrec_id_argument(fcinfo, first + Arg_user, &id) && tagrec_find_user(call, &id, &user))
		tagrec_recommend_items(fcinfo, call, user.embedding, &user.sparse, exclude_seen ? &user : NULL, &rules, n, item_type);
	else
		tagrec_call_end(call);
	return (Datum) 0;
}

Datum
tagrec_recommend_2(PG_FUNCTION_ARGS)
{
	return recommend(fcinfo, 0, false);
}

Datum
tagrec_recommend_as_2(PG_FUNCTION_ARGS)
{
	return recommend(fcinfo, 1, true);
}
