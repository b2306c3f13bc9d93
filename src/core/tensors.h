/*
 * What restoring and loading reads: stored tensors. Nothing of them is trusted: there are exactly those that the model wants,
 * each once, with these rows and columns, and every number is finite and within its range, or it is TR_BAD_DATA. All of that
 * is looked at before any of it is copied, so that what is refused changes nothing.
 */
#ifndef TR_TENSORS_H
#define TR_TENSORS_H

#include <float.h>

#include "core/model.h"

/* Rows or columns that the stored tensor says itself; at least 1. */
#define TR_ANY (-1)

/* What the numbers of a tensor may be. */
typedef struct TrRange
{
	float		min,
				max;
	bool		whole;			/* a count or an index: no fraction */
} TrRange;

#define TR_FINITE ((TrRange) {-FLT_MAX, FLT_MAX, false})
#define TR_FROM_ZERO ((TrRange) {0, FLT_MAX, false})
/* ln(items / items with the tag) */
#define TR_IDF ((TrRange) {0, 22, false})
/* the elements of unit vectors, which rounding may have made a little longer */
#define TR_UNIT ((TrRange) {-1.001f, 1.001f, false})

/*
 * stored (n) are the n_wanted tensors, by their names and sizes, in any order, and their numbers are in these ranges (NULL:
 * TR_FINITE all of them); of wanted, value is not looked at. A stored one that is for training alone may be there beside
 * them.
 */
extern TrStatus tr_tensors_check(const TrTensor *wanted, const TrRange *ranges, int n_wanted, const TrTensor *stored, int n,
								 TrError *err);

/* The same; then each is copied into the value of the one wanted, which may be where the stored value is, or NULL. */
extern TrStatus tr_tensors_read(const TrTensor *wanted, const TrRange *ranges, int n_wanted, const TrTensor *stored, int n,
								TrError *err);

/* The parts of it: one alone; are there others; a copy. */
extern TrStatus tr_tensor_check(const TrTensor *wanted, TrRange range, const TrTensor *stored, int n, TrError *err);
extern TrStatus tr_tensors_check_surplus(const TrTensor *wanted, int n_wanted, const TrTensor *stored, int n, TrError *err);
extern void tr_tensor_copy(float *to, const TrTensor *from);

/* The stored tensor of this name; NULL = there is none. */
extern const TrTensor *tr_tensor_find(const char *name, const TrTensor *stored, int n);

#endif
