/*
 * hire: users and items as members of groups, which attributes say (Liu, Wang, Tang, Yang, Huang & Liu, "Recommender
 * Systems with Heterogeneous Side Information", 2019). A hierarchy has one level: the attributes that most have are the
 * groups, and the flat attributes, as occupations and genres are in its authors' experiments. Vectors may be negative, and
 * are learned by mini-batches of ratings; the noise of attributes is drawn, where the paper takes its expectation.
 */
#include "models/direct/direct.h"

static const TrOption option_rows[] = {
	{"groups", TR_OPTION_INT, DIRECT_OPTION(groups), "32", 1, 1024, NULL,
	"number of groups of users, and of items: the attributes that most of them have"},
	{"factors", TR_OPTION_INT, DIRECT_OPTION(size), "50", 1, 1024, NULL,
	"size of the vectors of groups"},
	{"attributes", TR_OPTION_BOOL, DIRECT_OPTION(attributes), "true", 0, 0, NULL,
	"whether the attributes of users and items are read"},
	{"hierarchy", TR_OPTION_REAL, DIRECT_OPTION(hierarchy), "0.05", 0, 1000, NULL,
	"weight of the squared distance between a group and the mean of its members"},
	{"flat", TR_OPTION_REAL, DIRECT_OPTION(flat), "0.05", 0, 1000, NULL,
	"weight of the squared distance between what vectors and attributes say of attributes"},
	{"input_dropout", TR_OPTION_REAL, DIRECT_OPTION(input_dropout), "0.2", 0, 0.99, NULL,
	"share of the attributes that are left out, for an autoencoder to find them"},
	DIRECT_OPTIONS("0.0003", "0.003", "512", "20"),
};

static const TrSetting paper[] = {
	{"factors", "50"}, {"hierarchy", "0.5"}, {"flat", "0.5"}, {"input_dropout", "0.2"}, {"biases", "false"},
	{"decay", "false"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, DirectOptions, .presets = presets);

static TrStatus
create(TrModel *model, TrError *err)
{
	static const DirectKind kind = {.product = true, .grouped = true};

	return tr_direct_create(model, &kind, err);
}

const TrAlgorithm tr_algorithm_hire = {
	.name = "hire",
	.summary = "Matrix factorization in which users and items are members of groups, which their attributes say.",
	.source = "Liu et al., Recommender Systems with Heterogeneous Side Information (WWW 2019)",
	.options = &options,
	.uses_attributes = true,
	.create = create,
	DIRECT_FUNCTIONS,
};
