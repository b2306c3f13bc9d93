/*
 * tagrec_predict(): the value that a user would give an item. See predict.h.
 */
#include "pg/serve/predict.h"

#include "pg/serve/rules.h"
#include "pg/serve/scorer.h"

PG_FUNCTION_INFO_V1(tagrec_predict);

TagrecPredictor *
tagrec_predictor(TagrecCall *call)
{
	TagrecPredictor *predictor = palloc0(sizeof(TagrecPredictor));

	predictor->call = call;
	predictor->network = tagrec_call_network(call);
	return predictor;
}

static const float *
array_of(TagrecPredictor *predictor, TrSide side, const TagrecRow *row)
{
	TagrecCall *call = predictor->call;

	if (row)
		return row->embedding;
	if (!predictor->unknown[side])
	{
		predictor->unknown[side] = tagrec_padded_vectors(1, call->version->width);
		tagrec_unknown_array(tagrec_served_encoder(call->served, &call->tables), side, predictor->unknown[side]);
	}
	return predictor->unknown[side];
}

/* A version without a range, or one that was tampered with, leaves the value as it is. */
static float
clip(const TagrecVersion *version, float value)
{
	TrValueRange range = {.least = version->value_least, .most = version->value_most};

	return tr_clip(&range, value);
}

float
tagrec_predict_rows(TagrecPredictor *predictor, const TagrecRow *user, const TagrecRow *item)
{
	TagrecCall *call = predictor->call;
	float		value = tagrec_score_arrays(predictor->network, array_of(predictor, TR_USER, user),
											array_of(predictor, TR_ITEM, item), call->version->width);

	if (call->version->features && user && item)
		value += tagrec_neighbours_pair(tagrec_call_neighbours(call), &user->sparse, item->position);
	return clip(call->version, value);
}

Datum
tagrec_predict(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	TagrecCall *call = tagrec_call_begin_at(model, tagrec_version_argument(fcinfo, 3), TAGREC_ASKS_VALUES);
	TagrecId	user_id;
	TagrecId	item_id;
	TagrecRow	user;
	TagrecRow	item;
	bool		given = tagrec_id_argument(fcinfo, 1, &user_id) && tagrec_id_argument(fcinfo, 2, &item_id);
	float		value = 0;

	if (given)
	{
		bool		knows_user = tagrec_find_user(call, &user_id, &user);
		bool		knows_item = tagrec_find_item(call, &item_id, &item);

		value = tagrec_predict_rows(tagrec_predictor(call), knows_user ? &user : NULL, knows_item ? &item : NULL);
	}
	tagrec_call_end(call);
	if (!given)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(value);
}
