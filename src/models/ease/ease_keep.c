/*
 * Selecting in one pass: candidates above a bar are collected; when there are twice as many as wanted, the smaller half
 * goes and the bar rises. It starts where a sample of the row says, a little lower. Nearly all of a long row is never
 * looked at twice.
 */
#include "models/ease/ease_keep.h"

#include <math.h>
#include <string.h>

void
tr_keeper_init(TrKeeper *keeper, TrModel *model, int32_t limit, int32_t n)
{
	int64_t		room = limit > 0 && limit < n ? 2 * (int64_t) limit : n;

	*keeper = (TrKeeper) {.limit = limit < n ? limit : 0, .room = (int32_t) (room < n ? room : n)};
	keeper->index = TR_NEW(model, int32_t, keeper->room);
	keeper->size = TR_NEW(model, float, keeper->room);
	keeper->order = TR_NEW(model, float, keeper->room);
}

/* The k-th largest (k >= 1) of x (n), which is reordered: Hoare's selection. */
static float
kth_largest(float *x, int32_t n, int32_t k)
{
	int32_t		low = 0;
	int32_t		high = n - 1;

	while (low < high)
	{
		float		pivot = x[low + (high - low) / 2];
		int32_t		i = low;
		int32_t		j = high;

		while (i <= j)
		{
			while (x[i] > pivot)
				i++;
			while (x[j] < pivot)
				j--;
			if (i <= j)
			{
				float		other = x[i];

				x[i++] = x[j];
				x[j--] = other;
			}
		}
		if (k - 1 <= j)
			high = j;
		else if (k - 1 >= i)
			low = i;
		else
			break;
	}
	return x[k - 1];
}

/* Leaves the largest of the candidates, in their order; returns the size of the smallest one left. */
static float
drop_smaller(TrKeeper *keeper, int32_t n)
{
	int32_t		kept = 0;
	int32_t		ties = keeper->limit;
	float		bar;

	memcpy(keeper->order, keeper->size, (size_t) n * sizeof(float));
	bar = kth_largest(keeper->order, n, keeper->limit);
	for (int32_t i = 0; i < n; i++)
		ties -= keeper->size[i] > bar;
	for (int32_t i = 0; i < n; i++)
	{
		if (keeper->size[i] < bar || (keeper->size[i] == bar && ties-- <= 0))
			continue;
		keeper->size[kept] = keeper->size[i];
		keeper->index[kept++] = keeper->index[i];
	}
	return bar;
}

/* One number of SAMPLE is looked at first. */
#define SAMPLE 16

/* A bar that some more than the wanted numbers are probably above; 0 where there are too few to tell. */
static float
first_bar(TrKeeper *keeper, const float *row, int32_t n)
{
	int32_t		rank = keeper->limit / SAMPLE;
	int32_t		count = 0;

	rank += rank / 4 + 4;
	if (keeper->limit == 0 || n / SAMPLE < 2 * rank || n / SAMPLE > keeper->room)
		return 0;
	for (int32_t i = SAMPLE / 2; i < n; i += SAMPLE)
		if (count < keeper->room)
			keeper->order[count++] = fabsf(row[i]);
	return kth_largest(keeper->order, count, rank);
}

/* Collects what is larger than bar; returns how many candidates there are, sorted out to limit. */
static int32_t
collect(TrKeeper *keeper, const float *row, int32_t n, float bar)
{
	int32_t		found = 0;

	for (int32_t i = 0; i < n; i++)
	{
		float		size = fabsf(row[i]);

		if (!(size > bar))
			continue;
		if (found == keeper->room)
		{
			bar = drop_smaller(keeper, found);
			found = keeper->limit;
			if (!(size > bar))
				continue;
		}
		keeper->index[found] = i;
		keeper->size[found++] = size;
	}
	if (keeper->limit == 0 || found <= keeper->limit)
		return found;
	(void) drop_smaller(keeper, found);
	return keeper->limit;
}

int32_t
tr_keep_largest(TrKeeper *keeper, int32_t *index, float *value, const float *row, int32_t n)
{
	float		bar = first_bar(keeper, row, n);
	int32_t		found = collect(keeper, row, n, bar);

	if (bar > 0 && found < keeper->limit)
		found = collect(keeper, row, n, 0);
	for (int32_t i = 0; i < found; i++)
	{
		index[i] = keeper->index[i];
		value[i] = row[keeper->index[i]];
	}
	return found;
}
