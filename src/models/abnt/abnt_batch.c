/*
 * The sparse rows of a step, put together on the host: the user's sequence, the user, the item, the tags to predict.
 *
 * What is drawn at random depends on the epoch and the post alone, not on the batch it falls into. Legend: see abnt.h.
 */
#include <string.h>

#include "core/rng.h"
#include "models/abnt/abnt.h"

/* ------------------------------------------------------------------ the sequence */

/* Larger counts give larger keys, and among equal ones smaller tags do: the bits of positive floats are in their order. */
static uint64_t
key_of(float count, int32_t tag)
{
	uint32_t	bits;

	memcpy(&bits, &count, sizeof(bits));
	return (uint64_t) bits << 32 | (UINT32_MAX - (uint32_t) tag);
}

/* The k-th largest (from 0) of n distinct keys, which change places (Hoare 1961). */
static uint64_t
select_key(uint64_t *key, int32_t n, int32_t k)
{
	int32_t		low = 0;
	int32_t		high = n - 1;

	while (low < high)
	{
		uint64_t	pivot = key[low + (high - low) / 2];
		int32_t		i = low;
		int32_t		j = high;

		while (i <= j)
		{
			while (key[i] > pivot)
				i++;
			while (key[j] < pivot)
				j--;
			if (i <= j)
			{
				uint64_t	swap = key[i];

				key[i++] = key[j];
				key[j--] = swap;
			}
		}
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return key[k];
}

int32_t
abnt_sequence(const TrSparse *profile, const int32_t *own, int32_t n_own, int32_t most, int32_t *col, float *val,
			  uint64_t *keys)
{
	int32_t		at = 0;
	int32_t		n = 0;
	int32_t		kept = 0;
	uint64_t	least;

	for (int32_t e = 0; e < profile->n; e++)
	{
		float		count = profile->value[e];

		while (at < n_own && own[at] < profile->index[e])
			at++;
		if (at < n_own && own[at] == profile->index[e])
			count -= 1;
		if (count <= 0)
			continue;
		col[n] = profile->index[e];
		val[n] = count;
		keys[n] = key_of(count, col[n]);
		n++;
	}
	if (n <= most)
		return n;
	if (most == 0)
		return 0;
	least = select_key(keys, n, most - 1);
	for (int32_t i = 0; i < n; i++)
		if (key_of(val[i], col[i]) >= least)
		{
			col[kept] = col[i];
			val[kept++] = val[i];
		}
	return kept;
}

/* ------------------------------------------------------------------ rows */

/* How many of a post's n tags this epoch gives. */
static int32_t
draw_given(const Abnt *m, int32_t post, int32_t n, uint64_t epoch)
{
	switch (m->options.given)
	{
		case ABNT_SOME:
			return (int32_t) tr_below(m->options.seed, TR_STREAM_CORRUPTION, epoch, (uint64_t) post, (uint64_t) n);
		case ABNT_OTHERS:
			return n - 1;
		default:
			return 0;
	}
}

/* The post's tags: given ones behind the user's in the sequence, the rest among the targets, who weigh 1 together. */
static void
add_tags(Abnt *m, int32_t post, uint64_t epoch)
{
	const TrDataset *d = m->model.dataset;
	int64_t		first = d->post_ptr[post];
	int32_t		n = (int32_t) (d->post_ptr[post + 1] - first);
	int32_t		n_given = draw_given(m, post, n, epoch);
	int32_t		left = n_given;
	AbntBatch  *b = &m->batch;

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		tag = d->post_tag[first + i];
		float		draw = tr_uniform(m->options.seed, TR_STREAM_TAG_DROPOUT, epoch, (uint64_t) (first + i));
		bool		gives = draw * (float) (n - i) < (float) left;

		if (gives)
		{
			tr_rows_add(&b->sequence, m->layout.given + tag, 1);
			left--;
		}
		tr_rows_add(&b->targets, tag, gives ? 0 : 1 / (float) (n - n_given));
	}
}

static TrSparse
user_profile(const TrDataset *d, int32_t user)
{
	int64_t		first = d->user.entry_ptr[user];

	return (TrSparse) {(int32_t) (d->user.entry_ptr[user + 1] - first), d->user.tag + first, d->user.count + first};
}

