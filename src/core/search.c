/*
 * Numbers drawn for the trials of a random search. See search.h.
 */
#include "core/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"

/* FNV-1a: an option draws by its name, not by its place. */
static uint64_t
hash_name(const char *name)
{
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (; *name; name++)
		hash = (hash ^ (unsigned char) *name) * UINT64_C(1099511628211);
	return hash;
}

double
tr_search_uniform(const TrSearchDraw *draw, const char *option)
{
	uint64_t	a = (uint64_t) draw->trial << 32 | (uint32_t) draw->attempt;

	return (double) (tr_random(draw->seed, TR_STREAM_SEARCH, a, hash_name(option)) >> 11) * 0x1p-53;
}

int
tr_search_choice(const TrSearchDraw *draw, const char *option, int n)
{
	return (int) (tr_search_uniform(draw, option) * n);
}

/* low..high, evenly on the range's scale */
static double
spread(const TrSearchRange *range, double low, double high, double u)
{
	return range->log ? exp(log(low) + u * (log(high) - log(low))) : low + u * (high - low);
}

static double
six_digits(double value)
{
	char		text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	return strtod(text, NULL);
}

double
tr_search_number(const TrSearchDraw *draw, const char *option, const TrSearchRange *range)
{
	double		u = tr_search_uniform(draw, option);
	double		value;

	if (range->whole)
		value = floor(spread(range, range->min, range->max + 1, u));
	else
		value = six_digits(spread(range, range->min, range->max, u));
	return fmin(fmax(value, range->min), range->max);
}
