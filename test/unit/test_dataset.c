/*
 * Assignments and the dataset: duplicates, weights, rare tags, renumbering, and both profile tables against counting by
 * hand on random data.
 */
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include "check.h"
#include "core/dataset.h"
#include "core/rng.h"

static TrMemory memory;

static void
add_all(TrAssignments *a, const int rows[][3], int n)
{
	tr_assignments_init(a, &memory);
	for (int i = 0; i < n; i++)
		tr_assignments_add(a, rows[i][0], rows[i][1], rows[i][2], false, 0);
}

static void
test_distinct(void)
{
	static const int rows[][3] = {{1, 0, 0}, {0, 2, 1}, {1, 0, 0}, {0, 0, 3}, {0, 2, 0}, {1, 0, 0}};
	static const int expected[][3] = {{0, 0, 3}, {0, 2, 0}, {0, 2, 1}, {1, 0, 0}};
	TrAssignments a;
	bool		same = true;

	add_all(&a, rows, 6);
	CHECK(tr_assignments_distinct(&a, NULL) == TR_OK, "distinct runs");
	CHECK_EQUAL(a.count, 4, "a repeated row counts once");
	for (int i = 0; i < 4; i++)
		same &= a.user[i] == expected[i][0] && a.item[i] == expected[i][1] && a.tag[i] == expected[i][2];
	CHECK(same, "sorted by user, item, tag");

	tr_assignments_init(&a, &memory);
	tr_assignments_add(&a, 0, 0, 0, true, 2);
	tr_assignments_add(&a, 0, 0, 1, true, 5);
	tr_assignments_add(&a, 0, 0, 0, true, 3);
	tr_assignments_distinct(&a, NULL);
	CHECK(a.count == 2 && a.weight[0] == 5 && a.weight[1] == 5, "weights of a repeated row add up");

	tr_assignments_init(&a, &memory);
	CHECK(tr_assignments_distinct(&a, NULL) == TR_OK && a.count == 0, "nothing stays nothing");
}

static void
test_drop_and_renumber(void)
{
	static const int rows[][3] = {{0, 0, 0}, {0, 1, 1}, {1, 1, 1}, {2, 0, 2}};
	static const int32_t users[] = {1, -1, 0};
	TrAssignments a;

	add_all(&a, rows, 4);
	tr_assignments_drop_rare_tags(&a, 3, 2);
	CHECK(a.count == 2 && a.tag[0] == 1 && a.tag[1] == 1, "tags used once are gone, once");
	add_all(&a, rows, 4);
	tr_assignments_renumber(&a, users, NULL, NULL);
	CHECK(a.count == 3 && a.user[0] == 1 && a.user[1] == 1 && a.user[2] == 0, "users are renumbered, or dropped");
}

/* Two users with two items and two tags each are a 4-core; what hangs on them comes off round by round. */
static void
test_core(void)
{
	static const int rows[][3] = {
		{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1},
		{1, 2, 2}, {2, 2, 2}, {2, 2, 3}, {2, 2, 4}, {3, 2, 3}
	};
	TrAssignments a;
	int64_t		left[TR_CORE_ROUNDS];
	int			rounds;
	bool		whole = true;

	add_all(&a, rows, 13);
	CHECK(tr_assignments_core(&a, 4, 3, 5, 1, left, &rounds) == TR_OK && a.count == 13 && rounds == 0,
		  "all of it is a 1-core");
	tr_assignments_core(&a, 4, 3, 5, 2, left, &rounds);
	CHECK(rounds == 4 && left[0] == 11 && left[1] == 10 && left[2] == 9 && left[3] == 8 && a.count == 8,
		  "what goes leaves others too few: user 3 and tag 4, tag 3, user 2, item 2 with tag 2");
	for (int64_t i = 0; i < a.count; i++)
		whole &= a.user[i] < 2 && a.item[i] < 2 && a.tag[i] < 2;
	CHECK(whole, "the core stays whole");
	add_all(&a, rows, 13);
	tr_assignments_core(&a, 4, 3, 5, 3, left, &rounds);
	CHECK(a.count == 8 && rounds == 1 && left[0] == 8, "the 3-core is found in one round");
	tr_assignments_core(&a, 4, 3, 5, 5, left, &rounds);
	CHECK(a.count == 0 && rounds == 1 && left[0] == 0, "there is no 5-core");
}

