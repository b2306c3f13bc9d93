/*
 * Sparse rows by column, by counting: a task has some of the rows, and its own place in each column, so that a column's
 * rows ascend. See columns.h.
 */
#include <string.h>

#include "cpu/columns.h"

#define MOST_PARTS 4
#define ENTRIES_OF_PART 16384	/* and two for each column, as a part has to look at them all */

typedef struct Transpose
{
	const TrCsr *groups;
	int			n;
	int			parts;
	int			rows;			/* of all groups */
	int			T;
	int32_t    *place;			/* (parts,T) how many entries of a part are in a column; then where the next one goes */
	TrColumns  *columns;
} Transpose;

/* What is done with each entry of a part's rows, count_part() and write_part() */
#define FOR_ENTRIES(t, task, statement) \
	for (int g = 0, first = 0; g < (t)->n; first += (t)->groups[g++].rows) \
	{ \
		const TrCsr *x = &(t)->groups[g]; \
		int			from = part_start(t, task) - first; \
		int			end = part_start(t, (task) + 1) - first; \
		for (int r = from < 0 ? 0 : from; r < x->rows && r < end; r++) \
			for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++) \
				statement \
	}

static int
part_start(const Transpose *t, int part)
{
	return (int) ((int64_t) t->rows * part / t->parts);
}

static void
count_part(void *argument, int task)
{
	const Transpose *t = argument;
	int32_t    *count = t->place + (size_t) task * t->T;

	memset(count, 0, (size_t) t->T * sizeof(int32_t));
	FOR_ENTRIES(t, task, count[x->col[e]]++;)
}

static void
write_part(void *argument, int task)
{
	const Transpose *t = argument;
	int32_t    *place = t->place + (size_t) task * t->T;
	TrColumnEntry *entry = t->columns->entry;

	FOR_ENTRIES(t, task, entry[place[x->col[e]]++] = ((TrColumnEntry) {first + r, x->val[e]});)
}

/* Where each column starts, and each part in it */
static void
find_places(const Transpose *t)
{
	int32_t    *ptr = t->columns->ptr;
	int32_t		at = 0;

	for (int c = 0; c < t->T; c++)
	{
		ptr[c] = at;
		for (int part = 0; part < t->parts; part++)
		{
			int32_t    *place = &t->place[(size_t) part * t->T + c];
			int32_t		count = *place;

			*place = at;
			at += count;
		}
	}
	ptr[t->T] = at;
}

bool
tr_cpu_columns(TrBackend *b, TrColumns *columns, const TrCsr *groups, int n)
{
	Transpose	t = {.groups = groups, .n = n, .T = n > 0 ? groups[0].cols : 0, .columns = columns};
	int64_t		entries = 0;
	int64_t		parts;
	char	   *room;

	for (int g = 0; g < n; g++)
	{
		t.rows += groups[g].rows;
		entries += groups[g].ptr[groups[g].rows];
	}
	parts = entries / (ENTRIES_OF_PART + 2 * (int64_t) t.T) + 1;
	t.parts = parts < MOST_PARTS ? (int) parts : MOST_PARTS;
	if (entries > INT32_MAX)
	{
		tr_fail(&tr_cpu(b)->error, TR_UNSUPPORTED, "the rows of a mini-batch have %lld entries, more than training supports",
				(long long) entries);
		return false;
	}
	room = tr_cpu_scratch(b, (size_t) entries * sizeof(TrColumnEntry) + ((size_t) t.T * (t.parts + 1) + 1) * sizeof(int32_t));
	if (!room)
		return false;
	columns->entry = (TrColumnEntry *) room;
	columns->ptr = (int32_t *) (columns->entry + entries);
	t.place = columns->ptr + t.T + 1;
	tr_cpu_run(b, count_part, &t, t.parts);
	find_places(&t);
	tr_cpu_run(b, write_part, &t, t.parts);
	return true;
}
