/*
 * Cosines between sets: users as sets of items, or items as sets of users. For item_knn and user_knn, which compute one row
 * of neighbours at a time, when it is asked for, and keep none.
 *
 * Legend: R sets, C members, P pairs (set, member).
 */
#ifndef TR_COSINE_H
#define TR_COSINE_H

#include "core/topn.h"
#include "models/base.h"

typedef struct TrCosine
{
	int32_t		rows;			/* R */
	const int32_t *set_ptr;		/* (R+1) into set_member: the members of each set */
	const int32_t *set_member;	/* (P) */
	const int32_t *member_ptr;	/* (C+1) into member_set: the sets of each member */
	const int32_t *member_set;	/* (P) */
	int32_t    *item_user;		/* (P) users of each item: the one direction that the dataset does not have as it is */
	float	   *length;			/* (R) root of the number of members */
	int32_t    *common;			/* (R) members shared with the set in question; zeros between calls */
	TrScored   *found;			/* (R) the neighbours of that set; (cosine, row) */
	TrScored   *best;			/* (R) */
	uint64_t   *bits;			/* a set of rows, empty between calls */
	float	   *by_row;			/* (R) cosines of those in the set */
	int32_t    *index;			/* (R) the answer */
	float	   *value;			/* (R) */
	float	   *ones;			/* (items) */
} TrCosine;

/* Bytes that tr_cosine_create() takes. */
extern size_t tr_cosine_estimate(const TrShape *shape, TrSide side);

/* Between the users, or between the items, that a model is trained on; in its memory. */
extern TrStatus tr_cosine_create(TrCosine *c, TrModel *model, TrSide side, TrError *err);

/*
 * found = the rows that share a member with the set of n members, but for the row `self`, in no order; returns how many.
 * The cosine of two rows is the same number from either side.
 */
extern int32_t tr_cosine_find(TrCosine *c, const int32_t *member, int32_t n, int32_t self);

/* best = the `limit` nearest of the first n found, the farthest of them first: of equal ones, those that come first. */
extern int32_t tr_cosine_nearest(TrCosine *c, int32_t n, int32_t limit);

/* These n rows, in the order of their numbers; good until the next call. */
extern TrSparse tr_cosine_in_order(TrCosine *c, const TrScored *row, int32_t n);

/* The items of a user, 1 each. */
extern TrSparse tr_cosine_items(const TrCosine *c, const TrDataset *dataset, int32_t user);

#endif
