/*
 * The sparse rows of a step, put together on the host: what is left of each post's tags, its user, its item; the targets;
 * the parts of the prior. They come to a few dozen numbers a post, next to the millions of operations behind them.
 *
 * What is drawn at random depends on the epoch and the post alone, not on the batch it falls into. Legend: see dae_ptr.h.
 */
#include <math.h>

#include "core/rng.h"
#include "models/dae_ptr/dae_ptr.h"

/* ------------------------------------------------------------------ profiles */

/* The logarithms of small whole counts, which nearly all are, stand in a table. */
static inline float
log_count(const Dae *m, float count)
{
	if (count < DAE_LOGS && count == (float) (int32_t) count)
		return m->log_count[(int32_t) count];
	return log1pf(count);
}

int32_t
dae_profile_row(const Dae *m, const TrSparse *counts, const uint8_t *read, int32_t first, int32_t *col, float *val)
{
	int32_t		n = 0;
	double		squares = 0;
	float		length;

	for (int32_t e = 0; e < counts->n; e++)
	{
		if (counts->value[e] <= 0 || !read[e])
			continue;
		col[n] = first + counts->index[e];
		val[n] = log_count(m, counts->value[e]);
		squares += (double) val[n] * val[n];
		n++;
	}
	length = (float) sqrt(squares);
	for (int32_t e = 0; e < n; e++)
		val[e] /= length;
	return n;
}

/* ------------------------------------------------------------------ posts */

static bool
reserve_post(Dae *m, int32_t n_tags)
{
	DaeBatch   *b = &m->batch;
	TrMemory   *memory = m->model.memory;

	return tr_rows_reserve(memory, &b->input, (int64_t) n_tags + 2 + m->known.user.n + m->known.item.n)
		&& tr_rows_reserve(memory, &b->targets, n_tags)
		&& tr_rows_reserve(memory, &b->part[DAE_USER_PART], m->known.user.n)
		&& tr_rows_reserve(memory, &b->part[DAE_ITEM_PART], m->known.item.n);
}

/* What the row's targets, so far 0 or 1, weigh when a post with many of them is not to count so often. */
static void
balance_targets(Dae *m)
{
	TrRows	   *targets = &m->batch.targets;
	float	   *val = targets->val + targets->ptr[targets->rows];
	int64_t		n = targets->ptr[targets->rows + 1] - targets->ptr[targets->rows];
	float		sum = 0;

	for (int64_t e = 0; e < n; e++)
		sum += val[e];
	for (int64_t e = 0; e < n && sum > 1; e++)
		val[e] *= (float) pow(sum, -m->options.post_balance);
}

/* Which of a post's tags are dropped: this one, or each with this probability. */
typedef struct Drop
{
	int32_t		only;			/* -1 = none */
	float		share;
} Drop;

static Drop
draw_drop(const Dae *m, int32_t post, int32_t n_tags)
{
	Drop		drop = {.only = -1, .share = (float) m->options.corruption};

	if (m->options.drop == DAE_DROP_RANDOM)
		drop.share = tr_uniform_of(m->keys.corruption, (uint64_t) post);
	else if (m->options.drop == DAE_DROP_ONE)
		drop = (Drop) {(int32_t) (tr_random_of(m->keys.corruption, (uint64_t) post) % (uint64_t) n_tags), 1.0f / (float) n_tags};
	return drop;
}

/* The post's tag t, which is this assignment */
static bool
is_dropped(const Dae *m, const Drop *drop, int32_t t, int64_t assignment)
{
	if (drop->only >= 0)
		return t == drop->only;
	return tr_uniform_of(m->keys.tag_dropout, (uint64_t) assignment) < drop->share;
}

