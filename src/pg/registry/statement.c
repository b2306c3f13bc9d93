/*
 * Where the registry is, and running statements on it.
 *
 * The place (schema, owner of the tables) is remembered per session and forgotten when the table tagrec_model is
 * invalidated, which DROP EXTENSION does, or a schema, which ALTER SCHEMA does; where the place has changed, the generation
 * moves on, and plans are made again.
 *
 * A statement names its tables, and a name may later refer to another role's table, whose triggers would run as the
 * registry's owner: a schema is renamed, and another one gets its name. So each statement is checked after parse analysis,
 * before it is planned, and rejected unless all its relations belong to the extension or the system.
 */
#include "pg/registry/statement.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "pg/base/compat.h"
#include "pg/registry/version.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct RegistryPlace
{
	bool		valid;
	Oid			extension;
	Oid			schema;
	NameData	name;			/* of the schema */
	Oid			table;			/* tagrec_model */
	Oid			owner;
	Oid			versions;		/* tagrec_version; InvalidOid = not looked for */
	Oid			model_index;	/* on the names */
	Oid			version_index;
	uint64		generation;
} RegistryPlace;

static RegistryPlace place;

/* Of what `place` was made from: so many changes have been told. */
static uint64 changes;

/* A statement of ours is being run. */
static bool running;

static post_parse_analyze_hook_type next_hook;

static void
forget_place(Datum arg, Oid relation)
{
	if (OidIsValid(relation) && relation != place.table && relation != place.versions)
		return;
	place.valid = false;
	changes++;
}

static void
forget_schema(Datum arg, int cache, uint32 hash)
{
	place.valid = false;
	changes++;
}

/* ------------------------------------------------------------------ what a name means */

static bool
is_own(Oid relation)
{
	return get_rel_namespace(relation) == PG_CATALOG_NAMESPACE ||
		getExtensionOfObject(RelationRelationId, relation) == place.extension;
}

static void
check_own(Oid relation)
{
	if (!is_own(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"%s\" does not belong to extension \"tagrec\"", get_rel_name(relation)),
				 errdetail("A table or the schema of the extension was renamed, and this relation now has its name."),
				 errhint("Restore the original name, or retry if the schema has only just been renamed.")));
}

static bool
check_relations(Node *node, void *context)
{
	RangeTblEntry *entry = (RangeTblEntry *) node;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_relations, context, QTW_EXAMINE_RTES_BEFORE);
	if (!IsA(node, RangeTblEntry))
		return expression_tree_walker(node, check_relations, context);
	if (entry->rtekind == RTE_RELATION)
		check_own(entry->relid);
	return false;
}

static void
check_names(ParseState *pstate, Query *query, JumbleState *jumble)
{
	if (next_hook)
		next_hook(pstate, query, jumble);
	if (running)
		(void) check_relations((Node *) query, NULL);
}

/* ------------------------------------------------------------------ the place */

/*
 * The objects of an earlier version have other tables and other arguments, until they are updated; a session that was open
 * during an update may have the earlier library.
 */
static void
check_version(Datum version)
{
	char	   *found = TextDatumGetCString(version);

	if (strcmp(found, TAGREC_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"tagrec\" has version %s in this database, but the library is of version %s",
						found, TAGREC_VERSION),
				 errhint("Run ALTER EXTENSION tagrec UPDATE. If that has been done, open a new connection.")));
	pfree(found);
}

/* Its number and its schema at once: pg_extension has no syscache. */
static void
find_extension(RegistryPlace *found)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("tagrec"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		found->extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		found->schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
		check_version(heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(relation), &isnull));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (!OidIsValid(found->extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"tagrec\" does not exist")));
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
watch(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(forget_place, (Datum) 0);
	/* the casts: 19 has other integers and a const more */
	CacheRegisterSyscacheCallback(NAMESPACEOID, (SyscacheCallbackFunction) forget_schema, (Datum) 0);
	next_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = (post_parse_analyze_hook_type) check_names;
	registered = true;
}

static void
find_place(void)
{
	uint64		before;
	char	   *name;
	RegistryPlace found = {.generation = place.generation};

	watch();
	if (place.valid)
		return;

	before = changes;
	find_extension(&found);
	found.table = get_relname_relid("tagrec_model", found.schema);
	found.owner = relation_owner(found.table);
	name = get_namespace_name(found.schema);
	if (!name || !OidIsValid(found.owner) || getExtensionOfObject(RelationRelationId, found.table) != found.extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("tables of extension \"tagrec\" are missing")));
	namestrcpy(&found.name, name);
	if (found.schema != place.schema || found.table != place.table || strcmp(name, NameStr(place.name)) != 0)
		found.generation++;
	place = found;
	place.valid = before == changes;
}

