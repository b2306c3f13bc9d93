/*
 * EASE's closed form, by the smaller of two matrices. Primal: P itself, (C,C). Dual, by the matrix inversion lemma:
 *
 *     P = (I - X^T K X) / lambda with K = (X X^T + lambda I)^-1, (M,M)
 *     B[f,j] = x_f . K x_j / (1 - x_j . K x_j)
 *
 * whose rows are computed some features at a time, so that no (C,C) matrix exists. Either way a row is cut to its largest
 * weights as soon as it is known.
 *
 * Legend: M rows of X, C columns, N targets (the first columns), n side of the matrix inverted, F features at a time.
 */
#include "models/ease/ease_solve.h"

#include <math.h>
#include <string.h>

#include "models/ease/ease_keep.h"
#include "models/ease/inverse.h"

/* Floats of a block of rows, and features it has at most. */
#define BLOCK_FLOATS (4 << 20)
#define MOST_FEATURES 128

/* Products added between two polls: 0.05 s of one slow core. */
#define STEP_WORK 50000000

typedef struct Solver
{
	TrModel    *work;			/* whose memory is for as long as it takes */
	TrBackend  *b;
	const TrEaseData *data;
	const TrEaseSettings *settings;
	const TrPoll *poll;
	TrEaseWeights *weights;
	TrKeeper	keeper;
	int32_t		n;
	int32_t		block;			/* F */
	float	   *inverse;		/* (n,n) backend memory */
	float	   *scale;			/* (N) what a column of the unscaled weights is multiplied by */
	float	   *rows;			/* (F,N) host: the weights of some features */
	float	   *raw;			/* host: what the backend computed of them */
	TrCsr		columns;		/* dual: by_column in backend memory */
	float	   *identity;		/* dual: (F,F) backend memory */
	float	   *left;			/* dual: (F,M) backend memory: X_F^T K */
	float	   *right;			/* dual: (M,F) backend memory: its transpose */
	float	   *products;		/* dual: (N,F) backend memory */
} Solver;

/* ------------------------------------------------------------------ data */

TrStatus
tr_ease_new_data(TrEaseData *data, TrModel *work, int32_t rows, int32_t cols, int32_t targets, int64_t entries,
				 TrError *err)
{
	*data = (TrEaseData) {.targets = targets};
	data->by_row = (TrCsr) {.rows = rows, .cols = cols, .capacity = entries, .ptr = TR_NEW(work, int64_t, rows + 1),
	.col = TR_NEW(work, int32_t, entries), .val = TR_NEW(work, float, entries)};
	data->by_column = (TrCsr) {.rows = cols, .cols = rows, .capacity = entries, .ptr = TR_NEW(work, int64_t, cols + 2),
	.col = TR_NEW(work, int32_t, entries), .val = TR_NEW(work, float, entries)};
	return tr_enough_memory(work, err, "%lld entries", (long long) entries);
}

TrStatus
tr_ease_transpose(TrEaseData *data, const TrPoll *poll)
{
	const TrCsr *x = &data->by_row;
	TrCsr	   *t = &data->by_column;
	int64_t		since = 0;

	for (int32_t r = 0; r < x->rows; r++)
	{
		if (tr_poll_after(poll, &since, x->ptr[r + 1] - x->ptr[r]))
			return TR_CANCELLED;
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			t->ptr[x->col[e] + 2]++;
	}
	for (int32_t c = 0; c < x->cols; c++)
		t->ptr[c + 2] += t->ptr[c + 1];
	for (int32_t r = 0; r < x->rows; r++)
	{
		if (tr_poll_after(poll, &since, x->ptr[r + 1] - x->ptr[r]))
			return TR_CANCELLED;
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			int64_t		at = t->ptr[x->col[e] + 1]++;

			t->col[at] = r;
			t->val[at] = x->val[e];
		}
	}
	return TR_OK;
}

TrSparse
tr_ease_row(const TrEaseWeights *weights, int32_t feature)
{
	int64_t		first = weights->ptr[feature];

	return (TrSparse) {(int32_t) (weights->ptr[feature + 1] - first), weights->index + first, weights->value + first};
}

/* ------------------------------------------------------------------ size and method */

/* Features at a time, when a block has rows of `longest` floats */
static int32_t
block_of(double longest)
{
	return (int32_t) fmin(fmax(BLOCK_FLOATS / fmax(longest, 1), 8), MOST_FEATURES);
}

/* Which is less work? */
static bool
is_primal(double M, double C, double entries, int method)
{
	if (method != TR_EASE_AUTO)
		return method == TR_EASE_PRIMAL;
	return C * C * C <= M * M * M + 2 * entries * M + entries * C;
}

