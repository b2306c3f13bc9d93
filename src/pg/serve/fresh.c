/*
 * Reading one user's rows. See fresh.h.
 */
#include "pg/serve/fresh.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

/* Statements that a session keeps; beyond that, it starts anew. */
#define MAX_PLANS 64

/* ------------------------------------------------------------------ statements */

typedef struct KeptPlan
{
	char	   *sql;
	Oid			type;			/* of the parameter */
	SPIPlanPtr	plan;
} KeptPlan;

static KeptPlan kept[MAX_PLANS];
static int	n_kept = 0;
static int	running;			/* reads under way: the source may be a view that asks a model itself */

/* "= of the type", whatever the search path: OPERATOR(schema.=) */
static char *
equality(Oid type)
{
	Oid			id = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(id));
	Form_pg_operator operator;
	char	   *text;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "type %u has no equality operator", type);
	operator = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(operator->oprnamespace)),
					NameStr(operator->oprname));
	ReleaseSysCache(tuple);
	return text;
}

/* Only the name: a row that was imported or restored may say it in other ways, and more than that. */
static char *
source_name(const char *source)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(source));

	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("source %s of a version is not schema-qualified", source)));
	return NameListToQuotedString(names);
}

/* The lowest value of a row that is no dislike; below all of them where the version has no such option. */
static double
like_from(const TagrecVersion *version)
{
	return version->columns.value ? tagrec_version_number(version, "like_from", -TR_MOST_WEIGHT) : -TR_MOST_WEIGHT;
}

/* Are rows of the version's source dislikes? */
static bool
has_dislikes(const TagrecVersion *version)
{
	return like_from(version) > -TR_MOST_WEIGHT;
}

/*
 * A repeated (user, item, tag) counts once, with the sum of its weights, as in training (source.h). Where rows are
 * dislikes, there is a row for these and one for the others, and a last column says which.
 */
static char *
query_text(const TagrecVersion *version, Oid key_type, bool tags)
{
	const TagrecColumns *columns = &version->columns;
	StringInfoData sql;

	tags = tags && columns->tag;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", quote_identifier(columns->item));
	if (tags)
		appendStringInfo(&sql, ", %s::pg_catalog.text", quote_identifier(columns->tag));
	if (tags && columns->weight)
		appendStringInfo(&sql, ", pg_catalog.sum(%s::pg_catalog.float8)", quote_identifier(columns->weight));
	if (has_dislikes(version))
		appendStringInfo(&sql, ", %s::pg_catalog.float8 OPERATOR(pg_catalog.>=) %.17g::pg_catalog.float8 AS liked",
						 quote_identifier(columns->value), like_from(version));
	appendStringInfo(&sql, " FROM %s WHERE %s %s $1 GROUP BY 1%s", source_name(version->source),
					 quote_identifier(columns->user), equality(key_type), tags ? ", 2" : "");
	if (has_dislikes(version))
		appendStringInfo(&sql, ", %d", !tags ? 2 : columns->weight ? 4 : 3);
	return sql.data;
}

static void
forget_plans(void)
{
	while (n_kept > 0)
	{
		KeptPlan   *old = &kept[--n_kept];

		SPI_freeplan(old->plan);
		pfree(old->sql);
	}
}

/* Within an SPI connection. A plan that may be in use further up is not taken away. */
static SPIPlanPtr
find_plan(const char *sql, Oid type)
{
	SPIPlanPtr	plan;
	char	   *copy;

	for (int i = 0; i < n_kept; i++)
		if (kept[i].type == type && strcmp(kept[i].sql, sql) == 0)
			return kept[i].plan;
	plan = SPI_prepare(sql, 1, &type);
	if (!plan)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (n_kept == MAX_PLANS && running > 0)
		return plan;
	if (n_kept == MAX_PLANS)
		forget_plans();
	copy = MemoryContextStrdup(TopMemoryContext, sql);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	kept[n_kept++] = (KeptPlan) {copy, type, plan};
	return plan;
}

/* ------------------------------------------------------------------ rows */

/* The row's item, by its position; -1 when the version does not know it. */
static int32
item_of(const TagrecMatrix *items, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	TagrecId	id = {.type = getBaseType(SPI_gettypeid(desc, 1))};

	id.value = heap_getattr(tuple, 1, desc, &isnull);
	return isnull ? -1 : tagrec_matrix_find(items, tagrec_id_as(&id, items->key_type));
}

static void
take_tag(TagrecHistory *history, const TagrecEncoder *encoder, HeapTuple tuple, TupleDesc desc, bool weighted)
{
	bool		isnull;
	Datum		tag = heap_getattr(tuple, 2, desc, &isnull);
	int32		position = isnull ? -1 : tagrec_encoder_find(encoder, TextDatumGetCString(tag));
	double		weight = 1;

	if (position < 0)
		return;
	if (weighted)
		weight = DatumGetFloat8(heap_getattr(tuple, 3, desc, &isnull));
	if (isnull || isnan(weight) || weight < 0 || weight > TR_MOST_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the source of the model holds an invalid weight"),
				 errdetail("Weights must be between 0 and %g.", TR_MOST_WEIGHT)));
	tagrec_count(&history->tags, position, (float) weight);
}

static void
take_rows(TagrecHistory *history, const TagrecMatrix *items, const TagrecEncoder *encoder, bool dislikes)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	int			columns = desc->natts - dislikes;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		int32		item = item_of(items, tuple, desc);
		bool		isnull = false;
		bool		liked = !dislikes || (DatumGetBool(heap_getattr(tuple, columns + 1, desc, &isnull)) && !isnull);

		CHECK_FOR_INTERRUPTS();
		if (item >= 0)
			tagrec_count(liked ? &history->items : &history->disliked, item, 1);
		if (liked && columns > 1)
			take_tag(history, encoder, tuple, desc, columns > 2);
	}
}

/* Within an SPI connection. */
static void
run(SPIPlanPtr plan, Datum key)
{
	int			result = 0;

	running++;
	PG_TRY();
	{
		result = SPI_execute_plan(plan, &key, NULL, true, 0);
	}
	PG_FINALLY();
	{
		running--;
	}
	PG_END_TRY();
	if (result != SPI_OK_SELECT)
		elog(ERROR, "reading the source failed: %s", SPI_result_code_string(result));
}

bool
tagrec_fresh_user(TagrecCall *call, const TagrecId *id, TagrecRow *user)
{
	Oid			type = call->tables.users->key_type;
	Datum		key = tagrec_id_as(id, type);
	const TagrecMatrix *items;
	const TagrecEncoder *encoder;
	TagrecHistory history = {.items_once = true};
	char	   *sql;
	MemoryContext before;

	tagrec_check_folds_in(call->version);
	items = tagrec_call_items(call);
	encoder = tagrec_call_folder(call);
	sql = query_text(call->version, type, tagrec_wants_tags(call->version));
	before = CurrentMemoryContext;
	SPI_connect();
	run(find_plan(sql, type), key);
	MemoryContextSwitchTo(before);
	take_rows(&history, items, encoder, has_dislikes(call->version));
	SPI_finish();
	MemoryContextSwitchTo(before);
	return tagrec_fold_in(call, &history, user);
}
