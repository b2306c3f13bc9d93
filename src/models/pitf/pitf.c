/*
 * pitf: pairwise interaction tensor factorisation (Rendle & Schmidt-Thieme, WSDM 2010), learned to rank. A post (u, i) has
 * a tag t and lacks a tag s drawn for it:
 *
 *     y(u,i,t) = w_u . a_t + h_i . b_t
 *     loss     = sum over the assignments (u,i,t) of -ln sigmoid(y(u,i,t) - y(u,i,s))
 *              + regularization (|w_u|^2 + |h_i|^2 of every post in a batch + |a|^2 + |b|^2 of every tag in it)
 *
 * With several tags drawn the loss is that of a softmax over t and them, which is the same for one. A batch is one step,
 * over the rows it touches. [w_u, h_i] . [a_t, b_t] is one inner product: users and items lie in one table, so that the
 * rows of a post, gathered one behind the other, are a row of width 2D.
 *
 * nltf: non-linear tensor factorisation (Fang et al., AAAI 2015): the same with a Gaussian kernel for each inner product:
 *
 *     y(u,i,t) = scale (exp(-|w_u - a_t|^2 / (2 sigma^2)) + exp(-|h_i - b_t|^2 / (2 sigma^2)))
 *
 * A kernel is 1 at most, so that without a scale two scores are never further apart than 2, and the loss of a pair that is
 * ranked right never gets small.
 *
 * Legend: U users, I items, T tags, D factors, E = U + I users and items in one table, P pairs of a batch (a post and one
 * of its tags), Q distinct posts among them, N tags drawn for each pair, M = P (1 + N) tags of a batch.
 */
#include <math.h>
#include <string.h>

#include "core/ascending.h"
#include "core/dot.h"
#include "core/rng.h"
#include "core/simd.h"
#include "models/factors/factors.h"

/* Draws of a tag that the post lacks, before the tags are tried in turn. */
#define TRIES 64

typedef struct PitfOptions
{
	int			factors;
	int			negatives;
	int			sampling;		/* Sampling */
	double		regularization;
	int			optimizer;		/* TrOptimizerKind */
	double		learning_rate;
	int			batch;
	double		init_std;
	uint64_t	seed;
	int			epochs;
	double		sigma;			/* nltf: width of its kernels; 0 = inner products */
	double		scale;			/* nltf: what they are multiplied by */
} PitfOptions;

typedef enum Sampling
{
	SAMPLE_UNIFORM,
	SAMPLE_POPULARITY
} Sampling;

/* Rows for both tables of options; nltf's own stand between the two. */
#define OPTION(field) offsetof(PitfOptions, field)

#define FACTORS_OPTION \
	{"factors", TR_OPTION_INT, OPTION(factors), "64", 1, 1024, NULL, \
	"embedding size of users and items; tags have one embedding for each"}

#define OPTIONS_WITH(init_std_default) \
	{"negatives", TR_OPTION_INT, OPTION(negatives), "8", 1, 1000, NULL, \
	"negative sampling: negative tags per tag of a post; 1 is the loss of the paper, more use a softmax"}, \
	{"sampling", TR_OPTION_ENUM, OPTION(sampling), "uniform", 0, 0, samplings, \
	"distribution of the negative tags: uniform, or proportional to use"}, \
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.001", 0, 1000, NULL, \
	"L2 strength for the embeddings in a mini-batch"}, \
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, tr_optimizer_names, \
	"optimizer"}, \
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.003", 1e-9, 1000, NULL, \
	"learning rate; gradients are summed over a mini-batch"}, \
	{"batch", TR_OPTION_INT, OPTION(batch), "512", 1, 1000000, NULL, \
	"mini-batch size, in assignments"}, \
	{"init_std", TR_OPTION_REAL, OPTION(init_std), init_std_default, 1e-6, 1000, NULL, \
	"scale of the initial embeddings: standard deviation of a factor times the square root of factors"}, \
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL, \
	"random seed; the same seed gives the same model"}, \
	{"epochs", TR_OPTION_INT, OPTION(epochs), "30", 1, 100000, NULL, \
	"maximum number of passes over the assignments"}

static const char *const samplings[] = {"uniform", "popularity", NULL};

static const TrOption pitf_rows[] = {
	FACTORS_OPTION,
	OPTIONS_WITH("0.1"),
};

static const TrOptionSet pitf_options = TR_OPTION_SET(pitf_rows, PitfOptions);

