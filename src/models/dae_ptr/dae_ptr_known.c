/*
 * What is known of a post's user and item while training, the post itself left out: tag profiles, in an epoch perhaps of a
 * random share of the user's posts alone, and the user's posts on items like the post's. Planners ask for it side by side.
 *
 * Nothing here is sorted that the dataset has in order: a profile's entries know their posts, and the user's items ascend,
 * as similar ones do. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "core/simd.h"
#include "models/dae_ptr/dae_ptr.h"

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
choose_posts(const Dae *m, DaePlanner *k, int32_t post, int32_t n, int32_t own)
{
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

void
dae_most_used(const float *count, int32_t n, int32_t most, uint8_t *read, TrScored *best)
{
	TrTopN		top;

	memset(read, n <= most, (size_t) n);
	if (n <= most)
		return;
	tr_topn_init(&top, best, most);
	for (int32_t e = 0; e < n; e++)
		tr_topn_offer(&top, count[e], e);
	for (int32_t i = 0; i < top.count; i++)
		read[best[i].index] = 1;
}

/*
 * entry, tag, read = the entries of a profile that the step asks for, from the first on: the most used tags, which are
 * input, and those that its softmax is over. Returns how many.
 */
static int32_t
choose_entries(const Dae *m, TrSide side, int32_t entity, int32_t *entry, int32_t *tag, uint8_t *read)
{
	const TrProfileTable *table = side == TR_USER ? &m->model.dataset->user : &m->model.dataset->item;
	int64_t		first = table->entry_ptr[entity];
	int32_t		entries = (int32_t) (table->entry_ptr[entity + 1] - first);
	const uint8_t *most_used = m->known.most_used[side] ? m->known.most_used[side] + first : NULL;
	int32_t		n = 0;

	for (int32_t e = 0; e < entries; e++)
	{
		entry[n] = e;
		tag[n] = table->tag[first + e];
		read[n] = !most_used || most_used[e];
		n += read[n] || tr_tag_sample_has(&m->sample, tag[n]);
	}
	return n;
}

/* count (n) = how many of the kept posts have the tag of these entries of the user's profile */
static void
count_kept(const Dae *m, const uint8_t *keep, int32_t user, const int32_t *entry, int32_t n, float *count)
{
	const TrProfileTable *table = &m->model.dataset->user;
	int32_t		first = m->model.dataset->user_ptr[user];
	const int64_t *ptr = table->occurrence_ptr + table->entry_ptr[user];

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		kept = 0;

		for (int64_t at = ptr[entry[i]]; at < ptr[entry[i] + 1]; at++)
			kept += keep[table->post[at] - first];
		count[i] = (float) kept;
	}
}

/* count (profile->n) = those of the table, the post's tags counted once less */
static void
count_without(const Dae *m, const TrProfileTable *table, int32_t entity, const int32_t *entry, int32_t post,
			  TrSparse *profile, float *count)
{
	const TrDataset *d = m->model.dataset;
	const float *all = table->count + table->entry_ptr[entity];
	int64_t		first = d->post_ptr[post];

	for (int32_t i = 0; i < profile->n; i++)
		count[i] = all[entry[i]];
	profile->value = count;
	tr_counts_without(profile, d->post_tag + first, (int32_t) (d->post_ptr[post + 1] - first), count);
}

void
dae_know(const Dae *m, DaePlanner *k, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int32_t		user = d->post_user[post];
	int32_t		item = d->post_item[post];
	int32_t		first = d->user_ptr[user];

	choose_posts(m, k, post, d->user_ptr[user + 1] - first, post - first);
	k->user = (TrSparse) {
		choose_entries(m, TR_USER, user, k->entry, k->user_tag, k->user_read), k->user_tag, k->user_count
	};
	if (k->thinned)
		count_kept(m, k->keep, user, k->entry, k->user.n, k->user_count);
	else
		count_without(m, &d->user, user, k->entry, post, &k->user, k->user_count);
	k->item = (TrSparse) {
		choose_entries(m, TR_ITEM, item, k->entry, k->item_tag, k->item_read), k->item_tag, k->item_count
	};
	count_without(m, &d->item, item, k->entry, post, &k->item, k->item_count);
}

