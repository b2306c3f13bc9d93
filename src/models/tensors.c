/*
 * Stored tensors. See tensors.h.
 */
#include <string.h>

#include "models/tensors.h"

TrStatus
tr_tensor_find(const TrTensor **found, const char *name, int32_t rows, int32_t cols, const TrTensor *tensors, int n,
			   TrError *err)
{
	for (int i = 0; i < n; i++)
	{
		const TrTensor *tensor = &tensors[i];

		if (strcmp(tensor->name, name) != 0)
			continue;
		if (rows == 0 && tensor->cols != cols)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" has %d columns, not %d", name, tensor->cols, cols);
		if (rows > 0 && (tensor->rows != rows || tensor->cols != cols))
			return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is %d x %d, not %d x %d", name, tensor->rows,
						   tensor->cols, rows, cols);
		*found = tensor;
		return TR_OK;
	}
	return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is missing", name);
}

TrStatus
tr_tensor_read(float *value, const char *name, int32_t rows, int32_t cols, const TrTensor *tensors, int n, TrError *err)
{
	const TrTensor *found = NULL;

	TR_TRY(tr_tensor_find(&found, name, rows, cols, tensors, n, err));
	memmove(value, found->value, (size_t) rows * (size_t) cols * sizeof(float));
	return TR_OK;
}

TrStatus
tr_tensors_read(const TrTensor *wanted, int n_wanted, const TrTensor *tensors, int n, TrError *err)
{
	for (int i = 0; i < n_wanted; i++)
		TR_TRY(tr_tensor_read(wanted[i].value, wanted[i].name, wanted[i].rows, wanted[i].cols, tensors, n, err));
	return TR_OK;
}
