/*
 * Embeddings as they may be stored and shown: finite. See model.h.
 */
#include <math.h>

#include "core/model.h"

static TrStatus
check_finite(const float *value, int width, int32_t n, const char *what, TrError *err)
{
	for (size_t i = 0; i < (size_t) n * (size_t) width; i++)
	{
		if (isfinite(value[i]))
			continue;
		tr_fail(err, TR_NOT_FINITE, "%s is not finite", what);
		if (err)
		{
			snprintf(err->detail, sizeof(err->detail), "Element %zu is %g.", i % (size_t) width + 1, value[i]);
			snprintf(err->hint, sizeof(err->hint), "Try smaller tag weights, or train with a smaller learning_rate.");
		}
		return TR_NOT_FINITE;
	}
	return TR_OK;
}

TrStatus
tr_model_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	TR_TRY(model->algorithm->embed(model, side, dataset, first, n, out, err));
	return check_finite(out, model->algorithm->width(model, NULL), n,
						side == TR_USER ? "the embedding of a user" : "the embedding of an item", err);
}

TrStatus
tr_model_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	TR_TRY(model->algorithm->encode(model, side, profiles, out, err));
	return check_finite(out, model->algorithm->width(model, NULL), profiles->rows, "the embedding of these tags", err);
}
