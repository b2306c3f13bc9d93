/*
 * EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019): every column of a sparse matrix explained
 * by all the others, in closed form.
 *
 *     weights B (C,N): minimise over every column j: |X b_j - x_j|^2 + lambda |b_j|^2 with b_jj = 0
 *     P = (X^T X + lambda I)^-1,  B[f,j] = -P[f,j] / P[j,j]
 *
 * Legend: M rows of X, C columns, N of them targets: the first ones.
 */
#ifndef TR_EASE_SOLVE_H
#define TR_EASE_SOLVE_H

#include "models/base.h"

typedef enum TrEaseMethod
{
	TR_EASE_AUTO,
	TR_EASE_PRIMAL,				/* inverts (C,C) */
	TR_EASE_DUAL				/* inverts (M,M) */
} TrEaseMethod;

/* X both ways, in host memory; columns ascend within a row, rows within a column. */
typedef struct TrEaseData
{
	int32_t		targets;		/* N */
	TrCsr		by_row;			/* (M,C) */
	TrCsr		by_column;		/* (C,M) */
} TrEaseData;

/* B in sparse rows, in host memory: feature f weighs target index[ptr[f] .. ptr[f + 1]). */
typedef struct TrEaseWeights
{
	int64_t    *ptr;			/* (C+1) */
	int32_t    *index;			/* ascending within a row */
	float	   *value;
	double		loss;			/* the minimum, summed over the targets */
} TrEaseWeights;

typedef struct TrEaseSettings
{
	double		lambda;
	int			neighbours;		/* weights kept of a row, those of the largest absolute value; 0 = all */
	int			method;			/* TrEaseMethod */
} TrEaseSettings;

/* Fills by_column from by_row, whose arrays stay the caller's; tr_ease_data_free() frees both ways. */
extern TrStatus tr_ease_transpose(TrEaseData *data, TrMemory *memory, TrError *err);
extern void tr_ease_data_free(TrEaseData *data, TrMemory *memory);

extern TrStatus tr_ease_solve(TrEaseWeights *weights, TrMemory *memory, TrBackend *b, const TrEaseData *data,
							  const TrEaseSettings *settings, const TrPoll *poll, TrError *err);
extern void tr_ease_weights_free(TrEaseWeights *weights, TrMemory *memory);

/* Row f of B. */
extern TrSparse tr_ease_row(const TrEaseWeights *weights, int32_t feature);

/* Bytes that solving takes, the weights included and the data not. */
extern size_t tr_ease_bytes(double M, double C, double N, double entries, const TrEaseSettings *settings);

#endif
