/*
 * Exact scores of those rows alone that nearly right ones leave in the race. See screen.h.
 *
 * The bar is the worst of the n best exact scores so far, and only rises. A row whose score is not below it has a nearly
 * right score that is not below the bar less the slack. What is not a number passes.
 */
#include "core/screen.h"

#include <math.h>

#include "core/ascending.h"
#include "core/simd.h"

/* Rows looked at together */
#define GROUP 64

/*
 * u = 2^-24. A float sum of n products, in any order, fused or not, differs from the true one by at most n u / (1 - n u)
 * times the sum of the products' sizes, which is at most the product of the lengths; products that underflow, or are
 * flushed to zero, add at most 2^-126 each. tr_dot() adds up stride / 8 products in a lane, and then lanes. The few more
 * terms make up for the denominators, and for scaling by 1.
 */
double
tr_screen_slack(int terms, size_t stride, double norm, double row_norm)
{
	double		roundings = (double) (terms + 8) + (double) (stride / 8 + 8);

	return roundings * 0x1p-24 * 1.001 * norm * row_norm + (double) ((size_t) terms + stride) * 0x1p-125;
}

/* A float that is not above the bar less the slack; NaN slack, of lengths that overflow, leaves everything in the race. */
static float
lowest(const TrTopN *top, double slack)
{
	double		low = top->count < top->limit ? -INFINITY : (double) top->best[0].score - slack;

	return isnan(low) ? -INFINITY : nextafterf((float) low, -INFINITY);
}

/* The first group from `start` on of which a row reaches, or the rest that is no whole group; beyond n, there is none. */
static TR_CLONES int32_t
next_reaching(const float *near, float low, int32_t start, int32_t n)
{
	for (; start + GROUP <= n; start += GROUP)
	{
		int			reached = 0;

		for (int i = 0; i < GROUP; i++)
			reached |= !(near[start + i] < low);
		if (reached)
			break;
	}
	return start;
}

static void
offer(TrScreen *screen, TrTopN *top, float near, int32_t row)
{
	if (tr_find_ascending(screen->skip, screen->n_skip, row) >= 0)
		return;
	tr_topn_offer(top, screen->score ? screen->score(screen->arg, row) : near, row);
	screen->scored++;
}

void
tr_screen(TrScreen *screen, TrTopN *top, const float *near, double slack, int32_t first, int32_t n)
{
	float		low = lowest(top, slack);

	if (top->limit <= 0)
		return;
	for (int32_t start = next_reaching(near, low, 0, n); start < n; start = next_reaching(near, low, start + GROUP, n))
	{
		int32_t		end = start + GROUP < n ? start + GROUP : n;

		for (int32_t i = start; i < end; i++)
		{
			if (near[i] < low)
				continue;
			offer(screen, top, near[i], first + i);
			low = lowest(top, slack);
		}
	}
}
