/*
 * Options chosen on held-out pairs. See choice.h. Of some of the users, their items and tags are all there are: a closed
 * form takes its time by these, and would say nothing of others. Legend: P pairs, H users with a held-out pair.
 */
#include "models/choice.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/validation.h"

/* Pairs taken at most; one in so many of them is held out, for so many users at most. */
#define MOST_PAIRS 500000
#define ONE_IN 8
#define MOST_USERS 2000

/* Fewer users tell nothing. */
#define FEWEST_USERS 20

#define LIST_LENGTH 20

/* Standard errors that another choice than the first has to be better by. */
#define DOUBT 0.5

/* Items, or tags, of the part by those of the model's dataset */
typedef struct Numbers
{
	int32_t    *of;				/* -1 = it has none */
	int32_t		count;
} Numbers;

typedef struct Chooser
{
	TrModel		work;			/* whose memory is for as long as it takes */
	const TrModel *model;
	const TrChoice *choice;
	TrDataset	part;
	TrPairs		held_out;
	Numbers		items;
	Numbers		tags;
	int32_t		users;			/* H */
	double	   *value;			/* (H) of the options in question */
	double	   *best;			/* (H) of the best so far */
	int32_t		measured;
} Chooser;

size_t
tr_choice_bytes(const TrShape *shape)
{
	double		share = fmin(1, MOST_PAIRS / fmax(shape->n_posts, 1));

	/* rows as they are collected and sorted, and the dataset that is made of them */
	return (size_t) (share * (60.0 * (double) shape->n_assignments + 60.0 * shape->n_posts + 32.0 * shape->n_users)
					 + 28.0 * shape->n_items + 4.0 * shape->n_tags);
}

/* ------------------------------------------------------------------ the parts */

/* Share of the users whose pairs are taken */
static double
share_of_users(const TrDataset *d, int32_t most_users)
{
	double		share = most_users > 0 ? fmin(1, (double) most_users / d->n_users) : 1;

	return fmin(share, (double) MOST_PAIRS / d->n_posts);
}

double
tr_choice_share(const TrDataset *d, int32_t most_users)
{
	return share_of_users(d, most_users) * (ONE_IN - 1) / ONE_IN;
}

static bool
is_taken(const Chooser *c, int32_t user)
{
	return tr_uniform(c->choice->seed, TR_STREAM_CHOICE, 0, (uint64_t) user)
		< share_of_users(c->model->dataset, c->choice->most_users);
}

static bool
is_held_out(const Chooser *c, int32_t post)
{
	return tr_random(c->choice->seed, TR_STREAM_CHOICE, 1, (uint64_t) post) % ONE_IN == 0;
}

static bool
is_sample(const Chooser *c)
{
	return share_of_users(c->model->dataset, c->choice->most_users) < 1;
}

/* Of n; of a sample, those that are asked for get numbers. */
static void
start_numbers(Chooser *c, Numbers *numbers, int32_t n)
{
	numbers->of = TR_NEW(&c->work, int32_t, n);
	numbers->count = is_sample(c) ? 0 : n;
	for (int32_t i = 0; numbers->of && i < n; i++)
		numbers->of[i] = is_sample(c) ? -1 : i;
}

static int32_t
number_of(Numbers *numbers, int32_t key)
{
	if (numbers->of[key] < 0)
		numbers->of[key] = numbers->count++;
	return numbers->of[key];
}

static TrStatus
add_post(Chooser *c, TrAssignments *to, int32_t post, int32_t user)
{
	const TrDataset *d = c->model->dataset;
	TrAssignment row = {.user = user, .item = number_of(&c->items, d->post_item[post]), .tag = TR_NO_TAG};

	if (d->post_value)
		row.value = d->post_value[post];
	if (d->post_time)
		row.time = d->post_time[post];
	if (d->post_ptr[post] == d->post_ptr[post + 1])
		return tr_assignments_add_row(to, &row);
	for (int64_t t = d->post_ptr[post]; t < d->post_ptr[post + 1]; t++)
	{
		row.tag = number_of(&c->tags, d->post_tag[t]);
		TR_TRY(tr_assignments_add_row(to, &row));
	}
	return TR_OK;
}

/* The user's pairs: the first one stays, so that something is known of everybody. */
static TrStatus
split_user(Chooser *c, TrAssignments *to, int32_t from, int32_t user)
{
	const TrDataset *d = c->model->dataset;
	int32_t		first = d->user_ptr[from];
	int32_t		before = c->held_out.count;

	for (int32_t p = first; p < d->user_ptr[from + 1]; p++)
	{
		if (p == first || !is_held_out(c, p))
			TR_TRY(add_post(c, to, p, user));
		else if (c->users < MOST_USERS)
		{
			c->held_out.user[c->held_out.count] = user;
			c->held_out.item[c->held_out.count++] = d->post_item[p];
		}
	}
	c->users += c->held_out.count > before;
	return TR_OK;
}

