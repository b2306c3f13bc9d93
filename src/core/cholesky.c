/*
 * Cholesky's factorisation of small matrices, in double. See cholesky.h.
 */
#include "core/cholesky.h"

#include <math.h>
#include <stddef.h>

bool
tr_cholesky(double *a, int D)
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

void
tr_cholesky_solve(double *w, const double *l, int D)
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
