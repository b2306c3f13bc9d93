/*
 * neumf: neural matrix factorization (He, Liao, Zhang, Nie, Hu & Chua, "Neural Collaborative Filtering", 2017, Eq. 12),
 * with squared errors of ratings, as Raziperchikolaei, Li & Chung (2020) use it. The product of the vectors is weighted by
 * the last layer in the paper; the weights are part of the vectors here.
 */
#include "models/direct/direct.h"

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, DIRECT_OPTION(factors), "16", 1, 1024, NULL,
	"size of the vectors whose inner product is added"},
	{"identity", TR_OPTION_INT, DIRECT_OPTION(identity), "32", 1, 1024, NULL,
	"size of the vectors that are the input of the layers"},
	{"layers", TR_OPTION_INTS, DIRECT_OPTION(layers), "64,32", 1, 65536, NULL,
	"sizes of the layers"},
	{"activation", TR_OPTION_ENUM, DIRECT_OPTION(activation), "relu", 0, 0, tr_direct_activations,
	"activation of the layers"},
	{"dropout", TR_OPTION_REAL, DIRECT_OPTION(dropout), "0.2", 0, 0.99, NULL,
	"dropout rate of the layers"},
	DIRECT_OPTIONS("0.001", "0.001", "512", "30"),
};

static const TrSetting paper[] = {
	{"factors", "8"}, {"identity", "32"}, {"layers", "64,32,16,8"}, {"biases", "false"}, {"dropout", "0"},
	{"regularization", "0"}, {"decay", "false"}, {"batch", "256"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, DirectOptions, .presets = presets);

static TrStatus
create(TrModel *model, TrError *err)
{
	static const DirectKind kind = {0};

	return tr_direct_create(model, &kind, err);
}

const TrAlgorithm tr_algorithm_neumf = {
	.name = "neumf",
	.summary = "Neural matrix factorization: an inner product of vectors, and a network over others, predict ratings.",
	.source = "He et al., Neural Collaborative Filtering (WWW 2017), Eq. 12, with squared errors",
	.options = &options,
	.create = create,
	.score_items = tr_direct_score,
	DIRECT_FUNCTIONS,
};
