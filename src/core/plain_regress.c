/*
 * Plain ridge regression of many rows: the normal equations of each, solved by Cholesky's factorisation in double.
 * Legend: R rows, T rows of v, D width.
 */
#include "core/cholesky.h"
#include "core/plain.h"

#include <string.h>

/* a (D,D) = gram + ridge I + sum of c v v^T, y (D) = sum of c v, over entries first..end-1; returns sum of c */
static double
normal_equations(double *a, double *y, const TrCsr *x, int64_t first, int64_t end, const float *v, const float *gram,
				 double ridge, int D)
{
	double		total = 0;

	for (int i = 0; i < D; i++)
	{
		for (int j = 0; j < D; j++)
			a[(size_t) i * D + j] = gram[(size_t) i * D + j] + (i == j ? ridge : 0);
		y[i] = 0;
	}
	for (int64_t e = first; e < end; e++)
	{
		const float *row = v + (size_t) x->col[e] * D;

		for (int i = 0; i < D; i++)
		{
			for (int j = 0; j < D; j++)
				a[(size_t) i * D + j] += (double) x->val[e] * row[i] * row[j];
			y[i] += (double) x->val[e] * row[i];
		}
		total += x->val[e];
	}
	return total;
}

/* out[r] (D) = argmin f_r; loss += sum of f_r there, which is sum of c - y . w */
void
tr_plain_regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge,
					  int D, double *loss)
{
	TrPlain    *plain = (TrPlain *) b;
	double	   *a = tr_plain_scratch(b, sizeof(double) * ((size_t) D * D + 2 * (size_t) D));

	if (!a)
		return;
	for (int r = 0; r < x->rows; r++)
	{
		double	   *y = a + (size_t) D * D;
		double	   *w = y + D;
		double		total = normal_equations(a, y, x, x->ptr[r], x->ptr[r + 1], v, gram, ridge[r], D);

		memcpy(w, y, sizeof(double) * D);
		if (!tr_cholesky(a, D))
		{
			if (plain->error.status == TR_OK)
				tr_fail(&plain->error, TR_NOT_FINITE, "the normal equations of row %d are not positive definite", r);
			break;
		}
		tr_cholesky_solve(w, a, D);
		for (int i = 0; i < D; i++)
		{
			out[(size_t) r * D + i] = (float) w[i];
			total -= y[i] * w[i];
		}
		*loss += total;
	}
	tr_free(&plain->memory, a);
}
