/*
 * The best n by scores that are known only nearly, as a matrix product in any order of sums gives them. Those that may be
 * among the n best are scored again, exactly: the result is the one of exact scores.
 */
#ifndef TR_SCREEN_H
#define TR_SCREEN_H

#include "core/topn.h"

typedef struct TrScreen
{
	/* The score of a row; NULL = they are exact already */
	float		(*score) (void *arg, int32_t row);
	void	   *arg;
	const int32_t *skip;		/* (n_skip) rows left out, ascending */
	int32_t		n_skip;
	int64_t		scored;			/* rows, so far */
} TrScreen;

/*
 * How far tr_dot() of two padded vectors and a sum of `terms` products, formed in any order and in float, are from each
 * other at most. norm, row_norm: not less than the lengths of the vectors.
 */
extern double tr_screen_slack(int terms, size_t stride, double norm, double row_norm);

/* Offers rows first .. first+n-1, whose scores are within `slack` of near[i], if they can be among the best. */
extern void tr_screen(TrScreen *screen, TrTopN *top, const float *near, double slack, int32_t first, int32_t n);

#endif
