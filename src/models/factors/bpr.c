/*
 * bpr: matrix factorisation that learns to rank (Rendle, Freudenthaler, Gantner & Schmidt-Thieme, "BPR: Bayesian
 * Personalized Ranking from Implicit Feedback", 2009). Of a triple (u, i, j), user u has item i and not item j:
 *
 *     loss = sum over triples of -ln sigmoid(x_ui - x_uj) + regularization (|w_u|^2 + |h_i|^2 + |h_j|^2)
 *     x_ui = w_u . h_i + b_i
 *
 * Where pairs have values, a triple weighs the value of (u,i), divided by the mean of all. Where users dislike items, the
 * option dislikes says how often j is one of these.
 * An epoch has one triple for every pair, with a j drawn anew. A batch of triples is one step, over the rows it touches.
 * How much regularization is right depends on how many pairs an item has: unless it is given, it is chosen on held-out
 * pairs (choice.h).
 * Legend: U users, I items, D factors, W width: D and a column for the item's bias, where a user has 1; B triples of a
 * batch.
 */
#include <math.h>

#include "core/rng.h"
#include "models/choice.h"
#include "models/factors/factors.h"

/* Draws of an item that the user does not have, before the items are tried in turn. */
#define TRIES 64

typedef enum Sampling
{
	SAMPLE_UNIFORM,
	SAMPLE_POPULARITY
} Sampling;

static const char *const samplings[] = {"uniform", "popularity", NULL};

typedef struct BprOptions
{
	int			factors;
	bool		item_bias;
	int			sampling;		/* Sampling */
	double		dislikes;
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			batch;
	double		init_std;
	uint64_t	seed;
	int			epochs;
} BprOptions;

#define OPTION(field) offsetof(BprOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "64", 1, 1024, NULL,
	"embedding size"},
	{"item_bias", TR_OPTION_BOOL, OPTION(item_bias), "true", 0, 0, NULL,
	"whether items have a bias, stored after the embedding"},
	{"sampling", TR_OPTION_ENUM, OPTION(sampling), "uniform", 0, 0, samplings,
	"negative sampling: uniform, or proportional to the number of users of an item"},
	{"dislikes", TR_OPTION_REAL, OPTION(dislikes), "0", 0, 1, NULL,
	"share of the negatives that are drawn from what the user dislikes, if anything, by the option like_from"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "-1", -1, 1000, NULL,
	"L2 strength for the embeddings and biases of a triple; -1 = chosen on held-out pairs of the training data"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.001", 1e-9, 1000, NULL,
	"learning rate; gradients are summed over the triples of a mini-batch"},
	{"batch", TR_OPTION_INT, OPTION(batch), "512", 1, 1000000, NULL,
	"mini-batch size, in triples"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.1", 1e-6, 1000, NULL,
	"scale of the initial embeddings: standard deviation of a factor times the square root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "120", 1, 100000, NULL,
	"maximum number of passes over the training pairs"},
};

static TrStatus
check_options(const void *values, TrError *err)
{
	double		regularization = ((const BprOptions *) values)->regularization;

	if (regularization < 0 && regularization != -1)
		return tr_fail(err, TR_BAD_OPTION, "option \"regularization\" is %g, which is neither -1 nor 0 or more", regularization);
	return TR_OK;
}

static const TrOptionSet options = TR_OPTION_SET(option_rows, BprOptions, .check = check_options);

typedef struct Bpr
{
	TrModel		model;
	BprOptions	options;
	int			W;
	int			B;				/* at most, in a batch */
	TrFactors	side[2];		/* by TrSide; a batch gathers each of its users once, and 2B items: every i, then every j */
	float	   *saved[2];		/* by TrSide: tensors "users" (U,W), "items" (I,W) */
	int32_t		n_posts;		/* posts whose user lacks an item */
	int32_t    *order;			/* (n_posts) those posts, shuffled */
	uint64_t   *sort;			/* (2B) */
	TrBatchInts ints;
	int32_t    *row;			/* (B) of a triple: which of the gathered users */
	int32_t    *batch_row;		/* the same in backend memory */
	TrRankLoss	loss;
	float	   *weight;			/* (B) of the triples; NULL = pairs have no values */
	double		mean_value;
	float	   *nothing;		/* (1) 0 */
} Bpr;

