/*
 * bpr: matrix factorisation that learns to rank (Rendle, Freudenthaler, Gantner & Schmidt-Thieme, "BPR: Bayesian
 * Personalized Ranking from Implicit Feedback", 2009). Of a triple (u, i, j), user u has item i and not item j:
 *
 *     loss = sum over triples of -ln sigmoid(x_ui - x_uj) + regularization (|w_u|^2 + |h_i|^2 + |h_j|^2)
 *     x_ui = w_u . h_i + b_i
 *
 * An epoch has one triple for every pair, with a j drawn anew. A batch of triples is one step, over the rows it touches.
 * Legend: U users, I items, D factors, W width: D and a column for the item's bias, where a user has 1; B triples of a
 * batch.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model.h"
#include "core/rng.h"
#include "models/rows.h"
#include "models/tensors.h"

/* Draws of an item that the user does not have, before the items are tried in turn. */
#define TRIES 64

/* Steps between two polls, times the batch: 0.1 s of one slow core. */
#define POLL_FLOATS 20000000

typedef enum Sampling
{
	SAMPLE_UNIFORM,
	SAMPLE_POPULARITY
} Sampling;

static const char *const samplings[] = {"uniform", "popularity", NULL};
static const char *const optimizers[] = {"sgd", "adam", NULL};

typedef struct BprOptions
{
	int			factors;
	bool		item_bias;
	int			sampling;		/* Sampling */
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
	"width of the embeddings"},
	{"item_bias", TR_OPTION_BOOL, OPTION(item_bias), "true", 0, 0, NULL,
	"whether an item has a bias of its own, which travels behind its embedding"},
	{"sampling", TR_OPTION_ENUM, OPTION(sampling), "uniform", 0, 0, samplings,
	"how the item that the user does not have is drawn: each alike, or by its number of users"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.005", 0, 1000, NULL,
	"weight of the squared embeddings and bias of a triple"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, optimizers,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.001", 1e-9, 1000, NULL,
	"size of a step; the gradient is summed over the triples of a batch"},
	{"batch", TR_OPTION_INT, OPTION(batch), "512", 1, 1000000, NULL,
	"triples of a step"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.1", 1e-6, 1000, NULL,
	"size of the initial embeddings: standard deviation of a factor, times the root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "60", 1, 100000, NULL,
	"passes over the training pairs, at most"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(BprOptions)
};

/* The embeddings of one side, all of them, and those of a batch; backend memory. */
typedef struct BprSide
{
	int32_t		n;
	float	   *rows;			/* (n,W) */
	float	   *m;				/* (n,W) of Adam */
	float	   *v;
	float	   *gathered;		/* users: (distinct ones,W); items: (2B,W), every i, then every j */
	float	   *gradient;		/* (distinct ones,W) */
	int			n_distinct;
} BprSide;

/*
 * What a batch is about, in host memory and, a copy, in backend memory. Triples are sorted by user, and the 2B items by
 * themselves in `slot` and `from`.
 */
typedef struct BprBatch
{
	int32_t    *row;			/* (B) of a triple: which of the distinct users */
	int32_t    *user;			/* (B) the distinct users, ascending */
	int32_t    *item;			/* (2B) every i, then every j */
	int32_t    *slot;			/* (2B) which of the distinct items, ascending */
	int32_t    *from;			/* (2B) the place in item that has it */
	int32_t    *distinct;		/* (2B) the distinct items, ascending */
} BprBatch;

