/*
 * Plain squared error at the entries of sparse rows. Legend: R rows, T columns.
 */
#include "core/plain.h"

#include <string.h>

void
tr_plain_squared_loss(TrBackend *b, float *z, const TrCsr *x, float scale, double *loss)
{
	size_t		T = (size_t) x->cols;
	float	   *gradient = tr_plain_scratch(b, sizeof(float) * T + 1);
	double		squares = 0;

	if (!gradient)
		return;
	for (int r = 0; r < x->rows; r++)
	{
		memset(gradient, 0, sizeof(float) * T);
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			double		error = (double) z[(size_t) r * T + x->col[e]] - x->val[e];

			squares += error * error;
			gradient[x->col[e]] = (float) (2 * scale * error);
		}
		memcpy(z + (size_t) r * T, gradient, sizeof(float) * T);
	}
	*loss += scale * squares;
	b->ops->release(b, gradient);
}