/* The post's tags, in the input and among the targets; returns how many were dropped: m->dropped_at. */
static int32_t
add_tags(Dae *m, int32_t post)
{
	const DaeOptions *o = &m->options;
	DaeBatch   *b = &m->batch;
	int64_t		first = m->model.dataset->post_ptr[post];
	int32_t		n = (int32_t) (m->model.dataset->post_ptr[post + 1] - first);
	Drop		drop = draw_drop(m, post, n);
	float		value = o->rescale && drop.share < 1 ? 1 / (1 - drop.share) : 1;
	int32_t		n_dropped = 0;

	for (int32_t t = 0; t < n; t++)
	{
		int32_t		tag = m->model.dataset->post_tag[first + t];
		bool		dropped = is_dropped(m, &drop, t, first + t);

		if (dropped)
			m->dropped_at[n_dropped++] = t;
		else
			tr_rows_add(&b->input, tag, value);
		tr_rows_add(&b->targets, tag, dropped || o->targets == DAE_ALL_TAGS ? 1 : 0);
	}
	if (o->loss == DAE_SOFTMAX && o->post_balance > 0)
		balance_targets(m);
	return n_dropped;
}

static void
add_ids(Dae *m, int32_t post)
{
	TrRows	   *input = &m->batch.input;
	float		dropout = (float) m->options.id_dropout;
	uint64_t	draw = 2 * (uint64_t) post;

	if (tr_uniform_of(m->keys.id_dropout, draw) >= dropout)
		tr_rows_add(input, m->layout.users + m->model.dataset->post_user[post], 1);
	if (tr_uniform_of(m->keys.id_dropout, draw + 1) >= dropout)
		tr_rows_add(input, m->layout.items + m->model.dataset->post_item[post], 1);
}

static void
add_profile(Dae *m, const TrSparse *counts, const uint8_t *read, int32_t first)
{
	TrRows	   *input = &m->batch.input;
	int64_t    *end = &input->ptr[input->rows + 1];

	*end += dae_profile_row(m, counts, read, first, input->col + *end, input->val + *end);
}

static void
add_part(TrRows *part, const TrTagLogs *logs, const TrSparse *counts, float *extra)
{
	int64_t    *end = &part->ptr[part->rows + 1];

	*end += tr_tag_logs_part(logs, counts, extra, part->col + *end, part->val + *end);
}

/* Everything but the tags. */
static void
add_rest(Dae *m, int32_t post, int32_t n_dropped)
{
	DaeKnown   *k = &m->known;
	bool		similar = dae_has_neighbours(m);

	add_ids(m, post);
	if (m->options.profiles)
	{
		add_profile(m, &k->user, k->user_read, m->layout.user_profile);
		add_profile(m, &k->item, k->item_read, m->layout.item_profile);
	}
	if (m->layout.parts == 0)
		return;
	if (similar)
		dae_add_similar(m, post, n_dropped);
	add_part(&m->batch.part[DAE_USER_PART], &k->user_logs, &k->user, similar ? m->prior.extra : NULL);
	add_part(&m->batch.part[DAE_ITEM_PART], &k->item_logs, &k->item, NULL);
}

