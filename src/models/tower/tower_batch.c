/*
 * Which users, candidate items and pairs make up a step. Indices alone: the profiles themselves are put together by the
 * backend, from the same random numbers.
 *
 * A step with keep < 1 splits each user's posts at random: a post is part of the profile or a target, never both.
 * Candidate columns are the batch's distinct targets first, then whatever the kind of negatives adds.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/topn.h"
#include "models/nn/rows.h"
#include "models/tower/tower.h"

typedef struct Draw
{
	uint64_t	key;
	int32_t		post;
} Draw;

typedef struct TowerPlanner
{
	TowerBatch	batch;
	int32_t    *order;			/* (users or posts) of this epoch */
	int32_t		n_order;
	int32_t		next;
	int32_t    *column_of;		/* (items) column of an item in this batch, or -1 */
	double	   *cumulative;		/* (items) of the sampling probability; negatives uniform, popularity */
	int32_t    *chosen;			/* posts of one user, or of the batch */
	int32_t    *drawn;			/* (pairs, samples) columns; negatives each */
	int32_t    *drawn_by;		/* (items) the last pair whose negative the column is, from 1 */
	Draw	   *draws;			/* posts of one user */
} TowerPlanner;

static int32_t
item_users(const TrDataset *d, int32_t item)
{
	return d->item_ptr[item + 1] - d->item_ptr[item];
}

/* What had no chance yet is nobody's negative. */
static bool
is_new(const TrDataset *d, int32_t item)
{
	return d->new_items && tr_bit_test(d->new_items, item);
}

/* ------------------------------------------------------------------ the epoch's order */

void
tower_plan_epoch(Tower *t, int epoch)
{
	TowerPlanner *planner = t->planner;

	for (int32_t i = 0; i < planner->n_order; i++)
		planner->order[i] = i;
	tr_shuffle(planner->order, planner->n_order, t->options.seed, epoch);
	planner->next = 0;
}

/* ------------------------------------------------------------------ pairs */

/* Can this post be a target in this step? */
static bool
is_target(const Tower *t, uint64_t step, int32_t post)
{
	const TowerOptions *o = &t->options;

	return o->keep >= 1 || tr_uniform(o->seed, TR_STREAM_KEEP, step, (uint64_t) post) >= (float) o->keep;
}

/* Does any post of the user stay in the profile? */
static bool
has_profile(const Tower *t, uint64_t step, int32_t user)
{
	const TrDataset *d = t->dataset;

	if (t->options.keep >= 1)
		return true;
	for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
		if (tr_uniform(t->options.seed, TR_STREAM_KEEP, step, (uint64_t) p) < (float) t->options.keep)
			return true;
	return false;
}

static int32_t
column_for(TowerPlanner *planner, int32_t item)
{
	TowerBatch *batch = &planner->batch;

	if (planner->column_of[item] < 0)
	{
		planner->column_of[item] = batch->columns;
		batch->column[batch->columns++] = item;
	}
	return planner->column_of[item];
}

/* Appends a user row with these targets. */
static void
add_user(Tower *t, int32_t user, const int32_t *posts, int32_t n)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	const TrDataset *d = t->dataset;
	float		weight = (float) pow(n, -t->options.user_balance);

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		pair = batch->pairs++;
		int32_t		item = d->post_item[posts[i]];

		batch->pair_row[pair] = batch->users;
		batch->pair_column[pair] = column_for(planner, item);
		batch->pair_weight[pair] = weight;
		batch->pair_post[pair] = posts[i];
		batch->pair_without[pair] = item_users(d, item) > 1 ? posts[i] : -1;
		batch->pair_item[pair] = item;
	}
	batch->pair_weight_sum += (double) weight * n;
	batch->user[batch->users++] = user;
	batch->pair_ptr[batch->users] = batch->pairs;
}

static int
compare_draws(const void *a, const void *b)
{
	uint64_t	x = ((const Draw *) a)->key;
	uint64_t	y = ((const Draw *) b)->key;

	return (x > y) - (x < y);
}

/* Leaves a random `most` of the n posts, ascending. */
static void
thin_out(Tower *t, uint64_t step, int32_t *posts, int32_t n, int32_t most)
{
	Draw	   *draws = t->planner->draws;

	for (int32_t i = 0; i < n; i++)
	{
		draws[i].key = tr_random(t->options.seed, TR_STREAM_TARGET, step, (uint64_t) posts[i]);
		draws[i].post = posts[i];
	}
	qsort(draws, (size_t) n, sizeof(Draw), compare_draws);
	for (int32_t i = 0; i < most; i++)
		posts[i] = draws[i].post;
	tr_sort_ints(posts, (size_t) most);
}

