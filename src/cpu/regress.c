/*
 * Ridge regression of many rows: the normal equations of each by ssyrk over its gathered rows of v, their solution by
 * LAPACK's Cholesky, both of OpenBLAS on the thread that has the task.
 * Legend: R rows, D width, C entries gathered at a time.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

#define GATHER 64				/* C */
#define MOST_TASKS 32

/* LAPACK of OpenBLAS, with Fortran's conventions (including the lengths of strings, which are unused). */
extern void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t length);
extern void spotrs_(const char *uplo, const int *n, const int *columns, const float *a, const int *lda, float *y,
					const int *ldy, int *info, size_t length);

typedef struct Regression
{
	float	   *out;
	const TrCsr *x;
	const float *v;
	const float *gram;
	const float *ridge;
	int			D;
	int			rows;			/* per task */
	float	   *work;			/* (tasks, D*D + C*D + D) */
	double	   *loss;			/* (tasks) */
	int		   *failed;			/* (tasks) a row whose equations could not be solved, -1 = none */
} Regression;

static size_t
work_floats(int D)
{
	return (size_t) D * D + GATHER * (size_t) D + (size_t) D;
}

/* a (D,D), its upper triangle, = gram + ridge I + sum of c v v^T; y (D) = sum of c v; returns sum of c */
static double
normal_equations(const Regression *w, int r, float *a, float *gathered, float *y)
{
	const TrCsr *x = w->x;
	int			D = w->D;
	double		total = 0;

	memcpy(a, w->gram, sizeof(float) * D * D);
	for (int i = 0; i < D; i++)
		a[(size_t) i * D + i] += w->ridge[r];
	memset(y, 0, sizeof(float) * D);
	for (int64_t first = x->ptr[r]; first < x->ptr[r + 1]; first += GATHER)
	{
		int			n = (int) (x->ptr[r + 1] - first < GATHER ? x->ptr[r + 1] - first : GATHER);

		for (int e = 0; e < n; e++)
		{
			const float *row = w->v + (size_t) x->col[first + e] * D;
			float		weight = x->val[first + e];
			float		root = sqrtf(weight);

			for (int i = 0; i < D; i++)
			{
				gathered[(size_t) e * D + i] = root * row[i];
				y[i] += weight * row[i];
			}
			total += weight;
		}
		cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, D, n, 1, gathered, D, 1, a, D);
	}
	return total;
}

/* Row r of out, and what it adds to the loss; false when its equations could not be solved */
static bool
solve_row(const Regression *w, int r, float *work, double *loss)
{
	static const int one = 1;
	int			D = w->D;
	float	   *a = work;
	float	   *gathered = a + (size_t) D * D;
	float	   *y = gathered + GATHER * (size_t) D;
	float	   *out = w->out + (size_t) r * D;
	int			info = 0;
	double		total;

	if (w->x->ptr[r] == w->x->ptr[r + 1])
	{
		memset(out, 0, sizeof(float) * D);
		return true;
	}
	total = normal_equations(w, r, a, gathered, y);
	memcpy(out, y, sizeof(float) * D);
	/* the upper triangle by rows is the lower one by columns */
	spotrf_("L", &D, a, &D, &info, 1);
	if (info != 0)
		return false;
	spotrs_("L", &D, &one, a, &D, out, &D, &info, 1);
	for (int i = 0; i < D; i++)
		total -= (double) y[i] * out[i];
	*loss += total;
	return info == 0;
}

static void
solve_block(void *argument, int task)
{
	const Regression *w = argument;
	int			end = (int) tr_block_end(w->x->rows, w->rows, task);
	float	   *work = w->work + work_floats(w->D) * task;

	w->loss[task] = 0;
	w->failed[task] = -1;
	for (int r = task * w->rows; r < end; r++)
		if (!solve_row(w, r, work, &w->loss[task]) && w->failed[task] < 0)
			w->failed[task] = r;
}

/* out[r] (D) = argmin f_r; loss += sum of f_r there, which is sum of c - y . w */
void
tr_cpu_regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge, int D,
					double *loss)
{
	Regression	w = {.out = out, .x = x, .v = v, .gram = gram, .ridge = ridge, .D = D};
	TrError    *error = &tr_cpu(b)->error;
	int			tasks;

	w.rows = tr_blocks(x->rows, MOST_TASKS) + (x->rows == 0);
	tasks = tr_blocks(x->rows, w.rows);
	w.loss = tr_cpu_scratch(b, (sizeof(double) + sizeof(int)) * MOST_TASKS + sizeof(float) * work_floats(D) * tasks);
	if (!w.loss)
		return;
	w.failed = (int *) (w.loss + MOST_TASKS);
	w.work = (float *) (w.failed + MOST_TASKS);
	tr_cpu_run(b, solve_block, &w, tasks);
	for (int task = 0; task < tasks; task++)
	{
		*loss += w.loss[task];
		if (w.failed[task] >= 0 && error->status == TR_OK)
			tr_fail(error, TR_NOT_FINITE, "the normal equations of row %d are not positive definite", w.failed[task]);
	}
}
