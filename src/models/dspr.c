/*
 * dspr: Deep-semantic similarity: a tanh tower over tag profiles, cosine, softmax over all items.
 * The network and its training are those of the family (tower.h); this file says what dspr offers of them.
 */
#include "models/tower.h"

static const TrOption options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_MASK_OPTION,
};

static const TrSetting paper[] = {TOWER_PAPER_SETTINGS, {NULL, NULL}};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet option_set = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.presets = presets,
	.size = sizeof(TowerOptions),
	.check = tower_check_options
};

const TrAlgorithm tr_algorithm_dspr = {
	.name = "dspr",
	.summary = "Deep-semantic similarity: a tanh tower over tag profiles, cosine, softmax over all items.",
	.source = "Xu et al., IJCAI 2017, DSPR, Eq. 8",
	.task = TR_TASK_ITEM,
	.options = &option_set,
	.estimate = tower_estimate,
	.create = tower_create,
	.train_epoch = tower_train_epoch,
	.save = tower_save,
	.restore = tower_restore,
	.load = tower_load,
	.width = tower_model_width,
	.embed = tower_embed,
	.encode = tower_encode,
	.destroy = tower_destroy,
};
