/*
 * svdpp: matrix factorization in which what a user has rated is a part of the user (Koren, "Factorization Meets the
 * Neighborhood", 2008, Eq. 15), by gradient descent over mini-batches of ratings:
 *
 *     prediction = mean + b_u + b_i + q_i . (p_u + |N(u)|^(-1/2) sum over the items j of u of y_j)
 *     loss = sum over ratings of (r_ui - prediction)^2 + regularization (b_u^2 + b_i^2 + |p_u|^2 + |q_i|^2)
 *          + |N(u)|^-1 implicit_regularization sum over j of |y_j|^2
 *
 * Legend: U users, I items, D factors, W width: D, the user's bias, the item's bias; P ratings of a batch, u their users, t
 * the different items of these users.
 */
#include <math.h>
#include <string.h>

#include "models/factors/factors.h"
#include "models/nn/rows.h"
#include "models/nn/parameters.h"
#include "models/rating/ratings.h"

typedef struct SvdppOptions
{
	int			factors;
	double		regularization;
	double		implicit_regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	bool		decay;
	int			batch;
	double		init_std;
	uint64_t	seed;
	int			epochs;
	int			metric;
} SvdppOptions;

#define OPTION(field) offsetof(SvdppOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "50", 1, 1024, NULL,
	"embedding size"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.1", 0, 1000, NULL,
	"L2 strength for the embeddings and biases of a rating"},
	{"implicit_regularization", TR_OPTION_REAL, OPTION(implicit_regularization), "0.3", 0, 1000, NULL,
	"L2 strength for what an item says of the users who rated it, for each of these users"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "sgd", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.005", 1e-9, 1000, NULL,
	"learning rate; gradients are summed over the ratings of a mini-batch"},
	{"decay", TR_OPTION_BOOL, OPTION(decay), "true", 0, 0, NULL,
	"whether the learning rate falls linearly, down to 0 after the last of the epochs"},
	{"batch", TR_OPTION_INT, OPTION(batch), "2000", 1, 1000000, NULL,
	"mini-batch size, in ratings; all ratings of their users are looked at"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.5", 1e-6, 1000, NULL,
	"scale of the initial embeddings: standard deviation of a factor times the square root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "60", 1, 100000, NULL,
	"maximum number of passes over the ratings"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, SvdppOptions);

/* What a batch takes of a table, as rows of one entry: 2 * strength * how often a row is taken. */
typedef struct Penalty
{
	float	   *host;
	float	   *val;
} Penalty;

/* By table: users, items, items as a part of users. */
enum
{
	TABLE_USER,
	TABLE_ITEM,
	TABLE_IMPLICIT,
	TABLES
};

static const char *const table_names[] = {"users", "items", "implicit"};

typedef struct Svdpp
{
	TrModel		model;
	SvdppOptions options;
	size_t		W;
	size_t		B;				/* ratings of a batch, as many as there can be */
	float	   *mean;			/* (1) */
	float	   *saved[TABLES];	/* tensors (n,W) */
	TrFactors	table[TABLES];
	float	   *effective;		/* (U,W) p_u and what the items say of u */
	TrCsr		rated;			/* (U,I) |N(u)|^-1/2 where there is a rating */
	int32_t    *order;			/* (ratings) shuffled */
	uint64_t   *sort;			/* (B) */
	float	   *user;			/* (u,W) of the batch, effective */
	float	   *duser;			/* its gradient */
	float	   *score;			/* (P) predictions, then their gradients */
	float	   *nothing;		/* (1) 0 */
	double	   *loss;

	/* the batch on the host, and where it is in the backend */
	int			users;
	int			ratings;
	int32_t    *row;			/* (P) of a rating: which of the users */
	TrRows		list;			/* (u,I) |N(u)|^-1/2 for the items of each user */
	TrTouched	touched;		/* these items */
	float	   *residual;		/* (P) rating - mean */
	Penalty		penalty[TABLES];
	int64_t    *count;			/* (B+1) 0, 1, 2, …, or up to I */
	int32_t    *zeros;			/* (B) */
	TrUpload	upload;
	int32_t    *batch_row;
	int32_t    *touched_items;
	int32_t    *identity;		/* (B) 0, 1, 2, … in the backend */
	TrCsr		target,			/* (P,1) */
				batch_rated,	/* (u,I), and the same with the different items for columns */
				batch_slots;
	double		rate;			/* of this epoch */
} Svdpp;

