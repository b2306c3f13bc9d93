/*
 * width() and embed() of algorithms all of whose score is sparse, or that score tags.
 */
#ifndef NO_ARRAYS_H
#define NO_ARRAYS_H

#include "core/model.h"

extern int	tr_no_width(const TrModel *model, int *unit);
extern TrStatus tr_no_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							TrError *err);

#endif
