/*
 * The inverse of a large symmetric positive definite matrix, on any backend that can multiply matrices.
 */
#ifndef TR_INVERSE_H
#define TR_INVERSE_H

#include "models/base.h"

/*
 * a (n,n), backend memory, becomes its inverse; of the input only the lower triangle is read. what names the matrix in
 * errors: TR_NOT_FINITE when it is not positive definite to single precision.
 */
extern TrStatus tr_invert(const TrModel *model, float *a, int n, const char *what, const TrPoll *poll, TrError *err);

/* Bytes it needs beside the matrix. */
extern size_t tr_invert_bytes(int64_t n);

#endif
