/*
 * neumf: neural matrix factorization (He, Liao, Zhang, Nie, Hu & Chua, "Neural Collaborative Filtering", 2017, Eq. 12),
 * with squared errors of ratings, as Raziperchikolaei, Li & Chung (2020) use it. The product of the vectors is weighted by
 * the last layer in the paper; the weights are part of the vectors here.
 */
#include "models/direct/direct.h"

typedef struct NeumfOptions
{
	int			factors;
	int			identity;
	TrIntList	layers;
	int			activation;
	bool		biases;
	double		dropout;
	double		regularization;
	int			optimizer;
	double		learning_rate;
	bool		decay;
	int			batch;
	uint64_t	seed;
	int			epochs;
	int			metric;
} NeumfOptions;

#define OPTION(field) offsetof(NeumfOptions, field)

static const char *const activations[] = {"relu", "tanh", "sigmoid", NULL};

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "16", 1, 1024, NULL,
	"size of the vectors whose inner product is added"},
	{"identity", TR_OPTION_INT, OPTION(identity), "32", 1, 1024, NULL,
	"size of the vectors that are the input of the layers"},
	{"layers", TR_OPTION_INTS, OPTION(layers), "64,32", 1, 65536, NULL,
	"sizes of the layers"},
	{"activation", TR_OPTION_ENUM, OPTION(activation), "relu", 0, 0, activations,
	"activation of the layers"},
	{"biases", TR_OPTION_BOOL, OPTION(biases), "true", 0, 0, NULL,
	"whether users and items have biases, which are added"},
	{"dropout", TR_OPTION_REAL, OPTION(dropout), "0.2", 0, 0.99, NULL,
	"dropout rate of the layers"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.001", 0, 1000, NULL,
	"L2 strength for the weights"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.001", 1e-9, 1000, NULL,
	"learning rate; gradients are averaged over the ratings of a mini-batch"},
	{"decay", TR_OPTION_BOOL, OPTION(decay), "true", 0, 0, NULL,
	"whether the learning rate falls linearly, down to 0 after the last of the epochs"},
	{"batch", TR_OPTION_INT, OPTION(batch), "512", 1, 1000000, NULL,
	"mini-batch size, in ratings"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "30", 1, 100000, NULL,
	"maximum number of passes over the ratings"},
	TR_RATING_METRIC(OPTION(metric)),
};

static const TrSetting paper[] = {
	{"factors", "8"}, {"identity", "32"}, {"layers", "64,32,16,8"}, {"biases", "false"}, {"dropout", "0"},
	{"regularization", "0"}, {"decay", "false"}, {"batch", "256"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, NeumfOptions, .presets = presets);

static DirectSettings
settings_of(const NeumfOptions *o)
{
	static const TrActivation of[] = {TR_RELU, TR_TANH, TR_SIGMOID};

	return (DirectSettings) {
		.layers = o->layers, .activation = of[o->activation], .identity = o->identity, .factors = o->factors, .biases = o->biases,
		.dropout = o->dropout, .regularization = o->regularization, .optimizer = o->optimizer,
		.learning_rate = o->learning_rate, .decay = o->decay, .batch = o->batch, .seed = o->seed
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

const TrAlgorithm tr_algorithm_neumf = {
	.name = "neumf",
	.summary = "Neural matrix factorization: an inner product of vectors, and a network over others, predict ratings.",
	.source = "He et al., Neural Collaborative Filtering (WWW 2017), Eq. 12, with squared errors",
	.options = &options,
	.estimate = estimate,
	.create = create,
	DIRECT_FUNCTIONS,
};
