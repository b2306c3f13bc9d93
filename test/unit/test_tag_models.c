/*
 * What every algorithm that recommends tags must do, on data with a known answer: two groups of users who share items and
 * tags within the group only. A group's items are of three kinds, and an item of a kind is given the kind's two tags,
 * nothing else. Of each user's posts one third is missing and one third has one of its tags missing: those are what he
 * should be offered.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/tag_post.h"
#include "core/tag_validation.h"
#include "core/trainer.h"
#include "core/validation.h"

#define GROUP_USERS 12
#define GROUP_ITEMS 18
#define KINDS 3
#define GROUP_TAGS (2 * KINDS)
#define USERS (2 * GROUP_USERS)
#define ITEMS (2 * GROUP_ITEMS)
#define TAGS (2 * GROUP_TAGS)
#define UNKNOWN (-1)

extern const TrBackendOps *tagrec_backend_ops(void);

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;
static TrPairs held_out;

static void
make_data(void)
{
	TrAssignments a;
	TrAssignments rest;

	tr_assignments_init(&a, &memory);
	tr_assignments_init(&rest, &memory);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t k = 0; k < GROUP_ITEMS; k++)
			for (int32_t n = 0; n < 2; n++)
			{
				int32_t		group = u / GROUP_USERS;
				bool		missing = (u + k / KINDS) % 3 == 0 || ((u + k / KINDS) % 3 == 1 && n == u % 2);

				tr_assignments_add(missing ? &rest : &a, u, group * GROUP_ITEMS + k,
								   group * GROUP_TAGS + 2 * (k % KINDS) + n, false, 0);
			}
	tr_assignments_distinct(&a, NULL);
	tr_assignments_distinct(&rest, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
	held_out = (TrPairs) {.count = (int32_t) rest.count, .user = rest.user, .item = rest.item, .tag = rest.tag};
}

typedef struct Run
{
	const TrAlgorithm *algorithm;
	char		options[4096];
	TrTrainOptions train;
	TrModel    *model;
	TrTrainResult result;
	TrError		err;
} Run;

static void
set_options(Run *run, const TrAlgorithm *algorithm, const char *epochs)
{
	TrSetting	settings[] = {{"epochs", epochs}, {NULL, NULL}};
	TrOptionTarget targets[2] = {{algorithm->options, run->options}, {&tr_train_options, &run->train}};

	memset(run, 0, sizeof(*run));
	run->algorithm = algorithm;
	tr_options_set(targets, 2, settings, &run->err);
}

static TrStatus
train_on(Run *run, const TrDataset *data, const TrPairs *validation)
{
	TrStatus	status = tr_model_create(&run->model, run->algorithm, &model_memory, backend, data, run->options, &run->err);

	if (status == TR_OK)
		status = tr_train(run->model, data, validation, &run->train, NULL, &run->result, &run->err);
	return status;
}

/* ------------------------------------------------------------------ answers */

/* Every pair, then a known user with an unknown item, the other way round, and nothing known. */
#define POSTS (USERS * ITEMS + 3)
#define SCORES ((size_t) POSTS * TAGS)

static void
post_key(int32_t p, int32_t *user, int32_t *item)
{
	*user = p < USERS * ITEMS ? p / ITEMS : p == USERS * ITEMS ? 0 : UNKNOWN;
	*item = p < USERS * ITEMS ? p % ITEMS : p == USERS * ITEMS + 1 ? 0 : UNKNOWN;
}

/*
 * score (POSTS,TAGS) by `scorer`, which may be loaded, of posts with the arrays and similar items of `trained`; `together`
 * posts at a time. With given, every post is given this one tag instead of its own ones.
 */
static bool
score_posts(TrModel *scorer, TrModel *trained, const int32_t *given, int32_t together, float *score)
{
	TrPostBlock block;
	TrTensor   *tensors;
	int			count;
	bool		ok = tr_model_save(trained, &tensors, &count, NULL) == TR_OK
		&& tr_post_block_init(&block, &memory, trained, &dataset, together, NULL) == TR_OK;

	for (int32_t first = 0; ok && first < POSTS; first += together)
	{
		int32_t		n = POSTS - first < together ? POSTS - first : together;

		for (int32_t p = 0; p < n; p++)
		{
			int32_t		user;
			int32_t		item;

			post_key(first + p, &user, &item);
			ok &= tr_post_block_set(&block, p, user, item, NULL) == TR_OK;
			if (given)
			{
				block.post[p].given = given;
				block.post[p].n_given = 1;
			}
		}
		ok &= scorer->algorithm->score_tags(scorer, block.post, n, score + (size_t) first * TAGS, NULL) == TR_OK;
	}
	tr_post_block_free(&block);
	return ok;
}

