/*
 * tagrec_similar_items(), tagrec_similar_users(): neighbours by angle, or, for a model without arrays to compare, those
 * that it stores.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/search.h"

/* Rows between two looks at the interrupts. */
#define INTERRUPT_ROWS 1024

PG_FUNCTION_INFO_V1(tagrec_similar_items);
PG_FUNCTION_INFO_V1(tagrec_similar_users);

static bool
by_angle(const TagrecVersion *version)
{
	return version->unit_width > 0;
}

/* Without arrays to compare, the features must be of the kind asked for. */
static void
check_comparable(const TagrecVersion *version, TrFeatures kind, const char *other)
{
	if (by_angle(version) || (version->features & kind))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" does not support similarity queries", version->model),
			 version->features & (TR_FEATURES_ITEMS | TR_FEATURES_USERS)
			 ? errdetail("Its algorithm, %s, stores only neighbours of %s.", version->algorithm, other)
			 : errdetail("Its algorithm, %s, has neither embeddings nor neighbours.", version->algorithm)));
}

/* Ends the call. */
static void
similar(FunctionCallInfo fcinfo, TagrecCall *call, TagrecMatrix *matrix, const float *query, int32 itself, int n)
{
	TagrecSearch search = {.matrix = matrix, .query = query, .skip = &itself, .n_skip = itself >= 0, .n = n};
	TrTopN		top;

	top = tagrec_search(&search);
	tagrec_return_ranking(fcinfo, call, matrix, &top, TEXTOID);
}

static TrTopN
room_for(int n)
{
	TrTopN		top;

	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(TrScored)), n);
	return top;
}

/* The items whose weights make up the item's score, the strongest first: at most n. Ends the call. */
static void
strongest_items(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *items, int32 item, int n)
{
	const TagrecNeighbours *neighbours = tagrec_call_neighbours(call);
	TrTopN		top = room_for(Min(n, items->rows));
	float		weight;

	for (int32 other = 0; other < items->rows; other++)
	{
		if (other % INTERRUPT_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (other != item && tagrec_neighbours_weight(neighbours, other, item, &weight))
			tr_topn_offer(&top, weight, other);
	}
	tr_topn_sort(&top);
	tagrec_return_ranking(fcinfo, call, items, &top, TEXTOID);
}

/* The same for a user: their features, of which users are the last ones. */
static void
strongest_users(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *users, const TrSparse *features, int32 user,
				int n)
{
	int64		first = tagrec_feature_count(call->version) - users->rows;
	TrTopN		top = room_for(Min(n, features->n));

	for (int32 f = 0; f < features->n; f++)
		if (features->index[f] >= first && features->index[f] - first != user)
			tr_topn_offer(&top, features->value[f], (int32) (features->index[f] - first));
	tr_topn_sort(&top);
	tagrec_return_ranking(fcinfo, call, users, &top, TEXTOID);
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
	check_comparable(call->version, TR_FEATURES_ITEMS, "users");
	if (tagrec_id_argument(fcinfo, 1, &id) && tagrec_find_item(call, &id, &item))
	{
		TagrecMatrix *items = tagrec_call_items(call);

		if (by_angle(call->version))
			similar(fcinfo, call, items, item.embedding, item.position, n);
		else
			strongest_items(fcinfo, call, items, item.position, n);
	}
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
	check_comparable(call->version, TR_FEATURES_USERS, "items");
	if (tagrec_id_argument(fcinfo, 1, &id) && tagrec_find_user(call, &id, &user))
	{
		TagrecMatrix *users = tagrec_call_users(call);
		int32		itself = tagrec_matrix_find(users, tagrec_id_as(&id, users->key_type));

		if (by_angle(call->version))
			similar(fcinfo, call, users, user.embedding, itself, n);
		else
			strongest_users(fcinfo, call, users, &user.sparse, itself, n);
	}
	else
		tagrec_call_end(call);
	return (Datum) 0;
}
