/*
 * Predictions of held-out pairs, user by user, on the host. See rating_validation.h.
 * Legend: N items, W width of the arrays, n pairs of a user.
 */
#include "core/rating_validation.h"

#include <string.h>

#include "core/tensors.h"

typedef struct Predicting
{
	TrModel    *model;
	const TrDataset *dataset;
	const TrPairs *pairs;
	size_t		width;
	float	   *items;			/* (N,W) */
	float	   *user;			/* (W) */
	float	   *taken;			/* (most pairs of a user,W) their items */
	float	   *out;			/* (most pairs of a user) */
	TrValueRange range;
} Predicting;

static int32_t
end_of_user(const TrPairs *pairs, int32_t first)
{
	int32_t		end = first;

	while (end < pairs->count && pairs->user[end] == pairs->user[first])
		end++;
	return end;
}

static int32_t
most_pairs(const TrPairs *pairs)
{
	int32_t		most = 1;

	for (int32_t first = 0, end; first < pairs->count; first = end)
	{
		end = end_of_user(pairs, first);
		most = end - first > most ? end - first : most;
	}
	return most;
}

static TrStatus
allocate(Predicting *p, TrError *err)
{
	TrMemory   *memory = p->model->memory;
	size_t		most = (size_t) most_pairs(p->pairs);

	p->items = tr_alloc(memory, ((size_t) p->dataset->n_items * p->width + 1) * sizeof(float));
	p->user = tr_alloc(memory, (p->width + 1) * sizeof(float));
	p->taken = tr_alloc(memory, (most * p->width + 1) * sizeof(float));
	p->out = tr_alloc(memory, most * sizeof(float));
	if (!p->items || !p->user || !p->taken || !p->out)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while validating");
	return TR_OK;
}

static void
release(Predicting *p)
{
	tr_free(p->model->memory, p->items);
	tr_free(p->model->memory, p->user);
	tr_free(p->model->memory, p->taken);
	tr_free(p->model->memory, p->out);
}

static float
inner_product(const float *x, const float *y, size_t n)
{
	double		sum = 0;

	for (size_t j = 0; j < n; j++)
		sum += (double) x[j] * y[j];
	return (float) sum;
}

/* out = the predictions of pairs first..end-1, all of one user */
static TrStatus
predict_user(Predicting *p, int32_t first, int32_t end, TrError *err)
{
	const TrAlgorithm *algorithm = p->model->algorithm;
	int32_t		n = end - first;

	TR_TRY(algorithm->embed(p->model, TR_USER, p->dataset, p->pairs->user[first], 1, p->user, err));
	for (int32_t i = 0; i < n; i++)
		memcpy(p->taken + (size_t) i * p->width, p->items + (size_t) p->pairs->item[first + i] * p->width,
			   p->width * sizeof(float));
	if (algorithm->score_items)
		TR_TRY(algorithm->score_items(p->model, p->user, p->taken, p->width, n, p->out, err));
	else
		for (int32_t i = 0; i < n; i++)
			p->out[i] = inner_product(p->user, p->taken + (size_t) i * p->width, p->width);
	for (int32_t i = 0; i < n; i++)
		p->out[i] = tr_clip(&p->range, p->out[i]);
	return TR_OK;
}

/* score_items() reads what save() copied last. */
static TrStatus
prepare(Predicting *p, TrError *err)
{
	TrTensor   *tensors;
	int			count;

	TR_TRY(allocate(p, err));
	if (p->model->algorithm->score_items)
		TR_TRY(tr_model_save(p->model, &tensors, &count, err));
	return p->model->algorithm->embed(p->model, TR_ITEM, p->dataset, 0, p->dataset->n_items, p->items, err);
}

TrStatus
tr_predict_pairs(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrPredicted told, void *argument,
				 const TrPoll *poll, TrError *err)
{
	Predicting	p = {.model = model, .dataset = dataset, .pairs = held_out, .width = (size_t) model->width,
	.range = tr_dataset_values(model->dataset)};
	TrStatus	status = prepare(&p, err);
	int32_t		end;

	for (int32_t first = 0; status == TR_OK && first < held_out->count; first = end)
	{
		end = end_of_user(held_out, first);
		status = tr_poll_at(poll, "held-out pairs", first, held_out->count) ? TR_CANCELLED : predict_user(&p, first, end, err);
		if (status == TR_OK)
			told(argument, p.out, first, end - first);
	}
	release(&p);
	return status;
}

typedef struct Errors
{
	TrMetric	metric;
	const TrPairs *pairs;
	TrMean		mean;
} Errors;

static void
add_user(void *argument, const float *predicted, int32_t first, int32_t n)
{
	Errors	   *e = argument;

	tr_mean_add(&e->mean, tr_metric_of_errors(e->metric, predicted, e->pairs->value + first, n), n);
}

TrStatus
tr_validate_ratings(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, const TrPoll *poll,
					TrMean *mean, TrError *err)
{
	Errors		errors = {.metric = metric, .pairs = held_out};

	if (held_out->count > 0 && !held_out->value)
		return tr_fail(err, TR_BAD_DATA, "the held-out ratings have no values");
	TR_TRY(tr_predict_pairs(model, dataset, held_out, add_user, &errors, poll, err));
	*mean = errors.mean;
	return TR_OK;
}
