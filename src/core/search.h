/*
 * Random search: numbers drawn for trials, each a pure function of (seed, trial, attempt, option), so that a search can be
 * resumed from its seed alone, and another option in the space does not change the draws of the others.
 */
#ifndef TR_SEARCH_H
#define TR_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

typedef struct TrSearchDraw
{
	uint64_t	seed;
	int			trial;
	int			attempt;		/* 0, 1, … when a draw is thrown away */
} TrSearchDraw;

/* Both inclusive. */
typedef struct TrSearchRange
{
	double		min,
				max;
	bool		whole;			/* whole numbers only */
	bool		log;			/* evenly on a logarithmic scale; min > 0 */
} TrSearchRange;

/* Uniform in [0, 1), 53 bits. */
extern double tr_search_uniform(const TrSearchDraw *draw, const char *option);

/* 0..n-1 */
extern int	tr_search_choice(const TrSearchDraw *draw, const char *option, int n);

/* Within the range; real numbers have six significant digits where the range has room for them. */
extern double tr_search_number(const TrSearchDraw *draw, const char *option, const TrSearchRange *range);

#endif
