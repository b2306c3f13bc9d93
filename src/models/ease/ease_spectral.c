/*
 * Spectral EASE. See ease_spectral.h. The eigenvectors are sought on the shorter side of X; the other side's follow by one
 * product with X.
 */
#include "models/ease/ease_spectral.h"

#include <math.h>
#include <string.h>

#include "models/ease/spectrum.h"

/* More work than this takes minutes; the matrix of twenty thousand rows that it inverts has 1.6 GB. */
#define MOST_EXACT_WORK 1e13

/* Floats of arrays that come from the backend at a time. */
#define PIECE_FLOATS (4 << 20)

bool
tr_ease_is_spectral(double M, double C, double entries, int method)
{
	if (method != TR_EASE_AUTO)
		return method == TR_EASE_SPECTRAL;
	return fmin(C * C * C, M * M * M + entries * (2 * M + C)) > MOST_EXACT_WORK;
}

size_t
tr_ease_spectral_bytes(double M, double C, double entries, int rank)
{
	double		r = fmin(rank, fmin(M, C));

	return tr_spectrum_bytes(fmin(M, C), fmax(M, C), r)
		+ (size_t) (sizeof(float) * (C * r + C + PIECE_FLOATS) + 2 * 8 * entries + 8 * (M + C));
}

/* ------------------------------------------------------------------ life */

TrStatus
tr_ease_spectral_create(TrEaseSpectral *s, TrModel *model, int32_t M, int32_t C, int32_t n_tags, int rank, TrError *err)
{
	const TrTensor *stored = model->dataset ? NULL : tr_stored(model, "tags");
	int32_t		most = M < C ? M : C;

	if (!model->dataset)
		most = stored && stored->cols > 0 ? stored->cols : 1;
	s->rank = rank < most ? rank : most;
	s->n_items = C - n_tags;
	s->n_tags = n_tags;
	model->width = model->unit = s->rank;
	if (n_tags > 0)
	{
		TR_TRY(tr_tensor(model, "tags", n_tags, s->rank, TR_FINITE, &s->tags, err));
		TR_TRY(tr_tensor(model, "values", 1, s->rank, TR_FROM_ZERO, &s->values, err));
	}
	if (!model->dataset)
		return TR_OK;
	TR_TRY(tr_training_tensor(model, "vectors", s->n_items, s->rank, &s->items, err));
	s->left = TR_NEW(model, float, s->n_items);
	return tr_enough_memory(model, err, "the vectors of %d items", s->n_items);
}