#define BATCH_INTS 10			/* per triple: its row, a gathered user, two gathered items */

static int
width_of(const BprOptions *o)
{
	return o->factors + (o->item_bias ? 1 : 0);
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	const BprOptions *o = values;
	double		W = width_of(o);
	double		B = o->batch < shape->n_posts ? o->batch : shape->n_posts;
	double		rows = (double) shape->n_users + shape->n_items;
	int			copies = o->optimizer == TR_ADAM ? 5 : 3;

	/* in the backend, with their moments, saved, and the best ones kept; the order; a batch */
	double		bytes = sizeof(float) * (copies * rows * W + shape->n_posts + B * (8 * W + 2 * BATCH_INTS + 12));

	return o->regularization < 0 ? (size_t) (2 * bytes) + tr_choice_bytes(shape) : (size_t) bytes;
}

/* ------------------------------------------------------------------ life */

/* The posts that a triple can be made of: some item is not the user's. */
static void
list_posts(Bpr *m)
{
	const TrDataset *d = m->model.dataset;

	for (int32_t p = 0; p < d->n_posts; p++)
	{
		int32_t		user = d->post_user[p];

		if (d->user_ptr[user + 1] - d->user_ptr[user] < d->n_items)
			m->order[m->n_posts++] = p;
	}
}

/* Normal factors; no bias; a user's column for it is 1. */
static TrStatus
fill_side(Bpr *m, TrSide side, TrError *err)
{
	const BprOptions *o = &m->options;
	int32_t		n = side == TR_USER ? m->model.dataset->n_users : m->model.dataset->n_items;
	float	  **saved = &m->saved[side];

	TR_TRY(tr_training_tensor(&m->model, side == TR_USER ? "users" : "items", n, m->W, saved, err));
	tr_normals(*saved, (int64_t) n * m->W, o->init_std / sqrt(o->factors), o->seed, side);
	for (int32_t r = 0; r < n && o->item_bias; r++)
		(*saved)[(size_t) r * (size_t) m->W + (size_t) o->factors] = side == TR_USER;
	return tr_factors_create(&m->side[side], &m->model, *saved, n, m->W, (size_t) (side == TR_USER ? m->B : 2 * m->B),
							 side == TR_ITEM, (TrOptimizerKind) o->optimizer, err);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	int			B;

	m->options = *(const BprOptions *) model->options;
	m->W = width_of(&m->options);
	m->order = TR_NEW(model, int32_t, model->dataset->n_posts);
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	list_posts(m);
	if (m->n_posts == 0)
		return tr_fail(err, TR_BAD_DATA, "nothing to rank: every user has every item");
	m->B = B = m->options.batch < m->n_posts ? m->options.batch : m->n_posts;
	TR_TRY(fill_side(m, TR_USER, err));
	TR_TRY(fill_side(m, TR_ITEM, err));
	/* similar users and items are those whose embeddings point the same way, whatever their biases */
	model->width = m->W;
	model->unit = m->options.factors;
	model->rows[TR_USER] = m->side[TR_USER].rows;
	model->rows[TR_ITEM] = m->side[TR_ITEM].rows;
	m->sort = TR_NEW(model, uint64_t, 2 * (size_t) B);
	m->nothing = tr_device_zeros(model, 1);
	tr_batch_ints(&m->ints, model, BATCH_INTS * (size_t) B);
	m->mean_value = model->dataset->post_value ? tr_dataset_values(model->dataset).mean : 0;
	m->weight = m->mean_value > 0 ? TR_NEW(model, float, B) : NULL;
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	tr_carve(&m->ints, &m->row, &m->batch_row, (size_t) B);
	tr_carve(&m->ints, &m->side[TR_USER].host.index, &m->side[TR_USER].batch.index, (size_t) B);
	tr_carve_gathered(&m->ints, &m->side[TR_ITEM], 2 * (size_t) B);
	return tr_rank_loss_create(&m->loss, model, B, 1, err);
}

