/*
 * ials: implicit alternating least squares (Hu, Koren & Volinsky 2008) as Rendle, Krichene, Zhang & Koren found it to work:
 * "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (2021). It looks at who has what, and at no tag.
 *
 *     loss = sum over pairs (u,i) of (1 - w_u . h_i)^2 + alpha sum over all users and items of (w_u . h_i)^2
 *          + sum over users of r_u |w_u|^2 + sum over items of r_i |h_i|^2
 *     r_u = regularization (items of u + alpha items)^nu, and r_i likewise with its users
 *
 * Where pairs have values v, the first sum has a weight for every pair: v divided by their mean, or 1 + confidence v.
 *
 * A sweep is an epoch: the best users for these items, then the best items for these users. What alpha and regularization
 * should be depends on how dense the data is, and on how much of it repeats: unless they are given, alpha is a multiple of
 * the density, and the multiple and the regularization are chosen on held-out pairs (choice.h).
 * Legend: U users, I items, D factors, P pairs; "side" is what is being solved for, the other one is held fixed.
 */
#include <math.h>
#include <string.h>

#include "core/cholesky.h"
#include "core/simd.h"
#include "models/choice.h"

typedef struct IalsOptions
{
	int			epochs;
	int			factors;
	double		alpha;
	double		confidence;
	double		regularization;
	double		nu;
	double		init_std;
	uint64_t	seed;
} IalsOptions;

#define OPTION(field) offsetof(IalsOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "64", 1, 1024, NULL,
	"embedding size"},
	{"alpha", TR_OPTION_REAL, OPTION(alpha), "0", 0, 1000, NULL,
	"weight of unobserved pairs, relative to 1 for an observed pair; 0 = chosen on held-out pairs of the training data"},
	{"confidence", TR_OPTION_REAL, OPTION(confidence), "0", 0, 1e6, NULL,
	"of pairs with values: an observed pair's weight is 1 + confidence * value; 0 = value / mean value"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0", 0, 1e9, NULL,
	"L2 strength, multiplied by (pairs of the user + alpha items) ^ nu; likewise for items; 0 = chosen as alpha is"},
	{"nu", TR_OPTION_REAL, OPTION(nu), "1", 0, 2, NULL,
	"exponent that increases regularization with the number of pairs; 0 = equal for all"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.1", 1e-6, 1000, NULL,
	"scale of the initial embeddings: standard deviation of a factor times the square root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "10", 1, 100000, NULL,
	"maximum number of sweeps over users and items"},
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, IalsOptions);

/* What is solved for, and from what; pointers are backend memory. */
typedef struct IalsSide
{
	TrCsr		pairs;			/* (n, n of the other side), their weights */
	float	   *ridge;			/* (n) */
	float	   *factors;		/* (n,D) */
	int			step;			/* rows solved between two polls */
} IalsSide;

typedef struct Ials
{
	TrModel		model;
	IalsOptions options;
	IalsSide	side[2];		/* by TrSide */
	float	   *gram;			/* (D,D) backend memory */
	double	   *loss;			/* backend memory */
	float	   *host_ridge;		/* (U) of the users */
	float	   *saved[2];		/* by TrSide: tensors "users" (U,D), "items" (I,D) */
	float	   *weights;		/* (2) tensor "weights": alpha and regularization, as chosen; NULL = both were given */
	double	   *host_gram;		/* folding in: (D,D) of the items, with alpha; and room for the equations of a user */
	double	   *equations;		/* (D,D) and (D) */
} Ials;

/* Is something to be chosen? */
static bool
is_open(const IalsOptions *o)
{
	return o->alpha == 0 || o->regularization == 0;
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	const IalsOptions *o = values;
	double		D = o->factors;
	double		rows = (double) shape->n_users + shape->n_items;

	/* in the backend, saved, and the best ones kept; the pairs both ways; a backend's equations, for some rows at once */
	double		model = sizeof(float) * (3 * rows * D + 4 * rows + 4.0 * shape->n_posts + 34 * (D * D + 65 * D));

	/* a choice trains a smaller one meanwhile */
	return (size_t) model + (!is_open(o) ? 0 : (size_t) model / 2 + tr_choice_bytes(shape));
}

