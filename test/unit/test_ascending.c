/*
 * Ascending lists: made of any numbers, and searched.
 */
#include "check.h"
#include "core/ascending.h"

static void
test_sort(void)
{
	int32_t		number[] = {7, -1, 7, 0, INT32_MAX, 0, INT32_MIN, 7};
	static const int32_t expected[] = {INT32_MIN, -1, 0, 7, INT32_MAX};
	int32_t		one[] = {5};
	int32_t		n = tr_sort_distinct(number, 8);

	CHECK_EQUAL(n, 5, "each number is there once");
	for (int i = 0; i < 5; i++)
		CHECK_EQUAL(number[i], expected[i], "and they ascend");
	CHECK_EQUAL(tr_sort_distinct(one, 1), 1, "one number");
	CHECK_EQUAL(tr_sort_distinct(NULL, 0), 0, "none");
}

static void
test_find(void)
{
	static const int32_t list[] = {-3, 0, 2, 9};

	for (int32_t n = 0; n <= 4; n++)
		for (int32_t number = -5; number <= 10; number++)
		{
			int32_t		place = -1;

			for (int32_t i = 0; i < n; i++)
				if (list[i] == number)
					place = i;
			CHECK_EQUAL(tr_find_ascending(list, n, number), place, "a number is found at its place, or not at all");
		}
	CHECK_EQUAL(tr_find_ascending(NULL, 0, 0), -1, "nothing is in an empty list");
}

int
main(void)
{
	test_sort();
	test_find();
	return check_done();
}
