/*
 * Draws of a random search: in range, on the range's scale, repeatable, independent of the rest of the space.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "core/search.h"

#define DRAWS 20000

static TrSearchDraw
draw(int trial)
{
	return (TrSearchDraw) {.seed = 7, .trial = trial};
}

static void
check_whole(void)
{
	TrSearchRange range = {.min = 3, .max = 6, .whole = true};
	int			seen[10] = {0};
	bool		inside = true;

	for (int i = 0; i < DRAWS; i++)
	{
		TrSearchDraw d = draw(i);
		double		x = tr_search_number(&d, "batch", &range);

		inside = inside && x >= 3 && x <= 6 && x == floor(x);
		seen[(int) fmin(fmax(x, 0), 9)]++;
	}
	CHECK(inside, "whole numbers of the range");
	for (int x = 3; x <= 6; x++)
		CHECK_NEAR((double) seen[x] / DRAWS, 0.25, 0.02, "both ends and all between are as likely: %d", x);
}

/* Share of draws below the middle of the scale. */
static double
below(TrSearchRange range, double middle, bool *inside)
{
	int			count = 0;

	for (int i = 0; i < DRAWS; i++)
	{
		TrSearchDraw d = draw(i);
		double		x = tr_search_number(&d, "learning_rate", &range);

		*inside = *inside && x >= range.min && x <= range.max;
		count += x < middle;
	}
	return (double) count / DRAWS;
}

static void
check_scales(void)
{
	bool		inside = true;
	TrSearchDraw d = draw(1);

	CHECK_NEAR(below((TrSearchRange) {.min = -2, .max = 4}, 1, &inside), 0.5, 0.02, "linear: half below the mean");
	CHECK_NEAR(below((TrSearchRange) {.min = 1e-4, .max = 1, .log = true}, 1e-2, &inside), 0.5, 0.02,
			   "log: half below the geometric mean");
	CHECK_NEAR(below((TrSearchRange) {.min = 1, .max = 1023, .log = true, .whole = true}, 32, &inside), 0.5, 0.02,
			   "log of whole numbers");
	below((TrSearchRange) {.min = 0.99999991, .max = 0.99999993}, 1, &inside);
	CHECK(inside, "no draw leaves its range, rounded or not");
	CHECK(tr_search_number(&d, "x", &(TrSearchRange) {.min = 0.3, .max = 0.3}) == 0.3, "a range of one number");
}

static void
check_repeatable(void)
{
	TrSearchDraw a = draw(3);
	TrSearchDraw b = draw(3);
	double		x = tr_search_uniform(&a, "keep");

	CHECK(x == tr_search_uniform(&b, "keep"), "the same draw again");
	b.attempt = 1;
	CHECK(x != tr_search_uniform(&b, "keep"), "another attempt");
	CHECK(x != tr_search_uniform(&a, "keeq"), "another option");
	a.trial = 4;
	CHECK(x != tr_search_uniform(&a, "keep"), "another trial");
	a = draw(3);
	a.seed = 8;
	CHECK(x != tr_search_uniform(&a, "keep"), "another seed");
}

static void
check_choices(void)
{
	int			seen[3] = {0};

	for (int i = 0; i < DRAWS; i++)
	{
		TrSearchDraw d = draw(i);

		seen[tr_search_choice(&d, "layers", 3)]++;
	}
	for (int c = 0; c < 3; c++)
		CHECK_NEAR((double) seen[c] / DRAWS, 1.0 / 3, 0.02, "choice %d", c);
}

int
main(void)
{
	check_whole();
	check_scales();
	check_repeatable();
	check_choices();
	return check_done();
}
