/*
 * tagrec_similar_items(), tagrec_similar_users(): neighbours by angle, or, for a model without arrays to compare, those
 * that it stores.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/rank.h"

/* Rows between two looks at the interrupts. */
#define INTERRUPT_ROWS 1024

PG_FUNCTION_INFO_V1(tagrec_similar_items_2);
PG_FUNCTION_INFO_V1(tagrec_similar_items_as);
PG_FUNCTION_INFO_V1(tagrec_similar_users_2);
PG_FUNCTION_INFO_V1(tagrec_similar_users_as);

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

/* A query for rows like one: its arguments from `first` on are model, id, n, the rules. */
typedef struct Similar
{
	FunctionCallInfo fcinfo;
	int			first;
	TagrecRules rules;
	TagrecRanking ranking;		/* but for the query */
	int32		itself;			/* the row that others are compared with */
} Similar;

/* Begins the call; the type of the result's keys is said by argument 0 if `typed`. */
static void
begin_similar(Similar *s, FunctionCallInfo fcinfo, bool typed, bool users)
{
	char	   *model = tagrec_model_argument(fcinfo, typed);

	s->fcinfo = fcinfo;
	s->first = typed;
	s->ranking = (TagrecRanking) {
		.rules = &s->rules, .users = users, .n = tagrec_limit_argument(fcinfo, typed + 2), .key_type = TEXTOID
	};
	tagrec_rules_arguments(fcinfo, typed + 3, &s->rules);
	InitMaterializedSRF(fcinfo, 0);
	s->ranking.call = tagrec_call_begin_at(model, s->rules.version, TAGREC_ASKS_ANY);
	if (typed)
		s->ranking.key_type = tagrec_result_type(fcinfo, 0, s->ranking.call, users);
}

static TrScored *
room_for(int n)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(TrScored));
}

/* Ends the call. */
static void
rank_by_angle(Similar *s, const float *query)
{
	s->ranking.query = query;
	s->ranking.skip = &s->itself;
	s->ranking.n_skip = s->itself >= 0;
	tagrec_rank(s->fcinfo, &s->ranking);
}

/* The items whose weights make up the item's score. Ends the call. */
static void
rank_weights(Similar *s)
{
	const TagrecNeighbours *neighbours = tagrec_call_neighbours(s->ranking.call);
	int32		rows = s->ranking.matrix->rows;
	TrScored   *listed = room_for(rows);
	float		weight;

	for (int32 other = 0; other < rows; other++)
	{
		if (other % INTERRUPT_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (other != s->itself && tagrec_neighbours_weight(neighbours, other, s->itself, &weight))
			listed[s->ranking.n_listed++] = (TrScored) {weight, other};
	}
	s->ranking.listed = listed;
	tagrec_rank(s->fcinfo, &s->ranking);
}

/* The same for a user: their features, of which users are the last ones. */
static void
rank_features(Similar *s, const TrSparse *features)
{
	int64		first = tagrec_feature_count(s->ranking.call->version) - s->ranking.matrix->rows;
	TrScored   *listed = room_for(features->n);

	for (int32 f = 0; f < features->n; f++)
		if (features->index[f] >= first && features->index[f] - first != s->itself)
			listed[s->ranking.n_listed++] = (TrScored) {features->value[f], (int32) (features->index[f] - first)};
	s->ranking.listed = listed;
	tagrec_rank(s->fcinfo, &s->ranking);
}

static Datum
similar_items(FunctionCallInfo fcinfo, bool typed)
{
	Similar		s;
	TagrecId	id;
	TagrecRow	item;
	TagrecCall *call;

	begin_similar(&s, fcinfo, typed, false);
	call = s.ranking.call;
	check_comparable(call->version, TR_FEATURES_ITEMS, "users");
	if (!tagrec_id_argument(fcinfo, s.first + 1, &id) || !tagrec_find_item(call, &id, &item))
	{
		tagrec_call_end(call);
		return (Datum) 0;
	}
	s.ranking.matrix = tagrec_call_items(call);
	s.itself = item.position;
	if (by_angle(call->version))
		rank_by_angle(&s, item.embedding);
	else
		rank_weights(&s);
	return (Datum) 0;
}

static Datum
similar_users(FunctionCallInfo fcinfo, bool typed)
{
	Similar		s;
	TagrecId	id;
	TagrecRow	user;
	TagrecCall *call;

	begin_similar(&s, fcinfo, typed, true);
	call = s.ranking.call;
	check_comparable(call->version, TR_FEATURES_USERS, "items");
	if (!tagrec_id_argument(fcinfo, s.first + 1, &id) || !tagrec_find_user(call, &id, &user))
	{
		tagrec_call_end(call);
		return (Datum) 0;
	}
	s.ranking.matrix = tagrec_call_users(call);
	s.itself = tagrec_matrix_find(s.ranking.matrix, tagrec_id_as(&id, s.ranking.matrix->key_type));
	if (by_angle(call->version))
		rank_by_angle(&s, user.embedding);
	else
		rank_features(&s, &user.sparse);
	return (Datum) 0;
}

Datum
tagrec_similar_items_2(PG_FUNCTION_ARGS)
{
	return similar_items(fcinfo, false);
}

Datum
tagrec_similar_items_as(PG_FUNCTION_ARGS)
{
	return similar_items(fcinfo, true);
}

Datum
tagrec_similar_users_2(PG_FUNCTION_ARGS)
{
	return similar_users(fcinfo, false);
}

Datum
tagrec_similar_users_as(PG_FUNCTION_ARGS)
{
	return similar_users(fcinfo, true);
}
