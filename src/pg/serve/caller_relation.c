/*
 * Reading relations that a caller names in a query. See caller_relation.h.
 */
#include "pg/serve/caller_relation.h"

#include "access/relation.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define BATCH_ROWS 5000

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
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			r->column[r->n_columns++] = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
	relation_close(relation, NoLock);
	return r;
}

bool
tagrec_caller_has(const TagrecCallerRelation *relation, const char *column)
{
	for (int i = 0; i < relation->n_columns; i++)
		if (strcmp(relation->column[i], column) == 0)
			return true;
	return false;
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

static void
take_batch(TagrecTakeRow take, void *argument)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum		value[TAGREC_CALLER_COLUMNS];
	bool		isnull[TAGREC_CALLER_COLUMNS];
	Oid			type[TAGREC_CALLER_COLUMNS];

	for (int c = 0; c < desc->natts; c++)
		type[c] = TupleDescAttr(desc, c)->atttypid;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(SPI_tuptable->vals[i], desc, value, isnull);
		take(argument, value, isnull, type);
	}
}

void
tagrec_caller_read(const TagrecCallerRelation *relation, const char *const *expression, int n, TagrecTakeRow take,
				   void *argument)
{
	StringInfoData sql;
	Portal		portal;
	bool		more = true;

	Assert(n <= TAGREC_CALLER_COLUMNS);
	initStringInfo(&sql);
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, "%s%s", i == 0 ? "SELECT " : ", ", expression[i]);
	appendStringInfo(&sql, " FROM %s", relation->name);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, sql.data, 0, NULL, NULL, NULL, true, 0);
	while (more)
	{
		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		more = SPI_processed > 0;
		take_batch(take, argument);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}
