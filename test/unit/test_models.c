/*
 * What every algorithm of the registry must do, on data with a known answer: two groups of users who share items and tags
 * within the group only, each user with two thirds of his group's items. The rest of them is what he should be offered.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/trainer.h"
#include "core/validation.h"

#define GROUP_USERS 12
#define GROUP_ITEMS 18
#define GROUP_TAGS 6
#define USERS (2 * GROUP_USERS)
#define ITEMS (2 * GROUP_ITEMS)
#define TAGS (2 * GROUP_TAGS)

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
		{
			int32_t		group = u / GROUP_USERS;
			int32_t		item = group * GROUP_ITEMS + k;

			if ((u + k) % 3 == 0)
				tr_assignments_add(&rest, u, item, 0, false, 0);
			else
				for (int32_t n = 0; n < 2; n++)
					tr_assignments_add(&a, u, item, group * GROUP_TAGS + (int32_t) ((u * n + k) % GROUP_TAGS), false, 0);
		}
	tr_assignments_distinct(&a, NULL);
	tr_assignments_distinct(&rest, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
	held_out = (TrPairs) {(int32_t) rest.count, rest.user, rest.item};
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
train_on(Run *run, const TrDataset *data)
{
	TrStatus	status = tr_model_create(&run->model, run->algorithm, &model_memory, backend, data, run->options, &run->err);

	if (status == TR_OK)
		status = tr_train(run->model, data, NULL, &run->train, NULL, &run->result, &run->err);
	return status;
}

static int
array_width(const Run *run)
{
	int			unit = -1;
	int			width = run->algorithm->width(run->model, &unit);

	CHECK(width > 0 && unit >= 0 && unit <= width, "%s: width %d, unit part %d", run->algorithm->name, width, unit);
	return width;
}

/* The arrays of all users and items of a model. */
static float *
embed_all(Run *run, int width)
{
	float	   *out = malloc(sizeof(float) * (USERS + ITEMS) * (size_t) width);

	run->algorithm->embed(run->model, TR_USER, &dataset, 0, USERS, out, &run->err);
	run->algorithm->embed(run->model, TR_ITEM, &dataset, 0, ITEMS, out + (size_t) USERS * width, &run->err);
	return out;
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
test_known_answer(Run *run)
{
	double		ndcg;
	double		floor = run->algorithm->encode ? 0.9 : 0.2;

	tr_validate(run->model, &dataset, &held_out, TR_METRIC_NDCG, 10, NULL, &ndcg, &run->err);
	CHECK(ndcg >= floor, "%s: finds the held-out items of the user's group", run->algorithm->name);
	if (ndcg < floor)
		printf("# ndcg@10 %.3f, at least %.1f\n", ndcg, floor);
}

/* What save() gives, restored into a fresh model and loaded for serving, embeds to the same bits. */
static void
test_save(Run *run, const float *expected, int width)
{
	size_t		floats = (size_t) (USERS + ITEMS) * (size_t) width;
	TrTensor   *tensors;
	int			count;
	Run			other = *run;
	float	   *out;

	CHECK(run->algorithm->save(run->model, &tensors, &count, &run->err) == TR_OK && count > 0, "%s: saves",
		  run->algorithm->name);
	tr_model_create(&other.model, run->algorithm, &model_memory, backend, &dataset, run->options, &other.err);
	CHECK(run->algorithm->restore(other.model, tensors, count, &other.err) == TR_OK, "%s: restores", run->algorithm->name);
	out = embed_all(&other, width);
	CHECK(memcmp(out, expected, floats * sizeof(float)) == 0, "%s: restored, embeds the same", run->algorithm->name);
	free(out);
	other.algorithm->destroy(other.model);
	if (!run->algorithm->load)
		return;
	CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS, run->options, tensors, count,
						&other.err) == TR_OK, "%s: loads", run->algorithm->name);
	out = embed_all(&other, width);
	CHECK(memcmp(out, expected, floats * sizeof(float)) == 0, "%s: loaded, embeds the same", run->algorithm->name);
	free(out);
	other.algorithm->destroy(other.model);
	CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS, run->options, tensors, 1,
						&other.err) != TR_OK && other.err.message[0], "%s: says what is missing", run->algorithm->name);
	CHECK(tr_model_load(&other.model, run->algorithm, &model_memory, backend, TAGS + 1, run->options, tensors, count,
						&other.err) != TR_OK, "%s: refuses another vocabulary", run->algorithm->name);
}

/* The same seed gives the same model. */
static void
test_repeatable(const Run *run, const float *expected, int width)
{
	Run			other = *run;
	float	   *out;

	CHECK(train_on(&other, &dataset) == TR_OK, "%s: trains again", run->algorithm->name);
	out = embed_all(&other, width);
	CHECK(memcmp(out, expected, (size_t) (USERS + ITEMS) * (size_t) width * sizeof(float)) == 0,
		  "%s: the same seed gives the same model", run->algorithm->name);
	free(out);
	other.algorithm->destroy(other.model);
}

