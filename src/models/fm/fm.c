/*
 * fm: a Bayesian factorization machine (Rendle, "Factorization Machines with libFM", 2012, Eq. 1 and section 3.3) over the
 * features of a rating's user and item:
 *
 *     prediction = w0 + sum over features f of x_f w_f + sum over pairs of features f < g of x_f x_g (v_f . v_g)
 *
 * A Gibbs sampler draws w and v; what is predicted is the mean over samples. With S_u and S_i the sums of x_f v_f over the
 * features of the user and of the item, the pairs across the two sides are S_u . S_i, and the others are a matter of one
 * side, so that each sample is an inner product, and so is the mean:
 *
 *     user array = (S_u of each sample, the rest of the user, 1), item array = (S_i of each sample / samples, 1, rest)
 *
 * It computes on the host, on one thread. Legend: fm.h.
 */
#include "models/fm/fm.h"

#include <string.h>

#include "models/rating/ratings.h"

#define OPTION(field) offsetof(FmOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "10", 1, 256, NULL,
	"numbers of a feature's vector in a sample"},
	{"implicit", TR_OPTION_BOOL, OPTION(implicit), "true", 0, 0, NULL,
	"whether the items that a user has rated are features of the user, and the users of an item features of the item"},
	{"attributes", TR_OPTION_BOOL, OPTION(attributes), "true", 0, 0, NULL,
	"whether the attributes of users and items are features"},
	{"samples", TR_OPTION_INT, OPTION(samples), "20", 1, 1000, NULL,
	"samples that the prediction is the mean over; embeddings have so many times the factors"},
	{"burn_in", TR_OPTION_INT, OPTION(burn_in), "40", 0, 100000, NULL,
	"sweeps before the first sample"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.1", 1e-6, 1000, NULL,
	"standard deviation of the initial factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "200", 1, 100000, NULL,
	"number of sweeps over all weights; samples are spread evenly over those after burn_in"},
	{"patience", TR_OPTION_INT, OPTION(patience), "0", 0, 100000, NULL,
	"validations without improvement before training stops early; 0 = no early stopping"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, FmOptions);

static int
width_of(const FmOptions *o)
{
	return o->samples * o->factors + 2;
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	const FmOptions *o = values;
	double		rows = (double) shape->n_users + shape->n_items;
	double		features = (o->implicit ? 2 : 1) * rows;

	/*
	 * arrays, and the best ones; vectors and their sums; the features both ways; residuals; sums over an entity's ratings
	 */
	return (size_t) (sizeof(float) * (2 * rows * width_of(o) + (features + rows) * (o->factors + 1)
									  + (o->implicit ? 8.0 : 0) * shape->n_posts + 4 * features + shape->n_posts + 12 * rows));
}

/* ------------------------------------------------------------------ life */

static TrStatus
new_side(Fm *m, TrSide side, TrError *err)
{
	TrModel    *model = &m->model;
	FmSide	   *s = &m->side[side];
	int			D = m->options.factors;

	s->w = TR_NEW(model, float, s->F);
	s->used = TR_NEW(model, bool, s->F);
	s->v = TR_NEW(model, float, (size_t) D * (size_t) s->F);
	s->sum = TR_NEW(model, float, (size_t) D * (size_t) s->n);
	s->prior = TR_NEW(model, FmPrior, (D + 1) * s->G);
	s->moved = TR_NEW(model, float, s->n);
	s->shifted = TR_NEW(model, float, s->n);
	s->ratings = TR_NEW(model, double, s->n);
	s->e = TR_NEW(model, double, s->n);
	s->eq = TR_NEW(model, double, s->n);
	s->q = TR_NEW(model, double, s->n);
	s->qq = TR_NEW(model, double, s->n);
	return tr_training_tensor(model, side == TR_USER ? "users" : "items", s->n, model->width, &m->saved[side], err);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Fm		   *m = (Fm *) model;

	m->options = *(const FmOptions *) model->options;
	model->width = width_of(&m->options);
	model->unit = m->options.samples * m->options.factors;
	TR_TRY(tr_check_values(model, err));
	TR_TRY(tr_tensor(model, "nobody", 2, model->width, TR_FINITE, &m->nobody, err));
	if (!model->dataset)
		return TR_OK;
	TR_TRY(tr_fm_features(m, err));
	TR_TRY(new_side(m, TR_USER, err));
	TR_TRY(new_side(m, TR_ITEM, err));
	m->residual = TR_NEW(model, float, model->dataset->n_posts);
	TR_TRY(tr_enough_memory(model, err, "the factors of features"));
	tr_fm_start(m);
	return TR_OK;
}

