/*
 * Sets of rows that arrays of ids name, and those that were asked for last. See ids.h.
 */
#include "pg/serve/ids.h"

#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "utils/memutils.h"

/* Arrays that take so few bytes are looked up again; so many sets are remembered, and so many bytes of arrays. */
#define LEAST_BYTES 512
#define MOST_SETS 8
#define MOST_BYTES ((Size) 32 << 20)

typedef struct Remembered
{
	TagrecStored from;
	Size		bytes;
	char	   *array;			/* NULL = no further entries */
	uint64	   *set;
} Remembered;

/* The one used last first */
static Remembered remembered[MOST_SETS];

static Size
set_bytes(const TagrecMatrix *matrix)
{
	return (TR_BIT_WORDS(matrix->rows) + 1) * sizeof(uint64);
}

static void
forget(Remembered *entry)
{
	pfree(entry->array);
	pfree(entry->set);
	memset(entry, 0, sizeof(*entry));
}

static void
move_to_front(int at)
{
	Remembered	entry = remembered[at];

	memmove(remembered + 1, remembered, at * sizeof(Remembered));
	remembered[0] = entry;
}

static const uint64 *
recall(const TagrecStored *from, const ArrayType *ids)
{
	for (int i = 0; i < MOST_SETS && remembered[i].array; i++)
	{
		const Remembered *r = &remembered[i];

		if (r->from.relation == from->relation && r->from.file == from->file && r->bytes == VARSIZE(ids) &&
			memcmp(r->array, ids, r->bytes) == 0)
		{
			move_to_front(i);
			return remembered[0].set;
		}
	}
	return NULL;
}

/* Drops the entries behind those that fit with a new one. */
static void
make_room(Size bytes)
{
	for (int i = 0; i < MOST_SETS && remembered[i].array; i++)
	{
		bytes += remembered[i].bytes;
		if (i < MOST_SETS - 1 && bytes <= MOST_BYTES)
			continue;
		for (int last = MOST_SETS - 1; last >= i; last--)
			if (remembered[last].array)
				forget(&remembered[last]);
	}
}

static void
remember(const TagrecMatrix *matrix, const TagrecStored *from, const ArrayType *ids, const uint64 *set)
{
	Remembered	entry = {.from = *from, .bytes = VARSIZE(ids)};

	make_room(entry.bytes);
	entry.array = MemoryContextAllocExtended(TopMemoryContext, entry.bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	entry.set = MemoryContextAllocExtended(TopMemoryContext, set_bytes(matrix), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (!entry.array || !entry.set)
	{
		if (entry.array)
			pfree(entry.array);
		return;
	}
	memcpy(entry.array, ids, entry.bytes);
	memcpy(entry.set, set, set_bytes(matrix));
	memmove(remembered + 1, remembered, (MOST_SETS - 1) * sizeof(Remembered));
	remembered[0] = entry;
}

const uint64 *
tagrec_id_set(const TagrecMatrix *matrix, const TagrecStored *from, ArrayType *ids)
{
	bool		may_remember = VARSIZE(ids) >= LEAST_BYTES && VARSIZE(ids) <= MOST_BYTES && tagrec_cache_size > 0;
	const uint64 *known = may_remember ? recall(from, ids) : NULL;
	TagrecKeyFinder finder;
	uint64	   *set;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (known)
		return known;
	set = MemoryContextAllocExtended(CurrentMemoryContext, set_bytes(matrix), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	values = tagrec_ids_values(ids, &nulls, &n);
	tagrec_key_finder(&finder, matrix, ARR_ELEMTYPE(ids));
	for (int i = 0; i < n; i++)
	{
		int32		row = nulls[i] ? -1 : tagrec_find_row(&finder, values[i]);

		CHECK_FOR_INTERRUPTS();
		if (row >= 0)
			tr_bit_set(set, row);
	}
	if (may_remember && tagrec_finds_the_same(&finder))
		remember(matrix, from, ids, set);
	return set;
}