/* The next `batch` users of the order, each with his targets. */
static void
plan_users(Tower *t, uint64_t step)
{
	TowerPlanner *planner = t->planner;
	const TrDataset *d = t->dataset;

	for (int i = 0; i < t->options.batch && planner->next < planner->n_order; i++)
	{
		int32_t		user = planner->order[planner->next++];
		int32_t		n = 0;

		if (!has_profile(t, step, user))
			continue;
		for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
			if (is_target(t, step, p))
				planner->chosen[n++] = p;
		if (n > t->options.max_targets)
		{
			thin_out(t, step, planner->chosen, n, t->options.max_targets);
			n = t->options.max_targets;
		}
		if (n > 0)
			add_user(t, user, planner->chosen, n);
	}
}

/* The next `batch` posts of the order, by user; a pair with negatives of its own is a row of its own. */
static void
plan_pairs(Tower *t, uint64_t step)
{
	TowerPlanner *planner = t->planner;
	const TrDataset *d = t->dataset;
	int32_t		n = 0;

	for (int i = 0; i < t->options.batch && planner->next < planner->n_order; i++)
	{
		int32_t		post = planner->order[planner->next++];

		if (is_target(t, step, post))
			planner->chosen[n++] = post;
	}
	tr_sort_ints(planner->chosen, (size_t) n);
	for (int32_t first = 0, end; first < n; first = end)
	{
		int32_t		user = d->post_user[planner->chosen[first]];

		for (end = first + 1; t->options.negatives != TOWER_EACH && end < n && d->post_user[planner->chosen[end]] == user;)
			end++;
		if (has_profile(t, step, user))
			add_user(t, user, planner->chosen + first, end - first);
	}
}

/* ------------------------------------------------------------------ candidates */

/* log of the probability that an item drawn with probability q is among n draws; never above 0 */
static float
log_inclusion(double q, double n)
{
	return (float) log(-expm1(n * log1p(-(q < 1 ? q : 1 - 1e-12))));
}

static double
sampling_probability(const TowerPlanner *planner, int32_t item)
{
	return planner->cumulative[item] - (item > 0 ? planner->cumulative[item - 1] : 0);
}

