/*
 * Measuring a model on held-out pairs, between epochs.
 */
#ifndef TR_VALIDATION_H
#define TR_VALIDATION_H

#include "core/metrics.h"
#include "core/model.h"

/*
 * Mean of the metric over the users with at least one held-out pair. The users' items in dataset are not candidates.
 * TR_METRIC_MRR_PAIR averages over the pairs instead.
 */
extern TrStatus tr_validate(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
							const TrPoll *poll, double *value, TrError *err);

#endif
