/*
 * The best n of many scores: a bounded heap. A higher score is better; of equal scores the smaller index is. A score that
 * is not a number is never among them.
 */
#ifndef TR_TOPN_H
#define TR_TOPN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TrScored
{
	float		score;
	int32_t		index;
} TrScored;

typedef struct TrTopN
{
	int32_t		limit;
	int32_t		count;
	TrScored   *best;			/* (limit), the worst of them first, until tr_topn_sort() */
} TrTopN;

/* A set of indices: one bit each, in words of 64. */
#define TR_BIT_WORDS(n) (((size_t) (n) + 63) / 64)

static inline void
tr_bit_set(uint64_t *bits, int32_t index)
{
	bits[index >> 6] |= UINT64_C(1) << (index & 63);
}

static inline bool
tr_bit_test(const uint64_t *bits, int32_t index)
{
	return (bits[index >> 6] >> (index & 63)) & 1;
}

static inline bool
tr_scored_better(TrScored a, TrScored b)
{
	return a.score > b.score || (a.score == b.score && a.index < b.index);
}

/* For qsort(): by their indices, ascending */
static inline int
tr_scored_by_index(const void *a, const void *b)
{
	int32_t		x = ((const TrScored *) a)->index;
	int32_t		y = ((const TrScored *) b)->index;

	return (x > y) - (x < y);
}

/* room holds limit >= 0 entries. */
extern void tr_topn_init(TrTopN *top, TrScored *room, int32_t limit);

extern void tr_topn_offer(TrTopN *top, float score, int32_t index);

/* Offers score[i] as index first + i, i = 0..n-1, but for the indices in skip (NULL = none). */
extern void tr_topn_scan(TrTopN *top, const float *score, int32_t first, int32_t n, const uint64_t *skip);

/* Puts the best first. Nothing can be offered afterwards. */
extern void tr_topn_sort(TrTopN *top);

#endif
