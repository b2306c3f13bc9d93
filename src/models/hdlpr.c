/*
 * hdlpr: DSPR with a tied decoder: the reconstruction error of the tag profiles joins the loss.
 * The network and its training are those of the family (tower.h); this file says what hdlpr offers of them.
 */
#include "models/tower.h"

static const TrOption options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_MASK_OPTION,
	TOWER_HYBRID_OPTIONS,
};

static const TrSetting paper[] = {TOWER_PAPER_SETTINGS, {"reconstruction", "0.2"}, {NULL, NULL}};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet option_set = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.presets = presets,
	.size = sizeof(TowerOptions),
	.check = tower_check_options
};

const TrAlgorithm tr_algorithm_hdlpr = {
	.name = "hdlpr",
	.summary = "DSPR with a tied decoder: the reconstruction error of the tag profiles joins the loss.",
	.source = "Xu et al., IJCAI 2017, HDLPR, Eq. 13",
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
