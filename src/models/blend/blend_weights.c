/*
 * How far the scores of a member spread, user by user, and what weight it gets. See blend.h.
 * Legend: N items, B users of a block, W width of a member's arrays.
 */
#include <math.h>
#include <string.h>

#include "core/validation.h"
#include "models/blend/blend.h"

#define BLOCK_USERS 256

/* Users whose tags alone are encoded, to learn how far such scores spread; held-out users that weights are chosen by. */
#define MOST_ENCODED 512
#define MOST_CHOOSING 4096

/* A member's scores of some users for all items. */
typedef struct Scorer
{
	TrModel		work;			/* whose memory is for as long as it takes */
	const Blend *blend;
	BlendMember *member;
	float	   *items;			/* (N,W) backend memory */
	float	   *users;			/* (B,W) backend memory */
	float	   *scores;			/* (B,N) backend memory */
	float	   *host_users;		/* (B,W) */
	float	   *host_scores;	/* (B,N) */
} Scorer;

static TrStatus
embed_items(Scorer *s, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	TrBackend  *b = s->blend->model.backend;
	size_t		floats = (size_t) d->n_items * (size_t) s->member->width;
	float	   *host = TR_NEW(&s->work, float, floats);

	TR_TRY(tr_enough_memory(&s->work, err, "the embeddings of %d items", d->n_items));
	TR_TRY(s->member->algorithm->embed(s->member->model, TR_ITEM, d, 0, d->n_items, host, err));
	b->ops->upload(b, s->items, host, floats * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	tr_free(s->work.memory, host);
	return TR_OK;
}

static TrStatus
open_scorer(Scorer *s, TrError *err)
{
	TrModel    *work = &s->work;
	size_t		N = (size_t) s->blend->model.dataset->n_items;
	size_t		W = (size_t) s->member->width;

	tr_start_work(work, &s->blend->model);
	s->host_scores = TR_NEW(work, float, BLOCK_USERS * N);
	s->host_users = TR_NEW(work, float, BLOCK_USERS * W);
	if (W > 0)
	{
		s->items = tr_device_floats(work, N * W);
		s->users = tr_device_floats(work, BLOCK_USERS * W);
		s->scores = tr_device_floats(work, BLOCK_USERS * N);
	}
	TR_TRY(tr_enough_memory(work, err, "the scores of %d users", BLOCK_USERS));
	return W > 0 ? embed_items(s, err) : TR_OK;
}

/* host_scores (n,N) = host_users (n,W) items^T, or zeros */
static TrStatus
multiply(Scorer *s, int n, TrError *err)
{
	TrBackend  *b = s->blend->model.backend;
	int			N = s->blend->model.dataset->n_items;
	int			W = s->member->width;

	if (W == 0)
	{
		memset(s->host_scores, 0, (size_t) n * (size_t) N * sizeof(float));
		return TR_OK;
	}
	b->ops->upload(b, s->users, s->host_users, (size_t) n * (size_t) W * sizeof(float));
	b->ops->gemm(b, s->scores, N, s->users, W, false, s->items, W, true, n, N, W, 1, 0);
	b->ops->download(b, s->host_scores, s->scores, (size_t) n * (size_t) N * sizeof(float));
	return b->ops->finish(b, err);
}

static TrStatus
add_features(const Scorer *s, const TrSparse *features, float *score, TrError *err)
{
	for (int32_t f = 0; f < features->n; f++)
	{
		TrSparse	weights;

		TR_TRY(s->member->algorithm->feature_weights(s->member->model, features->index[f], &weights, err));
		for (int32_t i = 0; i < weights.n; i++)
			score[weights.index[i]] += features->value[f] * weights.value[i];
	}
	return TR_OK;
}

/* Scores of the users first..first+n-1, by all that the member knows of them */
static TrStatus
score_users(Scorer *s, int32_t first, int n, const TrPoll *poll, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	const TrDataset *d = s->blend->model.dataset;

	if (s->member->width > 0)
		TR_TRY(a->embed(s->member->model, TR_USER, d, first, n, s->host_users, err));
	TR_TRY(multiply(s, n, err));
	for (int u = 0; s->member->features && u < n; u++)
	{
		TrSparse	features;

		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(a->user_features(s->member->model, d, first + u, &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) u * (size_t) d->n_items, err));
	}
	return TR_OK;
}

