/*
 * user_knn: users who have the same items are neighbours. With the users' items as sets,
 *
 *     score(u,i) = sum over the nearest users v of u who have i, of cos(u,v)
 *
 * So the features of u are his neighbours, and the weights of a user are 1 for his items.
 */
#include "models/cosine.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

typedef struct UserKnnOptions
{
	int			neighbours;
} UserKnnOptions;

static const TrOption option_rows[] = {
	{"neighbours", TR_OPTION_INT, offsetof(UserKnnOptions, neighbours), "50", 0, 1e9, NULL,
	"users whose items a user is offered, at most, the nearest by cosine; 0 = all that share an item with him"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(UserKnnOptions)
};

typedef struct UserKnn
{
	TrModel		model;
	int			neighbours;
	const TrDataset *dataset;
	TrCosine	cosine;
	float	   *ones;			/* (largest number of a user's items) */
	float		saved;			/* nothing is learned, but a model has a tensor */
	TrTensor	tensor;			/* "neighbours" (1,1) */
} UserKnn;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return tr_cosine_estimate(shape, TR_USER) + (size_t) shape->n_items * sizeof(float);
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	UserKnn    *m = (UserKnn *) model;

	tr_cosine_free(&m->cosine);
	tr_free(model->memory, m->ones);
	tr_free(model->memory, m);
}

static TrStatus
fill(UserKnn *m, TrError *err)
{
	TR_TRY(tr_cosine_create(&m->cosine, m->model.memory, m->dataset, TR_USER, err));
	m->ones = tr_alloc(m->model.memory, (size_t) m->dataset->n_items * sizeof(float));
	if (!m->ones)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d items", m->dataset->n_items);
	for (int32_t i = 0; i < m->dataset->n_items; i++)
		m->ones[i] = 1;
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	UserKnn    *m = tr_calloc(memory, 1, sizeof(*m));
	TrStatus	status;

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	m->model.backend = backend;
	m->model.memory = memory;
	m->neighbours = ((const UserKnnOptions *) values)->neighbours;
	m->saved = (float) m->neighbours;
	m->tensor = (TrTensor) {.name = "neighbours", .rows = 1, .cols = 1, .value = &m->saved};
	m->dataset = dataset;
	m->cosine.memory = memory;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* Neighbours are looked for when they are asked for. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	(void) model, (void) epoch, (void) poll, (void) err;
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;

	(void) err;
	*tensors = &m->tensor;
	*count = 1;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;
	const float *value;

	TR_TRY(tr_tensors_check(&m->tensor, NULL, 1, tensors, count, err));
	value = tr_tensor_find("neighbours", tensors, count)->value;
	return *value == m->saved ? TR_OK : tr_fail(err, TR_BAD_DATA, "the stored neighbours are %g, not %d", *value,
												m->neighbours);
}

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_USERS;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;
	int32_t		first = dataset->user_ptr[user];
	int32_t		n = tr_cosine_find(&m->cosine, dataset->post_item + first, dataset->user_ptr[user + 1] - first, user);

	(void) err;
	if (m->neighbours > 0 && n > m->neighbours)
		*out = tr_cosine_in_order(&m->cosine, m->cosine.best, tr_cosine_nearest(&m->cosine, n, m->neighbours));
	else
		*out = tr_cosine_in_order(&m->cosine, m->cosine.found, n);
	return TR_OK;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;
	int32_t		first = m->dataset->user_ptr[feature];

	(void) err;
	*out = (TrSparse) {.n = m->dataset->user_ptr[feature + 1] - first, .index = m->dataset->post_item + first,
	.value = m->ones};
	return TR_OK;
}

const TrAlgorithm tr_algorithm_user_knn = {
	.name = "user_knn",
	.summary = "Items of the users nearest to the user, by the cosine of what they have; it does not look at tags.",
	.source = "Breese, Heckerman & Kadie (UAI 1998), on binary data; Sarwar et al. (EC 2000) for the neighbourhood",
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
