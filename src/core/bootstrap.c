/*
 * Samples of users with replacement, and quantiles. See bootstrap.h.
 */
#include "core/bootstrap.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

void
tr_resample(int32_t *times, int32_t n, uint64_t seed, uint64_t sample)
{
	memset(times, 0, (size_t) n * sizeof(int32_t));
	for (int32_t draw = 0; draw < n; draw++)
		times[tr_below(seed, TR_STREAM_BOOTSTRAP, sample, (uint64_t) draw, (uint64_t) n)]++;
}

double
tr_resampled_mean(const double *value, const double *weight, const int32_t *times, int32_t n)
{
	double		total = 0;
	double		weights = 0;

	for (int32_t i = 0; i < n; i++)
	{
		double		counted = (times ? times[i] : 1) * weight[i];

		total += counted * value[i];
		weights += counted;
	}
	return total / weights;
}

double
tr_quantile(const double *sorted, int32_t n, double p)
{
	double		place = p * (n - 1);
	int32_t		below = (int32_t) floor(place);
	int32_t		above = below + 1 < n ? below + 1 : below;

	return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
