/*
 * cdae: a denoising autoencoder over who has what, with a vector for each user (Wu, DuBois, Zheng & Ester, "Collaborative
 * Denoising Auto-Encoders for Top-N Recommender Systems", 2016, Eq. 5-7). The user's vector is a column of the input that
 * only the user has. The loss is the cross-entropy of every item, of which the paper samples some.
 */
#include <math.h>

#include "models/auto/auto.h"


static const TrOption option_rows[] = {
	{"layers", TR_OPTION_INTS, AUTO_OPTION(layers), "200", 1, 65536, NULL,
	"sizes of the encoder's layers; the decoder mirrors them"},
	{"activation", TR_OPTION_ENUM, AUTO_OPTION(activation), "tanh", 0, 0, tr_auto_activations,
	"activation of the layers"},
	{"least_value", TR_OPTION_REAL, AUTO_OPTION(least_value), "-1e30", -1e30, 1e30, NULL,
	"pairs with a lower value are left out, where there are values"},
	{"corruption", TR_OPTION_REAL, AUTO_OPTION(dropout), "0.7", 0, 0.99, NULL,
	"share of a user's items that are dropped from the input in training; the others count for more"},
	{"regularization", TR_OPTION_REAL, AUTO_OPTION(regularization), "0.0001", 0, 1000, NULL,
	"L2 strength for the weights"},
	AUTO_OPTIONS("0.001", "64", "100"),
};

static const TrSetting paper[] = {
	{"layers", "50"}, {"activation", "sigmoid"}, {"corruption", "0.2"}, {"regularization", "0.001"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, AutoOptions, .presets = presets);

static size_t
estimate(const TrShape *shape, const void *values)
{
	AutoOptions o = *(const AutoOptions *) values;

	o.own = true;
	return tr_auto_estimate(shape, &o);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Auto	   *m = (Auto *) model;

	m->s = *(const AutoOptions *) model->options;
	m->s.loss = AUTO_CROSS_ENTROPY;
	m->s.own = m->s.unit = true;
	return tr_auto_create(m, err);
}

const TrAlgorithm tr_algorithm_cdae = {
	.name = "cdae",
	.summary = "A denoising autoencoder over the items of users, with a vector for each user; does not use tags.",
	.source = "Wu et al., Collaborative Denoising Auto-Encoders for Top-N Recommender Systems (WSDM 2016), Eq. 5-7",
	.task = TR_TASK_ITEM,
	.options = &options,
	.pairs_alone = true,
	.uses_values = true,
	.estimate = estimate,
	.size = sizeof(Auto),
	.create = create,
	.train_epoch = tr_auto_epoch,
	.restored = tr_auto_restored,
	.embed = tr_auto_embed,
};
