/*
 * Names of the choices, and the checks that concern several of them.
 */
#include <stddef.h>

#include "models/tower/tower_options.h"

const char *const tower_weighting_names[] = {"count", "binary", "log", "tfidf", "log_tfidf", "bm25", NULL};
const char *const tower_norm_names[] = {"none", "l2", "max", NULL};
const char *const tower_negatives_names[] = {"full", "batch", "uniform", "popularity", NULL};
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

	if (o->regularization + o->reconstruction >= 1)
	{
		tr_fail(err, TR_BAD_OPTION, "regularization (%g) and reconstruction (%g) leave nothing for the ranking loss",
				o->regularization, o->reconstruction);
		if (err)
			snprintf(err->detail, sizeof(err->detail), "Their sum must be below 1 (Eq. 13).");
		return TR_BAD_OPTION;
	}
	return TR_OK;
}
