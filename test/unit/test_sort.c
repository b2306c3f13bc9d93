/*
 * Sorting numbers, beside qsort(): orders that quicksort halves well and badly, repeated numbers, any length.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/sort.h"

TR_SORT_FUNCTIONS(sort_ints, int32_t)
TR_SORT_FUNCTIONS(sort_words, uint64_t)

#define MOST 20000

static int32_t number[MOST];
static int32_t expected[MOST];
static uint64_t word[MOST];

static int
compare_ints(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

/* The i-th of n numbers in one of several orders. */
static int32_t
order_of(int kind, int i, int n)
{
	switch (kind)
	{
		case 0:
			return i;
		case 1:
			return n - i;
		case 2:
			return i < n / 2 ? i : n - i;
		case 3:
			return 7;
		case 4:
			return i % 3 - 1;
		case 5:
			return i % 2 == 0 ? i : n / 2 + i / 2;
		case 6:
			return (int32_t) tr_below(1, TR_STREAM_SHUFFLE, (uint64_t) n, (uint64_t) i, 10);
	}
	return (int32_t) tr_random(1, TR_STREAM_SHUFFLE, (uint64_t) n, (uint64_t) i);
}

#define KINDS 8

static void
sort(int kind, int n)
{
	bool		words = true;

	for (int i = 0; i < n; i++)
	{
		number[i] = expected[i] = order_of(kind, i, n);
		word[i] = (uint64_t) ((int64_t) number[i] - INT32_MIN);
	}
	qsort(expected, (size_t) n, sizeof(int32_t), compare_ints);
	sort_ints(number, (size_t) n);
	sort_words(word, (size_t) n);
	for (int i = 0; i < n; i++)
		words = words && word[i] == (uint64_t) ((int64_t) expected[i] - INT32_MIN);
	CHECK(memcmp(number, expected, (size_t) n * sizeof(int32_t)) == 0 && words, "order %d of %d numbers", kind, n);
}

/* By heapsort alone, as where quicksort has halved badly. */
static void
sort_by_heap(int n)
{
	for (int i = 0; i < n; i++)
		number[i] = expected[i] = order_of(KINDS - 1, i, n);
	qsort(expected, (size_t) n, sizeof(int32_t), compare_ints);
	sort_ints_parts(number, (size_t) n, 0);
	CHECK(memcmp(number, expected, (size_t) n * sizeof(int32_t)) == 0, "%d numbers by heapsort", n);
}

int
main(void)
{
	static const int lengths[] = {0, 1, 2, 3, 23, 24, 25, 26, 100, 1000, MOST};

	for (int kind = 0; kind < KINDS; kind++)
		for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
			sort(kind, lengths[l]);
	sort_by_heap(25);
	sort_by_heap(5000);
	return check_done();
}
