/*
 * nrp: neural representations for prediction, in the direct form (Raziperchikolaei, Li & Chung, "Neural Representations in
 * Hybrid Recommender Systems", 2020, Eq. 6): the ratings of the user, those of the item, and each of their profiles are
 * encoded by layers, and joint layers predict the rating. The paper's activation is selu; tanh is what there is here.
 */
#include "models/direct/direct.h"

typedef struct NrpOptions
{
	TrIntList	encoder;
	TrIntList	layers;
	int			activation;
	bool		attributes;
	bool		own_rating;
	int			identity;
	int			factors;
	bool		biases;
	double		dropout;
	double		input_dropout;
	double		regularization;
	int			optimizer;
	double		learning_rate;
	bool		decay;
	int			batch;
	uint64_t	seed;
	int			epochs;
	int			metric;
} NrpOptions;

#define OPTION(field) offsetof(NrpOptions, field)

static const char *const activations[] = {"relu", "tanh", "sigmoid", NULL};

static const TrOption option_rows[] = {
	{"encoder", TR_OPTION_INTS, OPTION(encoder), "128", 1, 65536, NULL,
	"sizes of the layers that encode ratings, and each profile"},
	{"layers", TR_OPTION_INTS, OPTION(layers), "64,32", 1, 65536, NULL,
	"sizes of the joint layers"},
	{"activation", TR_OPTION_ENUM, OPTION(activation), "relu", 0, 0, activations,
	"activation of the layers"},
	{"attributes", TR_OPTION_BOOL, OPTION(attributes), "true", 0, 0, NULL,
	"whether the attributes of users and items are encoded"},
	{"own_rating", TR_OPTION_BOOL, OPTION(own_rating), "false", 0, 0, NULL,
	"whether a rating is among those that it is predicted from in training"},
	{"identity", TR_OPTION_INT, OPTION(identity), "0", 0, 1024, NULL,
	"size of a vector that each user and item has in the joint layers; 0 = none"},
	{"factors", TR_OPTION_INT, OPTION(factors), "16", 0, 1024, NULL,
	"size of vectors whose inner product is added; 0 = none"},
	{"biases", TR_OPTION_BOOL, OPTION(biases), "true", 0, 0, NULL,
	"whether users and items have biases, which are added"},
	{"dropout", TR_OPTION_REAL, OPTION(dropout), "0.2", 0, 0.99, NULL,
	"dropout rate of the joint layers"},
	{"input_dropout", TR_OPTION_REAL, OPTION(input_dropout), "0", 0, 0.99, NULL,
	"share of the ratings that are not encoded in an epoch"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.00001", 0, 1000, NULL,
	"L2 strength for the weights"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.002", 1e-9, 1000, NULL,
	"learning rate; gradients are averaged over the ratings of a mini-batch"},
	{"decay", TR_OPTION_BOOL, OPTION(decay), "true", 0, 0, NULL,
	"whether the learning rate falls linearly, down to 0 after the last of the epochs"},
	{"batch", TR_OPTION_INT, OPTION(batch), "1024", 1, 1000000, NULL,
	"mini-batch size, in ratings"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "12", 1, 100000, NULL,
	"maximum number of passes over the ratings"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrSetting paper[] = {
	{"encoder", "500,200,100"}, {"layers", "500,200,100,50"}, {"activation", "tanh"}, {"own_rating", "true"},
	{"factors", "0"}, {"biases", "false"}, {"dropout", "0"}, {"regularization", "0"}, {"learning_rate", "0.001"},
	{"decay", "false"}, {"epochs", "30"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, NrpOptions, .presets = presets);

static DirectSettings
settings_of(const NrpOptions *o)
{
	static const TrActivation of[] = {TR_RELU, TR_TANH, TR_SIGMOID};

	return (DirectSettings) {
		.encoder = o->encoder, .layers = o->layers, .activation = of[o->activation], .ratings = true,
		.attributes = o->attributes, .own_rating = o->own_rating, .identity = o->identity, .factors = o->factors,
		.biases = o->biases, .dropout = o->dropout, .input_dropout = o->input_dropout, .regularization = o->regularization,
		.optimizer = o->optimizer, .learning_rate = o->learning_rate, .decay = o->decay, .batch = o->batch, .seed = o->seed
	};
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	DirectSettings s = settings_of(values);

	return tr_direct_estimate(shape, &s);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	((Direct *) model)->s = settings_of(model->options);
	return tr_direct_create((Direct *) model, err);
}

const TrAlgorithm tr_algorithm_nrp = {
	.name = "nrp",
	.summary = "A network that predicts ratings from those of the user, those of the item, and their attributes.",
	.source = "Raziperchikolaei, Li & Chung, Neural Representations in Hybrid Recommender Systems (2020), Eq. 6",
	.options = &options,
	.uses_attributes = true,
	.estimate = estimate,
	.create = create,
	DIRECT_FUNCTIONS,
};
