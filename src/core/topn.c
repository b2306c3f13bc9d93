/*
 * The bounded heap: best[0] is the worst entry kept, and every entry is better than its parent.
 */
#include "core/topn.h"

void
tr_topn_init(TrTopN *top, TrScored *room, int32_t limit)
{
	top->limit = limit;
	top->count = 0;
	top->best = room;
}

/* Puts entry into the hole at the root of the first n entries. */
static void
sink(TrScored *heap, int32_t n, TrScored entry)
{
	int32_t		hole = 0;

	for (;;)
	{
		int32_t		child = 2 * hole + 1;

		if (child >= n)
			break;
		if (child + 1 < n && tr_scored_better(heap[child], heap[child + 1]))
			child++;
		if (!tr_scored_better(entry, heap[child]))
			break;
		heap[hole] = heap[child];
		hole = child;
	}
	heap[hole] = entry;
}

/* Puts entry into the hole at the end of n entries. */
static void
rise(TrScored *heap, int32_t n, TrScored entry)
{
	int32_t		hole = n;

	while (hole > 0 && tr_scored_better(heap[(hole - 1) / 2], entry))
	{
		heap[hole] = heap[(hole - 1) / 2];
		hole = (hole - 1) / 2;
	}
	heap[hole] = entry;
}

void
tr_topn_offer(TrTopN *top, float score, int32_t index)
{
	TrScored	entry = {score, index};

	if (score != score || top->limit <= 0)
		return;
	if (top->count < top->limit)
		rise(top->best, top->count++, entry);
	else if (tr_scored_better(entry, top->best[0]))
		sink(top->best, top->count, entry);
}

void
tr_topn_scan(TrTopN *top, const float *score, int32_t first, int32_t n, const uint64_t *skip)
{
	for (int32_t i = 0; i < n; i++)
	{
		/* nearly every score of a long list fails this test, so it comes first */
		if (top->count == top->limit && (top->limit <= 0 || score[i] < top->best[0].score))
			continue;
		if (skip && tr_bit_test(skip, first + i))
			continue;
		tr_topn_offer(top, score[i], first + i);
	}
}

void
tr_topn_sort(TrTopN *top)
{
	for (int32_t n = top->count - 1; n > 0; n--)
	{
		TrScored	worst = top->best[0];

		sink(top->best, n, top->best[n]);
		top->best[n] = worst;
	}
}