static const TrOption nltf_rows[] = {
	FACTORS_OPTION,
	{"sigma", TR_OPTION_REAL, OPTION(sigma), "1.5", 0.001, 1000, NULL,
	"kernel width: the distance at which the kernel falls to exp(-1/2)"},
	{"scale", TR_OPTION_REAL, OPTION(scale), "10", 0.001, 1e6, NULL,
	"factor of the kernels; 1 in the paper"},
	OPTIONS_WITH("0.3"),
};

/* The reading that is closest to the paper. */
static const TrSetting paper[] = {
	{"sigma", "1"}, {"scale", "1"}, {"negatives", "1"}, {"init_std", "1"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet nltf_options = TR_OPTION_SET(nltf_rows, PitfOptions, .presets = presets);

enum
{
	ENTITIES,				/* rows 0..U-1 are users, U.. items; width D; gathered (2Q,D) is (Q,2D), user, item of a post */
	TAGS					/* next to users, then next to items; width 2D */
};

typedef struct Pitf
{
	TrModel		model;
	PitfOptions options;
	int			D;
	int			P;				/* at most, in a batch */
	TrFactors	table[2];
	int32_t		n_pairs;		/* assignments whose post lacks a tag */
	int32_t    *order;			/* (n_pairs) those assignments, shuffled */
	int32_t    *post_of;		/* (assignments) */
	uint64_t   *sort;			/* (max(2P,M)) */
	TrBatchInts ints;
	int32_t    *post;			/* (M) which of the distinct posts: of every pair, then of every tag drawn */
	int32_t    *batch_post;		/* the same in backend memory */
	TrRankLoss	loss;
	float	   *served;			/* (T,stride of 2D) the tags again, for tr_dot_block(); host memory */
	float	   *query;			/* (stride of 2D) */

	/* tensors */
	float	   *tags;			/* (T,2D) */
	float	   *means;			/* (2,D) of users, of items: what stands for one that nobody knows */
	float	   *entities;		/* (U,D), (I,D) one behind the other, of a model in training alone */
} Pitf;

static size_t
tags_of_batch(int P, int N)
{
	return (size_t) P * (1 + (size_t) N);
}

/* exp(-gamma |w - a|^2) is the kernel of width sigma */
static float
gamma_of(const PitfOptions *o)
{
	return (float) (1 / (2 * o->sigma * o->sigma));
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	const PitfOptions *o = values;
	double		D = o->factors;
	int			P = (int) (o->batch < shape->n_assignments ? o->batch : shape->n_assignments);
	double		M = (double) tags_of_batch(P, o->negatives);
	double		rows = (double) shape->n_users + shape->n_items + 2.0 * shape->n_tags;
	int			copies = o->optimizer == TR_ADAM ? 5 : 3;

	/* in the backend, with their moments, saved, and the best ones kept; tags to serve; two orders; a batch */
	return (size_t) (sizeof(float) * (copies * rows * D + 3.0 * shape->n_tags * (D + TR_DOT_PAD)
									  + 2.0 * (double) shape->n_assignments + 6 * P * D + 6 * M * D + 6 * M + 5.0 * P)
					 + 2 * sizeof(int32_t) * (8.0 * P + 5 * M));
}

/* ------------------------------------------------------------------ life */

/* The assignments that a pair can be made of: their post lacks a tag. */
static void
find_pairs(Pitf *m)
{
	const TrDataset *d = m->model.dataset;

	for (int32_t p = 0; p < d->n_posts; p++)
		for (int64_t a = d->post_ptr[p]; a < d->post_ptr[p + 1]; a++)
		{
			m->post_of[a] = p;
			if (d->post_ptr[p + 1] - d->post_ptr[p] < d->n_tags)
				m->order[m->n_pairs++] = (int32_t) a;
		}
}

/* Factors at random, each kind from its own stretch of the stream. */
static void
draw_factors(Pitf *m)
{
	const TrDataset *d = m->model.dataset;
	const PitfOptions *o = &m->options;
	int64_t		D = m->D;
	double		std = o->init_std / sqrt(m->D);

	tr_normals(m->entities, d->n_users * D, std, o->seed, 0);
	tr_normals(m->entities + d->n_users * D, d->n_items * D, std, o->seed, 1);
	tr_normals(m->tags, d->n_tags * 2 * D, std, o->seed, 2);
}

static TrStatus
create_batch(Pitf *m, TrError *err)
{
	TrModel    *model = &m->model;
	size_t		P = (size_t) m->P;
	size_t		M = tags_of_batch(m->P, m->options.negatives);

	m->sort = TR_NEW(model, uint64_t, M > 2 * P ? M : 2 * P);
	tr_batch_ints(&m->ints, model, 8 * P + 5 * M);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	tr_carve_gathered(&m->ints, &m->table[ENTITIES], 2 * P);
	tr_carve_gathered(&m->ints, &m->table[TAGS], M);
	tr_carve(&m->ints, &m->post, &m->batch_post, M);
	return tr_rank_loss_create(&m->loss, model, m->P, m->options.negatives, err);
}

static TrStatus
fill(Pitf *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	TrOptimizerKind optimizer = (TrOptimizerKind) m->options.optimizer;
	float	   *items;

	m->order = TR_NEW(model, int32_t, d->n_assignments);
	m->post_of = TR_NEW(model, int32_t, d->n_assignments);
	m->entities = TR_NEW(model, float, ((size_t) d->n_users + (size_t) d->n_items) * (size_t) m->D);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	find_pairs(m);
	if (m->n_pairs == 0)
		return tr_fail(err, TR_BAD_DATA, "nothing to rank: every post has every tag");
	m->P = m->options.batch < m->n_pairs ? m->options.batch : m->n_pairs;
	items = m->entities + (size_t) d->n_users * (size_t) m->D;
	TR_TRY(tr_training_tensor(model, "users", d->n_users, m->D, &m->entities, err));
	TR_TRY(tr_training_tensor(model, "items", d->n_items, m->D, &items, err));
	draw_factors(m);
	TR_TRY(tr_factors_create(&m->table[ENTITIES], model, m->entities, d->n_users + d->n_items, m->D,
							 2 * (size_t) m->P, true, optimizer, err));
	TR_TRY(tr_factors_create(&m->table[TAGS], model, m->tags, d->n_tags, 2 * m->D,
							 tags_of_batch(m->P, m->options.negatives), true, optimizer, err));
	model->rows[TR_USER] = m->table[ENTITIES].rows;
	model->rows[TR_ITEM] = m->table[ENTITIES].rows + (size_t) d->n_users * (size_t) m->D;
	return create_batch(m, err);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	size_t		stride;

	m->options = *(const PitfOptions *) model->options;
	m->D = m->options.factors;
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->D;
	TR_TRY(tr_tensor(model, "tags", model->n_tags, 2 * m->D, TR_FINITE, &m->tags, err));
	TR_TRY(tr_tensor(model, "means", 2, m->D, TR_FINITE, &m->means, err));
	stride = tr_dot_stride(2 * m->D);
	m->served = TR_NEW(model, float, (size_t) model->n_tags * stride);
	m->query = TR_NEW(model, float, stride);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	return model->dataset ? fill(m, err) : TR_OK;
}

/* ------------------------------------------------------------------ batches */

static bool
has_tag(const TrDataset *d, int32_t post, int32_t tag)
{
	int64_t		first = d->post_ptr[post];

	return tr_find_ascending(d->post_tag + first, (int32_t) (d->post_ptr[post + 1] - first), tag) >= 0;
}

/* A tag that the post lacks; the n-th for this assignment in this epoch. */
static int32_t
draw_negative(const Pitf *m, int epoch, int32_t assignment, int n)
{
	const TrDataset *d = m->model.dataset;
	int32_t		post = m->post_of[assignment];
	uint64_t	first = ((uint64_t) assignment * (uint64_t) m->options.negatives + (uint64_t) n) * TRIES;
	bool		alike = m->options.sampling == SAMPLE_UNIFORM;
	uint64_t	choices = (uint64_t) (alike ? d->n_tags : d->n_assignments);
	int32_t		tag = 0;

	for (uint64_t i = 0; i < TRIES; i++)
	{
		tag = (int32_t) tr_below(m->options.seed, TR_STREAM_NEGATIVE, (uint64_t) epoch, first + i, choices);
		tag = alike ? tag : d->post_tag[tag];
		if (!has_tag(d, post, tag))
			return tag;
	}
	while (has_tag(d, post, tag))
		tag = (tag + 1) % d->n_tags;
	return tag;
}

/* The n assignments from `first` of the order on, sorted: pairs, by post; and the tags drawn for them. */
static void
list_pairs(TrModel *model, int epoch, int32_t first, int n)
{
	Pitf	   *m = (Pitf *) model;
	const TrDataset *d = model->dataset;
	int			N = m->options.negatives;
	int32_t    *entity = m->table[ENTITIES].host.index;
	int32_t    *tag = m->table[TAGS].host.index;
	int32_t		last = -1;
	int32_t		posts = 0;

	tr_sort_ints(m->order + first, (size_t) n);
	for (int p = 0; p < n; p++)
	{
		int32_t		assignment = m->order[first + p];
		int32_t		post = m->post_of[assignment];

		if (post != last)
		{
			entity[2 * posts] = d->post_user[post];
			entity[2 * posts + 1] = d->n_users + d->post_item[post];
			posts++;
			last = post;
		}
		m->post[p] = posts - 1;
		tag[p] = d->post_tag[assignment];
		for (int k = 0; k < N; k++)
		{
			m->post[n + p * N + k] = posts - 1;
			tag[n + p * N + k] = draw_negative(m, epoch, assignment, k);
		}
	}
	m->table[ENTITIES].n_gathered = 2 * posts;
	m->table[TAGS].n_gathered = n * (1 + N);
	tr_factors_sort(&m->table[ENTITIES], m->sort);
	tr_factors_sort(&m->table[TAGS], m->sort);
}

/* ------------------------------------------------------------------ a step */

/* score (n) of pairs first … first+n-1 of what was gathered */
static void
score_pairs(Pitf *m, int first, int n)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const float *posts = m->table[ENTITIES].gathered;
	const float *tags = m->table[TAGS].gathered + (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores(b, m->loss.score + first, posts, tags, m->batch_post + first, n, 2, m->D, gamma_of(o),
								(float) o->scale);
	else
		b->ops->pair_scores(b, m->loss.score + first, posts, tags, m->batch_post + first, n, 2 * m->D);
}

static void
score_pairs_backward(Pitf *m, int first, int n, const float *dscore)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const TrFactors *posts = &m->table[ENTITIES];
	const TrFactors *tags = &m->table[TAGS];
	size_t		at = (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
										 tags->gathered + at, m->batch_post + first, n, 2, m->D, gamma_of(o),
										 (float) o->scale);
	else
		b->ops->pair_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
									 tags->gathered + at, m->batch_post + first, n, 2 * m->D);
}