static size_t
estimate(const TrShape *shape, const void *values)
{
	const SvdppOptions *o = values;
	double		W = o->factors + 2;
	double		rows = (double) shape->n_users + 2.0 * shape->n_items;
	double		P = o->batch < shape->n_posts ? o->batch : shape->n_posts;

	/* in the backend, with their moments, saved, and the best ones kept; who rated what; a batch */
	return (size_t) (sizeof(float) * ((o->optimizer == TR_ADAM ? 5 : 3) * rows * W + shape->n_users * W + 3.0 * shape->n_posts
									  + P * (9 * W + 30) + shape->n_items * (W + 9) + 6.0 * shape->n_posts));
}

/* ------------------------------------------------------------------ life */

/* Normal factors, none for who has no ratings and for what items say of users; the column of the other's bias is 1. */
static TrStatus
fill_table(Svdpp *m, int which, TrError *err)
{
	const SvdppOptions *o = &m->options;
	const TrDataset *d = m->model.dataset;
	const int32_t *from = which == TABLE_USER ? d->user_ptr : d->item_ptr;
	int32_t		n = which == TABLE_USER ? d->n_users : d->n_items;
	size_t		D = (size_t) o->factors;
	size_t		most;

	TR_TRY(tr_training_tensor(&m->model, table_names[which], n, (int32_t) m->W, &m->saved[which], err));
	if (which != TABLE_IMPLICIT)
		tr_normals(m->saved[which], (int64_t) n * (int64_t) m->W, o->init_std / sqrt(o->factors), o->seed, (uint64_t) which);
	for (int32_t r = 0; r < n; r++)
	{
		float	   *row = m->saved[which] + (size_t) r * m->W;

		if (from[r + 1] == from[r])
			memset(row, 0, m->W * sizeof(float));
		row[D] = which == TABLE_ITEM;
		row[D + 1] = which == TABLE_USER;
	}
	most = which == TABLE_IMPLICIT ? (size_t) n : m->B;
	m->penalty[which].host = TR_NEW(&m->model, float, most);
	return tr_factors_create(&m->table[which], &m->model, m->saved[which], n, (int) m->W, most, which == TABLE_ITEM,
							 (TrOptimizerKind) o->optimizer, err);
}

/* |N(u)|^-1/2 */
static float
share_of(const TrDataset *d, int32_t user)
{
	return 1 / sqrtf((float) (d->user_ptr[user + 1] - d->user_ptr[user]));
}

/* The ratings of all users, for the end of an epoch. */
static void
upload_rated(Svdpp *m)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	size_t		posts = (size_t) d->n_posts;
	int64_t    *ptr = TR_NEW(model, int64_t, d->n_users + 1);
	float	   *val = TR_NEW(model, float, posts);

	for (int32_t u = 0; ptr && u <= d->n_users; u++)
		ptr[u] = d->user_ptr[u];
	for (int32_t p = 0; val && p < d->n_posts; p++)
		val[p] = share_of(d, d->post_user[p]);
	m->rated = (TrCsr) {.rows = d->n_users, .cols = d->n_items, .capacity = d->n_posts};
	if (ptr && val)
	{
		m->rated.ptr = tr_to_device(model, ptr, ((size_t) d->n_users + 1) * sizeof(int64_t));
		m->rated.col = tr_to_device(model, d->post_item, posts * sizeof(int32_t));
		m->rated.val = tr_to_device(model, val, posts * sizeof(float));
	}
	tr_free(model->memory, ptr);
	tr_free(model->memory, val);
}

static TrStatus
create_batch(Svdpp *m, TrError *err)
{
	TrModel    *model = &m->model;
	TrGathered *item = &m->table[TABLE_ITEM].host;
	size_t		n = m->B;
	size_t		counted = n > (size_t) model->dataset->n_items ? n : (size_t) model->dataset->n_items;

	m->order = TR_NEW(model, int32_t, model->dataset->n_posts);
	m->sort = TR_NEW(model, uint64_t, n);
	m->row = TR_NEW(model, int32_t, n);
	m->residual = TR_NEW(model, float, n);
	m->count = TR_NEW(model, int64_t, counted + 1);
	m->zeros = TR_NEW(model, int32_t, n);
	m->table[TABLE_USER].host.index = TR_NEW(model, int32_t, n);
	*item = (TrGathered) {TR_NEW(model, int32_t, n), TR_NEW(model, int32_t, n), TR_NEW(model, int32_t, n),
		TR_NEW(model, int32_t, n)};
	m->user = tr_device_floats(model, n * m->W);
	m->duser = tr_device_floats(model, n * m->W);
	m->score = tr_device_floats(model, n);
	model->host_is_full |= !tr_rows_init(model->memory, &m->list, (int32_t) n, true)
		|| !tr_touched_init(model->memory, &m->touched, model->dataset->n_items);
	m->nothing = tr_device_zeros(model, 1);
	m->loss = tr_device_new(model, sizeof(double));
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	for (size_t i = 0; i <= counted; i++)
		m->count[i] = (int64_t) i;
	for (size_t i = 0; i < n; i++)
		m->row[i] = (int32_t) i;
	m->identity = tr_to_device(model, m->row, n * sizeof(int32_t));
	for (int32_t p = 0; p < model->dataset->n_posts; p++)
		m->order[p] = p;
	return tr_enough_memory(model, err, "the factors of users and items");
}