/* ------------------------------------------------------------------ samples */

/*
 * The sample becomes sample number `place` of an array, from 0 on, which stays a mean: of the item's numbers each is
 * divided by how many there are. e < 0: the array of nobody.
 */
static void
put_sample(const Fm *m, TrSide side, int32_t e, int place, float *array)
{
	int			D = m->options.factors;
	int			bias = m->model.width - (side == TR_USER ? 2 : 1);
	double		share = 1.0 / (place + 1);
	double		added = tr_fm_bias(m, side, e) + (side == TR_ITEM ? m->w0 : 0);

	added = m->scale * added + (side == TR_ITEM ? m->mean : 0);
	for (int j = 0; j < place * D && side == TR_ITEM; j++)
		array[j] = (float) (array[j] * (1 - share));
	for (int k = 0; k < D; k++)
		array[place * D + k] = (float) (tr_fm_sum(m, side, e, k) * (side == TR_ITEM ? m->scale * share : 1));
	array[bias] = (float) (place == 0 ? added : array[bias] + (added - array[bias]) * share);
	array[m->model.width - (side == TR_USER ? 1 : 2)] = 1;
}

static void
keep_sample(Fm *m, int place)
{
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		for (int32_t e = 0; e < m->side[side].n; e++)
			put_sample(m, (TrSide) side, e, place, m->saved[side] + (size_t) e * (size_t) m->model.width);
		put_sample(m, (TrSide) side, -1, place, m->nobody + (size_t) side * (size_t) m->model.width);
	}
}

/* Samples are spread evenly over the sweeps after burn_in; until there is one, the latest state is the answer. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Fm		   *m = (Fm *) model;
	int			left = model->epochs - m->options.burn_in;
	int			apart = left > m->options.samples ? left / m->options.samples : 1;
	int			after = epoch - m->options.burn_in;

	(void) err;
	TR_TRY(tr_fm_sweep(m, poll));
	if (after <= 0)
		keep_sample(m, 0);
	else if (after % apart == 0 && after / apart <= m->options.samples)
		keep_sample(m, after / apart - 1);
	stats->loss = m->scale * m->scale * tr_fm_loss(m);
	stats->pairs = model->dataset->n_posts;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	size_t		width = (size_t) model->width;

	(void) dataset, (void) err;
	memcpy(out, ((Fm *) model)->saved[side] + (size_t) first * width, (size_t) n * width * sizeof(float));
	return TR_OK;
}

static TrStatus
unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	(void) err;
	memcpy(out, ((Fm *) model)->nobody + (size_t) side * (size_t) model->width, (size_t) model->width * sizeof(float));
	return TR_OK;
}

const TrAlgorithm tr_algorithm_fm = {
	.name = "fm",
	.summary = "A Bayesian factorization machine over users, items, what they were rated with, and their attributes.",
	.source = "Rendle, Factorization Machines with libFM (TIST 2012), Eq. 1; Freudenthaler et al., Bayesian Factorization "
	"Machines (2011), Algorithm 1",
	.task = TR_TASK_RATING,
	.uses_attributes = true,
	.options = &options,
	.pairs_alone = true,
	.loads = true,
	.estimate = estimate,
	.size = sizeof(Fm),
	.create = create,
	.train_epoch = train_epoch,
	.embed = embed,
	.unknown = unknown,
};