static bool
same_scores(TrModel *scorer, TrModel *trained, const float *expected, int32_t together)
{
	float	   *score = malloc(SCORES * sizeof(float));
	bool		same = score_posts(scorer, trained, NULL, together, score)
		&& memcmp(score, expected, SCORES * sizeof(float)) == 0;

	free(score);
	return same;
}

static bool
all_finite(const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

/* ------------------------------------------------------------------ what must hold */

static void
test_form(Run *run)
{
	const TrAlgorithm *a = run->algorithm;
	int			unit = run->model->unit;
	int			width = run->model->width;
	TrSparse	similar = {0};

	CHECK(width >= 0 && unit >= 0 && unit <= width, "%s: width %d, unit part %d", a->name, width, unit);
	CHECK(a->loads && a->score_tags && a->summary && a->source, "%s: has what a model of the task tag needs", a->name);
	CHECK(!a->features == !a->feature_weights && !a->user_features, "%s: similar items, or none", a->name);
	if (!a->features)
		return;
	CHECK(a->features(run->model) == TR_FEATURES_ITEMS, "%s: features are items", a->name);
	for (int32_t item = 0; item < ITEMS; item++)
	{
		bool		ok = a->feature_weights(run->model, item, &similar, NULL) == TR_OK;

		for (int32_t i = 0; i < similar.n; i++)
			ok &= similar.index[i] >= 0 && similar.index[i] < ITEMS && similar.index[i] != item
				&& (i == 0 || similar.index[i] > similar.index[i - 1]) && isfinite(similar.value[i]);
		if (!ok)
			CHECK(ok, "%s: items like item %d: others, ascending", a->name, item);
	}
}

static void
test_known_answer(Run *run)
{
	double		ndcg;

	tr_validate(run->model, &dataset, &held_out, TR_METRIC_NDCG, 5, NULL, &ndcg, &run->err);
	CHECK(ndcg >= 0.9, "%s: finds the tags of the item's kind", run->algorithm->name);
	if (ndcg < 0.9)
		printf("# ndcg@5 %.3f\n", ndcg);
}

/* Unknown users and items are among the posts. One tag given, nobody's, or none: an answer all the same. */
static void
test_given(Run *run)
{
	float	   *score = malloc(SCORES * sizeof(float));
	int32_t		tag = TAGS - 1;

	CHECK(score_posts(run->model, run->model, &tag, 7, score) && all_finite(score, SCORES), "%s: a given tag nobody had",
		  run->algorithm->name);
	free(score);
}

/* What save() gives, restored into a fresh model and loaded for serving, answers with the same bits. */
static void
test_save(Run *run, const float *expected)
{
	const TrAlgorithm *a = run->algorithm;
	TrTensor   *tensors;
	int			count;
	TrModel    *other;
	TrError		err = {0};

	CHECK(tr_model_save(run->model, &tensors, &count, &err) == TR_OK && count > 0, "%s: saves", a->name);
	tr_model_create(&other, a, &model_memory, backend, &dataset, run->options, &err);
	CHECK(tr_model_restore(other, tensors, count, &err) == TR_OK, "%s: restores", a->name);
	CHECK(same_scores(other, other, expected, 64), "%s: restored, answers the same", a->name);
	tr_model_destroy(other);
	CHECK(tr_model_load(&other, a, &model_memory, backend, TAGS, run->options, tensors, count, &err) == TR_OK, "%s: loads %s",
		  a->name, err.message);
	CHECK(same_scores(other, run->model, expected, 64), "%s: loaded, answers the same", a->name);
	tr_model_destroy(other);
	err.message[0] = '\0';
	CHECK(tr_model_load(&other, a, &model_memory, backend, TAGS, run->options, tensors, 0, &err) != TR_OK && err.message[0],
		  "%s: says what is missing", a->name);
	err.message[0] = '\0';
	CHECK(tr_model_load(&other, a, &model_memory, backend, TAGS + 1, run->options, tensors, count, &err) != TR_OK
		  && err.message[0], "%s: refuses another vocabulary", a->name);
}

static void
test_repeatable(const Run *run, const float *expected)
{
	Run			other = *run;

	CHECK(train_on(&other, &dataset, NULL) == TR_OK, "%s: trains again", run->algorithm->name);
	CHECK(same_scores(other.model, other.model, expected, 64), "%s: the same seed gives the same model", run->algorithm->name);
	tr_model_destroy(other.model);
}

/* Held-out assignments choose the epoch; pairs cannot. */
static void
test_validation(const TrAlgorithm *algorithm)
{
	Run			run;
	TrPairs		pairs = held_out;

	set_options(&run, algorithm, "3");
	CHECK(train_on(&run, &dataset, &held_out) == TR_OK && run.result.metric > 0, "%s: trains with validation", algorithm->name);
	tr_model_destroy(run.model);
	pairs.tag = NULL;
	CHECK(train_on(&run, &dataset, &pairs) == TR_BAD_DATA && strstr(run.err.message, "(user, item, tag)"),
		  "%s: cannot be measured on pairs", algorithm->name);
	tr_model_destroy(run.model);
}

static bool
stop_at_once(void *argument)
{
	(void) argument;
	return true;
}

static void
test_cancel(const TrAlgorithm *algorithm)
{
	Run			run;
	TrTrainHooks hooks = {.poll = {.stop = stop_at_once}};
	double		value;

	set_options(&run, algorithm, "1000");
	tr_model_create(&run.model, algorithm, &model_memory, backend, &dataset, run.options, &run.err);
	CHECK(tr_train(run.model, &dataset, NULL, &run.train, &hooks, &run.result, &run.err) == TR_CANCELLED,
		  "%s: stops when asked", algorithm->name);
	CHECK(tr_validate(run.model, &dataset, &held_out, TR_METRIC_NDCG, 5, &hooks.poll, &value, &run.err) == TR_CANCELLED,
		  "%s: stops being measured when asked", algorithm->name);
	tr_model_destroy(run.model);
}

/* One user, one item: trained, or refused with a reason; never a crash. */
static void
test_tiny(const TrAlgorithm *algorithm, int users, int items)
{
	TrAssignments a;
	TrDataset	tiny;
	TrPairs		test;
	Run			run;
	TrStatus	status;
	double		value = 0;

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < users; u++)
		for (int i = 0; i < items; i++)
			tr_assignments_add(&a, u, i, (u + i) % 2, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&tiny, &a, users, items, 2, NULL);
	test = (TrPairs) {.count = (int32_t) a.count, .user = a.user, .item = a.item, .tag = a.tag};
	set_options(&run, algorithm, "2");
	status = train_on(&run, &tiny, NULL);
	CHECK(status == TR_OK || (status == TR_BAD_DATA && run.err.message[0]), "%s: %d user(s), %d item(s): %s", algorithm->name,
		  users, items, status == TR_OK ? "trains" : run.err.message);
	if (status == TR_OK)
		CHECK(tr_validate(run.model, &tiny, &test, TR_METRIC_MRR, 0, NULL, &value, &run.err) == TR_OK && value == 0,
			  "%s: tags that a post has are not ranked", algorithm->name);
	if (status == TR_OK || run.model)
		tr_model_destroy(run.model);
	tr_dataset_free(&tiny);
}