static TrStatus
add_post(Abnt *m, int32_t post, uint64_t epoch, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	bool		earlier = m->options.history == ABNT_EARLIER;
	TrSparse	profile = earlier ? abnt_earlier(m, post) : user_profile(d, d->post_user[post]);
	const int32_t *own = d->post_tag + d->post_ptr[post];
	int32_t		n_own = (int32_t) (d->post_ptr[post + 1] - d->post_ptr[post]);
	TrRows	   *sequence = &m->batch.sequence;
	int64_t    *end;

	if (!tr_rows_reserve(m->model.memory, sequence, profile.n + n_own)
		|| !tr_rows_reserve(m->model.memory, &m->batch.targets, n_own))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	tr_rows_start(sequence);
	tr_rows_start(&m->batch.targets);
	end = &sequence->ptr[sequence->rows + 1];
	/* its own tags are not among the earlier ones */
	*end += abnt_sequence(&profile, own, earlier ? 0 : n_own, m->options.sequence, sequence->col + *end,
						  sequence->val + *end, m->keys);
	add_tags(m, post, epoch);
	sequence->rows++;
	m->batch.targets.rows++;
	return TR_OK;
}

/* The users' rows, or the items': one entry each, or none where the id is dropped. */
static void
add_ids(Abnt *m, const int32_t *posts, TrSide side, uint64_t epoch)
{
	const AbntOptions *o = &m->options;
	const int32_t *id = side == TR_USER ? m->model.dataset->post_user : m->model.dataset->post_item;
	int32_t		first = side == TR_USER ? m->layout.users : m->layout.items;

	for (int32_t r = 0; r < m->batch.rows; r++)
	{
		tr_rows_start(&m->batch.ids);
		if (tr_uniform(o->seed, TR_STREAM_ID_DROPOUT, epoch, 2 * (uint64_t) posts[r] + side) >= (float) o->id_dropout)
			tr_rows_add(&m->batch.ids, first + id[posts[r]], 1);
		m->batch.ids.rows++;
	}
}

/* ------------------------------------------------------------------ steps */

void
abnt_plan_epoch(Abnt *m, int epoch)
{
	int32_t		n = m->model.dataset->n_posts;

	for (int32_t i = 0; i < n; i++)
		m->order[i] = i;
	tr_shuffle(m->order, n, m->options.seed, epoch);
	m->next = 0;
}

/* The tags of the step's softmax, where it is not over all. */
static void
sample_tags(Abnt *m)
{
	TrRows	   *targets = &m->batch.targets;

	tr_tag_sample_draw(&m->sample, m->options.seed, (uint64_t) m->p.steps);
	for (int64_t e = 0; e < tr_rows_entries(targets); e++)
		if (targets->val[e] > 0)
			tr_tag_sample_target(&m->sample, targets->col[e]);
	tr_tag_sample_number(&m->sample);
	tr_tag_sample_renumber(&m->sample, targets);
}

TrStatus
abnt_plan_step(Abnt *m, int epoch, TrError *err)
{
	AbntBatch  *b = &m->batch;
	int32_t		left = m->model.dataset->n_posts - m->next;
	const int32_t *posts = m->order + m->next;
	TrRows	   *reading[] = {&b->sequence, &b->ids};

	tr_rows_clear(&b->sequence);
	tr_rows_clear(&b->ids);
	tr_rows_clear(&b->targets);
	b->rows = left < m->options.batch ? left : m->options.batch;
	m->next += b->rows;
	for (int32_t r = 0; r < b->rows; r++)
		TR_TRY(add_post(m, posts[r], (uint64_t) epoch, err));
	add_ids(m, posts, TR_USER, (uint64_t) epoch);
	add_ids(m, posts, TR_ITEM, (uint64_t) epoch);
	tr_touched_find(&b->touched, reading, 2);
	if (tr_tag_sampled(&m->sample))
		sample_tags(m);
	return TR_OK;
}

/* ------------------------------------------------------------------ life */

static int64_t
longest_profile(const TrDataset *d)
{
	int64_t		longest = 0;

	for (int32_t u = 0; u < d->n_users; u++)
		if (d->user.entry_ptr[u + 1] - d->user.entry_ptr[u] > longest)
			longest = d->user.entry_ptr[u + 1] - d->user.entry_ptr[u];
	return longest;
}

TrStatus
abnt_planner_create(Abnt *m, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	AbntBatch  *b = &m->batch;
	int32_t		posts = m->model.dataset->n_posts;
	int32_t		most = m->options.batch < posts ? m->options.batch : posts;

	TR_TRY(abnt_earlier_create(m, err));
	m->order = TR_NEW(&m->model, int32_t, posts);
	m->keys = TR_NEW(&m->model, uint64_t, longest_profile(m->model.dataset));
	if (!m->order || !m->keys || !tr_touched_init(memory, &b->touched, m->layout.rows)
		|| !tr_rows_init(memory, &b->sequence, most, true) || !tr_rows_init(memory, &b->targets, most, false)
		|| !tr_rows_init(memory, &b->ids, 2 * most, true) || !tr_rows_reserve(memory, &b->ids, 2 * (int64_t) most))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	return tr_tag_sample_create(&m->sample, &m->model, m->options.samples, err);
}
