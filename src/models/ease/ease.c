/*
 * ease: EASE (Steck, WWW 2019). Every item is explained by the other items of the same users, in closed form; it looks at
 * who has what, and at no tag. One epoch. See ease_solve.h for what is minimised and how.
 *
 *     score of an item = sum over the user's items i of B[i,item]
 *
 * What is stored of the model are the rows of B; or, where it is spectral, arrays. Legend: U users, N items.
 */
#include <string.h>

#include "models/choice.h"
#include "models/ease/ease_spectral.h"

typedef struct EaseOptions
{
	double		lambda;
	int			neighbours;
	int			method;			/* TrEaseMethod */
	int			rank;
} EaseOptions;

#define OPTION(field) offsetof(EaseOptions, field)

static const char *const methods[] = {"auto", "primal", "dual", "spectral", NULL};

static const TrOption option_rows[] = {
	{"lambda", TR_OPTION_REAL, OPTION(lambda), "0", 0, 1e9, NULL,
	"L2 strength; 0 = chosen on held-out pairs of the training data; 300 with the method spectral"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "500", 0, 1e9, NULL,
	"number of weights stored per item, the largest by absolute value; 0 = all"},
	{"method", TR_OPTION_ENUM, OPTION(method), "auto", 0, 0, methods,
	"matrix to invert, for the same result: primal (items x items) or dual (users x users); spectral, the leading eigenvectors "
	"in place of an inverse, for large catalogs; auto, the fastest, which is exact where that takes at most 10^13 "
	"multiplications"},
	{"rank", TR_OPTION_INT, OPTION(rank), "1024", 1, 8192, NULL,
	"number of eigenvectors of the method spectral, which is the embedding size"},
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, EaseOptions);

/* Lambdas that are worth a try; the first is right where popular items are noise enough. */
static const double tried[] = {300, 50};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))

/* A choice takes no more users: the matrix to invert then is small, and lambda goes by what they are of all. */
#define CHOOSING_USERS 800

typedef struct Ease
{
	TrModel		model;
	TrEaseSettings settings;
	TrEaseWeights weights;
	TrEaseSpectral spectral;
	float	   *ones;			/* (N) the values of a user's items */
	float	   *lambda;			/* (1) */
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

	if (tr_ease_is_spectral(shape->n_users, shape->n_items, shape->n_posts, settings.method))
		return tr_ease_spectral_bytes(shape->n_users, shape->n_items, shape->n_posts, ((const EaseOptions *) values)->rank)
			+ (size_t) data;
	if (settings.lambda == 0)
		data += (double) tr_choice_bytes(shape) + 16.0 * shape->n_posts
			+ (double) tr_ease_bytes(fmin(shape->n_users, CHOOSING_USERS), shape->n_items, shape->n_items, shape->n_posts, &settings);
	return tr_ease_bytes(shape->n_users, shape->n_items, shape->n_items, shape->n_posts, &settings) + (size_t) data;
}

/* The weights are far larger than what they follow from: lambda, and the dataset. So lambda is what is saved. */
static TrStatus
create(TrModel *model, TrError *err)
{
	Ease	   *m = (Ease *) model;
	const TrDataset *d = model->dataset;

	m->settings = settings_of(model->options);
	if (m->settings.lambda == 0)
		m->settings.lambda = tried[0];	/* until one is chosen */
	TR_TRY(tr_tensor(model, "lambda", 1, 1, TR_FROM_ZERO, &m->lambda, err));
	*m->lambda = (float) m->settings.lambda;
	if (tr_ease_is_spectral(d->n_users, d->n_items, d->n_posts, m->settings.method))
		return tr_ease_spectral_create(&m->spectral, model, d->n_users, d->n_items, 0,
									   ((const EaseOptions *) model->options)->rank, err);
	m->ones = TR_NEW(model, float, d->n_items);
	TR_TRY(tr_enough_memory(model, err, "%d items", d->n_items));
	for (int32_t i = 0; i < d->n_items; i++)
		m->ones[i] = 1;
	return TR_OK;
}

/* ------------------------------------------------------------------ training */

/* X (U,N): 1 for every pair */
static TrStatus
fill(const TrModel *model, TrModel *work, TrEaseData *data, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = model->dataset;

	TR_TRY(tr_ease_new_data(data, work, d->n_users, d->n_items, d->n_items, d->n_posts, err));
	for (int32_t u = 0; u <= d->n_users; u++)
		data->by_row.ptr[u] = d->user_ptr[u];
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		data->by_row.col[p] = d->post_item[p];
		data->by_row.val[p] = 1;
	}
	return tr_ease_transpose(data, poll);
}

