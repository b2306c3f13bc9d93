/*
 * How weights are chosen. What a blend puts on top of a user's list is, but for rare cases, on top of some member's: so the
 * lists of the members, scored by all of them, tell the metric of any weights, without the other items.
 *
 * A ranking metric jumps, and what is fitted to it is fitted to the few users there are. So the weights are those that make
 * the held-out items likely: with p the softmax over a user's list of the blend's scores,
 *
 *     maximise sum over users of the mean of ln p over the held-out items there - sum over members of penalty_m w_m, w >= 0
 *
 * which is concave, by Newton steps. The penalty is the standard error of the gradient: what helps no more than chance gets
 * no weight. Only the ratios of w count for the ranking. The weights are kept unless the best member by itself ranks better
 * by more than the standard error, where both are fitted to four fifths of the users and measured on the others, five
 * times; then it gets half of the weight, or all of it where that ranks clearly better still.
 *
 * Legend: H users, M members, K items of a member.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics.h"
#include "models/blend/blend_choose.h"
#include "models/blend/blend_scores.h"

#define MOST_USERS 2000
#define FEWEST_ITEMS 100		/* K; more for longer lists */
#define PARTS 5

/* A member that gets less than this does not pay for its place. */
#define LEAST_WEIGHT 0.02

/* ------------------------------------------------------------------ lists */

static int32_t
list_length(const Blend *m)
{
	int64_t		k = 2 * (int64_t) m->options.metric_k;

	return (int32_t) fmin(k > FEWEST_ITEMS ? k : FEWEST_ITEMS, m->n_items);
}

/* user, first_pair, n_pairs: every step-th user of the held-out pairs, so that there are not too many */
static void
take_users(BlendLists *l)
{
	const TrPairs *p = l->pairs;
	int32_t		all = 0;
	int32_t		step;
	int32_t		at = -1;

	for (int32_t i = 0; i < p->count; i++)
		all += i == 0 || p->user[i] != p->user[i - 1];
	step = (all + MOST_USERS - 1) / MOST_USERS;
	for (int32_t i = 0, end; i < p->count; i = end)
	{
		for (end = i + 1; end < p->count && p->user[end] == p->user[i];)
			end++;
		if (++at % step != 0)
			continue;
		l->user[l->users] = p->user[i];
		l->first_pair[l->users] = i;
		l->n_pairs[l->users++] = end - i;
	}
}

/* Room for K items of every member */
static TrStatus
make_room(BlendLists *l, TrError *err)
{
	int32_t		K = list_length(l->blend);
	int64_t		longest = 0;
	int32_t		most = 0;

	for (int32_t u = 0; u < l->users; u++)
	{
		int64_t		n = (int64_t) K * l->blend->n_members;

		l->ptr[u + 1] = l->ptr[u] + n;
		longest = n > longest ? n : longest;
		most = l->n_pairs[u] > most ? l->n_pairs[u] : most;
	}
	l->item = TR_NEW(&l->work, int32_t, l->ptr[l->users]);
	l->relevant = TR_NEW(&l->work, bool, l->ptr[l->users]);
	for (int i = 0; i < l->blend->n_members; i++)
		l->score[i] = TR_NEW(&l->work, float, l->ptr[l->users]);
	l->best = TR_NEW(&l->work, TrScored, K);
	l->sum = TR_NEW(&l->work, float, longest);
	l->rank = TR_NEW(&l->work, int32_t, most);
	return tr_enough_memory(&l->work, err, "the lists of %d users", l->users);
}

