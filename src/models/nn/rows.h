/*
 * What a step is put together from in host memory: sparse rows, the columns that they touch, the order of an epoch.
 *
 * Legend: R rows, F columns, E entries.
 */
#ifndef TR_ROWS_H
#define TR_ROWS_H

#include "models/nn/upload.h"

typedef struct TrRows
{
	int32_t		rows;			/* R */
	int64_t		capacity;
	int64_t    *ptr;			/* (R+1), and the end of the row that is being added */
	int32_t    *col;			/* (E) */
	float	   *val;			/* (E) */
	int32_t    *slot;			/* (E) a column's place among the touched ones; NULL where nobody asks */
} TrRows;

/* Room for so many rows; with slots, for tr_touched_find(). False = out of memory, which the model's is. */
extern bool tr_rows_init(TrMemory *memory, TrRows *rows, int32_t most, bool slots);
/* Room for so many entries more in the row that comes next */
extern bool tr_rows_reserve(TrMemory *memory, TrRows *rows, int64_t more);

/* Those of `from` behind those of rows, slots left out; false = out of memory */
extern bool tr_rows_append(TrMemory *memory, TrRows *rows, const TrRows *from);

static inline void
tr_rows_clear(TrRows *rows)
{
	rows->rows = 0;
	rows->ptr[0] = 0;
}

/* The next row, so far empty. It counts once rows->rows is one more. */
static inline void
tr_rows_start(TrRows *rows)
{
	rows->ptr[rows->rows + 1] = rows->ptr[rows->rows];
}

static inline void
tr_rows_add(TrRows *rows, int32_t col, float val)
{
	int64_t		at = rows->ptr[rows->rows + 1]++;

	rows->col[at] = col;
	rows->val[at] = val;
}

static inline int64_t
tr_rows_entries(const TrRows *rows)
{
	return rows->ptr[rows->rows];
}

/* csr = the rows once they are uploaded: three pieces, and a fourth into *slot if the rows have slots. Returns how many. */
extern int	tr_rows_pieces(TrPiece *piece, TrCsr *csr, int32_t **slot, const TrRows *rows, int32_t cols);

/* The columns that some rows have entries in. */
typedef struct TrTouched
{
	int32_t		cols;			/* F */
	int32_t		n;
	int32_t    *index;			/* (n) ascending */
	int32_t    *place;			/* (F) of a touched column in index */
	uint8_t    *mark;			/* (F, and up to a multiple of 8) zeros between calls */
} TrTouched;

extern bool tr_touched_init(TrMemory *memory, TrTouched *t, int32_t cols);
/* index = the columns of all these rows; their slots follow. */
extern void tr_touched_find(TrTouched *t, TrRows *const *rows, int n);

/* order (n) changes places, all orders being equally likely (Fisher & Yates 1938); an epoch's is its own. */
extern void tr_shuffle(int32_t *order, int32_t n, uint64_t seed, int epoch);

#endif
