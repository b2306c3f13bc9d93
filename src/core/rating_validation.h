/*
 * Measuring a model of the task rating on held-out pairs with values: predictions, clipped to the range of the values that
 * the model was trained on, against these.
 */
#ifndef TR_RATING_VALIDATION_H
#define TR_RATING_VALIDATION_H

#include "core/metrics.h"
#include "core/model.h"

/* Told of one user: the n predictions, and where they are in held_out. */
typedef void (*TrPredicted) (void *argument, const float *predicted, int32_t first, int32_t n);

/* Predicts every pair of held_out, which is sorted by user, in that order. Users and items are those of dataset. */
extern TrStatus tr_predict_pairs(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrPredicted told,
								 void *argument, const TrPoll *poll, TrError *err);

/* TR_METRIC_RMSE or TR_METRIC_MAE over all pairs of held_out, which has values, user by user. */
extern TrStatus tr_validate_ratings(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric,
									const TrPoll *poll, TrMean *mean, TrError *err);

#endif