/* Scores of users with these profiles of whom nothing else is known */
static TrStatus
score_profiles(Scorer *s, const TrProfiles *profiles, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	size_t		N = (size_t) s->blend->model.dataset->n_items;

	memset(s->host_users, 0, (size_t) profiles->rows * (size_t) s->member->width * sizeof(float));
	if (a->encode)
		TR_TRY(a->encode(s->member->model, TR_USER, profiles, s->host_users, err));
	TR_TRY(multiply(s, profiles->rows, err));
	for (int32_t r = 0; a->encode_features && r < profiles->rows; r++)
	{
		TrSparse	features;

		TR_TRY(a->encode_features(s->member->model, profiles, r, &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) r * N, err));
	}
	return TR_OK;
}

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

/* deviation (U), typical = their mean over the users that have one */
static TrStatus
measure_users(Scorer *s, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	double		total = 0;
	int32_t		count = 0;

	for (int32_t first = 0; first < d->n_users; first += BLOCK_USERS)
	{
		int			n = d->n_users - first < BLOCK_USERS ? d->n_users - first : BLOCK_USERS;

		if (tr_poll_at(poll, "users", first, d->n_users))
			return TR_CANCELLED;
		TR_TRY(score_users(s, first, n, poll, err));
		for (int u = 0; u < n; u++)
		{
			double		deviation = deviation_of(s->host_scores + (size_t) u * (size_t) d->n_items, d->n_items);

			s->member->deviation[first + u] = (float) deviation;
			total += deviation;
			count += deviation > 0;
		}
	}
	s->member->typical = count > 0 ? (float) (total / count) : 0;
	return TR_OK;
}

/* encoded = mean deviation of users by their tags alone, over some users */
static TrStatus
measure_profiles(Scorer *s, const TrPoll *poll, TrError *err)
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
		TR_TRY(score_profiles(s, &profile, err));
		deviation = deviation_of(s->host_scores, d->n_items);
		total += deviation;
		count += deviation > 0;
	}
	s->member->encoded = count > 0 ? (float) (total / count) : 0;
	return TR_OK;
}

TrStatus
blend_measure(Blend *m, const TrPoll *poll, TrError *err)
{
	TrStatus	status = TR_OK;

	for (int i = 0; status == TR_OK && i < m->n_members; i++)
	{
		Scorer		s = {.blend = m, .member = &m->member[i]};

		status = open_scorer(&s, err);
		if (status == TR_OK)
			status = measure_users(&s, poll, err);
		if (status == TR_OK)
			status = measure_profiles(&s, poll, err);
		tr_end_work(&s.work);
	}
	return status;
}

/* ------------------------------------------------------------------ weights */

/* The search for weights: a walk on the metric over some held-out users. */
typedef struct Search
{
	Blend	   *blend;
	TrPairs		pairs;
	double		best;
	const TrPoll *poll;
} Search;

/* pairs = the held-out pairs of every step-th user, so that there are not too many */
static TrStatus
take_users(Search *s, TrError *err)
{
	const TrPairs *from = s->blend->held_out;
	TrMemory   *memory = s->blend->model.memory;
	int32_t		users = 0;
	int32_t		step;

	s->pairs = *from;
	s->pairs.count = 0;
	s->pairs.user = tr_alloc(memory, (size_t) from->count * sizeof(int32_t) + 1);
	s->pairs.item = tr_alloc(memory, (size_t) from->count * sizeof(int32_t) + 1);
	if (!s->pairs.user || !s->pairs.item)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d held-out pairs", from->count);
	for (int32_t p = 0; p < from->count; p++)
		users += p == 0 || from->user[p] != from->user[p - 1];
	step = (users + MOST_CHOOSING - 1) / MOST_CHOOSING;
	users = -1;
	for (int32_t p = 0; p < from->count; p++)
	{
		users += p == 0 || from->user[p] != from->user[p - 1];
		if (users % step != 0)
			continue;
		s->pairs.user[s->pairs.count] = from->user[p];
		s->pairs.item[s->pairs.count++] = from->item[p];
	}
	return TR_OK;
}