/* ------------------------------------------------------------------ batches */

static int32_t
draw_item(const Bpr *m, int epoch, uint64_t draw)
{
	const TrDataset *d = m->model.dataset;
	bool		alike = m->options.sampling == SAMPLE_UNIFORM;
	uint64_t	n = (uint64_t) (alike ? d->n_items : d->n_posts);
	int32_t		drawn = (int32_t) tr_below(m->options.seed, TR_STREAM_NEGATIVE, (uint64_t) epoch, draw, n);

	return alike ? drawn : d->post_item[drawn];
}

/* An item that the user dislikes, in the share of the draws that the option says; else -1. */
static int32_t
draw_disliked(const Bpr *m, int epoch, int32_t post)
{
	const TrDislikes *dislikes = m->model.dataset->dislikes;
	int32_t		user = m->model.dataset->post_user[post];
	int32_t		n = dislikes && m->options.dislikes > 0 ? dislikes->ptr[user + 1] - dislikes->ptr[user] : 0;
	uint64_t	seed = m->options.seed;

	if (n == 0 || tr_uniform(seed, TR_STREAM_DISLIKED, (uint64_t) epoch, 2 * (uint64_t) post) >= m->options.dislikes)
		return -1;
	return dislikes->item[dislikes->ptr[user]
						  + (int32_t) tr_below(seed, TR_STREAM_DISLIKED, (uint64_t) epoch, 2 * (uint64_t) post + 1,
											   (uint64_t) n)];
}

/* An item that the post's user does not have. */
static int32_t
draw_negative(const Bpr *m, int epoch, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int32_t		user = d->post_user[post];
	int32_t		item = draw_disliked(m, epoch, post);

	if (item >= 0)
		return item;
	for (uint64_t i = 0; i < TRIES; i++)
	{
		item = draw_item(m, epoch, (uint64_t) post * TRIES + i);
		if (tr_dataset_post(d, user, item) < 0)
			return item;
	}
	while (tr_dataset_post(d, user, item) >= 0)
		item = (item + 1) % d->n_items;
	return item;
}

/* The n posts from `first` of the order on, sorted, as triples: by user. */
static void
list_triples(TrModel *model, int epoch, int32_t first, int n)
{
	Bpr		   *m = (Bpr *) model;
	const TrDataset *d = model->dataset;
	int32_t    *user = m->side[TR_USER].host.index;
	int32_t    *item = m->side[TR_ITEM].host.index;
	int			users = 0;

	tr_sort_ints(m->order + first, (size_t) n);
	for (int p = 0; p < n; p++)
	{
		int32_t		post = m->order[first + p];

		if (users == 0 || user[users - 1] != d->post_user[post])
			user[users++] = d->post_user[post];
		m->row[p] = users - 1;
		if (m->weight)
			m->weight[p] = (float) (d->post_value[post] / m->mean_value);
		item[p] = d->post_item[post];
		item[n + p] = draw_negative(m, epoch, post);
	}
	m->side[TR_USER].n_gathered = users;
	m->side[TR_ITEM].n_gathered = 2 * n;
	tr_factors_sort(&m->side[TR_ITEM], m->sort);
}

/* ------------------------------------------------------------------ a step */