/* ------------------------------------------------------------------ life */

/* What is added to the weight of a pair, and how often its value is. */
static void
weighting(const Ials *m, double *plus, double *times)
{
	const TrDataset *d = m->model.dataset;
	double		mean = d->post_value ? tr_dataset_values(d).mean : 0;

	*plus = d->post_value && m->options.confidence == 0 && mean > 0 ? 0 : 1;
	*times = m->options.confidence > 0 ? m->options.confidence : mean > 0 ? 1 / mean : 0;
}

/* The pairs of every user, or item, as sparse rows of their weights. */
static void
upload_pairs(Ials *m, TrSide side)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	TrCsr	   *pairs = &m->side[side].pairs;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	size_t		posts = (size_t) d->n_posts;
	int64_t    *ptr = TR_NEW(model, int64_t, pairs->rows + 1);
	int32_t    *col = TR_NEW(model, int32_t, posts);
	float	   *val = TR_NEW(model, float, posts);
	double		plus;
	double		times;

	weighting(m, &plus, &times);
	for (int32_t r = 0; ptr && r <= pairs->rows; r++)
		ptr[r] = from[r];
	for (int32_t p = 0; col && val && p < d->n_posts; p++)
	{
		int32_t		post = side == TR_USER ? p : d->item_post[p];

		col[p] = side == TR_USER ? d->post_item[post] : d->post_user[post];
		val[p] = d->post_value ? (float) (plus + times * d->post_value[post]) : 1;
	}
	if (!model->host_is_full)
	{
		pairs->ptr = tr_to_device(model, ptr, ((size_t) pairs->rows + 1) * sizeof(int64_t));
		pairs->col = tr_to_device(model, col, posts * sizeof(int32_t));
		pairs->val = tr_to_device(model, val, posts * sizeof(float));
	}
	tr_free(model->memory, ptr);
	tr_free(model->memory, col);
	tr_free(model->memory, val);
}

/* The items at random; the users follow from them. */
static TrStatus
fill_side(Ials *m, TrSide side, TrError *err)
{
	const IalsOptions *o = &m->options;
	const TrDataset *d = m->model.dataset;
	IalsSide   *s = &m->side[side];
	double		D = o->factors;
	double		row_work;

	s->pairs = (TrCsr) {.rows = side == TR_USER ? d->n_users : d->n_items, .capacity = d->n_posts,
	.cols = side == TR_USER ? d->n_items : d->n_users};
	TR_TRY(tr_training_tensor(&m->model, side == TR_USER ? "users" : "items", s->pairs.rows, o->factors, &m->saved[side],
							  err));
	if (side == TR_ITEM)
		tr_normals(m->saved[side], (int64_t) s->pairs.rows * o->factors, o->init_std / sqrt(D), o->seed, TR_ITEM);
	upload_pairs(m, side);
	s->ridge = tr_device_floats(&m->model, (size_t) s->pairs.rows);
	s->factors = tr_device_floats(&m->model, (size_t) s->pairs.rows * (size_t) o->factors);
	m->model.rows[side] = s->factors;
	row_work = D * D * (D / 3 + (double) d->n_posts / s->pairs.rows);
	s->step = (int) fmax(1, fmin(s->pairs.rows, tr_step_work(m->model.backend) / row_work));
	return tr_mirror(&m->model, m->saved[side], s->factors, (size_t) s->pairs.rows * (size_t) o->factors, err);
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	Ials	   *m = (Ials *) model;

	(void) err;
	if (!m->weights)
		return TR_OK;
	m->options.alpha = m->weights[0];
	m->options.regularization = m->weights[1];
	return TR_OK;
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;
	size_t		D;

	m->options = *(const IalsOptions *) model->options;
	D = (size_t) m->options.factors;
	/* similar users and items are those whose embeddings point the same way */
	model->width = model->unit = m->options.factors;
	if (is_open(&m->options))
		TR_TRY(tr_tensor(model, "weights", 1, 2, TR_FROM_ZERO, &m->weights, err));
	if (!model->dataset)
		return restored(model, err);
	if (!b->ops->regress_rows)
	{
		tr_fail(err, TR_UNSUPPORTED, "algorithm \"ials\" cannot be trained on device \"%s\"", b->ops->name);
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Train it on the CPU, with device => 'cpu'.");
		return TR_UNSUPPORTED;
	}
	m->gram = tr_device_floats(model, D * D);
	m->loss = tr_device_new(model, sizeof(double));
	m->host_ridge = TR_NEW(model, float, model->dataset->n_users);
	TR_TRY(fill_side(m, TR_USER, err));
	TR_TRY(fill_side(m, TR_ITEM, err));
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	return b->ops->finish(b, err);
}

