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

/* The rows of the planner, each of them */
static int
rows_of(DaeRows *rows, TrRows *all[2 + DAE_PARTS])
{
	all[0] = &rows->input;
	all[1] = &rows->targets;
	for (int j = 0; j < DAE_PARTS; j++)
		all[2 + j] = &rows->part[j];
	return 2 + DAE_PARTS;
}

/* How many entries a post may have in each of them, its profiles being known */
static void
most_entries(const DaePlanner *p, int64_t n_tags, int64_t most[2 + DAE_PARTS])
{
	most[0] = n_tags + 2 + p->user.n + p->item.n;
	most[1] = n_tags;
	most[2 + DAE_USER_PART] = p->user.n;
	most[2 + DAE_ITEM_PART] = p->item.n;
}

/* Is there room for the post's rows? Who plans takes no memory: it is not alone. */
static bool
has_room(const Dae *m, DaePlanner *p, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int64_t		most[2 + DAE_PARTS];
	TrRows	   *rows[2 + DAE_PARTS];
	int			n = rows_of(&p->rows, rows);
	bool		room = true;

	most_entries(p, d->post_ptr[post + 1] - d->post_ptr[post], most);
	for (int i = 0; i < n; i++)
		room = room && tr_rows_entries(rows[i]) + most[i] <= rows[i]->capacity;
	return room;
}

static bool
make_room(const Dae *m, DaePlanner *p, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int64_t		most[2 + DAE_PARTS];
	TrRows	   *rows[2 + DAE_PARTS];
	int			n = rows_of(&p->rows, rows);
	bool		room = true;

	most_entries(p, d->post_ptr[post + 1] - d->post_ptr[post], most);
	for (int i = 0; i < n; i++)
		room = room && tr_rows_reserve(m->model.memory, rows[i], most[i]);
	return room;
}

/* What the row's targets, so far 0 or 1, weigh when a post with many of them is not to count so often. */
static void
balance_targets(const Dae *m, TrRows *targets)
{
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
		drop = (Drop) {
			.only = (int32_t) (tr_random_of(m->keys.corruption, (uint64_t) post) % (uint64_t) n_tags),
			.share = 1.0f / (float) n_tags
		};
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

/* The post's tags, in the input and among the targets; returns how many were dropped: dropped_at. */
static int32_t
add_tags(const Dae *m, DaePlanner *p, int32_t post)
{
	const DaeOptions *o = &m->options;
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
			p->dropped_at[n_dropped++] = t;
		else
			tr_rows_add(&p->rows.input, tag, value);
		tr_rows_add(&p->rows.targets, tag, dropped || o->targets == DAE_ALL_TAGS ? 1 : 0);
	}
	if (o->loss == DAE_SOFTMAX && o->post_balance > 0)
		balance_targets(m, &p->rows.targets);
	return n_dropped;
}

static void
add_ids(const Dae *m, TrRows *input, int32_t post)
{
	float		dropout = (float) m->options.id_dropout;
	uint64_t	draw = 2 * (uint64_t) post;

	if (tr_uniform_of(m->keys.id_dropout, draw) >= dropout)
		tr_rows_add(input, m->layout.users + m->model.dataset->post_user[post], 1);
	if (tr_uniform_of(m->keys.id_dropout, draw + 1) >= dropout)
		tr_rows_add(input, m->layout.items + m->model.dataset->post_item[post], 1);
}

