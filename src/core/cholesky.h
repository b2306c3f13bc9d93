/*
 * Small systems of linear equations with a positive definite matrix.
 */
#ifndef TR_CHOLESKY_H
#define TR_CHOLESKY_H

#include <stdbool.h>

/* a (D,D) = L L^T in its lower triangle; false when a is not positive definite */
extern bool tr_cholesky(double *a, int D);

/* w (D), which is y on entry: L L^T w = y */
extern void tr_cholesky_solve(double *w, const double *l, int D);

#endif
