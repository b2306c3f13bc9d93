/*
 * Eigenvectors of a symmetric matrix, by LAPACK on one thread: what its ssyevd() does, divide and conquer, in parts between
 * which the caller may be asked whether they are still wanted.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"

/* Columns that are brought to tridiagonal form together, and what is left for one by one, as LAPACK has it */
#define PANEL 32

/* Of a matrix larger than this, so many eigenvectors are transformed between two questions: in about a second at the most. */
#define LARGE 2048
#define COLUMNS 256

/* LAPACK of OpenBLAS, with Fortran's conventions (including the lengths of strings, which are unused). */
extern void slatrd_(const char *uplo, const int *n, const int *columns, float *a, const int *lda, float *beside, float *tau,
					float *w, const int *ldw, size_t uplo_length);
extern void ssytd2_(const char *uplo, const int *n, float *a, const int *lda, float *diagonal, float *beside, float *tau,
					int *info, size_t uplo_length);
extern void sstedc_(const char *job, const int *n, float *diagonal, float *beside, float *z, const int *ldz, float *work,
					const int *work_size, int *whole, const int *whole_size, int *info, size_t job_length);
extern void sormtr_(const char *side, const char *uplo, const char *trans, const int *m, const int *n, const float *a,
					const int *lda, const float *tau, float *c, const int *ldc, float *work, const int *work_size,
					int *info, size_t side_length, size_t uplo_length, size_t trans_length);

typedef struct Eigen
{
	TrBackend  *b;
	int			n;
	float	   *a;				/* (n,n), the lower triangle by columns; then the reflections that make it tridiagonal */
	float	   *values;			/* (n) */
	float	   *beside;			/* (n) */
	float	   *tau;			/* (n) */
	float	   *z;				/* (n,n) */
	float	   *work;			/* (work_size), as large as ssyevd()'s: with more LAPACK goes about it otherwise */
	int			work_size;
	int		   *whole;			/* (whole_size) */
	int			whole_size;
} Eigen;

/* values and beside = the tridiagonal matrix that is similar to a; false = it is no longer wanted */
static bool
make_tridiagonal(Eigen *e, int *info)
{
	int			columns = PANEL;
	int			first = 0;
	int			left = e->n;

	for (; left > PANEL; first += PANEL, left -= PANEL)
	{
		float	   *corner = e->a + (size_t) first * e->n + first;

		if (tr_give_up(e->b))
			return false;
		slatrd_("L", &left, &columns, corner, &e->n, e->beside + first, e->tau + first, e->work, &e->n, 1);
		cblas_ssyr2k(CblasColMajor, CblasLower, CblasNoTrans, left - PANEL, PANEL, -1, corner + PANEL, e->n, e->work + PANEL,
					 e->n, 1, corner + (size_t) PANEL * e->n + PANEL, e->n);
		for (int j = 0; j < PANEL; j++)
		{
			corner[(size_t) j * e->n + j + 1] = e->beside[first + j];
			e->values[first + j] = corner[(size_t) j * e->n + j];
		}
	}
	ssytd2_("L", &left, e->a + (size_t) first * e->n + first, &e->n, e->values + first, e->beside + first, e->tau + first, info,
			1);
	return true;
}

/* z = the eigenvectors of a, by those of the tridiagonal matrix; of a large one, some columns at a time */
static void
reflect(Eigen *e, int *info)
{
	int			most = e->n > LARGE ? COLUMNS : e->n;
	int			columns;

	for (int first = 0; *info == 0 && first < e->n && !tr_give_up(e->b); first += columns)
	{
		/* the last ones are no fewer: of very few the results would be rounded otherwise */
		columns = e->n - first < 2 * most ? e->n - first : most;
		sormtr_("L", "L", "N", &e->n, &columns, e->a, &e->n, e->tau, e->z + (size_t) first * (size_t) e->n, &e->n, e->work,
				&e->work_size, info, 1, 1, 1);
	}
}

/*
 * a (n,n) = its eigenvectors; LAPACK leaves them in columns, which are rows here; values (n) ascend.
 * sstedc_() is one piece.
 */
static void
solve(Eigen *e, int *info)
{
	if (!make_tridiagonal(e, info) || tr_give_up(e->b))
		return;
	sstedc_("I", &e->n, e->values, e->beside, e->z, &e->n, e->work, &e->work_size, e->whole, &e->whole_size, info, 1);
	if (*info != 0)
		return;
	reflect(e, info);
	if (tr_give_up(e->b))
		return;
	for (size_t i = 0; i < (size_t) e->n * (size_t) e->n; i++)
		e->a[i] = e->z[i];
}

void
tr_cpu_symmetric_eigen(TrBackend *b, float *a, float *values, int n)
{
	TrError    *error = &tr_cpu(b)->error;
	size_t		square = (size_t) n * (size_t) n;
	Eigen		e = {.b = b, .n = n, .a = a, .values = values, .work_size = 1 + 4 * n + n * n, .whole_size = 3 + 5 * n};
	int			info = 0;

	if (n <= 0)
		return;
	e.work = tr_cpu_scratch(b, sizeof(float) * ((size_t) e.work_size + square + 2 * (size_t) n)
							+ sizeof(int) * (size_t) e.whole_size);
	if (!e.work)
		return;
	e.z = e.work + e.work_size;
	e.beside = e.z + square;
	e.tau = e.beside + n;
	e.whole = (int *) (e.tau + n);
	for (size_t i = 0; i < square; i++)
		if (!__builtin_isfinite(a[i]))
			info = 1;
	if (info == 0)
		solve(&e, &info);
	if (info != 0 && error->status == TR_OK)
		tr_fail(error, TR_NOT_FINITE, "could not compute the eigenvectors of a matrix of %d x %d", n, n);
}
