/*
 * Assignments and the dataset: duplicates, weights, rare tags, renumbering, and both profile tables against counting by
 * hand on random data.
 */
#include <math.h>
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

int
main(void)
{
	tr_memory_init(&memory, 0);
	test_distinct();
	test_drop_and_renumber();
	test_core();
	test_build(false);
	test_build(true);
	test_large_counts();
	test_memory_limit();
	tr_memory_release(&memory);
	return check_done();
}
