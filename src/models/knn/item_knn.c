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

#include "models/knn/cosine.h"

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
	TrCosine	cosine;
	TrScored   *weakest;		/* (I) neighbour that just counts; a score of -INFINITY: all do */
	float	   *saved;			/* (I,3) the same */
} ItemKnn;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return tr_cosine_estimate(shape, TR_ITEM)
		+ (size_t) shape->n_items * (sizeof(TrScored) + (1 + SAVED) * sizeof(float));
}

static TrStatus
create(TrModel *model, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	TrRange		range = {-INFINITY, FLT_MAX, false};
	int32_t		items = model->dataset->n_items;

	m->neighbours = ((const ItemKnnOptions *) model->options)->neighbours;
	TR_TRY(tr_cosine_create(&m->cosine, model, TR_ITEM, err));
	TR_TRY(tr_tensor(model, "weakest", items, SAVED, range, &m->saved, err));
	m->weakest = TR_NEW(model, TrScored, items);
	TR_TRY(tr_enough_memory(model, err, "the neighbours of %d items", items));
	for (int32_t i = 0; i < items; i++)
		m->weakest[i] = (TrScored) {-INFINITY, 0};
	return TR_OK;
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
	for (int32_t i = 0; m->neighbours > 0 && i < model->dataset->n_items; i++)
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
saving(TrModel *model, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	float	   *value = m->saved;

	(void) err;
	for (int32_t i = 0; i < model->dataset->n_items; i++, value += SAVED)
	{
		value[0] = m->weakest[i].score;
		value[1] = (float) (m->weakest[i].index / PART);
		value[2] = (float) (m->weakest[i].index % PART);
	}
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
restored(TrModel *model, TrError *err)
{
	ItemKnn    *m = (ItemKnn *) model;
	const float *value = m->saved;

	for (int32_t i = 0; i < model->dataset->n_items; i++, value += SAVED)
	{
		int32_t		place = place_of(value, model->dataset->n_items);

		if (place < 0)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"weakest\" has no neighbour of item %d", i);
		m->weakest[i] = (TrScored) {value[0], place};
	}
	return TR_OK;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	(void) err;
	*out = tr_cosine_items(&((ItemKnn *) model)->cosine, dataset, user);
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
	.size = sizeof(ItemKnn),
	.create = create,
	.train_epoch = train_epoch,
	.saving = saving,
	.restored = restored,
	.embed = tr_no_embed,
	.features = tr_item_features,
	.user_features = user_features,
	.feature_weights = feature_weights,
};
