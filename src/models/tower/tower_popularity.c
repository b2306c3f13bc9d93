/*
 * How popular an item will be that the model was not trained on: it has had only part of its time, or none, so that the
 * number of its users says too little. To these come those that its tags promise, the fewer the more it has already:
 *
 *     users + PROMISE expected / (1 + users)^FADING      expected = e^(mean + sum over the item's tags t of w_t) - 1, at least 0
 *
 * by a ridge regression, over the items that the model was trained on, of ln(1 + users) on the tags.
 *
 * Legend: N items, T tags; x (N,T) is 1 where an item has a tag.
 */
#include <math.h>
#include <string.h>

#include "core/topn.h"
#include "models/tower/tower.h"

/*
 * So that about as much of the lists is new items as of the interactions, where they have no users and where they have half
 * of theirs (doc/quality.md).
 */
#define PROMISE 1.6
#define FADING 0.8

/* L2 strength, and steps of the conjugate gradients that solve for w, or as many as it takes to be so near. */
#define LAMBDA 10.0
#define STEPS 50
#define NEAR 1e-8

static bool
is_new(const TrDataset *d, int32_t item)
{
	return tr_bit_test(d->new_items, item);
}

/* ln(1 + users) */
static double
popularity(const TrDataset *d, int32_t item)
{
	return log1p(d->item_ptr[item + 1] - d->item_ptr[item]);
}

static double
sum_of_tags(const TrDataset *d, int32_t item, const double *w)
{
	double		sum = 0;

	for (int64_t e = d->item.entry_ptr[item]; e < d->item.entry_ptr[item + 1]; e++)
		sum += w[d->item.tag[e]];
	return sum;
}

static void
add_to_tags(const TrDataset *d, int32_t item, double *w, double value)
{
	for (int64_t e = d->item.entry_ptr[item]; e < d->item.entry_ptr[item + 1]; e++)
		w[d->item.tag[e]] += value;
}

/* out (T) = (x^T x + LAMBDA) w, over the items that are not new */
static void
multiply(const TrDataset *d, double *out, const double *w)
{
	for (int32_t t = 0; t < d->n_tags; t++)
		out[t] = LAMBDA * w[t];
	for (int32_t i = 0; i < d->n_items; i++)
		if (!is_new(d, i))
			add_to_tags(d, i, out, sum_of_tags(d, i, w));
}

static double
dot(const double *x, const double *y, int32_t n)
{
	double		sum = 0;

	for (int32_t t = 0; t < n; t++)
		sum += x[t] * y[t];
	return sum;
}

/* w (T), which is zeros, solves the regression; rest = x^T (y - mean) on entry, step and product are room, all (T). */
static void
solve(const TrDataset *d, double *w, double *rest, double *step, double *product)
{
	double		size = dot(rest, rest, d->n_tags);
	double		enough = NEAR * NEAR * size;

	memcpy(step, rest, (size_t) d->n_tags * sizeof(double));
	for (int k = 0; k < STEPS && size > enough; k++)
	{
		double		before = size;
		double		length;

		multiply(d, product, step);
		length = size / dot(step, product, d->n_tags);
		for (int32_t t = 0; t < d->n_tags; t++)
		{
			w[t] += length * step[t];
			rest[t] -= length * product[t];
		}
		size = dot(rest, rest, d->n_tags);
		for (int32_t t = 0; t < d->n_tags; t++)
			step[t] = rest[t] + size / before * step[t];
	}
}

static double
mean_popularity(const TrDataset *d)
{
	double		sum = 0;
	int32_t		count = 0;

	for (int32_t i = 0; i < d->n_items; i++)
	{
		if (is_new(d, i))
			continue;
		sum += popularity(d, i);
		count++;
	}
	return count > 0 ? sum / count : 0;
}

/* expected (N) of the new items; 0 for others */
static void
expect(const TrDataset *d, float *expected, double *room)
{
	size_t		T = (size_t) d->n_tags;
	double		mean = mean_popularity(d);

	for (int32_t i = 0; i < d->n_items; i++)
		if (!is_new(d, i))
			add_to_tags(d, i, room + T, popularity(d, i) - mean);
	solve(d, room, room + T, room + 2 * T, room + 3 * T);
	for (int32_t i = 0; i < d->n_items; i++)
		expected[i] = is_new(d, i) ? (float) expm1(fmax(0, mean + sum_of_tags(d, i, room))) : 0;
}

/* t->expected is about this dataset */
static TrStatus
prepare(Tower *t, const TrDataset *d, TrError *err)
{
	TrModel    *model = &t->model;
	double	   *room;

	if (t->expected && t->expected_of == d)
		return TR_OK;
	tr_free(model->memory, t->expected);
	t->expected = TR_NEW(model, float, d->n_items);
	room = TR_NEW(model, double, 4 * (size_t) d->n_tags);
	TR_TRY(tr_enough_memory(model, err, "the popularity of new items"));
	expect(d, t->expected, room);
	t->expected_of = d;
	tr_free(model->memory, room);
	return TR_OK;
}

TrStatus
tower_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Tower	   *t = (Tower *) model;
	float		factor = 0;

	TR_TRY(tr_embed_profiles(model, side, dataset, first, n, out, err));
	if (side == TR_USER || !dataset->new_items || !t->options.popularity)
		return TR_OK;
	TR_TRY(prepare(t, dataset, err));
	TR_TRY(tower_popularity_factor(t, &factor, err));
	for (int32_t i = 0; i < n; i++)
	{
		double		users = expm1(popularity(dataset, first + i));

		if (is_new(dataset, first + i))
			out[(size_t) i * (size_t) model->width + (size_t) model->width - 1]
				= factor * (float) log1p(users + PROMISE * t->expected[first + i] / pow(1 + users, FADING));
	}
	return TR_OK;
}
