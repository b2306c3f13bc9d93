/*
 * Orthonormal vectors. See orthonormal.h.
 */
#include "core/orthonormal.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/simd.h"

TR_CLONES double
tr_product(const double *x, const double *y, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += x[k] * y[k];
	return sum;
}

TR_CLONES void
tr_add_times(double *x, const double *y, double factor, int n)
{
	for (int k = 0; k < n; k++)
		x[k] += factor * y[k];
}

void
tr_orthonormalize(double *basis, int n, int width)
{
	for (int a = 0; a < n; a++)
	{
		double	   *x = basis + (size_t) a * (size_t) width;
		double		before = sqrt(tr_product(x, x, width));
		double		after;

		for (int twice = 0; twice < 2; twice++)
			for (int b = 0; b < a; b++)
			{
				const double *y = basis + (size_t) b * (size_t) width;

				tr_add_times(x, y, -tr_product(x, y, width), width);
			}
		after = sqrt(tr_product(x, x, width));
		if (!(after > 1e-9 * before) || !(after > 1e-200))
			memset(x, 0, (size_t) width * sizeof(double));
		else
			for (int k = 0; k < width; k++)
				x[k] /= after;
	}
}