size_t
tr_ease_bytes(double M, double C, double N, double entries, const TrEaseSettings *settings)
{
	bool		primal = is_primal(M, C, entries, settings->method);
	double		n = primal ? C : M;
	double		F = block_of(fmax(C, M));
	double		kept = settings->neighbours > 0 ? fmin(settings->neighbours, N) : N;
	double		blocks = primal ? F * (C + N) : F * (2 * N + 2 * M + fmax(N, M) + F) + 2 * entries;

	return (size_t) (sizeof(float) * (n * n + fmin(n * n, BLOCK_FLOATS) + N + blocks) + 8 * C * (kept + 1))
		+ tr_invert_bytes((int64_t) n);
}

/* ------------------------------------------------------------------ the matrix to invert */

/* gram (n) = row i of X X^T up to the diagonal; x is X by rows, t by columns */
static int64_t
gram_row(float *gram, const TrCsr *x, const TrCsr *t, int32_t i)
{
	int64_t		work = 0;

	for (int64_t e = x->ptr[i]; e < x->ptr[i + 1]; e++)
	{
		int64_t		from = t->ptr[x->col[e]];
		int64_t		end = t->ptr[x->col[e] + 1];

		for (; from < end && t->col[from] <= i; from++, work++)
			gram[t->col[from]] += x->val[e] * t->val[from];
	}
	return work;
}

/* inverse (n,n) = the lower triangle of X X^T + lambda I, or of X^T X + lambda I with the two arguments swapped */
static TrStatus
fill_gram(Solver *s, const TrCsr *x, const TrCsr *t, TrError *err)
{
	TrBackend  *b = s->b;
	size_t		n = (size_t) s->n;
	int32_t		most = (int32_t) fmin(fmax(BLOCK_FLOATS / (double) n, 1), (double) n);
	float	   *rows = TR_NEW(s->work, float, (size_t) most * n);
	int64_t		work = STEP_WORK;
	TrStatus	status = TR_OK;

	TR_TRY(tr_enough_memory(s->work, err, "a matrix of %d x %d", s->n, s->n));
	for (int32_t first = 0; status == TR_OK && first < s->n; first += most)
	{
		int32_t		end = s->n - first < most ? s->n : first + most;

		memset(rows, 0, (size_t) (end - first) * n * sizeof(float));
		for (int32_t i = first; status == TR_OK && i < end; i++)
		{
			float	   *gram = rows + (size_t) (i - first) * n;

			work += gram_row(gram, x, t, i);
			gram[i] += (float) s->settings->lambda;
			if (work < STEP_WORK)
				continue;
			work = 0;
			status = tr_poll_at(s->poll, "rows", i, s->n) ? TR_CANCELLED : TR_OK;
		}
		b->ops->upload(b, s->inverse + (size_t) first * n, rows, (size_t) (end - first) * n * sizeof(float));
	}
	if (status == TR_OK)
		status = b->ops->finish(b, err);
	tr_free(s->work->memory, rows);
	return status;
}

static TrStatus
invert(Solver *s, TrError *err)
{
	TrStatus	status = tr_invert(s->work, s->inverse, s->n, "the matrix of co-occurrences plus lambda", s->poll, err);

	if (status == TR_NOT_FINITE && err)
		snprintf(err->hint, sizeof(err->hint), "Increase lambda (now %g).", s->settings->lambda);
	return status;
}

/* ------------------------------------------------------------------ rows of weights */

/* Scale of target j from what is to be a positive number; loss = what the target's own minimum is. */
static TrStatus
set_scale(Solver *s, int32_t j, double divisor, double scale, double loss, TrError *err)
{
	if (!(divisor > 0) || !isfinite(scale))
	{
		tr_fail(err, TR_NOT_FINITE, "could not compute the weights of item %d of %d in single precision", j,
				s->data->targets);
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Increase lambda (now %g).", s->settings->lambda);
		return TR_NOT_FINITE;
	}
	s->scale[j] = (float) scale;
	s->weights->loss += loss > 0 ? loss : 0;
	return TR_OK;
}

/* row (N), scaled: the weights of the feature, which come in order */
static void
keep_row(Solver *s, int32_t feature, float *row)
{
	TrEaseWeights *w = s->weights;
	int64_t		at = w->ptr[feature];

	if (feature < s->data->targets)
		row[feature] = 0;
	w->ptr[feature + 1] = at + tr_keep_largest(&s->keeper, w->index + at, w->value + at, row, s->data->targets);
}

/* ------------------------------------------------------------------ primal */

/* scale (N) = -1 / P[j,j] */
static TrStatus
primal_scale(Solver *s, TrError *err)
{
	for (int32_t j = 0; j < s->data->targets; j++)
	{
		float		diagonal;

		if (j % s->block == 0 && tr_poll(s->poll))
			return TR_CANCELLED;
		s->b->ops->download(s->b, &diagonal, s->inverse + (size_t) j * (size_t) s->n + j, sizeof(float));
		TR_TRY(set_scale(s, j, diagonal, -1.0 / diagonal, 1.0 / diagonal - s->settings->lambda, err));
	}
	return s->b->ops->finish(s->b, err);
}

