/*
 * Eigenvectors of a symmetric matrix, by LAPACK's divide and conquer on one thread.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"

/* LAPACK of OpenBLAS, with Fortran's conventions (including the lengths of strings, which are unused). */
extern void ssyevd_(const char *job, const char *uplo, const int *n, float *a, const int *lda, float *values, float *work,
					const int *work_size, int *whole, const int *whole_size, int *info, size_t job_length,
					size_t uplo_length);

/* a (n,n) = its eigenvectors; LAPACK leaves them in columns, which are rows here; values (n) ascend */
void
tr_cpu_symmetric_eigen(TrBackend *b, float *a, float *values, int n)
{
	TrError    *error = &tr_cpu(b)->error;
	int			work_size = 1 + 6 * n + 2 * n * n;
	int			whole_size = 3 + 5 * n;
	float	   *work;
	int			info = 0;

	if (n <= 0)
		return;
	work = tr_cpu_scratch(b, sizeof(float) * (size_t) work_size + sizeof(int) * (size_t) whole_size);
	if (!work)
		return;
	for (size_t i = 0; i < (size_t) n * (size_t) n; i++)
		if (!__builtin_isfinite(a[i]))
			info = 1;
	if (info == 0)
		ssyevd_("V", "L", &n, a, &n, values, work, &work_size, (int *) (work + work_size), &whole_size, &info, 1, 1);
	if (info != 0 && error->status == TR_OK)
		tr_fail(error, TR_NOT_FINITE, "could not compute the eigenvectors of a matrix of %d x %d", n, n);
}
