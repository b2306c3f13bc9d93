/*
 * The table of abnt's options. The preset "paper" has what Zhao et al. say of their runs of it.
 */
#include <stddef.h>

#include "models/abnt/abnt.h"

static const char *const given_names[] = {"none", "some", "others", NULL};
static const char *const activation_names[] = {"relu", "tanh", "sigmoid", NULL};

#define FIELD(field) offsetof(AbntOptions, field)

static const TrOption options[] = {
	{"dimensions", TR_OPTION_INT, FIELD(dimensions), "64", 1, 4096, NULL,
	"width of the vectors of users, items and tags (the paper's K)"},
	{"sequence", TR_OPTION_INT, FIELD(sequence), "100", 0, 1000000, NULL,
	"different tags of the user that attention looks at, at most: the ones used most; 0 = none"},
	{"given", TR_OPTION_ENUM, FIELD(given), "none", 0, 0, given_names,
	"tags that the post has already: ignored (none), or read; training then gives some of a post's tags, or all but one "
	"(others)"},
	{"layers", TR_OPTION_INTS, FIELD(layers), "256", 1, 65536, NULL,
	"widths of the hidden layers"},
	{"activation", TR_OPTION_ENUM, FIELD(activation), "relu", 0, 0, activation_names,
	"of the hidden layers"},
	{"dropout", TR_OPTION_REAL, FIELD(dropout), "0.3", 0, 0.99, NULL,
	"share of the hidden units left out at random in a step"},
	{"id_dropout", TR_OPTION_REAL, FIELD(id_dropout), "0.1", 0, 0.99, NULL,
	"probability that the user's vector, or the item's, is left out: as it is for a user or an item nobody knows"},
	{"regularization", TR_OPTION_REAL, FIELD(regularization), "0", 0, 1000, NULL,
	"weight of half the squared parameters next to the sum of the posts' losses (lambda)"},
	{"optimizer", TR_OPTION_ENUM, FIELD(optimizer), "adam", 0, 0, tr_optimizer_names,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, FIELD(learning_rate), "0.003", 1e-9, 10, NULL,
	"size of a step"},
	{"init_std", TR_OPTION_REAL, FIELD(init_std), "0.1", 1e-6, 10, NULL,
	"standard deviation of the initial vectors"},
	{"batch", TR_OPTION_INT, FIELD(batch), "256", 1, 10000000, NULL,
	"posts of a step"},
	{"seed", TR_OPTION_SEED, FIELD(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, FIELD(epochs), "15", 1, 100000, NULL,
	"passes over the posts, at most"},
};

static const TrSetting paper[] = {
	{"dimensions", "64"}, {"sequence", "1000000"}, {"given", "none"}, {"layers", "64,64"}, {"activation", "relu"},
	{"dropout", "0"}, {"id_dropout", "0"}, {"regularization", "0.01"}, {"optimizer", "adam"}, {"learning_rate", "0.01"},
	{"batch", "1024"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

const TrOptionSet abnt_option_set = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.presets = presets,
	.size = sizeof(AbntOptions)
};
