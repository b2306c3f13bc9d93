/*
 * Autoencoders of both sides, over ratings and attributes, that predict a rating by the inner product of what they make of
 * the user and of the item.
 *
 * dha: each source has an encoder and a decoder of its own, which meet in one layer (Li, Ma, Xu, Stenger, Liu & Hirate,
 * "Deep Heterogeneous Autoencoders for Collaborative Filtering", 2018). asdae: one encoder and one decoder over all, whose
 * layers read the attributes again (Dong, Yu, Wu, Sun, Yuan & Zhang, "A Hybrid Collaborative Filtering Model with Deep
 * Structure for Recommender Systems", 2017). In both, the product is of vectors, and they are held near to the layer in the
 * middle; in nrp_dha and nrp_asdae it is of these layers themselves (Raziperchikolaei, Li & Chung 2020, Eq. 1 and 2).
 *
 * Here all is learned at once, where dha and asdae take turns in the papers. Errors are means, over the ratings and over
 * the users or items of a mini-batch, where they are sums there. What a step predicts is hidden from its input, unless
 * own_rating is set; that, and input_dropout, is the noise that decoding takes away.
 */
#include "models/direct/direct.h"

/* What all four have, with the defaults of encoder, factors, activation and reconstruction. */
#define CODER_OPTIONS(encoders, width, act, weight) \
	{"encoder", TR_OPTION_INTS, DIRECT_OPTION(encoder), encoders, 1, 65536, NULL, \
	"sizes of the layers that encode ratings and attributes; the decoder mirrors them"}, \
	{"factors", TR_OPTION_INT, DIRECT_OPTION(size), width, 1, 1024, NULL, \
	"size of the layer in the middle, and of the vectors whose inner product predicts"}, \
	{"activation", TR_OPTION_ENUM, DIRECT_OPTION(activation), act, 0, 0, tr_direct_activations, \
	"activation of the layers"}, \
	{"attributes", TR_OPTION_BOOL, DIRECT_OPTION(attributes), "true", 0, 0, NULL, \
	"whether the attributes of users and items are encoded"}, \
	{"own_rating", TR_OPTION_BOOL, DIRECT_OPTION(own_rating), "false", 0, 0, NULL, \
	"whether a rating is among those that it is predicted from in training"}, \
	{"input_dropout", TR_OPTION_REAL, DIRECT_OPTION(input_dropout), "0", 0, 0.99, NULL, \
	"share of the ratings that are not encoded in an epoch"}, \
	{"reconstruction", TR_OPTION_REAL, DIRECT_OPTION(reconstruction), weight, 0, 1000, NULL, \
	"weight of the errors of what is decoded: 1 = as much as those of the predictions"}

#define COUPLING(weight) \
	{"coupling", TR_OPTION_REAL, DIRECT_OPTION(coupling), weight, 1e-6, 1000, NULL, \
	"weight of the squared distance between vectors and what their ratings and attributes are encoded as"}

static const TrOption dha_rows[] = {
	CODER_OPTIONS("64", "32", "tanh", "0.03"),
	COUPLING("0.5"),
	DIRECT_OPTIONS("0.0001", "0.01", "1024", "10"),
};

static const TrOption asdae_rows[] = {
	CODER_OPTIONS("64", "32", "tanh", "0.03"),
	COUPLING("0.5"),
	DIRECT_OPTIONS("0.0001", "0.01", "1024", "10"),
};

static const TrOption nrp_dha_rows[] = {
	CODER_OPTIONS("128", "64", "tanh", "0.1"),
	DIRECT_OPTIONS("0.001", "0.001", "2048", "15"),
};

static const TrOption nrp_asdae_rows[] = {
	CODER_OPTIONS("128", "64", "tanh", "0.1"),
	DIRECT_OPTIONS("0.001", "0.001", "2048", "15"),
};

