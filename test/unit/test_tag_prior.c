/*
 * Counting tags, against sums over the assignments: the prior of a post, with the post left out by taking its assignments
 * away first, and the items like an item.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/tag_post.h"
#include "core/topn.h"
#include "models/tags/tag_neighbours.h"
#include "models/tags/tag_prior.h"

extern const TrBackendOps *tagrec_backend_ops(void);

#define USERS 7
#define ITEMS 11
#define TAGS 13
#define EXACT 1e-5

static TrMemory memory;
static TrDataset dataset;
static bool given[USERS][ITEMS][TAGS];

/* About a third of the posts, each with up to four tags; the last tag is nobody's, the last item has none. */
static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t i = 0; i < ITEMS - 1; i++)
			for (uint64_t k = 0; k < 4; k++)
			{
				int32_t		tag = (int32_t) tr_below(7, 1, (uint64_t) (u * ITEMS + i), k, TAGS - 1);

				if (tr_uniform(7, 2, (uint64_t) (u * ITEMS + i), 0) > 0.4f)
					continue;
				given[u][i][tag] = true;
				tr_assignments_add(&a, u, i, tag, false, 0);
			}
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

static double
share(int32_t tag)
{
	double		uses = 0;

	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
			uses += given[u][i][tag];
	return (uses + 0.5) / ((double) dataset.n_assignments + 0.5 * TAGS);
}

/* ------------------------------------------------------------------ similar items */

static double
profile_weight(int32_t item, int32_t tag)
{
	int			count = 0;
	int			items = 0;

	for (int u = 0; u < USERS; u++)
		count += given[u][item][tag];
	for (int i = 0; i < ITEMS; i++)
	{
		bool		any = false;

		for (int u = 0; u < USERS; u++)
			any |= given[u][i][tag];
		items += any;
	}
	return count > 0 ? log1p(count) * log((double) ITEMS / items) : 0;
}

static double
cosine(int32_t i, int32_t j)
{
	double		ij = 0,
				ii = 0,
				jj = 0;

	for (int t = 0; t < TAGS; t++)
	{
		ij += profile_weight(i, t) * profile_weight(j, t);
		ii += profile_weight(i, t) * profile_weight(i, t);
		jj += profile_weight(j, t) * profile_weight(j, t);
	}
	return ij > 0 ? ij / sqrt(ii * jj) : 0;
}

/* How many items are strictly closer to i than j is. */
static int
closer(int32_t i, int32_t j)
{
	int			count = 0;

	for (int32_t other = 0; other < ITEMS; other++)
		count += other != i && cosine(i, other) > cosine(i, j) + EXACT;
	return count;
}

static void
test_neighbours(int limit)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrModel		model = {.memory = own, .dataset = &dataset, .n_tags = TAGS};
	TrTagNeighbours n;
	bool		right = true;

	CHECK(tr_tag_neighbours_create(&n, &model, limit, NULL) == TR_OK, "%d neighbours", limit);
	for (int32_t i = 0; i < ITEMS; i++)
	{
		TrSparse	near = tr_tag_neighbours_of(&n, i);
		int32_t		like = 0;

		for (int32_t j = 0; j < ITEMS; j++)
			like += j != i && cosine(i, j) > 0;
		right &= near.n == (like < limit ? like : limit);
		for (int32_t e = 0; e < near.n; e++)
			right &= near.index[e] != i && (e == 0 || near.index[e] > near.index[e - 1])
				&& fabs(near.value[e] - cosine(i, near.index[e])) < EXACT && closer(i, near.index[e]) < limit;
	}
	CHECK(right, "the nearest items by the cosine of their tags, at most %d", limit);
	tr_memory_end_child(own);
}

/* Items of a catalogue that is looked through in several pieces, by several threads. */
#define MANY 9000

static bool
count_polls(void *argument)
{
	return ++*(int *) argument < 0;
}

static void
make_large(TrDataset *large, int32_t n_items, int32_t n_tags)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t i = 0; i < n_items; i++)
		for (uint64_t k = 0; k < 3; k++)
			tr_assignments_add(&a, 0, i, (int32_t) tr_below(7, 3, (uint64_t) i, k, (uint32_t) n_tags), false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(large, &a, 1, n_items, n_tags, NULL);
	tr_assignments_free(&a);
}

