/*
 * ease: EASE (Steck, WWW 2019). Every item is explained by the other items of the same users, in closed form; it looks at
 * who has what, and at no tag. One epoch. See ease_solve.h for what is minimised and how.
 *
 *     score of an item = sum over the user's items i of B[i,item]
 *
 * What is stored of the model are the rows of B. Legend: U users, N items.
 */
#include <string.h>

#include "core/model.h"
#include "models/ease_solve.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

typedef struct EaseOptions
{
	double		lambda;
	int			neighbours;
	int			method;			/* TrEaseMethod */
} EaseOptions;

#define OPTION(field) offsetof(EaseOptions, field)

static const char *const methods[] = {"auto", "primal", "dual", NULL};

static const TrOption option_rows[] = {
	{"lambda", TR_OPTION_REAL, OPTION(lambda), "300", 1e-3, 1e9, NULL,
	"weight of the squared weights: more for data with few pairs, or with much chance in them"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "500", 0, 1e9, NULL,
	"weights kept of an item, those of the largest absolute value; 0 = all"},
	{"method", TR_OPTION_ENUM, OPTION(method), "auto", 0, 0, methods,
	"which matrix is inverted, for the same result: primal, of items by items; dual, of users by users; auto, the faster "
	"one"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(EaseOptions)
};

typedef struct Ease
{
	TrModel		model;
	TrEaseSettings settings;
	const TrDataset *dataset;
	TrEaseWeights weights;
	int32_t		n_ones;
	float	   *ones;			/* (n_ones) the values of a user's items */
	float		lambda;
	TrTensor	tensor;
} Ease;

static TrEaseSettings
settings_of(const EaseOptions *o)
{
	return (TrEaseSettings) {.lambda = o->lambda, .neighbours = o->neighbours, .method = o->method};
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	TrEaseSettings settings = settings_of(values);
	double		data = 24.0 * shape->n_posts + 8.0 * ((double) shape->n_users + shape->n_items);

	return tr_ease_bytes(shape->n_users, shape->n_items, shape->n_items, shape->n_posts, &settings) + (size_t) data;
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Ease	   *m = (Ease *) model;

	tr_ease_weights_free(&m->weights, model->memory);
	tr_free(model->memory, m->ones);
	tr_free(model->memory, m);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Ease	   *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	m->model.backend = backend;
	m->model.memory = memory;
	m->settings = settings_of(values);
	m->dataset = dataset;
	m->lambda = (float) m->settings.lambda;
	m->tensor = (TrTensor) {.name = "lambda", .rows = 1, .cols = 1, .value = &m->lambda};
	*model = &m->model;
	return TR_OK;
}

/* ------------------------------------------------------------------ training */

/* X (U,N): 1 for every pair */
static TrStatus
fill_data(TrEaseData *data, TrMemory *memory, const TrDataset *d, TrError *err)
{
	TrCsr	   *x = &data->by_row;

	data->targets = d->n_items;
	*x = (TrCsr) {.rows = d->n_users, .cols = d->n_items, .capacity = d->n_posts};
	x->ptr = tr_alloc(memory, ((size_t) d->n_users + 1) * sizeof(int64_t));
	x->col = tr_alloc(memory, (size_t) d->n_posts * sizeof(int32_t) + 1);
	x->val = tr_alloc(memory, (size_t) d->n_posts * sizeof(float) + 1);
	if (!x->ptr || !x->col || !x->val)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d pairs", d->n_posts);
	for (int32_t u = 0; u <= d->n_users; u++)
		x->ptr[u] = d->user_ptr[u];
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		x->col[p] = d->post_item[p];
		x->val[p] = 1;
	}
	return tr_ease_transpose(data, memory, err);
}

static TrStatus
solve(Ease *m, const TrPoll *poll, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	TrEaseData	data = {0};
	TrStatus	status = fill_data(&data, memory, m->dataset, err);

	if (status == TR_OK)
		status = tr_ease_solve(&m->weights, memory, m->model.backend, &data, &m->settings, poll, err);
	tr_ease_data_free(&data, memory);
	return status;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Ease	   *m = (Ease *) model;

	(void) epoch;
	TR_TRY(solve(m, poll, err));
	stats->pairs = m->dataset->n_posts;
	stats->loss = m->weights.loss / m->dataset->n_posts;
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

/* The weights are far larger than what they follow from: lambda, and the dataset. */
static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Ease	   *m = (Ease *) model;

	(void) err;
	*tensors = &m->tensor;
	*count = 1;
	return TR_OK;
}

/* Solves again: what is restored is what the same data gave. */
static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Ease	   *m = (Ease *) model;

	TR_TRY(tr_tensors_check(&m->tensor, NULL, 1, tensors, count, err));
	if (tr_tensor_find("lambda", tensors, count)->value[0] != m->lambda)
		return tr_fail(err, TR_BAD_DATA, "the stored lambda is not %g", m->settings.lambda);
	return solve(m, NULL, err);
}

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_ITEMS;
}

/* A user is his items, 1 each. */
static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Ease	   *m = (Ease *) model;
	int32_t		n = dataset->user_ptr[user + 1] - dataset->user_ptr[user];

	if (n > m->n_ones)
	{
		float	   *ones = tr_realloc(model->memory, m->ones, (size_t) n * sizeof(float));

		if (!ones)
			return tr_fail(err, TR_NO_MEMORY, "out of memory for %d items of a user", n);
		m->ones = ones;
		while (m->n_ones < n)
			m->ones[m->n_ones++] = 1;
	}
	*out = (TrSparse) {n, dataset->post_item + dataset->user_ptr[user], m->ones};
	return TR_OK;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = tr_ease_row(&((Ease *) model)->weights, feature);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_ease = {
	.name = "ease",
	.summary = "Every item explained by the user's other items, in closed form; it does not look at tags.",
	.source = "Steck, Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019), equation 8",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.width = tr_no_width,
	.embed = tr_no_embed,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.destroy = destroy,
};