/* Does the table hold what counting the assignments gives? */
static bool
table_is_right(const TrProfileTable *table, const TrAssignments *a, const int32_t *entity, const TrDataset *d)
{
	double		total = 0;

	for (int32_t e = 0; e < table->n_entities; e++)
		for (int64_t entry = table->entry_ptr[e]; entry < table->entry_ptr[e + 1]; entry++)
		{
			double		count = 0;
			double		below = 0;

			for (int64_t i = 0; i < a->count; i++)
				if (entity[i] == e && a->tag[i] == table->tag[entry])
					count += a->weight ? a->weight[i] : 1;
			for (int64_t o = table->occurrence_ptr[entry]; o < table->occurrence_ptr[entry + 1]; o++)
			{
				below += table->weight ? table->weight[o] : 1;
				if ((entity == a->user ? d->post_user : d->post_item)[table->post[o]] != e)
					return false;
			}
			if (count != table->count[entry] || below != count)
				return false;
			if (entry > table->entry_ptr[e] && table->tag[entry] <= table->tag[entry - 1])
				return false;
			total += (double) (table->occurrence_ptr[entry + 1] - table->occurrence_ptr[entry]);
		}
	return total == (double) a->count;
}

static void
test_build(bool weighted)
{
	enum {U = 9, I = 13, T = 6};
	TrAssignments a;
	TrDataset	d;
	bool		posts = true;
	bool		transposed = true;

	tr_assignments_init(&a, &memory);
	for (uint64_t n = 0; n < 300; n++)
		tr_assignments_add(&a, (int32_t) tr_below(7, 1, 0, n, U), (int32_t) tr_below(7, 2, 0, n, I - 1),
						   (int32_t) tr_below(7, 3, 0, n, T), weighted, (float) (1 + n % 4));
	tr_assignments_distinct(&a, NULL);
	CHECK(tr_dataset_build(&d, &a, U, I, T, NULL) == TR_OK, "build, weights %d", weighted);
	for (int32_t p = 1; p < d.n_posts; p++)
		posts &= d.post_user[p] > d.post_user[p - 1]
			|| (d.post_user[p] == d.post_user[p - 1] && d.post_item[p] > d.post_item[p - 1]);
	CHECK(posts && d.user_ptr[0] == 0 && d.user_ptr[U] == d.n_posts, "posts are sorted by user and item");
	for (int32_t i = 0; i < I; i++)
		for (int32_t k = d.item_ptr[i]; k < d.item_ptr[i + 1]; k++)
			transposed &= d.post_item[d.item_post[k]] == i && (k == d.item_ptr[i] || d.item_post[k] > d.item_post[k - 1]);
	CHECK(transposed && d.item_ptr[I] == d.n_posts && d.item_ptr[I] == d.item_ptr[I - 1],
		  "posts by item, the last item without any");
	CHECK(table_is_right(&d.user, &a, a.user, &d), "user profiles");
	CHECK(table_is_right(&d.item, &a, a.item, &d), "item profiles");
	tr_dataset_free(&d);
}

/* One tag of more items than a float can count one by one. */
static void
test_large_counts(void)
{
	int32_t		n = (1 << 24) + 3;
	int32_t    *tag = tr_calloc(&memory, (size_t) n, sizeof(int32_t));
	float	   *count = tr_alloc(&memory, (size_t) n * sizeof(float));
	TrDataset	d = {.n_tags = 1, .n_items = 2 * n};
	float		idf;
	double		assignments;

	for (int32_t e = 0; e < n; e++)
		count[e] = 1;
	d.user = d.item = (TrProfileTable) {.n_entries = n, .tag = tag, .count = count};
	tr_dataset_idf(&idf, &d);
	CHECK(idf == logf((float) (2 * n) / (float) n), "the items of a tag that very many have");
	tr_dataset_count_tags(&assignments, &d);
	CHECK_NEAR(assignments, n, 0, "and its assignments");
	tr_free(&memory, tag);
	tr_free(&memory, count);
}

