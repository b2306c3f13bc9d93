/*
 * What is known of a post's user and item while training, the post itself left out: tag profiles, in an epoch perhaps of a
 * random share of the user's posts alone, and the user's posts on items like the post's.
 *
 * Nothing here is sorted or searched for that the dataset has in order: a profile's entries know their posts, and the user's
 * items are looked up in a table. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/simd.h"
#include "models/dae_ptr.h"

/* ------------------------------------------------------------------ the user's posts */

bool
dae_uses_history(const Dae *m)
{
	return m->options.history_dropout > 0 && (m->layout.parts > 0 || m->options.profiles);
}

bool
dae_has_neighbours(const Dae *m)
{
	return m->layout.parts > 0 && m->options.similar > 0;
}

/* keep (n) = is random number first + p below the limit? */
TR_CLONES static void
draw_kept(uint8_t *keep, int32_t n, uint64_t key, uint64_t first, uint64_t limit)
{
	for (int32_t p = 0; p < n; p++)
		keep[p] = tr_random_of(key, first + (uint64_t) p) < limit;
}

/* keep (n), by the user's n posts: all of them, or a share that is itself random; the post at `own` never counts. */
static void
choose_posts(Dae *m, int32_t post, int32_t n, int32_t own)
{
	DaeKnown   *k = &m->known;
	uint64_t	draw = (uint64_t) post << 32;
	uint64_t	share;

	k->thinned = dae_uses_history(m)
		&& tr_uniform_of(m->keys.history, draw | 0xffffffff) < (float) m->options.history_dropout;
	if (k->thinned)
	{
		/* a uniform number is 24 bits: below the share is below its bits, whatever follows them */
		share = tr_random_of(m->keys.history, draw) >> 40 << 40;
		draw_kept(k->keep, n, m->keys.history, draw + 1, share);
	}
	else
		memset(k->keep, 1, (size_t) n);
	k->keep[own] = 0;
}

/* ------------------------------------------------------------------ profiles */

static TrSparse
profile_of(const TrProfileTable *table, int32_t entity, const float *count)
{
	int64_t		first = table->entry_ptr[entity];

	return (TrSparse) {.n = (int32_t) (table->entry_ptr[entity + 1] - first), .index = table->tag + first,
	.value = count ? count : table->count + first};
}

/* count (entries of the user's profile) = how many of the kept posts have the tag */
static void
count_kept(const Dae *m, int32_t user, float *count)
{
	const TrProfileTable *table = &m->dataset->user;
	const uint8_t *keep = m->known.keep;
	int32_t		first = m->dataset->user_ptr[user];
	int64_t		from = table->entry_ptr[user];

	for (int64_t e = from; e < table->entry_ptr[user + 1]; e++)
	{
		int32_t		n = 0;

		for (int64_t at = table->occurrence_ptr[e]; at < table->occurrence_ptr[e + 1]; at++)
			n += keep[table->post[at] - first];
		count[e - from] = (float) n;
	}
}

void
dae_know(Dae *m, int32_t post)
{
	const TrDataset *d = m->dataset;
	DaeKnown   *k = &m->known;
	int32_t		user = d->post_user[post];
	int32_t		item = d->post_item[post];
	int32_t		first = d->user_ptr[user];
	const int32_t *own = d->post_tag + d->post_ptr[post];
	int32_t		n_own = (int32_t) (d->post_ptr[post + 1] - d->post_ptr[post]);
	TrSparse	user_tags = profile_of(&d->user, user, NULL);
	TrSparse	item_tags = profile_of(&d->item, item, NULL);

	choose_posts(m, post, d->user_ptr[user + 1] - first, post - first);
	if (k->thinned)
		count_kept(m, user, k->user_count);
	else
		tr_counts_without(&user_tags, own, n_own, k->user_count);
	tr_counts_without(&item_tags, own, n_own, k->item_count);
	k->user = profile_of(&d->user, user, k->user_count);
	k->item = profile_of(&d->item, item, k->item_count);
}

/* ------------------------------------------------------------------ similar items */

/* The weight (n) that stands beside a tag; 0 where the tag is not. A profile is short: to look at all of it is quickest. */
TR_CLONES static float
weight_of(int32_t wanted, const int32_t *tag, const float *weight, int32_t n)
{
	float		sum = 0;

	for (int32_t e = 0; e < n; e++)
		sum += tag[e] == wanted ? weight[e] : 0;
	return sum;
}

/*
 * less = the n tags, which count once less in the item's profile. In the unit profile such a tag weighs
 * ln(count) / ln(1 + count) of what it did. Returns the squared length that is left.
 */
static double
take_away(const Dae *m, int32_t item, const int32_t *tag, int32_t n, DaeLess *less)
{
	const TrProfileTable *table = &m->dataset->item;
	const float *weights = m->neighbours.weight;
	int64_t		first = table->entry_ptr[item];
	int32_t		entries = (int32_t) (table->entry_ptr[item + 1] - first);
	double		squares = 1;

	for (int32_t i = 0; i < n; i++)
	{
		float		count = weight_of(tag[i], table->tag + first, table->count + first, entries);
		double		weight = weight_of(tag[i], table->tag + first, weights + first, entries);
		double		left = log(fmax(count, 1)) / log1p(count);

		less[i] = (DaeLess) {.tag = tag[i], .weight = weight, .change = 1 - left};
		squares -= weight * weight * (1 - left * left);
	}
	return squares;
}

