/*
 * Ids of users and items between the caller's types and the types of a model's keys.
 *
 * A caller may give an id as any type. One of the key's own type is used as it is; any other goes through its text form, so
 * that 42, 42::bigint and '42' all find the user 42, and invalid input is an error of the key's type.
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

extern Datum tagrec_text_as(const char *text, Oid type);

/* The id as a value of the key's type, which is not a domain. */
extern Datum tagrec_id_as(const TagrecId *id, Oid type);

/*
 * ereport(ERROR) unless reading a value of this type from text, writing it and comparing it runs only C code, which only
 * superusers can install. Domains may have checks, and ranges a canonical function, in any language and owned by any role:
 * a caller's id is read as the domain's base type, and other types that contain domains or ranges are rejected. The column
 * is named in the message.
 */
extern void tagrec_check_key_type(Oid type, const char *column);

/* Reading many keys of a type from text; of a domain, as the type it is over. */
typedef struct TagrecKeyInput
{
	FmgrInfo	function;
	Oid			parameter;
} TagrecKeyInput;

extern void tagrec_key_input(TagrecKeyInput *input, Oid type);
extern Datum tagrec_key_read(TagrecKeyInput *input, char *text);

/* A key as text; output = tagrec_key_output() of its type, which keeps what it needs in the context. */
extern void tagrec_key_output(Oid type, FmgrInfo *output, MemoryContext context);
extern text *tagrec_key_text(FmgrInfo *output, Datum key);

#endif
