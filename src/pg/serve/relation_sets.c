/*
 * Sets of rows that relations name. See relation_sets.h.
 */
#include "pg/serve/relation_sets.h"

#include "core/topn.h"
#include "pg/base/tagrec.h"
#include "pg/serve/caller_relation.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MOST_SETS 8

typedef struct Remembered
{
	TagrecReadMark mark;		/* of the read; it is about one column of one relation */
	TagrecStored from;
	uint64	   *set;			/* NULL = no further entries */
} Remembered;

/* The one used last first */
static Remembered remembered[MOST_SETS];

static bool
is_of(const Remembered *entry, const TagrecStored *from)
{
	return entry->from.relation == from->relation && entry->from.file == from->file;
}

static const uint64 *
recall(const TagrecStored *from, const TagrecCallerRelation *relation, const char *key)
{
	for (int i = 0; i < MOST_SETS && remembered[i].set; i++)
	{
		Remembered	entry = remembered[i];
		bool		same = is_of(&entry, from) && tagrec_caller_unchanged(relation, &key, 1, &entry.mark);

		if (remembered[i].set != entry.set)
			return NULL;		/* planning called a function that asked, too */
		if (!same)
			continue;
		memmove(remembered + 1, remembered, i * sizeof(Remembered));
		remembered[0] = entry;
		return entry.set;
	}
	return NULL;
}

/* In place of what the same relation named before, or of what was not asked for the longest. */
static void
remember(const TagrecStored *from, const TagrecReadMark *mark, const uint64 *set, Size bytes)
{
	uint64	   *copy = MemoryContextAllocExtended(TopMemoryContext, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	int			at = 0;

	if (!copy)
		return;
	memcpy(copy, set, bytes);
	while (at < MOST_SETS - 1 && remembered[at].set &&
		   !(is_of(&remembered[at], from) && remembered[at].mark.statement == mark->statement))
		at++;
	if (remembered[at].set)
		pfree(remembered[at].set);
	memmove(remembered + 1, remembered, at * sizeof(Remembered));
	remembered[0] = (Remembered) {*mark, *from, copy};
}

/* Rows as they come */
typedef struct Reading
{
	const TagrecMatrix *matrix;
	MemoryContext context;
	TagrecKeyFinder finder;		/* of the type of the keys, */
	bool		begun;			/* which the first row says */
	uint64	   *set;
} Reading;

static void
take_key(void *argument, const Datum *value, const bool *isnull, const Oid *type)
{
	Reading    *r = argument;
	int32		row;

	if (!r->begun)
	{
		MemoryContext before = MemoryContextSwitchTo(r->context);

		tagrec_key_finder(&r->finder, r->matrix, type[0]);
		r->begun = true;
		MemoryContextSwitchTo(before);
	}
	row = isnull[0] ? -1 : tagrec_find_row(&r->finder, value[0]);
	if (row >= 0)
		tr_bit_set(r->set, row);
}

const uint64 *
tagrec_relation_set(const TagrecMatrix *matrix, const TagrecStored *from, Oid id, const char *argument, const char *model_column)
{
	TagrecCallerRelation *relation = tagrec_caller_relation(id, argument);
	const char *key = quote_identifier(tagrec_caller_key(relation, model_column, NULL, 0));
	const uint64 *known = recall(from, relation, key);
	Size		bytes = (TR_BIT_WORDS(matrix->rows) + 1) * sizeof(uint64);
	Reading		reading = {.matrix = matrix, .context = CurrentMemoryContext};
	TagrecReadMark mark;

	if (known)
		return known;
	reading.set = MemoryContextAllocExtended(CurrentMemoryContext, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tagrec_caller_read(relation, &key, 1, take_key, &reading, &mark);
	if (mark.statement != 0 && tagrec_cache_size > 0 && (!reading.begun || tagrec_finds_the_same(&reading.finder)))
		remember(from, &mark, reading.set, bytes);
	return reading.set;
}
