/*
 * The sparse rows of a step, put together on the host: what is left of each post's tags, its user, its item; the targets; the
 * parts of the prior. They come to a few dozen numbers a post, next to the millions of operations behind them.
 *
 * What is drawn at random depends on the epoch and the post alone, not on the batch it falls into. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "models/dae_ptr.h"

/* ------------------------------------------------------------------ rows */

static bool
reserve_entries(TrMemory *memory, DaeRows *rows, int64_t more)
{
	int64_t		wanted = rows->ptr[rows->rows] + more;
	int32_t    *col;
	float	   *val;

	if (wanted <= rows->capacity)
		return true;
	wanted += wanted / 2;
	col = tr_realloc(memory, rows->col, (size_t) wanted * sizeof(int32_t));
	if (!col)
		return false;
	rows->col = col;
	val = tr_realloc(memory, rows->val, (size_t) wanted * sizeof(float));
	if (!val)
		return false;
	rows->val = val;
	rows->capacity = wanted;
	return true;
}

static void
add_entry(DaeRows *rows, int32_t col, float val)
{
	int64_t		at = rows->ptr[rows->rows + 1]++;

	rows->col[at] = col;
	rows->val[at] = val;
}

static void
start_row(DaeRows *rows)
{
	rows->ptr[rows->rows + 1] = rows->ptr[rows->rows];
}

/* ------------------------------------------------------------------ profiles */

/* Is tag among own[*at..n_own-1]? Moves *at on; tags come ascending. */
static bool
is_own(const int32_t *own, int32_t n_own, int32_t *at, int32_t tag)
{
	while (*at < n_own && own[*at] < tag)
		(*at)++;
	return *at < n_own && own[*at] == tag;
}

int32_t
dae_profile_row(const TrSparse *profile, const int32_t *own, int32_t n_own, int32_t first, int32_t *col, float *val)
{
	int32_t		n = 0;
	int32_t		at = 0;
	double		squares = 0;

	for (int32_t e = 0; e < profile->n; e++)
	{
		float		count = profile->value[e] - (is_own(own, n_own, &at, profile->index[e]) ? 1 : 0);

		if (count <= 0)
			continue;
		col[n] = first + profile->index[e];
		val[n] = log1pf(count);
		squares += (double) val[n] * val[n];
		n++;
	}
	for (int32_t e = 0; e < n; e++)
		val[e] /= (float) sqrt(squares);
	return n;
}

/* ------------------------------------------------------------------ posts */

/*
 * What the post knows of its user becomes what a random share of his posts say, and this one, which is left out again wherever
 * counts are taken.
 */
static void
thin_history(Dae *m, TrPost *post, int32_t index, uint64_t epoch)
{
	DaeHistory *h = &m->history;
	float		share = tr_uniform(m->options.seed, TR_STREAM_HISTORY, epoch, (uint64_t) index << 32);
	int32_t		n_tags = 0;
	int32_t		n = 0;
	int32_t		kept = 0;

	for (int32_t p = 0; p < post->n_posts; p++)
	{
		uint64_t	draw = (uint64_t) index << 32 | (uint64_t) (p + 1);

		if (p != post->own && tr_uniform(m->options.seed, TR_STREAM_HISTORY, epoch, draw) >= share)
			continue;
		for (int32_t at = p > 0 ? post->post_end[p - 1] : 0; at < post->post_end[p]; at++)
		{
			h->post_tag[n_tags++] = post->post_tag[at];
			h->all[post->post_tag[at]]++;
		}
		h->post_item[n] = post->post_item[p];
		kept = p == post->own ? n : kept;
		h->post_end[n++] = n_tags;
	}
	post->n_posts = n;
	post->own = kept;
	post->post_item = h->post_item;
	post->post_end = h->post_end;
	post->post_tag = h->post_tag;
	n = 0;
	for (int32_t e = 0; e < post->user_tags.n; e++)
	{
		int32_t		tag = post->user_tags.index[e];

		if (h->all[tag] > 0)
		{
			h->tag[n] = tag;
			h->count[n++] = h->all[tag];
		}
		h->all[tag] = 0;
	}
	post->user_tags = (TrSparse) {.n = n, .index = h->tag, .value = h->count};
}

