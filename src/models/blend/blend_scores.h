/*
 * The scores of one member of a blend, for all items. See blend.h. Legend: N items, B users of a block, W width of the
 * member's arrays.
 */
#ifndef BLEND_SCORES_H
#define BLEND_SCORES_H

#include "models/blend/blend.h"

#define BLEND_BLOCK 256			/* B */

typedef struct BlendScorer
{
	TrModel		work;			/* whose memory is for as long as it takes */
	const Blend *blend;
	BlendMember *member;
	float	   *items;			/* (N,W) backend memory */
	float	   *users;			/* (B,W) backend memory */
	float	   *scores;			/* (B,N) backend memory */
	float	   *host_users;		/* (B,W) */
	float	   *host_scores;	/* (B,N) */
} BlendScorer;

/* Also one that could not be opened is closed. */
extern TrStatus blend_scorer_open(BlendScorer *s, const Blend *blend, BlendMember *member, TrError *err);
extern void blend_scorer_close(BlendScorer *s);

/* host_scores (n,N) of n users of the dataset, BLEND_BLOCK at most, by all that the member knows of them */
extern TrStatus blend_score_users(BlendScorer *s, const int32_t *user, int n, const TrPoll *poll, TrError *err);

/* The same of users with these profiles of whom nothing else is known */
extern TrStatus blend_score_profiles(BlendScorer *s, const TrProfiles *profiles, TrError *err);

#endif
