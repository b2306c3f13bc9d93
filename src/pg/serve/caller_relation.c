/*
 * Reading relations that a caller names in a query. See caller_relation.h.
 */
#include "pg/serve/caller_relation.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

Oid
tagrec_relation_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("Use '-' for no relation.")));
	return PG_GETARG_OID(n);
}

static void
check_kind(Relation relation, const char *argument)
{
	char		kind = relation->rd_rel->relkind;

	if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW || kind == RELKIND_MATVIEW
		|| kind == RELKIND_FOREIGN_TABLE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot use \"%s\" as %s", RelationGetRelationName(relation), argument),
			 errhint("Use a table, a partitioned table, a view, a materialized view or a foreign table.")));
}

TagrecCallerRelation *
tagrec_caller_relation(Oid id, const char *argument)
{
	TagrecCallerRelation *r = palloc0(sizeof(TagrecCallerRelation));
	Relation	relation = try_relation_open(id, AccessShareLock);
	TupleDesc	desc;

	if (!relation)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", id)));
	check_kind(relation, argument);
	desc = RelationGetDescr(relation);
	r->argument = argument;
	r->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
										 RelationGetRelationName(relation));
	r->column = palloc((desc->natts + 1) * sizeof(char *));
	r->type = palloc((desc->natts + 1) * sizeof(Oid));
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
		{
			r->type[r->n_columns] = getBaseType(TupleDescAttr(desc, i)->atttypid);
			r->column[r->n_columns++] = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
		}
	relation_close(relation, NoLock);
	return r;
}

Oid
tagrec_caller_type(const TagrecCallerRelation *relation, const char *column)
{
	for (int i = 0; i < relation->n_columns; i++)
		if (strcmp(relation->column[i], column) == 0)
			return relation->type[i];
	return InvalidOid;
}

bool
tagrec_caller_has(const TagrecCallerRelation *relation, const char *column)
{
	return OidIsValid(tagrec_caller_type(relation, column));
}

static bool
is_among(const char *column, const char *const *others, int n_others)
{
	for (int i = 0; i < n_others; i++)
		if (others[i] && strcmp(column, others[i]) == 0)
			return true;
	return false;
}

const char *
tagrec_caller_key(const TagrecCallerRelation *relation, const char *model_column, const char *const *others, int n_others)
{
	const char *key = NULL;
	int			keys = 0;

	if (tagrec_caller_has(relation, model_column) && !is_among(model_column, others, n_others))
		return model_column;
	for (int i = 0; i < relation->n_columns; i++)
		if (!is_among(relation->column[i], others, n_others))
		{
			key = relation->column[i];
			keys++;
		}
	if (keys != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("could not tell which column of %s has the ids", relation->name),
				 errdetail("It has %d columns that may, and none of them is \"%s\", as in the source of the model.", keys,
						   model_column),
				 errhint("Use a view, as %s, whose column \"%s\" has the ids.", relation->argument, model_column)));
	return key;
}

/* ------------------------------------------------------------------ reading */

/* A receiver that calls a function for each row */
typedef struct Receiver
{
	DestReceiver pub;
	TagrecTakeRow take;
	void	   *argument;
	int			n;
	Oid			type[TAGREC_CALLER_COLUMNS];
} Receiver;

static void
start_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	Receiver   *receiver = (Receiver *) self;

	for (int c = 0; c < receiver->n; c++)
		receiver->type[c] = TupleDescAttr(desc, c)->atttypid;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;

	slot_getsomeattrs(slot, receiver->n);
	receiver->take(receiver->argument, slot->tts_values, slot->tts_isnull, receiver->type);
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

/* Plans of this session, the one used last first. They are made again when what they depend on changes. */
#define KEPT_PLANS 16

typedef struct KeptPlan
{
	char	   *sql;
	SPIPlanPtr	plan;
	uint64		number;			/* never given again; 0 = it is not kept */
} KeptPlan;

static KeptPlan kept[KEPT_PLANS];
static uint64 last_number;
static int	running;			/* reads under way: a relation may be a view that asks a model itself */

static void
move_to_front(int at)
{
	KeptPlan	plan = kept[at];

	memmove(kept + 1, kept, at * sizeof(KeptPlan));
	kept[0] = plan;
}

