/*
 * tagrec_recommend() and tagrec_recommend_as(): the best items for a user.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "pg/serve/fallback.h"
#include "pg/serve/fresh.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_2);
PG_FUNCTION_INFO_V1(tagrec_recommend_as_2);

/* Arguments, as sql/queries.sql declares them; with _as, the type of the items comes before them. */
enum
{
	Arg_model,
	Arg_user,
	Arg_n,
	Arg_exclude_seen,
	Arg_rules,
	Arg_fresh = Arg_rules + TAGREC_RULES_ARGUMENTS,
	Arg_fallback
};

/* The user as he was at training, or as the source has him now. */
static bool
find_user(FunctionCallInfo fcinfo, int argument, TagrecCall *call, bool fresh, TagrecRow *user)
{
	TagrecId	id;

	if (!tagrec_id_argument(fcinfo, argument, &id))
		return false;
	return fresh ? tagrec_fresh_user(call, &id, user) : tagrec_find_user(call, &id, user);
}

static Datum
recommend(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first + Arg_model);
	int			n = tagrec_limit_argument(fcinfo, first + Arg_n);
	bool		exclude_seen = tagrec_flag_argument(fcinfo, first + Arg_exclude_seen, "exclude_seen");
	bool		fresh = tagrec_flag_argument(fcinfo, first + Arg_fresh, "fresh");
	bool		popular = tagrec_fallback_argument(fcinfo, first + Arg_fallback);
	TagrecRules rules;
	TagrecCall *call;
	Oid			item_type;
	TagrecRow	user = {0};

	tagrec_rules_arguments(fcinfo, first + Arg_rules, &rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, rules.version, TAGREC_ASKS_ITEMS);
	item_type = typed ? tagrec_result_type(fcinfo, 0, call, false) : TEXTOID;
	if (find_user(fcinfo, first + Arg_user, call, fresh, &user))
		tagrec_recommend_items(fcinfo, call, user.embedding, &user.sparse, &user, exclude_seen, &rules, n, item_type);
	else
		tagrec_recommend_popular(fcinfo, call, popular, &user, &rules, n, item_type);
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