/* The cosine of two unit profiles */
static float
product(const TrTagNeighbours *n, int32_t i, int32_t j)
{
	const TrProfileTable *items = &n->dataset->item;
	float		sum = 0;

	for (int64_t e = items->entry_ptr[i]; e < items->entry_ptr[i + 1]; e++)
		for (int64_t f = items->entry_ptr[j]; f < items->entry_ptr[j + 1]; f++)
			sum += items->tag[e] == items->tag[f] ? n->weight[e] * n->weight[f] : 0;
	return sum;
}

/* Are those found of an item its best, as a heap of all of them has it? */
static bool
are_nearest(TrTagNeighbours *n, int32_t item)
{
	TrSparse	near = tr_tag_neighbours_found(n, item);
	TrScored	room[200];
	TrTopN		top;
	bool		same;

	tr_topn_init(&top, room, n->limit);
	for (int32_t j = 0; j < n->dataset->n_items; j++)
		if (j != item && product(n, item, j) > 0)
			tr_topn_offer(&top, product(n, item, j), j);
	qsort(room, (size_t) top.count, sizeof(TrScored), tr_scored_by_index);
	same = near.n == top.count;
	for (int32_t e = 0; same && e < near.n; e++)
		same = near.index[e] == room[e].index && near.value[e] == room[e].score;
	return same;
}

static void
test_many_items(const TrBackendOps *ops, int threads, int limit)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrBackendConfig config = {.threads = threads};
	TrDataset	large;
	TrModel		model = {.memory = own, .dataset = &large};
	TrShape		shape;
	TrTagNeighbours n;
	int			polls = 0;
	TrPoll		poll = {.stop = count_polls, .argument = &polls};
	bool		right = true;

	make_large(&large, MANY, 400);
	shape = (TrShape) {1, MANY, large.n_tags, large.n_posts, large.n_assignments};
	model.n_tags = large.n_tags;
	ops->open(&model.backend, &config, NULL);
	CHECK_EQUAL(tr_tag_neighbours_create(&n, &model, limit, NULL), TR_OK, "%d neighbours of %d items", limit, MANY);
	CHECK_EQUAL(tr_tag_neighbours_find(&n, model.backend, &poll), TR_OK, "are found");
	for (int32_t i = 0; i < MANY; i += 97)
		right &= are_nearest(&n, i);
	CHECK(right, "the %d nearest of %d items, %d threads", limit, MANY, threads);
	CHECK(polls * 64 * threads >= MANY, "%d polls", polls);
	CHECK(own->peak <= tr_tag_neighbours_estimate(&shape, limit), "%zu bytes were announced", own->peak);
	CHECK(own->used < own->peak, "the threads' work space goes");
	polls = -100;
	CHECK(tr_tag_neighbours_find(&n, model.backend, &poll) == TR_OK && polls == -100, "what is found stays");
	model.backend->ops->close(model.backend);
	tr_dataset_free(&large);
	tr_memory_end_child(own);
}

/* Items of which most share a tag: there is no room for all that are like an item. */
#define MOST 30000

/* Not the first time */
static bool
stop_soon(void *argument)
{
	return ++*(int *) argument > 1;
}

static void
test_common_tags(void)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrBackendConfig config = {.threads = 1};
	TrDataset	large;
	TrModel		model = {.memory = own, .dataset = &large, .n_tags = 3};
	TrTagNeighbours n;
	int			polls = 0;
	TrPoll		poll = {.stop = stop_soon, .argument = &polls};
	int32_t		found = 0;
	bool		right = true;

	make_large(&large, MOST, 3);
	tr_plain_ops.open(&model.backend, &config, NULL);
	CHECK_EQUAL(tr_tag_neighbours_create(&n, &model, 20, NULL), TR_OK, "few tags of %d items", MOST);
	CHECK_EQUAL(tr_tag_neighbours_find(&n, model.backend, &poll), TR_CANCELLED, "the search is cancelled");
	for (int32_t i = 0; i < MOST; i++)
		found += n.count[i] >= 0;
	CHECK(found > 0 && found < 64, "by a poll after %d items that are like very many", (int) found);
	for (int32_t i = 0; i < MOST; i += MOST / 10)
	{
		(void) tr_tag_neighbours_of(&n, i);
		right &= are_nearest(&n, i);
	}
	CHECK(right, "the nearest of very many items with the same tags, the smaller of equal ones");
	model.backend->ops->close(model.backend);
	tr_dataset_free(&large);
	tr_memory_end_child(own);
}

