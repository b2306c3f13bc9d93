/*
 * Sparse rows in host memory, an epoch's order. See rows.h.
 */
#include <string.h>

#include "core/rng.h"
#include "models/nn/rows.h"

/* ------------------------------------------------------------------ rows */

bool
tr_rows_init(TrMemory *memory, TrRows *rows, int32_t most, bool slots)
{
	*rows = (TrRows) {.ptr = tr_alloc(memory, ((size_t) most + 2) * sizeof(int64_t)),
	.slot = slots ? tr_alloc(memory, sizeof(int32_t)) : NULL};
	if (rows->ptr)
		tr_rows_clear(rows);
	return rows->ptr && (!slots || rows->slot);
}

/* array with room for so many entries of 4 bytes; as it was, and *done false, when there is no memory */
static void *
grown(TrMemory *memory, void *array, int64_t entries, bool *done)
{
	void	   *larger = tr_realloc(memory, array, (size_t) entries * 4);

	*done = *done && larger;
	return larger ? larger : array;
}

bool
tr_rows_reserve(TrMemory *memory, TrRows *rows, int64_t more)
{
	int64_t		wanted = tr_rows_entries(rows) + more;
	bool		done = true;

	if (wanted <= rows->capacity)
		return true;
	wanted += wanted / 2;
	rows->col = grown(memory, rows->col, wanted, &done);
	rows->val = grown(memory, rows->val, wanted, &done);
	if (rows->slot)
		rows->slot = grown(memory, rows->slot, wanted, &done);
	rows->capacity = done ? wanted : rows->capacity;
	return done;
}

bool
tr_rows_append(TrMemory *memory, TrRows *rows, const TrRows *from)
{
	int64_t		at = tr_rows_entries(rows);
	int64_t		more = tr_rows_entries(from);

	if (!tr_rows_reserve(memory, rows, more))
		return false;
	if (more > 0)
	{
		memcpy(rows->col + at, from->col, (size_t) more * sizeof(int32_t));
		memcpy(rows->val + at, from->val, (size_t) more * sizeof(float));
	}
	for (int32_t r = 1; r <= from->rows; r++)
		rows->ptr[rows->rows + r] = at + from->ptr[r];
	rows->rows += from->rows;
	return true;
}

int
tr_rows_pieces(TrPiece *piece, TrCsr *csr, int32_t **slot, const TrRows *rows, int32_t cols)
{
	size_t		entries = (size_t) tr_rows_entries(rows);

	*csr = (TrCsr) {.rows = rows->rows, .cols = cols, .capacity = (int64_t) entries};
	piece[0] = (TrPiece) {(void **) &csr->ptr, rows->ptr, ((size_t) rows->rows + 1) * sizeof(int64_t)};
	piece[1] = (TrPiece) {(void **) &csr->col, rows->col, entries * sizeof(int32_t)};
	piece[2] = (TrPiece) {(void **) &csr->val, rows->val, entries * sizeof(float)};
	if (!rows->slot)
		return 3;
	piece[3] = (TrPiece) {(void **) slot, rows->slot, entries * sizeof(int32_t)};
	return 4;
}

/* ------------------------------------------------------------------ touched columns */

bool
tr_touched_init(TrMemory *memory, TrTouched *t, int32_t cols)
{
	size_t		F = (size_t) cols + 8;

	*t = (TrTouched) {.cols = cols, .index = tr_alloc(memory, F * sizeof(int32_t)),
	.place = tr_alloc(memory, F * sizeof(int32_t)), .mark = tr_calloc(memory, F, 1)};
	return t->index && t->place && t->mark;
}

/* index, place = the marked columns, whose marks go; eight marks are looked at together, as most are not set */
static void
collect(TrTouched *t)
{
	t->n = 0;
	for (int32_t from = 0; from < t->cols; from += 8)
	{
		uint64_t	eight;

		memcpy(&eight, t->mark + from, sizeof(eight));
		if (eight == 0)
			continue;
		for (int32_t col = from; col < from + 8; col++)
			if (t->mark[col])
			{
				t->place[col] = t->n;
				t->index[t->n++] = col;
			}
		memset(t->mark + from, 0, sizeof(eight));
	}
}

void
tr_touched_find(TrTouched *t, TrRows *const *rows, int n)
{
	for (int k = 0; k < n; k++)
		for (int64_t e = 0; e < tr_rows_entries(rows[k]); e++)
			t->mark[rows[k]->col[e]] = 1;
	collect(t);
	for (int k = 0; k < n; k++)
		for (int64_t e = 0; e < tr_rows_entries(rows[k]); e++)
			rows[k]->slot[e] = t->place[rows[k]->col[e]];
}

/* ------------------------------------------------------------------ order */

void
tr_shuffle(int32_t *order, int32_t n, uint64_t seed, int epoch)
{
	uint64_t	key = tr_random_key(seed, TR_STREAM_SHUFFLE, (uint64_t) epoch);

	for (int32_t i = n - 1; i > 0; i--)
	{
		int32_t		j = (int32_t) (tr_random_of(key, (uint64_t) i) % ((uint64_t) i + 1));
		int32_t		swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}