Oid
tagrec_schema(void)
{
	find_place();
	return place.schema;
}

/* Without its own index, for whatever reason, the table is read as a whole. */
static Oid
find_index(Oid table, const char *name)
{
	Oid			index = get_relname_relid(name, place.schema);

	return OidIsValid(index) && IndexGetRelation(index, true) == table ? index : InvalidOid;
}

TagrecRegistryTables
tagrec_registry_tables(void)
{
	find_place();
	if (!OidIsValid(place.versions))
	{
		Oid			versions = get_relname_relid("tagrec_version", place.schema);

		if (!OidIsValid(versions))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("tables of extension \"tagrec\" are missing")));
		check_own(versions);
		place.model_index = find_index(place.table, "tagrec_model_model_key");
		place.version_index = find_index(versions, "tagrec_version_pkey");
		place.versions = versions;
	}
	return (TagrecRegistryTables) {
		.model = place.table,
		.model_index = place.model_index,
		.version = place.versions,
		.version_index = place.version_index
	};
}

TagrecSession
tagrec_registry_begin(void)
{
	TagrecSession session;

	find_place();
	session.caller = CurrentMemoryContext;
	session.identity = tagrec_become(place.owner);
	SPI_connect();
	return session;
}

void
tagrec_registry_end(TagrecSession session)
{
	SPI_finish();
	tagrec_become_again(session.identity);
	MemoryContextSwitchTo(session.caller);
}

/* The statement with its schema in place of every "@", and "$1, $2, ..." in place of "#". */
static char *
statement(const TagrecQuery *query)
{
	StringInfoData text;
	const char *schema = quote_identifier(NameStr(place.name));

	initStringInfo(&text);
	for (const char *sql = query->sql; *sql; sql++)
	{
		if (*sql == '@')
			appendStringInfoString(&text, schema);
		else if (*sql != '#')
			appendStringInfoChar(&text, *sql);
		else
			for (int i = 1; i <= query->nargs; i++)
				appendStringInfo(&text, i == 1 ? "$%d" : ", $%d", i);
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
	query->plan = SPI_prepare(statement(query), query->nargs, query->types);
	if (!query->plan || SPI_keepplan(query->plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", query->sql, SPI_result_code_string(SPI_result));
	query->generation = place.generation;
}

uint64
tagrec_registry_run(TagrecQuery *query, bool fresh, const Datum *values, const char *nulls)
{
	bool		read_only = !fresh && ActiveSnapshotSet();
	bool		outer = running;
	volatile int rc = 0;

	PG_TRY();
	{
		/* until its end: a plan is made again whenever something it is made of has changed */
		running = true;
		prepare(query);
		rc = SPI_execute_plan(query->plan, (Datum *) values, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", query->sql, SPI_result_code_string(rc));
	return SPI_processed;
}

int32
tagrec_registry_int(TagrecQuery *query, bool fresh, const Datum *values)
{
	TagrecSession session = tagrec_registry_begin();
	int32		value = 0;

	if (tagrec_registry_run(query, fresh, values, NULL) > 0)
		value = tagrec_row_int(0, SPI_fname(SPI_tuptable->tupdesc, 1), 0);
	tagrec_registry_end(session);
	return value;
}

static uint64
run_alone(TagrecQuery *query, const Datum *values, const char *nulls)
{
	TagrecSession session = tagrec_registry_begin();
	uint64		rows = tagrec_registry_run(query, true, values, nulls);

	tagrec_registry_end(session);
	return rows;
}

uint64
tagrec_registry_write(TagrecQuery *query, const Datum *values)
{
	return run_alone(query, values, NULL);
}

uint64
tagrec_registry_put(TagrecQuery *query, const TagrecValues *values)
{
	Assert(values->count == query->nargs);
	return run_alone(query, values->value, values->null);
}

void
tagrec_put(TagrecValues *values, Datum value, bool isnull)
{
	Assert(values->count < TAGREC_QUERY_ARGS);
	values->value[values->count] = value;
	values->null[values->count++] = isnull ? 'n' : ' ';
}

void
tagrec_put_text(TagrecValues *values, const char *text)
{
	tagrec_put(values, text ? CStringGetTextDatum(text) : (Datum) 0, !text);
}

void
tagrec_put_float(TagrecValues *values, double number)
{
	tagrec_put(values, Float8GetDatum(number), isnan(number));
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
