/*
 * tagrec_explain_items(): which of a user's items a score comes from. What an item contributes is its term of the score,
 * where the score is a sum over the user's items: by the weights between items, or as the algorithm says (contributions()
 * in core/model.h). What is left over is a row of its own, without an item, so that the rows add up to the score.
 */
#include "postgres.h"

#include "core/ascending.h"
#include "core/topn.h"
#include "funcapi.h"
#include "pg/base/options.h"
#include "pg/serve/fresh.h"
#include "pg/serve/rules.h"
#include "pg/serve/scorer.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_explain_items);

/* Arguments, as sql/newcomers.sql declares them. */
enum
{
	Arg_model,
	Arg_user,
	Arg_item,
	Arg_n,
	Arg_version,
	Arg_fresh
};

static void
check_explainable(const TagrecVersion *version)
{
	if ((version->features & TR_FEATURES_ITEMS) || tagrec_algorithm(version->algorithm)->contributions)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("scores of model \"%s\" are not sums over the items of a user", version->model),
			 errdetail("Its algorithm is %s.", version->algorithm),
			 tagrec_wants_tags(version) ? errhint("Use tagrec_explain() to see which tags they depend on.") : 0));
}

static float
score_of(TagrecCall *call, const TagrecRow *user, const TagrecRow *item)
{
	float		score = tagrec_score_arrays(tagrec_call_network(call), user->embedding, item->embedding,
											call->version->width);

	return call->version->features
		? score + tagrec_neighbours_pair(tagrec_call_neighbours(call), &user->sparse, item->position) : score;
}

/* contribution (n_seen) += the terms of features that stand for items; these come first */
static void
add_weights(TagrecCall *call, const TagrecRow *user, int32 item, float *contribution)
{
	const TagrecNeighbours *neighbours = tagrec_call_neighbours(call);

	for (int32 f = 0; f < user->sparse.n && user->sparse.index[f] < call->version->items; f++)
	{
		int			i = tr_find_ascending(user->seen, user->n_seen, user->sparse.index[f]);
		float		weight;

		if (i >= 0 && tagrec_neighbours_weight(neighbours, user->sparse.index[f], item, &weight))
			contribution[i] += user->sparse.value[f] * weight;
	}
}

/* contribution (n_seen) += what the algorithm says */
static void
add_terms(TagrecCall *call, const TagrecRow *user, int32 item, float *contribution)
{
	TrCatalogue catalogue = tagrec_catalogue(call);
	float	   *ones = palloc(Max(user->n_seen, 1) * sizeof(float));
	float	   *term = palloc(Max(user->n_seen, 1) * sizeof(float));
	TrHistory	history = {
		.items = {user->n_seen, user->seen, ones},
		.tags = {user->n_tags, user->tag, user->count}
	};

	for (int i = 0; i < user->n_seen; i++)
		ones[i] = 1;
	tagrec_contributions(tagrec_call_folder(call), &history, &catalogue, item, term);
	for (int i = 0; i < user->n_seen; i++)
		contribution[i] += term[i];
}

static void
return_row(ReturnSetInfo *result, int rank, text *item, float contribution)
{
	Datum		values[3] = {Int32GetDatum(rank), PointerGetDatum(item), Float4GetDatum(contribution)};
	bool		nulls[3] = {rank == 0, item == NULL, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The n largest contributions, and all the rest of the score. */
static void
return_contributions(ReturnSetInfo *result, TagrecCall *call, const TagrecRow *user, const float *contribution, float score,
					 int n)
{
	const TagrecMatrix *items = tagrec_call_items(call);
	double		rest = score;
	TrTopN		top;
	FmgrInfo	output;

	n = Min(n, user->n_seen);
	tr_topn_init(&top, palloc_extended(Max(n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE), n);
	for (int i = 0; i < user->n_seen; i++)
		if (contribution[i] != 0 && n > 0)
			tr_topn_offer(&top, contribution[i], i);
	tr_topn_sort(&top);
	tagrec_key_output(items->key_type, &output, CurrentMemoryContext);
	for (int i = 0; i < top.count; i++)
	{
		Datum		key = tagrec_matrix_key(items, user->seen[top.best[i].index]);

		return_row(result, i + 1, tagrec_key_text(&output, key), top.best[i].score);
		rest -= top.best[i].score;
	}
	return_row(result, 0, NULL, (float) rest);
}

static bool
find_user(FunctionCallInfo fcinfo, TagrecCall *call, TagrecRow *user)
{
	bool		fresh = tagrec_flag_argument(fcinfo, Arg_fresh, "fresh");
	TagrecId	id;

	if (!tagrec_id_argument(fcinfo, Arg_user, &id))
		return false;
	return fresh ? tagrec_fresh_user(call, &id, user) : tagrec_find_user(call, &id, user);
}

Datum
tagrec_explain_items(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int			n = tagrec_limit_argument(fcinfo, Arg_n);
	int32		version = tagrec_version_argument(fcinfo, Arg_version);
	TagrecCall *call;
	TagrecId	id;
	TagrecRow	user;
	TagrecRow	item;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, version, TAGREC_ASKS_ITEMS);
	check_explainable(call->version);
	if (tagrec_id_argument(fcinfo, Arg_item, &id) && tagrec_find_item(call, &id, &item) && find_user(fcinfo, call, &user))
	{
		float	   *contribution = palloc0(Max(user.n_seen, 1) * sizeof(float));

		if (call->version->features & TR_FEATURES_ITEMS)
			add_weights(call, &user, item.position, contribution);
		if (tagrec_algorithm(call->version->algorithm)->contributions)
			add_terms(call, &user, item.position, contribution);
		return_contributions((ReturnSetInfo *) fcinfo->resultinfo, call, &user, contribution,
							 score_of(call, &user, &item), n);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}
