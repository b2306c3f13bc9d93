/*
 * Vectors of doubles made orthonormal.
 */
#ifndef TR_ORTHONORMAL_H
#define TR_ORTHONORMAL_H

/* x (n) . y (n) */
extern double tr_product(const double *x, const double *y, int n);

/* x (n) += factor y (n) */
extern void tr_add_times(double *x, const double *y, double factor, int n);

/* basis (n,width): Gram-Schmidt, twice; a vector that the earlier ones span becomes zero. */
extern void tr_orthonormalize(double *basis, int n, int width);

#endif
