/*
 * The principal axes of a matrix's rows, and how many of them to code. Whatever is decided here, bounds are bounds: it
 * decides how tight they are, and how many bytes they take.
 *
 * Axes come from the Gram matrix of a sample by orthogonal iteration, which has the strongest first.
 */
#include <math.h>
#include <string.h>

#include "core/codes_work.h"
#include "core/orthonormal.h"
#include "core/rng.h"
#include "core/simd.h"

#define BLOCK TR_CODES_BLOCK
#define ROUNDS 12

/* The sample for the Gram matrix: rows, and multiplications at most. */
#define MOST_ROWS 4096
#define MOST_PRODUCTS (INT64_C(1) << 28)

/* Rows of the sample that are queries in the trial. */
#define TRIALS 16

/* A row that has to be looked at costs so many times its bytes: it lies alone. */
#define ALONE 2

/* ------------------------------------------------------------------ memory */

static size_t
bytes_of(size_t n, size_t size)
{
	return (n * size + 63) / 64 * 64;
}

static size_t
most_axes(size_t unit)
{
	size_t		axes = (unit + BLOCK - 1) / BLOCK * BLOCK;

	return axes > TR_CODES_AXES ? axes : TR_CODES_AXES;
}

/* Lays the parts out behind *w, when it is not NULL; returns their size. */
static size_t
lay_out_work(TrCodesWork *w, size_t unit, size_t stride)
{
	size_t		most = most_axes(unit);
	const size_t size[] = {
		bytes_of(1, sizeof(TrCodesWork)),
		bytes_of(unit * unit, sizeof(double)),
		bytes_of(TR_CODES_AXES * unit, sizeof(double)),
		bytes_of(TR_CODES_AXES * unit, sizeof(double)),
		bytes_of(TR_CODES_AXES * stride, sizeof(float)),
		bytes_of(most, sizeof(float)),
		bytes_of(most * TR_CODES_TILE, sizeof(float)),
		bytes_of(most * TR_CODES_TILE, sizeof(float)),
		bytes_of(TR_CODES_SAMPLE * (TR_CODES_AXES + 2), sizeof(float))
	};
	char	   *at[9];
	size_t		total = 0;

	for (int i = 0; i < 9; i++)
	{
		at[i] = (char *) w + total;
		total += size[i];
	}
	if (w)
		*w = (TrCodesWork) {
			(double *) at[1], (double *) at[2], (double *) at[3], (float *) at[4], (float *) at[5], (float *) at[6],
			(float *) at[7], (float *) at[8]
		};
	return total;
}

size_t
tr_codes_work(int unit, size_t stride)
{
	return lay_out_work(NULL, (size_t) unit, stride);
}

/* ------------------------------------------------------------------ axes */

static TR_CLONES void
add_row(double *gram, const float *x, int unit)
{
	for (int i = 0; i < unit; i++)
		for (int j = 0; j < unit; j++)
			gram[(size_t) i * (size_t) unit + (size_t) j] += (double) x[i] * x[j];
}

static void
form_gram(double *gram, const float *matrix, int32_t rows, int unit, size_t stride)
{
	int64_t		most = MOST_PRODUCTS / ((int64_t) unit * unit);
	int32_t		sample = rows < MOST_ROWS ? rows : MOST_ROWS;

	if (sample > most)
		sample = (int32_t) most;
	memset(gram, 0, (size_t) unit * (size_t) unit * sizeof(double));
	for (int32_t i = 0; i < sample; i++)
		add_row(gram, matrix + (size_t) ((int64_t) i * rows / sample) * stride, unit);
}

static void
find_axes(TrCodesWork *w, int unit, size_t stride)
{
	size_t		u = (size_t) unit;

	for (size_t i = 0; i < TR_CODES_AXES * u; i++)
		w->basis[i] = tr_uniform(1, 0, 0, i) - 0.5;
	tr_orthonormalize(w->basis, TR_CODES_AXES, unit);
	for (int round = 0; round < ROUNDS; round++)
	{
		memset(w->image, 0, TR_CODES_AXES * u * sizeof(double));
		for (size_t a = 0; a < TR_CODES_AXES; a++)
			for (size_t k = 0; k < u; k++)
				tr_add_times(w->image + a * u, w->gram + k * u, w->basis[a * u + k], unit);
		memcpy(w->basis, w->image, TR_CODES_AXES * u * sizeof(double));
		tr_orthonormalize(w->basis, TR_CODES_AXES, unit);
	}
	memset(w->axis, 0, TR_CODES_AXES * stride * sizeof(float));
	for (size_t a = 0; a < TR_CODES_AXES; a++)
		for (size_t k = 0; k < u; k++)
			w->axis[a * stride + k] = (float) w->basis[a * u + k];
}

/* |V V' - I|, of the axes that are not zero, and a little more. */
static float
slant_of(const float *axis, int axes, int unit, size_t stride)
{
	double		sum = 0;

	for (int a = 0; a < axes; a++)
		for (int b = 0; b < axes; b++)
		{
			double		dot = 0;

			for (int k = 0; k < unit; k++)
				dot += (double) axis[(size_t) a * stride + (size_t) k] * axis[(size_t) b * stride + (size_t) k];
			if (a == b && dot > 0.5)
				dot -= 1;
			sum += dot * dot;
		}
	return tr_codes_up(sqrt(sum) + 1e-12);
}