/* The held-out pairs by the part's numbers, without those of items that it has not */
static void
number_held_out(Chooser *c)
{
	TrPairs    *pairs = &c->held_out;
	int32_t		n = 0;

	c->users = 0;
	for (int32_t p = 0; p < pairs->count; p++)
	{
		if (c->items.of[pairs->item[p]] < 0)
			continue;
		c->users += n == 0 || pairs->user[n - 1] != pairs->user[p];
		pairs->user[n] = pairs->user[p];
		pairs->item[n++] = c->items.of[pairs->item[p]];
	}
	pairs->count = n;
}

static TrStatus
split(Chooser *c, TrError *err)
{
	const TrDataset *d = c->model->dataset;
	TrAssignments a;
	int32_t		users = 0;
	TrStatus	status = TR_OK;

	c->held_out.user = TR_NEW(&c->work, int32_t, d->n_posts);
	c->held_out.item = TR_NEW(&c->work, int32_t, d->n_posts);
	start_numbers(c, &c->items, d->n_items);
	start_numbers(c, &c->tags, d->n_tags);
	c->value = TR_NEW(&c->work, double, MOST_USERS);
	c->best = TR_NEW(&c->work, double, MOST_USERS);
	TR_TRY(tr_enough_memory(&c->work, err, "the pairs to choose options by"));
	tr_assignments_init(&a, c->work.memory);
	tr_assignments_set_columns(&a, (d->post_value ? TR_COLUMN_VALUE : 0) | (d->post_time ? TR_COLUMN_TIME : 0), TR_MERGE_LAST);
	for (int32_t u = 0; status == TR_OK && u < d->n_users; u++)
		if (is_taken(c, u))
			status = split_user(c, &a, u, users++);
	if (status == TR_OK)
		status = tr_assignments_distinct(&a, err);
	number_held_out(c);
	if (status == TR_OK && users > 0)
		status = tr_dataset_build(&c->part, &a, users, c->items.count, c->tags.count, err);
	return status == TR_NO_MEMORY ? tr_fail(err, TR_NO_MEMORY, "out of memory for the pairs to choose options by") : status;
}

/* ------------------------------------------------------------------ measurements */

static void
add_value(void *argument, int32_t user, int32_t *rank, int32_t n)
{
	Chooser    *c = argument;

	(void) user;
	c->value[c->measured++] = tr_metric(TR_METRIC_NDCG, LIST_LENGTH, rank, n);
}

/* value (H) of a training with these options */
static TrStatus
try_options(Chooser *c, const void *options, const TrPoll *poll, TrError *err)
{
	const TrAlgorithm *algorithm = c->model->algorithm;
	TrRanking	ranking = {.dataset = &c->part, .held_out = &c->held_out};
	TrModel    *model;
	TrStatus	status;

	TR_TRY(tr_model_create_polled(&model, algorithm, c->work.memory, c->model->backend, &c->part, options, poll, err));
	model->epochs = c->choice->epochs;
	status = TR_OK;
	for (int epoch = 1; status == TR_OK && epoch <= model->epochs; epoch++)
	{
		TrEpochStats stats = {0};

		status = tr_poll(poll) ? TR_CANCELLED : algorithm->train_epoch(model, epoch, poll, &stats, err);
	}
	c->measured = 0;
	if (status == TR_OK)
		status = tr_rank(model, &ranking, add_value, c, poll, err);
	tr_model_destroy(model);
	return status;
}

/* Are the values better than the best so far, beyond the margin and so many standard errors of the mean difference? */
static bool
is_better(const Chooser *c, double errors, double margin)
{
	double		sum = 0;
	double		squares = 0;
	double		before = 0;
	double		n = c->measured;

	for (int32_t u = 0; u < c->measured; u++)
	{
		double		difference = c->value[u] - c->best[u];

		sum += difference;
		squares += difference * difference;
		before += c->best[u];
	}
	return sum > margin * before && sum / n > errors * sqrt(fmax(squares / n - sum / n * (sum / n), 0) / n);
}

/* What is given may make the same of several. */
static bool
is_worth(const Chooser *c, int best, int i)
{
	const TrChoice *choice = c->choice;

	if (memcmp(choice->options[i], choice->options[best], c->model->algorithm->options->size) == 0)
		return false;
	return !choice->worth || choice->worth(best, i);
}

static TrStatus
try_all(Chooser *c, int *best, const TrPoll *poll, TrError *err)
{
	for (int i = 0; i < c->choice->n; i++)
	{
		if (i > 0 && !is_worth(c, *best, i))
			continue;
		TR_TRY(try_options(c, c->choice->options[i], poll, err));
		if (i > 0 && !is_better(c, *best == 0 ? DOUBT : 0, *best == 0 ? c->choice->margin : 0))
			continue;
		*best = i;
		memcpy(c->best, c->value, (size_t) c->measured * sizeof(double));
	}
	return TR_OK;
}

TrStatus
tr_choose(int *best, const TrModel *model, const TrChoice *choice, const TrPoll *poll, TrError *err)
{
	Chooser		c = {.model = model, .choice = choice};
	TrStatus	status;

	*best = 0;
	tr_start_work(&c.work, model);
	status = split(&c, err);
	if (status == TR_OK && c.users >= FEWEST_USERS && choice->n > 1)
		status = try_all(&c, best, poll, err);
	tr_end_work(&c.work);
	return status;
}
