/*
 * Sorting numbers, ascending, as qsort() does but without a call for each comparison: quicksort with the median of three,
 * short parts by insertion, and heapsort for a part that quicksort has halved badly too often, so that no order of the
 * numbers takes more than n log n.
 */
#ifndef TR_SORT_H
#define TR_SORT_H

#include <stddef.h>
#include <stdint.h>

#define TR_SORT_SHORT 24

#define TR_SORT_FUNCTIONS(name, type) \
static inline void \
name##_insert(type *v, size_t n) \
{ \
	for (size_t i = 1; i < n; i++) \
	{ \
		type		x = v[i]; \
		size_t		j = i; \
 \
		for (; j > 0 && v[j - 1] > x; j--) \
			v[j] = v[j - 1]; \
		v[j] = x; \
	} \
} \
 \
static inline void \
name##_sift(type *v, size_t i, size_t n) \
{ \
	type		x = v[i]; \
	size_t		child; \
 \
	for (; (child = 2 * i + 1) < n; i = child) \
	{ \
		child += child + 1 < n && v[child] < v[child + 1]; \
		if (v[child] <= x) \
			break; \
		v[i] = v[child]; \
	} \
	v[i] = x; \
} \
 \
static inline void \
name##_heap(type *v, size_t n) \
{ \
	for (size_t i = n / 2; i-- > 0;) \
		name##_sift(v, i, n); \
	for (; n > 1; n--) \
	{ \
		type		largest = v[0]; \
 \
		v[0] = v[n - 1]; \
		v[n - 1] = largest; \
		name##_sift(v, 0, n - 1); \
	} \
} \
 \
static inline type \
name##_median(type a, type b, type c) \
{ \
	return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b); \
} \
 \
/* What is at most the pivot comes first; how many: neither none nor all. */ \
static inline size_t \
name##_part(type *v, size_t n) \
{ \
	type		pivot = name##_median(v[0], v[n / 2], v[n - 1]); \
	size_t		i = 0; \
	size_t		j = n - 1; \
 \
	for (;; i++, j--) \
	{ \
		type		x; \
 \
		while (v[i] < pivot) \
			i++; \
		while (v[j] > pivot) \
			j--; \
		if (i >= j) \
			return j + 1 < n ? j + 1 : j; \
		x = v[i]; \
		v[i] = v[j]; \
		v[j] = x; \
	} \
} \
 \
static void \
name##_parts(type *v, size_t n, int halvings) \
{ \
	while (n > TR_SORT_SHORT) \
	{ \
		size_t		first; \
 \
		if (halvings-- == 0) \
		{ \
			name##_heap(v, n); \
			return; \
		} \
		first = name##_part(v, n); \
		name##_parts(v, first, halvings); \
		v += first; \
		n -= first; \
	} \
	name##_insert(v, n); \
} \
 \
static inline void \
name(type *v, size_t n) \
{ \
	int			halvings = 2; \
 \
	for (size_t rest = n; rest > 1; rest /= 2) \
		halvings += 2; \
	name##_parts(v, n, halvings); \
}

#endif
