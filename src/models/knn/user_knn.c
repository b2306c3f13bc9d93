/*
 * user_knn: users who have the same items are neighbours. With the users' items as sets,
 *
 *     score(u,i) = sum over the nearest users v of u who have i, of cos(u,v)
 *
 * So the features of u are his neighbours, and the weights of a user are 1 for his items.
 */
#include "models/knn/cosine.h"

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
	float	   *saved;			/* the same: nothing is learned, but a model has a tensor */
	TrCosine	cosine;
} UserKnn;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return tr_cosine_estimate(shape, TR_USER) + (size_t) shape->n_items * sizeof(float);
}

/* Neighbours are looked for when they are asked for. */
static TrStatus
create(TrModel *model, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;

	m->neighbours = ((const UserKnnOptions *) model->options)->neighbours;
	TR_TRY(tr_tensor(model, "neighbours", 1, 1, TR_FROM_ZERO, &m->saved, err));
	*m->saved = (float) m->neighbours;
	return tr_cosine_create(&m->cosine, model, TR_USER, err);
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	UserKnn    *m = (UserKnn *) model;

	if (*m->saved != (float) m->neighbours)
		return tr_fail(err, TR_BAD_DATA, "the stored neighbours are %g, not %d", *m->saved, m->neighbours);
	return TR_OK;
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
	(void) err;
	*out = tr_cosine_items(&((UserKnn *) model)->cosine, model->dataset, feature);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_user_knn = {
	.name = "user_knn",
	.summary = "Items of the users nearest to the user, by the cosine of what they have; it does not look at tags.",
	.source = "Breese, Heckerman & Kadie (UAI 1998), on binary data; Sarwar et al. (EC 2000) for the neighbourhood",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(UserKnn),
	.create = create,
	.train_epoch = tr_no_training,
	.restored = restored,
	.embed = tr_no_embed,
	.features = tr_user_features,
	.user_features = user_features,
	.feature_weights = feature_weights,
};
