/*
 * What every algorithm of the task rating must do, on data with a known answer: the value is the sum of what the user and
 * the item have, and of a product of the two. The last user and the last item have no ratings.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/plain.h"
#include "core/rating_validation.h"
#include "core/validation.h"
#include "core/rng.h"
#include "gradients.h"

#define USERS 41
#define ITEMS 31
#define SEED 7

extern const TrBackendOps *tagrec_backend_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;
static TrDataset small;			/* for gradients */
static TrPairs held_out;

static float
value_of(int32_t user, int32_t item)
{
	double		own = 0.6 * tr_normal(SEED, 1, 0, (uint64_t) user) + 0.6 * tr_normal(SEED, 1, 1, (uint64_t) item);
	double		both = (user % 2 ? 1 : -1) * (item % 3 ? 0.8 : -0.8);

	return (float) fmin(5, fmax(1, 3 + own + both));
}

static void
add(TrAssignments *a, int32_t user, int32_t item, bool values)
{
	TrAssignment row = {user, item, TR_NO_TAG, 1, value_of(user, item), 0};

	tr_assignments_set_columns(a, values ? TR_COLUMN_VALUE : 0, TR_MERGE_MEAN);
	tr_assignments_add_row(a, &row);
}

static void
make_some_data(TrDataset *d, bool values, int32_t users, int32_t items)
{
	TrAssignments a;
	TrAssignments rest;

	tr_assignments_init(&a, &memory);
	tr_assignments_init(&rest, &memory);
	for (int32_t u = 0; u < users - 1; u++)
		for (int32_t i = 0; i < items - 1; i++)
			add((u + 2 * i) % 5 == 0 ? &rest : &a, u, i, values);
	tr_assignments_distinct(&a, NULL);
	tr_assignments_distinct(&rest, NULL);
	tr_dataset_build(d, &a, users, items, 1, NULL);
	held_out = (TrPairs) {.count = (int32_t) rest.count, .user = rest.user, .item = rest.item, .value = rest.value};
}

static void
make_data(TrDataset *d, bool values)
{
	make_some_data(d, values, USERS, ITEMS);
}

typedef struct Run
{
	const TrAlgorithm *algorithm;
	char		options[8192];
	TrTrainOptions train;
	TrModel    *model;
	TrTrainResult result;
	TrError		err;
} Run;

