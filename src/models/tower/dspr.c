/*
 * dspr, hdlpr and hdlpr_ns: what each of them offers of the tower (tower.h), and the names and checks of all its choices.
 */
#include <stddef.h>

#include "models/tower/tower.h"

const char *const tower_weighting_names[] = {"count", "binary", "log", "tfidf", "log_tfidf", "bm25", NULL};
const char *const tower_norm_names[] = {"none", "l2", "max", NULL};
const char *const tower_negatives_names[] = {"full", "batch", "uniform", "popularity", "each", NULL};
const char *const tower_reconstruction_names[] = {"norm", "squared", NULL};
const char *const tower_optimizer_names[] = {"sgd", "momentum", "adam", NULL};
const char *const tower_decay_names[] = {"none", "linear", NULL};
const char *const tower_loss_names[] = {"sum", "mean", NULL};
const char *const tower_init_names[] = {"glorot", "normal", NULL};
const char *const tower_batch_by_names[] = {"pairs", "users", NULL};

TrStatus
tower_check_options(const void *values, TrError *err)
{
	const TowerOptions *o = values;

	if (o->temperature > 0 && o->temperature < 0.001)
		return tr_fail(err, TR_BAD_OPTION, "option \"temperature\" is %g, which is neither 0 nor 0.001 or more", o->temperature);
	if (o->regularization + o->reconstruction >= 1)
	{
		tr_fail(err, TR_BAD_OPTION, "regularization (%g) and reconstruction (%g) leave no weight for the ranking loss",
				o->regularization, o->reconstruction);
		if (err)
			snprintf(err->detail, sizeof(err->detail), "Their sum must be below 1 (Eq. 13).");
		return TR_BAD_OPTION;
	}
	if (o->negatives == TOWER_EACH && o->batch_by != TOWER_BY_PAIRS)
		return tr_fail(err, TR_BAD_OPTION, "negatives \"each\" requires batch_by \"pairs\"");
	return TR_OK;
}

/* ------------------------------------------------------------------ dspr */

static const TrOption dspr_options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_PROFILE_TAGS_OPTION,
	TOWER_MASK_OPTION,
};

/* Eq. 8 has neither a penalty nor, therefore, a share of the loss that is left for the ranking. */
static const TrSetting dspr_paper[] = {TOWER_PAPER_SETTINGS, {"regularization", "0"}, {NULL, NULL}};

static const TrPreset dspr_presets[] = {{"paper", dspr_paper}, {NULL, NULL}};

static const TrOptionSet dspr_set = TOWER_OPTION_SET(dspr_options, dspr_presets);

const TrAlgorithm tr_algorithm_dspr = {
	.name = "dspr",
	.summary = "Deep semantic similarity: a tanh tower over tag profiles, cosine, softmax over all items.",
	.source = "Xu et al., IJCAI 2017, DSPR, Eq. 8",
	.options = &dspr_set,
	TOWER_SLOTS
};

/* ------------------------------------------------------------------ hdlpr */

static const TrOption hdlpr_options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_PROFILE_TAGS_OPTION,
	TOWER_MASK_OPTION,
	TOWER_HYBRID_OPTIONS,
};

static const TrSetting hdlpr_paper[] = {TOWER_PAPER_SETTINGS, {"reconstruction", "0.2"}, {NULL, NULL}};

static const TrPreset hdlpr_presets[] = {{"paper", hdlpr_paper}, {NULL, NULL}};

static const TrOptionSet hdlpr_set = TOWER_OPTION_SET(hdlpr_options, hdlpr_presets);

const TrAlgorithm tr_algorithm_hdlpr = {
	.name = "hdlpr",
	.summary = "DSPR with a tied decoder: the loss includes the reconstruction error of the tag profiles.",
	.source = "Xu et al., IJCAI 2017, HDLPR, Eq. 13",
	.options = &hdlpr_set,
	TOWER_SLOTS
};

/* ------------------------------------------------------------------ hdlpr_ns */

static const TrOption hdlpr_ns_options[] = {
	TOWER_COMMON_OPTIONS,
	TOWER_PROFILE_TAGS_OPTION,
	TOWER_MASK_OPTION,
	TOWER_SAMPLING_OPTIONS,
	TOWER_HYBRID_OPTIONS,
};

static const TrSetting hdlpr_ns_paper[] = {TOWER_PAPER_SETTINGS, {"reconstruction", "0.2"},
	{"negatives", "batch"}, {"logq", "false"}, {"positive_in_denominator", "false"}, {NULL, NULL}};

static const TrPreset hdlpr_ns_presets[] = {{"paper", hdlpr_ns_paper}, {NULL, NULL}};

static const TrOptionSet hdlpr_ns_set = TOWER_OPTION_SET(hdlpr_ns_options, hdlpr_ns_presets);

const TrAlgorithm tr_algorithm_hdlpr_ns = {
	.name = "hdlpr_ns",
	.summary = "HDLPR with negative sampling: the softmax runs over a sample of the items.",
	.source = "Xu et al., IJCAI 2017, HDLPR-NS, Eq. 14",
	.options = &hdlpr_ns_set,
	TOWER_SLOTS
};
