/*
 * A model without arrays. See no_arrays.h.
 */
#include "models/no_arrays.h"

int
tr_no_width(const TrModel *model, int *unit)
{
	(void) model;
	if (unit)
		*unit = 0;
	return 0;
}

TrStatus
tr_no_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	(void) model, (void) side, (void) dataset, (void) first, (void) n, (void) out, (void) err;
	return TR_OK;
}
