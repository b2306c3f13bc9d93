/*
 * The table of dae_ptr's options.
 */
#include <stddef.h>

#include "models/base.h"
#include "models/dae_ptr/dae_ptr_options.h"

static const char *const activation_names[] = {"sigmoid", "tanh", "relu", NULL};
static const char *const drop_names[] = {"share", "random", "one", NULL};
static const char *const loss_names[] = {"bce", "softmax", NULL};
static const char *const target_names[] = {"all", "dropped", NULL};
static const char *const prior_names[] = {"none", "product", NULL};
static const char *const decay_names[] = {"none", "linear", NULL};
static const char *const init_names[] = {"glorot", "normal", NULL};

#define FIELD(field) offsetof(DaeOptions, field)

static const TrOption options[] = {
	{"hidden", TR_OPTION_INT, FIELD(hidden), "256", 1, 65536, NULL,
	"units of the hidden layer, which is also the width of the user and item vectors (the paper's K)"},
	{"activation", TR_OPTION_ENUM, FIELD(activation), "relu", 0, 0, activation_names,
	"of the hidden layer"},
	{"corruption", TR_OPTION_REAL, FIELD(corruption), "0.8", 0, 1, NULL,
	"probability that a tag of the post is dropped from the input (the paper's c), with drop share"},
	{"drop", TR_OPTION_ENUM, FIELD(drop), "one", 0, 0, drop_names,
	"tags dropped from the input of a post in an epoch: a share, corruption, of them; a random share; one of them"},
	{"rescale", TR_OPTION_BOOL, FIELD(rescale), "false", 0, 0, NULL,
	"divide what is left of the input by 1 - corruption"},
	{"loss", TR_OPTION_ENUM, FIELD(loss), "softmax", 0, 0, loss_names,
	"cross-entropy of every tag by itself (bce, Eq. 11), or of a softmax over the tags"},
	{"targets", TR_OPTION_ENUM, FIELD(targets), "dropped", 0, 0, target_names,
	"tags to predict: all of the post, or the dropped ones alone, among the tags that the input lacks"},
	{"post_balance", TR_OPTION_REAL, FIELD(post_balance), "1", 0, 1, NULL,
	"with the loss softmax, a tag to predict weighs (tags to predict of its post) ^ -post_balance"},
	{"dropout", TR_OPTION_REAL, FIELD(dropout), "0.3", 0, 0.99, NULL,
	"share of the hidden units left out at random in a step"},
	{"id_dropout", TR_OPTION_REAL, FIELD(id_dropout), "0.4", 0, 0.99, NULL,
	"probability that the user's vector, or the item's, is left out: as it is for a user or an item nobody knows"},
	{"history_dropout", TR_OPTION_REAL, FIELD(history_dropout), "0.8", 0, 1, NULL,
	"probability that prior and profiles see a random share of the user's posts instead of all: as it is for a newer user"},
	{"prior", TR_OPTION_ENUM, FIELD(prior), "product", 0, 0, prior_names,
	"add to the score, with learned weights, the logarithms of how often the user and the item were given a tag before"},
	{"user_smoothing", TR_OPTION_REAL, FIELD(user_smoothing), "3", 0.001, 1e6, NULL,
	"assignments of the overall distribution of tags that are added to the user's own in the prior"},
	{"item_smoothing", TR_OPTION_REAL, FIELD(item_smoothing), "10", 0.001, 1e6, NULL,
	"the same for the item"},
	{"similar", TR_OPTION_REAL, FIELD(similar), "100", 0, 1e6, NULL,
	"in the prior, a post of the user weighs 1 + similar x cosine of its item's tags with the item's; 0 = all of them 1"},
	{"neighbours", TR_OPTION_INT, FIELD(neighbours), "200", 1, 100000, NULL,
	"similar items kept for every item, when similar > 0: the nearest by the cosine of their tags"},
	{"profiles", TR_OPTION_BOOL, FIELD(profiles), "true", 0, 0, NULL,
	"the hidden layer also reads the tag profiles of the user and of the item, without the post itself"},
	{"regularization", TR_OPTION_REAL, FIELD(regularization), "0", 0, 1000, NULL,
	"weight of half the squared parameters next to the sum of the posts' losses (the paper's lambda)"},
	{"optimizer", TR_OPTION_ENUM, FIELD(optimizer), "adam", 0, 0, tr_optimizer_names,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, FIELD(learning_rate), "0.001", 1e-9, 10, NULL,
	"size of a step"},
	{"learning_rate_decay", TR_OPTION_ENUM, FIELD(decay), "none", 0, 0, decay_names,
	"what the learning rate does over the epochs: none, or linear, down to 0 at the last one"},
	{"touched_rows", TR_OPTION_BOOL, FIELD(touched_rows), "true", 0, 0, NULL,
	"a step moves the vectors of the users, items and input tags of its batch alone; false moves all of them, by their "
	"momentum"},
	{"init", TR_OPTION_ENUM, FIELD(init), "glorot", 0, 0, init_names,
	"standard deviation of the initial weights: sqrt(2 / (tags + hidden)), or init_std"},
	{"init_std", TR_OPTION_REAL, FIELD(init_std), "0.01", 1e-6, 10, NULL,
	"standard deviation of the initial weights with init normal"},
	{"batch", TR_OPTION_INT, FIELD(batch), "256", 1, 10000000, NULL,
	"posts of a step"},
	{"seed", TR_OPTION_SEED, FIELD(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, FIELD(epochs), "15", 1, 100000, NULL,
	"passes over the posts, at most"},
};

static const TrSetting paper[] = {
	{"hidden", "512"}, {"activation", "sigmoid"}, {"corruption", "0.8"}, {"drop", "share"}, {"rescale", "false"},
	{"loss", "bce"}, {"targets", "all"}, {"dropout", "0"}, {"id_dropout", "0"}, {"history_dropout", "0"}, {"prior", "none"},
	{"profiles", "false"},
	{"regularization", "0.01"}, {"optimizer", "adam"}, {"learning_rate", "0.001"}, {"learning_rate_decay", "none"},
	{"touched_rows", "false"}, {"batch", "1024"}, {"epochs", "300"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static TrStatus
check(const void *values, TrError *err)
{
	const DaeOptions *o = values;

	if (o->drop == DAE_DROP_SHARE && o->corruption == 0 && o->targets == DAE_DROPPED_TAGS)
	{
		tr_fail(err, TR_BAD_OPTION, "corruption 0 drops no tag, and targets \"dropped\" learns from dropped tags alone");
		if (err)
			snprintf(err->hint, sizeof(err->hint),
					 "Set corruption above 0, drop to \"random\" or \"one\", or targets to \"all\".");
		return TR_BAD_OPTION;
	}
	if (o->drop == DAE_DROP_SHARE && o->rescale && o->corruption == 1)
	{
		tr_fail(err, TR_BAD_OPTION, "corruption 1 leaves no input, which rescale cannot divide by 1 - corruption");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Set corruption below 1, or rescale to false.");
		return TR_BAD_OPTION;
	}
	return TR_OK;
}

const TrOptionSet dae_option_set = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.presets = presets,
	.size = sizeof(DaeOptions),
	.check = check
};