static void
set_options(Run *run, const TrAlgorithm *algorithm, const char *settings)
{
	memset(run, 0, sizeof(*run));
	run->algorithm = algorithm;
	CHECK(gradient_options(algorithm, run->options, &run->train, settings, &run->err), "%s: options %s", algorithm->name,
		  run->err.message);
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

static float *
arrays_of(Run *run)
{
	size_t		width = (size_t) run->model->width;
	float	   *arrays = calloc((USERS + ITEMS) * width, sizeof(float));

	CHECK(tr_model_embed(run->model, TR_USER, &dataset, 0, USERS, arrays, &run->err) == TR_OK
		  && tr_model_embed(run->model, TR_ITEM, &dataset, 0, ITEMS, arrays + USERS * width, &run->err) == TR_OK,
		  "%s: arrays %s", run->algorithm->name, run->err.message);
	return arrays;
}

static float
predict(TrModel *model, const float *user, const float *item)
{
	double		sum = 0;
	float		score = NAN;

	if (model->algorithm->score_items)
	{
		model->algorithm->score_items(model, user, item, (size_t) model->width, 1, &score, NULL);
		return score;
	}
	for (int j = 0; j < model->width; j++)
		sum += (double) user[j] * item[j];
	return (float) sum;
}

static bool
same_arrays(Run *run, const float *expected)
{
	float	   *arrays = arrays_of(run);
	bool		same = memcmp(arrays, expected, (USERS + ITEMS) * (size_t) run->model->width * sizeof(float)) == 0;

	free(arrays);
	return same;
}

/* ------------------------------------------------------------------ what must hold */

/* Without what restore() alone reads. */
static int
store(const TrTensor *tensors, int count, TrTensor *stored)
{
	int			n = 0;

	for (int i = 0; i < count; i++)
		if (!tensors[i].training)
			stored[n++] = tensors[i];
	return n;
}

/* Who has no ratings is as one who is not known at all, and a model that was loaded says the same of him. */
static void
test_unknown(Run *run, TrModel *loaded, const float *arrays)
{
	size_t		width = (size_t) run->model->width;
	const float *last_user = arrays + (USERS - 1) * width;
	const float *last_item = arrays + (USERS + ITEMS - 1) * width;
	float	   *user = calloc(2 * width, sizeof(float));
	float	   *item = user + width;
	const char *name = run->algorithm->name;
	TrValueRange range = tr_dataset_values(&dataset);
	float		nobody;

	CHECK(run->algorithm->unknown(loaded, TR_USER, user, &run->err) == TR_OK
		  && run->algorithm->unknown(loaded, TR_ITEM, item, &run->err) == TR_OK, "%s: arrays of nobody", name);
	nobody = predict(loaded, user, item);
	CHECK(nobody >= range.least && nobody <= range.most, "%s: neither is known: in the range of the values", name);
	CHECK(fabsf(nobody - (float) range.mean) < 0.5f, "%s: near their mean", name);
	CHECK_NEAR(predict(loaded, user, arrays + USERS * width), predict(run->model, last_user, arrays + USERS * width), 1e-5,
			   "%s: a user without ratings is as an unknown one", name);
	CHECK_NEAR(predict(loaded, arrays, item), predict(run->model, arrays, last_item), 1e-5,
			   "%s: an item without ratings is as an unknown one", name);
	free(user);
}

static void
test_loaded(Run *run, const TrTensor *tensors, int count, const float *arrays)
{
	TrTensor	stored[64];
	TrModel    *loaded = NULL;
	bool		same = true;
	size_t		width = (size_t) run->model->width;
	int			n = store(tensors, count, stored);

	if (!CHECK(tr_model_load(&loaded, run->algorithm, &model_memory, backend, 1, run->options, stored, n, &run->err) == TR_OK,
			   "%s: loads %s", run->algorithm->name, run->err.message))
		return;
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
			same &= predict(loaded, arrays + (size_t) u * width, arrays + (size_t) (USERS + i) * width)
				== predict(run->model, arrays + (size_t) u * width, arrays + (size_t) (USERS + i) * width);
	CHECK(same, "%s: loaded, predicts the same", run->algorithm->name);
	test_unknown(run, loaded, arrays);
	tr_model_destroy(loaded);
}

static void
test_save(Run *run, const float *arrays)
{
	Run			other = *run;
	TrTensor   *tensors;
	int			count;

	CHECK(tr_model_save(run->model, &tensors, &count, &run->err) == TR_OK, "%s: saves", run->algorithm->name);
	tr_model_create(&other.model, run->algorithm, &model_memory, backend, &dataset, run->options, &other.err);
	CHECK(tr_model_restore(other.model, tensors, count, &other.err) == TR_OK, "%s: restores %s", run->algorithm->name,
		  other.err.message);
	CHECK(same_arrays(&other, arrays), "%s: restored, answers the same", run->algorithm->name);
	tr_model_destroy(other.model);
	test_loaded(run, tensors, count, arrays);
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

	set_options(&run, algorithm, "epochs=1000");
	tr_model_create(&run.model, algorithm, &model_memory, backend, &dataset, run.options, &run.err);
	CHECK(tr_train(run.model, &dataset, NULL, &run.train, &hooks, &run.result, &run.err) == TR_CANCELLED,
		  "%s: stops when asked", algorithm->name);
	tr_model_destroy(run.model);
}

static void
test_refusals(const TrAlgorithm *algorithm)
{
	TrDataset	without;
	Run			run;

	make_data(&without, false);
	set_options(&run, algorithm, "epochs=1");
	CHECK(train_on(&run, &without, NULL) == TR_BAD_DATA && strstr(run.err.message, "the pairs have none") && run.err.hint[0],
		  "%s: refuses pairs without values", algorithm->name);
	tr_dataset_free(&without);
	make_data(&without, true);
	set_options(&run, algorithm, "epochs=1");
	run.train.metric = TR_METRIC_NDCG;
	CHECK(train_on(&run, &without, &held_out) == TR_BAD_OPTION && strstr(run.err.message, "metric \"ndcg\""),
		  "%s: refuses to be measured by its rankings", algorithm->name);
	tr_model_destroy(run.model);
	tr_dataset_free(&without);
}

/* One rating, and ratings that are all the same. */
static void
test_tiny(const TrAlgorithm *algorithm, int users, int items)
{
	TrAssignments a;
	TrDataset	tiny;
	Run			run;
	TrStatus	status;
	float		array[2][4096];

	tr_assignments_init(&a, &memory);
	tr_assignments_set_columns(&a, TR_COLUMN_VALUE, TR_MERGE_MEAN);
	for (int u = 0; u < users; u++)
		for (int i = 0; i < items; i++)
			tr_assignments_add_row(&a, &(TrAssignment) {u, i, TR_NO_TAG, 1, 4, 0});
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&tiny, &a, users, items, 1, NULL);
	set_options(&run, algorithm, "epochs=100");
	status = train_on(&run, &tiny, NULL);
	if (CHECK(status == TR_OK, "%s: %d user(s), %d item(s): %s", algorithm->name, users, items, run.err.message)
		&& run.model->width <= 4096)
	{
		tr_model_embed(run.model, TR_USER, &tiny, 0, 1, array[0], &run.err);
		tr_model_embed(run.model, TR_ITEM, &tiny, 0, 1, array[1], &run.err);
		CHECK_NEAR(predict(run.model, array[0], array[1]), 4, 1, "%s: ... and predicts about the same", algorithm->name);
	}
	if (run.model)
		tr_model_destroy(run.model);
	tr_dataset_free(&tiny);
}

