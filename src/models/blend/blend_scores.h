/*
 * The scores of one member of a blend, for all items. See blend.h. Legend: N items, B users of a block, W width of the
 * member's arrays.
 */
#ifndef BLEND_SCORES_H
#define BLEND_SCORES_H

#include "models/blend/blend.h"

#define BLEND_BLOCK 256			/* B */
#define BLEND_MOST_SCORES 125e6 /* of a block, unless one user has more; to go through them takes some tenths of a second */

typedef struct BlendScorer
{
	TrModel		work;			/* whose memory is for as long as it takes */
	const Blend *blend;
	BlendMember *member;
	int32_t		columns;		/* C: items that are scored, all of them, or a sample */
	int32_t    *place;			/* (N) of an item in the sample, -1 = it has none; NULL = all items are scored */
	float	   *items;			/* (N,W) backend memory */
	float	   *sampled;		/* (C,W) backend memory; NULL = all items are scored */
	float	   *users;			/* (B,W) backend memory */
	float	   *scores;			/* (B,N) backend memory, as many as users are scored together */
	float	   *host_users;		/* (B,W) */
	float	   *host_scores;	/* (B,N), or as many of it as users are scored together, C numbers each */
} BlendScorer;

/* Also one that could not be opened is closed. */
extern TrStatus blend_scorer_open(BlendScorer *s, const Blend *blend, BlendMember *member, const TrPoll *poll,
								  TrError *err);
extern void blend_scorer_close(BlendScorer *s);

/* From now on the scores are those of a sample of the items, the same for each member. */
extern TrStatus blend_scorer_sample(BlendScorer *s, TrError *err);

/*
 * Users to score together, at most BLEND_BLOCK: as many as are scored in some tenths of a second where that is slow, so
 * that nobody waits long for a poll.
 */
extern int	blend_scorer_rows(const BlendScorer *s);

/* host_scores (n,C) of n users of the dataset, blend_scorer_rows() at most, by all that the member knows of them */
extern TrStatus blend_score_users(BlendScorer *s, const int32_t *user, int n, const TrPoll *poll, TrError *err);

/* The same of users with these profiles of whom nothing else is known */
extern TrStatus blend_score_profiles(BlendScorer *s, const TrProfiles *profiles, TrError *err);

#endif