static bool
reserve_post(Dae *m, const TrPost *post)
{
	DaeBatch   *b = &m->batch;
	TrMemory   *memory = m->model.memory;
	int64_t		profiles = (int64_t) post->user_tags.n + post->item_tags.n;

	return reserve_entries(memory, &b->input, post->n_given + 2 + profiles)
		&& reserve_entries(memory, &b->targets, post->n_given)
		&& reserve_entries(memory, &b->part[DAE_USER_PART], post->user_tags.n)
		&& reserve_entries(memory, &b->part[DAE_ITEM_PART], post->item_tags.n);
}

/* What the row's targets, so far 0 or 1, weigh when a post with many of them is not to count so often. */
static void
balance_targets(Dae *m)
{
	DaeRows    *targets = &m->batch.targets;
	float	   *val = targets->val + targets->ptr[targets->rows];
	int64_t		n = targets->ptr[targets->rows + 1] - targets->ptr[targets->rows];
	float		sum = 0;

	for (int64_t e = 0; e < n; e++)
		sum += val[e];
	for (int64_t e = 0; e < n && sum > 1; e++)
		val[e] *= (float) pow(sum, -m->options.post_balance);
}

/* The share of the post's tags that is dropped, on average. */
static float
corruption_of(const DaeOptions *o, uint64_t epoch, int32_t index, int32_t n_tags)
{
	switch (o->drop)
	{
		case DAE_DROP_RANDOM:
			return tr_uniform(o->seed, TR_STREAM_CORRUPTION, epoch, (uint64_t) index);
		case DAE_DROP_ONE:
			return 1.0f / (float) n_tags;
		default:
			return (float) o->corruption;
	}
}

/* The post's tags, in the input and among the targets; returns how many were dropped: m->dropped_tag. */
static int32_t
add_tags(Dae *m, const TrPost *post, int32_t index, uint64_t epoch)
{
	const DaeOptions *o = &m->options;
	DaeBatch   *b = &m->batch;
	int64_t		first = m->dataset->post_ptr[index];
	float		c = corruption_of(o, epoch, index, post->n_given);
	float		value = o->rescale && c < 1 ? 1 / (1 - c) : 1;
	int32_t		only = o->drop == DAE_DROP_ONE ? (int32_t) tr_below(o->seed, TR_STREAM_CORRUPTION, epoch, (uint64_t) index,
															 (uint64_t) post->n_given) : -1;
	int32_t		n_dropped = 0;

	for (int32_t t = 0; t < post->n_given; t++)
	{
		bool		drop = only >= 0 ? t == only
			: tr_uniform(o->seed, TR_STREAM_TAG_DROPOUT, epoch, (uint64_t) (first + t)) < c;

		if (drop)
			m->dropped_tag[n_dropped++] = post->given[t];
		else
			add_entry(&b->input, post->given[t], value);
		add_entry(&b->targets, post->given[t], drop || o->targets == DAE_ALL_TAGS ? 1 : 0);
	}
	if (o->loss == DAE_SOFTMAX && o->post_balance > 0)
		balance_targets(m);
	return n_dropped;
}

static void
add_ids(Dae *m, int32_t index, uint64_t epoch)
{
	const DaeOptions *o = &m->options;
	DaeRows    *input = &m->batch.input;
	uint64_t	draw = 2 * (uint64_t) index;

	if (tr_uniform(o->seed, TR_STREAM_ID_DROPOUT, epoch, draw) >= (float) o->id_dropout)
		add_entry(input, m->layout.users + m->dataset->post_user[index], 1);
	if (tr_uniform(o->seed, TR_STREAM_ID_DROPOUT, epoch, draw + 1) >= (float) o->id_dropout)
		add_entry(input, m->layout.items + m->dataset->post_item[index], 1);
}

static void
add_profile(Dae *m, const TrPost *post, const TrSparse *profile, int32_t first)
{
	DaeRows    *input = &m->batch.input;
	int64_t    *end = &input->ptr[input->rows + 1];

	*end += dae_profile_row(profile, post->given, post->n_given, first, input->col + *end, input->val + *end);
}

