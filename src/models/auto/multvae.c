/*
 * multvae: a variational autoencoder over who has what, with a multinomial likelihood (Liang, Krishnan, Hoffman & Jebara,
 * "Variational Autoencoders for Collaborative Filtering", 2018, Eq. 2-7): the input is a row of length 1 with dropout, the
 * narrowest layer draws from normal distributions, and the loss is the softmax over all items and beta times the divergence
 * of these distributions, which grows to it. Without variance, divergence = 0 and latent = false, it is Mult-DAE.
 */
#include <math.h>

#include "models/auto/auto.h"

static const TrOption option_rows[] = {
	{"layers", TR_OPTION_INTS, AUTO_OPTION(layers), "300,100", 1, 65536, NULL,
	"sizes of the encoder's layers; the decoder mirrors them"},
	{"latent", TR_OPTION_BOOL, AUTO_OPTION(latent), "true", 0, 0, NULL,
	"whether the narrowest layer draws from distributions; false: a denoising autoencoder"},
	{"divergence", TR_OPTION_REAL, AUTO_OPTION(divergence), "0.5", 0, 1000, NULL,
	"weight of the divergence of these distributions from the standard normal one (beta)"},
	{"warm_up", TR_OPTION_REAL, AUTO_OPTION(warm_up), "20", 0, 100000, NULL,
	"number of epochs over which that weight grows to its value"},
	{"least_value", TR_OPTION_REAL, AUTO_OPTION(least_value), "-1e30", -1e30, 1e30, NULL,
	"pairs with a lower value are left out, where there are values"},
	{"dropout", TR_OPTION_REAL, AUTO_OPTION(dropout), "0.7", 0, 0.99, NULL,
	"dropout rate of a user's items in the input"},
	{"regularization", TR_OPTION_REAL, AUTO_OPTION(regularization), "0", 0, 1000, NULL,
	"L2 strength for the weights"},
	AUTO_OPTIONS("0.001", "64", "100"),
};

static const TrSetting paper[] = {
	{"layers", "600,200"}, {"divergence", "0.2"}, {"warm_up", "50"}, {"dropout", "0.5"}, {"batch", "500"},
	{"regularization", "0"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, AutoOptions, .presets = presets);

static TrStatus
create(TrModel *model, TrError *err)
{
	Auto	   *m = (Auto *) model;

	m->s = *(const AutoOptions *) model->options;
	m->s.activation = AUTO_TANH;
	m->s.loss = AUTO_SOFTMAX;
	m->s.unit = true;
	if (m->s.latent && m->s.layers.count < 2)
	{
		tr_fail(err, TR_BAD_OPTION, "algorithm \"multvae\" needs two layers or more to draw from the last one");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Set latent to false, or specify layers as in 600,200.");
		return TR_BAD_OPTION;
	}
	return tr_auto_create(m, err);
}

const TrAlgorithm tr_algorithm_multvae = {
	.name = "multvae",
	.summary = "A variational autoencoder over the items of users; does not use tags.",
	.source = "Liang et al., Variational Autoencoders for Collaborative Filtering (WWW 2018), Eq. 2-7",
	.task = TR_TASK_ITEM,
	.options = &options,
	.pairs_alone = true,
	.uses_values = true,
	.estimate = tr_auto_estimate,
	.size = sizeof(Auto),
	.create = create,
	.train_epoch = tr_auto_epoch,
	.restored = tr_auto_restored,
	.embed = tr_auto_embed,
};
