/*
 * The weights of a blend's members, by held-out pairs: nowhere below 0, mostly 0 for what does not help. See
 * blend_choose.c.
 */
#ifndef BLEND_CHOOSE_H
#define BLEND_CHOOSE_H

#include "models/blend/blend.h"

/* Some users with held-out pairs, and the items that any member would put on top of their lists. */
typedef struct BlendLists
{
	Blend	   *blend;
	TrModel		work;			/* whose memory is for as long as it takes */
	const TrPairs *pairs;
	int32_t		users;			/* H */
	int32_t		next;			/* list of the user who is looked for */
	int32_t    *user;			/* (H) ascending */
	int32_t    *first_pair;		/* (H) */
	int32_t    *n_pairs;		/* (H) */
	int64_t    *ptr;			/* (H+1) room for items */
	int32_t    *n;				/* (H) items */
	int32_t    *item;			/* per user: as they were found, then ascending and distinct */
	bool	   *relevant;		/* of item: was it held out? */
	float	   *score[BLEND_MOST];	/* of item, by member, divided by how far the member's scores spread */
	TrScored   *best;			/* (K) */
	float	   *sum;			/* (items of the longest list) */
	int32_t    *rank;			/* (pairs of the longest list) */
} BlendLists;

/* Also lists that could not be opened are closed. */
extern TrStatus blend_lists_open(BlendLists *lists, Blend *m, TrError *err);
extern void blend_lists_close(BlendLists *lists);

/*
 * The user's best items of one more member join his list, if he has one; scores of what he has are overwritten. Users come
 * in ascending order, for each member anew. lists NULL = nothing happens.
 */
extern void blend_lists_offer(BlendLists *lists, int32_t user, float *score);

/* weight of the members, whose deviations are known; they add up to 1 */
extern TrStatus blend_lists_choose(BlendLists *lists, double *weight, const TrPoll *poll, TrError *err);

#endif
