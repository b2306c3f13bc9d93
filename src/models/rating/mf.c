/*
 * mf: matrix factorization with biases (Koren, Bell & Volinsky, "Matrix Factorization Techniques for Recommender Systems",
 * 2009, Eq. 5), by gradient descent over mini-batches of ratings:
 *
 *     loss = sum over ratings of (r_ui - mean - b_u - b_i - p_u . q_i)^2
 *          + regularization (|p_u|^2 + |q_i|^2 + b_u^2 + b_i^2)
 *
 * Without biases it is probabilistic matrix factorization (Salakhutdinov & Mnih 2007, Eq. 4).
 * Legend: D factors, W width: D, the user's bias, the item's bias; P ratings of a batch.
 */
#include <math.h>
#include <string.h>

#include "models/factors/factors.h"
#include "models/nn/parameters.h"
#include "models/rating/ratings.h"

typedef struct MfOptions
{
	int			factors;
	bool		biases;
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	bool		decay;
	int			batch;
	double		init_std;
	uint64_t	seed;
	int			epochs;
	int			metric;
} MfOptions;

#define OPTION(field) offsetof(MfOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "50", 1, 1024, NULL,
	"embedding size"},
	{"biases", TR_OPTION_BOOL, OPTION(biases), "true", 0, 0, NULL,
	"whether users and items have biases, stored after the embeddings"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.1", 0, 1000, NULL,
	"L2 strength for the embeddings and biases of a rating"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "sgd", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.01", 1e-9, 1000, NULL,
	"learning rate; gradients are summed over the ratings of a mini-batch"},
	{"decay", TR_OPTION_BOOL, OPTION(decay), "true", 0, 0, NULL,
	"whether the learning rate falls linearly, down to 0 after the last of the epochs"},
	{"batch", TR_OPTION_INT, OPTION(batch), "256", 1, 1000000, NULL,
	"mini-batch size, in ratings"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.5", 1e-6, 1000, NULL,
	"scale of the initial embeddings: standard deviation of a factor times the square root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "60", 1, 100000, NULL,
	"maximum number of passes over the ratings"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrSetting pmf[] = {
	{"biases", "false"}, {"factors", "30"}, {"regularization", "0.05"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"pmf", pmf}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, MfOptions, .presets = presets);

typedef struct Mf
{
	TrModel		model;
	MfOptions	options;
	int			W;
	int			B;				/* at most, in a batch */
	float	   *mean;			/* (1) */
	TrFactors	side[2];		/* by TrSide; a batch gathers each of its users once, and every rating's item */
	float	   *saved[2];		/* by TrSide: tensors "users" (U,W), "items" (I,W) */
	int32_t    *order;			/* (ratings) shuffled */
	uint64_t   *sort;			/* (B) */
	TrBatchInts ints;
	int32_t    *row;			/* (B) of a rating: which of the gathered users */
	int32_t    *batch_row;		/* the same in backend memory */
	float	   *residual;		/* (B) ratings less the mean, on the host; */
	TrCsr		target;			/* (P,1) in the backend */
	float	   *score;			/* (P) predictions, then their gradients */
	float	   *nothing;		/* (1) 0 */
	double		rate;			/* of this epoch */
	double	   *loss;
} Mf;

#define BATCH_INTS 6			/* per rating: its row, a gathered user, a gathered item in four arrays */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const MfOptions *o = values;
	double		W = o->factors + 2;
	double		B = o->batch < shape->n_posts ? o->batch : shape->n_posts;
	double		rows = (double) shape->n_users + shape->n_items;

	/* in the backend, with their moments, saved, and the best ones kept; the order; a batch */
	return (size_t) (sizeof(float) * ((o->optimizer == TR_ADAM ? 5 : 3) * rows * W + shape->n_posts
									  + B * (8 * W + 2 * BATCH_INTS + 12)));
}

/* ------------------------------------------------------------------ life */

static bool
has_ratings(const TrDataset *d, TrSide side, int32_t r)
{
	return side == TR_USER ? d->user_ptr[r + 1] > d->user_ptr[r] : d->item_ptr[r + 1] > d->item_ptr[r];
}

