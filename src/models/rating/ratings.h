/*
 * What algorithms that predict values share: the values less their mean as sparse rows of one column, and the arrays of
 * those of whom nothing is known.
 */
#ifndef TR_RATINGS_H
#define TR_RATINGS_H

#include "core/metrics.h"
#include "models/base.h"

/* TR_BAD_DATA where the dataset has no values */
extern TrStatus tr_check_values(const TrModel *model, TrError *err);

/* The mean of the values: a tensor "mean" (1,1). */
extern TrStatus tr_mean_tensor(TrModel *model, float **mean, TrError *err);

/*
 * An option "metric" of the algorithm's own, whose default is then that of training: such a model is not measured by its
 * rankings.
 */
#define TR_RATING_METRIC(offset) \
	{"metric", TR_OPTION_ENUM, offset, "rmse", 0, 0, tr_error_metric_names, \
	"validation metric: the root mean squared error, or the mean absolute one; smaller is better"}

#endif