/* ------------------------------------------------------------------ memory */

void
dae_fetch_post(const Dae *m, int32_t post)
{
	const TrDataset *d = m->model.dataset;

	__builtin_prefetch(&d->post_user[post]);
	__builtin_prefetch(&d->post_item[post]);
	__builtin_prefetch(&d->post_ptr[post]);
}

void
dae_fetch_places(const Dae *m, int32_t post)
{
	const TrDataset *d = m->model.dataset;

	__builtin_prefetch(&d->post_tag[d->post_ptr[post]]);
	__builtin_prefetch(&d->user_ptr[d->post_user[post]]);
	__builtin_prefetch(&d->user.entry_ptr[d->post_user[post]]);
	__builtin_prefetch(&d->item.entry_ptr[d->post_item[post]]);
	if (dae_has_neighbours(m))
		__builtin_prefetch(&m->neighbours.count[d->post_item[post]]);
}

#define LINE 64

/* The first of some bytes; where there are more, what reads them one after the other has the next ones fetched */
static inline void
fetch(const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes && at < 4 * LINE; at += LINE)
		__builtin_prefetch((const char *) from + at);
}

static void
fetch_profile(const DaeKnown *k, const TrProfileTable *table, TrSide side, int32_t entity)
{
	int64_t		first = table->entry_ptr[entity];
	size_t		n = (size_t) (table->entry_ptr[entity + 1] - first);

	fetch(table->tag + first, n * sizeof(int32_t));
	fetch(table->count + first, n * sizeof(float));
	if (k->most_used[side])
		fetch(k->most_used[side] + first, n);
}

void
dae_fetch_profiles(const Dae *m, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int32_t		user = d->post_user[post];
	int32_t		item = d->post_item[post];

	fetch_profile(&m->known, &d->user, TR_USER, user);
	fetch_profile(&m->known, &d->item, TR_ITEM, item);
	fetch(&d->user.occurrence_ptr[d->user.entry_ptr[user]], 2 * LINE);
	__builtin_prefetch(&d->post_item[d->user_ptr[user]]);
	__builtin_prefetch(&d->post_ptr[d->user_ptr[user]]);
	if (dae_has_neighbours(m))
		fetch(m->neighbours.index + (size_t) item * (size_t) m->neighbours.limit, 4 * LINE);
}

/* ------------------------------------------------------------------ similar items */

/* What stands beside a tag in value (n); 0 where the tag is not. A profile is short: to look at all of it is quickest. */
TR_CLONES static float
value_of(int32_t wanted, const int32_t *tag, const float *value, int32_t n)
{
	float		sum = 0;

	for (int32_t e = 0; e < n; e++)
		sum += tag[e] == wanted ? value[e] : 0;
	return sum;
}

/* out (n) = the values (entries of the items' profiles) of n tags in one item's profile */
static void
look_up(const Dae *m, int32_t item, const int32_t *tag, int32_t n, const float *value, DaeWord *out)
{
	const TrProfileTable *table = &m->model.dataset->item;
	int64_t		first = table->entry_ptr[item];
	int32_t		entries = (int32_t) (table->entry_ptr[item + 1] - first);

	for (int32_t i = 0; i < n; i++)
		out[i].real = value_of(tag[i], table->tag + first, value + first, entries);
}

/* match = those of the items like this one that the user has, both of which ascend; returns how many */
static int32_t
match_items(DaeMatch *match, const TrSparse *similar, const int32_t *user_item, int32_t n)
{
	int32_t		matches = 0;
	int32_t		from = 0;

	for (int32_t p = 0; p < n && from < similar->n; p++)
	{
		int32_t		end = similar->n;

		while (from < end)
		{
			int32_t		middle = from + (end - from) / 2;

			if (similar->index[middle] < user_item[p])
				from = middle + 1;
			else
				end = middle;
		}
		if (from < similar->n && similar->index[from] == user_item[p])
			match[matches++] = (DaeMatch) {.similar = from++, .position = p};
	}
	return matches;
}