/* Normal factors, none for who has no ratings; no bias; the column of the other side's bias is 1. */
static TrStatus
fill_side(Mf *m, TrSide side, TrError *err)
{
	const MfOptions *o = &m->options;
	const TrDataset *d = m->model.dataset;
	int32_t		n = side == TR_USER ? d->n_users : d->n_items;
	float	  **saved = &m->saved[side];

	TR_TRY(tr_training_tensor(&m->model, side == TR_USER ? "users" : "items", n, m->W, saved, err));
	tr_normals(*saved, (int64_t) n * m->W, o->init_std / sqrt(o->factors), o->seed, side);
	for (int32_t r = 0; r < n; r++)
	{
		float	   *row = *saved + (size_t) r * (size_t) m->W;

		if (!has_ratings(d, side, r))
			memset(row, 0, (size_t) m->W * sizeof(float));
		row[o->factors] = side == TR_ITEM;
		row[o->factors + 1] = side == TR_USER;
	}
	return tr_factors_create(&m->side[side], &m->model, *saved, n, m->W, (size_t) m->B, side == TR_ITEM,
							 (TrOptimizerKind) o->optimizer, err);
}

/* One entry in each row of the targets. */
static void
fill_targets(Mf *m)
{
	TrModel    *model = &m->model;
	int64_t    *ptr = TR_NEW(model, int64_t, m->B + 1);
	int32_t    *col = TR_NEW(model, int32_t, m->B);

	for (int64_t p = 0; ptr && p <= m->B; p++)
		ptr[p] = p;
	m->target = (TrCsr) {.cols = 1, .capacity = m->B, .val = tr_device_floats(model, (size_t) m->B)};
	if (ptr && col)
	{
		m->target.ptr = tr_to_device(model, ptr, ((size_t) m->B + 1) * sizeof(int64_t));
		m->target.col = tr_to_device(model, col, (size_t) m->B * sizeof(int32_t));
	}
	tr_free(model->memory, ptr);
	tr_free(model->memory, col);
}

static TrStatus
create_batch(Mf *m, TrError *err)
{
	TrModel    *model = &m->model;
	size_t		B = (size_t) m->B;

	m->order = TR_NEW(model, int32_t, model->dataset->n_posts);
	m->sort = TR_NEW(model, uint64_t, B);
	m->residual = TR_NEW(model, float, B);
	m->score = tr_device_floats(model, B);
	m->nothing = tr_device_zeros(model, 1);
	m->loss = tr_device_new(model, sizeof(double));
	tr_batch_ints(&m->ints, model, BATCH_INTS * B);
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	tr_carve(&m->ints, &m->row, &m->batch_row, B);
	tr_carve(&m->ints, &m->side[TR_USER].host.index, &m->side[TR_USER].batch.index, B);
	tr_carve_gathered(&m->ints, &m->side[TR_ITEM], B);
	fill_targets(m);
	for (int32_t p = 0; p < model->dataset->n_posts; p++)
		m->order[p] = p;
	return tr_enough_memory(model, err, "the factors of users and items");
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Mf		   *m = (Mf *) model;

	m->options = *(const MfOptions *) model->options;
	model->unit = m->options.factors;
	model->width = m->W = m->options.factors + 2;
	TR_TRY(tr_mean_tensor(model, &m->mean, err));
	if (!model->dataset)
		return TR_OK;
	m->B = m->options.batch < model->dataset->n_posts ? m->options.batch : model->dataset->n_posts;
	TR_TRY(fill_side(m, TR_USER, err));
	TR_TRY(fill_side(m, TR_ITEM, err));
	model->rows[TR_USER] = m->side[TR_USER].rows;
	model->rows[TR_ITEM] = m->side[TR_ITEM].rows;
	TR_TRY(create_batch(m, err));
	return model->backend->ops->finish(model->backend, err);
}

/* ------------------------------------------------------------------ training */

/* The n ratings from `first` of the order on, by user. */
static void
list_ratings(TrModel *model, int epoch, int32_t first, int n)
{
	Mf		   *m = (Mf *) model;
	const TrDataset *d = model->dataset;
	int32_t    *user = m->side[TR_USER].host.index;
	int			users = 0;

	(void) epoch;
	tr_sort_ints(m->order + first, (size_t) n);
	for (int p = 0; p < n; p++)
	{
		int32_t		post = m->order[first + p];

		if (users == 0 || user[users - 1] != d->post_user[post])
			user[users++] = d->post_user[post];
		m->row[p] = users - 1;
		m->side[TR_ITEM].host.index[p] = d->post_item[post];
		m->residual[p] = d->post_value[post] - *m->mean;
	}
	m->side[TR_USER].n_gathered = users;
	m->side[TR_ITEM].n_gathered = n;
	tr_factors_sort(&m->side[TR_ITEM], m->sort);
}

