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

/* deviation (U), typical = their mean over the users that have one; lists (NULL = none) get the best items of theirs */
static TrStatus
measure_users(BlendScorer *s, BlendLists *lists, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	int32_t		user[BLEND_BLOCK];
	double		total = 0;
	int32_t		count = 0;

	for (int32_t first = 0; first < d->n_users; first += BLEND_BLOCK)
	{
		int			n = d->n_users - first < BLEND_BLOCK ? d->n_users - first : BLEND_BLOCK;

		if (tr_poll_at(poll, "users", first, d->n_users))
			return TR_CANCELLED;
		for (int u = 0; u < n; u++)
			user[u] = first + u;
		TR_TRY(blend_score_users(s, user, n, poll, err));
		for (int u = 0; u < n; u++)
		{
			float	   *score = s->host_scores + (size_t) u * (size_t) d->n_items;
			double		deviation = deviation_of(score, d->n_items);

			s->member->deviation[first + u] = (float) deviation;
			total += deviation;
			count += deviation > 0;
			blend_lists_offer(lists, first + u, score);
		}
	}
	s->member->typical = count > 0 ? (float) (total / count) : 0;
	return TR_OK;
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
		deviation = deviation_of(s->host_scores, d->n_items);
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
		status = blend_scorer_open(&s, m, &m->member[i], err);
		if (status == TR_OK)
			status = measure_users(&s, lists, poll, err);
		if (status == TR_OK)
			status = measure_profiles(&s, poll, err);
		blend_scorer_close(&s);
	}
	return status;
}
