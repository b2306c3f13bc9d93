/*
 * Eigenvectors of a symmetric matrix, on the host: it is small, there is one in a training, and its steps depend on each
 * other. The floor is 9 n^3 operations there, five seconds at n = 1,000.
 */
#include <stdlib.h>

#include "core/eigen.h"
#include "cuda_common.cuh"

/* a (n,n) and values (n) on the host; false when there are no eigenvectors */
static bool
solve(float *a, float *values, double *work, int n)
{
	size_t		square = (size_t) n * n;
	double	   *copy = work;
	bool		solved;

	for (size_t i = 0; i < square; i++)
		copy[i] = a[i];
	solved = tr_eigen(copy, copy + square, copy + square + n, n);
	for (size_t i = 0; i < square; i++)
		a[i] = (float) copy[i];
	for (int i = 0; i < n; i++)
		values[i] = (float) copy[square + i];
	return solved;
}

/* a (n,n) = its eigenvectors, in rows; values (n) ascend */
void
tr_cuda_symmetric_eigen(TrBackend *b, float *a, float *values, int n)
{
	TrError    *error = &tr_cuda(b)->error;
	size_t		square = (size_t) n * n;
	double	   *work;
	float	   *host;

	if (n <= 0 || tr_cuda_failed(b))
		return;
	work = (double *) malloc(sizeof(double) * (square + n + TR_EIGEN_WORK(n)) + sizeof(float) * (square + n));
	if (!work)
	{
		tr_fail(error, TR_NO_MEMORY, "out of memory");
		return;
	}
	host = (float *) (work + square + n + TR_EIGEN_WORK(n));
	tr_cuda_download(b, host, a, square * sizeof(float));
	if (!tr_cuda_failed(b) && !solve(host, host + square, work, n))
		tr_fail(error, TR_NOT_FINITE, "could not compute the eigenvectors of a matrix of %d x %d", n, n);
	tr_cuda_upload(b, a, host, square * sizeof(float));
	tr_cuda_upload(b, values, host + square, (size_t) n * sizeof(float));
	free(work);
}