/* Table 6 of the paper of 2020, whose optimizer is SGD for the first, and RMSprop for the second. */
#define PAPER_LAYERS \
	{"encoder", "500,200"}, {"factors", "100"}, {"activation", "tanh"}, {"own_rating", "true"}, {"biases", "false"}, \
	{"reconstruction", "1"}, {"decay", "false"}, {"epochs", "30"}

static const TrSetting coupled_paper[] = {
	PAPER_LAYERS, {"coupling", "0.5"}, {"regularization", "0.00001"}, {"optimizer", "sgd"}, {"learning_rate", "0.1"},
	{NULL, NULL}
};

static const TrSetting nrp_paper[] = {
	PAPER_LAYERS, {"regularization", "0.03"}, {"learning_rate", "0.001"}, {NULL, NULL}
};

static const TrPreset coupled_presets[] = {{"paper", coupled_paper}, {NULL, NULL}};
static const TrPreset nrp_presets[] = {{"paper", nrp_paper}, {NULL, NULL}};

static const TrOptionSet dha_options = TR_OPTION_SET(dha_rows, DirectOptions, .presets = coupled_presets);
static const TrOptionSet asdae_options = TR_OPTION_SET(asdae_rows, DirectOptions, .presets = coupled_presets);
static const TrOptionSet nrp_dha_options = TR_OPTION_SET(nrp_dha_rows, DirectOptions, .presets = nrp_presets);
static const TrOptionSet nrp_asdae_options = TR_OPTION_SET(nrp_asdae_rows, DirectOptions, .presets = nrp_presets);

static TrStatus
create_dha(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.ratings = true, .product = true, .decoded = true, .coupled = true};

	return tr_direct_create(model, &kind, err);
}

static TrStatus
create_asdae(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.ratings = true, .product = true, .decoded = true, .coupled = true, .injected = true};

	return tr_direct_create(model, &kind, err);
}

static TrStatus
create_nrp_dha(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.ratings = true, .product = true, .decoded = true};

	return tr_direct_create(model, &kind, err);
}

static TrStatus
create_nrp_asdae(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.ratings = true, .product = true, .decoded = true, .injected = true};

	return tr_direct_create(model, &kind, err);
}

const TrAlgorithm tr_algorithm_dha = {
	.name = "dha",
	.summary = "Matrix factorization held near to autoencoders of users and items, one for each of ratings and attributes.",
	.source = "Li et al., Deep Heterogeneous Autoencoders for Collaborative Filtering (ICDM 2018)",
	.options = &dha_options,
	.uses_attributes = true,
	.create = create_dha,
	DIRECT_FUNCTIONS,
};

const TrAlgorithm tr_algorithm_asdae = {
	.name = "asdae",
	.summary = "Matrix factorization held near to autoencoders of users and items that read attributes in every layer.",
	.source = "Dong et al., A Hybrid Collaborative Filtering Model with Deep Structure for Recommender Systems (AAAI 2017)",
	.options = &asdae_options,
	.uses_attributes = true,
	.create = create_asdae,
	DIRECT_FUNCTIONS,
};

const TrAlgorithm tr_algorithm_nrp_dha = {
	.name = "nrp_dha",
	.summary = "The autoencoders of dha, whose layers in the middle predict ratings by their inner product.",
	.source = "Raziperchikolaei, Li & Chung, Neural Representations in Hybrid Recommender Systems (2020), Eq. 2",
	.options = &nrp_dha_options,
	.uses_attributes = true,
	.create = create_nrp_dha,
	DIRECT_FUNCTIONS,
};

const TrAlgorithm tr_algorithm_nrp_asdae = {
	.name = "nrp_asdae",
	.summary = "The autoencoders of asdae, whose layers in the middle predict ratings by their inner product.",
	.source = "Raziperchikolaei, Li & Chung, Neural Representations in Hybrid Recommender Systems (2020), Eq. 2",
	.options = &nrp_asdae_options,
	.uses_attributes = true,
	.create = create_nrp_asdae,
	DIRECT_FUNCTIONS,
};