static double
error_of(Run *run)
{
	double		rmse = NAN;

	CHECK(tr_validate(run->model, &dataset, &held_out, TR_METRIC_RMSE, 0, NULL, &rmse, &run->err) == TR_OK,
		  "%s: predicts %s", run->algorithm->name, run->err.message);
	return rmse;
}

static void
test_algorithm(const TrAlgorithm *algorithm, double bound)
{
	Run			run;
	Run			again;
	TrShape		shape = {USERS, ITEMS, 1, dataset.n_posts, 0};
	float	   *arrays;
	double		rmse;

	set_options(&run, algorithm, "epochs=100");
	again = run;
	CHECK(algorithm->loads && algorithm->unknown && algorithm->estimate(&shape, run.options) > 0,
		  "%s: loads, knows what to say of the unknown, and its memory", algorithm->name);
	if (!CHECK(train_on(&run, &dataset, &held_out) == TR_OK, "%s: trains %s", algorithm->name, run.err.message))
		return;
	rmse = error_of(&run);
	if (!CHECK(rmse < bound, "%s: predicts what was held out", algorithm->name))
		printf("# rmse %.3f, not below %.2f\n", rmse, bound);
	CHECK_NEAR(run.result.metric, rmse, 1e-6, "%s: the best epoch's error is the smallest", algorithm->name);
	arrays = arrays_of(&run);
	test_save(&run, arrays);
	CHECK(train_on(&again, &dataset, &held_out) == TR_OK && same_arrays(&again, arrays),
		  "%s: the same seed gives the same model", algorithm->name);
	tr_model_destroy(again.model);
	tr_model_destroy(run.model);
	free(arrays);
	if (!algorithm->counts)
		test_cancel(algorithm);
	test_refusals(algorithm);
	test_tiny(algorithm, 1, 1);
	test_tiny(algorithm, 1, 3);
	test_tiny(algorithm, 3, 1);
	test_tiny(algorithm, 3, 3);
}

/* ------------------------------------------------------------------ bias and mf alone */

