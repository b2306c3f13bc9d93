/*
 * hdlpr_ns: HDLPR with negative sampling: the softmax runs over a sample of the items.
 * The network and its training are those of the family (tower.h); this file says what hdlpr_ns offers of them.
 */
#include "models/tower/tower.h"

static const TrOption options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_MASK_OPTION,
	TOWER_SAMPLING_OPTIONS,
	TOWER_HYBRID_OPTIONS,
};

static const TrSetting paper[] = {TOWER_PAPER_SETTINGS, {"reconstruction", "0.2"},
	{"negatives", "batch"}, {"logq", "false"}, {NULL, NULL}};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet option_set = TOWER_OPTION_SET(options, presets);

const TrAlgorithm tr_algorithm_hdlpr_ns = {
	.name = "hdlpr_ns",
	.summary = "HDLPR with negative sampling: the softmax runs over a sample of the items.",
	.source = "Xu et al., IJCAI 2017, HDLPR-NS, Eq. 14",
	.options = &option_set,
	TOWER_SLOTS
};