static TrStatus
choose_lambda(Ease *m, const TrPoll *poll, TrError *err)
{
	EaseOptions options[TRIED];
	const void *list[TRIED];
	TrChoice	choice = {.options = list, .n = TRIED, .epochs = 1, .most_users = CHOOSING_USERS, .seed = 1};
	double		share = tr_choice_share(m->model.dataset, CHOOSING_USERS);
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		options[i] = *(const EaseOptions *) m->model.options;
		options[i].lambda = tried[i] * share;
		list[i] = &options[i];
	}
	TR_TRY(tr_choose(&best, &m->model, &choice, poll, err));
	m->settings.lambda = tried[best];
	*m->lambda = (float) m->settings.lambda;
	return TR_OK;
}

static TrStatus
solve(TrModel *model, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Ease	   *m = (Ease *) model;

	if (m->spectral.rank > 0)
		return tr_ease_spectral_train(&m->spectral, model, fill, m->settings.lambda, poll, stats, err);
	return tr_ease_train(&m->weights, model, fill, &m->settings, poll, stats, err);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Ease	   *m = (Ease *) model;

	(void) epoch;
	if (((const EaseOptions *) model->options)->lambda == 0 && m->spectral.rank == 0)
		TR_TRY(choose_lambda(m, poll, err));
	return solve(model, poll, stats, err);
}

/* ------------------------------------------------------------------ result */

/* Solves again: what is restored is what the same data gave. */
static TrStatus
restored(TrModel *model, TrError *err)
{
	Ease	   *m = (Ease *) model;

	if (((const EaseOptions *) model->options)->lambda == 0 && *m->lambda > 0)
		m->settings.lambda = *m->lambda;
	if (*m->lambda != (float) m->settings.lambda)
		return tr_fail(err, TR_BAD_DATA, "stored lambda is not %g", m->settings.lambda);
	if (m->spectral.rank > 0)
		return tr_ease_spectral_restored(&m->spectral, err);
	return solve(model, NULL, &(TrEpochStats) {0}, err);
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	const TrEaseSpectral *s = &((Ease *) model)->spectral;

	(void) err;
	for (int32_t i = first; i < first + n; i++, out += s->rank)
	{
		if (side == TR_ITEM)
			tr_ease_item_array(s, out, i);
		else
			memset(out, 0, sizeof(float) * (size_t) s->rank);
		for (int32_t p = dataset->user_ptr[i]; side == TR_USER && p < dataset->user_ptr[i + 1]; p++)
			tr_ease_add_item(s, out, dataset->post_item[p], 1);
	}
	return TR_OK;
}

static int
features(const TrModel *model)
{
	return ((const Ease *) model)->spectral.rank > 0 ? TR_FEATURES_NONE : TR_FEATURES_ITEMS;
}

/* A user is his items, 1 each. */
static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	int32_t		first = dataset->user_ptr[user];

	(void) err;
	*out = (TrSparse) {0};
	if (((Ease *) model)->spectral.rank == 0)
		*out = (TrSparse) {dataset->user_ptr[user + 1] - first, dataset->post_item + first, ((Ease *) model)->ones};
	return TR_OK;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = tr_ease_row(&((Ease *) model)->weights, feature);
	return TR_OK;
}

static TrStatus
fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
		TrError *err)
{
	if (catalogue->width == 0)
		return tr_fold_in_items(model, history, catalogue, array, features, err);
	tr_ease_fold_in(&history->items, catalogue, array);
	return TR_OK;
}

static bool
settled(const TrModel *model, void *options)
{
	const Ease *m = (const Ease *) model;

	((EaseOptions *) options)->lambda = m->settings.lambda;
	return ((const EaseOptions *) model->options)->lambda == 0 && m->spectral.rank == 0;
}

const TrAlgorithm tr_algorithm_ease = {
	.name = "ease",
	.summary = "Linear regression of every item on the user's other items, in closed form; does not use tags.",
	.source = "Steck, Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019), equation 8",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Ease),
	.create = create,
	.train_epoch = train_epoch,
	.restored = restored,
	.embed = embed,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.fold_in = fold_in,
	.contributions = tr_ease_contributions,
	.settled = settled,
};
