/*
 * Plain Gaussian kernels of pairs. Sums are taken in double. Legend: P pairs, B parts of a row, D width of a part.
 */
#include "core/plain.h"

#include <math.h>

static double
kernel(const float *u, const float *v, int D, float gamma)
{
	double		sum = 0;

	for (int j = 0; j < D; j++)
		sum += ((double) u[j] - v[j]) * ((double) u[j] - v[j]);
	return exp(-gamma * sum);
}

/* score[p] = scale * sum over the parts of exp(-gamma |u[row[p]] - v[p]|^2) */
void
tr_plain_gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B,
						 int D, float gamma, float scale)
{
	(void) b;
	for (int p = 0; p < P; p++)
	{
		double		sum = 0;

		for (int part = 0; part < B; part++)
			sum += kernel(u + ((size_t) row[p] * B + part) * D, v + ((size_t) p * B + part) * D, D, gamma);
		score[p] = (float) (scale * sum);
	}
}

/* du[row[p]] += f (v[p] - u[row[p]]); dv[p] = f (u[row[p]] - v[p]), part by part, f = 2 gamma scale dscore[p] kernel */
void
tr_plain_gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
								  const int32_t *row, int P, int B, int D, float gamma, float scale)
{
	(void) b;
	for (int p = 0; p < P; p++)
		for (int part = 0; part < B; part++)
		{
			size_t		at = ((size_t) row[p] * B + part) * D;
			size_t		to = ((size_t) p * B + part) * D;
			float		f = (float) (2 * gamma * scale * dscore[p] * kernel(u + at, v + to, D, gamma));

			for (int j = 0; j < D; j++)
			{
				du[at + j] += f * (v[to + j] - u[at + j]);
				dv[to + j] = f * (u[at + j] - v[to + j]);
			}
		}
}