static void
test_bias(void)
{
	Run			run;
	float		array[2];

	set_options(&run, tr_algorithm_find("bias"), "sweeps=1 item_shrinkage=2 user_shrinkage=3");
	train_on(&run, &dataset, NULL);
	tr_model_embed(run.model, TR_ITEM, &dataset, 3, 1, array, &run.err);
	{
		double		mean = tr_dataset_values(&dataset).mean;
		double		sum = 0;
		int			n = 0;

		for (int32_t p = 0; p < dataset.n_posts; p++)
			if (dataset.post_item[p] == 3)
			{
				sum += dataset.post_value[p] - mean;
				n++;
			}
		CHECK_NEAR(array[1], mean + sum / (n + 2), 1e-5, "an item's bias is shrunk by its option");
		CHECK(array[0] == 1, "and is what an item adds");
	}
	tr_model_destroy(run.model);
}

/* ------------------------------------------------------------------ fm alone */

/* Users' kinds and items' kinds, which is all that their product depends on. */
static void
add_attributes(TrDataset *d, int32_t users, int32_t items)
{
	int32_t		entity[USERS];
	int32_t		feature[USERS];
	TrFeatureRows rows = {.count = users, .entity = entity, .feature = feature};

	for (int32_t i = 0; i < USERS; i++)
	{
		entity[i] = i;
		feature[i] = i % 2;
	}
	tr_dataset_add_profiles(d, "user", false, 2, &rows, NULL);
	for (int32_t i = 0; i < items; i++)
		feature[i] = i % 3;
	rows.count = items;
	tr_dataset_add_profiles(d, "item", true, 3, &rows, NULL);
}

/* With a single sample, the arrays are the sampler's state: what they predict leaves its residuals. */
static void
test_residuals(const char *settings)
{
	Run			run;
	float	   *arrays;
	TrEpochStats stats = {0};
	double		squares = 0;

	set_options(&run, tr_algorithm_find("fm"), settings);
	tr_model_create(&run.model, run.algorithm, &model_memory, backend, &dataset, run.options, &run.err);
	for (int epoch = 1; epoch <= 20; epoch++)
		run.algorithm->train_epoch(run.model, epoch, NULL, &stats, &run.err);
	arrays = arrays_of(&run);
	for (int32_t p = 0; p < dataset.n_posts; p++)
		squares += pow(dataset.post_value[p] - predict(run.model, arrays + (size_t) dataset.post_user[p] * (size_t) run.model->width,
													   arrays + (size_t) (USERS + dataset.post_item[p])
													   * (size_t) run.model->width), 2);
	CHECK_NEAR(squares / dataset.n_posts, stats.loss, 1e-4 * stats.loss, "fm %s: the residuals are those of the arrays", settings);
	CHECK(stats.loss < 0.2, "fm %s: and small", settings);
	free(arrays);
	tr_model_destroy(run.model);
}

/* A user without ratings but with a kind is predicted by it; without attributes, as nobody. */
static void
test_attributes(const char *name, const char *settings, double least)
{
	TrDataset	with;
	double		apart[2];

	for (int known = 0; known < 2; known++)
	{
		Run			run;
		float		user[2][1024];
		float		item[1024];

		make_data(&with, true);
		add_attributes(&with, known ? USERS : USERS - 1, ITEMS - 1);
		set_options(&run, tr_algorithm_find(name), settings);
		CHECK(train_on(&run, &with, NULL) == TR_OK, "%s: trains with attributes", name);
		tr_model_embed(run.model, TR_USER, &with, USERS - 1, 1, user[0], &run.err);
		run.algorithm->unknown(run.model, TR_USER, user[1], &run.err);
		tr_model_embed(run.model, TR_ITEM, &with, 1, 1, item, &run.err);
		apart[known] = fabs(predict(run.model, user[0], item) - predict(run.model, user[1], item));
		tr_model_destroy(run.model);
		tr_dataset_free(&with);
	}
	CHECK(apart[0] < 1e-6 && apart[1] > least && apart[1] < 2, "%s: what has attributes is not as nobody: %g, %g", name,
		  apart[0], apart[1]);
}

