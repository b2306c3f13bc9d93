/*
 * Ascending lists of numbers, each of them there once: positions of items, tags of a post.
 */
#ifndef TR_ASCENDING_H
#define TR_ASCENDING_H

#include <stdint.h>
#include <stdlib.h>

static inline int
tr_compare_numbers(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

/* Makes an ascending list of these n numbers, in place; its length. */
static inline int32_t
tr_sort_distinct(int32_t *number, int32_t n)
{
	int32_t		kept = 0;

	if (n > 0)
		qsort(number, (size_t) n, sizeof(int32_t), tr_compare_numbers);
	for (int32_t i = 0; i < n; i++)
		if (i == 0 || number[i] != number[i - 1])
			number[kept++] = number[i];
	return kept;
}

/* The place of a number in a list of n; -1 when it is not there. list may be NULL when n is 0. */
static inline int32_t
tr_find_ascending(const int32_t *list, int32_t n, int32_t number)
{
	int32_t		low = 0;
	int32_t		high = n;

	while (low < high)
	{
		int32_t		middle = low + (high - low) / 2;

		if (list[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && list[low] == number ? low : -1;
}

#endif