TrStatus
blend_lists_open(BlendLists *l, Blend *m, TrError *err)
{
	*l = (BlendLists) {.blend = m, .pairs = m->held_out};
	tr_start_work(&l->work, &m->model);
	l->user = TR_NEW(&l->work, int32_t, MOST_USERS);
	l->first_pair = TR_NEW(&l->work, int32_t, MOST_USERS);
	l->n_pairs = TR_NEW(&l->work, int32_t, MOST_USERS);
	l->n = TR_NEW(&l->work, int32_t, MOST_USERS);
	l->ptr = TR_NEW(&l->work, int64_t, MOST_USERS);
	TR_TRY(tr_enough_memory(&l->work, err, "the users to choose weights by"));
	take_users(l);
	TR_TRY(make_room(l, err));
	return TR_OK;
}

void
blend_lists_close(BlendLists *l)
{
	tr_end_work(&l->work);
}

void
blend_lists_offer(BlendLists *l, int32_t user, float *score)
{
	const TrDataset *d;
	TrTopN		top;

	if (!l)
		return;
	if (user <= l->user[0])
		l->next = 0;
	if (l->next == l->users || l->user[l->next] != user)
		return;
	d = l->blend->model.dataset;
	if (!l->pairs->with_seen)
		for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
			score[d->post_item[p]] = NAN;
	tr_topn_init(&top, l->best, list_length(l->blend));
	tr_topn_scan(&top, score, 0, d->n_items, NULL);
	for (int32_t i = 0; i < top.count; i++)
		l->item[l->ptr[l->next] + l->n[l->next]++] = top.best[i].index;
	l->next++;
}

/* The user's list ascends, without repetitions; relevant says which of it was held out. */
static void
order_list(BlendLists *l, int32_t u)
{
	int32_t    *item = l->item + l->ptr[u];
	const int32_t *held = l->pairs->item + l->first_pair[u];
	int32_t		n = 0;

	tr_sort_ints(item, (size_t) l->n[u]);
	for (int32_t i = 0; i < l->n[u]; i++)
		if (n == 0 || item[n - 1] != item[i])
			item[n++] = item[i];
	l->n[u] = n;
	for (int32_t i = 0; i < n; i++)
		for (int32_t p = 0; p < l->n_pairs[u]; p++)
			l->relevant[l->ptr[u] + i] |= held[p] == item[i];
}

/* score of one member for all lists */
static TrStatus
score_lists(BlendLists *l, int member, const TrPoll *poll, TrError *err)
{
	BlendMember *of = &l->blend->member[member];
	size_t		N = (size_t) l->blend->n_items;
	BlendScorer s;
	TrStatus	status = blend_scorer_open(&s, l->blend, of, poll, err);
	int			rows = blend_scorer_rows(&s);

	for (int32_t first = 0; status == TR_OK && first < l->users; first += rows)
	{
		int			n = l->users - first < rows ? l->users - first : rows;

		status = tr_poll(poll) ? TR_CANCELLED : blend_score_users(&s, l->user + first, n, poll, err);
		for (int32_t u = first; status == TR_OK && u < first + n; u++)
		{
			float		scale = blend_unit_scale(l->blend, of, l->user[u]);

			for (int64_t i = l->ptr[u]; i < l->ptr[u] + l->n[u]; i++)
				l->score[member][i] = s.host_scores[(size_t) (u - first) * N + (size_t) l->item[i]] * scale;
		}
	}
	blend_scorer_close(&s);
	return status;
}

/* ------------------------------------------------------------------ the metric of weights */

/* sum (n) = the blend's scores of the user's list */
static void
add_scores(const BlendLists *l, const double *weight, int32_t u)
{
	memset(l->sum, 0, (size_t) l->n[u] * sizeof(float));
	for (int m = 0; m < l->blend->n_members; m++)
		for (int32_t i = 0; weight[m] > 0 && i < l->n[u]; i++)
			l->sum[i] += (float) weight[m] * l->score[m][l->ptr[u] + i];
}