/* A step with every rating, of learning rate 1, takes the gradient away; the penalty is not in the loss. */
static void
test_gradient(const TrBackendOps *ops, const char *name, const char *settings, bool total)
{
	TrBackendConfig config = {.threads = 2};
	GradientCheck check = {.algorithm = tr_algorithm_find(name), .dataset = &small, .memory = &memory, .step = 3e-3f,
	.five_points = true, .relative = true, .total = total};
	Run			run;
	TrModel    *model;
	TrTensor   *tensors;
	int			count;
	double		largest;

	set_options(&run, check.algorithm, settings);
	check.options = run.options;
	ops->open(&check.backend, &config, NULL);
	tr_model_create(&model, check.algorithm, &memory, check.backend, &small, run.options, &run.err);
	tr_model_save(model, &tensors, &count, &run.err);
	gradient_start(&check, tensors, count);
	tr_model_destroy(model);
	CHECK(isfinite(gradient_loss(&check, true)), "%s %s %s: loss", ops->name, name, settings);
	for (int i = 0; i < count; i++)
	{
		double		apart;

		if (strcmp(check.at[i].name, "mean") == 0)
			continue;
		if (strcmp(check.at[i].name, "nobody") == 0)
			continue;
		/* what the items of a user say has no biases */
		check.columns = strcmp(check.at[i].name, "implicit") == 0 ? 3 : 0;
		apart = gradient_apart(&check, i, &largest);
		CHECK(apart < 2e-3, "%s %s: gradient of %s, largest %.3g, off by %.2g", ops->name, name, check.at[i].name, largest,
			  apart);
		/* a bias moves the weights of a mixture alike */
		CHECK(largest > (strstr(check.at[i].name, "attention b") ? 1e-6 : 0.001), "%s %s: %s has a gradient", ops->name, name,
			  check.at[i].name);
	}
	ops->close(check.backend);
}

/* The rows of a side after one step with every rating. */
static void
after_step(const char *name, const char *settings, TrSide side, float *out, int epochs)
{
	Run			run;
	TrEpochStats stats;

	set_options(&run, tr_algorithm_find(name), settings);
	tr_model_create(&run.model, run.algorithm, &model_memory, backend, &small, run.options, &run.err);
	for (int epoch = 1; epoch <= epochs; epoch++)
		run.algorithm->train_epoch(run.model, epoch, NULL, &stats, &run.err);
	run.algorithm->embed(run.model, side, &small, 0, side == TR_USER ? small.n_users : small.n_items, out, &run.err);
	tr_model_destroy(run.model);
}

/* A step's penalty takes 2 * rate * strength of a row away for each of its ratings, and nothing of a column of 1. */
static void
test_penalty(const char *name, TrSide side)
{
	enum { W = 5 };
	float		start[8 * W];
	float		with[8 * W];
	float		without[8 * W];
	const int32_t *from = side == TR_USER ? small.user_ptr : small.item_ptr;
	int32_t		n = side == TR_USER ? small.n_users : small.n_items;
	double		most = 0;

	after_step(name, "factors=3 batch=1000 init_std=1 decay=false learning_rate=0.01 regularization=0", side, start, 0);
	after_step(name, "factors=3 batch=1000 init_std=1 decay=false learning_rate=0.01 regularization=0", side, without, 1);
	after_step(name, "factors=3 batch=1000 init_std=1 decay=false learning_rate=0.01 regularization=0.5", side, with, 1);
	for (int i = 0; i < n * W; i++)
	{
		bool		fixed = i % W == (side == TR_USER ? W - 1 : W - 2);
		double		value = side == TR_ITEM && i % W == W - 1 ? 0 : start[i];
		double		taken = fixed ? 0 : 2 * 0.01 * 0.5 * (from[i / W + 1] - from[i / W]) * value;

		most = fmax(most, fabs((double) without[i] - with[i] - taken));
	}
	CHECK(most < 1e-5, "%s: the penalty of %s, off by %g", name, side == TR_USER ? "users" : "items", most);
}

