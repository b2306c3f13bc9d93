/*
 * Plain draws from normal distributions. Legend: R rows, D numbers of a row.
 */
#include <math.h>

#include "core/plain.h"
#include "core/rng.h"

/* The number that element i of step's draws is a deviation by; none in step 0. */
static double
deviation(uint64_t seed, uint64_t step, size_t i)
{
	return step > 0 ? tr_normal(seed, TR_STREAM_LATENT, step, i) : 0;
}

void
tr_plain_latent(TrBackend *b, float *z, const float *x, int R, int D, uint64_t seed, uint64_t step)
{
	(void) b;
	for (size_t r = 0; r < (size_t) R; r++)
		for (size_t d = 0; d < (size_t) D; d++)
		{
			const float *row = x + 2 * r * (size_t) D;
			size_t		i = r * (size_t) D + d;

			z[i] = (float) (row[d] + exp(0.5 * row[(size_t) D + d]) * deviation(seed, step, i));
		}
}

void
tr_plain_latent_backward(TrBackend *b, float *dx, const float *dz, const float *x, int R, int D, uint64_t seed,
						 uint64_t step, float scale, double *loss)
{
	double		sum = 0;

	(void) b;
	for (size_t r = 0; r < (size_t) R; r++)
		for (size_t d = 0; d < (size_t) D; d++)
		{
			size_t		mean = 2 * r * (size_t) D + d;
			size_t		log_variance = mean + (size_t) D;
			size_t		i = r * (size_t) D + d;
			double		variance = exp(x[log_variance]);

			sum += (variance + (double) x[mean] * x[mean] - 1 - x[log_variance]) / 2;
			dx[mean] = (float) (dz[i] + (double) scale * x[mean]);
			dx[log_variance] = (float) (0.5 * dz[i] * sqrt(variance) * deviation(seed, step, i) + scale * (variance - 1) / 2);
		}
	*loss += scale * sum;
}