static void
test_algorithm(const TrAlgorithm *algorithm)
{
	Run			run;
	size_t		host = model_memory.used;
	size_t		device = backend->ops->allocated(backend);
	TrShape		shape = {USERS, ITEMS, TAGS, dataset.n_posts, dataset.n_assignments};
	float	   *score = malloc(SCORES * sizeof(float));

	set_options(&run, algorithm, "30");
	CHECK(algorithm->estimate(&shape, run.options) > 0, "%s: estimates its memory", algorithm->name);
	if (!CHECK(train_on(&run, &dataset, NULL) == TR_OK, "%s: trains %s", algorithm->name, run.err.message))
		return;
	test_form(&run);
	CHECK(score_posts(run.model, run.model, NULL, 64, score) && all_finite(score, SCORES), "%s: finite scores, known or not",
		  algorithm->name);
	CHECK(same_scores(run.model, run.model, score, 1), "%s: a post's scores are the same in any company", algorithm->name);
	test_known_answer(&run);
	test_given(&run);
	test_save(&run, score);
	test_repeatable(&run, score);
	tr_model_destroy(run.model);
	test_validation(algorithm);
	test_cancel(algorithm);
	test_tiny(algorithm, 1, 3);
	test_tiny(algorithm, 3, 1);
	test_tiny(algorithm, 1, 1);
	test_tiny(algorithm, 2, 2);
	free(score);
	CHECK(model_memory.used == host && backend->ops->allocated(backend) == device, "%s: gives all its memory back",
		  algorithm->name);
}

/* ------------------------------------------------------------------ posts, ranks */