/* effective = p_u and what the items of all users say of them */
static TrStatus
complete_users(TrModel *model, TrError *err)
{
	Svdpp	   *m = (Svdpp *) model;
	TrBackend  *b = model->backend;
	int			U = m->rated.rows;

	if (!model->dataset)
		return TR_OK;
	b->ops->sparse_forward(b, m->effective, &m->rated, m->table[TABLE_IMPLICIT].rows, NULL, (int) m->W, TR_LINEAR);
	for (int first = 0; first < U; first += (int) m->B)
	{
		int			n = U - first < (int) m->B ? U - first : (int) m->B;

		b->ops->scatter_rows(b, m->effective + (size_t) first * m->W, m->identity,
							 m->table[TABLE_USER].rows + (size_t) first * m->W, NULL, n, (int) m->W, 1);
	}
	return b->ops->finish(b, err);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Svdpp	   *m = (Svdpp *) model;

	m->options = *(const SvdppOptions *) model->options;
	model->unit = m->options.factors;
	model->width = m->options.factors + 2;
	m->W = (size_t) model->width;
	TR_TRY(tr_mean_tensor(model, &m->mean, err));
	if (!model->dataset)
		return TR_OK;
	m->B = (size_t) (m->options.batch < model->dataset->n_posts ? m->options.batch : model->dataset->n_posts);
	for (int which = 0; which < TABLES; which++)
		TR_TRY(fill_table(m, which, err));
	m->effective = tr_device_zeros(model, (size_t) model->dataset->n_users * m->W);
	model->rows[TR_USER] = m->effective;
	model->rows[TR_ITEM] = m->table[TABLE_ITEM].rows;
	TR_TRY(create_batch(m, err));
	upload_rated(m);
	TR_TRY(tr_enough_memory(model, err, "the factors of users and items"));
	return model->backend->ops->finish(model->backend, err);
}

/* ------------------------------------------------------------------ batches */

/* A user of the batch, with the items of all the user's ratings. */
static bool
add_user(Svdpp *m, int32_t user)
{
	const TrDataset *d = m->model.dataset;
	int32_t		n = d->user_ptr[user + 1] - d->user_ptr[user];

	if (!tr_rows_reserve(m->model.memory, &m->list, n))
		return false;
	tr_rows_start(&m->list);
	for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
		tr_rows_add(&m->list, d->post_item[p], share_of(d, user));
	m->list.rows++;
	m->penalty[TABLE_USER].host[m->users] = 0;
	m->table[TABLE_USER].host.index[m->users++] = user;
	return true;
}

/* The different items of the ratings, and how often each is there; and those of the users. */
static void
sort_items(Svdpp *m)
{
	TrFactors  *items = &m->table[TABLE_ITEM];
	float	   *item = m->penalty[TABLE_ITEM].host;
	float	   *user = m->penalty[TABLE_USER].host;
	float	   *implicit = m->penalty[TABLE_IMPLICIT].host;
	float		strength = (float) (2 * m->options.regularization);
	float		of_users = (float) (2 * m->options.implicit_regularization);

	items->n_gathered = m->ratings;
	tr_factors_sort(items, m->sort);
	tr_touched_find(&m->touched, (TrRows *const[]) {&m->list}, 1);
	memset(item, 0, (size_t) items->n_distinct * sizeof(float));
	memset(implicit, 0, (size_t) m->touched.n * sizeof(float));
	for (int k = 0; k < m->ratings; k++)
	{
		item[items->host.slot[k]] += strength;
		user[m->row[k]] += 1;
	}
	for (int u = 0; u < m->users; u++)
	{
		for (int64_t e = m->list.ptr[u]; e < m->list.ptr[u + 1]; e++)
			implicit[m->list.slot[e]] += of_users * user[u] * m->list.val[e] * m->list.val[e];
		user[u] *= strength;
	}
}