typedef struct Bpr
{
	TrModel		model;
	BprOptions	options;
	const TrDataset *dataset;
	int			W;
	int			B;				/* at most, in a batch */
	BprSide		side[2];		/* by TrSide */
	int32_t		n_posts;		/* posts whose user lacks an item */
	int32_t    *order;			/* (n_posts) those posts, shuffled */
	uint64_t   *sort;			/* (2B) item << 32 | place */
	int32_t    *host_memory;
	int32_t    *backend_memory;
	BprBatch	host;
	BprBatch	batch;
	float	   *score;			/* (2B) of every i, then of every j; backend memory from here on */
	float	   *dscore;			/* (2B) */
	float	   *ditem;			/* (2B,W) */
	int32_t    *pair_ptr;		/* (B+1) 0, 1, 2, … */
	int32_t    *no_column;		/* (B) -1 */
	float	   *ones;			/* (B) */
	float	   *nothing;		/* (1) 0 */
	double	   *loss;
	TrTensor	tensors[2];		/* by TrSide; "users" (U,W), "items" (I,W) */
} Bpr;

#define BATCH_INTS 10			/* of a BprBatch, per triple */

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
	return (size_t) (sizeof(float) * (copies * rows * W + shape->n_posts + B * (8 * W + 2 * BATCH_INTS + 12)));
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		b->ops->release(b, m->side[side].rows);
		b->ops->release(b, m->side[side].m);
		b->ops->release(b, m->side[side].v);
		b->ops->release(b, m->side[side].gathered);
		b->ops->release(b, m->side[side].gradient);
		tr_free(model->memory, m->tensors[side].value);
	}
	b->ops->release(b, m->backend_memory);
	b->ops->release(b, m->score);
	b->ops->release(b, m->dscore);
	b->ops->release(b, m->ditem);
	b->ops->release(b, m->pair_ptr);
	b->ops->release(b, m->no_column);
	b->ops->release(b, m->ones);
	b->ops->release(b, m->nothing);
	b->ops->release(b, m->loss);
	tr_free(model->memory, m->order);
	tr_free(model->memory, m->sort);
	tr_free(model->memory, m->host_memory);
	tr_free(model->memory, m);
}

static TrStatus
out_of_memory(TrError *err)
{
	return tr_fail(err, TR_NO_MEMORY, "out of memory for the factors of users and items");
}

static BprBatch
carve_batch(int32_t *memory, size_t B)
{
	return (BprBatch) {memory, memory + B, memory + 2 * B, memory + 4 * B, memory + 6 * B, memory + 8 * B};
}

/* The posts that a triple can be made of: some item is not the user's. */
static void
list_posts(Bpr *m)
{
	const TrDataset *d = m->dataset;

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
	TrBackend  *b = m->model.backend;
	BprSide    *s = &m->side[side];
	size_t		bytes = (size_t) s->n * (size_t) m->W * sizeof(float);
	double		std = o->init_std / sqrt(o->factors);
	float	   *host = m->tensors[side].value = tr_alloc(m->model.memory, bytes);
	bool		adam = o->optimizer == TR_ADAM;
	size_t		batch = (size_t) (side == TR_USER ? m->B : 2 * m->B) * (size_t) m->W * sizeof(float);

	s->rows = b->ops->alloc(b, bytes);
	s->m = adam ? b->ops->alloc(b, bytes) : NULL;
	s->v = adam ? b->ops->alloc(b, bytes) : NULL;
	s->gathered = b->ops->alloc(b, batch);
	s->gradient = b->ops->alloc(b, batch);
	if (!host || !s->rows || (adam && (!s->m || !s->v)) || !s->gathered || !s->gradient)
		return out_of_memory(err);
	for (int32_t r = 0; r < s->n; r++)
		for (int j = 0; j < m->W; j++)
		{
			uint64_t	at = (uint64_t) r * (uint64_t) m->W + (uint64_t) j;

			host[at] = j < o->factors ? (float) (std * tr_normal(o->seed, TR_STREAM_INIT, side, at)) : side == TR_USER;
		}
	b->ops->upload(b, s->rows, host, bytes);
	if (adam)
	{
		b->ops->zero(b, s->m, bytes);
		b->ops->zero(b, s->v, bytes);
	}
	return TR_OK;
}