static void
add_profile(const Dae *m, TrRows *input, const TrSparse *counts, const uint8_t *read, int32_t first)
{
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
add_rest(const Dae *m, DaePlanner *p, int32_t post, int32_t n_dropped)
{
	const DaeKnown *k = &m->known;
	bool		similar = dae_has_neighbours(m);

	add_ids(m, &p->rows.input, post);
	if (m->options.profiles)
	{
		add_profile(m, &p->rows.input, &p->user, p->user_read, m->layout.user_profile);
		add_profile(m, &p->rows.input, &p->item, p->item_read, m->layout.item_profile);
	}
	if (m->layout.parts == 0)
		return;
	if (similar)
		dae_add_similar(m, p, post, n_dropped);
	add_part(&p->rows.part[DAE_USER_PART], &k->user_logs, &p->user, similar ? p->extra : NULL);
	add_part(&p->rows.part[DAE_ITEM_PART], &k->item_logs, &p->item, NULL);
}

/* False, and nothing is done, when there is no room. */
static bool
add_post(const Dae *m, DaePlanner *p, int32_t post)
{
	TrRows	   *rows[2 + DAE_PARTS];
	int			n = rows_of(&p->rows, rows);
	int32_t		n_dropped;

	if (m->options.profiles || m->layout.parts > 0)
		dae_know(m, p, post);
	if (!has_room(m, p, post))
		return false;
	for (int i = 0; i < n; i++)
		tr_rows_start(rows[i]);
	n_dropped = add_tags(m, p, post);
	if (n_dropped == 0 && m->options.targets == DAE_DROPPED_TAGS)
		return true;
	add_rest(m, p, post, n_dropped);
	p->rows.rows++;
	for (int i = 0; i < n; i++)
		rows[i]->rows = p->rows.rows;
	return true;
}

/* ------------------------------------------------------------------ planners */

/* Posts between asking for what one needs and using it, for those who look where that is, and for the rest */
#define FAR 12
#define NEAR 4

/* Posts come in any order, from data that no cache holds. */
static bool
add_next(const Dae *m, DaePlanner *p)
{
	if (p->next + FAR < p->posts)
		dae_fetch_post(m, p->post[p->next + FAR]);
	if (p->next + 2 * NEAR < p->posts)
		dae_fetch_places(m, p->post[p->next + 2 * NEAR]);
	if (p->next + NEAR < p->posts)
		dae_fetch_profiles(m, p->post[p->next + NEAR]);
	return add_post(m, p, p->post[p->next]);
}

/* The posts that are left of a planner's, as far as there is room */
static void
plan_some(void *argument, int task)
{
	const Dae  *m = argument;
	DaePlanner *p = &m->planner[task];
	bool		finished = p->next == p->posts;

	while (p->next < p->posts && add_next(m, p))
		p->next++;
	if (finished || p->next < p->posts || !tr_tag_sampled(&m->sample))
		return;
	tr_tag_sample_renumber(&m->sample, &p->rows.targets);
	for (int j = 0; j < m->layout.parts; j++)
		tr_tag_sample_renumber(&m->sample, &p->rows.part[j]);
}

/* Deals the posts out. */
static void
start_planners(Dae *m, const int32_t *posts, int32_t n)
{
	for (int i = 0; i < m->planners; i++)
	{
		DaePlanner *p = &m->planner[i];
		int32_t		first = (int32_t) ((int64_t) n * i / m->planners);
		TrRows	   *rows[2 + DAE_PARTS];
		int			count = rows_of(&p->rows, rows);

		p->post = posts + first;
		p->posts = (int32_t) ((int64_t) n * (i + 1) / m->planners) - first;
		p->next = 0;
		p->rows.rows = 0;
		for (int r = 0; r < count; r++)
			tr_rows_clear(rows[r]);
	}
}

/* Room for those who have none; *done = nobody has anything left to do */
static TrStatus
help_planners(Dae *m, bool *done, TrError *err)
{
	*done = true;
	for (int i = 0; i < m->planners; i++)
	{
		DaePlanner *p = &m->planner[i];

		if (p->next == p->posts)
			continue;
		*done = false;
		if (!make_room(m, p, p->post[p->next]))
			return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	}
	return TR_OK;
}

/* The rows of all planners go behind those of the first one. */
static TrStatus
join_planners(Dae *m, TrError *err)
{
	TrRows	   *to[2 + DAE_PARTS];
	TrRows	   *from[2 + DAE_PARTS];
	int			count = rows_of(&m->planner[0].rows, to);
	bool		done = true;

	for (int i = 1; i < m->planners; i++)
	{
		(void) rows_of(&m->planner[i].rows, from);
		for (int r = 0; r < count; r++)
			done = done && tr_rows_append(m->model.memory, to[r], from[r]);
		m->planner[0].rows.rows += m->planner[i].rows.rows;
	}
	return done ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
}

static TrStatus
plan_posts(Dae *m, const int32_t *posts, int32_t n, TrError *err)
{
	bool		done = false;

	start_planners(m, posts, n);
	while (!done)
	{
		tr_run_tasks(m->model.backend, plan_some, m, m->planners);
		TR_TRY(help_planners(m, &done, err));
	}
	return join_planners(m, err);
}

/* ------------------------------------------------------------------ steps */

/* A mini-batch of 0 makes so many steps of an epoch, within these limits. */
#define STEPS 3000
#define LEAST_BATCH 256
#define MOST_BATCH 1024

/* Of more posts than this it is the least where tags are sampled: a softmax has the tags of all posts of its step. */
#define MOST_WITH_LARGE_BATCH 1000000

/* Posts of an epoch where epoch_posts is 0: about as many as are learned from in half a minute */
#define EPOCH_POSTS 1000000

int
dae_epochs_of_pass(const DaeOptions *o, int64_t posts)
{
	int64_t		most = o->epoch_posts > 0 ? o->epoch_posts : EPOCH_POSTS;

	return posts > 0 ? (int) (1 + (posts - 1) / most) : 1;
}

void
dae_plan_epoch(Dae *m, int epoch)
{
	uint64_t	seed = m->options.seed;
	uint64_t	a = (uint64_t) epoch;
	int32_t		n = m->model.dataset->n_posts;
	int			parts = dae_epochs_of_pass(&m->options, n);
	int			part = (epoch - 1) % parts;

	m->keys = (DaeKeys) {
		.history = tr_random_key(seed, TR_STREAM_HISTORY, a), .corruption = tr_random_key(seed, TR_STREAM_CORRUPTION, a),
		.tag_dropout = tr_random_key(seed, TR_STREAM_TAG_DROPOUT, a),
		.id_dropout = tr_random_key(seed, TR_STREAM_ID_DROPOUT, a)
	};
	for (int32_t i = 0; i < n; i++)
		m->order[i] = i;
	tr_shuffle(m->order, n, seed, 1 + (epoch - 1) / parts);
	m->first = m->next = (int32_t) ((int64_t) n * part / parts);
	m->end = (int32_t) ((int64_t) n * (part + 1) / parts);
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
dae_batch(const DaeOptions *o, double posts, int32_t tags)
{
	bool		sampled = o->loss == DAE_SOFTMAX && o->touched_rows && tr_tags_are_sampled(tags, o->samples);

	if (o->batch > 0)
		return o->batch;
	if (sampled && posts > MOST_WITH_LARGE_BATCH)
		return LEAST_BATCH;
	return (int) fmin(fmax(posts / STEPS, LEAST_BATCH), MOST_BATCH);
}

TrStatus
dae_plan_step(Dae *m, bool *more, TrError *err)
{
	DaeBatch   *b = &m->batch;
	int32_t		left = m->end - m->next;
	int32_t		n = dae_batch(&m->options, m->model.dataset->n_posts, m->layout.T);
	TrRows	   *input = &b->rows->input;

	*more = left > 0;
	b->posts = n < left ? n : left;
	if (tr_tag_sampled(&m->sample))
		sample_tags(m, m->order + m->next, b->posts);
	TR_TRY(plan_posts(m, m->order + m->next, b->posts, err));
	m->next += b->posts;
	if (m->options.touched_rows)
		tr_touched_find(&b->touched, &input, 1);
	return TR_OK;
}

/* ------------------------------------------------------------------ life */

/*
 * A planner may have a row for each post of a step; the first one has all of them in the end, and is there without posts,
 * too.
 */
static bool
create_planners(Dae *m, int32_t most)
{
	TrMemory   *memory = m->model.memory;
	bool		done = true;

	m->planners = most < tr_threads(m->model.backend) ? most : tr_threads(m->model.backend);
	if (m->planners < 1)
		m->planners = 1;
	m->planner = TR_NEW(&m->model, DaePlanner, m->planners);
	for (int i = 0; m->planner && i < m->planners; i++)
	{
		TrRows	   *rows[2 + DAE_PARTS];
		int			count = rows_of(&m->planner[i].rows, rows);

		for (int r = 0; r < count; r++)
			done = done && tr_rows_init(memory, rows[r], most, r == 0 && i == 0 && m->options.touched_rows);
	}
	return done && m->planner;
}

TrStatus
dae_planner_create(Dae *m, TrError *err)
{
	TrModel    *model = &m->model;
	int32_t		posts = model->dataset->n_posts;
	int32_t		batch = dae_batch(&m->options, posts, m->layout.T);
	bool		touched = m->options.touched_rows;

	m->order = TR_NEW(model, int32_t, posts);
	if (!m->order || !create_planners(m, batch < posts ? batch : posts)
		|| (touched && !tr_touched_init(model->memory, &m->batch.touched, m->layout.rows)))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	m->batch.rows = &m->planner[0].rows;
	if (m->options.loss == DAE_SOFTMAX && touched)
		TR_TRY(tr_tag_sample_create(&m->sample, model, m->options.samples, err));
	return dae_known_create(m, err);
}
