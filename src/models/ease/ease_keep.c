/*
 * Selecting in one pass: candidates above a bar are collected; when there are twice as many as wanted, the smaller half
 * goes and the bar rises. It starts where a sample of the row says, a little lower. Nearly all of a long row is never
 * looked at twice.
 */
#include "models/ease/ease_keep.h"

#include <math.h>
#include <string.h>

#include "core/simd.h"

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

void
tr_keeper_start(TrKeeper *keeper)
{
	keeper->found = 0;
	keeper->bar = 0;
}

/* Numbers looked at together; nearly all of a long row are below the bar. */
#define GROUP 16

/* The first of n numbers from `at` on whose group has one above bar; n = there is none. */
TR_CLONES static int32_t
next_group(const float *row, int32_t at, int32_t n, float bar)
{
	for (; at + GROUP <= n; at += GROUP)
	{
		int			above = 0;

		for (int i = 0; i < GROUP; i++)
			above |= fabsf(row[at + i]) > bar;
		if (above)
			break;
	}
	return at;
}

/* Collects what is larger than the bar, which rises when there are too many candidates. */
void
tr_keep_piece(TrKeeper *keeper, const float *row, int32_t first, int32_t n)
{
	for (int32_t at = next_group(row, 0, n, keeper->bar); at < n; at = next_group(row, at, n, keeper->bar))
		for (int32_t end = at + GROUP < n ? at + GROUP : n; at < end; at++)
		{
			float		size = fabsf(row[at]);

			if (!(size > keeper->bar))
				continue;
			if (keeper->found == keeper->room)
			{
				keeper->bar = drop_smaller(keeper, keeper->found);
				keeper->found = keeper->limit;
				if (!(size > keeper->bar))
					continue;
			}
			keeper->index[keeper->found] = first + at;
			keeper->size[keeper->found++] = size;
		}
}

static int32_t
sort_out(TrKeeper *keeper)
{
	if (keeper->limit == 0 || keeper->found <= keeper->limit)
		return keeper->found;
	(void) drop_smaller(keeper, keeper->found);
	return keeper->limit;
}

int32_t
tr_keep_end(TrKeeper *keeper, int32_t *index, float *value)
{
	int32_t		found = sort_out(keeper);

	memcpy(index, keeper->index, (size_t) found * sizeof(int32_t));
	memcpy(value, keeper->size, (size_t) found * sizeof(float));
	return found;
}

/* The same of a row that is there at once, from a bar that may be too high */
static int32_t
collect(TrKeeper *keeper, const float *row, int32_t n, float bar)
{
	keeper->found = 0;
	keeper->bar = bar;
	tr_keep_piece(keeper, row, 0, n);
	return sort_out(keeper);
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