/* Words for n matches of a post with so many tags, see DaeKnown.matches */
static size_t
match_words(size_t n, size_t tags)
{
	return 1 + 2 * tags + n * (2 + tags);
}

static const DaeWord *
find_matches(const Dae *m, DaePlanner *k, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	int32_t		item = d->post_item[post];
	int32_t		first = d->user_ptr[d->post_user[post]];
	const int32_t *tag = d->post_tag + d->post_ptr[post];
	int32_t		n_tags = (int32_t) (d->post_ptr[post + 1] - d->post_ptr[post]);
	TrSparse	similar = tr_tag_neighbours_found(&m->neighbours, item);
	int32_t		n = match_items(k->match, &similar, d->post_item + first, d->user_ptr[d->post_user[post] + 1] - first);
	size_t		words = match_words((size_t) n, (size_t) n_tags);
	bool		room = k->used + words <= k->room;
	DaeWord    *matches = room ? k->matches + k->used : k->spare;
	DaeWord    *at = matches + 1 + 2 * n_tags;

	if (room)
	{
		m->known.matches_of[post] = matches;
		k->used += words;
	}
	matches->whole = n;
	look_up(m, item, tag, n_tags, d->item.count, matches + 1);
	look_up(m, item, tag, n_tags, m->neighbours.weight, matches + 1 + n_tags);
	for (int32_t i = 0; i < n; i++, at += 2 + n_tags)
	{
		at[0].whole = k->match[i].position;
		at[1].real = similar.value[k->match[i].similar];
		look_up(m, similar.index[k->match[i].similar], tag, n_tags, m->neighbours.weight, at + 2);
	}
	return matches;
}

/*
 * less = the n dropped ones of the post's tags, which count once less in the item's profile. In the unit profile such a tag
 * weighs ln(count) / ln(1 + count) of what it did. Returns the squared length that is left.
 */
static double
take_away(const DaeWord *count, const DaeWord *weights, const int32_t *dropped, int32_t n, DaeLess *less)
{
	double		squares = 1;

	for (int32_t i = 0; i < n; i++)
	{
		double		weight = weights[dropped[i]].real;
		float		its_count = count[dropped[i]].real;
		double		left = log(fmax(its_count, 1)) / log1p(its_count);

		less[i] = (DaeLess) {.weight = weight, .change = 1 - left};
		squares -= weight * weight * (1 - left * left);
	}
	return squares;
}

/* The cosine of a match, without the dropped tags */
static float
cosine_without(const DaeWord *match, const int32_t *dropped, int32_t n, const DaeLess *less, double squares)
{
	double		dot = match[1].real;

	for (int32_t i = 0; i < n; i++)
		dot -= less[i].weight * match[2 + dropped[i]].real * less[i].change;
	return squares > 1e-6 && dot > 0 ? (float) (dot / sqrt(squares)) : 0;
}

/*
 * extra (T) += similar * cosine for every tag of the user's posts on items like this one, as they would be found if
 * the tags that are to be predicted had not been given: the cosine must not tell what it is meant to help to find.
 */
void
dae_add_similar(const Dae *m, DaePlanner *k, int32_t post, int32_t n_dropped)
{
	const TrDataset *d = m->model.dataset;
	int32_t		first = d->user_ptr[d->post_user[post]];
	int32_t		n_tags = (int32_t) (d->post_ptr[post + 1] - d->post_ptr[post]);
	const DaeWord *matches = m->known.matches_of[post] ? m->known.matches_of[post] : find_matches(m, k, post);
	const DaeWord *match = matches + 1 + 2 * n_tags;
	double		squares = take_away(matches + 1, matches + 1 + n_tags, k->dropped_at, n_dropped, k->less);

	for (int32_t i = 0; i < matches->whole; i++, match += 2 + n_tags)
	{
		int32_t		other = first + match->whole;
		float		cosine;

		if (!k->keep[match->whole])
			continue;
		cosine = cosine_without(match, k->dropped_at, n_dropped, k->less, squares);
		for (int64_t at = d->post_ptr[other]; at < d->post_ptr[other + 1]; at++)
			if (tr_tag_sample_has(&m->sample, d->post_tag[at]))
				k->extra[d->post_tag[at]] += (float) m->options.similar * cosine;
	}
}