/* The n ratings from `first` of the order on, by user. */
static TrStatus
list_ratings(Svdpp *m, int32_t first, int n, TrError *err)
{
	const TrDataset *d = m->model.dataset;

	m->users = 0;
	m->ratings = n;
	tr_rows_clear(&m->list);
	tr_sort_ints(m->order + first, (size_t) n);
	for (int p = 0; p < n; p++)
	{
		int32_t		post = m->order[first + p];

		if ((m->users == 0 || m->table[TABLE_USER].host.index[m->users - 1] != d->post_user[post])
			&& !add_user(m, d->post_user[post]))
			return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
		m->row[p] = m->users - 1;
		m->table[TABLE_ITEM].host.index[p] = d->post_item[post];
		m->residual[p] = d->post_value[post] - *m->mean;
	}
	sort_items(m);
	return TR_OK;
}

static TrStatus
upload_batch(Svdpp *m, TrError *err)
{
	TrFactors  *users = &m->table[TABLE_USER];
	TrFactors  *items = &m->table[TABLE_ITEM];
	size_t		u = (size_t) m->users;
	size_t		P = (size_t) m->ratings;
	size_t		t = (size_t) m->touched.n;
	int32_t    *slot;
	TrPiece		piece[20] = {
		{(void **) &users->batch.index, users->host.index, u * sizeof(int32_t)},
		{(void **) &items->batch.index, items->host.index, P * sizeof(int32_t)},
		{(void **) &items->batch.slot, items->host.slot, P * sizeof(int32_t)},
		{(void **) &items->batch.from, items->host.from, P * sizeof(int32_t)},
		{(void **) &items->batch.distinct, items->host.distinct, (size_t) items->n_distinct * sizeof(int32_t)},
		{(void **) &m->touched_items, m->touched.index, t * sizeof(int32_t)},
		{(void **) &m->batch_row, m->row, P * sizeof(int32_t)},
		{(void **) &m->target.ptr, m->count, ((P > t ? P : t) + 1) * sizeof(int64_t)},
		{(void **) &m->target.col, m->zeros, P * sizeof(int32_t)},
		{(void **) &m->target.val, m->residual, P * sizeof(float)},
		{(void **) &m->penalty[TABLE_USER].val, m->penalty[TABLE_USER].host, u * sizeof(float)},
		{(void **) &m->penalty[TABLE_ITEM].val, m->penalty[TABLE_ITEM].host, (size_t) items->n_distinct * sizeof(float)},
		{(void **) &m->penalty[TABLE_IMPLICIT].val, m->penalty[TABLE_IMPLICIT].host, t * sizeof(float)},
	};
	int			pieces = 13 + tr_rows_pieces(piece + 13, &m->batch_rated, &slot, &m->list, items->n);

	TR_TRY(tr_upload(&m->model, &m->upload, piece, pieces, err));
	m->batch_slots = m->batch_rated;
	m->batch_slots.cols = m->touched.n;
	m->batch_slots.col = slot;
	m->target.rows = m->ratings;
	m->target.cols = 1;
	m->target.capacity = m->ratings;
	users->n_gathered = m->users;
	return TR_OK;
}

/* ------------------------------------------------------------------ a step */

/* score = the predictions less the mean */
static void
forward(Svdpp *m)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *users = &m->table[TABLE_USER];
	TrFactors  *items = &m->table[TABLE_ITEM];
	int			W = (int) m->W;

	tr_factors_gather(b, users);
	tr_factors_gather(b, items);
	b->ops->sparse_forward(b, m->user, &m->batch_rated, m->table[TABLE_IMPLICIT].rows, NULL, W, TR_LINEAR);
	b->ops->scatter_rows(b, m->user, m->identity, users->gathered, NULL, m->users, W, 1);
	b->ops->pair_scores(b, m->score, m->user, items->gathered, m->batch_row, m->ratings, W);
}

/* gradient (n,W) = that of the penalty of these rows of a table */
static void
penalize(Svdpp *m, int which, const int32_t *index, int n)
{
	TrBackend  *b = m->model.backend;
	TrCsr		rows = {.rows = n, .cols = m->table[which].n, .capacity = n, .ptr = m->target.ptr, .col = (int32_t *) index,
	.val = m->penalty[which].val};

	b->ops->sparse_forward(b, m->table[which].gradient, &rows, m->table[which].rows, NULL, (int) m->W, TR_LINEAR);
}