/* ------------------------------------------------------------------ what the data wants */

/* Multiples of the density, and regularizations, that are worth a try; the first are a compromise. */
static const double tried[][2] = {{8, 0.027}, {14, 0.03}, {6, 0.013}, {0.6, 0.012}};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))

/* The trainings that choose are shorter, and their embeddings smaller. */
#define CHOOSING_EPOCHS 4
#define CHOOSING_FACTORS 64

static double
density(const TrDataset *d)
{
	return (double) d->n_posts / ((double) d->n_users * d->n_items);
}

/* o = the i-th of those tried, where it is not given */
static void
set_tried(IalsOptions *o, const IalsOptions *given, const TrDataset *d, int i)
{
	*o = *given;
	if (given->alpha == 0)
		o->alpha = fmin(tried[i][0] * density(d), 1);
	if (given->regularization == 0)
		o->regularization = tried[i][1];
}

static TrStatus
choose(Ials *m, const TrPoll *poll, TrError *err)
{
	IalsOptions options[TRIED];
	const void *list[TRIED];
	IalsOptions *o = &m->options;
	TrChoice	choice = {.options = list, .n = TRIED, .epochs = CHOOSING_EPOCHS, .seed = o->seed};
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		set_tried(&options[i], o, m->model.dataset, i);
		options[i].factors = o->factors < CHOOSING_FACTORS ? o->factors : CHOOSING_FACTORS;
		list[i] = &options[i];
	}
	TR_TRY(tr_choose(&best, &m->model, &choice, poll, err));
	m->weights[0] = (float) options[best].alpha;
	m->weights[1] = (float) options[best].regularization;
	return restored(&m->model, err);
}

static float
ridge_of(const IalsOptions *o, int32_t pairs, int32_t others)
{
	return (float) (o->regularization * pow(pairs + o->alpha * others, o->nu));
}

/* ridge (n) = regularization (pairs + alpha n of the other side) ^ nu; the users' stays on the host, too */
static TrStatus
upload_ridge(Ials *m, TrSide side, TrError *err)
{
	const IalsOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	const TrDataset *d = m->model.dataset;
	const TrCsr *pairs = &m->side[side].pairs;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	float	   *ridge = side == TR_USER ? m->host_ridge : TR_NEW(&m->model, float, pairs->rows);
	TrStatus	status;

	TR_TRY(tr_enough_memory(&m->model, err, "the regularization of %d items", pairs->rows));
	for (int32_t r = 0; r < pairs->rows; r++)
		ridge[r] = ridge_of(o, from[r + 1] - from[r], pairs->cols);
	b->ops->upload(b, m->side[side].ridge, ridge, (size_t) pairs->rows * sizeof(float));
	status = b->ops->finish(b, err);
	if (side == TR_ITEM)
		tr_free(m->model.memory, ridge);
	return status;
}