/* ------------------------------------------------------------------ life */

/* Matches are kept up to so many words; those of other posts are found anew in every epoch. */
#define MOST_MATCH_WORDS (16 << 20)

/* As many as the average post would have at most */
static size_t
words_to_keep(const TrShape *shape, int neighbours)
{
	double		posts = fmax(shape->n_posts, 1);
	double		matches = fmin(neighbours, posts / fmax(shape->n_users, 1));
	double		tags = (double) shape->n_assignments / posts;

	return (size_t) fmin(MOST_MATCH_WORDS, posts * (1 + 2 * tags + matches * (2 + tags)));
}

/* The most posts of a user, entries of a profile of either side, tags of a post */
typedef struct Longest
{
	size_t		posts,
				entries,
				tags;
} Longest;

/* A shape does not tell: a user may have posted on every item, with every tag; but no post has so many tags. */
#define LONG_POST 1000

static Longest
most_of(const TrShape *shape)
{
	size_t		tags = (size_t) fmin(shape->n_tags, (double) shape->n_assignments);

	return (Longest) {.posts = (size_t) fmin(shape->n_items, shape->n_posts), .entries = tags,
	.tags = tags < LONG_POST ? tags : LONG_POST};
}

/* create_post(), of each planner */
static size_t
post_bytes(const Longest *l)
{
	return sizeof(DaePlanner) + l->tags * sizeof(int32_t) + l->posts
		+ l->entries * (3 * sizeof(int32_t) + 2 * sizeof(float) + 2);
}

/* create_matches(), of each planner, but for the words to keep, which all of them have together */
static size_t
similar_bytes(const TrShape *shape, const DaeOptions *o, const Longest *l)
{
	size_t		neighbours = (size_t) fmin(o->neighbours, shape->n_items);
	size_t		matches = neighbours < l->posts ? neighbours : l->posts;

	return (size_t) shape->n_tags * sizeof(float) + neighbours * sizeof(DaeMatch) + l->tags * sizeof(DaeLess)
		+ match_words(matches, l->tags) * sizeof(DaeWord);
}

size_t
dae_known_estimate(const TrShape *shape, const DaeOptions *o)
{
	Longest		l = most_of(shape);
	size_t		bytes = 2 * (size_t) shape->n_assignments + TR_ESTIMATED_THREADS * post_bytes(&l);

	if (o->prior == DAE_NO_PRIOR)
		return bytes;
	bytes += 2 * tr_tag_logs_estimate(shape);
	if (o->similar > 0)
		bytes += tr_tag_neighbours_estimate(shape, o->neighbours) + (size_t) shape->n_posts * sizeof(DaeWord *)
			+ words_to_keep(shape, o->neighbours) * sizeof(DaeWord) + TR_ESTIMATED_THREADS * similar_bytes(shape, o, &l);
	return bytes;
}

static size_t
longest(size_t most, const int64_t *ptr, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		most = (size_t) (ptr[i + 1] - ptr[i]) > most ? (size_t) (ptr[i + 1] - ptr[i]) : most;
	return most;
}

static Longest
measure(const TrDataset *d)
{
	Longest		l = {.posts = 1, .tags = longest(1, d->post_ptr, d->n_posts)};

	for (int32_t u = 0; u < d->n_users; u++)
		l.posts = (size_t) (d->user_ptr[u + 1] - d->user_ptr[u]) > l.posts ? (size_t) (d->user_ptr[u + 1] - d->user_ptr[u])
			: l.posts;
	l.entries = longest(longest(1, d->user.entry_ptr, d->n_users), d->item.entry_ptr, d->n_items);
	return l;
}

