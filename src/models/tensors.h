/*
 * What restore() and load() read: stored tensors, found by their names, held against the sizes the model wants.
 */
#ifndef TR_TENSORS_H
#define TR_TENSORS_H

#include "core/model.h"

/* *found = the tensor of this name; it has to have these rows and columns, 0 rows = any number */
extern TrStatus tr_tensor_find(const TrTensor **found, const char *name, int32_t rows, int32_t cols,
							   const TrTensor *tensors, int n, TrError *err);

/* value (rows,cols) = the same; it may be where the tensor's own value is */
extern TrStatus tr_tensor_read(float *value, const char *name, int32_t rows, int32_t cols, const TrTensor *tensors, int n,
							   TrError *err);

/* Each of these, by its name and size, into its value */
extern TrStatus tr_tensors_read(const TrTensor *wanted, int n_wanted, const TrTensor *tensors, int n, TrError *err);

#endif
