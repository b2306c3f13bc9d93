/*
 * The largest numbers of a row, by absolute value.
 */
#ifndef TR_EASE_KEEP_H
#define TR_EASE_KEEP_H

#include "models/base.h"

typedef struct TrKeeper
{
	int32_t		limit;			/* kept at most; 0 = all */
	int32_t		room;			/* candidates there is room for */
	int32_t    *index;			/* (room) candidates, ascending */
	float	   *size;			/* (room) their absolute values */
	float	   *order;			/* (room) work space */
} TrKeeper;

/* For rows of n numbers; in the model's memory, of which tr_enough_memory() says whether it was enough. */
extern void tr_keeper_init(TrKeeper *keeper, TrModel *model, int32_t limit, int32_t n);

/*
 * index, value = the numbers of row (n) that are kept, by ascending index; returns how many. Zeros are never kept; of
 * numbers of the same size those with the smaller index are.
 */
extern int32_t tr_keep_largest(TrKeeper *keeper, int32_t *index, float *value, const float *row, int32_t n);

#endif
