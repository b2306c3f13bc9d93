/*
 * hdlpr: DSPR with a tied decoder: the reconstruction error of the tag profiles joins the loss.
 * The network and its training are those of the family (tower.h); this file says what hdlpr offers of them.
 */
#include "models/tower/tower.h"

static const TrOption options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_MASK_OPTION,
	TOWER_HYBRID_OPTIONS,
};

static const TrSetting paper[] = {TOWER_PAPER_SETTINGS, {"reconstruction", "0.2"}, {NULL, NULL}};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet option_set = TOWER_OPTION_SET(options, presets);

const TrAlgorithm tr_algorithm_hdlpr = {
	.name = "hdlpr",
	.summary = "DSPR with a tied decoder: the reconstruction error of the tag profiles joins the loss.",
	.source = "Xu et al., IJCAI 2017, HDLPR, Eq. 13",
	.options = &option_set,
	TOWER_SLOTS
};
