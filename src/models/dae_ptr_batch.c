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

/* log(1 + count / (smoothing share)): what a tag's count adds to the logarithm of its smoothed share in a profile */
float
dae_part_value(const Dae *m, TrSide side, int32_t tag, float count)
{
	double		smoothing = side == TR_USER ? m->options.user_smoothing : m->options.item_smoothing;

	return (float) log1p(count / (smoothing * exp(m->log_share[tag])));
}

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

static TrSparse
profile_of(const TrProfileTable *table, int32_t entity)
{
	int64_t		first = table->entry_ptr[entity];

	return (TrSparse) {.n = (int32_t) (table->entry_ptr[entity + 1] - first), .index = table->tag + first,
	.value = table->count + first};
}

/* ------------------------------------------------------------------ posts */

/* One post of the dataset. */
typedef struct Post
{
	int32_t		index;
	int32_t		user,
				item;
	int32_t		n_tags;
	const int32_t *tag;
	TrSparse	profile[2];		/* by TrSide */
} Post;

static Post
post_of(const TrDataset *d, int32_t index)
{
	Post		post = {.index = index, .user = d->post_user[index], .item = d->post_item[index],
	.n_tags = (int32_t) (d->post_ptr[index + 1] - d->post_ptr[index]), .tag = d->post_tag + d->post_ptr[index]};

	post.profile[TR_USER] = profile_of(&d->user, post.user);
	post.profile[TR_ITEM] = profile_of(&d->item, post.item);
	return post;
}

static bool
reserve_post(Dae *m, const Post *post)
{
	DaeBatch   *b = &m->batch;
	TrMemory   *memory = m->model.memory;
	int64_t		profiles = (int64_t) post->profile[TR_USER].n + post->profile[TR_ITEM].n;

	return reserve_entries(memory, &b->input, post->n_tags + 2 + profiles)
		&& reserve_entries(memory, &b->targets, post->n_tags)
		&& reserve_entries(memory, &b->part[DAE_USER_PART], post->profile[TR_USER].n)
		&& reserve_entries(memory, &b->part[DAE_ITEM_PART], post->profile[TR_ITEM].n);
}

/* The post's tags, in the input and among the targets; returns whether there is anything to learn. */
static bool
add_tags(Dae *m, const Post *post, uint64_t epoch)
{
	const DaeOptions *o = &m->options;
	DaeBatch   *b = &m->batch;
	int64_t		first = m->dataset->post_ptr[post->index];
	float		c = o->random_corruption ? tr_uniform(o->seed, TR_STREAM_CORRUPTION, epoch, (uint64_t) post->index)
		: (float) o->corruption;
	float		value = o->rescale ? 1 / (1 - c) : 1;
	bool		learns = o->targets == DAE_ALL_TAGS;

	for (int32_t t = 0; t < post->n_tags; t++)
	{
		bool		drop = tr_uniform(o->seed, TR_STREAM_TAG_DROPOUT, epoch, (uint64_t) (first + t)) < c;

		if (!drop)
			add_entry(&b->input, post->tag[t], value);
		add_entry(&b->targets, post->tag[t], drop || o->targets == DAE_ALL_TAGS ? 1 : 0);
		learns |= drop;
	}
	return learns;
}

static void
add_ids(Dae *m, const Post *post, uint64_t epoch)
{
	const DaeOptions *o = &m->options;
	DaeRows    *input = &m->batch.input;
	uint64_t	draw = 2 * (uint64_t) post->index;

	if (tr_uniform(o->seed, TR_STREAM_ID_DROPOUT, epoch, draw) >= (float) o->id_dropout)
		add_entry(input, m->layout.users + post->user, 1);
	if (tr_uniform(o->seed, TR_STREAM_ID_DROPOUT, epoch, draw + 1) >= (float) o->id_dropout)
		add_entry(input, m->layout.items + post->item, 1);
}

static void
add_profile(Dae *m, const Post *post, TrSide side)
{
	DaeRows    *input = &m->batch.input;
	int64_t    *end = &input->ptr[input->rows + 1];

	*end += dae_profile_row(&post->profile[side], post->tag, post->n_tags,
							side == TR_USER ? m->layout.user_profile : m->layout.item_profile, input->col + *end,
							input->val + *end);
}

/* The profile's row in its part of the logits; the post's own tags count once less. */
static void
add_part(Dae *m, const Post *post, TrSide side)
{
	const TrProfileTable *table = side == TR_USER ? &m->dataset->user : &m->dataset->item;
	const TrSparse *profile = &post->profile[side];
	const float *value = m->part_value[side] + table->entry_ptr[side == TR_USER ? post->user : post->item];
	DaeRows    *part = &m->batch.part[side];
	int32_t		at = 0;

	for (int32_t e = 0; e < profile->n; e++)
	{
		int32_t		tag = profile->index[e];

		if (!is_own(post->tag, post->n_tags, &at, tag))
			add_entry(part, tag, value[e]);
		else if (profile->value[e] > 1)
			add_entry(part, tag, dae_part_value(m, side, tag, profile->value[e] - 1));
	}
}

static TrStatus
add_post(Dae *m, int32_t index, uint64_t epoch, TrError *err)
{
	DaeBatch   *b = &m->batch;
	Post		post = post_of(m->dataset, index);

	if (!reserve_post(m, &post))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	start_row(&b->input);
	start_row(&b->targets);
	for (int j = 0; j < DAE_PARTS; j++)
		start_row(&b->part[j]);
	if (!add_tags(m, &post, epoch))
		return TR_OK;
	add_ids(m, &post, epoch);
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		if (m->options.profiles)
			add_profile(m, &post, (TrSide) side);
		if (m->layout.parts > 0)
			add_part(m, &post, (TrSide) side);
	}
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
fill_part_values(Dae *m, TrSide side)
{
	const TrProfileTable *table = side == TR_USER ? &m->dataset->user : &m->dataset->item;
	float	   *value = tr_alloc(m->model.memory, ((size_t) table->n_entries + 1) * sizeof(float));

	m->part_value[side] = value;
	for (int64_t e = 0; value && e < table->n_entries; e++)
		value[e] = dae_part_value(m, side, table->tag[e], table->count[e]);
	return value != NULL;
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
	if (done && m->layout.parts > 0)
		done = fill_part_values(m, TR_USER) && fill_part_values(m, TR_ITEM);
	if (!done)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	memset(m->place, -1, (size_t) m->layout.rows * sizeof(int32_t));
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
	{
		free_rows(memory, &b->part[j]);
		tr_free(memory, m->part_value[j]);
	}
	tr_free(memory, b->touched);
	tr_free(memory, b->slot);
	tr_free(memory, m->order);
	tr_free(memory, m->place);
}
