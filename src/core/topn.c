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

/* Scores looked at together; nearly all of a long list are below the worst one kept. */
#define GROUP 16

/* Could any of a group enter the full heap? Written to become a few vector instructions. */
static inline bool
any_reaches(const float *score, float bar)
{
	int			reached = 0;

	for (int i = 0; i < GROUP; i++)
		reached |= score[i] >= bar;
	return reached != 0;
}

void
tr_topn_scan(TrTopN *top, const float *score, int32_t first, int32_t n, const uint64_t *skip)
{
	if (top->limit <= 0)
		return;
	for (int32_t start = 0; start < n; start += GROUP)
	{
		int32_t		end = start + GROUP < n ? start + GROUP : n;

		if (end - start == GROUP && top->count == top->limit && !any_reaches(score + start, top->best[0].score))
			continue;
		for (int32_t i = start; i < end; i++)
			if (!skip || !tr_bit_test(skip, first + i))
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
