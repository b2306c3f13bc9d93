/*
 * Plain losses and optimizers. Sums are taken in double.
 * Legend: R rows, T tags, U users, C candidate columns, P pairs.
 */
#include "core/plain.h"

#include <math.h>
#include <string.h>

/* One user's row of a softmax. */
typedef struct Row
{
	int			columns;		/* C */
	double	   *x;				/* (C) logits less their offsets */
	double	   *gradient;		/* (C) */
	char	   *excluded;		/* (C) is the column in no sum at all? */
} Row;

/* log of the sum over the columns but `own`, and of exp(positive) where given; terms = how many there were */
static double
log_sum(const Row *row, int own, const double *positive, int *terms)
{
	double		largest = positive ? *positive : -INFINITY;
	double		sum = 0;

	*terms = positive != NULL;
	for (int k = 0; k < row->columns; k++)
		if (!row->excluded[k] && k != own)
		{
			*terms += 1;
			largest = row->x[k] > largest ? row->x[k] : largest;
		}
	if (positive)
		sum = exp(*positive - largest);
	for (int k = 0; k < row->columns; k++)
		if (!row->excluded[k] && k != own)
			sum += exp(row->x[k] - largest);
	return largest + log(sum);
}

/* Adds pair p's gradients, sets its pair_dlogit, and returns its loss, unscaled. */
static double
pair_loss(const TrSoftmax *s, Row *row, const float *logits, int p)
{
	int			own = s->pair_column[p];
	double		positive = s->pair_logit ? s->pair_logit[p] : logits[own];
	double		a = (double) s->scale * s->pair_weight[p];
	double		dpositive = 0;
	double		loss = 0;
	int			terms;
	double		log_z = log_sum(row, own, s->include_positive ? &positive : NULL, &terms);

	if (terms > 0)
	{
		for (int k = 0; k < row->columns; k++)
			if (!row->excluded[k] && k != own)
				row->gradient[k] += a * exp(row->x[k] - log_z);
		dpositive = a * ((s->include_positive ? exp(positive - log_z) : 0) - 1);
		loss = s->pair_weight[p] * (log_z - positive);
	}
	if (s->pair_logit)
		s->pair_dlogit[p] = (float) dpositive;
	else
		row->gradient[own] += dpositive;
	return loss;
}

static void
load_row(const TrSoftmax *s, Row *row, const float *logits, int u)
{
	for (int k = 0; k < s->columns; k++)
		row->x[k] = (double) logits[k] - (s->column_offset ? s->column_offset[k] : 0);
	memset(row->gradient, 0, sizeof(double) * s->columns);
	for (int k = 0; k < s->columns; k++)
		row->excluded[k] = s->column_offset && s->column_offset[k] == INFINITY;
	if (s->skip_ptr)
		for (int e = s->skip_ptr[u]; e < s->skip_ptr[u + 1]; e++)
			row->excluded[s->skip_column[e]] = 1;
	if (s->mask_pairs)
		for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
			if (s->pair_column[p] >= 0)
				row->excluded[s->pair_column[p]] = 1;
}

void
tr_plain_softmax_loss(TrBackend *b, const TrSoftmax *s)
{
	size_t		columns = s->columns;
	double	   *scratch = tr_plain_scratch(b, columns * (2 * sizeof(double) + 1) + 1);
	Row			row = {s->columns, scratch, scratch + columns, (char *) (scratch + 2 * columns)};
	double		loss = 0;

	if (!scratch)
		return;
	for (int u = 0; u < s->users; u++)
	{
		float	   *logits = s->logits + u * columns;

		load_row(s, &row, logits, u);
		for (int p = s->pair_ptr[u]; p < s->pair_ptr[u + 1]; p++)
			loss += pair_loss(s, &row, logits, p);
		for (size_t k = 0; k < columns; k++)
			logits[k] = (float) row.gradient[k];
	}
	*s->loss += s->scale * loss;
	b->ops->release(b, scratch);
}

/* target (T) = row r of x */
static void
densify(float *target, const TrCsr *x, int r)
{
	memset(target, 0, sizeof(float) * x->cols);
	for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		target[x->col[e]] = x->val[e];
}

/* z (T) becomes tanh(z + bias); returns the square of its distance from target */
static double
decode_row(float *z, const float *bias, const float *target, int T)
{
	double		squares = 0;

	for (int t = 0; t < T; t++)
	{
		double		d;

		z[t] = tanhf(z[t] + bias[t]);
		d = (double) z[t] - target[t];
		squares += d * d;
	}
	return squares;
}

void
tr_plain_reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
							 const float *multiplicity, bool squared, float scale, double *loss)
{
	int			T = x->cols;
	float	   *target = tr_plain_scratch(b, sizeof(float) * T + 1);
	double		sum = 0;

	if (!target)
		return;
	for (int r = 0; r < R; r++)
	{
		float	   *y = z + (size_t) r * T;
		double		squares;
		double		norm;
		double		g;

		densify(target, x, first + r);
		squares = decode_row(y, bias, target, T);
		norm = sqrt(squares);
		sum += multiplicity[first + r] * (squared ? squares : norm);
		g = (double) scale * multiplicity[first + r] * (squared ? 2 : 1 / (norm < 1e-12 ? 1e-12 : norm));
		for (int t = 0; t < T; t++)
		{
			y[t] = (float) (g * (y[t] - target[t]) * (1 - (double) y[t] * y[t]));
			dbias[t] += y[t];
		}
	}
	*loss += scale * sum;
	b->ops->release(b, target);
}

static void
sgd(const TrOptimizer *o, float *w, const float *g, float *velocity, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
	{
		float		step = g[i] + 2 * o->decay * w[i];

		if (o->momentum != 0)
			step = velocity[i] = o->momentum * velocity[i] + step;
		w[i] -= o->rate * step;
	}
}

static void
adam(const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	double		correct1 = 1 - pow(o->beta1, (double) o->step);
	double		correct2 = 1 - pow(o->beta2, (double) o->step);

	for (int64_t i = 0; i < n; i++)
	{
		float		gradient = g[i] + 2 * o->decay * w[i];

		m[i] = o->beta1 * m[i] + (1 - o->beta1) * gradient;
		v[i] = o->beta2 * v[i] + (1 - o->beta2) * gradient * gradient;
		w[i] -= (float) (o->rate * (m[i] / correct1) / (sqrt(v[i] / correct2) + o->epsilon));
	}
}

void
tr_plain_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	(void) b;
	if (o->kind == TR_ADAM)
		adam(o, w, g, m, v, n);
	else
		sgd(o, w, g, m, n);
}

/* The step over the rows index[r] alone */
void
tr_plain_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v,
					 const int32_t *index, int R, int width)
{
	for (int r = 0; r < R; r++)
	{
		size_t		at = (size_t) index[r] * width;

		tr_plain_update(b, o, w + at, g + (size_t) r * width, m ? m + at : NULL, v ? v + at : NULL, width);
	}
}

void
tr_plain_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
	double		sum = 0;

	(void) b;
	for (int64_t i = 0; i < n; i++)
		sum += (double) w[i] * w[i];
	*loss += decay * sum;
}
