/*
 * item_knn: items that the same users have are neighbours. With the items' users as sets,
 *
 *     score(u,i) = sum over the items j of u, j among the nearest of i, of cos(i,j)
 *
 * Which items are among the nearest of i is decided once, in training: by the weakest of them. The weights of an item j are
 * then computed when they are asked for, as those cosines that are no weaker.
 * Legend: I items.
 */
#include <math.h>

#include "models/cosine.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

/* Numbers that a weakest neighbour is saved as: its cosine, and its place in two parts that a float holds exactly. */
#define SAVED 3
#define PART 65536

typedef struct ItemKnnOptions
{
	int			neighbours;
} ItemKnnOptions;

static const TrOption option_rows[] = {
	{"neighbours", TR_OPTION_INT, offsetof(ItemKnnOptions, neighbours), "50", 0, 1e9, NULL,
	"items that an item's score is made of, at most, the nearest by cosine; 0 = all that share a user with it"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(ItemKnnOptions)
};

typedef struct ItemKnn
{
	TrModel		model;
	int			neighbours;
	const TrDataset *dataset;
	TrCosine	cosine;
	TrScored   *weakest;		/* (I) neighbour that just counts; a score of -INFINITY: all do */
	float	   *ones;			/* (I) */
	TrTensor	tensor;			/* "weakest" (I,3) */
} ItemKnn;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return tr_cosine_estimate(shape, TR_ITEM)
		+ (size_t) shape->n_items * (sizeof(TrScored) + (1 + SAVED) * sizeof(float));
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	ItemKnn    *m = (ItemKnn *) model;

	tr_cosine_free(&m->cosine);
	tr_free(model->memory, m->weakest);
	tr_free(model->memory, m->ones);
	tr_free(model->memory, m->tensor.value);
	tr_free(model->memory, m);
}

static TrStatus
fill(ItemKnn *m, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	size_t		items = (size_t) m->dataset->n_items;

	TR_TRY(tr_cosine_create(&m->cosine, memory, m->dataset, TR_ITEM, err));
	m->weakest = tr_alloc(memory, items * sizeof(TrScored));
	m->ones = tr_alloc(memory, items * sizeof(float));
	m->tensor = (TrTensor) {.name = "weakest", .rows = m->dataset->n_items, .cols = SAVED,
	.value = tr_alloc(memory, items * SAVED * sizeof(float))};
	if (!m->weakest || !m->ones || !m->tensor.value)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the neighbours of %zu items", items);
	for (size_t i = 0; i < items; i++)
	{
		m->weakest[i] = (TrScored) {-INFINITY, 0};
		m->ones[i] = 1;
	}
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	ItemKnn    *m = tr_calloc(memory, 1, sizeof(*m));
	TrStatus	status;

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	m->model.backend = backend;
	m->model.memory = memory;
	m->neighbours = ((const ItemKnnOptions *) values)->neighbours;
	m->dataset = dataset;
	m->cosine.memory = memory;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ training */

/* The items near an item, in cosine.found; their number. */
static int32_t
find(ItemKnn *m, int32_t item)
{
	const TrCosine *c = &m->cosine;

	return tr_cosine_find(&m->cosine, c->set_member + c->set_ptr[item], c->set_ptr[item + 1] - c->set_ptr[item], item);
}

/* Looks for the weakest neighbour of each item that counts. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;

	(void) epoch, (void) err;
	for (int32_t i = 0; m->neighbours > 0 && i < m->dataset->n_items; i++)
	{
		int32_t		n = find(m, i);

		if (tr_poll(poll))
			return TR_CANCELLED;
		if (n > m->neighbours)
		{
			tr_cosine_nearest(&m->cosine, n, m->neighbours);
			m->weakest[i] = m->cosine.best[0];
		}
	}
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	float	   *value = m->tensor.value;

	(void) err;
	for (int32_t i = 0; i < m->dataset->n_items; i++, value += SAVED)
	{
		value[0] = m->weakest[i].score;
		value[1] = (float) (m->weakest[i].index / PART);
		value[2] = (float) (m->weakest[i].index % PART);
	}
	*tensors = &m->tensor;
	*count = 1;
	return TR_OK;
}

/* The place of a stored neighbour; -1 when it is none. */
static int32_t
place_of(const float *value, int32_t items)
{
	float		most = (float) ((items - 1) / PART);

	if (!(value[1] >= 0 && value[1] <= most && value[1] == truncf(value[1])))
		return -1;
	if (!(value[2] >= 0 && value[2] < PART && value[2] == truncf(value[2])))
		return -1;
	if ((int64_t) value[1] * PART + (int64_t) value[2] >= items)
		return -1;
	return (int32_t) value[1] * PART + (int32_t) value[2];
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	TrRange		range = {-INFINITY, FLT_MAX, false};
	const float *value;

	TR_TRY(tr_tensors_check(&m->tensor, &range, 1, tensors, count, err));
	value = tr_tensor_find("weakest", tensors, count)->value;
	for (int32_t i = 0; i < m->dataset->n_items; i++, value += SAVED)
	{
		int32_t		place = place_of(value, m->dataset->n_items);

		if (place < 0)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"weakest\" has no neighbour of item %d", i);
		m->weakest[i] = (TrScored) {value[0], place};
	}
	return TR_OK;
}

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_ITEMS;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	int32_t		first = dataset->user_ptr[user];

	(void) err;
	*out = (TrSparse) {.n = dataset->user_ptr[user + 1] - first, .index = dataset->post_item + first,
	.value = ((ItemKnn *) model)->ones};
	return TR_OK;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	TrScored   *found = m->cosine.found;
	int32_t		n = find(m, feature);
	int32_t		kept = 0;

	(void) err;
	for (int32_t i = 0; i < n; i++)
	{
		TrScored	seen_from_there = {found[i].score, feature};

		if (!tr_scored_better(m->weakest[found[i].index], seen_from_there))
			found[kept++] = found[i];
	}
	*out = tr_cosine_in_order(&m->cosine, found, kept);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_item_knn = {
	.name = "item_knn",
	.summary = "Items near those that the user has, by the cosine of who has them; it does not look at tags.",
	.source = "Sarwar, Karypis, Konstan & Riedl, Item-based collaborative filtering (WWW 2001), on binary data",
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