static void
test_posts(void)
{
	TrPostBlock block;
	const TrPost *post;
	const int32_t *own;
	int32_t		n;

	CHECK(tr_post_block_init(&block, &memory, NULL, &dataset, 2, NULL) == TR_OK, "a block without a model");
	tr_post_block_set(&block, 0, 1, 1, NULL);	/* (1 + 0) % 3 == 1: the tag 2 + 1 is missing */
	post = &block.post[0];
	CHECK(post->own == 1 && post->n_posts == 12 && post->post_item[1] == 1 && !post->user && !post->item,
		  "the user's posts, this one among them");
	own = tr_post_own_tags(post, &n);
	CHECK(n == 1 && own[0] == 2 && post->n_given == 1 && post->given[0] == 2, "a post's own tags are given");
	CHECK(post->user_tags.n == GROUP_TAGS && post->item_tags.n == 2 && post->item_posts == 8, "its profiles");
	tr_post_block_set(&block, 1, 0, 0, NULL);	/* missing */
	own = tr_post_own_tags(&block.post[1], &n);
	CHECK(block.post[1].own == -1 && n == 0 && block.post[1].n_given == 0 && block.post[1].n_posts == 12,
		  "a post that is not there");
	tr_post_block_set(&block, 1, UNKNOWN, 0, NULL);
	CHECK(block.post[1].n_posts == 0 && block.post[1].user_tags.n == 0 && block.post[1].item_tags.n == 2, "an unknown user");
	tr_post_block_set(&block, 1, 0, UNKNOWN, NULL);
	CHECK(block.post[1].n_posts == 12 && block.post[1].item_tags.n == 0, "an unknown item");
	tr_post_block_free(&block);
}

typedef struct Told
{
	int			posts;
	int32_t		n_given[8];
	int32_t		rank[8][4];
	int32_t		n[8];
} Told;

static void
remember(void *argument, int32_t n_given, int32_t *rank, int32_t n)
{
	Told	   *told = argument;

	told->n_given[told->posts] = n_given;
	told->n[told->posts] = n;
	memcpy(told->rank[told->posts++], rank, (size_t) n * sizeof(int32_t));
}

/*
 * By popularity of the tags, 3 2 1 1 0: worked out by hand. User 0 has tag 0 on item 0; tags 3 and 4 of that post are held
 * out, and 0 as well, which is not ranked. User 1 has nothing on item 1.
 */
static void
test_ranks(void)
{
	static const int32_t rows[][3] = {{0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {1, 0, 0}, {1, 0, 1}, {1, 0, 2}, {2, 0, 3}};
	int32_t		user[] = {0, 0, 0, 1};
	int32_t		item[] = {0, 0, 0, 1};
	int32_t		tag[] = {0, 3, 4, 3};
	TrPairs		test = {.count = 4, .user = user, .item = item, .tag = tag};
	TrSetting	all[] = {{"by", "all"}, {NULL, NULL}};
	char		options[4096];
	TrOptionTarget target = {tr_algorithm_find("tag_popular")->options, options};
	TrAssignments a;
	TrDataset	small;
	TrModel    *model;
	Told		told = {0};
	double		value;

	tr_assignments_init(&a, &memory);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tr_assignments_add(&a, rows[i][0], rows[i][1], rows[i][2], false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&small, &a, 3, 2, 5, NULL);
	tr_options_set(&target, 1, all, NULL);
	tr_model_create(&model, tr_algorithm_find("tag_popular"), &model_memory, backend, &small, options, NULL);
	CHECK(tr_rank_tags(model, &small, &test, remember, &told, NULL, NULL) == TR_OK && told.posts == 2, "posts, not assignments");
	CHECK(told.n[0] == 3 && told.n_given[0] == 1 && told.rank[0][0] == TR_UNRANKED && told.rank[0][1] == 3
		  && told.rank[0][2] == 4, "ranks without the post's other tags, ties to the smaller one");
	CHECK(told.n[1] == 1 && told.n_given[1] == 0 && told.rank[1][0] == 4, "ranks among all tags");
	test.with_seen = true;
	tr_rank_tags(model, &small, &test, remember, &told, NULL, NULL);
	CHECK(told.rank[2][0] == 1 && told.rank[2][1] == 4 && told.rank[2][2] == 5, "ranks among all tags, those it has too");
	test.with_seen = false;
	tr_validate(model, &small, &test, TR_METRIC_MRR, 0, NULL, &value, NULL);
	CHECK_NEAR(value, (1.0 / 3 + 1.0 / 4) / 2, 1e-12, "the mean over posts");
	tr_validate(model, &small, &test, TR_METRIC_MRR_PAIR, 0, NULL, &value, NULL);
	CHECK_NEAR(value, (1.0 / 3 + 1.0 / 4 + 1.0 / 4) / 4, 1e-12, "the mean over assignments");
	tr_model_destroy(model);
	tr_dataset_free(&small);
}

/* A backend's own work space is taken at first use, and kept. */
static void
warm_up(const TrAlgorithm *algorithm)
{
	Run			run;

	set_options(&run, algorithm, "2");
	train_on(&run, &dataset, &held_out);
	tr_model_destroy(run.model);
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	make_data();
	test_posts();
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		test_ranks();
		for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
			if ((*a)->task == TR_TASK_TAG)
			{
				warm_up(*a);
				test_algorithm(*a);
			}
		backend->ops->close(backend);
	}
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
