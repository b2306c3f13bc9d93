/*
 * tagrec_score(): the score of one pair.
 */
#include "postgres.h"

#include "pg/serve/fresh.h"
#include "pg/serve/rules.h"
#include "pg/serve/scorer.h"

PG_FUNCTION_INFO_V1(tagrec_score_2);

/* From the two rows alone: no matrix is read for one pair. */
static float
score_rows(TagrecCall *call, const TagrecRow *user, const TagrecRow *item)
{
	float		score = tagrec_score_arrays(tagrec_call_network(call), user->embedding, item->embedding,
											call->version->width);

	if (call->version->features)
		score += tagrec_neighbours_pair(tagrec_call_neighbours(call), &user->sparse, item->position);
	return score - tagrec_caution(call->version, item->posts);
}

Datum
tagrec_score_2(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	TagrecCall *call = tagrec_call_begin_at(model, tagrec_version_argument(fcinfo, 3), TAGREC_ASKS_ITEMS);
	TagrecId	user_id;
	TagrecId	item_id;
	TagrecRow	user;
	TagrecRow	item;
	bool		fresh = tagrec_flag_argument(fcinfo, 4, "fresh");
	bool		known = tagrec_id_argument(fcinfo, 1, &user_id) && tagrec_id_argument(fcinfo, 2, &item_id) &&
		(fresh ? tagrec_fresh_user(call, &user_id, &user) : tagrec_find_user(call, &user_id, &user)) &&
		tagrec_find_item(call, &item_id, &item);
	float		score = known ? score_rows(call, &user, &item) : 0;

	tagrec_call_end(call);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(score);
}