/* The gradient of the penalty; none for the columns of 1, nor for biases that there are not to be. */
static void
penalize(Mf *m, TrSide side, const int32_t *slot, const float *gathered, const int32_t *from, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *f = &m->side[side];
	int			rows = side == TR_USER ? f->n_gathered : f->n_distinct;
	int			fixed = m->options.factors + (side == TR_USER);

	b->ops->scatter_rows(b, f->gradient, slot, gathered, from, n, m->W, (float) (2 * m->options.regularization));
	b->ops->fill_column(b, f->gradient + fixed, m->W, m->nothing, NULL, rows);
	if (!m->options.biases)
		b->ops->fill_column(b, f->gradient + m->options.factors + (side == TR_ITEM), m->W, m->nothing, NULL, rows);
}

/* The gradients of the users, and of what was gathered of the items. */
static void
backward(Mf *m, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *users = &m->side[TR_USER];
	TrFactors  *items = &m->side[TR_ITEM];
	const TrGathered *rows = &items->batch;

	b->ops->zero(b, users->gradient, (size_t) users->n_gathered * (size_t) m->W * sizeof(float));
	b->ops->zero(b, items->gradient, (size_t) items->n_distinct * (size_t) m->W * sizeof(float));
	b->ops->pair_scores_backward(b, users->gradient, items->dgathered, m->score, users->gathered, items->gathered,
								 m->batch_row, n, m->W);
	b->ops->scatter_rows(b, items->gradient, rows->slot, items->dgathered, rows->from, n, m->W, 1);
	penalize(m, TR_USER, m->batch_row, users->gathered, m->batch_row, n);
	penalize(m, TR_ITEM, rows->slot, items->gathered, rows->from, n);
}

static void
step(TrModel *model, int n, int64_t number)
{
	Mf		   *m = (Mf *) model;
	TrBackend  *b = model->backend;
	TrFactors  *users = &m->side[TR_USER];
	TrFactors  *items = &m->side[TR_ITEM];
	TrOptimizer o = tr_optimizer(m->options.optimizer, m->rate, number, 0);

	b->ops->upload(b, m->ints.device, m->ints.host, m->ints.n * sizeof(int32_t));
	b->ops->upload(b, m->target.val, m->residual, (size_t) n * sizeof(float));
	tr_factors_gather(b, users);
	tr_factors_gather(b, items);
	b->ops->pair_scores(b, m->score, users->gathered, items->gathered, m->batch_row, n, m->W);
	m->target.rows = n;
	b->ops->squared_loss(b, m->score, &m->target, 1, m->loss);
	backward(m, n);
	b->ops->update_rows(b, &o, users->rows, users->gradient, users->m, users->v, users->batch.index, users->n_gathered,
						m->W);
	b->ops->update_rows(b, &o, items->rows, items->gradient, items->m, items->v, items->batch.distinct,
						items->n_distinct, m->W);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Mf		   *m = (Mf *) model;
	TrRankEpoch e = {.order = m->order, .n = model->dataset->n_posts, .batch = m->B, .floats = (int64_t) m->B * m->W,
	.seed = m->options.seed, .loss = m->loss, .plan = list_ratings, .step = step};

	m->rate = tr_epoch_rate(model, m->options.learning_rate, m->options.decay, epoch);
	return tr_rank_epoch(&e, model, epoch, poll, stats, err);
}

/* ------------------------------------------------------------------ result */

/* The rows, and the mean as a part of every item's bias. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Mf		   *m = (Mf *) model;

	TR_TRY(tr_embed_rows(model, side, dataset, first, n, out, err));
	for (int32_t r = 0; r < n && side == TR_ITEM; r++)
		out[(size_t) r * (size_t) m->W + (size_t) m->W - 1] += *m->mean;
	return TR_OK;
}

static TrStatus
unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	Mf		   *m = (Mf *) model;

	(void) err;
	memset(out, 0, (size_t) m->W * sizeof(float));
	out[m->W - 2] = side == TR_ITEM;
	out[m->W - 1] = side == TR_USER ? 1 : *m->mean;
	return TR_OK;
}

const TrAlgorithm tr_algorithm_mf = {
	.name = "mf",
	.summary = "Matrix factorization that predicts ratings, with biases of users and items.",
	.source = "Koren, Bell & Volinsky, Matrix Factorization Techniques for Recommender Systems (2009), Eq. 5; pmf: "
	"Salakhutdinov & Mnih, Probabilistic Matrix Factorization (NIPS 2007), Eq. 4",
	.task = TR_TASK_RATING,
	.options = &options,
	.loads = true,
	.estimate = estimate,
	.size = sizeof(Mf),
	.create = create,
	.train_epoch = train_epoch,
	.embed = embed,
	.unknown = unknown,
};