static TrStatus
primal_rows(Solver *s, TrError *err)
{
	size_t		n = (size_t) s->n;
	size_t		N = (size_t) s->data->targets;

	for (int32_t first = 0; first < s->n; first += s->block)
	{
		int32_t		count = s->n - first < s->block ? s->n - first : s->block;

		if (tr_poll_at(s->poll, "features", first, s->n))
			return TR_CANCELLED;
		s->b->ops->download(s->b, s->raw, s->inverse + (size_t) first * n, (size_t) count * n * sizeof(float));
		TR_TRY(s->b->ops->finish(s->b, err));
		for (int32_t f = 0; f < count; f++)
		{
			for (size_t j = 0; j < N; j++)
				s->rows[j] = s->raw[(size_t) f * n + j] * s->scale[j];
			keep_row(s, first + f, s->rows);
		}
	}
	return TR_OK;
}

static TrStatus
primal(Solver *s, TrError *err)
{
	size_t		F = (size_t) s->block;

	s->raw = TR_NEW(s->work, float, F * (size_t) s->n);
	TR_TRY(tr_enough_memory(s->work, err, "the weights of items"));
	TR_TRY(fill_gram(s, &s->data->by_column, &s->data->by_row, err));
	TR_TRY(invert(s, err));
	TR_TRY(primal_scale(s, err));
	return primal_rows(s, err);
}

/* ------------------------------------------------------------------ dual */

static TrStatus
dual_space(Solver *s, TrError *err)
{
	TrModel    *work = s->work;
	const TrCsr *x = &s->data->by_column;
	size_t		entries = (size_t) x->ptr[x->rows];
	size_t		F = (size_t) s->block;
	size_t		M = (size_t) s->n;
	size_t		N = (size_t) s->data->targets;

	s->columns = *x;
	s->columns.ptr = tr_to_device(work, x->ptr, ((size_t) x->rows + 1) * sizeof(int64_t));
	s->columns.col = tr_to_device(work, x->col, entries * sizeof(int32_t));
	s->columns.val = tr_to_device(work, x->val, entries * sizeof(float));
	s->left = tr_device_floats(work, F * M);
	s->right = tr_device_floats(work, F * M);
	s->products = tr_device_floats(work, F * N);
	s->raw = TR_NEW(work, float, F * (N > M ? N : M) + F * F);
	for (size_t i = 0; s->raw && i < F; i++)
		s->raw[i * F + i] = 1;
	s->identity = s->raw ? tr_to_device(work, s->raw, F * F * sizeof(float)) : NULL;
	TR_TRY(tr_enough_memory(work, err, "the weights of %d features at a time", s->block));
	return s->b->ops->finish(s->b, err);
}

/* left (count,M) = the features first..first+count-1 of X^T, times K */
static void
multiply_left(Solver *s, int32_t first, int32_t count)
{
	TrCsr		block = s->columns;

	block.rows = count;
	block.ptr += first;
	s->b->ops->sparse_forward(s->b, s->left, &block, s->inverse, NULL, s->n, TR_LINEAR);
}

/* scale (N) = 1 / (1 - h_j) with h_j = x_j . K x_j */
static TrStatus
dual_scale(Solver *s, TrError *err)
{
	const TrCsr *x = &s->data->by_column;
	size_t		M = (size_t) s->n;

	for (int32_t first = 0; first < s->data->targets; first += s->block)
	{
		int32_t		count = s->data->targets - first < s->block ? s->data->targets - first : s->block;

		if (tr_poll_at(s->poll, "items", first, s->data->targets))
			return TR_CANCELLED;
		multiply_left(s, first, count);
		s->b->ops->download(s->b, s->raw, s->left, (size_t) count * M * sizeof(float));
		TR_TRY(s->b->ops->finish(s->b, err));
		for (int32_t j = first; j < first + count; j++)
		{
			double		h = 0;

			for (int64_t e = x->ptr[j]; e < x->ptr[j + 1]; e++)
				h += (double) x->val[e] * s->raw[(size_t) (j - first) * M + x->col[e]];
			TR_TRY(set_scale(s, j, 1 - h, 1 / (1 - h), s->settings->lambda * h / (1 - h), err));
		}
	}
	return TR_OK;
}

/* Features turned together: their rows are written side by side. */
#define TURN 16

