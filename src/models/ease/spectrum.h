/*
 * The leading eigenvectors of X X^T, for sparse X that is too large for the product to be made.
 * Legend: n rows of X, m columns, r eigenvectors.
 */
#ifndef TR_SPECTRUM_H
#define TR_SPECTRUM_H

#include "models/base.h"

/* A sparse matrix in backend memory; its ptr on the host, too, to cut it into pieces of equal work by. */
typedef struct TrSpectrumSide
{
	TrCsr		x;
	const int64_t *ptr;			/* (rows+1) host memory */
} TrSpectrumSide;

/* out (rows,H) = rows first..first+rows-1 of x, times w (x.cols,H), looking for a cancel in between; scaled by nothing */
extern TrStatus tr_spectrum_multiply(TrBackend *b, float *out, const TrSpectrumSide *side, int32_t first, int32_t rows,
									 const float *w, int H, const TrPoll *poll);

/* Adds a part to the work that is told: blocks of columns. */
typedef struct TrSpectrum
{
	int			rank;			/* r, at most n */
	float	   *vectors;		/* (n,r) backend memory of the work: orthonormal columns, or columns of zeros */
	double	   *values;			/* (r) descending, host memory of the work: what |X^T v|^2 is of the vector; >= 0 */
} TrSpectrum;

/* by_row is X, by_column its transpose. The same bits for the same X, whatever the number of threads. */
extern TrStatus tr_spectrum(TrSpectrum *s, TrModel *work, const TrSpectrumSide *by_row, const TrSpectrumSide *by_column,
							int rank, const TrPoll *poll, TrError *err);

/* Bytes that it takes at its peak, the vectors included. */
extern size_t tr_spectrum_bytes(double n, double m, double rank);

#endif
