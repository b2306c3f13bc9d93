/*
 * SQL on the registry tables, only for the files of this folder: saved plans, run as the owner of the registry's tables,
 * the only role that may read and write all of them. Callers must check the privileges of the current user. In the SQL
 * text, "@" stands for the schema of the extension: SELECT … FROM @.tagrec_model; and "#" for all parameters: VALUES (#).
 *
 * A caller is always inside SPI_connect()/SPI_finish(): tagrec_registry_begin() and _end() are those, with the identity.
 */
#ifndef TAGREC_STATEMENT_H
#define TAGREC_STATEMENT_H

#include "postgres.h"
#include "executor/spi.h"

#include "pg/base/identity.h"

#define TAGREC_QUERY_ARGS 40

/* The values of a statement's parameters, put one after the other, and 'n' for those that are NULL. */
typedef struct TagrecValues
{
	int			count;
	Datum		value[TAGREC_QUERY_ARGS];
	char		null[TAGREC_QUERY_ARGS];
} TagrecValues;

/* One statement; declare it static, and the plan is made once per session. */
typedef struct TagrecQuery
{
	const char *sql;
	int			nargs;
	Oid			types[TAGREC_QUERY_ARGS];
	SPIPlanPtr	plan;
	uint64		generation;		/* of the registry the plan was made for */
} TagrecQuery;

typedef struct TagrecSession
{
	TagrecIdentity identity;
	MemoryContext caller;		/* results that outlive the session go here */
} TagrecSession;

extern TagrecSession tagrec_registry_begin(void);
extern void tagrec_registry_end(TagrecSession session);

/*
 * Runs the statement and returns the number of rows; SPI_tuptable holds them. Reads use the snapshot of the caller's
 * statement; with fresh = true a new one, which also sees what this transaction has written.
 */
extern uint64 tagrec_registry_run(TagrecQuery *query, bool fresh, const Datum *values, const char *nulls);

/* The tables that are read without SQL, and their keys' indexes; InvalidOid = there is none. */
typedef struct TagrecRegistryTables
{
	Oid			model;
	Oid			model_index;	/* on the names */
	Oid			version;
	Oid			version_index;
} TagrecRegistryTables;

extern TagrecRegistryTables tagrec_registry_tables(void);

/* The first column of its first row, an integer, in a session of its own; 0 when there is none. */
extern int32 tagrec_registry_int(TagrecQuery *query, bool fresh, const Datum *values);

/* Runs it in a session of its own, with a new snapshot; also with values that were put. */
extern uint64 tagrec_registry_write(TagrecQuery *query, const Datum *values);
extern uint64 tagrec_registry_put(TagrecQuery *query, const TagrecValues *values);

/* Without a text, or a number, they put NULL. */
extern void tagrec_put(TagrecValues *values, Datum value, bool isnull);
extern void tagrec_put_text(TagrecValues *values, const char *text);
extern void tagrec_put_float(TagrecValues *values, double number);

/*
 * Column `name` of row `row` of the last result: copies in memory context `to`. Absent (NULL) is NULL, 0, or the default.
 */
extern char *tagrec_row_text(uint64 row, const char *name, MemoryContext to);
extern Datum tagrec_row_datum(uint64 row, const char *name, bool *isnull);
extern int32 tagrec_row_int(uint64 row, const char *name, int32 absent);

#endif