static void
test_memory_limit(void)
{
	TrMemory	tight;
	TrAssignments a;
	TrDataset	d;
	TrError		err = {0};
	TrStatus	status = TR_OK;

	tr_memory_init(&tight, 200000);
	tr_assignments_init(&a, &tight);
	for (int i = 0; i < 100000 && status == TR_OK; i++)
		status = tr_assignments_add(&a, i, i, 0, false, 0);
	CHECK(status == TR_NO_MEMORY, "adding stops at the limit");
	CHECK(tr_assignments_distinct(&a, &err) == TR_NO_MEMORY && err.message[0], "sorting says it is out of memory");
	CHECK(tr_dataset_build(&d, &a, 100000, 100000, 1, &err) == TR_NO_MEMORY, "so does building");
	tr_memory_release(&tight);
	CHECK_EQUAL(tight.used, 0, "and everything is given back");
}

/* ------------------------------------------------------------------ values, times, rows without a tag */

/* Rows of two pairs: (0, 0) three times, once without a tag, and (1, 2) without any. */
static void
add_valued(TrAssignments *a, TrMerge merge)
{
	static const TrAssignment rows[] = {
		{.user = 1, .item = 2, .tag = TR_NO_TAG, .value = 7, .time = 5},
		{.user = 0, .item = 0, .tag = 1, .value = 4, .time = 30},
		{.user = 0, .item = 0, .tag = TR_NO_TAG, .value = 1, .time = 10},
		{.user = 0, .item = 0, .tag = 0, .value = 1, .time = 20},
	};

	tr_assignments_init(a, &memory);
	tr_assignments_set_columns(a, TR_COLUMN_VALUE | TR_COLUMN_TIME, merge);
	for (int i = 0; i < 4; i++)
		tr_assignments_add_row(a, &rows[i]);
	tr_assignments_distinct(a, NULL);
}

static void
test_values(void)
{
	static const float expected[] = {[TR_MERGE_MEAN] = 2, [TR_MERGE_SUM] = 6, [TR_MERGE_MAX] = 4, [TR_MERGE_LAST] = 4};

	for (int merge = TR_MERGE_MEAN; merge <= TR_MERGE_LAST; merge++)
	{
		TrAssignments a;
		TrDataset	d;

		add_valued(&a, (TrMerge) merge);
		CHECK_EQUAL(a.count, 3, "a row without a tag joins a row of its pair that has one");
		CHECK(tr_dataset_build(&d, &a, 2, 3, 2, NULL) == TR_OK, "a dataset with values");
		CHECK_EQUAL(d.n_posts, 2, "two pairs are two posts");
		CHECK_EQUAL(d.n_assignments, 2, "two tags are two assignments");
		CHECK(d.post_value[0] == expected[merge] && d.post_value[1] == 7, "the values of a pair are merged");
		CHECK(d.post_time[0] == 30 && d.post_time[1] == 5, "the latest time stays");
		CHECK(d.post_ptr[1] == 2 && d.post_ptr[2] == 2, "the second post has no tags");
		CHECK(d.item_ptr[3] - d.item_ptr[2] == 1 && d.item_post[d.item_ptr[2]] == 1, "and is its item's");
		CHECK(d.user.entry_ptr[1] == 2 && d.user.entry_ptr[2] == 2, "and its user has no profile");
		tr_dataset_free(&d);
		tr_assignments_free(&a);
	}
}