static TrStatus
add_post(Dae *m, int32_t post, TrError *err)
{
	DaeBatch   *b = &m->batch;
	int32_t		n_dropped;

	if (m->options.profiles || m->layout.parts > 0)
		dae_know(m, post);
	if (!reserve_post(m, (int32_t) (m->model.dataset->post_ptr[post + 1] - m->model.dataset->post_ptr[post])))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	tr_rows_start(&b->input);
	tr_rows_start(&b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		tr_rows_start(&b->part[j]);
	n_dropped = add_tags(m, post);
	if (n_dropped == 0 && m->options.targets == DAE_DROPPED_TAGS)
		return TR_OK;
	add_rest(m, post, n_dropped);
	b->rows++;
	b->input.rows = b->targets.rows = b->rows;
	for (int j = 0; j < DAE_PARTS; j++)
		b->part[j].rows = b->rows;
	return TR_OK;
}

/* ------------------------------------------------------------------ steps */

/* A mini-batch of 0 makes so many steps of an epoch, within these limits. */
#define STEPS 3000
#define LEAST_BATCH 256
#define MOST_BATCH 1024

void
dae_plan_epoch(Dae *m, int epoch)
{
	uint64_t	seed = m->options.seed;
	uint64_t	a = (uint64_t) epoch;
	int32_t		n = m->model.dataset->n_posts;

	m->keys = (DaeKeys) {
		.history = tr_random_key(seed, TR_STREAM_HISTORY, a), .corruption = tr_random_key(seed, TR_STREAM_CORRUPTION, a),
		.tag_dropout = tr_random_key(seed, TR_STREAM_TAG_DROPOUT, a),
		.id_dropout = tr_random_key(seed, TR_STREAM_ID_DROPOUT, a)
	};
	for (int32_t i = 0; i < n; i++)
		m->order[i] = i;
	tr_shuffle(m->order, n, seed, epoch);
	m->next = 0;
}

/*
 * The tags of the step's softmax, where it is not over all. They come before the posts are put together: of the prior's
 * parts only those of candidates are asked for.
 */
static void
sample_tags(Dae *m, const int32_t *posts, int32_t n)
{
	const TrDataset *d = m->model.dataset;

	tr_tag_sample_draw(&m->sample, m->options.seed, (uint64_t) m->p.steps);
	for (int32_t p = 0; p < n; p++)
	{
		int64_t		first = d->post_ptr[posts[p]];
		int32_t		n_tags = (int32_t) (d->post_ptr[posts[p] + 1] - first);
		Drop		drop = draw_drop(m, posts[p], n_tags);

		for (int32_t t = 0; t < n_tags; t++)
			if (m->options.targets == DAE_ALL_TAGS || is_dropped(m, &drop, t, first + t))
				tr_tag_sample_target(&m->sample, d->post_tag[first + t]);
	}
	tr_tag_sample_number(&m->sample);
}

int
dae_batch(const DaeOptions *o, double posts)
{
	return o->batch > 0 ? o->batch : (int) fmin(fmax(posts / STEPS, LEAST_BATCH), MOST_BATCH);
}

TrStatus
dae_plan_step(Dae *m, bool *more, TrError *err)
{
	DaeBatch   *b = &m->batch;
	int32_t		left = m->model.dataset->n_posts - m->next;
	int32_t		n = dae_batch(&m->options, m->model.dataset->n_posts);
	TrRows	   *input = &b->input;

	*more = left > 0;
	b->posts = n < left ? n : left;
	b->rows = 0;
	tr_rows_clear(&b->input);
	tr_rows_clear(&b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		tr_rows_clear(&b->part[j]);
	if (tr_tag_sampled(&m->sample))
		sample_tags(m, m->order + m->next, b->posts);
	for (int32_t i = 0; i < b->posts; i++)
		TR_TRY(add_post(m, m->order[m->next++], err));
	if (m->options.touched_rows)
		tr_touched_find(&b->touched, &input, 1);
	if (!tr_tag_sampled(&m->sample))
		return TR_OK;
	tr_tag_sample_renumber(&m->sample, &b->targets);
	for (int j = 0; j < m->layout.parts; j++)
		tr_tag_sample_renumber(&m->sample, &b->part[j]);
	return TR_OK;
}

/* ------------------------------------------------------------------ life */

TrStatus
dae_planner_create(Dae *m, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	DaeBatch   *b = &m->batch;
	int32_t		posts = m->model.dataset->n_posts;
	int32_t		batch = dae_batch(&m->options, posts);
	int32_t		most = batch < posts ? batch : posts;
	bool		touched = m->options.touched_rows;
	bool		done;

	m->order = TR_NEW(&m->model, int32_t, posts);
	m->dropped_at = TR_NEW(&m->model, int32_t, m->layout.T);
	done = m->order && m->dropped_at && tr_rows_init(memory, &b->input, most, touched)
		&& tr_rows_init(memory, &b->targets, most, false);
	for (int j = 0; j < DAE_PARTS; j++)
		done = done && tr_rows_init(memory, &b->part[j], most, false);
	if (!done || (touched && !tr_touched_init(memory, &b->touched, m->layout.rows)))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	if (m->options.loss == DAE_SOFTMAX && touched)
		TR_TRY(tr_tag_sample_create(&m->sample, &m->model, m->options.samples, err));
	return dae_known_create(m, err);
}
