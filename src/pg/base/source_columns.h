/*
 * The columns of a relation of interactions, by their names: what a model is trained on, what is held out of it.
 */
#ifndef TAGREC_SOURCE_COLUMNS_H
#define TAGREC_SOURCE_COLUMNS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

/* NULL = there is none, or it is not read. */
typedef struct TagrecColumns
{
	const char *user,
			   *item,
			   *tag,
			   *weight,			/* of a tag in profiles */
			   *value,			/* of the interaction: a rating, or how much it counts */
			   *time;			/* of the interaction: what can be cast to timestamptz */
} TagrecColumns;

/* An argument of type name; NULL = it is NULL. */
static inline char *
tagrec_name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(argument)));
}

#endif
