/*
 * Users whom the network was not trained on, from their items and tags.
 *
 * Training has brought the users it saw close to their items: their rare tags, which are theirs alone, have rows of the
 * first layer that say who has them. For somebody else, those tags are unknown, and the others say less. In their place
 * stand the tags that others give to his items, and one step of what training does to a user, up the gradient of the
 * ranking loss:
 *
 *     x + mean of his items' y - sum over items j of p_j y_j       p = softmax((x . y_j + popularity_j) / temperature)
 *
 * Legend: D the numbers to compare by, x (D) the user, y_j (D) item j.
 */
#include <math.h>
#include <string.h>

#include "models/tower/tower.h"

/* The sum goes over every so-manieth item, for about so many. */
#define SOFTMAX_ITEMS 16384

/* ------------------------------------------------------------------ profile */

/* The user's own tags and those of his items, in one; returns how many */
static int32_t
history_tags(const TrHistory *history, int32_t *tag, float *count)
{
	const TrSparse *a = &history->tags;
	const TrSparse *b = &history->item_tags;
	int32_t		i = 0;
	int32_t		j = 0;
	int32_t		n = 0;

	while (i < a->n || j < b->n)
	{
		bool		own = j == b->n || (i < a->n && a->index[i] <= b->index[j]);
		bool		others = i == a->n || (j < b->n && b->index[j] <= a->index[i]);

		tag[n] = own ? a->index[i] : b->index[j];
		count[n++] = (own ? a->value[i] : 0) + (others ? b->value[j] : 0);
		i += own;
		j += others;
	}
	return n;
}

/* ------------------------------------------------------------------ step */

/* In eight sums, which a compiler may compute at once. */
static float
dot(const float *x, const float *y, int n)
{
	float		sum[8] = {0};
	float		rest = 0;
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			sum[k] += x[i + k] * y[i + k];
	for (; i < n; i++)
		rest += x[i] * y[i];
	for (int k = 0; k < 8; k++)
		rest += sum[k];
	return rest;
}

static void
add(float *restrict out, const float *restrict y, int n, float factor)
{
	for (int i = 0; i < n; i++)
		out[i] += factor * y[i];
}

static const float *
item_array(const TrCatalogue *catalogue, int32_t item)
{
	return catalogue->array + (size_t) item * catalogue->stride;
}

/* to (D) -= sum over items of p_j y_j; p (items / every) is work space */
static void
subtract_expected(const Tower *t, float *to, const float *x, const TrCatalogue *catalogue, int32_t every, float *p)
{
	int			D = t->model.unit;
	float		scale = (float) (1 / t->options.temperature);
	float		most = -INFINITY;
	double		sum = 0;

	for (int32_t j = 0, at = 0; j < catalogue->n_items; j += every, at++)
	{
		const float *y = item_array(catalogue, j);

		p[at] = scale * (dot(x, y, D) + (t->model.width > D ? y[D] : 0));
		most = fmaxf(most, p[at]);
	}
	for (int32_t j = 0, at = 0; j < catalogue->n_items; j += every, at++)
		sum += p[at] = expf(p[at] - most);
	for (int32_t j = 0, at = 0; j < catalogue->n_items; j += every, at++)
		if (p[at] > 1e-7f)
			add(to, item_array(catalogue, j), D, (float) (-p[at] / sum));
}

/* to (D) += mean of the items' arrays, by how much each counts */
static void
add_mean(float *to, const TrSparse *items, const TrCatalogue *catalogue, int D)
{
	double		sum = 0;

	for (int32_t i = 0; i < items->n; i++)
		sum += items->value[i];
	for (int32_t i = 0; i < items->n; i++)
		add(to, item_array(catalogue, items->index[i]), D, (float) (items->value[i] / sum));
}

/* to (D) is work space */
static void
step(const Tower *t, float *array, const TrSparse *items, const TrCatalogue *catalogue, int32_t every, float *to, float *p)
{
	int			D = t->model.unit;
	float		norm;

	memcpy(to, array, (size_t) D * sizeof(float));
	add_mean(to, items, catalogue, D);
	subtract_expected(t, to, array, catalogue, every, p);
	norm = sqrtf(dot(to, to, D));
	for (int i = 0; norm > 0 && i < D; i++)
		array[i] = to[i] / norm;
}

/* So many steps towards the items; array (D) */
static TrStatus
approach(Tower *t, const TrSparse *items, const TrCatalogue *catalogue, int steps, float *array, TrError *err)
{
	TrModel    *model = &t->model;
	int32_t		every = catalogue->n_items / SOFTMAX_ITEMS + 1;
	float	   *to = TR_NEW(model, float, model->unit);
	float	   *p = TR_NEW(model, float, catalogue->n_items / every + 1);
	TrStatus	status = tr_enough_memory(model, err, "a new user");

	for (int i = 0; status == TR_OK && items->n > 0 && i < steps; i++)
		step(t, array, items, catalogue, every, to, p);
	tr_free(model->memory, to);
	tr_free(model->memory, p);
	return status;
}

TrStatus
tower_fold_in_with(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float times, int steps, float *array,
				   TrError *err)
{
	const TrSparse *items = &history->items;
	size_t		most = (size_t) history->tags.n + (size_t) history->item_tags.n + (size_t) items->n;
	int32_t    *tag = TR_NEW(model, int32_t, most);
	float	   *count = TR_NEW(model, float, most);
	int64_t		ptr[2] = {0};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tag, .count = count};
	TrStatus	status = tr_enough_memory(model, err, "encoding");

	if (status == TR_OK)
		ptr[1] = history_tags(history, tag, count);
	for (int32_t i = 0; status == TR_OK && times > 0 && i < items->n; i++, ptr[1]++)
	{
		tag[ptr[1]] = model->n_tags + items->index[i];
		count[ptr[1]] = times * items->value[i];
	}
	if (status == TR_OK)
		status = tower_encode(model, TR_USER, &profile, array, err);
	if (status == TR_OK)
		status = approach((Tower *) model, items, catalogue, steps, array, err);
	tr_free(model->memory, tag);
	tr_free(model->memory, count);
	return status;
}

TrStatus
tower_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
			  TrError *err)
{
	(void) features;
	return tower_fold_in_with(model, history, catalogue, 0, 1, array, err);
}