/* rows (count,N) = raw (N,count) transposed, scaled */
static void
turn(Solver *s, int32_t count)
{
	size_t		N = (size_t) s->data->targets;

	for (int32_t first = 0; first < count; first += TURN)
	{
		int32_t		end = count - first < TURN ? count : first + TURN;

		for (size_t j = 0; j < N; j++)
			for (int32_t f = first; f < end; f++)
				s->rows[(size_t) f * N + j] = s->raw[j * (size_t) count + (size_t) f] * s->scale[j];
	}
}

static TrStatus
dual_rows(Solver *s, TrError *err)
{
	TrBackend  *b = s->b;
	TrCsr		targets = s->columns;
	size_t		N = (size_t) s->data->targets;
	int32_t		C = s->data->by_column.rows;

	targets.rows = s->data->targets;
	for (int32_t first = 0; first < C; first += s->block)
	{
		int32_t		count = C - first < s->block ? C - first : s->block;

		if (tr_poll_at(s->poll, "features", first, C))
			return TR_CANCELLED;
		multiply_left(s, first, count);
		b->ops->gemm(b, s->right, count, s->left, s->n, true, s->identity, s->block, false, s->n, count, count, 1, 0);
		b->ops->sparse_forward(b, s->products, &targets, s->right, NULL, count, TR_LINEAR);
		b->ops->download(b, s->raw, s->products, (size_t) count * N * sizeof(float));
		TR_TRY(b->ops->finish(b, err));
		turn(s, count);
		for (int32_t f = 0; f < count; f++)
			keep_row(s, first + f, s->rows + (size_t) f * N);
	}
	return TR_OK;
}

static TrStatus
dual(Solver *s, TrError *err)
{
	TR_TRY(dual_space(s, err));
	TR_TRY(fill_gram(s, &s->data->by_row, &s->data->by_column, err));
	TR_TRY(invert(s, err));
	TR_TRY(dual_scale(s, err));
	return dual_rows(s, err);
}

/* ------------------------------------------------------------------ life */

/* The weights, which are the model's, and room for the work. */
static TrStatus
prepare(Solver *s, TrModel *model, TrError *err)
{
	size_t		n = (size_t) s->n;
	size_t		N = (size_t) s->data->targets;
	size_t		C = (size_t) s->data->by_column.rows;
	int			limit = s->settings->neighbours;
	size_t		kept = limit > 0 && (size_t) limit < N ? (size_t) limit : N;

	s->inverse = tr_device_floats(s->work, n * n);
	TR_TRY(tr_enough_memory(s->work, err, "a matrix of %d x %d, %zu MB", s->n, s->n, n * n * sizeof(float) >> 20));
	*s->weights = (TrEaseWeights) {
		.ptr = TR_NEW(model, int64_t, C), .index = TR_NEW(model, int32_t, C * kept), .value = TR_NEW(model, float, C * kept)
	};
	TR_TRY(tr_enough_memory(model, err, "%zu weights of each of %zu features, %zu MB", kept, C, C * kept * 8 >> 20));
	s->scale = TR_NEW(s->work, float, N);
	s->rows = TR_NEW(s->work, float, (size_t) s->block * N);
	tr_keeper_init(&s->keeper, s->work, limit, s->data->targets);
	return tr_enough_memory(s->work, err, "the weights of %d features at a time", s->block);
}

TrStatus
tr_ease_solve(TrEaseWeights *weights, TrModel *model, TrModel *work, const TrEaseData *data,
			  const TrEaseSettings *settings, const TrPoll *poll, TrError *err)
{
	Solver		s = {.work = work, .b = work->backend, .data = data, .settings = settings, .poll = poll,
	.weights = weights};
	int32_t		M = data->by_row.rows;
	int32_t		C = data->by_row.cols;
	bool		is = is_primal(M, C, (double) data->by_row.ptr[M], settings->method);

	tr_free(model->memory, weights->ptr);
	tr_free(model->memory, weights->index);
	tr_free(model->memory, weights->value);
	*weights = (TrEaseWeights) {0};
	s.n = is ? C : M;
	s.block = block_of(C > M ? C : M);
	TR_TRY(prepare(&s, model, err));
	return is ? primal(&s, err) : dual(&s, err);
}

TrStatus
tr_ease_train(TrEaseWeights *weights, TrModel *model, TrEaseFill fill, const TrEaseSettings *settings, const TrPoll *poll,
			  TrEpochStats *stats, TrError *err)
{
	TrEaseData	data;
	TrModel		work;
	TrStatus	status;

	tr_start_work(&work, model);
	status = fill(model, &work, &data, poll, err);
	if (status == TR_OK)
		status = tr_ease_solve(weights, model, &work, &data, settings, poll, err);
	tr_end_work(&work);
	stats->pairs = model->dataset->n_posts;
	stats->loss = weights->loss / model->dataset->n_posts;
	stats->last = true;
	return status;
}
