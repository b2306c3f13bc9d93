/*
 * The distinct keys of one column while a source is read: text in, a dense number out. Numbers are handed out in the order
 * of arrival; tagrec_keys_rank() renumbers them by the order of the column's type.
 */
#ifndef TAGREC_KEYS_H
#define TAGREC_KEYS_H

#include "postgres.h"

#include "core/memory.h"
#include "pg/base/compat.h"

typedef struct TagrecKeys
{
	TrMemory   *memory;
	int32		count;
	int32		capacity;
	char	  **text;			/* (count) */
	uint32	   *hash;			/* (count) */
	int32	   *slot;			/* (n_slots) open addressing, linear probing; -1 = free */
	uint32		n_slots;
	char	   *chunk;			/* where the next text goes */
	Size		chunk_left;
	bool		closed;			/* no new keys: tagrec_keys_intern() answers -1 */
} TagrecKeys;

/* The type of a key column. */
typedef struct TagrecKeyType
{
	Oid			type;
	Oid			collation;
} TagrecKeyType;

extern void tagrec_keys_init(TagrecKeys *keys, TrMemory *memory);
extern int32 tagrec_keys_intern(TagrecKeys *keys, const char *text, Size length);

/*
 * map (count, from the memory) = the new number of each key: its rank in the default btree order of the type. Keys that the
 * type holds equal (1.0 and 1.00, or two spellings of a citext) become one, under the spelling that comes first as text.
 * InvalidOid as the type: plain order of bytes.
 */
extern int32 *tagrec_keys_rank(TagrecKeys *keys, TagrecKeyType type);

/* Keeps the keys that are in use (used[key] != 0), in their order; map as above, -1 for the others. */
extern int32 *tagrec_keys_keep(TagrecKeys *keys, const uint8 *used);

/* ereport(ERROR): out of memory, by tagrec.max_memory or on the system. */
pg_noreturn extern void tagrec_out_of_memory(const TrMemory *memory);

/* tr_alloc() and tr_calloc() that raise the error themselves. */
extern void *tagrec_alloc(TrMemory *memory, Size bytes);
extern void *tagrec_calloc(TrMemory *memory, Size count, Size size);

#endif