static double
value_of_user(const BlendLists *l, const double *weight, int32_t u)
{
	const BlendOptions *o = &l->blend->options;
	int32_t		relevant = 0;

	add_scores(l, weight, u);
	for (int32_t r = 0; r < l->n[u]; r++)
	{
		int32_t		ahead = 0;

		if (!l->relevant[l->ptr[u] + r])
			continue;
		for (int32_t i = 0; i < l->n[u]; i++)
			ahead += l->sum[i] > l->sum[r] || (l->sum[i] == l->sum[r] && i < r);
		l->rank[relevant++] = ahead + 1;
	}
	for (; relevant < l->n_pairs[u]; relevant++)
		l->rank[relevant] = TR_UNRANKED;
	return tr_metric((TrMetric) o->metric, o->metric_k, l->rank, relevant);
}

/* Mean over the users of all parts but `without`, or of the part `only`; -1 = none */
static double
value_of(const BlendLists *l, const double *weight, int without, int only)
{
	TrMean		mean = {0};

	for (int32_t u = 0; u < l->users; u++)
		if (u % PARTS != without && (only < 0 || u % PARTS == only))
			tr_mean_add(&mean, value_of_user(l, weight, u),
						tr_metric_weight((TrMetric) l->blend->options.metric, l->n_pairs[u]));
	return mean.count > 0 ? tr_mean_value(&mean) : 0;
}

/* ------------------------------------------------------------------ likelihood */

/* How the likelihood of some users changes with the weights. */
typedef struct Slope
{
	double		value;
	double		gradient[BLEND_MOST];
	double		curvature[BLEND_MOST][BLEND_MOST];	/* minus the second derivatives */
} Slope;

/* sum (n) = the softmax of the blend's scores of the user's list; returns the logarithm of what they were divided by */
static double
softmax(const BlendLists *l, const double *weight, int32_t u)
{
	double		total = 0;
	float		most = -INFINITY;

	add_scores(l, weight, u);
	for (int32_t i = 0; i < l->n[u]; i++)
		most = fmaxf(most, l->sum[i]);
	for (int32_t i = 0; i < l->n[u]; i++)
		total += l->sum[i] = expf(l->sum[i] - most);
	for (int32_t i = 0; i < l->n[u]; i++)
		l->sum[i] /= (float) total;
	return most + log(total);
}

/* The members' scores of one item of a list: of the blend, their sum by weight */
static double
item_scores(const BlendLists *l, const double *weight, int64_t at, double *score)
{
	double		sum = 0;

	for (int m = 0; m < l->blend->n_members; m++)
	{
		score[m] = l->score[m][at];
		sum += weight[m] * score[m];
	}
	return sum;
}

static int32_t
count_relevant(const BlendLists *l, int32_t u)
{
	int32_t		n = 0;

	for (int32_t i = 0; i < l->n[u]; i++)
		n += l->relevant[l->ptr[u] + i];
	return n;
}

static void
add_user(const BlendLists *l, const double *weight, int32_t u, Slope *s)
{
	int			M = l->blend->n_members;
	double		logarithm = softmax(l, weight, u);
	double		mean[BLEND_MOST] = {0};
	double		score[BLEND_MOST];
	double		share = 1.0 / count_relevant(l, u);

	for (int32_t i = 0; i < l->n[u]; i++)
	{
		double		blended = item_scores(l, weight, l->ptr[u] + i, score);

		for (int a = 0; a < M; a++)
		{
			mean[a] += l->sum[i] * score[a];
			for (int b = 0; b <= a; b++)
				s->curvature[a][b] += l->sum[i] * score[a] * score[b];
		}
		if (!l->relevant[l->ptr[u] + i])
			continue;
		s->value += share * (blended - logarithm);
		for (int a = 0; a < M; a++)
			s->gradient[a] += share * score[a];
	}
	for (int a = 0; a < M; a++)
	{
		s->gradient[a] -= mean[a];
		for (int b = 0; b <= a; b++)
			s->curvature[a][b] -= mean[a] * mean[b];
	}
}

