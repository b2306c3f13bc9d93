/*
 * Plain eigenvectors of a symmetric matrix.
 */
#include "core/eigen.h"
#include "core/plain.h"

/* a (n,n) = its eigenvectors, in rows; values (n) ascend */
void
tr_plain_symmetric_eigen(TrBackend *b, float *a, float *values, int n)
{
	TrPlain    *plain = (TrPlain *) b;
	size_t		square = (size_t) n * (size_t) n;
	double	   *copy = tr_plain_scratch(b, sizeof(double) * (square + (size_t) n + TR_EIGEN_WORK(n)));

	if (!copy)
		return;
	for (size_t i = 0; i < square; i++)
		copy[i] = a[i];
	if (!tr_eigen(copy, copy + square, copy + square + n, n) && plain->error.status == TR_OK)
		tr_fail(&plain->error, TR_NOT_FINITE, "could not compute the eigenvectors of a matrix of %d x %d", n, n);
	for (size_t i = 0; i < square; i++)
		a[i] = (float) copy[i];
	for (int i = 0; i < n; i++)
		values[i] = (float) copy[square + (size_t) i];
	tr_free(&plain->memory, copy);
}
