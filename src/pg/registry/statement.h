/*
 * SQL on the registry tables, for the files of this folder alone: saved plans, run as the owner of the registry's tables,
 * who alone may read and write all of them; whether the caller may know or do it is for whoever asks to check. In the SQL
 * text, "@" stands for the schema of the extension: SELECT … FROM @.tagrec_model.
 *
 * A caller is always inside SPI_connect()/SPI_finish(): tagrec_registry_begin() and _end() are those, with the identity.
 */
#ifndef TAGREC_STATEMENT_H
#define TAGREC_STATEMENT_H

#include "postgres.h"
#include "executor/spi.h"

#include "pg/base/identity.h"

#define TAGREC_QUERY_ARGS 32

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

/*
 * Column `name` of row `row` of the last result: copies in memory context `to`. Absent (NULL) is NULL, 0, or the default.
 */
extern char *tagrec_row_text(uint64 row, const char *name, MemoryContext to);
extern Datum tagrec_row_datum(uint64 row, const char *name, bool *isnull);
extern int32 tagrec_row_int(uint64 row, const char *name, int32 absent);

#endif