/* Before the first sweep */
static TrStatus
set_weights(Ials *m, const TrPoll *poll, TrError *err)
{
	if (m->weights)
		TR_TRY(choose(m, poll, err));
	TR_TRY(upload_ridge(m, TR_USER, err));
	return upload_ridge(m, TR_ITEM, err);
}

/* ------------------------------------------------------------------ training */

/* side (n,D) = the best embeddings for those of the other side */
static TrStatus
solve(Ials *m, TrSide side, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = m->model.backend;
	IalsSide   *solved = &m->side[side];
	const float *fixed = m->side[side == TR_USER ? TR_ITEM : TR_USER].factors;
	int			D = m->options.factors;

	b->ops->gemm(b, m->gram, D, fixed, D, true, fixed, D, false, D, D, solved->pairs.cols, (float) m->options.alpha, 0);
	for (int first = 0; first < solved->pairs.rows; first += solved->step)
	{
		TrCsr		rows = solved->pairs;

		if (tr_poll_at(poll, "rows", first + (side == TR_ITEM ? m->side[TR_USER].pairs.rows : 0),
					   (int64_t) solved->pairs.rows + solved->pairs.cols))
			return TR_CANCELLED;
		rows.rows = solved->pairs.rows - first < solved->step ? solved->pairs.rows - first : solved->step;
		rows.ptr += first;
		b->ops->regress_rows(b, solved->factors + (size_t) first * D, &rows, fixed, m->gram, solved->ridge + first, D,
							 m->loss);
	}
	return b->ops->finish(b, err);
}

/* The users' part of the loss that solving for the items leaves out: sum of r_u |w_u|^2 */
static double
users_penalty(const Ials *m)
{
	const float *users = m->saved[TR_USER];
	int			D = m->options.factors;
	double		total = 0;

	for (int32_t u = 0; u < m->model.dataset->n_users; u++)
	{
		double		squares = 0;

		for (int j = 0; j < D; j++)
			squares += (double) users[(size_t) u * D + j] * users[(size_t) u * D + j];
		total += m->host_ridge[u] * squares;
	}
	return total;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;
	double		loss;

	if (epoch == 1)
		TR_TRY(set_weights(m, poll, err));
	TR_TRY(solve(m, TR_USER, poll, err));
	b->ops->zero(b, m->loss, sizeof(double));
	TR_TRY(solve(m, TR_ITEM, poll, err));
	b->ops->download(b, &loss, m->loss, sizeof(double));
	b->ops->download(b, m->saved[TR_USER], m->side[TR_USER].factors,
					 (size_t) m->side[TR_USER].pairs.rows * (size_t) m->options.factors * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->model.dataset->n_posts;
	stats->loss = (loss + users_penalty(m)) / m->model.dataset->n_posts;
	return TR_OK;
}

/* ------------------------------------------------------------------ a new user */

/* sum (D,D) += c x x^T, in its lower triangle */
TR_CLONES static void
add_square(double *restrict sum, const float *restrict x, double c, int D)
{
	for (int i = 0; i < D; i++)
	{
		double		cx = c * x[i];

		for (int j = 0; j <= i; j++)
			sum[(size_t) i * (size_t) D + (size_t) j] += cx * x[j];
	}
}

/* m->gram = alpha times the Gram matrix of the items, which is the same for all users: its lower triangle */
static TrStatus
find_gram(Ials *m, const TrCatalogue *items, TrError *err)
{
	size_t		numbers = (size_t) items->width * (size_t) items->width;
	double	   *gram = TR_NEW(&m->model, double, numbers);

	TR_TRY(tr_enough_memory(&m->model, err, "the Gram matrix of the items"));
	for (int32_t i = 0; i < items->n_items; i++)
		add_square(gram, items->array + (size_t) i * items->stride, m->options.alpha, items->width);
	m->host_gram = gram;
	return TR_OK;
}

/* a (D,D) = the equations of a user with these items, factorised; sum (D) = their embeddings, weighted, added up */
static TrStatus
factorise(const Ials *m, const TrSparse *history, const TrCatalogue *catalogue, double *a, double *sum, TrError *err)
{
	int			D = catalogue->width;
	double		ridge = ridge_of(&m->options, history->n, catalogue->n_items);

	for (int i = 0; i < D * D; i++)
		a[i] = m->host_gram[i];
	for (int i = 0; i < D; i++)
		a[(size_t) i * D + i] += ridge;
	for (int32_t e = 0; e < history->n; e++)
		add_square(a, catalogue->array + (size_t) history->index[e] * catalogue->stride, history->value[e], D);
	memset(sum, 0, (size_t) D * sizeof(double));
	for (int32_t e = 0; e < history->n; e++)
		for (int i = 0; i < D; i++)
			sum[i] += (double) history->value[e] * catalogue->array[(size_t) history->index[e] * catalogue->stride + i];
	return tr_cholesky(a, D) ? TR_OK : tr_fail(err, TR_NOT_FINITE, "the normal equations are not positive definite");
}

/* Room and what does not depend on the user, once. */
static TrStatus
prepare(Ials *m, const TrCatalogue *catalogue, TrError *err)
{
	size_t		D = (size_t) catalogue->width;

	if (catalogue->width != m->options.factors)
		return tr_fail(err, TR_BAD_DATA, "the stored embeddings have %d numbers, not %d", catalogue->width,
					   m->options.factors);
	if (m->equations)
		return TR_OK;
	TR_TRY(find_gram(m, catalogue, err));
	m->equations = TR_NEW(&m->model, double, D * D + D);
	return tr_enough_memory(&m->model, err, "the equations of a user");
}

/* The embedding that solve() would find for a user with these items. */
static TrStatus
fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
		TrError *err)
{
	Ials	   *m = (Ials *) model;
	int			D = catalogue->width;
	double	   *w;

	(void) features;
	TR_TRY(prepare(m, catalogue, err));
	w = m->equations + (size_t) D * (size_t) D;
	TR_TRY(factorise(m, &history->items, catalogue, m->equations, w, err));
	tr_cholesky_solve(w, m->equations, D);
	for (int i = 0; i < D; i++)
		array[i] = (float) w[i];
	return TR_OK;
}