static TrStatus
measure(Search *s, double *value, TrError *err)
{
	const BlendOptions *o = &s->blend->options;

	return tr_validate(&s->blend->model, s->blend->model.dataset, &s->pairs, (TrMetric) o->metric, o->metric_k, s->poll,
					   value, err);
}

/* Keeps the member's weight times factor if that is better; *gain says whether it is. */
static TrStatus
try_factor(Search *s, BlendMember *member, double factor, bool *gain, TrError *err)
{
	double		before = member->weight;
	double		value;

	member->weight *= factor;
	TR_TRY(measure(s, &value, err));
	*gain = value > s->best;
	if (*gain)
		s->best = value;
	else
		member->weight = before;
	return TR_OK;
}

/* As far as it gets better, at most this many steps. */
#define MOST_STEPS 6

static TrStatus
walk(Search *s, BlendMember *member, double factor, bool *moved, TrError *err)
{
	bool		gain = true;

	*moved = false;
	for (int step = 0; gain && step < MOST_STEPS; step++)
	{
		TR_TRY(try_factor(s, member, factor, &gain, err));
		*moved |= gain;
	}
	return TR_OK;
}

/* The first member's weight is the unit: the others' go up or down by factor while that helps. */
static TrStatus
climb(Search *s, double factor, TrError *err)
{
	bool		moved = true;

	for (int round = 0; moved && round < MOST_STEPS; round++)
	{
		bool		any = false;

		for (int i = 1; i < s->blend->n_members; i++)
		{
			TR_TRY(walk(s, &s->blend->member[i], factor, &moved, err));
			any |= moved;
			if (!moved)
				TR_TRY(walk(s, &s->blend->member[i], 1 / factor, &moved, err));
			any |= moved;
		}
		moved = any && s->blend->n_members > 2;
	}
	return TR_OK;
}

/* Does the blend do better without one of its members? One stays: no scores at all may be luckier than poor ones. */
static TrStatus
drop_useless(Search *s, TrError *err)
{
	int			left = s->blend->n_members;

	for (int i = 0; i < s->blend->n_members && left > 1; i++)
	{
		bool		gain;

		TR_TRY(try_factor(s, &s->blend->member[i], 0, &gain, err));
		left -= gain;
	}
	return TR_OK;
}

static TrStatus
search(Search *s, TrError *err)
{
	TR_TRY(take_users(s, err));
	TR_TRY(measure(s, &s->best, err));
	TR_TRY(climb(s, 2, err));
	TR_TRY(climb(s, sqrt(2), err));
	return drop_useless(s, err);
}

/* Weights add up to 1: those given, those that do best on the held-out pairs, or the same for all. */
TrStatus
blend_choose_weights(Blend *m, const TrPoll *poll, TrError *err)
{
	Search		s = {.blend = m, .poll = poll};
	double		weight[BLEND_MOST];
	double		sum = 0;
	bool		given;
	TrStatus	status = TR_OK;

	TR_TRY(blend_read_weights(weight, m->n_members, &m->options, &given, err));
	for (int i = 0; i < m->n_members; i++)
		m->member[i].weight = given ? weight[i] : 1;
	if (!given && m->held_out && m->n_members > 1)
		status = search(&s, err);
	tr_free(m->model.memory, s.pairs.user);
	tr_free(m->model.memory, s.pairs.item);
	for (int i = 0; i < m->n_members; i++)
		sum += m->member[i].weight;
	for (int i = 0; i < m->n_members; i++)
		m->member[i].weight /= sum;
	return status;
}