/* The gradients of all that was gathered. */
static void
backward(Pitf *m, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *posts = &m->table[ENTITIES];

	b->ops->zero(b, posts->dgathered, (size_t) posts->n_gathered * (size_t) m->D * sizeof(float));
	score_pairs_backward(m, 0, n, m->loss.dscore);
	score_pairs_backward(m, n, n * m->options.negatives, m->loss.score + n);
}

static void
step(TrModel *model, int n, int64_t number)
{
	Pitf	   *m = (Pitf *) model;
	const PitfOptions *o = &m->options;
	TrBackend  *b = model->backend;
	TrOptimizer optimizer = tr_optimizer(o->optimizer, o->learning_rate, number, 0);

	b->ops->upload(b, m->ints.device, m->ints.host, m->ints.n * sizeof(int32_t));
	for (int t = ENTITIES; t <= TAGS; t++)
		tr_factors_gather(b, &m->table[t]);
	score_pairs(m, 0, n);
	score_pairs(m, n, n * o->negatives);
	tr_rank_loss(b, &m->loss, n, o->negatives);
	backward(m, n);
	for (int t = ENTITIES; t <= TAGS; t++)
		tr_factors_learn(b, &m->table[t], &optimizer, o->regularization);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	TrRankEpoch e = {.order = m->order, .n = m->n_pairs, .batch = m->P, .seed = m->options.seed, .loss = m->loss.loss,
		.floats = (int64_t) tags_of_batch(m->P, m->options.negatives) * 2 * m->D, .plan = list_pairs, .step = step};

	return tr_rank_epoch(&e, model, epoch, poll, stats, err);
}

