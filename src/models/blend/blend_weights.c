/*
 * How far the scores of a member spread, user by user. See blend.h. Legend: N items, B users of a block.
 */
#include <math.h>
#include <string.h>

#include "models/blend/blend_choose.h"
#include "models/blend/blend_scores.h"

/* Users whose tags alone are encoded, to learn how far such scores spread. */
#define MOST_ENCODED 512

/* A spread this small beside the numbers themselves is what rounding leaves of none. */
#define ROUNDING 1e-6

/* The standard deviation of x (n); 0 when all are the same up to rounding */
static double
deviation_of(const float *x, int32_t n)
{
	double		mean = 0;
	double		squares = 0;

	for (int32_t i = 0; i < n; i++)
		mean += x[i];
	mean /= n;
	for (int32_t i = 0; i < n; i++)
		squares += (x[i] - mean) * (x[i] - mean);
	return sqrt(squares / n) > ROUNDING * fabs(mean) ? sqrt(squares / n) : 0;
}

/* Scores of all users for all items, up to which each user's are all looked at */
#define MOST_SCORES 2e9

static bool
is_large(const TrDataset *d)
{
	return (double) d->n_users * d->n_items > MOST_SCORES;
}

typedef struct Typical
{
	double		total;
	int32_t		count;
} Typical;

/* deviation of n users; lists (NULL = none) get the best items of theirs */
static TrStatus
measure_some(BlendScorer *s, BlendLists *lists, const int32_t *user, int n, Typical *typical, const TrPoll *poll,
			 TrError *err)
{
	TR_TRY(blend_score_users(s, user, n, poll, err));
	for (int u = 0; u < n; u++)
	{
		float	   *score = s->host_scores + (size_t) u * (size_t) s->columns;
		double		deviation = deviation_of(score, s->columns);

		s->member->deviation[user[u]] = (float) deviation;
		typical->total += deviation;
		typical->count += deviation > 0;
		blend_lists_offer(lists, user[u], score);
	}
	return TR_OK;
}

/* deviation (U), typical = their mean over the users that have one */
static TrStatus
measure_users(BlendScorer *s, BlendLists *lists, const TrPoll *poll, TrError *err)
{
	int32_t		users = s->blend->model.dataset->n_users;
	int32_t		user[BLEND_BLOCK];
	Typical		typical = {0};
	int			rows = blend_scorer_rows(s);

	for (int32_t first = 0; first < users; first += rows)
	{
		int			n = users - first < rows ? users - first : rows;

		if (tr_poll_at(poll, "users", first, users))
			return TR_CANCELLED;
		for (int u = 0; u < n; u++)
			user[u] = first + u;
		TR_TRY(measure_some(s, lists, user, n, &typical, poll, err));
	}
	s->member->typical = typical.count > 0 ? (float) (typical.total / typical.count) : 0;
	return TR_OK;
}

/* The lists' users alone, by all items; lists NULL = none */
static TrStatus
fill_lists(BlendScorer *s, BlendLists *lists, const TrPoll *poll, TrError *err)
{
	Typical		typical = {0};
	int			rows = blend_scorer_rows(s);

	for (int32_t first = 0; lists && first < lists->users; first += rows)
	{
		int			n = lists->users - first < rows ? lists->users - first : rows;

		if (tr_poll_at(poll, "users", first, lists->users))
			return TR_CANCELLED;
		TR_TRY(measure_some(s, lists, lists->user + first, n, &typical, poll, err));
	}
	return TR_OK;
}

/* Of large data the deviations are those of the scores of a sample of the items, with tags alone as well. */
static TrStatus
measure_member(BlendScorer *s, BlendLists *lists, const TrPoll *poll, TrError *err)
{
	if (!is_large(s->blend->model.dataset))
		return measure_users(s, lists, poll, err);
	TR_TRY(fill_lists(s, lists, poll, err));
	TR_TRY(blend_scorer_sample(s, err));
	return measure_users(s, NULL, poll, err);
}

/* encoded = mean deviation of users by their tags alone, over some users */
static TrStatus
measure_profiles(BlendScorer *s, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	int32_t		step = (d->n_users + MOST_ENCODED - 1) / MOST_ENCODED;
	double		total = 0;
	int32_t		count = 0;

	s->member->encoded = 0;
	if (!s->member->algorithm->encode && !s->member->algorithm->encode_features)
		return TR_OK;
	for (int32_t u = 0; u < d->n_users; u += step)
	{
		TrProfiles	profile = {.rows = 1, .ptr = d->user.entry_ptr + u, .tag = d->user.tag, .count = d->user.count};
		double		deviation;

		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(blend_score_profiles(s, &profile, err));
		deviation = deviation_of(s->host_scores, s->columns);
		total += deviation;
		count += deviation > 0;
	}
	s->member->encoded = count > 0 ? (float) (total / count) : 0;
	return TR_OK;
}

TrStatus
blend_measure(Blend *m, BlendLists *lists, const TrPoll *poll, TrError *err)
{
	TrStatus	status = TR_OK;

	for (int i = 0; status == TR_OK && i < m->n_members; i++)
	{
		BlendScorer s;

		if (!m->member[i].model)
			continue;
		status = blend_scorer_open(&s, m, &m->member[i], poll, err);
		if (status == TR_OK)
			status = measure_member(&s, lists, poll, err);
		if (status == TR_OK)
			status = measure_profiles(&s, poll, err);
		blend_scorer_close(&s);
	}
	return status;
}
