/*
 * tagrec_recommend_for_items(): what goes with these items, for a user of whom nothing else need be known.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg/serve/fallback.h"
#include "pg/serve/history.h"
#include "pg/serve/ids.h"

PG_FUNCTION_INFO_V1(tagrec_recommend_for_items);

PG_FUNCTION_INFO_V1(tagrec_recommend_for_items_as);

/* Arguments, as sql/newcomers.sql declares them; with _as, the type of the items comes before them. */
enum
{
	Arg_model,
	Arg_items,
	Arg_weights,
	Arg_tags,
	Arg_tag_weights,
	Arg_n,
	Arg_exclude_given,
	Arg_rules,
	Arg_fallback = Arg_rules + TAGREC_RULES_ARGUMENTS
};

/* Unknown items that the notice names. */
#define MAX_NAMED 5

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
take_items(FunctionCallInfo fcinfo, int first, TagrecCall *call, TagrecHistory *history)
{
	ArrayType  *array = tagrec_some_ids_argument(fcinfo, first + Arg_items, "items");
	int			n = 0;
	bool	   *nulls = NULL;
	Datum	   *values = array ? tagrec_ids_values(array, &nulls, &n) : NULL;
	float	   *weights = weights_argument(fcinfo, first + Arg_weights, "items", n);
	TagrecId   *unknown = palloc(Max(n, 1) * sizeof(TagrecId));
	int			n_unknown = 0;
	TagrecKeyFinder finder;

	if (n == 0)
		return;
	tagrec_key_finder(&finder, tagrec_call_items(call), ARR_ELEMTYPE(array));
	for (int i = 0; i < n; i++)
	{
		int32		item = nulls[i] ? -1 : tagrec_find_row(&finder, values[i]);

		CHECK_FOR_INTERRUPTS();
		if (item >= 0)
			tagrec_count(&history->items, item, weights ? weights[i] : 1);
		else if (!nulls[i])
			unknown[n_unknown++] = (TagrecId) {ARR_ELEMTYPE(array), values[i]};
	}
	if (n_unknown > 0)
		report_unknown_items(call->version->model, unknown, n_unknown, n);
}

static void
take_tags(FunctionCallInfo fcinfo, int first, TagrecCall *call, TagrecHistory *history)
{
	int			n;
	int			n_unknown = 0;
	char	  **tags = tagrec_texts_argument(fcinfo, first + Arg_tags, "tags", &n);
	float	   *weights = weights_argument(fcinfo, first + Arg_tag_weights, "tags", n);
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

static Datum
recommend_for_items(FunctionCallInfo fcinfo, int first, bool typed)
{
	char	   *model = tagrec_model_argument(fcinfo, first + Arg_model);
	int			n = tagrec_limit_argument(fcinfo, first + Arg_n);
	bool		exclude_given = tagrec_flag_argument(fcinfo, first + Arg_exclude_given, "exclude_given");
	bool		popular = tagrec_fallback_argument(fcinfo, first + Arg_fallback);
	TagrecHistory history = {{0}};
	TagrecRules rules;
	TagrecCall *call;
	Oid			item_type;
	TagrecRow	user;

	tagrec_rules_arguments(fcinfo, first + Arg_rules, &rules);
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, rules.version, TAGREC_ASKS_ITEMS);
	item_type = typed ? tagrec_result_type(fcinfo, 0, call, false) : TEXTOID;
	tagrec_check_folds_in(call->version);
	take_items(fcinfo, first, call, &history);
	take_tags(fcinfo, first, call, &history);
	if (tagrec_fold_in(call, &history, &user))
		tagrec_recommend_items(fcinfo, call, user.embedding, &user.sparse, &user, exclude_given, &rules, n, item_type);
	else
		tagrec_recommend_popular(fcinfo, call, popular, NULL, &rules, n, item_type);
	return (Datum) 0;
}

Datum
tagrec_recommend_for_items(PG_FUNCTION_ARGS)
{
	return recommend_for_items(fcinfo, 0, false);
}

Datum
tagrec_recommend_for_items_as(PG_FUNCTION_ARGS)
{
	return recommend_for_items(fcinfo, 1, true);
}