static TrStatus
fill_batch(Bpr *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		B = (size_t) m->B;

	m->sort = tr_alloc(m->model.memory, 2 * B * sizeof(uint64_t));
	m->host_memory = tr_alloc(m->model.memory, (BATCH_INTS * B + 1) * sizeof(int32_t));
	m->backend_memory = b->ops->alloc(b, BATCH_INTS * B * sizeof(int32_t));
	m->score = b->ops->alloc(b, 2 * B * sizeof(float));
	m->dscore = b->ops->alloc(b, 2 * B * sizeof(float));
	m->ditem = b->ops->alloc(b, 2 * B * (size_t) m->W * sizeof(float));
	m->pair_ptr = b->ops->alloc(b, (B + 1) * sizeof(int32_t));
	m->no_column = b->ops->alloc(b, B * sizeof(int32_t));
	m->ones = b->ops->alloc(b, B * sizeof(float));
	m->nothing = b->ops->alloc(b, sizeof(float));
	m->loss = b->ops->alloc(b, sizeof(double));
	if (!m->sort || !m->host_memory || !m->backend_memory || !m->score || !m->dscore || !m->ditem || !m->pair_ptr
		|| !m->no_column || !m->ones || !m->nothing || !m->loss)
		return out_of_memory(err);
	m->host = carve_batch(m->host_memory, B);
	m->batch = carve_batch(m->backend_memory, B);
	for (size_t i = 0; i <= B; i++)
		m->host_memory[i] = (int32_t) i;
	b->ops->upload(b, m->pair_ptr, m->host_memory, (B + 1) * sizeof(int32_t));
	for (size_t i = 0; i < B; i++)
		m->host_memory[i] = -1;
	b->ops->upload(b, m->no_column, m->host_memory, B * sizeof(int32_t));
	b->ops->zero(b, m->nothing, sizeof(float));
	b->ops->fill_column(b, m->ones, 1, NULL, NULL, m->B);
	return b->ops->finish(b, err);
}

static TrStatus
fill(Bpr *m, TrError *err)
{
	const TrDataset *d = m->dataset;

	m->order = tr_alloc(m->model.memory, (size_t) d->n_posts * sizeof(int32_t) + 1);
	if (!m->order)
		return out_of_memory(err);
	list_posts(m);
	if (m->n_posts == 0)
		return tr_fail(err, TR_BAD_DATA, "there is nothing to rank: every user has every item");
	m->B = m->options.batch < m->n_posts ? m->options.batch : m->n_posts;
	TR_TRY(fill_side(m, TR_USER, err));
	TR_TRY(fill_side(m, TR_ITEM, err));
	return fill_batch(m, err);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Bpr		   *m = tr_calloc(memory, 1, sizeof(*m));
	TrStatus	status;

	if (!m)
		return out_of_memory(err);
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const BprOptions *) values;
	m->dataset = dataset;
	m->W = width_of(&m->options);
	m->side[TR_USER].n = dataset->n_users;
	m->side[TR_ITEM].n = dataset->n_items;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ batches */