/* Over the users of all parts but `without` */
static void
measure_slope(const BlendLists *l, const double *weight, int without, Slope *s)
{
	*s = (Slope) {0};
	for (int32_t u = 0; u < l->users; u++)
		if (u % PARTS != without && count_relevant(l, u) > 0)
			add_user(l, weight, u, s);
	for (int a = 0; a < BLEND_MOST; a++)
		for (int b = 0; b < a; b++)
			s->curvature[b][a] = s->curvature[a][b];
}

/* ------------------------------------------------------------------ the search */

/*
 * direction = the Newton step of one coordinate after the other, round by round, for the quadratic that s is at weight >= 0
 */
static void
descend(const Slope *s, const double *weight, const double *penalty, int M, double *direction)
{
	memset(direction, 0, BLEND_MOST * sizeof(double));
	for (int round = 0; round < 100; round++)
		for (int a = 0; a < M; a++)
		{
			double		slope = s->gradient[a] - penalty[a];

			if (!(s->curvature[a][a] > 0))
				continue;
			for (int b = 0; b < M; b++)
				slope -= s->curvature[a][b] * direction[b];
			direction[a] = fmax(direction[a] + slope / s->curvature[a][a], -weight[a]);
		}
}

static double
objective(const Slope *s, const double *weight, const double *penalty, int M)
{
	double		value = s->value;

	for (int a = 0; a < M; a++)
		value -= penalty[a] * weight[a];
	return value;
}

#define MOST_STEPS 20
#define MOST_HALVINGS 8

/* weight (M) += as much of the direction as makes the objective larger; false = none of it does by much */
static bool
advance(const BlendLists *l, double *weight, const double *direction, const double *penalty, int without, Slope *s)
{
	int			M = l->blend->n_members;
	double		before = objective(s, weight, penalty, M);
	double		share = 1;

	for (int halving = 0; halving < MOST_HALVINGS; halving++, share /= 2)
	{
		double		there[BLEND_MOST] = {0};
		double		gain;

		for (int a = 0; a < M; a++)
			there[a] = fmax(weight[a] + share * direction[a], 0);
		measure_slope(l, there, without, s);
		gain = objective(s, there, penalty, M) - before;
		if (!(gain > 0))
			continue;
		memcpy(weight, there, BLEND_MOST * sizeof(double));
		return gain > 1e-5 * fabs(before);
	}
	return false;
}

/* weight (M) that make the held-out items of all parts but `without` likely */
static TrStatus
fit(const BlendLists *l, double *weight, int without, const TrPoll *poll)
{
	int			M = l->blend->n_members;
	double		penalty[BLEND_MOST] = {0};
	double		direction[BLEND_MOST];
	Slope		slope;

	for (int a = 0; a < BLEND_MOST; a++)
		weight[a] = a < M ? 0.1 / M : 0;
	measure_slope(l, weight, without, &slope);
	for (int a = 0; a < M; a++)
		penalty[a] = sqrt(fmax(slope.curvature[a][a], 0));
	for (int step = 0; step < MOST_STEPS; step++)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		descend(&slope, weight, penalty, M, direction);
		if (!advance(l, weight, direction, penalty, without, &slope))
			break;
	}
	return TR_OK;
}

/* Of the members that the mask has, the one that by itself does best for all parts but `without`; -1 = there is none */
static int
best_of(const BlendLists *l, unsigned mask, int without)
{
	double		best = -1;
	int			best_member = -1;

	for (int i = 0; i < l->blend->n_members; i++)
	{
		double		weight[BLEND_MOST] = {0};
		double		value;

		if (!(mask >> i & 1))
			continue;
		weight[i] = 1;
		value = value_of(l, weight, without, -1);
		if (value > best)
			best_member = i;
		best = fmax(value, best);
	}
	return best_member;
}

/* alone (M) = all weight to the best member */
static void
best_alone(const BlendLists *l, double *alone, int without)
{
	memset(alone, 0, BLEND_MOST * sizeof(double));
	alone[best_of(l, ~0u, without)] = 1;
}

