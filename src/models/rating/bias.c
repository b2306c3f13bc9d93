/*
 * bias: the mean, and how much each item and each user is above it, shrunk to nothing where there are few ratings (Koren,
 * "Factor in the Neighbors", 2010, Eq. 2):
 *
 *     b_i = sum over users u of i of (r_ui - mean - b_u) / (item_shrinkage + users of i)
 *     b_u = sum over items i of u of (r_ui - mean - b_i) / (user_shrinkage + items of u)
 *
 * in turn, from b_u = 0 on: the first sweep is the cited one, further ones minimise the sum of squared errors and of
 * user_shrinkage b_u^2 and item_shrinkage b_i^2.
 *
 * user array = (b_u, 1), item array = (1, mean + b_i). What is not known adds nothing.
 */
#include "models/rating/ratings.h"

typedef struct BiasOptions
{
	double		shrinkage[2];	/* by TrSide */
	int			sweeps;
	int			metric;
} BiasOptions;

#define OPTION(field) offsetof(BiasOptions, field)

static const TrOption option_rows[] = {
	{"user_shrinkage", TR_OPTION_REAL, OPTION(shrinkage[TR_USER]), "3", 0, 1e9, NULL,
	"shrinkage of a user's bias: it is as if the user had given so many more average ratings"},
	{"item_shrinkage", TR_OPTION_REAL, OPTION(shrinkage[TR_ITEM]), "2", 0, 1e9, NULL,
	"shrinkage of an item's bias: it is as if the item had so many more average ratings"},
	{"sweeps", TR_OPTION_INT, OPTION(sweeps), "10", 1, 1000, NULL,
	"how often the biases of items and those of users are computed from each other"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, BiasOptions);

typedef struct Bias
{
	TrModel		model;
	float	   *mean;			/* (1) */
	float	   *bias[2];		/* by TrSide: tensors "users" (U,1), "items" (I,1) */
} Bias;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return 4 * sizeof(float) * ((size_t) shape->n_users + (size_t) shape->n_items + 1);
}

/* The biases of one side, from those of the other; 0 for who has no ratings. */
static void
count_side(Bias *m, TrSide side)
{
	const BiasOptions *o = m->model.options;
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	int32_t		n = side == TR_USER ? d->n_users : d->n_items;

	for (int32_t r = 0; r < n; r++)
	{
		double		sum = 0;
		int32_t		ratings = from[r + 1] - from[r];

		for (int32_t k = from[r]; k < from[r + 1]; k++)
		{
			int32_t		post = side == TR_USER ? k : d->item_post[k];

			sum += d->post_value[post] - *m->mean;
			sum -= side == TR_USER ? m->bias[TR_ITEM][d->post_item[post]] : m->bias[TR_USER][d->post_user[post]];
		}
		m->bias[side][r] = ratings > 0 ? (float) (sum / (ratings + o->shrinkage[side])) : 0;
	}
}

static void
count(Bias *m)
{
	const BiasOptions *o = m->model.options;

	for (int sweep = 0; sweep < o->sweeps; sweep++)
	{
		count_side(m, TR_ITEM);
		count_side(m, TR_USER);
	}
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Bias	   *m = (Bias *) model;
	const TrDataset *d = model->dataset;

	model->width = 2;
	TR_TRY(tr_mean_tensor(model, &m->mean, err));
	if (!d)
		return TR_OK;
	TR_TRY(tr_training_tensor(model, "users", d->n_users, 1, &m->bias[TR_USER], err));
	TR_TRY(tr_training_tensor(model, "items", d->n_items, 1, &m->bias[TR_ITEM], err));
	count(m);
	return TR_OK;
}

static void
fill(const Bias *m, TrSide side, float bias, float *out)
{
	out[0] = side == TR_USER ? bias : 1;
	out[1] = side == TR_USER ? 1 : *m->mean + bias;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	(void) dataset, (void) err;
	for (int32_t r = 0; r < n; r++)
		fill((Bias *) model, side, ((Bias *) model)->bias[side][first + r], out + 2 * r);
	return TR_OK;
}

static TrStatus
unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	(void) err;
	fill((Bias *) model, side, 0, out);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_bias = {
	.name = "bias",
	.summary = "The mean rating, and how far the item and the user are from it; the baseline of predicted ratings.",
	.source = "Koren, Factor in the Neighbors: Scalable and Accurate Collaborative Filtering (TKDD 2010), Eq. 2",
	.task = TR_TASK_RATING,
	.options = &options,
	.counts = true,
	.loads = true,
	.estimate = estimate,
	.size = sizeof(Bias),
	.create = create,
	.train_epoch = tr_no_training,
	.embed = embed,
	.unknown = unknown,
};