/* ------------------------------------------------------------------ tensors */

/* means (2,D): of the users, and of the items, that have posts */
static void
set_means(Pitf *m)
{
	const TrDataset *d = m->model.dataset;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		const int32_t *ptr = side == TR_USER ? d->user_ptr : d->item_ptr;
		int32_t		n = side == TR_USER ? d->n_users : d->n_items;
		const float *rows = m->entities + (side == TR_USER ? 0 : (size_t) d->n_users * (size_t) m->D);

		for (int j = 0; j < m->D; j++)
		{
			double		sum = 0;
			int32_t		known = 0;

			for (int32_t r = 0; r < n; r++)
				if (ptr[r + 1] > ptr[r])
				{
					sum += rows[(size_t) r * (size_t) m->D + (size_t) j];
					known++;
				}
			m->means[side * m->D + j] = known > 0 ? (float) (sum / known) : 0;
		}
	}
}

/* The tags as tr_dot_block() reads them. */
static TrStatus
restored(TrModel *model, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	size_t		width = 2 * (size_t) m->D;
	size_t		stride = tr_dot_stride((int) width);

	(void) err;
	for (int32_t t = 0; t < model->n_tags; t++)
		memcpy(m->served + (size_t) t * stride, m->tags + (size_t) t * width, width * sizeof(float));
	return TR_OK;
}

