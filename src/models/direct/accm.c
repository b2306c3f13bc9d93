/*
 * accm: the attentional content and collaborate model (Shi, Zhang, Liu & Ma, "Attention-based Adaptive Model to Unify Warm
 * and Cold Starts Recommendation", 2018): a user is a mixture of a vector and of what the attributes are encoded as, an
 * item likewise; attention weighs the two, and the inner product predicts the rating. In the paper the vectors of some are
 * replaced by random numbers in training, to prepare the attributes for who has no ratings; here they are left out.
 */
#include "models/direct/direct.h"

static const TrOption option_rows[] = {
	{"encoder", TR_OPTION_INTS, DIRECT_OPTION(encoder), "64", 1, 65536, NULL,
	"sizes of the layers that encode a profile of attributes"},
	{"factors", TR_OPTION_INT, DIRECT_OPTION(size), "64", 1, 1024, NULL,
	"size of the vectors, and of what attributes are encoded as"},
	{"activation", TR_OPTION_ENUM, DIRECT_OPTION(activation), "tanh", 0, 0, tr_direct_activations,
	"activation of the layers"},
	{"attributes", TR_OPTION_BOOL, DIRECT_OPTION(attributes), "true", 0, 0, NULL,
	"whether the attributes of users and items are encoded"},
	{"attention", TR_OPTION_INT, DIRECT_OPTION(attention), "32", 1, 1024, NULL,
	"size of the layer that weighs a vector against attributes"},
	{"vector_dropout", TR_OPTION_REAL, DIRECT_OPTION(vector_dropout), "0", 0, 0.99, NULL,
	"share of the users and items of a mini-batch that have their attributes alone"},
	DIRECT_OPTIONS("0.0003", "0.003", "512", "20"),
};

static const TrSetting paper[] = {
	{"encoder", "500,200"}, {"factors", "100"}, {"attention", "100"}, {"activation", "tanh"}, {"vector_dropout", "0.2"},
	{"regularization", "0"}, {"learning_rate", "0.001"}, {"decay", "false"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, DirectOptions, .presets = presets);

static TrStatus
create(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.product = true, .mixed = true};

	return tr_direct_create(model, &kind, err);
}

const TrAlgorithm tr_algorithm_accm = {
	.name = "accm",
	.summary = "Mixtures by attention of vectors and of attributes, whose inner product predicts ratings.",
	.source = "Shi et al., Attention-based Adaptive Model to Unify Warm and Cold Starts Recommendation (CIKM 2018)",
	.options = &options,
	.uses_attributes = true,
	.create = create,
	DIRECT_FUNCTIONS,
};