/* ------------------------------------------------------------------ the prior */

static double
naive_score(const TrTagPrior *prior, const TrPost *post, int32_t user, int32_t item, int32_t tag)
{
	double		p = share(tag);
	double		by_user = prior->user_smoothing * p;
	double		to_item = prior->item_smoothing * p;

	for (int32_t i = 0; user >= 0 && i < ITEMS; i++)
	{
		double		like = 0;

		for (int32_t e = 0; e < post->similar.n; e++)
			if (post->similar.index[e] == i)
				like = post->similar.value[e];
		if (i != item && given[user][i][tag])
			by_user += 1 + prior->similar * like;
	}
	for (int32_t u = 0; item >= 0 && u < USERS; u++)
		to_item += u != user && given[u][item][tag];
	return log(by_user) + log(to_item) - prior->popularity * log(p);
}

/* The largest difference between two scores of this post that are meant to differ by the same constant for every tag. */
static double
worst(const TrTagPrior *prior, const TrPost *post, int32_t user, int32_t item)
{
	int32_t		tag[2 * TAGS];
	float		value[2 * TAGS];
	float		score[TAGS];
	double		apart = 0;
	double		shift;

	tr_tag_prior_scores(prior, post, tag, value, score);
	shift = score[0] - naive_score(prior, post, user, item, 0);
	for (int32_t t = 1; t < TAGS; t++)
		apart = fmax(apart, fabs(score[t] - naive_score(prior, post, user, item, t) - shift));
	return apart;
}

static void
test_prior(double similar, double popularity)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrModel		model = {.memory = own, .dataset = &dataset, .n_tags = TAGS};
	TrTagNeighbours n;
	TrPostBlock block;
	float		log_share[TAGS];
	float		extra[TAGS] = {0};
	TrTagPrior	prior = {.n_tags = TAGS, .log_share = log_share, .user_smoothing = 2, .item_smoothing = 5,
	.popularity = popularity, .similar = similar, .extra = extra};
	double		apart = 0;

	tr_tag_log_shares(log_share, &memory, &dataset, NULL);
	CHECK_NEAR(log_share[3], log(share(3)), EXACT, "overall shares");
	CHECK_NEAR(log_share[TAGS - 1], log(share(TAGS - 1)), EXACT, "and that of a tag nobody used");
	tr_tag_neighbours_create(&n, &model, 4, NULL);
	tr_post_block_init(&block, &memory, NULL, &dataset, 1, NULL);
	for (int32_t u = -1; u < USERS; u++)
		for (int32_t i = -1; i < ITEMS; i++)
		{
			tr_post_block_set(&block, 0, u, i, NULL);
			if (i >= 0)
				block.post[0].similar = tr_tag_neighbours_of(&n, i);
			apart = fmax(apart, worst(&prior, &block.post[0], u, i));
		}
	CHECK_NEAR(apart, 0, 10 * EXACT, "the prior of every post, similar %g, popularity %g", similar, popularity);
	tr_post_block_free(&block);
	tr_memory_end_child(own);
}

/*
 * Is a part, from counts that this post was taken out of, what serving makes of the post? With what is added, if anything.
 */