int
main(void)
{
	static const char *const coders[] = {"dha", "asdae", "nrp_dha", "nrp_asdae", "accm"};
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops, tr_cuda_test_ops};
	static const struct
	{
		const char *name;
		double		bound;
	}			bounds[] = {{"bias", 0.95}, {"mf", 0.5}, {"fm", 0.35}, {"svdpp", 0.5}, {"autorec", 0.6}};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	make_data(&dataset, true);
	backends[0] ()->open(&backend, &config, NULL);
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		if ((*a)->task->values)
		{
			double		bound = 0.6;

			for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
				if (strcmp(bounds[i].name, (*a)->name) == 0)
					bound = bounds[i].bound;
			test_algorithm(*a, bound);
		}
	test_bias();
	test_residuals("factors=5 burn_in=1000 samples=1 implicit=false");
	test_residuals("factors=3 burn_in=1000 samples=1");
	test_attributes("fm", "factors=4 epochs=60 samples=10", 0.2);
	for (int i = 0; i < 5; i++)
		test_attributes(coders[i], "encoder=8 factors=8 batch=256 epochs=40 learning_rate=0.01", 0.1);
	test_attributes("hire", "factors=8 batch=256 epochs=40 learning_rate=0.01", 0.1);
	make_some_data(&small, true, 8, 7);
	test_penalty("mf", TR_USER);
	test_penalty("mf", TR_ITEM);
	test_penalty("svdpp", TR_ITEM);
	CHECK_EQUAL((long long) model_memory.used, 0, "all memory is given back");
	backend->ops->close(backend);
	test_gradient(backends[0] (), "autorec", "optimizer=sgd layers=4 regularization=0 learning_rate=1 batch=1000", false);
	test_gradient(backends[0] (), "autorec", "optimizer=sgd layers=5,3 regularization=0 learning_rate=1 batch=1000 rows=users "
				  "activation=tanh dropout=0.3", false);
	test_gradient(backends[0] (), "nrp", "optimizer=sgd encoder=4,3 layers=4,3 activation=tanh own_rating=true identity=2 "
				  "factors=2 dropout=0.2 regularization=0 learning_rate=1 batch=1000 decay=false", false);
	test_gradient(backends[0] (), "neumf", "optimizer=sgd activation=tanh identity=3 layers=5,4 factors=2 dropout=0 regularization=0 "
				  "learning_rate=1 batch=1000 decay=false", false);
	add_attributes(&small, 7, 6);
	for (int i = 0; i < 5; i++)
	{
		char		settings[256];

		snprintf(settings, sizeof(settings), "optimizer=sgd encoder=%s factors=2 regularization=0 learning_rate=1 batch=1000 "
				 "decay=false %s%s", i == 1 ? "3,2" : "3", i < 4 ? "own_rating=true reconstruction=0.7" : "attention=2",
				 i < 2 ? " coupling=0.8" : "");
		test_gradient(backends[0] (), coders[i], settings, false);
	}
	test_gradient(backends[0] (), "hire", "optimizer=sgd factors=3 groups=3 hierarchy=0.4 flat=0.3 input_dropout=0.3 "
				  "regularization=0 learning_rate=1 batch=1000 decay=false", false);
	test_gradient(backends[0] (), "cdae", "optimizer=sgd layers=4 regularization=0 learning_rate=1 batch=1000", false);
	test_gradient(backends[0] (), "multvae", "optimizer=sgd layers=5,3 learning_rate=1 batch=1000 warm_up=3 divergence=0.5 "
				  "least_value=3", false);
	test_gradient(backends[0] (), "multvae", "optimizer=sgd layers=4 learning_rate=1 batch=1000 latent=false", false);
	for (int i = 0; i < 2; i++)
	{
		test_gradient(backends[i] (), "mf", "factors=3 regularization=0 learning_rate=1 batch=100000 decay=false init_std=1", true);
		test_gradient(backends[i] (), "svdpp", "factors=3 regularization=0 implicit_regularization=0 learning_rate=1 "
					  "batch=100000 decay=false init_std=1", true);
	}
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
