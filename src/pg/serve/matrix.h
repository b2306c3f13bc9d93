/*
 * The embeddings of a version's items, or users, as one matrix in memory, rows in the order of the keys.
 */
#ifndef TAGREC_MATRIX_H
#define TAGREC_MATRIX_H

#include "postgres.h"

#include "core/codes.h"
#include "pg/serve/mapped.h"
#include "pg/store/read.h"

typedef struct TagrecMatrix
{
	MemoryContext context;		/* holds all of it */
	Size		bytes;
	int32		rows;
	int			width;			/* of the stored arrays */
	int			unit_width;		/* the part that similarity compares */
	size_t		stride;
	float	   *value;			/* (rows,width), rows stride floats apart, padded as core/dot.h says */
	float	   *unit_norm;		/* (rows) length of a row's first unit_width entries */
	Oid			key_type;
	Oid			collation;
	Datum	   *key;			/* (rows) NULL = they lie at key_bytes + key_at (rows) */
	const char *key_bytes;
	const uint64 *key_at;
	const TrCodes *codes;		/* NULL = none so far, or none at all */
	int			searches;		/* by whom codes were missed */
	TagrecMapping mapping;		/* what sessions share of all this, if they do */
} TagrecMatrix;

/* Of a table of items, or of users. The matrix is in a context of its own below the current one. */
extern TagrecMatrix *tagrec_matrix(TagrecTable *table);
extern void tagrec_matrix_free(TagrecMatrix *matrix);

/* The row of a key of the type key_type, by its default order; -1 when there is none. */
extern int32 tagrec_matrix_find(const TagrecMatrix *matrix, Datum key);

static inline const float *
tagrec_matrix_row(const TagrecMatrix *matrix, int32 row)
{
	return matrix->value + (size_t) row * matrix->stride;
}

/*
 * The codes of the rows; NULL when there are none. They take about the time of twenty plain scans to make, so that a
 * session makes them for its own matrix when it comes back for more.
 */
extern const TrCodes *tagrec_matrix_codes(TagrecMatrix *matrix);

static inline Datum
tagrec_matrix_key(const TagrecMatrix *matrix, int32 row)
{
	return matrix->key ? matrix->key[row] : PointerGetDatum(matrix->key_bytes + matrix->key_at[row]);
}

/* A vector of zeros in the current context, aligned and padded to be multiplied with rows this wide. */
extern float *tagrec_padded_vectors(int n, int width);

extern float tagrec_norm(const float *x, int n);

#endif
