/*
 * Plain loss of posts over all tags. Sums are taken in double. Legend: R rows, T tags.
 */
#include "core/plain.h"

#include <math.h>
#include <string.h>

/* One row, in double. */
typedef struct Row
{
	int			columns;		/* T */
	double	   *z;				/* (T) */
	double	   *gradient;		/* (T) */
	double	   *y;				/* (T) targets; NAN = left out */
} Row;

static void
load_row(const TrTagLoss *t, Row *row, int r)
{
	const TrCsr *targets = t->targets;

	for (int k = 0; k < row->columns; k++)
		row->z[k] = (double) t->logits[(size_t) r * row->columns + k] + t->bias[k];
	for (int j = 0; j < t->parts; j++)
		for (int64_t e = t->part[j].ptr[r]; e < t->part[j].ptr[r + 1]; e++)
			row->z[t->part[j].col[e]] += (double) t->part_weight[j] * t->part[j].val[e];
	memset(row->gradient, 0, sizeof(double) * row->columns);
	memset(row->y, 0, sizeof(double) * row->columns);
	for (int64_t e = targets->ptr[r]; e < targets->ptr[r + 1]; e++)
		row->y[targets->col[e]] = targets->val[e] == 0 ? NAN : targets->val[e];
}

static double
cross_entropy(Row *row)
{
	double		loss = 0;

	for (int k = 0; k < row->columns; k++)
	{
		double		z = row->z[k];
		double		e = exp(-fabs(z));

		if (isnan(row->y[k]))
			continue;
		loss += fmax(z, 0) + log1p(e) - row->y[k] * z;
		row->gradient[k] = (z >= 0 ? 1 : e) / (1 + e) - row->y[k];
	}
	return loss;
}

static double
softmax(Row *row)
{
	double		largest = -INFINITY;
	double		sum = 0;
	double		targets = 0;
	double		loss = 0;

	for (int k = 0; k < row->columns; k++)
		if (!isnan(row->y[k]))
		{
			targets += row->y[k];
			largest = fmax(largest, row->z[k]);
		}
	if (targets == 0)
		return 0;
	for (int k = 0; k < row->columns; k++)
		if (!isnan(row->y[k]))
			sum += exp(row->z[k] - largest);
	for (int k = 0; k < row->columns; k++)
		if (!isnan(row->y[k]))
		{
			loss += row->y[k] * (largest + log(sum) - row->z[k]);
			row->gradient[k] = targets * exp(row->z[k] - largest) / sum - row->y[k];
		}
	return loss;
}

/* The gradient of row r goes to logits, dbias and dpart (parts). */
static void
store_row(const TrTagLoss *t, const Row *row, double *dpart, int r)
{
	for (int k = 0; k < row->columns; k++)
	{
		float		d = (float) (t->scale * row->gradient[k]);

		t->logits[(size_t) r * row->columns + k] = d;
		t->dbias[k] += d;
	}
	for (int j = 0; j < t->parts; j++)
		for (int64_t e = t->part[j].ptr[r]; e < t->part[j].ptr[r + 1]; e++)
			dpart[j] += t->scale * row->gradient[t->part[j].col[e]] * t->part[j].val[e];
}

void
tr_plain_tag_loss(TrBackend *b, const TrTagLoss *t)
{
	size_t		T = (size_t) t->targets->cols;
	double	   *scratch = tr_plain_scratch(b, 3 * T * sizeof(double) + 1);
	Row			row = {t->targets->cols, scratch, scratch + T, scratch + 2 * T};
	double		dpart[TR_MOST_PARTS] = {0};
	double		loss = 0;

	if (!scratch)
		return;
	for (int r = 0; r < t->targets->rows; r++)
	{
		load_row(t, &row, r);
		loss += t->softmax ? softmax(&row) : cross_entropy(&row);
		store_row(t, &row, dpart, r);
	}
	for (int j = 0; j < t->parts; j++)
		t->dpart_weight[j] += (float) dpart[j];
	*t->loss += t->scale * loss;
	b->ops->release(b, scratch);
}
