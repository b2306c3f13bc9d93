/*
 * autorec: an autoencoder over the ratings of an item, or of a user (Sedhain, Menon, Sanner & Xie, "AutoRec: Autoencoders
 * Meet Collaborative Filtering", 2015, Eq. 1-3): squared errors at the ratings alone, a sigmoid layer, a linear one.
 */
#include <math.h>
#include <string.h>

#include "models/auto/auto.h"
#include "models/rating/ratings.h"

static const char *const sides[] = {"users", "items", NULL};

static const TrOption option_rows[] = {
	{"rows", TR_OPTION_ENUM, AUTO_OPTION(rows), "items", 0, 0, sides,
	"what is encoded: users by their ratings, or items by theirs"},
	{"layers", TR_OPTION_INTS, AUTO_OPTION(layers), "500", 1, 65536, NULL,
	"sizes of the encoder's layers; the decoder mirrors them"},
	{"activation", TR_OPTION_ENUM, AUTO_OPTION(activation), "sigmoid", 0, 0, tr_auto_activations,
	"activation of the layers"},
	{"dropout", TR_OPTION_REAL, AUTO_OPTION(dropout), "0.5", 0, 0.99, NULL,
	"dropout rate of the ratings that are encoded"},
	{"regularization", TR_OPTION_REAL, AUTO_OPTION(regularization), "0.02", 0, 1000, NULL,
	"L2 strength for the weights"},
	AUTO_OPTIONS("0.001", "256", "60"),
	TR_RATING_METRIC(AUTO_OPTION(metric)),
};

static const TrSetting paper[] = {
	{"layers", "500"}, {"activation", "sigmoid"}, {"dropout", "0"}, {"regularization", "0.0005"}, {"batch", "64"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, AutoOptions, .presets = presets);

typedef struct Autorec
{
	Auto		a;
	float	   *nobody;			/* tensor "nobody" (2,width), by TrSide */
} Autorec;

static TrStatus
create(TrModel *model, TrError *err)
{
	Autorec    *m = (Autorec *) model;

	m->a.s = *(const AutoOptions *) model->options;
	m->a.s.loss = AUTO_SQUARES;
	m->a.s.least_value = -INFINITY;
	TR_TRY(tr_check_values(model, err));
	TR_TRY(tr_tensor(model, "nobody", 2, m->a.s.layers.value[0] + 1, TR_FINITE, &m->nobody, err));
	return tr_auto_create(&m->a, err);
}

static bool
has_ratings(const TrDataset *d, TrSide side, int32_t r)
{
	return side == TR_USER ? d->user_ptr[r + 1] > d->user_ptr[r] : d->item_ptr[r + 1] > d->item_ptr[r];
}

/*
 * The mean is a part of the arrays of what is decoded. One of these without ratings has no weights, and the mean of the
 * biases. A row without ratings is encoded as what it is; the place of the first such one, or a new one's, tells nobody's.
 */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Autorec    *m = (Autorec *) model;
	size_t		width = (size_t) model->width;

	TR_TRY(tr_auto_embed(model, side, dataset, first, n, out, err));
	for (int32_t r = 0; r < n; r++)
	{
		if (!has_ratings(model->dataset, side, first + r))
			memcpy(out + (size_t) r * width, m->nobody + (size_t) side * width, width * sizeof(float));
		else if ((int) side != m->a.s.rows)
			out[(size_t) r * width + width - 1] += m->a.mean;
	}
	return TR_OK;
}

/* Means over those with ratings. */
static void
fill_nobody(Autorec *m)
{
	const TrDataset *d = m->a.model.dataset;
	size_t		width = (size_t) m->a.model.width;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		float	   *mean = m->nobody + (size_t) side * width;
		int32_t		n = side == TR_USER ? d->n_users : d->n_items;
		int32_t		seen = 0;

		memset(mean, 0, width * sizeof(float));
		for (int32_t r = 0; r < n; r++)
			if (has_ratings(d, (TrSide) side, r))
			{
				seen++;
				for (size_t j = 0; j < width; j++)
					mean[j] += (m->a.arrays[side][(size_t) r * width + j] - mean[j]) / (float) seen;
			}
		if (side != m->a.s.rows)
			mean[width - 1] += m->a.mean;
	}
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	TR_TRY(tr_auto_epoch(model, epoch, poll, stats, err));
	fill_nobody((Autorec *) model);
	return TR_OK;
}

static TrStatus
unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	(void) err;
	memcpy(out, ((Autorec *) model)->nobody + (size_t) side * (size_t) model->width, (size_t) model->width * sizeof(float));
	return TR_OK;
}

const TrAlgorithm tr_algorithm_autorec = {
	.name = "autorec",
	.summary = "An autoencoder over the ratings of items, or of users, that predicts ratings.",
	.source = "Sedhain et al., AutoRec: Autoencoders Meet Collaborative Filtering (WWW 2015), Eq. 1-3",
	.task = TR_TASK_RATING,
	.options = &options,
	.pairs_alone = true,
	.loads = true,
	.estimate = tr_auto_estimate,
	.size = sizeof(Autorec),
	.create = create,
	.train_epoch = train_epoch,
	.restored = tr_auto_restored,
	.embed = embed,
	.unknown = unknown,
};
