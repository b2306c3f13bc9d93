/*
 * Plain operations on rows of embeddings: normalisation, extra columns, scores of pairs, gathering, scattering.
 * Legend: R rows, D embedding width, P pairs.
 */
#include "core/plain.h"

#include <math.h>
#include <string.h>

static double
dot(const float *x, const float *y, int n)
{
	double		sum = 0;

	for (int j = 0; j < n; j++)
		sum += (double) x[j] * y[j];
	return sum;
}

/* out[r] = scale x[r] / norm[r], norm[r] = |x[r]|, or INFINITY below 1e-12 */
void
tr_plain_normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
	(void) b;
	for (int r = 0; r < R; r++)
	{
		const float *row = x + (size_t) r * D;
		float		length = (float) sqrt(dot(row, row, D));

		/* written so that a NaN stays one */
		norm[r] = length < 1e-12f ? INFINITY : length;
		for (int j = 0; j < D; j++)
			out[(size_t) r * ld + j] = scale * row[j] / norm[r];
	}
}

/* dx (R,D) = scale (dy - y (y . dy)) / norm, y = out / scale */
void
tr_plain_normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R,
							int D, float scale)
{
	(void) b;
	for (int r = 0; r < R; r++)
	{
		const float *g = dy + (size_t) r * ld;
		const float *y = out + (size_t) r * ld;
		double		along = dot(y, g, D) / ((double) scale * scale);

		for (int j = 0; j < D; j++)
			dx[(size_t) r * D + j] = (float) (scale * (g[j] - y[j] * along) / norm[r]);
	}
}

void
tr_plain_fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R)
{
	(void) b;
	for (int r = 0; r < R; r++)
		out[(size_t) r * ld] = (weight ? weight[0] : 1) * (feature ? feature[r] : 1);
}

void
tr_plain_fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R)
{
	double		sum = 0;

	(void) b;
	for (int r = 0; r < R; r++)
		sum += (double) dy[(size_t) r * ld] * (feature ? feature[r] : 1);
	dweight[0] += (float) sum;
}

/* score (P) = u[row[p]] . v[p] */
void
tr_plain_pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
	(void) b;
	for (int p = 0; p < P; p++)
		score[p] = (float) dot(u + (size_t) row[p] * D, v + (size_t) p * D, D);
}

/* du[row[p]] += dscore[p] v[p]; dv[p] = dscore[p] u[row[p]] */
void
tr_plain_pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
							  const int32_t *row, int P, int D)
{
	(void) b;
	for (int p = 0; p < P; p++)
		for (int j = 0; j < D; j++)
		{
			du[(size_t) row[p] * D + j] += dscore[p] * v[(size_t) p * D + j];
			dv[(size_t) p * D + j] = dscore[p] * u[(size_t) row[p] * D + j];
		}
}

void
tr_plain_gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width)
{
	(void) b;
	for (int r = 0; r < R; r++)
		memcpy(out + (size_t) r * width, table + (size_t) index[r] * width, sizeof(float) * width);
}

/* table[index[r]] += scale x[row[r]] */
void
tr_plain_scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R,
					  int width, float scale)
{
	(void) b;
	for (int r = 0; r < R; r++)
		for (int j = 0; j < width; j++)
			table[(size_t) index[r] * width + j] += scale * x[(size_t) (row ? row[r] : r) * width + j];
}
