/*
 * tagrec_embed(), tagrec_recommend_for_tags(): a new profile, encoded by the trained network.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/fallback.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_embed_2);
PG_FUNCTION_INFO_V1(tagrec_recommend_for_tags_2);
PG_FUNCTION_INFO_V1(tagrec_recommend_for_tags_as);

/* ------------------------------------------------------------------ a profile from arguments */

typedef struct TagCount
{
	int32		tag;
	float		count;
} TagCount;

/* The weights argument as an array of n numbers; NULL when there is none. */
static float *
weights_argument(FunctionCallInfo fcinfo, int argument, int n)
{
	Datum	   *values;
	bool	   *nulls;
	int			n_weights;
	float	   *weights;

	if (PG_ARGISNULL(argument))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values,
					  &nulls, &n_weights);
	if (n_weights != n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("number of weights does not match number of tags: %d and %d", n_weights, n)));
	weights = palloc(Max(n, 1) * sizeof(float));
	for (int i = 0; i < n; i++)
	{
		double		weight;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("weights must not contain null")));
		weight = DatumGetFloat8(values[i]);
		if (!(weight >= 0 && weight <= TR_MOST_WEIGHT))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("weights must be between 0 and %g: %g", TR_MOST_WEIGHT, weight),
					 errdetail("A weight is the number of times the tag was given.")));
		weights[i] = (float) weight;
	}
	return weights;
}

static int
compare_tag_counts(const void *a, const void *b)
{
	int32		x = ((const TagCount *) a)->tag;
	int32		y = ((const TagCount *) b)->tag;

	return (x > y) - (x < y);
}

/* Sorts, adds up duplicates and drops zeros; returns the number of remaining entries. */
static int
merge_tag_counts(TagCount *entry, int n)
{
	int			kept = 0;

	qsort(entry, n, sizeof(TagCount), compare_tag_counts);
	for (int i = 0; i < n; i++)
	{
		if (kept > 0 && entry[kept - 1].tag == entry[i].tag)
			entry[kept - 1].count += entry[i].count;
		else if (entry[i].count > 0)
			entry[kept++] = entry[i];
	}
	return kept;
}

/* The known tags of arguments `tags` and `weights` (which follows it) as a profile; the number of distinct ones. */
static int
profile_argument(FunctionCallInfo fcinfo, int argument, const TagrecCall *call, const TagrecEncoder *encoder,
				 TagCount **profile)
{
	int			n;
	int			known = 0;
	int			n_unknown = 0;
	char	  **tags = tagrec_texts_argument(fcinfo, argument, "tags", &n);
	float	   *weights = weights_argument(fcinfo, argument + 1, n);
	char	  **unknown = palloc(Max(n, 1) * sizeof(char *));

	*profile = palloc(Max(n, 1) * sizeof(TagCount));
	for (int i = 0; i < n; i++)
	{
		int32		tag = tagrec_encoder_find(encoder, tags[i]);

		CHECK_FOR_INTERRUPTS();
		if (tag < 0)
			unknown[n_unknown++] = tags[i];
		else
			(*profile)[known++] = (TagCount) {tag, weights ? weights[i] : 1};
	}
	if (n_unknown > 0)
		tagrec_report_unknown_tags(call->version->model, unknown, n_unknown, n);
	return merge_tag_counts(*profile, known);
}

/* A user known only by tags, for scoring. */
typedef struct Encoded
{
	float	   *array;			/* padded */
	TrSparse	features;
} Encoded;

/* The user with the tags in argument `tags`; false when none of them is known. */
static bool
encode_argument(FunctionCallInfo fcinfo, int argument, TagrecCall *call, Encoded *user)
{
	TagrecEncoder *encoder = tagrec_call_encoder(call);
	TagCount   *profile;
	int			n = profile_argument(fcinfo, argument, call, encoder, &profile);
	int64		ptr[2] = {0, n};
	int32	   *tag = palloc(Max(n, 1) * sizeof(int32));
	float	   *count = palloc(Max(n, 1) * sizeof(float));
	TrProfiles	profiles = {.rows = 1, .ptr = ptr, .tag = tag, .count = count};

	for (int i = 0; i < n; i++)
	{
		tag[i] = profile[i].tag;
		count[i] = profile[i].count;
	}
	user->array = tagrec_padded_vectors(1, call->version->width);
	tagrec_encode(encoder, TR_USER, &profiles, user->array);
	user->features = tagrec_encode_features(encoder, &profiles, 0);
	tagrec_check_features(&user->features, call->version);
	return n > 0;
}

/* ------------------------------------------------------------------ functions */

Datum
tagrec_embed_2(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	TagrecCall *call = tagrec_call_begin_at(model, tagrec_version_argument(fcinfo, 3), TAGREC_ASKS_ITEMS);
	int			width = call->version->width;
	ArrayType  *array = NULL;
	Encoded		user;

	tagrec_check_embeddings(call->version);
	if (encode_argument(fcinfo, 1, call, &user))
	{
		Datum	   *values = palloc(width * sizeof(Datum));

		for (int i = 0; i < width; i++)
			values[i] = Float4GetDatum(user.array[i]);
		MemoryContextSwitchTo(call->outside);
		array = construct_array(values, width, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT);
	}
	tagrec_call_end(call);
	if (!array)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(array);
}

/* Arguments from `first` on: model, tags, weights, n, the rules, fallback. */
static Datum
recommend_for_tags(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first);
	int			n = tagrec_limit_argument(fcinfo, first + 3);
	bool		popular = tagrec_fallback_argument(fcinfo, first + 4 + TAGREC_RULES_ARGUMENTS);
	TagrecRules rules;
	TagrecCall *call;
	Oid			item_type;
	Encoded		user;

	tagrec_rules_arguments(fcinfo, first + 4, &rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, rules.version, TAGREC_ASKS_ITEMS);
	item_type = typed ? tagrec_result_type(fcinfo, 0, call, false) : TEXTOID;
	if (encode_argument(fcinfo, first + 1, call, &user))
		tagrec_recommend_items(fcinfo, call, user.array, &user.features, NULL, false, &rules, n, item_type);
	else
		tagrec_recommend_popular(fcinfo, call, popular, NULL, &rules, n, item_type);
	return (Datum) 0;
}

Datum
tagrec_recommend_for_tags_2(PG_FUNCTION_ARGS)
{
	return recommend_for_tags(fcinfo, 0, false);
}

Datum
tagrec_recommend_for_tags_as(PG_FUNCTION_ARGS)
{
	return recommend_for_tags(fcinfo, 1, true);
}