/*
 * A plan that may be in use further up is not taken away. type: of its parameter, which the text names; InvalidOid = none
 */
static KeptPlan
plan_of(const char *sql, Oid type)
{
	int			at = 0;
	KeptPlan	plan = {0};

	while (at < KEPT_PLANS - 1 && kept[at].sql && strcmp(kept[at].sql, sql) != 0)
		at++;
	if (!kept[at].sql || strcmp(kept[at].sql, sql) != 0)
	{
		plan.plan = SPI_prepare(sql, OidIsValid(type), &type);
		if (!plan.plan)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		if (running > 0)
			return plan;
		plan.number = ++last_number;
		plan.sql = MemoryContextStrdup(TopMemoryContext, sql);
		SPI_keepplan(plan.plan);
		if (kept[at].sql)
		{
			SPI_freeplan(kept[at].plan);
			pfree(kept[at].sql);
		}
		kept[at] = plan;
	}
	move_to_front(at);
	return kept[0];
}

static void
run(const char *sql, Oid type, ParamListInfo params, Receiver *receiver, TagrecReadMark *mark)
{
	SPIExecuteOptions options = {.read_only = true, .params = params, .dest = &receiver->pub};
	KeptPlan	plan;
	int			result = 0;

	receiver->pub = (DestReceiver) {receive_row, start_rows, end_rows, end_rows, DestNone};
	SPI_connect();
	plan = plan_of(sql, type);
	running++;
	PG_TRY();
	{
		result = SPI_execute_plan_extended(plan.plan, &options);
	}
	PG_FINALLY();
	{
		running--;
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
	if (mark)
		*mark = tagrec_mark_read(plan.plan, plan.number);
	SPI_finish();
}

static void
select_from(StringInfo sql, const TagrecCallerRelation *relation, const char *const *expression, int n)
{
	Assert(n <= TAGREC_CALLER_COLUMNS);
	initStringInfo(sql);
	for (int i = 0; i < n; i++)
		appendStringInfo(sql, "%s%s", i == 0 ? "SELECT " : ", ", expression[i]);
	appendStringInfo(sql, " FROM %s", relation->name);
}

void
tagrec_caller_read(const TagrecCallerRelation *relation, const char *const *expression, int n, TagrecTakeRow take,
				   void *argument, TagrecReadMark *mark)
{
	Receiver	receiver = {.take = take, .argument = argument, .n = n};
	StringInfoData sql;

	select_from(&sql, relation, expression, n);
	run(sql.data, InvalidOid, NULL, &receiver, mark);
}

bool
tagrec_caller_unchanged(const TagrecCallerRelation *relation, const char *const *expression, int n, TagrecReadMark *mark)
{
	StringInfoData sql;
	KeptPlan	plan;
	bool		unchanged;

	if (mark->statement == 0)
		return false;
	select_from(&sql, relation, expression, n);
	SPI_connect();
	plan = plan_of(sql.data, InvalidOid);
	unchanged = tagrec_unchanged(mark, plan.plan, plan.number);
	SPI_finish();
	return unchanged;
}

bool
tagrec_caller_compares(const TagrecCallerRelation *relation, const char *key)
{
	Oid			type = tagrec_caller_type(relation, key);

	/* of the types in the system's schema, none has an equality elsewhere */
	return get_typtype(type) == TYPTYPE_BASE && OidIsValid(get_array_type(type)) &&
		OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr) && type < FirstUnpinnedObjectId;
}

void
tagrec_caller_read_some(const TagrecCallerRelation *relation, const char *const *expression, int n, const char *key,
						Datum array, TagrecTakeRow take, void *argument)
{
	Receiver	receiver = {.take = take, .argument = argument, .n = n};
	Oid			type = get_array_type(tagrec_caller_type(relation, key));
	ParamListInfo params = makeParamList(1);
	StringInfoData sql;

	params->params[0] = (ParamExternData) {array, false, PARAM_FLAG_CONST, type};
	select_from(&sql, relation, expression, n);
	appendStringInfo(&sql, " WHERE %s OPERATOR(pg_catalog.=) ANY ($1::%s)", quote_identifier(key),
					 format_type_be_qualified(type));
	run(sql.data, type, params, &receiver, NULL);
}