static bool
same_part(const TrTagLogs *logs, const TrTagPrior *prior, const TrPost *post, TrSide side, float *extra)
{
	const TrSparse *profile = side == TR_USER ? &post->user_tags : &post->item_tags;
	float		count[TAGS];
	TrSparse	counts = {.n = profile->n, .index = profile->index, .value = count};
	int32_t		tag[2][TAGS];
	float		value[2][TAGS];
	int32_t		n_own;
	const int32_t *own = tr_post_own_tags(post, &n_own);
	int32_t		n = side == TR_USER ? tr_tag_prior_user(prior, post, tag[0], value[0])
		: tr_tag_prior_item(prior, post, tag[0], value[0]);

	tr_counts_without(profile, own, n_own, count);
	return tr_tag_logs_part(logs, &counts, extra, tag[1], value[1]) == n
		&& memcmp(tag[0], tag[1], (size_t) n * sizeof(int32_t)) == 0
		&& memcmp(value[0], value[1], (size_t) n * sizeof(float)) == 0;
}

/* extra (T) = similar * cosine for the tags of the user's other posts */
static void
add_similar(const TrPost *post, double similar, float *extra)
{
	memset(extra, 0, TAGS * sizeof(float));
	for (int32_t p = 0; p < post->n_posts; p++)
		for (int32_t e = 0; e < post->similar.n && p != post->own; e++)
			for (int32_t at = p > 0 ? post->post_end[p - 1] : 0; at < post->post_end[p]; at++)
				if (post->similar.index[e] == post->post_item[p])
					extra[post->post_tag[at]] += (float) similar * post->similar.value[e];
}

/* Kept logarithms, up to the largest counts or, from a table of nothing, none at all, change no bit. */
static void
test_logs(double similar, const TrProfileTable *user, const TrProfileTable *item)
{
	TrMemory   *own = tr_memory_child(&memory);
	TrModel		model = {.memory = own, .dataset = &dataset, .n_tags = TAGS};
	TrTagNeighbours n;
	TrPostBlock block;
	TrTagLogs	logs[2];
	float		log_share[TAGS];
	float		extra[2][TAGS] = {{0}};
	TrTagPrior	prior = {.n_tags = TAGS, .log_share = log_share, .user_smoothing = 2, .item_smoothing = 5,
	.popularity = 1, .similar = similar, .extra = extra[0]};
	bool		same = true;

	tr_tag_log_shares(log_share, &memory, &dataset, NULL);
	tr_tag_neighbours_create(&n, &model, 4, NULL);
	tr_post_block_init(&block, &memory, NULL, &dataset, 1, NULL);
	tr_tag_logs_init(&logs[TR_USER], &model, log_share, prior.user_smoothing, user);
	tr_tag_logs_init(&logs[TR_ITEM], &model, log_share, prior.item_smoothing, item);
	for (int32_t p = 0; p < dataset.n_posts; p++)
	{
		TrPost	   *post = &block.post[0];

		tr_post_block_set(&block, 0, dataset.post_user[p], dataset.post_item[p], NULL);
		post->similar = tr_tag_neighbours_of(&n, dataset.post_item[p]);
		add_similar(post, similar, extra[1]);
		same &= same_part(&logs[TR_USER], &prior, post, TR_USER, similar > 0 ? extra[1] : NULL)
			&& same_part(&logs[TR_ITEM], &prior, post, TR_ITEM, NULL);
	}
	CHECK(same, "the parts of every post, similar %g, with logarithms of %d entries kept", similar, (int) user->n_entries);
	tr_post_block_free(&block);
	tr_memory_end_child(own);
}

int
main(void)
{
	size_t		used;

	tr_memory_init(&memory, 0);
	make_data();
	used = memory.used;
	test_neighbours(1);
	test_neighbours(3);
	test_neighbours(1000);
	test_prior(0, 1);
	test_prior(0, 0.8);
	test_prior(20, 1);
	test_logs(0, &dataset.user, &dataset.item);
	test_logs(20, &dataset.user, &dataset.item);
	test_logs(20, &(TrProfileTable) {0}, &(TrProfileTable) {0});
	test_many_items(&tr_plain_ops, 1, 10);
	test_common_tags();
#ifndef TR_NO_BLAS
	test_many_items(tagrec_backend_ops(), 3, 200);
#endif
	CHECK(memory.used == used, "all memory is given back");
	tr_memory_release(&memory);
	return check_done();
}