/* Dropping and renumbering go by what rows have. */
static void
test_untagged(void)
{
	static const int32_t items[] = {1, -1, 0};
	TrAssignments a;
	TrDataset	d;
	int64_t		left[TR_CORE_ROUNDS];
	int			rounds;

	add_valued(&a, TR_MERGE_SUM);
	tr_assignments_drop_rare_tags(&a, 2, 2);
	CHECK(a.count == 1 && a.user[0] == 1 && a.value[0] == 7, "a row without a tag has no rare tag");
	tr_assignments_renumber(&a, NULL, items, NULL);
	CHECK(a.count == 1 && a.item[0] == 0 && a.tag[0] == TR_NO_TAG && a.time[0] == 5, "it is renumbered as others are");
	tr_assignments_core(&a, 2, 3, 2, 1, left, &rounds);
	CHECK_EQUAL(a.count, 1, "and stays in a core that its user and item are in");
	tr_assignments_core(&a, 2, 3, 2, 2, left, &rounds);
	CHECK_EQUAL(a.count, 0, "but not in one that they are not in");
	tr_assignments_free(&a);

	tr_assignments_init(&a, &memory);
	tr_assignments_add(&a, 0, 0, TR_NO_TAG, false, 0);
	tr_assignments_distinct(&a, NULL);
	CHECK(tr_dataset_build(&d, &a, 1, 1, 0, NULL) == TR_OK && d.n_posts == 1 && d.n_assignments == 0 && !d.post_value &&
		  !d.post_time, "a dataset without a tag");
	tr_dataset_free(&d);
	tr_assignments_free(&a);
}

static void
test_profiles(void)
{
	static const int32_t item[] = {2, 0, 2, 2};
	static const int32_t feature[] = {3, 1, 0, 3};
	static const float value[] = {1, 2, 0.5f, 4};
	static const int32_t far[] = {3, 0, 0, 0};
	TrFeatureRows rows = {.count = 4, .entity = item, .feature = feature, .value = value};
	TrFeatureRows wrong = {.count = 4, .entity = far, .feature = feature};
	const TrNamedProfiles *profiles;
	TrAssignments a;
	TrDataset	d;
	TrError		err = {0};

	add_valued(&a, TR_MERGE_MEAN);
	tr_dataset_build(&d, &a, 2, 3, 2, NULL);
	CHECK(tr_dataset_add_profiles(&d, "genre", true, 4, &rows, &err) == TR_OK, "a profile of items");
	profiles = tr_dataset_profiles(&d, "genre");
	CHECK(profiles && profiles->of_items && profiles->n_features == 4, "it is found by its name");
	CHECK(profiles && profiles->table.entry_ptr[1] == 1 && profiles->table.entry_ptr[2] == 1 &&
		  profiles->table.entry_ptr[3] == 3, "items have the features they have");
	CHECK(profiles && profiles->table.tag[1] == 0 && profiles->table.count[1] == 0.5f && profiles->table.tag[2] == 3 &&
		  profiles->table.count[2] == 5, "in order, and repeated ones are added up");
	CHECK(tr_dataset_add_profiles(&d, "genre", false, 4, &rows, &err) == TR_BAD_DATA, "a name is taken once");
	CHECK(tr_dataset_add_profiles(&d, "studio", true, 4, &wrong, &err) == TR_BAD_DATA, "there is no such item");
	CHECK(tr_dataset_add_profiles(&d, "studio", true, 3, &rows, &err) == TR_BAD_DATA, "there is no such feature");
	CHECK(!tr_dataset_profiles(&d, "studio"), "nothing comes of them");
	tr_dataset_free(&d);
	tr_assignments_free(&a);
}

