/*
 * popularity: every user is offered the items that most users have. The baseline that a personal model must beat, and the
 * smallest algorithm there can be: copy this file to start a new one.
 *
 * user array = (1), item array = (number of users who have the item, or the sum of their pairs' values)
 */
#include "models/base.h"

typedef struct PopularityOptions
{
	char		none;
} PopularityOptions;

static const TrOptionSet options = {.size = sizeof(PopularityOptions)};

typedef struct Popularity
{
	TrModel		model;
	float	   *users;			/* (items) users of each item, or their values' sum; of more than 2^24, about so many */
} Popularity;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return (size_t) shape->n_items * sizeof(float);
}

static double
sum_of_values(const TrDataset *d, int32_t item)
{
	double		sum = 0;

	for (int32_t p = d->item_ptr[item]; p < d->item_ptr[item + 1]; p++)
		sum += d->post_value[d->item_post[p]];
	return sum;
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Popularity *p = (Popularity *) model;
	const TrDataset *d = model->dataset;

	model->width = 1;
	TR_TRY(tr_tensor(model, "users", 1, d->n_items, TR_FROM_ZERO, &p->users, err));
	for (int32_t i = 0; i < d->n_items; i++)
		p->users[i] = (float) (d->post_value ? sum_of_values(d, i) : d->item_ptr[i + 1] - d->item_ptr[i]);
	return TR_OK;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Popularity *p = (Popularity *) model;

	(void) dataset, (void) err;
	for (int32_t i = 0; i < n; i++)
		out[i] = side == TR_USER ? 1.0f : p->users[first + i];
	return TR_OK;
}

static TrStatus
fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
		TrError *err)
{
	(void) model, (void) history, (void) catalogue, (void) features, (void) err;
	array[0] = 1;
	return TR_OK;
}

const TrAlgorithm tr_algorithm_popularity = {
	.name = "popularity",
	.summary = "The items with the most users, the same for everyone.",
	.source = "baseline",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,
	.uses_values = true,
	.options = &options,
	.counts = true,
	.estimate = estimate,
	.size = sizeof(Popularity),
	.create = create,
	.train_epoch = tr_no_training,
	.embed = embed,
	.fold_in = fold_in,
};
