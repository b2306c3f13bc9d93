/*
 * tagrec_recommend_for_items(): what goes with these items, for a user of whom nothing else need be known.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/serve/history.h"
#include "pg/serve/search.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_for_items);

/* Arguments, as sql/newcomers.sql declares them. */
enum
{
	Arg_model,
	Arg_items,
	Arg_weights,
	Arg_tags,
	Arg_tag_weights,
	Arg_n,
	Arg_exclude_given,
	Arg_candidates
};

/* Unknown items that the notice names. */
#define MAX_NAMED 5

/* The elements of an array of any type; none, when it is NULL. */
static TagrecId *
ids_argument(FunctionCallInfo fcinfo, int n, const char *name, int *count)
{
	ArrayType  *array;
	TagrecId   *ids;
	Datum	   *values;
	bool	   *nulls;
	Oid			type;
	int16		length;
	bool		by_value;
	char		align;

	*count = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(n);
	type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, &values, &nulls, count);
	ids = palloc(Max(*count, 1) * sizeof(TagrecId));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain null", name)));
		ids[i] = (TagrecId) {type, values[i]};
	}
	return ids;
}

/* The weights of n things; NULL = 1 each. */
static float *
weights_argument(FunctionCallInfo fcinfo, int argument, const char *of, int n)
{
	Datum	   *values;
	bool	   *nulls;
	int			n_weights;
	float	   *weights;

	if (PG_ARGISNULL(argument))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &n_weights);
	if (n_weights != n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("number of weights does not match number of %s: %d and %d", of, n_weights, n)));
	weights = palloc(Max(n, 1) * sizeof(float));
	for (int i = 0; i < n; i++)
	{
		double		weight = nulls[i] ? -1 : DatumGetFloat8(values[i]);

		if (!(weight >= 0 && weight <= TR_MOST_WEIGHT))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 nulls[i] ? errmsg("weights of %s must not contain null", of)
					 : errmsg("weights of %s must be between 0 and %g: %g", of, TR_MOST_WEIGHT, weight)));
		weights[i] = (float) weight;
	}
	return weights;
}

static void
report_unknown_items(const char *model, const TagrecId *unknown, int n, int of)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < Min(n, MAX_NAMED); i++)
		appendStringInfo(&names, "%s\"%s\"", i ? ", " : "", tagrec_id_text(&unknown[i]));
	ereport(NOTICE,
			(errmsg("model \"%s\" does not know %d of %d items: %s%s", model, n, of, names.data,
					n > MAX_NAMED ? ", ..." : "")));
}

/* The items that the version knows. */
static void
take_items(FunctionCallInfo fcinfo, TagrecCall *call, TagrecHistory *history)
{
	const TagrecMatrix *items = tagrec_call_items(call);
	int			n;
	int			n_unknown = 0;
	TagrecId   *ids = ids_argument(fcinfo, Arg_items, "items", &n);
	float	   *weights = weights_argument(fcinfo, Arg_weights, "items", n);

	for (int i = 0; i < n; i++)
	{
		int32		item = tagrec_matrix_find(items, tagrec_id_as(&ids[i], items->key_type));

		CHECK_FOR_INTERRUPTS();
		if (item < 0)
			ids[n_unknown++] = ids[i];
		else
			tagrec_count(&history->items, item, weights ? weights[i] : 1);
	}
	if (n_unknown > 0)
		report_unknown_items(call->version->model, ids, n_unknown, n);
}

static void
take_tags(FunctionCallInfo fcinfo, TagrecCall *call, TagrecHistory *history)
{
	int			n;
	int			n_unknown = 0;
	char	  **tags = tagrec_texts_argument(fcinfo, Arg_tags, "tags", &n);
	float	   *weights = weights_argument(fcinfo, Arg_tag_weights, "tags", n);
	TagrecEncoder *encoder = tagrec_call_folder(call);

	for (int i = 0; i < n; i++)
	{
		int32		tag = tagrec_encoder_find(encoder, tags[i]);

		CHECK_FOR_INTERRUPTS();
		if (tag < 0)
			tags[n_unknown++] = tags[i];
		else
			tagrec_count(&history->tags, tag, weights ? weights[i] : 1);
	}
	if (n_unknown > 0)
		tagrec_report_unknown_tags(call->version->model, tags, n_unknown, n);
}

Datum
tagrec_recommend_for_items(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, Arg_model);
	int			n = tagrec_limit_argument(fcinfo, Arg_n);
	bool		exclude_given = tagrec_flag_argument(fcinfo, Arg_exclude_given, "exclude_given");
	ArrayType  *candidates = PG_ARGISNULL(Arg_candidates) ? NULL : PG_GETARG_ARRAYTYPE_P(Arg_candidates);
	TagrecHistory history = {{0}};
	TagrecCall *call;
	TagrecRow	user;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin(model);
	tagrec_check_folds_in(call->version);
	take_items(fcinfo, call, &history);
	take_tags(fcinfo, call, &history);
	if (tagrec_fold_in(call, &history, &user))
		tagrec_recommend_items(fcinfo, call, user.embedding, &user.sparse, exclude_given ? &user : NULL, candidates, n,
							   TEXTOID);
	else
		tagrec_call_end(call);
	return (Datum) 0;
}