/* Rows without a user are in the items' profiles, and nowhere else. */
static void
test_described(void)
{
	static const int rows[][3] = {{0, 0, 1}, {-1, 0, 1}, {-1, 2, 0}, {0, 1, -1}, {-1, 0, 0}, {1, 0, 1}, {-1, 2, 0}};
	static const int32_t users[] = {1, 0};
	static const int32_t items[] = {0, 1, 2};
	TrAssignments a;
	TrDataset	d;

	add_all(&a, rows, 7);
	CHECK(tr_assignments_distinct(&a, NULL) == TR_OK && a.count == 6, "a repeated one counts once");
	tr_assignments_renumber(&a, users, items, NULL);
	CHECK_EQUAL(a.count, 6, "they stay when users are renumbered");
	tr_assignments_distinct(&a, NULL);
	CHECK(tr_dataset_build(&d, &a, 2, 3, 2, NULL) == TR_OK, "builds");
	CHECK(d.n_posts == 3 && d.n_assignments == 2 && d.n_described == 3, "%d posts, %d assignments, %d tags of items", d.n_posts,
		  (int) d.n_assignments, (int) d.n_described);
	CHECK(d.user.n_occurrences == 2 && d.user.entry_ptr[2] == 2, "users have the tags that they gave");
	CHECK(d.item.n_occurrences == 5 && d.item.entry_ptr[1] == 2 && d.item.entry_ptr[3] == 3, "items have both");
	CHECK(d.item.tag[0] == 0 && d.item.count[0] == 1 && d.item.post[0] == -1, "a tag of nobody's");
	CHECK(d.item.tag[1] == 1 && d.item.count[1] == 3 && d.item.post[1] == -1 && d.item.post[2] == 0 && d.item.post[3] == 1,
		  "a tag that two users gave as well");
	CHECK(d.item_ptr[3] == 3 && d.item_ptr[2] == 3, "nobody has the last item");
	tr_dataset_free(&d);
}

static jmp_buf stopped;
static int	pauses;
static int	most_pauses;
static int	left;

static void
leave(void)
{
	if (++pauses > most_pauses)
		longjmp(stopped, 1);
}

/* Whoever owns the memory may leave sorting and indexing at any of their pauses, and has all of it back. */
static void
test_pauses(void)
{
	TrMemory	own;
	TrAssignments a;
	TrDataset	dataset;

	for (most_pauses = 0; left == most_pauses; most_pauses++)
	{
		tr_memory_init(&own, 0);
		own.pause = leave;
		pauses = 0;
		tr_assignments_init(&a, &own);
		for (int n = 0; n < 50; n++)
			tr_assignments_add(&a, n % 7, n % 11, n % 3, false, 0);
		if (setjmp(stopped) == 0)
		{
			tr_assignments_distinct(&a, NULL);
			tr_dataset_build(&dataset, &a, 7, 11, 3, NULL);
		}
		else
			left++;
		tr_memory_release(&own);
		CHECK_EQUAL((int) own.used, 0, "nothing is left after %d pauses", pauses);
	}
	CHECK(left > 8, "sorting and indexing pause often");
}

/* What a user has is not disliked. */
static void
test_dislikes(void)
{
	static const int posts[][3] = {{0, 0, 0}, {0, 2, 0}, {1, 1, 0}};
	static const int pairs[][3] = {{0, 1, 0}, {0, 2, 0}, {1, 0, 0}, {1, 2, 0}};
	TrAssignments a;
	TrDislikes	dislikes;
	TrDataset	d;

	add_all(&a, posts, 3);
	CHECK(tr_dataset_build(&d, &a, 3, 3, 1, NULL) == TR_OK, "builds");
	add_all(&a, pairs, 4);
	CHECK(tr_dislikes_build(&dislikes, &a, &d) == TR_OK, "takes dislikes");
	CHECK(dislikes.ptr[0] == 0 && dislikes.ptr[1] == 1 && dislikes.ptr[2] == 3 && dislikes.ptr[3] == 3, "of each user");
	CHECK(dislikes.item[0] == 1 && dislikes.item[1] == 0 && dislikes.item[2] == 2, "but for what the user has");
	tr_dataset_free(&d);
}

int
main(void)
{
	tr_memory_init(&memory, 0);
	test_pauses();
	test_described();
	test_dislikes();
	test_distinct();
	test_drop_and_renumber();
	test_core();
	test_build(false);
	test_build(true);
	test_large_counts();
	test_values();
	test_untagged();
	test_profiles();
	test_memory_limit();
	tr_memory_release(&memory);
	return check_done();
}
