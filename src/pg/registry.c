/*
 * Where the registry is, and running statements on it.
 *
 * The place (schema, owner of the tables) is remembered per session and forgotten when the table tagrec_model is
 * invalidated, which DROP EXTENSION does; the generation then moves on, so that plans are made again.
 */
#include "registry.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct RegistryPlace
{
	bool		valid;
	Oid			schema;
	Oid			table;			/* tagrec_model */
	Oid			owner;
	uint64		generation;
} RegistryPlace;

static RegistryPlace place;

static void
forget_place(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == place.table)
		place.valid = false;
}

/* pg_extension has no syscache, and get_extension_schema() is not exported before 16. */
static Oid
extension_schema(Oid extension)
{
	Oid			schema = InvalidOid;
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return schema;
}

static Oid
relation_owner(Oid relation)
{
	Oid			owner = InvalidOid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

static void
find_place(void)
{
	static bool registered = false;
	Oid			schema;
	Oid			table;
	Oid			owner;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_place, (Datum) 0);
		registered = true;
	}
	if (place.valid)
		return;

	schema = extension_schema(get_extension_oid("tagrec", false));
	table = get_relname_relid("tagrec_model", schema);
	owner = relation_owner(table);
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the tables of the extension tagrec are missing")));
	if (schema != place.schema || table != place.table)
		place.generation++;
	place.schema = schema;
	place.table = table;
	place.owner = owner;
	place.valid = true;
}

Oid
tagrec_schema(void)
{
	find_place();
	return place.schema;
}

TagrecSession
tagrec_registry_begin(bool writes)
{
	TagrecSession session;

	find_place();
	session.caller = CurrentMemoryContext;
	session.writes = writes;
	session.identity.user = InvalidOid;
	session.identity.security_context = 0;
	if (writes)
		session.identity = tagrec_become(place.owner);
	SPI_connect();
	return session;
}

void
tagrec_registry_end(TagrecSession session)
{
	SPI_finish();
	if (session.writes)
		tagrec_become_again(session.identity);
	MemoryContextSwitchTo(session.caller);
}

/* The statement with its schema in place of every "@". */
static char *
statement(const char *sql)
{
	StringInfoData text;
	const char *schema = quote_identifier(get_namespace_name(place.schema));

	initStringInfo(&text);
	for (; *sql; sql++)
	{
		if (*sql == '@')
			appendStringInfoString(&text, schema);
		else
			appendStringInfoChar(&text, *sql);
	}
	return text.data;
}

static void
prepare(TagrecQuery *query)
{
	if (query->plan && query->generation == place.generation)
		return;
	if (query->plan)
	{
		SPI_freeplan(query->plan);
		query->plan = NULL;
	}
	query->plan = SPI_prepare(statement(query->sql), query->nargs, query->types);
	if (!query->plan || SPI_keepplan(query->plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", query->sql, SPI_result_code_string(SPI_result));
	query->generation = place.generation;
}

uint64
tagrec_registry_run(TagrecQuery *query, bool fresh, const Datum *values, const char *nulls)
{
	bool		read_only = !fresh && ActiveSnapshotSet();
	int			rc;

	prepare(query);
	rc = SPI_execute_plan(query->plan, (Datum *) values, nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", query->sql, SPI_result_code_string(rc));
	return SPI_processed;
}

Datum
tagrec_row_datum(uint64 row, const char *name, bool *isnull)
{
	int			column = SPI_fnumber(SPI_tuptable->tupdesc, name);

	if (column <= 0)
		elog(ERROR, "no column \"%s\" in the result", name);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

char *
tagrec_row_text(uint64 row, const char *name, MemoryContext to)
{
	int			column = SPI_fnumber(SPI_tuptable->tupdesc, name);
	char	   *value;

	if (column <= 0)
		elog(ERROR, "no column \"%s\" in the result", name);
	value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
	return value ? MemoryContextStrdup(to, value) : NULL;
}

int32
tagrec_row_int(uint64 row, const char *name, int32 absent)
{
	bool		isnull;
	Datum		value = tagrec_row_datum(row, name, &isnull);

	return isnull ? absent : DatumGetInt32(value);
}
