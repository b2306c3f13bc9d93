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
	TR_EASE_DUAL,				/* inverts (M,M) */
	TR_EASE_SPECTRAL			/* inverts nothing: ease_spectral.h */
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

/* by_row with room for so many entries, in the memory of the work; tr_ease_transpose() fills by_column from it. */
extern TrStatus tr_ease_new_data(TrEaseData *data, TrModel *work, int32_t rows, int32_t cols, int32_t targets,
								 int64_t entries, TrError *err);
extern TrStatus tr_ease_transpose(TrEaseData *data, const TrPoll *poll);

extern TrStatus tr_ease_solve(TrEaseWeights *weights, TrModel *model, TrModel *work, const TrEaseData *data,
							  const TrEaseSettings *settings, const TrPoll *poll, TrError *err);

/* The only epoch of a model: its data, which fill() makes, and the weights, in place of earlier ones. */
typedef TrStatus (*TrEaseFill) (const TrModel *model, TrModel *work, TrEaseData *data, const TrPoll *poll, TrError *err);
extern TrStatus tr_ease_train(TrEaseWeights *weights, TrModel *model, TrEaseFill fill, const TrEaseSettings *settings,
							  const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* Row f of B. */
extern TrSparse tr_ease_row(const TrEaseWeights *weights, int32_t feature);

/* Bytes that solving takes, the weights included and the data not. */
extern size_t tr_ease_bytes(double M, double C, double N, double entries, const TrEaseSettings *settings);

#endif
