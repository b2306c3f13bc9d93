/*
 * What algorithms that predict values share. See ratings.h.
 */
#include "models/rating/ratings.h"

TrStatus
tr_check_values(const TrModel *model, TrError *err)
{
	if (!model->dataset || model->dataset->post_value)
		return TR_OK;
	tr_fail(err, TR_BAD_DATA, "algorithm \"%s\" predicts values, and the pairs have none", model->algorithm->name);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "Name the column of values, or choose an algorithm for the task \"item\".");
	return TR_BAD_DATA;
}

TrStatus
tr_mean_tensor(TrModel *model, float **mean, TrError *err)
{
	TR_TRY(tr_check_values(model, err));
	TR_TRY(tr_tensor(model, "mean", 1, 1, TR_FINITE, mean, err));
	if (model->dataset)
		**mean = (float) tr_dataset_values(model->dataset).mean;
	return TR_OK;
}
