/*
 * popularity: every user is offered the items that most users have. The baseline that a personal model must beat, and the
 * smallest algorithm there can be: copy this file to start a new one.
 *
 * user array = (1), item array = (number of users who tagged the item)
 */
#include "core/model.h"
#include "models/tensors.h"

typedef struct PopularityOptions
{
	char		none;
} PopularityOptions;

static const TrOptionSet options = {.size = sizeof(PopularityOptions)};

typedef struct Popularity
{
	TrModel		model;
	int32_t		n_items;
	float	   *users;			/* (items) users of each item; of more than 2^24, about so many */
	TrTensor	tensor;
} Popularity;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return (size_t) shape->n_items * sizeof(float);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Popularity *p = tr_calloc(memory, 1, sizeof(*p));

	(void) values;
	if (!p || !(p->users = tr_calloc(memory, (size_t) dataset->n_items, sizeof(float))))
	{
		tr_free(memory, p);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d items", dataset->n_items);
	}
	p->model.backend = backend;
	p->model.memory = memory;
	p->n_items = dataset->n_items;
	p->tensor = (TrTensor) {.name = "users", .rows = 1, .cols = p->n_items, .value = p->users};
	for (int32_t i = 0; i < dataset->n_items; i++)
		p->users[i] = (float) (dataset->item_ptr[i + 1] - dataset->item_ptr[i]);
	*model = &p->model;
	return TR_OK;
}

/* Nothing to learn: counting was all. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	(void) model, (void) epoch, (void) poll, (void) err;
	stats->last = true;
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Popularity *p = (Popularity *) model;

	(void) err;
	*tensors = &p->tensor;
	*count = 1;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	return tr_tensors_read(&((Popularity *) model)->tensor, NULL, 1, tensors, count, err);
}

static int
width(const TrModel *model, int *unit)
{
	(void) model;
	if (unit)
		*unit = 0;
	return 1;
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

static void
destroy(TrModel *model)
{
	tr_free(model->memory, ((Popularity *) model)->users);
	tr_free(model->memory, model);
}

const TrAlgorithm tr_algorithm_popularity = {
	.name = "popularity",
	.summary = "The items that most users have, the same for everybody.",
	.source = "baseline",
	.task = TR_TASK_ITEM,
	.options = &options,
	.counts = true,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.width = width,
	.embed = embed,
	.destroy = destroy,
};