/* weight (M) adds up to 1; what has little of it has none; false = there is nothing to add up */
static bool
round_weights(double *weight, int n)
{
	double		sum = 0;
	double		rest = 0;

	for (int i = 0; i < n; i++)
		sum += weight[i];
	for (int i = 0; i < n; i++)
		rest += weight[i] = weight[i] < LEAST_WEIGHT * sum ? 0 : weight[i];
	for (int i = 0; rest > 0 && i < n; i++)
		weight[i] /= rest;
	return rest > 0;
}

/*
 * A little of the weight (M) goes to a member that reads tags, if none of these has any: it is what new users and items
 * get.
 */
static void
keep_reader(const BlendLists *l, double *weight)
{
	unsigned	readers = 0;
	int			best;

	for (int i = 0; i < l->blend->n_members; i++)
	{
		const TrAlgorithm *a = l->blend->member[i].algorithm;

		if (!a->encode && !a->encode_features)
			continue;
		if (weight[i] > 0)
			return;
		readers |= 1u << i;
	}
	best = best_of(l, readers, -1);
	for (int i = 0; best >= 0 && i < l->blend->n_members; i++)
		weight[i] = (1 - LEAST_WEIGHT) * weight[i] + (i == best ? LEAST_WEIGHT : 0);
}

/* Is the mean of these (PARTS) below 0 by more than its standard error? */
static bool
clearly_negative(const double *value)
{
	double		sum = 0;
	double		squares = 0;
	double		mean;

	for (int i = 0; i < PARTS; i++)
		sum += value[i];
	mean = sum / PARTS;
	for (int i = 0; i < PARTS; i++)
		squares += (value[i] - mean) * (value[i] - mean);
	return mean < -sqrt(squares / (PARTS - 1) / PARTS);
}

/* What may come of a search, from the first that is not clearly worse than the last */
enum
{
	FITTED,
	HALVED,						/* halfway from there to the best member alone */
	ALONE,
	RULES
};

/* weight (RULES, M) for all parts but `without` */
static TrStatus
apply_rules(const BlendLists *l, double weight[RULES][BLEND_MOST], int without, const TrPoll *poll)
{
	int			M = l->blend->n_members;

	TR_TRY(fit(l, weight[FITTED], without, poll));
	best_alone(l, weight[ALONE], without);
	if (!round_weights(weight[FITTED], M))
		memcpy(weight[FITTED], weight[ALONE], sizeof(weight[ALONE]));
	for (int i = 0; i < M; i++)
		weight[HALVED][i] = (weight[FITTED][i] + weight[ALONE][i]) / 2;
	return TR_OK;
}

/*
 * weight (M) = those fitted to all users; halved, or the best member alone, where that is clearly the better rule: the fit
 * is penalised already, and which member is best by itself is luck, too.
 */
static TrStatus
search(const BlendLists *l, double *weight, const TrPoll *poll)
{
	double		all[RULES][BLEND_MOST];
	double		gain[RULES][PARTS] = {{0}};
	int			rule = FITTED;

	for (int part = 0; part < PARTS; part++)
	{
		double		alone;

		TR_TRY(apply_rules(l, all, part, poll));
		alone = value_of(l, all[ALONE], -1, part);
		for (int r = FITTED; r < ALONE; r++)
			gain[r][part] = value_of(l, all[r], -1, part) - alone;
	}
	while (rule < ALONE && clearly_negative(gain[rule]))
		rule++;
	TR_TRY(apply_rules(l, all, -1, poll));
	memcpy(weight, all[rule], sizeof(all[rule]));
	keep_reader(l, weight);
	return TR_OK;
}

TrStatus
blend_lists_choose(BlendLists *l, double *weight, const TrPoll *poll, TrError *err)
{
	for (int32_t u = 0; u < l->users; u++)
		order_list(l, u);
	for (int i = 0; i < l->blend->n_members; i++)
		TR_TRY(score_lists(l, i, poll, err));
	return search(l, weight, poll);
}