/* A profile nobody has: half of group 0's tags; the best items are those of group 0. */
static void
test_encode(Run *run, const float *arrays, int width)
{
	static const int64_t ptr[] = {0, 3};
	static const int32_t tags[] = {0, 2, 4};
	static const float counts[] = {1, 2, 1};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tags, .count = counts};
	float	   *user = malloc(sizeof(float) * (size_t) width);
	int			best = 0;
	double		most = -INFINITY;

	CHECK(run->algorithm->encode(run->model, TR_USER, &profile, user, &run->err) == TR_OK, "%s: encodes tags",
		  run->algorithm->name);
	for (int i = 0; i < ITEMS; i++)
	{
		double		score = 0;

		for (int j = 0; j < width; j++)
			score += (double) user[j] * arrays[(size_t) (USERS + i) * width + j];
		if (score > most)
		{
			most = score;
			best = i;
		}
	}
	CHECK(best < GROUP_ITEMS, "%s: recommends the group's items from its tags", run->algorithm->name);
	free(user);
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

	set_options(&run, algorithm, "1000");
	tr_model_create(&run.model, algorithm, &model_memory, backend, &dataset, run.options, &run.err);
	CHECK(tr_train(run.model, &dataset, NULL, &run.train, &hooks, &run.result, &run.err) == TR_CANCELLED, "%s: stops when asked",
		  algorithm->name);
	algorithm->destroy(run.model);
}

/* One user, one item: trained, or refused with a reason; never a crash. */
static void
test_tiny(const TrAlgorithm *algorithm, int users, int items)
{
	TrAssignments a;
	TrDataset	tiny;
	Run			run;
	TrStatus	status;

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < users; u++)
		for (int i = 0; i < items; i++)
			tr_assignments_add(&a, u, i, (u + i) % 2, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&tiny, &a, users, items, 2, NULL);
	set_options(&run, algorithm, "2");
	status = train_on(&run, &tiny);
	CHECK(status == TR_OK || (status == TR_BAD_DATA && run.err.message[0]), "%s: %d user(s), %d item(s): %s", algorithm->name,
		  users, items, status == TR_OK ? "trains" : run.err.message);
	if (status == TR_OK || run.model)
		algorithm->destroy(run.model);
	tr_dataset_free(&tiny);
}

static void
test_algorithm(const TrAlgorithm *algorithm)
{
	Run			run;
	size_t		host = model_memory.used;
	size_t		device = backend->ops->allocated(backend);
	TrShape		shape = {USERS, ITEMS, TAGS, dataset.n_posts, dataset.n_assignments};
	float	   *arrays;
	int			width;

	set_options(&run, algorithm, "30");
	CHECK(algorithm->estimate(&shape, run.options) > 0, "%s: estimates its memory", algorithm->name);
	if (!CHECK(train_on(&run, &dataset) == TR_OK, "%s: trains %s", algorithm->name, run.err.message))
		return;
	width = array_width(&run);
	arrays = embed_all(&run, width);
	CHECK(all_finite(arrays, (size_t) (USERS + ITEMS) * (size_t) width), "%s: finite arrays", algorithm->name);
	test_known_answer(&run);
	test_save(&run, arrays, width);
	test_repeatable(&run, arrays, width);
	if (algorithm->encode)
		test_encode(&run, arrays, width);
	algorithm->destroy(run.model);
	if (!run.result.epochs || run.result.epochs > 1)
		test_cancel(algorithm);
	test_tiny(algorithm, 1, 3);
	test_tiny(algorithm, 3, 1);
	test_tiny(algorithm, 1, 1);
	test_tiny(algorithm, 2, 2);
	free(arrays);
	CHECK(model_memory.used == host && backend->ops->allocated(backend) == device, "%s: gives all its memory back",
		  algorithm->name);
}

static TrStatus
create_with(const char *name, TrBackend *on, const char *option, const char *value, TrError *err)
{
	const TrAlgorithm *algorithm = tr_algorithm_find(name);
	TrSetting	settings[] = {{option, value}, {NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {algorithm->options, values};
	TrModel    *model = NULL;
	TrStatus	status;

	tr_options_set(&target, 1, settings, err);
	status = tr_model_create(&model, algorithm, &model_memory, on, &dataset, values, err);
	if (status == TR_OK)
		algorithm->destroy(model);
	return status;
}

/* What an algorithm cannot do is an error that says so, and costs no memory. */
static void
test_refusals(void)
{
	size_t		host = model_memory.used;
	TrBackendOps lesser = *backend->ops;
	TrBackend	unable = {&lesser};
	TrError		err = {0};

	lesser.name = "lesser";
	lesser.regress_rows = NULL;
	CHECK(create_with("ials", &unable, NULL, NULL, &err) == TR_UNSUPPORTED && strstr(err.message, "device lesser"),
		  "ials: needs a backend that solves its rows");
	CHECK(create_with("tag_cosine", backend, "max_tags", "12", &err) == TR_OK, "tag_cosine: as many tags as max_tags");
	CHECK(create_with("tag_cosine", backend, "max_tags", "11", &err) == TR_BAD_DATA && strstr(err.message, "max_tags, 11"),
		  "tag_cosine: more tags than max_tags");
	CHECK(create_with("tag_bm25", backend, "max_tags", "11", &err) == TR_BAD_DATA && err.hint[0],
		  "tag_bm25: more tags than max_tags");
	CHECK(model_memory.used == host, "a refusal gives all memory back");
}

/* A backend's own work space is taken at first use, and kept. */
static void
warm_up(void)
{
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
	{
		Run			run;
		double		value;

		set_options(&run, *a, "30");
		if (train_on(&run, &dataset) == TR_OK)
			tr_validate(run.model, &dataset, &held_out, TR_METRIC_NDCG, 10, NULL, &value, &run.err);
		run.algorithm->destroy(run.model);
	}
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	make_data();
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		warm_up();
		for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
			test_algorithm(*a);
		test_refusals();
		backend->ops->close(backend);
	}
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
