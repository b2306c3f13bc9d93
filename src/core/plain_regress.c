/*
 * Plain ridge regression of many rows: the normal equations of each, solved by Cholesky's factorisation in double.
 * Legend: R rows, T rows of v, D width.
 */
#include "core/plain.h"

#include <math.h>
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

/* a = L L^T in its lower triangle; false when a is not positive definite */
static bool
factorise(double *a, int D)
{
	for (int j = 0; j < D; j++)
		for (int i = j; i < D; i++)
		{
			double		sum = a[(size_t) i * D + j];

			for (int k = 0; k < j; k++)
				sum -= a[(size_t) i * D + k] * a[(size_t) j * D + k];
			if (i == j && !(sum > 0))
				return false;
			a[(size_t) i * D + j] = i == j ? sqrt(sum) : sum / a[(size_t) j * D + j];
		}
	return true;
}

/* w (D) = y on entry: L L^T w = y */
static void
substitute(double *w, const double *l, int D)
{
	for (int i = 0; i < D; i++)
	{
		for (int k = 0; k < i; k++)
			w[i] -= l[(size_t) i * D + k] * w[k];
		w[i] /= l[(size_t) i * D + i];
	}
	for (int i = D - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < D; k++)
			w[i] -= l[(size_t) k * D + i] * w[k];
		w[i] /= l[(size_t) i * D + i];
	}
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
		if (!factorise(a, D))
		{
			if (plain->error.status == TR_OK)
				tr_fail(&plain->error, TR_NOT_FINITE, "the normal equations of row %d are not positive definite", r);
			break;
		}
		substitute(w, a, D);
		for (int i = 0; i < D; i++)
		{
			out[(size_t) r * D + i] = (float) w[i];
			total -= y[i] * w[i];
		}
		*loss += total;
	}
	tr_free(&plain->memory, a);
}