TrStatus
tr_ease_spectral_restored(TrEaseSpectral *s, TrError *err)
{
	for (int32_t j = 0; s->items && j < s->n_items; j++)
	{
		const float *row = s->items + (size_t) j * (size_t) s->rank;
		double		c = 0;

		for (int i = 0; i < s->rank; i++)
			c += (double) row[i] * row[i];
		if (!(1 - c > 1e-6))
			return tr_fail(err, TR_NOT_FINITE, "could not compute the weights of item %d of %d in single precision", j,
						   s->n_items);
		s->left[j] = (float) (1 - c);
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ training */

/* What the work needs of X in the backend. */
static TrStatus
upload(TrSpectrumSide *side, TrModel *work, const TrCsr *x, const TrPoll *poll, TrError *err)
{
	size_t		entries = (size_t) x->ptr[x->rows];

	side->x = *x;
	side->ptr = x->ptr;
	side->x.ptr = tr_to_device(work, x->ptr, ((size_t) x->rows + 1) * sizeof(int64_t));
	if (tr_poll(poll))
		return TR_CANCELLED;
	side->x.col = tr_to_device(work, x->col, entries * sizeof(int32_t));
	if (tr_poll(poll))
		return TR_CANCELLED;
	side->x.val = tr_to_device(work, x->val, entries * sizeof(float));
	return tr_enough_memory(work, err, "%zu entries", entries);
}

/*
 * The arrays of columns of X: from the vectors (C,r) that were found, or from what X^T makes of the vectors (M,r) of its
 * rows.
 */
typedef struct Arrays
{
	TrModel    *work;
	const TrSpectrum *spectrum;
	const TrSpectrumSide *side; /* X^T, or NULL when the vectors are those of columns */
	const TrPoll *poll;
	float	   *piece;			/* backend memory */
	double	   *scale;			/* (r) of the columns */
} Arrays;

/* out (rows,r) */
static TrStatus
take_arrays(Arrays *a, float *out, int32_t first, int32_t rows, TrError *err)
{
	TrBackend  *b = a->work->backend;
	size_t		r = (size_t) a->spectrum->rank;
	int32_t		step = PIECE_FLOATS / a->spectrum->rank;	/* at least 512, as a rank is at most 8,192 */

	for (int32_t from = 0; from < rows; from += step)
	{
		int32_t		n = rows - from < step ? rows - from : step;
		float	   *to = out + (size_t) from * r;
		const float *source = a->spectrum->vectors + (size_t) (first + from) * r;

		if (tr_poll(a->poll))
			return TR_CANCELLED;
		if (a->side)
		{
			TR_TRY(tr_spectrum_multiply(b, a->piece, a->side, first + from, n, a->spectrum->vectors, (int) r, a->poll));
			source = a->piece;
		}
		b->ops->download(b, to, source, (size_t) n * r * sizeof(float));
		TR_TRY(b->ops->finish(b, err));
		for (size_t i = 0; i < (size_t) n * r; i++)
			to[i] = (float) (to[i] * a->scale[i % r]);
	}
	return TR_OK;
}

/* Below this share of the largest eigenvalue there are only rounding errors. */
#define LEAST_SHARE 1e-7

/*
 * scale (r) of vectors of the columns of X, d^1/2; or of the products of X with those of its rows, which are S^1/2 times as
 * long
 */
static void
set_scale(Arrays *a, double lambda)
{
	const TrSpectrum *s = a->spectrum;

	for (int i = 0; i < s->rank; i++)
	{
		double		value = s->values[i];
		bool		there = value > LEAST_SHARE * s->values[0];

		a->scale[i] = there ? (a->side ? 1 : sqrt(value)) / sqrt(value + lambda) : 0;
	}
}

static TrStatus
solve(TrEaseSpectral *s, TrModel *work, const TrEaseData *data, double lambda, const TrPoll *poll, TrError *err)
{
	bool		of_columns = data->by_column.rows <= data->by_row.rows;
	TrSpectrumSide by_row = {0};
	TrSpectrumSide by_column = {0};
	TrSpectrum	spectrum;
	Arrays		a = {.work = work, .spectrum = &spectrum, .poll = poll};

	if (tr_poll_at(poll, "columns", 0, s->rank))
		return TR_CANCELLED;
	TR_TRY(upload(&by_row, work, &data->by_row, poll, err));
	TR_TRY(upload(&by_column, work, &data->by_column, poll, err));
	if (tr_poll(poll))
		return TR_CANCELLED;
	TR_TRY(tr_spectrum(&spectrum, work, of_columns ? &by_column : &by_row, of_columns ? &by_row : &by_column, s->rank, poll,
					   err));
	a.piece = tr_device_floats(work, (size_t) fmin(PIECE_FLOATS, (double) s->rank * data->by_column.rows));
	a.scale = TR_NEW(work, double, s->rank);
	TR_TRY(tr_enough_memory(work, err, "the vectors of items"));
	a.side = of_columns ? NULL : &by_column;
	set_scale(&a, lambda);
	for (int i = 0; s->values && i < s->rank; i++)
		s->values[i] = (float) spectrum.values[i];
	TR_TRY(take_arrays(&a, s->items, 0, s->n_items, err));
	return take_arrays(&a, s->tags, s->n_items, s->n_tags, err);
}

/* What the closed form minimises: of target j, lambda c_j / (1 - c_j) */
static double
mean_loss(const TrEaseSpectral *s, double lambda, int32_t pairs)
{
	double		loss = 0;

	for (int32_t j = 0; j < s->n_items; j++)
		loss += lambda * (1 - s->left[j]) / s->left[j];
	return loss / pairs;
}

TrStatus
tr_ease_spectral_train(TrEaseSpectral *s, TrModel *model, TrEaseFill fill, double lambda, const TrPoll *poll,
					   TrEpochStats *stats, TrError *err)
{
	TrEaseData	data;
	TrModel		work;
	TrStatus	status;

	if (tr_poll_at(poll, "columns", 0, s->rank))
		return TR_CANCELLED;
	tr_start_work(&work, model);
	status = fill(model, &work, &data, poll, err);
	if (status == TR_OK)
		status = solve(s, &work, &data, lambda, poll, err);
	tr_end_work(&work);
	if (status == TR_OK)
		status = tr_ease_spectral_restored(s, err);
	if (status == TR_NOT_FINITE && err)
		snprintf(err->hint, sizeof(err->hint), "Increase lambda (now %g).", lambda);
	if (status != TR_OK)
		return status;
	stats->pairs = model->dataset->n_posts;
	stats->loss = mean_loss(s, lambda, model->dataset->n_posts);
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static void
add_row(float *restrict out, const float *restrict row, int n, float factor)
{
	for (int i = 0; i < n; i++)
		out[i] += factor * row[i];
}

void
tr_ease_add_item(const TrEaseSpectral *s, float *out, int32_t item, float factor)
{
	add_row(out, s->items + (size_t) item * (size_t) s->rank, s->rank, factor);
}

void
tr_ease_add_tag(const TrEaseSpectral *s, float *out, int32_t tag, float factor)
{
	add_row(out, s->tags + (size_t) tag * (size_t) s->rank, s->rank, factor);
}

void
tr_ease_item_array(const TrEaseSpectral *s, float *out, int32_t item)
{
	memset(out, 0, sizeof(float) * (size_t) s->rank);
	tr_ease_add_item(s, out, item, 1 / s->left[item]);
}

void
tr_ease_new_item(const TrEaseSpectral *s, float *array, double squares, double lambda, int32_t posts)
{
	double		users = posts > 0 ? posts : 1;
	double		own;			/* q = (|y|^2 - |array|^2) / lambda, with what of y no eigenvector has */

	for (int i = 0; i < s->rank; i++)
		squares -= (double) array[i] * array[i];
	own = fmax(squares, 0) / lambda;
	for (int i = 0; i < s->rank; i++)
		array[i] = s->values[i] > 0 ? (float) (users / (1 + users * own) * array[i] / s->values[i]) : 0;
}

/* ------------------------------------------------------------------ new users */

/* 1 - c of an item whose stored array is F / (1 - c): of its square q it is the root of q x^2 + x = 1 */
static double
left_of(const float *array, int rank)
{
	double		q = 0;

	for (int i = 0; i < rank; i++)
		q += (double) array[i] * array[i];
	return 2 / (1 + sqrt(1 + 4 * q));
}

void
tr_ease_fold_in(const TrSparse *items, const TrCatalogue *catalogue, float *array)
{
	for (int32_t e = 0; e < items->n; e++)
	{
		const float *stored = catalogue->array + (size_t) items->index[e] * catalogue->stride;
		float		factor = (float) (items->value[e] * left_of(stored, catalogue->width));

		for (int i = 0; i < catalogue->width; i++)
			array[i] += factor * stored[i];
	}
}

TrStatus
tr_ease_contributions(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item, float *out,
					  TrError *err)
{
	const TrSparse *items = &history->items;
	const float *of = catalogue->array + (size_t) item * catalogue->stride;

	(void) model, (void) err;
	for (int32_t e = 0; e < items->n; e++)
	{
		const float *stored = catalogue->array + (size_t) items->index[e] * catalogue->stride;
		double		sum = 0;

		for (int i = 0; i < catalogue->width; i++)
			sum += (double) stored[i] * of[i];
		out[e] = (float) (items->value[e] * left_of(stored, catalogue->width) * sum);
	}
	return TR_OK;
}