/* The cosine of the item whose profile lost n tags and had `squares` left, and another one, from what it was before. */
static float
cosine_without(const Dae *m, float cosine, int32_t other, const DaeLess *less, int32_t n, double squares)
{
	const TrProfileTable *table = &m->dataset->item;
	int64_t		first = table->entry_ptr[other];
	int32_t		entries = (int32_t) (table->entry_ptr[other + 1] - first);
	double		dot = cosine;

	for (int32_t i = 0; i < n; i++)
		dot -= less[i].weight * weight_of(less[i].tag, table->tag + first, m->neighbours.weight + first, entries)
			* less[i].change;
	return squares > 1e-6 && dot > 0 ? (float) (dot / sqrt(squares)) : 0;
}

/* match = those of the items like this one that the user has among his kept posts; returns how many */
static int32_t
match_items(Dae *m, const TrSparse *similar, const int32_t *user_item, int32_t n)
{
	DaeKnown   *k = &m->known;
	int32_t		matches = 0;

	for (int32_t p = 0; p < n; p++)
		k->position[user_item[p]] = k->keep[p] * (p + 1);
	for (int32_t i = 0; i < similar->n; i++)
	{
		int32_t		position = k->position[similar->index[i]];

		k->match[matches] = (DaeMatch) {.similar = i, .position = position - 1};
		matches += position > 0;
	}
	for (int32_t p = 0; p < n; p++)
		k->position[user_item[p]] = 0;
	return matches;
}

/*
 * extra (T) += similar * cosine for every tag of the user's posts on items like this one, as they would be found if the tags
 * that are to be predicted had not been given: the cosine must not tell what it is meant to help to find.
 */
void
dae_add_similar(Dae *m, int32_t post, const int32_t *dropped, int32_t n_dropped)
{
	const TrDataset *d = m->dataset;
	DaeKnown   *k = &m->known;
	int32_t		item = d->post_item[post];
	int32_t		first = d->user_ptr[d->post_user[post]];
	TrSparse	similar = tr_tag_neighbours_of(&m->neighbours, item);
	int32_t		n = match_items(m, &similar, d->post_item + first, d->user_ptr[d->post_user[post] + 1] - first);
	double		squares = n > 0 ? take_away(m, item, dropped, n_dropped, k->less) : 1;

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		other = similar.index[k->match[i].similar];
		float		cosine = cosine_without(m, similar.value[k->match[i].similar], other, k->less, n_dropped, squares);
		int32_t		its_post = first + k->match[i].position;

		for (int64_t at = d->post_ptr[its_post]; at < d->post_ptr[its_post + 1]; at++)
			m->prior.extra[d->post_tag[at]] += (float) m->options.similar * cosine;
	}
}

/* ------------------------------------------------------------------ life */

/* The most posts of a user, and the most entries of a profile of either side */
static void
measure(const TrDataset *d, size_t *posts, size_t *entries)
{
	*posts = *entries = 1;
	for (int32_t u = 0; u < d->n_users; u++)
	{
		size_t		n = (size_t) (d->user_ptr[u + 1] - d->user_ptr[u]);
		size_t		tags = (size_t) (d->user.entry_ptr[u + 1] - d->user.entry_ptr[u]);

		*posts = n > *posts ? n : *posts;
		*entries = tags > *entries ? tags : *entries;
	}
	for (int32_t i = 0; i < d->n_items; i++)
	{
		size_t		tags = (size_t) (d->item.entry_ptr[i + 1] - d->item.entry_ptr[i]);

		*entries = tags > *entries ? tags : *entries;
	}
}

static TrStatus
create_neighbours(Dae *m, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	DaeKnown   *k = &m->known;

	TR_TRY(tr_tag_neighbours_create(&m->neighbours, memory, m->dataset, m->options.neighbours, err));
	k->position = tr_calloc(memory, (size_t) m->layout.I + 1, sizeof(int32_t));
	k->match = tr_alloc(memory, ((size_t) m->neighbours.limit + 1) * sizeof(DaeMatch));
	k->less = tr_alloc(memory, ((size_t) m->layout.T + 1) * sizeof(DaeLess));
	if (!k->position || !k->match || !k->less)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	return TR_OK;
}

TrStatus
dae_known_create(Dae *m, TrError *err)
{
	const TrDataset *d = m->dataset;
	TrMemory   *memory = m->model.memory;
	DaeKnown   *k = &m->known;
	size_t		posts;
	size_t		entries;
	bool		done;

	measure(d, &posts, &entries);
	k->keep = tr_alloc(memory, posts);
	k->user_count = tr_alloc(memory, entries * sizeof(float));
	k->item_count = tr_alloc(memory, entries * sizeof(float));
	done = k->keep && k->user_count && k->item_count;
	if (m->layout.parts > 0)
		done = done
			&& tr_tag_logs_init(memory, &k->user_logs, m->log_share, d->n_tags, m->options.user_smoothing, &d->user)
			&& tr_tag_logs_init(memory, &k->item_logs, m->log_share, d->n_tags, m->options.item_smoothing, &d->item);
	if (!done)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for planning batches");
	return dae_has_neighbours(m) ? create_neighbours(m, err) : TR_OK;
}

void
dae_known_destroy(Dae *m)
{
	TrMemory   *memory = m->model.memory;
	DaeKnown   *k = &m->known;

	tr_free(memory, k->keep);
	tr_free(memory, k->user_count);
	tr_free(memory, k->item_count);
	tr_free(memory, k->position);
	tr_free(memory, k->match);
	tr_free(memory, k->less);
	tr_tag_logs_free(memory, &k->user_logs);
	tr_tag_logs_free(memory, &k->item_logs);
	tr_tag_neighbours_free(&m->neighbours);
}
