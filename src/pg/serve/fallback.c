/*
 * The popular items. See fallback.h.
 */
#include "pg/serve/fallback.h"

#include "utils/builtins.h"

bool
tagrec_fallback_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *fallback;

	tagrec_check_arguments(fcinfo, n + 1);
	if (PG_ARGISNULL(n))
		return false;
	fallback = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strcmp(fallback, "popularity") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown fallback \"%s\"", fallback),
				 errhint("Use \"popularity\", or NULL for no rows.")));
	return true;
}

void
tagrec_recommend_popular(FunctionCallInfo fcinfo, TagrecCall *call, bool wanted, const TagrecRow *user,
						 const TagrecRules *rules, int n, Oid item_type)
{
	TagrecRanking ranking = {
		.call = call, .rules = rules, .unscored = true, .n = n, .key_type = item_type
	};

	if (!wanted)
	{
		tagrec_call_end(call);
		return;
	}
	if (user)
		ranking.skip = tagrec_row_out(user, true, &ranking.n_skip);
	ranking.matrix = tagrec_call_items(call);
	ranking.listed = tagrec_call_popularity(call);
	ranking.n_listed = ranking.matrix->rows;
	tagrec_rank(fcinfo, &ranking);
}