/* The gradients of the tables; none of the columns of 1, nor of biases that the items of a user had. */
static void
backward(Svdpp *m)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *users = &m->table[TABLE_USER];
	TrFactors  *items = &m->table[TABLE_ITEM];
	TrFactors  *implicit = &m->table[TABLE_IMPLICIT];
	const TrGathered *rows = &items->batch;
	int			W = (int) m->W;
	int			D = W - 2;

	b->ops->zero(b, m->duser, (size_t) m->users * m->W * sizeof(float));
	b->ops->pair_scores_backward(b, m->duser, items->dgathered, m->score, m->user, items->gathered, m->batch_row,
								 m->ratings, W);
	penalize(m, TABLE_USER, users->batch.index, m->users);
	penalize(m, TABLE_ITEM, rows->distinct, items->n_distinct);
	penalize(m, TABLE_IMPLICIT, m->touched_items, m->touched.n);
	b->ops->scatter_rows(b, users->gradient, m->identity, m->duser, NULL, m->users, W, 1);
	b->ops->scatter_rows(b, items->gradient, rows->slot, items->dgathered, rows->from, m->ratings, W, 1);
	b->ops->sparse_backward(b, implicit->gradient, &m->batch_slots, m->duser, W);
	b->ops->fill_column(b, users->gradient + D + 1, W, m->nothing, NULL, m->users);
	b->ops->fill_column(b, items->gradient + D, W, m->nothing, NULL, items->n_distinct);
	b->ops->fill_column(b, implicit->gradient + D, W, m->nothing, NULL, m->touched.n);
	b->ops->fill_column(b, implicit->gradient + D + 1, W, m->nothing, NULL, m->touched.n);
}

static void
learn(Svdpp *m, int which, const TrOptimizer *o, const int32_t *index, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *f = &m->table[which];

	b->ops->update_rows(b, o, f->rows, f->gradient, f->m, f->v, index, n, (int) m->W);
}

static TrStatus
step(Svdpp *m, int64_t number, TrError *err)
{
	TrBackend  *b = m->model.backend;
	const TrGathered *items = &m->table[TABLE_ITEM].batch;
	int			distinct = m->table[TABLE_ITEM].n_distinct;
	TrOptimizer o = tr_optimizer(m->options.optimizer, m->rate, number, 0);

	TR_TRY(upload_batch(m, err));
	tr_begin_step(b);
	forward(m);
	b->ops->squared_loss(b, m->score, &m->target, 1, m->loss);
	backward(m);
	learn(m, TABLE_USER, &o, m->table[TABLE_USER].batch.index, m->users);
	learn(m, TABLE_ITEM, &o, items->distinct, distinct);
	learn(m, TABLE_IMPLICIT, &o, m->touched_items, m->touched.n);
	tr_end_step(b);
	return TR_OK;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Svdpp	   *m = (Svdpp *) model;
	TrBackend  *b = model->backend;
	int32_t		P = model->dataset->n_posts;
	int64_t		number = (epoch - 1) * (((int64_t) P + (int64_t) m->B - 1) / (int64_t) m->B);
	double		loss;

	m->rate = tr_epoch_rate(model, m->options.learning_rate, m->options.decay, epoch);
	tr_shuffle(m->order, P, m->options.seed, epoch);
	b->ops->zero(b, m->loss, sizeof(double));
	for (int32_t first = 0; first < P; first += (int32_t) m->B)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(list_ratings(m, first, P - first < (int32_t) m->B ? P - first : (int32_t) m->B, err));
		TR_TRY(step(m, ++number, err));
	}
	b->ops->download(b, &loss, m->loss, sizeof(double));
	TR_TRY(complete_users(model, err));
	stats->pairs = model->dataset->n_posts;
	stats->loss = loss / model->dataset->n_posts;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

/* The rows, and the mean as a part of every item's bias. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Svdpp	   *m = (Svdpp *) model;

	TR_TRY(tr_embed_rows(model, side, dataset, first, n, out, err));
	for (int32_t r = 0; r < n && side == TR_ITEM; r++)
		out[(size_t) r * m->W + m->W - 1] += *m->mean;
	return TR_OK;
}

static TrStatus
unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	Svdpp	   *m = (Svdpp *) model;

	(void) err;
	memset(out, 0, m->W * sizeof(float));
	out[m->W - 2] = side == TR_ITEM;
	out[m->W - 1] = side == TR_USER ? 1 : *m->mean;
	return TR_OK;
}

const TrAlgorithm tr_algorithm_svdpp = {
	.name = "svdpp",
	.summary = "Matrix factorization that predicts ratings, and takes what a user has rated for a part of the user.",
	.source = "Koren, Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model (KDD 2008), Eq. 15",
	.task = TR_TASK_RATING,
	.options = &options,
	.loads = true,
	.estimate = estimate,
	.size = sizeof(Svdpp),
	.create = create,
	.train_epoch = train_epoch,
	.restored = complete_users,
	.embed = embed,
	.unknown = unknown,
};
