/*
 * Stored tensors. See tensors.h.
 */
#include "core/tensors.h"

#include <math.h>
#include <string.h>

static bool
has_name(const TrTensor *tensor, const char *name)
{
	return strncmp(tensor->name, name, sizeof(tensor->name)) == 0;
}

const TrTensor *
tr_tensor_find(const char *name, const TrTensor *stored, int n)
{
	for (int i = 0; i < n; i++)
		if (has_name(&stored[i], name))
			return &stored[i];
	return NULL;
}

/* ------------------------------------------------------------------ checks */

/* The size for messages; "n" where any will do */
static const char *
size_text(char *buffer, size_t size, int32_t wanted)
{
	if (wanted == TR_ANY)
		return "n";
	snprintf(buffer, size, "%d", wanted);
	return buffer;
}

static TrStatus
check_shape(const TrTensor *wanted, const TrTensor *tensor, TrError *err)
{
	bool		rows_fit = wanted->rows == TR_ANY ? tensor->rows > 0 : tensor->rows == wanted->rows;
	bool		cols_fit = wanted->cols == TR_ANY ? tensor->cols > 0 : tensor->cols == wanted->cols;
	char		rows[16];
	char		cols[16];

	if (!rows_fit || !cols_fit)
		return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is %d x %d, not %s x %s", wanted->name, tensor->rows,
					   tensor->cols, size_text(rows, sizeof(rows), wanted->rows), size_text(cols, sizeof(cols), wanted->cols));
	if (!tensor->value == !tensor->whole && tensor->rows > 0 && tensor->cols > 0)
		return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" has no values", wanted->name);
	return TR_OK;
}

static bool
in_range(float value, TrRange range)
{
	return value >= range.min && value <= range.max && (!range.whole || value == truncf(value));
}

static float
number_of(const TrTensor *tensor, size_t i)
{
	return tensor->value ? tensor->value[i] : (float) tensor->whole[i];
}

static TrStatus
check_range(const TrTensor *tensor, TrRange range, TrError *err)
{
	size_t		n = (size_t) tensor->rows * (size_t) tensor->cols;

	for (size_t i = 0; i < n; i++)
		if (!in_range(number_of(tensor, i), range))
			return tr_fail(err, TR_BAD_DATA, "stored weight \"%.*s\" has an invalid number, %g", (int) sizeof(tensor->name),
						   tensor->name, number_of(tensor, i));
	return TR_OK;
}

TrStatus
tr_tensor_check(const TrTensor *wanted, TrRange range, const TrTensor *stored, int n, TrError *err)
{
	const TrTensor *found = tr_tensor_find(wanted->name, stored, n);

	if (!found)
		return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is missing", wanted->name);
	if (tr_tensor_find(wanted->name, found + 1, n - 1 - (int) (found - stored)))
		return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is there twice", wanted->name);
	TR_TRY(check_shape(wanted, found, err));
	return check_range(found, range, err);
}

TrStatus
tr_tensors_check_surplus(const TrTensor *wanted, int n_wanted, const TrTensor *stored, int n, TrError *err)
{
	for (int i = 0; i < n; i++)
	{
		bool		known = stored[i].training;

		for (int w = 0; w < n_wanted && !known; w++)
			known = has_name(&stored[i], wanted[w].name);
		if (!known)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"%.*s\" is not one of the model's",
						   (int) sizeof(stored[i].name), stored[i].name);
	}
	return TR_OK;
}

TrStatus
tr_tensors_check(const TrTensor *wanted, const TrRange *ranges, int n_wanted, const TrTensor *stored, int n, TrError *err)
{
	for (int i = 0; i < n_wanted; i++)
		TR_TRY(tr_tensor_check(&wanted[i], ranges ? ranges[i] : TR_FINITE, stored, n, err));
	return tr_tensors_check_surplus(wanted, n_wanted, stored, n, err);
}

void
tr_tensor_copy(float *to, const TrTensor *from)
{
	size_t		n = (size_t) from->rows * (size_t) from->cols;

	if (from->value && n > 0)
		memmove(to, from->value, n * sizeof(float));
	for (size_t i = 0; !from->value && i < n; i++)
		to[i] = (float) from->whole[i];
}

TrStatus
tr_tensors_read(const TrTensor *wanted, const TrRange *ranges, int n_wanted, const TrTensor *stored, int n, TrError *err)
{
	TR_TRY(tr_tensors_check(wanted, ranges, n_wanted, stored, n, err));
	for (int i = 0; i < n_wanted; i++)
		if (wanted[i].value)
			tr_tensor_copy(wanted[i].value, tr_tensor_find(wanted[i].name, stored, n));
	return TR_OK;
}
