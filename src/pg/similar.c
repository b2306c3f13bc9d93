/*
 * tagrec_similar_items(), tagrec_similar_users(): neighbours by angle. tagrec_score(): one pair.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "score.h"

PG_FUNCTION_INFO_V1(tagrec_similar_items);
PG_FUNCTION_INFO_V1(tagrec_similar_users);
PG_FUNCTION_INFO_V1(tagrec_score);

static void
check_comparable(const TagrecVersion *version)
{
	if (version->unit_width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has nothing to compare by", version->model),
				 errdetail("Its algorithm, %s, places neither users nor items in a space.", version->algorithm)));
}

/* Ends the call. */
static void
similar(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *matrix, const float *query, int32 itself, int n)
{
	TagrecRow	alone = {.n_seen = itself >= 0 ? 1 : 0, .seen = &itself};
	TagrecSearch search = {.matrix = matrix, .query = query, .cosine = true, .n = n};
	TrTopN		top;

	search.skip = tagrec_seen_set(&alone, matrix->rows);
	top = tagrec_search(&search);
	tagrec_return_ranking(fcinfo, call, matrix, &top, TEXTOID);
}

Datum
tagrec_similar_items(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 2);
	TagrecId	id;
	TagrecRow	item;
	TagrecCall *call;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_for(model, TAGREC_ASKS_ANY);
	check_comparable(call->version);
	if (tagrec_id_argument(fcinfo, 1, &id) && tagrec_find_item(call, &id, &item))
		similar(fcinfo, call, tagrec_served_items(call->served, call->version), item.embedding, item.position, n);
	else
		tagrec_call_end(call);
	return (Datum) 0;
}

Datum
tagrec_similar_users(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 2);
	TagrecId	id;
	TagrecRow	user;
	TagrecCall *call;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_for(model, TAGREC_ASKS_ANY);
	check_comparable(call->version);
	if (tagrec_id_argument(fcinfo, 1, &id) && tagrec_find_user(call, &id, &user))
	{
		const TagrecMatrix *users = tagrec_served_users(call->served, call->version);
		int32		itself = tagrec_matrix_find(users, tagrec_id_as(&id, users->key_type));

		similar(fcinfo, call, users, user.embedding, itself, n);
	}
	else
		tagrec_call_end(call);
	return (Datum) 0;
}

Datum
tagrec_score(PG_FUNCTION_ARGS)
{
	TagrecCall *call = tagrec_call_begin(tagrec_model_argument(fcinfo, 0));
	TagrecId	user_id;
	TagrecId	item_id;
	TagrecRow	user;
	TagrecRow	item;
	bool		known = tagrec_id_argument(fcinfo, 1, &user_id) && tagrec_id_argument(fcinfo, 2, &item_id) &&
		tagrec_find_user(call, &user_id, &user) && tagrec_find_item(call, &item_id, &item);
	float		score = known ? tr_dot(user.embedding, item.embedding, tr_dot_stride(call->version->width)) : 0;

	tagrec_call_end(call);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(score);
}
