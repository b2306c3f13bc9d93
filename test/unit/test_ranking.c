/*
 * Who is ranked among whom: items that a user has, and candidates.
 *
 * Four items, that 3, 2, 1 and 0 users have, ranked by popularity. User 0 has items 0 and 1, as user 1 has; user 2 has 0
 * and 2.
 */
#include "check.h"
#include "core/validation.h"

static TrMemory memory;
static TrDataset dataset;
static TrBackend *backend;
static TrModel *model;

static int32_t users[] = {0, 0, 1};
static int32_t items[] = {1, 2, 3};
static int32_t ranks[3];
static int32_t ranked;

static void
make_model(void)
{
	static const int32_t posts[6][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 2}};
	const TrAlgorithm *popularity = tr_algorithm_find("popularity");
	TrBackendConfig config = {.threads = 1};
	TrAssignments a;
	TrEpochStats stats = {0};
	TrError		err = {0};

	tr_memory_init(&memory, 0);
	tr_plain_ops.open(&backend, &config, &err);
	tr_assignments_init(&a, &memory);
	for (int i = 0; i < 6; i++)
		tr_assignments_add(&a, posts[i][0], posts[i][1], 0, false, 0);
	tr_assignments_distinct(&a, &err);
	CHECK(tr_dataset_build(&dataset, &a, 3, 4, 1, &err) == TR_OK, "makes a dataset");
	CHECK(tr_model_create(&model, popularity, &memory, backend, &dataset, NULL, &err) == TR_OK
		  && popularity->train_epoch(model, 1, NULL, &stats, &err) == TR_OK, "counts");
}

static void
remember(void *argument, int32_t user, int32_t *rank, int32_t n)
{
	(void) argument, (void) user;
	for (int32_t r = 0; r < n; r++)
		ranks[ranked++] = rank[r];
}

static void
check_ranks(bool with_seen, const uint64_t *candidates, int32_t first, int32_t second, int32_t third, const char *what)
{
	TrPairs		held_out = {.count = 3, .user = users, .item = items, .with_seen = with_seen};
	TrRanking	ranking = {.dataset = &dataset, .held_out = &held_out, .candidates = candidates};
	TrError		err = {0};

	ranked = 0;
	CHECK(tr_rank(model, &ranking, remember, NULL, NULL, &err) == TR_OK && ranked == 3, "%s: three ranks", what);
	CHECK(ranks[0] == first && ranks[1] == second && ranks[2] == third, "%s: %d %d %d", what, ranks[0], ranks[1], ranks[2]);
}

static void
check_bytes(void)
{
	TrPairs		held_out = {.count = 3, .user = users, .item = items};
	TrRanking	ranking = {.dataset = &dataset, .held_out = &held_out};
	size_t		before = memory.used;
	size_t		estimate = tr_rank_bytes(model->width, dataset.n_items);
	size_t		host;
	TrError		err = {0};

	ranked = 0;
	memory.peak = before;
	tr_rank(model, &ranking, remember, NULL, NULL, &err);
	host = memory.peak - before;
	CHECK(host <= estimate && 2.5 * (double) host > (double) estimate, "the host has %zu bytes, half of %zu",
		  host, estimate);
}

int
main(void)
{
	static const uint64_t middle[] = {6};	/* items 1 and 2 */
	TrPairs		held_out = {.count = 3, .user = users, .item = items, .with_seen = true};
	TrError		err = {0};
	double		value;

	make_model();
	check_ranks(false, NULL, TR_UNRANKED, 1, 2, "what a user has is no candidate");
	check_ranks(true, NULL, 2, 3, 4, "with_seen it is");
	check_ranks(true, middle, 1, 2, TR_UNRANKED, "others than the candidates have no rank");
	check_ranks(false, middle, TR_UNRANKED, 1, TR_UNRANKED, "both rules at once");
	tr_validate(model, &dataset, &held_out, TR_METRIC_MRR_PAIR, 0, NULL, &value, &err);
	CHECK_NEAR(value, (1.0 / 2 + 1.0 / 3 + 1.0 / 4) / 3, 1e-12, "a mean over pairs");
	tr_validate(model, &dataset, &held_out, TR_METRIC_MRR, 0, NULL, &value, &err);
	CHECK_NEAR(value, (1.0 / 2 + 1.0 / 4) / 2, 1e-12, "a mean over users");
	check_bytes();
	tr_model_destroy(model);
	tr_plain_ops.close(backend);
	tr_memory_release(&memory);
	return check_done();
}