void
tr_codes_store_axes(const TrCodes *codes, float *axis, float *back, const TrCodesWork *work)
{
	memcpy(axis, work->axis, (size_t) codes->axes * (size_t) codes->stride * sizeof(float));
	for (size_t k = 0; k < (size_t) codes->unit; k++)
		for (size_t a = 0; a < (size_t) codes->axes; a++)
			back[k * (size_t) codes->axes + a] = axis[a * (size_t) codes->stride + k];
}

/* ------------------------------------------------------------------ how many */

/* The sample's parts on the axes (S,64), and what each number of axes leaves: |rest| after half of them, and after all. */
static void
sample_parts(TrCodesWork *w, const float *matrix, int32_t rows, int32_t sample, int unit, size_t stride)
{
	for (int32_t i = 0; i < sample; i++)
	{
		const float *x = matrix + (size_t) ((int64_t) i * rows / sample) * stride;
		float	   *part = w->sample + (size_t) i * (TR_CODES_AXES + 2);
		double		left = 0;

		tr_dot_block(part, TR_CODES_AXES, x, 1, w->axis, TR_CODES_AXES, stride);
		for (int k = 0; k < unit; k++)
			left += (double) x[k] * x[k];
		for (int a = 0; a < TR_CODES_AXES; a++)
		{
			left -= (double) part[a] * part[a];
			if (a + 1 == TR_CODES_AXES / 2)
				part[TR_CODES_AXES] = (float) sqrt(left > 0 ? left : 0);
		}
		part[TR_CODES_AXES + 1] = (float) sqrt(left > 0 ? left : 0);
	}
}

static float
part_product(const float *x, const float *y, int axes)
{
	float		sum = 0;

	for (int a = 0; a < axes; a++)
		sum += x[a] * y[a];
	return sum;
}

/* The share of a sample's rows whose bound after so many axes reaches the second best product, in a few trials. */
static double
share_left(const TrCodesWork *w, const float *matrix, int32_t rows, int32_t sample, size_t stride, int axes)
{
	int			rest = TR_CODES_AXES + (axes == TR_CODES_AXES);
	int64_t		left = 0;

	for (int t = 0; t < TRIALS; t++)
	{
		int32_t		query = (int32_t) ((int64_t) t * sample / TRIALS);
		const float *q = w->sample + (size_t) query * (TR_CODES_AXES + 2);
		const float *x = matrix + (size_t) ((int64_t) query * rows / sample) * stride;
		float		best = -INFINITY;

		for (int32_t i = 0; i < sample; i++)
			if (i != query)
				best = fmaxf(best, tr_dot(x, matrix + (size_t) ((int64_t) i * rows / sample) * stride, stride));
		for (int32_t i = 0; i < sample; i++)
		{
			const float *y = w->sample + (size_t) i * (TR_CODES_AXES + 2);

			left += part_product(q, y, axes) + q[rest] * y[rest] >= best;
		}
	}
	return (double) left / ((double) sample * TRIALS);
}

/* Bytes that a query reads of a row, on average. */
static double
cost(int axes, double share, size_t stride)
{
	return axes + 3 * sizeof(float) + share * (double) (stride * sizeof(float)) * ALONE;
}

static void
choose_axes(TrCodes *plan, const TrCodesWork *w, const float *matrix, int32_t sample)
{
	size_t		stride = (size_t) plan->stride;
	double		least = cost(plan->axes, 0.001, stride);

	for (int axes = TR_CODES_AXES / 2; axes <= TR_CODES_AXES && axes < plan->unit; axes *= 2)
	{
		double		estimate = cost(axes, share_left(w, matrix, plan->rows, sample, stride, axes), stride);

		if (estimate < least)
		{
			least = estimate;
			plan->axes = axes;
			plan->principal = 1;
		}
	}
}

bool
tr_codes_plan(TrCodes *plan, const float *matrix, int32_t rows, int width, int unit, size_t stride, void *work)
{
	TrCodesWork *w = work;

	memset(plan, 0, sizeof(*plan));
	if (unit < 1 || unit > TR_CODES_MOST_UNIT || width - unit > TR_CODES_MOST_EXTRA || rows < TR_CODES_LEAST_ROWS)
		return false;
	lay_out_work(w, (size_t) unit, stride);
	plan->rows = rows;
	plan->width = width;
	plan->unit = unit;
	plan->stride = (int32_t) stride;
	plan->axes = (unit + BLOCK - 1) / BLOCK * BLOCK;
	if (unit > TR_CODES_AXES / 2)
	{
		int32_t		sample = rows < TR_CODES_SAMPLE ? rows : TR_CODES_SAMPLE;

		form_gram(w->gram, matrix, rows, unit, stride);
		find_axes(w, unit, stride);
		sample_parts(w, matrix, rows, sample, unit, stride);
		choose_axes(plan, w, matrix, sample);
		if (plan->principal)
			plan->slant = slant_of(w->axis, plan->axes, unit, stride);
	}
	tr_codes_lay_out(plan);
	return (size_t) plan->axes * 2 < stride * sizeof(float);
}