/* A^-1 h_i is how the score of item i weighs the embeddings of the user's items (Hu, Koren & Volinsky 2008, section 5). */
static TrStatus
contributions(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item, float *out,
			  TrError *err)
{
	Ials	   *m = (Ials *) model;
	const TrSparse *items = &history->items;
	int			D = catalogue->width;
	double	   *w;

	TR_TRY(prepare(m, catalogue, err));
	w = m->equations + (size_t) D * (size_t) D;
	TR_TRY(factorise(m, items, catalogue, m->equations, w, err));
	for (int i = 0; i < D; i++)
		w[i] = catalogue->array[(size_t) item * catalogue->stride + (size_t) i];
	tr_cholesky_solve(w, m->equations, D);
	for (int32_t e = 0; e < items->n; e++)
	{
		const float *h = catalogue->array + (size_t) items->index[e] * catalogue->stride;
		double		sum = 0;

		for (int i = 0; i < D; i++)
			sum += w[i] * h[i];
		out[e] = (float) (items->value[e] * sum);
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static bool
settled(const TrModel *model, void *options)
{
	const Ials *m = (const Ials *) model;

	((IalsOptions *) options)->alpha = m->options.alpha;
	((IalsOptions *) options)->regularization = m->options.regularization;
	return m->weights != NULL;
}

const TrAlgorithm tr_algorithm_ials = {
	.name = "ials",
	.summary = "Matrix factorization by alternating least squares; does not use tags.",
	.source = "Hu, Koren & Volinsky (ICDM 2008); Rendle et al., Revisiting the Performance of iALS (RecSys 2022)",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.uses_values = true,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Ials),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.restored = restored,
	.embed = tr_embed_rows,
	.fold_in = fold_in,
	.contributions = contributions,
	.settled = settled,
};
