/*
 * Ids of users and items between the caller's types and the types of a model's keys.
 *
 * A caller may give an id as any type. One of the key's own type is used as it is; any other goes through its text form, so
 * that 42, 42::bigint and '42' all find the user 42, and what cannot be read as a key is an error of the key's type.
 */
#ifndef TAGREC_ID_H
#define TAGREC_ID_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

typedef struct TagrecId
{
	Oid			type;
	Datum		value;
} TagrecId;

/* Argument n, declared as text or "any". False when it is NULL. */
extern bool tagrec_id_argument(FunctionCallInfo fcinfo, int n, TagrecId *id);

extern char *tagrec_id_text(const TagrecId *id);

/* The id as a value of the key's type. */
extern Datum tagrec_id_as(const TagrecId *id, Oid type);

/* An array of the key's type from a text[]; ERROR when an element is NULL. */
extern ArrayType *tagrec_ids_as(ArrayType *ids, Oid type);

/* A key as text; output = tagrec_key_output() of its type. */
extern void tagrec_key_output(Oid type, FmgrInfo *output);
extern text *tagrec_key_text(FmgrInfo *output, Datum key);

#endif