static int
compare_posts(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

static int
compare_places(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static int32_t
draw_item(const Bpr *m, int epoch, uint64_t draw)
{
	const TrDataset *d = m->dataset;
	bool		alike = m->options.sampling == SAMPLE_UNIFORM;
	uint64_t	n = (uint64_t) (alike ? d->n_items : d->n_posts);
	int32_t		drawn = (int32_t) tr_below(m->options.seed, TR_STREAM_NEGATIVE, (uint64_t) epoch, draw, n);

	return alike ? drawn : d->post_item[drawn];
}

/* An item that the post's user does not have. */
static int32_t
draw_negative(const Bpr *m, int epoch, int32_t post)
{
	const TrDataset *d = m->dataset;
	int32_t		user = d->post_user[post];
	int32_t		item = 0;

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
list_triples(Bpr *m, int epoch, int32_t first, int n)
{
	const TrDataset *d = m->dataset;
	BprBatch   *batch = &m->host;
	int			users = 0;

	qsort(m->order + first, (size_t) n, sizeof(int32_t), compare_posts);
	for (int p = 0; p < n; p++)
	{
		int32_t		post = m->order[first + p];

		if (users == 0 || batch->user[users - 1] != d->post_user[post])
			batch->user[users++] = d->post_user[post];
		batch->row[p] = users - 1;
		batch->item[p] = d->post_item[post];
		batch->item[n + p] = draw_negative(m, epoch, post);
	}
	m->side[TR_USER].n_distinct = users;
}

/* The items of n triples in their own order. */
static void
sort_items(Bpr *m, int n)
{
	BprBatch   *batch = &m->host;
	int			items = 0;

	for (int i = 0; i < 2 * n; i++)
		m->sort[i] = (uint64_t) batch->item[i] << 32 | (uint64_t) i;
	qsort(m->sort, 2 * (size_t) n, sizeof(uint64_t), compare_places);
	for (int i = 0; i < 2 * n; i++)
	{
		int32_t		item = (int32_t) (m->sort[i] >> 32);

		if (items == 0 || batch->distinct[items - 1] != item)
			batch->distinct[items++] = item;
		batch->slot[i] = items - 1;
		batch->from[i] = (int32_t) (m->sort[i] & UINT32_MAX);
	}
	m->side[TR_ITEM].n_distinct = items;
}

/* ------------------------------------------------------------------ a step */

/* score (2n): -ln sigmoid(x_i - x_j) is the softmax loss of x_i beside the single candidate x_j. */
static void
rank_loss(Bpr *m, int n)
{
	TrBackend  *b = m->model.backend;
	const float *users = m->side[TR_USER].gathered;
	const float *items = m->side[TR_ITEM].gathered;
	const float *other_items = items + (size_t) n * (size_t) m->W;
	TrSoftmax	softmax = {.users = n, .columns = 1, .logits = m->score + n, .pair_ptr = m->pair_ptr,
		.pair_column = m->no_column, .pair_weight = m->ones, .pair_logit = m->score, .pair_dlogit = m->dscore,
	.include_positive = true, .scale = 1, .loss = m->loss};

	b->ops->pair_scores(b, m->score, users, items, m->batch.row, n, m->W);
	b->ops->pair_scores(b, m->score + n, users, other_items, m->batch.row, n, m->W);
	b->ops->softmax_loss(b, &softmax);
}

/* The gradients of the distinct users and items, the penalty's among them. */
static void
backward(Bpr *m, int n)
{
	TrBackend  *b = m->model.backend;
	BprSide    *users = &m->side[TR_USER];
	BprSide    *items = &m->side[TR_ITEM];
	size_t		half = (size_t) n * (size_t) m->W;
	float		penalty = (float) (2 * m->options.regularization);

	b->ops->zero(b, users->gradient, (size_t) users->n_distinct * (size_t) m->W * sizeof(float));
	b->ops->zero(b, items->gradient, (size_t) items->n_distinct * (size_t) m->W * sizeof(float));
	b->ops->pair_scores_backward(b, users->gradient, m->ditem, m->dscore, users->gathered, items->gathered, m->batch.row,
								 n, m->W);
	b->ops->pair_scores_backward(b, users->gradient, m->ditem + half, m->score + n, users->gathered, items->gathered + half,
								 m->batch.row, n, m->W);
	b->ops->scatter_rows(b, users->gradient, m->batch.row, users->gathered, m->batch.row, n, m->W, penalty);
	b->ops->scatter_rows(b, items->gradient, m->batch.slot, m->ditem, m->batch.from, 2 * n, m->W, 1);
	b->ops->scatter_rows(b, items->gradient, m->batch.slot, items->gathered, m->batch.from, 2 * n, m->W, penalty);
	if (m->options.item_bias)
		b->ops->fill_column(b, users->gradient + m->options.factors, m->W, m->nothing, NULL, users->n_distinct);
}

static void
step(Bpr *m, int n, int64_t number)
{
	TrBackend  *b = m->model.backend;
	BprSide    *users = &m->side[TR_USER];
	BprSide    *items = &m->side[TR_ITEM];
	TrOptimizer o = {.kind = (TrOptimizerKind) m->options.optimizer, .rate = (float) m->options.learning_rate,
	.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .step = number};

	b->ops->upload(b, m->backend_memory, m->host_memory, BATCH_INTS * (size_t) m->B * sizeof(int32_t));
	b->ops->gather_rows(b, users->gathered, users->rows, m->batch.user, users->n_distinct, m->W);
	b->ops->gather_rows(b, items->gathered, items->rows, m->batch.item, 2 * n, m->W);
	rank_loss(m, n);
	backward(m, n);
	b->ops->update_rows(b, &o, users->rows, users->gradient, users->m, users->v, m->batch.user, users->n_distinct, m->W);
	b->ops->update_rows(b, &o, items->rows, items->gradient, items->m, items->v, m->batch.distinct, items->n_distinct,
						m->W);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;
	int64_t		batches = (m->n_posts + m->B - 1) / m->B;
	int64_t		between = 1 + POLL_FLOATS / ((int64_t) m->B * m->W);
	double		loss;

	tr_shuffle(m->order, m->n_posts, m->options.seed, epoch);
	b->ops->zero(b, m->loss, sizeof(double));
	for (int64_t i = 0; i < batches; i++)
	{
		int32_t		first = (int32_t) (i * m->B);
		int			n = m->n_posts - first < m->B ? m->n_posts - first : m->B;

		if (i % between == 0 && tr_poll(poll))
			return TR_CANCELLED;
		list_triples(m, epoch, first, n);
		sort_items(m, n);
		tr_begin_step(b);
		step(m, n, (epoch - 1) * batches + i + 1);
		tr_end_step(b);
	}
	b->ops->download(b, &loss, m->loss, sizeof(double));
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->n_posts;
	stats->loss = loss / m->n_posts;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		TrTensor   *tensor = &m->tensors[side];

		strcpy(tensor->name, side == TR_USER ? "users" : "items");
		tensor->rows = m->side[side].n;
		tensor->cols = m->W;
		tensor->training = true;
		b->ops->download(b, tensor->value, m->side[side].rows, (size_t) tensor->rows * (size_t) m->W * sizeof(float));
	}
	*tensors = m->tensors;
	*count = 2;
	return b->ops->finish(b, err);
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;
	TrTensor	wanted[] = {
		{.name = "users", .rows = m->side[TR_USER].n, .cols = m->W},
		{.name = "items", .rows = m->side[TR_ITEM].n, .cols = m->W}
	};

	TR_TRY(tr_tensors_check(wanted, NULL, 2, tensors, count, err));
	for (int side = TR_USER; side <= TR_ITEM; side++)
		b->ops->upload(b, m->side[side].rows, tr_tensor_find(wanted[side].name, tensors, count)->value,
					   (size_t) wanted[side].rows * (size_t) wanted[side].cols * sizeof(float));
	return b->ops->finish(b, err);
}

/* Similar users and items are those whose embeddings point the same way, whatever their biases. */
static int
width(const TrModel *model, int *unit)
{
	const Bpr  *m = (const Bpr *) model;

	if (unit)
		*unit = m->options.factors;
	return m->W;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Bpr		   *m = (Bpr *) model;
	TrBackend  *b = model->backend;
	size_t		W = (size_t) m->W;

	(void) dataset;
	b->ops->download(b, out, m->side[side].rows + (size_t) first * W, (size_t) n * W * sizeof(float));
	return b->ops->finish(b, err);
}

const TrAlgorithm tr_algorithm_bpr = {
	.name = "bpr",
	.summary = "Matrix factorisation that learns to rank what a user has above what he has not; it does not look at tags.",
	.source = "Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback (UAI 2009)",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.width = width,
	.embed = embed,
	.destroy = destroy,
};
