/*
 * tagrec_recommend_tags(): the best tags for a post.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/ascending.h"
#include "core/topn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "pg/serve/post.h"
#include "pg/serve/rules.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_tags_2);

/* Arguments, as sql/queries.sql declares them. */
enum
{
	Arg_model,
	Arg_user,
	Arg_item,
	Arg_n,
	Arg_given,
	Arg_exclude_given,
	Arg_candidates,
	Arg_exclude,
	Arg_version
};

/* The tags that the caller gives the post, those of them that the model knows, ascending, each once. */
static void
take_given(FunctionCallInfo fcinfo, const TagrecCall *call, const TagrecEncoder *encoder, TrPost *post)
{
	int			n;
	int			known = 0;
	int			n_unknown = 0;
	char	  **tags = tagrec_texts_argument(fcinfo, Arg_given, "given", &n);
	char	  **unknown = palloc(Max(n, 1) * sizeof(char *));
	int32	   *given = palloc(Max(n, 1) * sizeof(int32));

	for (int i = 0; i < n; i++)
	{
		int32		tag = tagrec_encoder_find(encoder, tags[i]);

		if (tag < 0)
			unknown[n_unknown++] = tags[i];
		else
			given[known++] = tag;
	}
	if (n_unknown > 0)
		tagrec_report_unknown_tags(call->version->model, unknown, n_unknown, n);
	post->n_given = tr_sort_distinct(given, known);
	post->given = given;
}

static TrPost
find_post(FunctionCallInfo fcinfo, TagrecCall *call)
{
	TagrecPostUser *user = palloc(sizeof(TagrecPostUser));
	TagrecPostItem *item = palloc(sizeof(TagrecPostItem));
	TagrecId	id;

	if (!tagrec_id_argument(fcinfo, Arg_user, &id) || !tagrec_find_post_user(user, call, &id))
		user = NULL;
	if (!tagrec_id_argument(fcinfo, Arg_item, &id) || !tagrec_find_post_item(item, call, &id))
		item = NULL;
	return tagrec_post(user, item);
}

/* A bit for each tag of an array, which may be of any type that has a text form. */
static uint64 *
tag_set(const TagrecEncoder *encoder, ArrayType *tags)
{
	uint64	   *set = palloc0((TR_BIT_WORDS(tagrec_encoder_tags(encoder)) + 1) * sizeof(uint64));
	int			n = 0;
	bool	   *nulls;
	Datum	   *values = tags ? tagrec_ids_values(tags, &nulls, &n) : NULL;

	for (int i = 0; i < n; i++)
	{
		TagrecId	tag = {.type = ARR_ELEMTYPE(tags), .value = values[i]};
		int32		number = nulls[i] ? -1 : tagrec_encoder_find(encoder, tagrec_id_text(&tag));

		CHECK_FOR_INTERRUPTS();
		if (number >= 0)
			tr_bit_set(set, number);
	}
	return set;
}

/* The tags that are left out: those that are no candidates, and those that are excluded. */
static uint64 *
left_out(FunctionCallInfo fcinfo, const TagrecEncoder *encoder)
{
	bool		all;
	ArrayType  *candidates = tagrec_ids_argument(fcinfo, Arg_candidates, &all);
	ArrayType  *exclude = tagrec_some_ids_argument(fcinfo, Arg_exclude, "exclude");
	uint64	   *out = tag_set(encoder, all ? NULL : candidates);
	uint64	   *excluded = tag_set(encoder, exclude);

	for (Size w = 0; w < TR_BIT_WORDS(tagrec_encoder_tags(encoder)); w++)
		out[w] = (all ? 0 : ~out[w]) | excluded[w];
	return out;
}

static TrTopN
best_tags(TagrecEncoder *encoder, const TrPost *post, int n, bool exclude_given, uint64 *skip)
{
	int32		n_tags = tagrec_encoder_tags(encoder);
	float	   *score = MemoryContextAllocHuge(CurrentMemoryContext, Max(n_tags, 1) * sizeof(float));
	TrTopN		top;

	n = Min(n, n_tags);
	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(TrScored)), n);
	tagrec_score_tags(encoder, post, 1, score);
	for (int32 i = 0; exclude_given && i < post->n_given; i++)
		tr_bit_set(skip, post->given[i]);
	if (n > 0)
		tr_topn_scan(&top, score, 0, n_tags, skip);
	tr_topn_sort(&top);
	return top;
}

Datum
tagrec_recommend_tags_2(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int			n = tagrec_limit_argument(fcinfo, Arg_n);
	bool		exclude_given = tagrec_flag_argument(fcinfo, Arg_exclude_given, "exclude_given");
	int32		version = tagrec_version_argument(fcinfo, Arg_version);
	TagrecCall *call;
	TagrecEncoder *encoder;
	TrPost		post;
	TrTopN		top;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, version, TAGREC_ASKS_TAGS);
	encoder = tagrec_call_encoder(call);
	post = find_post(fcinfo, call);
	if (!PG_ARGISNULL(Arg_given))
		take_given(fcinfo, call, encoder, &post);
	top = best_tags(encoder, &post, n, exclude_given, left_out(fcinfo, encoder));
	for (int i = 0; i < top.count; i++)
	{
		Datum		values[3] = {
			Int32GetDatum(i + 1),
			CStringGetTextDatum(tagrec_encoder_tag(encoder, top.best[i].index)),
			Float4GetDatum(top.best[i].score)
		};
		bool		nulls[3] = {false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}
