/*
 * User-based collaborative filtering on dense vectors of users: the users nearest to a user by cosine, and their items.
 * For ccf and acf. Legend: U users, W width of a vector.
 */
#ifndef USER_NEIGHBOURS_H
#define USER_NEIGHBOURS_H

#include "core/topn.h"
#include "models/base.h"

typedef struct TrUserNeighbours
{
	TrMemory   *memory;			/* its own, within the model's */
	int32_t		n_users;
	int			width;
	size_t		stride;
	int32_t		most;			/* neighbours */
	float	   *unit;			/* (U,stride) unit vectors, or zeros */
	float	   *query;			/* (stride) */
	float	   *score;
	TrScored   *best;			/* (most) */
	int32_t    *index;			/* (most) */
	float	   *value;			/* (most) */
	float	   *ones;			/* (items) */
} TrUserNeighbours;

extern size_t tr_user_neighbours_estimate(double n_users, double width, double n_items);

/* most = 0: all users. All vectors are zeros. What was there before goes. */
extern TrStatus tr_user_neighbours_create(TrUserNeighbours *n, TrModel *model, int32_t n_users, int width, int32_t most,
										  TrError *err);

/* out (U,W) = the vectors; and the same from the stored tensor "users", which has been checked. */
extern void tr_user_neighbours_save(const TrUserNeighbours *n, float *out);
extern TrStatus tr_user_neighbours_restore(TrUserNeighbours *n, TrModel *model, int32_t most, TrError *err);

/* The vector of a user: any length. */
extern void tr_user_neighbours_set(TrUserNeighbours *n, int32_t user, const float *vector);

/*
 * *out = the nearest users of a vector, `without` not among them (-1 = nobody), by index, with their cosines. Only users on
 * the same side as the vector are near: those with a cosine above 0.
 */
extern void tr_user_neighbours_find(TrUserNeighbours *n, const float *vector, int32_t without, TrSparse *out);

/* *out = the items of a user, each with a weight of 1. */
extern void tr_user_neighbours_items(const TrUserNeighbours *n, const TrDataset *dataset, int32_t user, TrSparse *out);

#endif