/* The smallest item whose cumulative probability exceeds x. */
static int32_t
draw_item(const double *cumulative, int32_t n, double x)
{
	int32_t		low = 0;
	int32_t		high = n - 1;

	while (low < high)
	{
		int32_t		middle = low + (high - low) / 2;

		if (cumulative[middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Adds the sample's items; a target that was not drawn is nobody's negative. */
static void
add_sample(Tower *t, uint64_t step)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	const TowerOptions *o = &t->options;

	for (int32_t c = 0; c < batch->targets; c++)
		batch->column_offset[c] = INFINITY;
	for (int s = 0; s < o->samples; s++)
	{
		double		x = (double) (tr_random(o->seed, TR_STREAM_NEGATIVE, step, (uint64_t) s) >> 11) / 9007199254740992.0;
		int32_t		item = draw_item(planner->cumulative, t->dataset->n_items, x);

		batch->column_offset[column_for(planner, item)] =
			o->logq ? log_inclusion(sampling_probability(planner, item), o->samples) : 0;
	}
}

/* May the item be a negative of the pair, which does not have it yet? */
static bool
is_negative(const Tower *t, int32_t pair, int32_t item)
{
	const TowerBatch *batch = &t->planner->batch;
	int32_t		column = t->planner->column_of[item];

	if (item == batch->pair_item[pair] || (column >= 0 && t->planner->drawn_by[column] == pair + 1))
		return false;
	return !t->options.mask_seen || tr_dataset_post(t->dataset, batch->user[batch->pair_row[pair]], item) < 0;
}

/* Draws that are no negatives are drawn again, so often at most: of few items there may be none. */
#define MOST_DRAWS 20

/* Each pair's own sample: all other columns are to be skipped in its row. */
static void
add_own_samples(Tower *t, uint64_t step)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	int64_t		samples = t->options.samples;
	uint64_t	items = (uint64_t) t->dataset->n_items;
	int32_t		n = 0;

	memset(planner->drawn_by, 0, (size_t) t->dataset->n_items * sizeof(int32_t));
	for (int32_t pair = 0; pair < batch->pairs; pair++)
		for (int64_t s = 0; s < samples; s++)
		{
			int32_t    *column = &planner->drawn[pair * samples + s];

			*column = -1;
			for (uint64_t draw = 0; *column < 0 && draw < MOST_DRAWS; draw++)
			{
				uint64_t	number = (uint64_t) (pair * samples + s) * MOST_DRAWS + draw;
				int32_t		item = (int32_t) tr_below(t->options.seed, TR_STREAM_NEGATIVE, step, number, items);

				if (is_negative(t, pair, item))
					planner->drawn_by[*column = column_for(planner, item)] = pair + 1;
			}
		}
	for (int32_t pair = 0; pair < batch->pairs; pair++)
	{
		for (int64_t s = 0; s < samples; s++)
			if (planner->drawn[pair * samples + s] >= 0)
				planner->drawn_by[planner->drawn[pair * samples + s]] = -pair - 1;
		batch->skip_ptr[pair] = n;
		for (int32_t c = 0; c < batch->columns; c++)
			if (planner->drawn_by[c] != -pair - 1)
				batch->skip_column[n++] = c;
	}
	batch->skip_ptr[batch->pairs] = n;
	for (int32_t c = 0; c < batch->columns; c++)
		batch->column_offset[c] = t->options.logq ? log_inclusion(1.0 / (double) items, (double) samples) : 0;
}

static void
add_candidates(Tower *t, uint64_t step)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	const TrDataset *d = t->dataset;

	batch->targets = batch->columns;
	switch ((TowerNegatives) t->options.negatives)
	{
		case TOWER_FULL:
			for (int32_t item = 0; item < d->n_items; item++)
				if (!is_new(d, item))
					batch->column_offset[column_for(planner, item)] = 0;
			break;
		case TOWER_IN_BATCH:
			for (int32_t c = 0; c < batch->columns; c++)
				batch->column_offset[c] = t->options.logq
					? log_inclusion((double) item_users(d, batch->column[c]) / d->n_posts, batch->pairs) : 0;
			break;
		case TOWER_UNIFORM:
		case TOWER_POPULAR:
			add_sample(t, step);
			break;
		case TOWER_EACH:
			add_own_samples(t, step);
			break;
	}
	for (int32_t c = 0; c < batch->columns; c++)
		batch->item_feature[c] = log1pf((float) item_users(d, batch->column[c]));
	for (int32_t pair = 0; pair < batch->pairs; pair++)
		batch->item_feature[batch->columns + pair] = log1pf((float) (item_users(d, batch->pair_item[pair]) - 1));
}

/* With mask_seen: the columns of the row's user's other items, ascending. */
static void
mask_seen(Tower *t)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	const TrDataset *d = t->dataset;
	int32_t		n = 0;

	batch->skip_ptr[0] = 0;
	for (int32_t u = 0; u < batch->users; u++)
	{
		int32_t		first = n;
		int32_t		pair = batch->pair_ptr[u];

		for (int32_t p = d->user_ptr[batch->user[u]]; p < d->user_ptr[batch->user[u] + 1]; p++)
		{
			bool		is_pair = pair < batch->pair_ptr[u + 1] && batch->pair_post[pair] == p;
			int32_t		column = planner->column_of[d->post_item[p]];

			pair += is_pair;
			if (!is_pair && column >= 0)
				batch->skip_column[n++] = column;
		}
		tr_sort_ints(batch->skip_column + first, (size_t) (n - first));
		batch->skip_ptr[u + 1] = n;
	}
}

static int64_t
count_entries(const int64_t *entry_ptr, const int32_t *entity, int32_t n)
{
	int64_t		entries = 0;

	for (int32_t i = 0; i < n; i++)
		entries += entry_ptr[entity[i] + 1] - entry_ptr[entity[i]];
	return entries;
}

static void
count_multiplicity(TowerBatch *batch)
{
	memset(batch->multiplicity, 0, ((size_t) batch->users + batch->targets) * sizeof(float));
	for (int32_t pair = 0; pair < batch->pairs; pair++)
	{
		batch->multiplicity[batch->pair_row[pair]] += 1;
		batch->multiplicity[batch->users + batch->pair_column[pair]] += 1;
	}
}

bool
tower_plan_step(Tower *t, TowerBatch *result)
{
	TowerPlanner *planner = t->planner;
	TowerBatch *batch = &planner->batch;
	const TrDataset *d = t->dataset;

	if (planner->next >= planner->n_order)
		return false;
	for (int32_t c = 0; c < batch->columns; c++)
		planner->column_of[batch->column[c]] = -1;
	batch->users = batch->columns = batch->targets = batch->pairs = 0;
	batch->pair_weight_sum = 0;
	batch->pair_ptr[0] = 0;
	batch->step = (uint64_t) t->p.steps;
	if (t->options.batch_by == TOWER_BY_USERS)
		plan_users(t, batch->step);
	else
		plan_pairs(t, batch->step);
	if (batch->pairs > 0)
		add_candidates(t, batch->step);
	count_multiplicity(batch);
	if (t->options.mask_seen && t->options.negatives != TOWER_EACH)
		mask_seen(t);
	batch->entries[TOWER_USERS] = count_entries(d->user.entry_ptr, batch->user, batch->users);
	batch->entries[TOWER_CANDIDATES] = count_entries(t->item_entry_ptr, batch->column, batch->columns);
	batch->entries[TOWER_POSITIVES] = count_entries(t->item_entry_ptr, batch->pair_item, batch->pairs);
	*result = *batch;
	return true;
}

