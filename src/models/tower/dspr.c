/*
 * dspr: Deep-semantic similarity: a tanh tower over tag profiles, cosine, softmax over all items.
 * The network and its training are those of the family (tower.h); this file says what dspr offers of them.
 */
#include "models/tower/tower.h"

static const TrOption options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_MASK_OPTION,
};

static const TrSetting paper[] = {TOWER_PAPER_SETTINGS, {NULL, NULL}};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet option_set = TOWER_OPTION_SET(options, presets);

const TrAlgorithm tr_algorithm_dspr = {
	.name = "dspr",
	.summary = "Deep-semantic similarity: a tanh tower over tag profiles, cosine, softmax over all items.",
	.source = "Xu et al., IJCAI 2017, DSPR, Eq. 8",
	.options = &option_set,
	TOWER_SLOTS
};