/* The entry of a tag in an item's profile, or -1 */
static int64_t
find_entry(const TrProfileTable *table, int32_t item, int32_t tag)
{
	int64_t		low = table->entry_ptr[item];
	int64_t		end = table->entry_ptr[item + 1];
	int64_t		high = end;

	while (low < high)
	{
		int64_t		middle = (low + high) / 2;

		if (table->tag[middle] < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && table->tag[low] == tag ? low : -1;
}

/*
 * The cosine of two items' profiles when n tags count once less in the first one, from what it is with them. In the first unit
 * profile such a tag weighs ln(count) / ln(1 + count) of what it did.
 */
static float
cosine_without(const Dae *m, float cosine, int32_t item, int32_t other, const int32_t *tag, int32_t n)
{
	const TrProfileTable *table = &m->dataset->item;
	const float *weight = m->neighbours.weight;
	double		squares = 1;
	double		dot = cosine;

	for (int32_t t = 0; t < n; t++)
	{
		int64_t		mine = find_entry(table, item, tag[t]);
		int64_t		its = find_entry(table, other, tag[t]);
		double		left = mine < 0 ? 1 : log(fmax(table->count[mine], 1)) / log1p(table->count[mine]);

		if (mine < 0)
			continue;
		squares -= (double) weight[mine] * weight[mine] * (1 - left * left);
		if (its >= 0)
			dot -= (double) weight[mine] * weight[its] * (1 - left);
	}
	return squares > 1e-6 && dot > 0 ? (float) (dot / sqrt(squares)) : 0;
}

/*
 * post->similar = those of the user's items that are like this one, as they would be found if the tags that are to be predicted
 * had not been given: the cosine must not tell what it is meant to help to find.
 */
static bool
find_similar(Dae *m, TrPost *post, int32_t item, int32_t n_dropped)
{
	TrSparse	all = tr_tag_neighbours_of(&m->neighbours, item);
	TrPostSimilar *similar = &m->similar;
	int32_t		n = 0;
	int32_t		p = 0;

	if (similar->capacity < all.n)
	{
		tr_free(m->model.memory, similar->index);
		tr_free(m->model.memory, similar->value);
		similar->index = tr_alloc(m->model.memory, (size_t) all.n * sizeof(int32_t));
		similar->value = tr_alloc(m->model.memory, (size_t) all.n * sizeof(float));
		similar->capacity = similar->index && similar->value ? all.n : 0;
		if (similar->capacity == 0)
			return false;
	}
	for (int32_t i = 0; i < all.n; i++)
	{
		while (p < post->n_posts && post->post_item[p] < all.index[i])
			p++;
		if (p == post->n_posts || post->post_item[p] != all.index[i])
			continue;
		similar->index[n] = all.index[i];
		similar->value[n++] = cosine_without(m, all.value[i], item, all.index[i], m->dropped_tag, n_dropped);
	}
	post->similar = (TrSparse) {.n = n, .index = similar->index, .value = similar->value};
	return true;
}

static void
add_part(DaeRows *part, int32_t (*entries) (const TrTagPrior *, const TrPost *, int32_t *, float *), const TrTagPrior *prior,
		 const TrPost *post)
{
	int64_t    *end = &part->ptr[part->rows + 1];

	*end += entries(prior, post, part->col + *end, part->val + *end);
}

/* Everything but the tags. */
static TrStatus
add_rest(Dae *m, TrPost *post, int32_t index, int32_t n_dropped, uint64_t epoch, TrError *err)
{
	DaeBatch   *b = &m->batch;

	add_ids(m, index, epoch);
	if (m->options.profiles)
	{
		add_profile(m, post, &post->user_tags, m->layout.user_profile);
		add_profile(m, post, &post->item_tags, m->layout.item_profile);
	}
	if (m->layout.parts == 0)
		return TR_OK;
	if (dae_has_neighbours(m) && !find_similar(m, post, m->dataset->post_item[index], n_dropped))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	add_part(&b->part[DAE_USER_PART], tr_tag_prior_user, &m->prior, post);
	add_part(&b->part[DAE_ITEM_PART], tr_tag_prior_item, &m->prior, post);
	return TR_OK;
}

static bool
uses_history(const Dae *m)
{
	return m->options.history_dropout > 0 && (m->layout.parts > 0 || m->options.profiles);
}

static TrStatus
add_post(Dae *m, int32_t index, uint64_t epoch, TrError *err)
{
	DaeBatch   *b = &m->batch;
	TrPost	   *post = &m->posts.post[0];
	int32_t		n_dropped;

	TR_TRY(tr_post_block_set(&m->posts, 0, m->dataset->post_user[index], m->dataset->post_item[index], err));
	if (uses_history(m) && tr_uniform(m->options.seed, TR_STREAM_HISTORY, epoch, (uint64_t) index << 32 | 0xffffffff)
		< (float) m->options.history_dropout)
		thin_history(m, post, index, epoch);
	if (!reserve_post(m, post))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	start_row(&b->input);
	start_row(&b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		start_row(&b->part[j]);
	n_dropped = add_tags(m, post, index, epoch);
	if (n_dropped == 0 && m->options.targets == DAE_DROPPED_TAGS)
		return TR_OK;
	TR_TRY(add_rest(m, post, index, n_dropped, epoch, err));
	b->rows++;
	b->input.rows = b->targets.rows = b->rows;
	for (int j = 0; j < DAE_PARTS; j++)
		b->part[j].rows = b->rows;
	return TR_OK;
}

/* ------------------------------------------------------------------ steps */

void
dae_plan_epoch(Dae *m, int epoch)
{
	int32_t		n = m->dataset->n_posts;

	for (int32_t i = 0; i < n; i++)
		m->order[i] = i;
	for (int32_t i = n - 1; i > 0; i--)
	{
		int32_t		j = (int32_t) tr_below(m->options.seed, TR_STREAM_SHUFFLE, (uint64_t) epoch, (uint64_t) i,
										   (uint64_t) i + 1);
		int32_t		swap = m->order[i];

		m->order[i] = m->order[j];
		m->order[j] = swap;
	}
	m->next = 0;
}

static void
clear(DaeRows *rows)
{
	rows->rows = 0;
	rows->ptr[0] = 0;
}

static int
compare_ints(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

/* touched = the distinct columns of the input; slot = where each entry's column stands there */
static TrStatus
find_touched(Dae *m, TrError *err)
{
	DaeBatch   *b = &m->batch;
	int64_t		n = b->input.ptr[b->rows];
	int32_t    *touched = tr_realloc(m->model.memory, b->touched, ((size_t) b->input.capacity + 1) * sizeof(int32_t));
	int32_t    *slot;

	if (touched)
		b->touched = touched;
	slot = touched ? tr_realloc(m->model.memory, b->slot, ((size_t) b->input.capacity + 1) * sizeof(int32_t)) : NULL;
	if (!slot)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	b->slot = slot;
	b->n_touched = 0;
	for (int64_t e = 0; e < n; e++)
		if (m->place[b->input.col[e]] < 0)
		{
			m->place[b->input.col[e]] = 0;
			touched[b->n_touched++] = b->input.col[e];
		}
	qsort(touched, (size_t) b->n_touched, sizeof(int32_t), compare_ints);
	for (int32_t i = 0; i < b->n_touched; i++)
		m->place[touched[i]] = i;
	for (int64_t e = 0; e < n; e++)
		slot[e] = m->place[b->input.col[e]];
	for (int32_t i = 0; i < b->n_touched; i++)
		m->place[touched[i]] = -1;
	return TR_OK;
}

TrStatus
dae_plan_step(Dae *m, int epoch, bool *more, TrError *err)
{
	DaeBatch   *b = &m->batch;
	int32_t		n = m->dataset->n_posts;

	*more = m->next < n;
	b->rows = 0;
	clear(&b->input);
	clear(&b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		clear(&b->part[j]);
	for (b->posts = 0; b->posts < m->options.batch && m->next < n; b->posts++)
		TR_TRY(add_post(m, m->order[m->next++], (uint64_t) epoch, err));
	return m->options.touched_rows ? find_touched(m, err) : TR_OK;
}

/* ------------------------------------------------------------------ life */

static bool
allocate_rows(TrMemory *memory, DaeRows *rows, int32_t most)
{
	rows->ptr = tr_alloc(memory, ((size_t) most + 2) * sizeof(int64_t));
	return rows->ptr != NULL;
}

static bool
allocate_history(Dae *m)
{
	const TrDataset *d = m->dataset;
	TrMemory   *memory = m->model.memory;
	DaeHistory *h = &m->history;
	size_t		posts = 1;
	size_t		tags = 1;

	for (int32_t u = 0; u < d->n_users; u++)
	{
		size_t		n = (size_t) (d->user_ptr[u + 1] - d->user_ptr[u]);
		size_t		all = (size_t) (d->post_ptr[d->user_ptr[u + 1]] - d->post_ptr[d->user_ptr[u]]);

		posts = n > posts ? n : posts;
		tags = all > tags ? all : tags;
	}
	h->post_item = tr_alloc(memory, posts * sizeof(int32_t));
	h->post_end = tr_alloc(memory, posts * sizeof(int32_t));
	h->post_tag = tr_alloc(memory, tags * sizeof(int32_t));
	h->tag = tr_alloc(memory, tags * sizeof(int32_t));
	h->count = tr_alloc(memory, tags * sizeof(float));
	h->all = tr_calloc(memory, (size_t) d->n_tags + 1, sizeof(float));
	return h->post_item && h->post_end && h->post_tag && h->tag && h->count && h->all;
}

bool
dae_has_neighbours(const Dae *m)
{
	return m->layout.parts > 0 && m->options.similar > 0;
}

TrStatus
dae_planner_create(Dae *m, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	DaeBatch   *b = &m->batch;
	int32_t		posts = m->dataset->n_posts;
	int32_t		most = m->options.batch < posts ? m->options.batch : posts;
	bool		done;

	m->order = tr_alloc(memory, ((size_t) posts + 1) * sizeof(int32_t));
	m->place = tr_alloc(memory, ((size_t) m->layout.rows + 1) * sizeof(int32_t));
	done = m->order && m->place && allocate_rows(memory, &b->input, most) && allocate_rows(memory, &b->targets, most);
	for (int j = 0; j < DAE_PARTS; j++)
		done = done && allocate_rows(memory, &b->part[j], most);
	m->dropped_tag = tr_alloc(memory, ((size_t) m->layout.T + 1) * sizeof(int32_t));
	if (!done || !m->dropped_tag)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	memset(m->place, -1, (size_t) m->layout.rows * sizeof(int32_t));
	if (uses_history(m) && !allocate_history(m))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	TR_TRY(tr_post_block_init(&m->posts, memory, NULL, m->dataset, 1, err));
	if (dae_has_neighbours(m))
		return tr_tag_neighbours_create(&m->neighbours, memory, m->dataset, m->options.neighbours, err);
	return TR_OK;
}

static void
free_rows(TrMemory *memory, DaeRows *rows)
{
	tr_free(memory, rows->ptr);
	tr_free(memory, rows->col);
	tr_free(memory, rows->val);
}

void
dae_planner_destroy(Dae *m)
{
	TrMemory   *memory = m->model.memory;
	DaeBatch   *b = &m->batch;

	free_rows(memory, &b->input);
	free_rows(memory, &b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		free_rows(memory, &b->part[j]);
	tr_free(memory, b->touched);
	tr_free(memory, b->slot);
	tr_free(memory, m->order);
	tr_free(memory, m->place);
	tr_free(memory, m->dropped_tag);
	tr_free(memory, m->history.post_item);
	tr_free(memory, m->history.post_end);
	tr_free(memory, m->history.post_tag);
	tr_free(memory, m->history.tag);
	tr_free(memory, m->history.count);
	tr_free(memory, m->history.all);
	tr_free(memory, m->similar.index);
	tr_free(memory, m->similar.value);
	tr_tag_neighbours_free(&m->neighbours);
	if (m->posts.memory)
		tr_post_block_free(&m->posts);
}