static TrStatus
saving(TrModel *model, TrError *err)
{
	set_means((Pitf *) model);
	return restored(model, err);
}

/* ------------------------------------------------------------------ result */

static TrStatus
pitf_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Pitf *m = (const Pitf *) model;
	size_t		D = (size_t) m->D;

	(void) err;
	for (int32_t p = 0; p < n; p++)
	{
		memcpy(m->query, posts[p].user ? posts[p].user : m->means, D * sizeof(float));
		memcpy(m->query + D, posts[p].item ? posts[p].item : m->means + D, D * sizeof(float));
		tr_dot_block(out + (size_t) p * (size_t) model->n_tags, (size_t) model->n_tags, m->query, 1, m->served,
					 model->n_tags, 					 tr_dot_stride(2 * m->D));
	}
	return TR_OK;
}

/* out (T) += the kernels of x (D) with the tags' vectors that start at `at` of their rows */
TR_CLONES static void
add_kernels(float *out, const float *x, const float *tags, int32_t T, int D, float gamma, float scale)
{
	for (int32_t t = 0; t < T; t++)
	{
		const float *y = tags + (size_t) t * 2 * (size_t) D;
		float		sum = 0;

		for (int j = 0; j < D; j++)
			sum += (x[j] - y[j]) * (x[j] - y[j]);
		out[t] += scale * expf(-gamma * sum);
	}
}

/* An unknown user, or item, is the mean of all. */
static TrStatus
nltf_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Pitf *m = (const Pitf *) model;
	size_t		D = (size_t) m->D;
	float		gamma = gamma_of(&m->options);
	float		scale = (float) m->options.scale;

	(void) err;
	memset(out, 0, (size_t) n * (size_t) model->n_tags * sizeof(float));
	for (int32_t p = 0; p < n; p++)
	{
		float	   *score = out + (size_t) p * (size_t) model->n_tags;

		add_kernels(score, posts[p].user ? posts[p].user : m->means, m->tags, model->n_tags, m->D, gamma, scale);
		add_kernels(score, posts[p].item ? posts[p].item : m->means + D, m->tags + D, model->n_tags, m->D, gamma, scale);
	}
	return TR_OK;
}

/* The slots of TrAlgorithm but for what it is called and how it scores tags. */
#define PITF_SLOTS \
	.task = TR_TASK_TAG, .size = sizeof(Pitf), .loads = true, .estimate = estimate, .create = create, \
	.train_epoch = train_epoch, .saving = saving, .restored = restored, \
	.embed = tr_embed_rows

const TrAlgorithm tr_algorithm_pitf = {
	.name = "pitf",
	.summary = "Pairwise tensor factorization of (user, tag) and (item, tag) that learns to rank a post's tags above "
			   "others.",
	.source = "Rendle & Schmidt-Thieme, Pairwise Interaction Tensor Factorization (WSDM 2010)",
	PITF_SLOTS,
	.options = &pitf_options,
	.score_tags = pitf_score_tags,
};

const TrAlgorithm tr_algorithm_nltf = {
	.name = "nltf",
	.summary = "pitf with a Gaussian kernel of the distance instead of each inner product.",
	.source = "Fang et al., Personalized Tag Recommendation through Nonlinear Tensor Factorization Using Gaussian Kernel "
		"(AAAI 2015)",
	PITF_SLOTS,
	.options = &nltf_options,
	.score_tags = nltf_score_tags,
};