/* ------------------------------------------------------------------ life */

/* cumulative (items): the probability of drawing an item up to this one */
static void
fill_cumulative(const Tower *t, double *cumulative)
{
	const TrDataset *d = t->dataset;
	double		power = t->options.negatives == TOWER_POPULAR ? t->options.negatives_power : 0;
	double		sum = 0;

	for (int32_t i = 0; i < d->n_items; i++)
		cumulative[i] = sum += is_new(d, i) ? 0 : pow(item_users(d, i), power);
	for (int32_t i = 0; i < d->n_items; i++)
		cumulative[i] /= sum;
}

static int32_t
most_posts(const TrDataset *d)
{
	int32_t		most = 1;

	for (int32_t u = 0; u < d->n_users; u++)
		if (d->user_ptr[u + 1] - d->user_ptr[u] > most)
			most = d->user_ptr[u + 1] - d->user_ptr[u];
	return most;
}

/* Most pairs of a step: every array over pairs has this size. */
static int64_t
most_pairs(const Tower *t)
{
	const TrDataset *d = t->dataset;
	int64_t		pairs = t->options.batch;

	if (t->options.batch_by == TOWER_BY_USERS)
	{
		int32_t		most = most_posts(d);

		pairs *= most < t->options.max_targets ? most : t->options.max_targets;
	}
	return pairs < d->n_posts ? pairs : d->n_posts;
}

/* A row is a pair, whatever their users. */
static void
create_own_samples(Tower *t, size_t pairs)
{
	TowerPlanner *planner = t->planner;
	size_t		items = (size_t) t->dataset->n_items;
	size_t		columns = pairs * (1 + (size_t) t->options.samples);

	columns = columns < items ? columns : items;
	planner->drawn = TR_NEW(&t->model, int32_t, pairs * (size_t) t->options.samples);
	planner->drawn_by = TR_NEW(&t->model, int32_t, items);
	planner->batch.user = TR_NEW(&t->model, int32_t, pairs);
	planner->batch.pair_ptr = TR_NEW(&t->model, int32_t, pairs + 1);
	planner->batch.skip_ptr = TR_NEW(&t->model, int32_t, pairs + 1);
	planner->batch.skip_column = TR_NEW(&t->model, int32_t, pairs * columns);
	planner->batch.multiplicity = TR_NEW(&t->model, float, pairs + items);
}

TrStatus
tower_planner_create(Tower *t, TrError *err)
{
	TrModel    *model = &t->model;
	const TrDataset *d = t->dataset;
	TowerPlanner *planner = t->planner = TR_NEW(model, TowerPlanner, 1);
	size_t		pairs = (size_t) most_pairs(t) + 1;
	size_t		columns = (size_t) d->n_items + 1;
	size_t		users = (size_t) d->n_users + 1;
	size_t		most = (size_t) most_posts(d);

	TR_TRY(tr_enough_memory(model, err, "the batches"));
	planner->n_order = t->options.batch_by == TOWER_BY_USERS ? d->n_users : d->n_posts;
	planner->order = TR_NEW(model, int32_t, planner->n_order);
	planner->column_of = TR_NEW(model, int32_t, columns);
	planner->cumulative = TR_NEW(model, double, columns);
	planner->chosen = TR_NEW(model, int32_t, most > pairs ? most : pairs);
	planner->draws = TR_NEW(model, Draw, most);
	planner->batch = (TowerBatch) {
		.user = TR_NEW(model, int32_t, users), .column = TR_NEW(model, int32_t, columns),
		.column_offset = TR_NEW(model, float, columns), .pair_ptr = TR_NEW(model, int32_t, users),
		.pair_row = TR_NEW(model, int32_t, pairs), .pair_column = TR_NEW(model, int32_t, pairs),
		.pair_weight = TR_NEW(model, float, pairs), .pair_post = TR_NEW(model, int32_t, pairs),
		.pair_without = TR_NEW(model, int32_t, pairs), .pair_item = TR_NEW(model, int32_t, pairs),
		.item_feature = TR_NEW(model, float, columns + pairs), .skip_ptr = TR_NEW(model, int32_t, users),
		.skip_column = TR_NEW(model, int32_t, d->n_posts), .multiplicity = TR_NEW(model, float, users + columns)
	};
	if (t->options.negatives == TOWER_EACH)
		create_own_samples(t, pairs);
	TR_TRY(tr_enough_memory(model, err, "the batches"));
	for (int32_t i = 0; i < d->n_items; i++)
		planner->column_of[i] = -1;
	fill_cumulative(t, planner->cumulative);
	return TR_OK;
}
