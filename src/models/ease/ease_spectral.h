/*
 * EASE by the leading eigenvectors of X^T X, where the matrix that the closed form inverts would be too large. With its
 * eigenpairs (s_i, v_i), i < r, and d_i = s_i / (s_i + lambda),
 *
 *     P = (I - V D V^T) / lambda      B[f,j] = (V D V^T)[f,j] / (1 - c_j), c_j = (V D V^T)[j,j]
 *
 * as if all other eigenvalues were 0: the exact weights where r is the rank of X. So a score is an inner product:
 *
 *     feature f has the array F[f] = D^1/2 V[f]      item j the array F[j] / (1 - c_j), c_j = |F[j]|^2
 *     a user is the sum of the arrays of his features
 *
 * The last subtracts nothing for an item that the user has already: B[j,j] is 0 for the closed form, and is not here, which
 * no other item's score depends on. A new item is a further column of X, of which m users know who have its tags as their
 * own, y, and nothing else: its weights are
 *
 *     (A + m y y^T)^-1 m y = m / (1 + m q) A^-1 y     A = X^T X + lambda I     q = y . A^-1 y
 *
 * and its array so many times S^-1 times that of y. (With the rows of its tags it would be negative for users who are known
 * by tags alone: to the users of X it would be an item that none of them has.)
 *
 * Legend: M rows of X, C columns, N items (the first columns), T tags (the columns behind them), r rank.
 */
#ifndef TR_EASE_SPECTRAL_H
#define TR_EASE_SPECTRAL_H

#include "models/ease/ease_solve.h"

typedef struct TrEaseSpectral
{
	int			rank;			/* r; 0 = the model is not spectral */
	int32_t		n_items,
				n_tags;			/* T; 0 = X has no tags */
	float	   *items;			/* (N,r) F of the items; NULL in a model that was loaded */
	float	   *tags;			/* (T,r) F of the tags */
	float	   *values;			/* (r) S */
	float	   *left;			/* (N) 1 - c_j */
} TrEaseSpectral;

/* Is X to be solved so: a matrix of M x C with so many entries at least */
extern bool tr_ease_is_spectral(double M, double C, double entries, int method);

extern size_t tr_ease_spectral_bytes(double M, double C, double entries, int rank);

/*
 * In create(), of a model that is spectral: its tensors, its width. rank is the option's; a model that is being loaded has
 * the rank that is stored.
 */
extern TrStatus tr_ease_spectral_create(TrEaseSpectral *s, TrModel *model, int32_t M, int32_t C, int32_t n_tags, int rank,
										TrError *err);

/* The only epoch of a model. */
extern TrStatus tr_ease_spectral_train(TrEaseSpectral *s, TrModel *model, TrEaseFill fill, double lambda,
									   const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* After the tensors were restored. */
extern TrStatus tr_ease_spectral_restored(TrEaseSpectral *s, TrError *err);

/* out (r) += factor times the array of a feature; = the array of an item */
extern void tr_ease_add_item(const TrEaseSpectral *s, float *out, int32_t item, float factor);
extern void tr_ease_add_tag(const TrEaseSpectral *s, float *out, int32_t tag, float factor);
extern void tr_ease_item_array(const TrEaseSpectral *s, float *out, int32_t item);

/* array (r), which is that of y, becomes that of a new item of m posts; squares = |y|^2 */
extern void tr_ease_new_item(const TrEaseSpectral *s, float *array, double squares, double lambda, int32_t posts);

/*
 * array (r) += the arrays of these items as features, from the items' arrays that are stored; out (items) = what each of
 * them adds to the score of an item. Both do nothing, out being zeros, for a model that is not spectral, whose arrays are
 * empty.
 */
extern void tr_ease_fold_in(const TrSparse *items, const TrCatalogue *catalogue, float *array);
extern TrStatus tr_ease_contributions(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item,
									  float *out, TrError *err);

#endif