/* -ln sigmoid(x_i - x_j) is the softmax loss of x_i beside the single candidate x_j. */
static void
rank(Bpr *m, int n)
{
	TrBackend  *b = m->model.backend;
	const float *users = m->side[TR_USER].gathered;
	const float *items = m->side[TR_ITEM].gathered;

	b->ops->pair_scores(b, m->loss.score, users, items, m->batch_row, n, m->W);
	b->ops->pair_scores(b, m->loss.score + n, users, items + (size_t) n * (size_t) m->W, m->batch_row, n, m->W);
	tr_rank_loss(b, &m->loss, n, 1);
}

/* The gradients of the users, the penalty's among them, and of what was gathered of the items. */
static void
backward(Bpr *m, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *users = &m->side[TR_USER];
	TrFactors  *items = &m->side[TR_ITEM];
	size_t		half = (size_t) n * (size_t) m->W;

	b->ops->zero(b, users->gradient, (size_t) users->n_gathered * (size_t) m->W * sizeof(float));
	b->ops->pair_scores_backward(b, users->gradient, items->dgathered, m->loss.dscore, users->gathered, items->gathered,
								 m->batch_row, n, m->W);
	b->ops->pair_scores_backward(b, users->gradient, items->dgathered + half, m->loss.score + n, users->gathered,
								 items->gathered + half, m->batch_row, n, m->W);
	b->ops->scatter_rows(b, users->gradient, m->batch_row, users->gathered, m->batch_row, n, m->W,
						 (float) (2 * m->options.regularization));
	if (m->options.item_bias)
		b->ops->fill_column(b, users->gradient + m->options.factors, m->W, m->nothing, NULL, users->n_gathered);
}

static void
step(TrModel *model, int n, int64_t number)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;
	TrFactors  *users = &m->side[TR_USER];
	TrOptimizer o = tr_optimizer(m->options.optimizer, m->options.learning_rate, number, 0);

	b->ops->upload(b, m->ints.device, m->ints.host, m->ints.n * sizeof(int32_t));
	if (m->weight)
		b->ops->upload(b, m->loss.ones, m->weight, (size_t) n * sizeof(float));
	tr_factors_gather(b, users);
	tr_factors_gather(b, &m->side[TR_ITEM]);
	rank(m, n);
	backward(m, n);
	b->ops->update_rows(b, &o, users->rows, users->gradient, users->m, users->v, users->batch.index,
						users->n_gathered, m->W);
	tr_factors_learn(b, &m->side[TR_ITEM], &o, m->options.regularization);
}

/* Regularizations that are worth a try, and how long: by then the larger one is ahead where it will be. */
static const double tried[] = {0.005, 0.02};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))
#define CHOOSING_EPOCHS 30

static TrStatus
choose(Bpr *m, const TrPoll *poll, TrError *err)
{
	BprOptions	options[TRIED];
	const void *list[TRIED];
	TrChoice	choice = {.options = list, .n = TRIED, .seed = m->options.seed};
	int			epochs = (m->model.epochs + 3) / 4;
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		options[i] = m->options;
		options[i].regularization = tried[i];
		list[i] = &options[i];
	}
	choice.epochs = epochs < CHOOSING_EPOCHS ? epochs : CHOOSING_EPOCHS;
	TR_TRY(tr_choose(&best, &m->model, &choice, poll, err));
	m->options.regularization = tried[best];
	return TR_OK;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	TrRankEpoch e = {.order = m->order, .n = m->n_posts, .batch = m->B, .floats = (int64_t) m->B * m->W,
	.seed = m->options.seed, .loss = m->loss.loss, .plan = list_triples, .step = step};

	if (epoch == 1 && m->options.regularization < 0)
		TR_TRY(choose(m, poll, err));
	return tr_rank_epoch(&e, model, epoch, poll, stats, err);
}

const TrAlgorithm tr_algorithm_bpr = {
	.name = "bpr",
	.summary = "Matrix factorization that learns to rank the items a user has above others; does not use tags.",
	.source = "Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (UAI 2009)",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.uses_values = true,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Bpr),
	.create = create,
	.train_epoch = train_epoch,
	.embed = tr_embed_rows,
};
