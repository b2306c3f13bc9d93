/*
 * Relations that a caller names in a query: keys to choose from, to leave out or to boost, and groups of items. They are
 * read by SQL as the caller, with the caller's privileges and row security, in the snapshot of the query.
 */
#ifndef TAGREC_CALLER_RELATION_H
#define TAGREC_CALLER_RELATION_H

#include "postgres.h"

#include "fmgr.h"
#include "pg/serve/unchanged.h"

typedef struct TagrecCallerRelation
{
	const char *argument;		/* that named it */
	char	   *name;			/* quoted and schema-qualified */
	int			n_columns;
	char	  **column;
	Oid		   *type;			/* of the columns, never a domain */
} TagrecCallerRelation;

/* Argument n, a regclass: InvalidOid when it is '-', an ERROR when it is NULL. */
extern Oid	tagrec_relation_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* In the current memory context; ereport(ERROR) unless the relation has rows. */
extern TagrecCallerRelation *tagrec_caller_relation(Oid relation, const char *argument);

extern bool tagrec_caller_has(const TagrecCallerRelation *relation, const char *column);
extern Oid	tagrec_caller_type(const TagrecCallerRelation *relation, const char *column);

/*
 * Its column of keys: the one that is named like the model's column of the source, or else the only one beside those in
 * `others` (n_others; those that are NULL do not count). ereport(ERROR) when that says none, or several.
 */
extern const char *tagrec_caller_key(const TagrecCallerRelation *relation, const char *model_column, const char *const *others,
									 int n_others);

/* A row: the values of the columns asked for; type = of the first. Good until it returns. */
typedef void (*TagrecTakeRow) (void *argument, const Datum *value, const bool *isnull, const Oid *type);

#define TAGREC_CALLER_COLUMNS 3

/*
 * Reads expressions, n of them: what quote_identifier() makes of a column, or a cast of that. mark (NULL = not wanted)
 * tells this read from later ones: would the same be found again?
 */
extern void tagrec_caller_read(const TagrecCallerRelation *relation, const char *const *expression, int n, TagrecTakeRow take,
							   void *argument, TagrecReadMark *mark);
extern bool tagrec_caller_unchanged(const TagrecCallerRelation *relation, const char *const *expression, int n,
									TagrecReadMark *mark);

/*
 * The same of the rows whose column `key` is an element of an array, found through an index where there is one. The type of
 * its elements is the column's, and has an equality of the system's: tagrec_caller_compares() says so.
 */
extern bool tagrec_caller_compares(const TagrecCallerRelation *relation, const char *key);
extern void tagrec_caller_read_some(const TagrecCallerRelation *relation, const char *const *expression, int n, const char *key,
									Datum array, TagrecTakeRow take, void *argument);

#endif