/* What a planner needs to know of similar items. */
static void
create_matches(const Dae *m, DaePlanner *p, const Longest *l, size_t room)
{
	TrModel    *model = (TrModel *) &m->model;
	size_t		most = (size_t) m->neighbours.limit < l->posts ? (size_t) m->neighbours.limit : l->posts;

	p->room = room;
	p->extra = TR_NEW(model, float, m->layout.T);
	p->match = TR_NEW(model, DaeMatch, m->neighbours.limit);
	p->less = TR_NEW(model, DaeLess, l->tags);
	p->matches = TR_NEW(model, DaeWord, room);
	p->spare = TR_NEW(model, DaeWord, match_words(most, l->tags));
}

static TrStatus
create_neighbours(Dae *m, const Longest *l, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	TrShape		shape = {.n_users = d->n_users, .n_items = d->n_items, .n_tags = d->n_tags, .n_posts = d->n_posts,
	.n_assignments = d->n_assignments};

	TR_TRY(tr_tag_neighbours_create(&m->neighbours, model, m->options.neighbours, err));
	m->known.matches_of = TR_NEW(model, const DaeWord *, d->n_posts);
	for (int i = 0; i < m->planners; i++)
		create_matches(m, &m->planner[i], l, words_to_keep(&shape, m->options.neighbours) / (size_t) m->planners);
	return tr_enough_memory(model, err, "planning batches");
}

static TrStatus
create_most_used(Dae *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrProfileTable *tables[2] = {[TR_USER] = &model->dataset->user, [TR_ITEM] = &model->dataset->item};
	TrScored   *best = TR_NEW(model, TrScored, m->most_read);

	for (int side = 0; side < 2; side++)
		m->known.most_used[side] = TR_NEW(model, uint8_t, tables[side]->n_entries);
	TR_TRY(tr_enough_memory(model, err, "planning batches"));
	for (int side = 0; side < 2; side++)
		for (int32_t i = 0; i < tables[side]->n_entities; i++)
		{
			int64_t		first = tables[side]->entry_ptr[i];

			dae_most_used(tables[side]->count + first, (int32_t) (tables[side]->entry_ptr[i + 1] - first), m->most_read,
						  m->known.most_used[side] + first, best);
		}
	tr_free(model->memory, best);
	return TR_OK;
}

static void
create_post(TrModel *model, DaePlanner *p, const Longest *l)
{
	p->dropped_at = TR_NEW(model, int32_t, l->tags);
	p->keep = TR_NEW(model, uint8_t, l->posts);
	p->entry = TR_NEW(model, int32_t, l->entries);
	p->user_tag = TR_NEW(model, int32_t, l->entries);
	p->item_tag = TR_NEW(model, int32_t, l->entries);
	p->user_read = TR_NEW(model, uint8_t, l->entries);
	p->item_read = TR_NEW(model, uint8_t, l->entries);
	p->user_count = TR_NEW(model, float, l->entries);
	p->item_count = TR_NEW(model, float, l->entries);
}

TrStatus
dae_known_create(Dae *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	const DaeOptions *o = &m->options;
	DaeKnown   *k = &m->known;
	Longest		l = measure(d);

	for (int i = 0; i < m->planners; i++)
		create_post(model, &m->planner[i], &l);
	if (m->layout.parts > 0)
	{
		tr_tag_logs_init(&k->user_logs, model, m->log_share, o->user_smoothing, &d->user);
		tr_tag_logs_init(&k->item_logs, model, m->log_share, o->item_smoothing, &d->item);
	}
	TR_TRY(tr_enough_memory(model, err, "planning batches"));
	if (o->profiles && (size_t) m->most_read < l.entries)
		TR_TRY(create_most_used(m, err));
	return dae_has_neighbours(m) ? create_neighbours(m, &l, err) : TR_OK;
}
