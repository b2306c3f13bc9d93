/*
 * nrp: neural representations for prediction, in the direct form (Raziperchikolaei, Li & Chung, "Neural Representations in
 * Hybrid Recommender Systems", 2020, Eq. 6): the ratings of the user, those of the item, and each of their profiles are
 * encoded by layers, and joint layers predict the rating.
 */
#include "models/direct/direct.h"

static const TrOption option_rows[] = {
	{"encoder", TR_OPTION_INTS, DIRECT_OPTION(encoder), "128", 1, 65536, NULL,
	"sizes of the layers that encode ratings, and each profile"},
	{"layers", TR_OPTION_INTS, DIRECT_OPTION(layers), "64,32", 1, 65536, NULL,
	"sizes of the joint layers"},
	{"activation", TR_OPTION_ENUM, DIRECT_OPTION(activation), "relu", 0, 0, tr_direct_activations,
	"activation of the layers"},
	{"attributes", TR_OPTION_BOOL, DIRECT_OPTION(attributes), "true", 0, 0, NULL,
	"whether the attributes of users and items are encoded"},
	{"own_rating", TR_OPTION_BOOL, DIRECT_OPTION(own_rating), "false", 0, 0, NULL,
	"whether a rating is among those that it is predicted from in training"},
	{"identity", TR_OPTION_INT, DIRECT_OPTION(identity), "0", 0, 1024, NULL,
	"size of a vector that each user and item has in the joint layers; 0 = none"},
	{"factors", TR_OPTION_INT, DIRECT_OPTION(factors), "16", 0, 1024, NULL,
	"size of vectors whose inner product is added; 0 = none"},
	{"dropout", TR_OPTION_REAL, DIRECT_OPTION(dropout), "0.2", 0, 0.99, NULL,
	"dropout rate of the joint layers"},
	{"input_dropout", TR_OPTION_REAL, DIRECT_OPTION(input_dropout), "0", 0, 0.99, NULL,
	"share of the ratings that are not encoded in an epoch"},
	DIRECT_OPTIONS("0.00001", "0.002", "1024", "12"),
};

static const TrSetting paper[] = {
	{"encoder", "500,200,100"}, {"layers", "500,200,100,50"}, {"activation", "selu"}, {"own_rating", "true"},
	{"factors", "0"}, {"biases", "false"}, {"dropout", "0"}, {"regularization", "0"}, {"learning_rate", "0.001"},
	{"decay", "false"}, {"epochs", "30"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, DirectOptions, .presets = presets);

static TrStatus
create(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.ratings = true};

	return tr_direct_create(model, &kind, err);
}

const TrAlgorithm tr_algorithm_nrp = {
	.name = "nrp",
	.summary = "A network that predicts ratings from those of the user, those of the item, and their attributes.",
	.source = "Raziperchikolaei, Li & Chung, Neural Representations in Hybrid Recommender Systems (2020), Eq. 6",
	.options = &options,
	.uses_attributes = true,
	.create = create,
	.score_items = tr_direct_score,
	DIRECT_FUNCTIONS,
};
