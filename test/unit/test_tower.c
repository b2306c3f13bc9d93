/*
 * The DSPR family as a whole: the gradient of every parameter against finite differences of the loss, for every choice
 * that changes the loss; a golden run; what the options promise.
 *
 * One epoch of plain gradient descent with rate 1 on a single batch is the gradient: parameters before minus after.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "gradients.h"
#include "core/rng.h"
#include "core/trainer.h"
#include "core/validation.h"

#define USERS 7
#define ITEMS 9
#define TAGS 11

extern const TrBackendOps *tagrec_backend_ops(void);

static const TrBackendOps *
plain_ops(void)
{
	return &tr_plain_ops;
}

static TrMemory memory;
static TrBackend *backend;

/* Random assignments in which every user, item and tag occurs. */
static void
make_dataset(TrDataset *dataset, uint64_t seed)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t n = 0; n < 60; n++)
		tr_assignments_add(&a, n < USERS ? n : (int32_t) tr_below(seed, 1, 0, n, USERS),
						   n < ITEMS ? n : (int32_t) tr_below(seed, 2, 0, n, ITEMS),
						   n < TAGS ? n : (int32_t) tr_below(seed, 3, 0, n, TAGS), false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(dataset, &a, USERS, ITEMS, TAGS, NULL);
}

typedef struct Run
{
	const TrAlgorithm *algorithm;
	TrDataset  *dataset;
	char		options[4096];	/* an options struct of any algorithm */
	TrTrainOptions train;
} Run;

static bool
set_options(Run *run, const char *algorithm, const char *text, TrError *err)
{
	run->algorithm = tr_algorithm_find(algorithm);
	return gradient_options(run->algorithm, run->options, &run->train, text, err);
}

/* ------------------------------------------------------------------ gradients */

/* Away from the initial 0, where the row of an empty profile has no direction and the loss a kink. */
static void
shift_biases(TrTensor *tensors, int count)
{
	for (int i = 0; i < count; i++)
		for (int j = 0; tensors[i].name[0] == 'b' && j < tensors[i].cols; j++)
			tensors[i].value[j] = 0.3f * (tr_uniform(9, 4, (uint64_t) i, (uint64_t) j) - 0.5f);
}

#define GRADIENT_SETTINGS "optimizer=sgd learning_rate=1 loss=sum batch=1000 first_layer_gain=1 init=normal init_std=0.4 "

static void
check_gradients(const char *algorithm, const char *settings)
{
	Run			run;
	TrDataset	dataset;
	TrModel    *model;
	TrTensor   *saved;
	int			count;
	GradientCheck check = {.dataset = &dataset, .options = run.options, .memory = &memory, .backend = backend,
	.step = 4e-3f, .five_points = true, .relative = true, .total = true};
	double		largest;
	char		all[1024];
	TrError		err = {0};

	make_dataset(&dataset, 5);
	run.dataset = &dataset;
	snprintf(all, sizeof(all), "%s%s", GRADIENT_SETTINGS, settings);
	if (!CHECK(set_options(&run, algorithm, all, &err), "%s accepts %s %s", algorithm, settings, err.message))
		return;
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	tr_model_save(model, &saved, &count, &err);
	check.algorithm = run.algorithm;
	gradient_start(&check, saved, count);
	tr_model_destroy(model);
	shift_biases(check.at, count);
	CHECK(isfinite(gradient_loss(&check, true)), "%s %s: finite loss", algorithm, settings);
	for (int which = 0; which < count; which++)
		if (strcmp(check.at[which].name, "idf") != 0 && strcmp(check.at[which].name, "mean_length") != 0)
			CHECK_NEAR(gradient_apart(&check, which, &largest), 0, 5e-3, "%s %s: gradient of %s", algorithm,
					   settings, check.at[which].name);
}

static void
test_gradients(void)
{
	check_gradients("dspr", "layers=4 own_tags=true keep=1 item_dropout=0 popularity=false mask_seen=false temperature=1");
	check_gradients("dspr", "layers=6,5,4 own_tags=true keep=1 item_dropout=0 temperature=0.5");
	check_gradients("dspr", "layers=5,4 temperature=0.5");
	check_gradients("dspr", "layers=4 temperature=0.5 batch_by=pairs user_dropout=0.3 norm=max weighting=bm25");
	check_gradients("dspr", "layers=4 regularization=0.1 weighting=binary norm=none temperature=0.5 mask_seen=false");
	check_gradients("hdlpr", "layers=4 reconstruction=0.3 own_tags=true keep=1 item_dropout=0");
	check_gradients("hdlpr", "layers=6,5,4 reconstruction=0.3 temperature=0.5 regularization=0.05");
	check_gradients("hdlpr", "layers=5,4 reconstruction=0.3 reconstruction_loss=squared weighting=log temperature=0.5");
	check_gradients("hdlpr_ns", "layers=6,5,4 reconstruction=0.2 preset=paper learning_rate=1");
	check_gradients("hdlpr_ns", "layers=5,4 reconstruction=0.2 temperature=0.5 negatives=batch");
	check_gradients("hdlpr_ns", "layers=5,4 reconstruction=0 temperature=0.5 negatives=batch logq=false positive_in_denominator=false");
	check_gradients("hdlpr_ns", "layers=4 negatives=uniform samples=5 temperature=0.5 own_tags=true keep=1");
	check_gradients("hdlpr_ns", "layers=4 negatives=popularity samples=5 temperature=0.5 reconstruction=0.2");
	check_gradients("hdlpr_ns", "layers=4 negatives=uniform samples=3 mask_seen=false logq=false temperature=0.5");
	check_gradients("hdlpr_ns", "layers=4 negatives=full temperature=0.5 user_balance=1 max_targets=2");
	check_gradients("hdlpr_ns", "layers=4 negatives=each samples=3 batch_by=pairs temperature=0.5");
	check_gradients("hdlpr_ns", "layers=4 negatives=each samples=4 preset=paper learning_rate=1 reconstruction=0.2");
}

/* ------------------------------------------------------------------ golden runs */

#define GOLDEN_EPOCHS 6

typedef struct Golden
{
	const char *algorithm;
	const char *settings;
	double		loss[GOLDEN_EPOCHS];
} Golden;

static const Golden golden[] = {
	{"dspr", "layers=6,4 batch=4 learning_rate=0.01 temperature=0.05",
	{5.818700, 8.667002, 4.707723, 5.682549, 12.182689, 9.336288}},
	{"hdlpr", "preset=paper layers=6,4 batch=8 learning_rate=0.05 epochs=6",
	{2.871670, 2.672819, 2.628056, 2.604702, 2.588830, 2.577937}},
	{"hdlpr_ns", "layers=6,4 batch=4 learning_rate=0.01 temperature=0.05 negatives=batch",
	{3.666894, 6.599479, 1.513697, 3.023672, 5.381375, 8.421601}},
	{"hdlpr_ns", "layers=6 batch=8 batch_by=pairs negatives=popularity samples=4 reconstruction=0.1 optimizer=momentum "
	"learning_rate=0.01 temperature=0.05",
	{4.412802, 2.563375, 2.513381, 1.683034, 1.420808, 1.569524}},
};

static void
remember_loss(void *argument, const TrEpoch *epoch)
{
	((double *) argument)[epoch->epoch - 1] = epoch->loss;
}

/* The loss of every epoch is what it was when this was written: data, seed, batches, dropout, gradients, optimizers. */
static void
check_golden(const Golden *g)
{
	Run			run;
	TrDataset	dataset;
	TrModel    *model;
	TrTrainResult result;
	double		loss[GOLDEN_EPOCHS] = {0};
	TrTrainHooks hooks = {.poll = {.argument = loss}, .epoch = remember_loss};
	TrError		err = {0};

	make_dataset(&dataset, 5);
	set_options(&run, g->algorithm, g->settings, &err);
	run.train.epochs = GOLDEN_EPOCHS;
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	CHECK(tr_train(model, &dataset, NULL, &run.train, &hooks, &result, &err) == TR_OK, "%s %s on %s trains %s", g->algorithm,
		  g->settings, backend->ops->name, err.message);
	for (int i = 0; i < GOLDEN_EPOCHS; i++)
		CHECK_NEAR(loss[i], g->loss[i], 2e-4 * g->loss[i], "%s %s on %s: loss of epoch %d", g->algorithm, g->settings,
				   backend->ops->name, i + 1);
	tr_model_destroy(model);
}

/* ------------------------------------------------------------------ what else is promised */

static double
first_loss(const char *algorithm, const char *settings)
{
	Run			run;
	TrDataset	dataset;
	TrModel    *model;
	TrTrainResult result;
	double		loss[GOLDEN_EPOCHS] = {0};
	TrTrainHooks hooks = {.poll = {.argument = loss}, .epoch = remember_loss};
	TrError		err = {0};

	make_dataset(&dataset, 5);
	if (!CHECK(set_options(&run, algorithm, settings, &err), "%s %s", settings, err.message))
		return NAN;
	run.train.epochs = 1;
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	CHECK(tr_train(model, &dataset, NULL, &run.train, &hooks, &result, &err) == TR_OK, "%s trains %s", settings, err.message);
	tr_model_destroy(model);
	tr_dataset_free(&dataset);
	return loss[0];
}

/*
 * When as many are drawn for each target as there are items, all of them are its negatives; with few, the sum has few
 * terms.
 */
static void
test_each(void)
{
	static const char common[] = "preset=paper layers=4 reconstruction=0 batch=7 positive_in_denominator=true";
	char		all[256];
	char		some[256];
	char		full[256];
	double		loss;
	TrError		err = {0};
	Run			run;

	snprintf(full, sizeof(full), "%s negatives=full", common);
	snprintf(all, sizeof(all), "%s negatives=each samples=%d", common, 40 * ITEMS);
	snprintf(some, sizeof(some), "%s negatives=each samples=1", common);
	loss = first_loss("hdlpr_ns", full);
	CHECK_NEAR(first_loss("hdlpr_ns", all), loss, 1e-4, "all items for each target");
	CHECK(first_loss("hdlpr_ns", some) < loss - 1, "one item for each target");
	CHECK(!set_options(&run, "hdlpr_ns", "negatives=each", &err) && strstr(err.message, "batch_by"), "for pairs alone");
	snprintf(full + strlen(full), sizeof(full) - strlen(full), " regularization=0");
	CHECK_NEAR(first_loss("dspr", "preset=paper layers=4 batch=7"), first_loss("hdlpr_ns", full), 1e-6,
			   "the preset of dspr is Eq. 8, which has no penalty");
}

/* Item 0 has so many tags, the first three from one user and the others from two; other items have one. */
static void
make_famous(TrDataset *dataset, int32_t tags, int32_t n_tags)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t t = 0; t < tags; t++)
		for (int32_t user = 0; user < (t < 3 ? 1 : 2); user++)
			tr_assignments_add(&a, user, 0, t, false, 0);
	for (int32_t n = 0; n < 3 * ITEMS; n++)
		tr_assignments_add(&a, n % USERS, 1 + n % (ITEMS - 1), n % (ITEMS - 1) % 5, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(dataset, &a, USERS, ITEMS, n_tags, NULL);
}

/* The loss of the third epoch */
static double
third_loss(const TrDataset *dataset, int profile_tags)
{
	Run			run;
	TrModel    *model;
	TrTrainResult result;
	double		loss[3] = {0};
	TrTrainHooks hooks = {.poll = {.argument = loss}, .epoch = remember_loss};
	char		settings[128];
	TrError		err = {0};

	snprintf(settings, sizeof(settings), "layers=4 weighting=count temperature=0.5 batch=4 epochs=3 profile_tags=%d",
			 profile_tags);
	set_options(&run, "hdlpr_ns", settings, &err);
	CHECK(tr_model_create(&model, run.algorithm, &memory, backend, dataset, run.options, &err) == TR_OK
		  && tr_train(model, dataset, NULL, &run.train, &hooks, &result, &err) == TR_OK, "%s", settings);
	tr_model_destroy(model);
	return loss[2];
}

/* Of item 0's profile the heaviest tags are read, as if it had no others; and how many without being told. */
static void
test_profile_tags(void)
{
	TrDataset	famous;
	TrDataset	cut;
	double		all;

	make_famous(&famous, 5, TAGS);
	make_famous(&cut, 5, TAGS);
	cut.item.tag += 3;			/* it is the first of the table, its first entries are the light ones */
	cut.item.count += 3;
	cut.item.occurrence_ptr += 3;
	cut.item.n_entries -= 3;
	for (int32_t i = 1; i <= ITEMS; i++)
		((int64_t *) cut.item.entry_ptr)[i] -= 3;
	all = third_loss(&famous, 0);
	CHECK(third_loss(&famous, 5) == all, "a profile that is as long as it may be is read as it is");
	CHECK(third_loss(&famous, 2) == third_loss(&cut, 0), "two of five tags: those that two users gave");
	CHECK(third_loss(&famous, 2) != all, "which makes a difference");

	make_famous(&famous, 200, 20000);
	CHECK(third_loss(&famous, 0) == third_loss(&famous, 1000), "of up to 20,000 tags all are read");
	make_famous(&famous, 200, 20001);
	CHECK(third_loss(&famous, 0) == third_loss(&famous, 64), "of more, 64 of a profile");
	CHECK(third_loss(&famous, 0) != third_loss(&famous, 1000), "and not all");
}

static size_t
estimate_of(const char *algorithm, int32_t n_tags, const char *settings)
{
	Run			run;
	TrShape		shape = {.n_users = 1000, .n_items = 1000, .n_tags = n_tags, .n_posts = 100000, .n_assignments = 1000000};

	CHECK(set_options(&run, algorithm, settings, NULL), "%s", settings);
	return run.algorithm->estimate(&shape, run.options);
}

/* The copy of a profile's heaviest tags takes memory; hybrid makes none. */
static void
test_estimate(void)
{
	size_t		entries = 1000000 * (size_t) 24;
	size_t		all = estimate_of("hdlpr_ns", 20000, "");

	CHECK(estimate_of("hdlpr_ns", 20000, "profile_tags=64") >= all + entries, "the copied profiles are in the estimate");
	CHECK(estimate_of("hdlpr_ns", 20001, "") >= all + entries, "also where there are very many tags");
	CHECK(estimate_of("hybrid", 19001, "") < estimate_of("hybrid", 19000, "") + entries / 2, "hybrid copies none");
}

static void
test_checks(void)
{
	Run			run;
	TrDataset	dataset;
	TrModel    *model;
	TrTrainResult result;
	TrAssignments a;
	TrError		err = {0};

	CHECK(!set_options(&run, "hdlpr", "regularization=0.5 reconstruction=0.5", &err) && strstr(err.message, "reconstruction"),
		  "weights of the loss that leave nothing for the ranking are refused");

	/* infinite counts without a norm: the loss cannot stay finite */
	tr_assignments_init(&a, &memory);
	for (int n = 0; n < 12; n++)
		tr_assignments_add(&a, n % 3, n % 4, n % 2, true, INFINITY);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, 3, 4, 2, NULL);
	set_options(&run, "dspr", "preset=paper layers=3", &err);
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	CHECK(tr_train(model, &dataset, NULL, &run.train, NULL, &result, &err) == TR_NOT_FINITE && strstr(err.detail, "NaN"),
		  "a loss that is not a number ends the training");
	CHECK_EQUAL(result.epochs, 1, "in the epoch after the first step");
	tr_model_destroy(model);

	/* every item has one user: his tags are all there is, and stay */
	tr_assignments_init(&a, &memory);
	for (int n = 0; n < 30; n++)
		tr_assignments_add(&a, n % 3, n, n % 2, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, 3, 30, 2, NULL);
	set_options(&run, "dspr", "layers=3 epochs=20 keep=0.5", &err);
	CHECK(tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err) == TR_OK
		  && tr_train(model, &dataset, NULL, &run.train, NULL, &result, &err) == TR_OK && result.loss > 0,
		  "items of one user each are targets too");
	tr_model_destroy(model);
}

/* Patience and the best epoch's weights: the metric of the model at the end is the best one seen. */
static double best_seen;

static void
remember_metric(void *argument, const TrEpoch *epoch)
{
	(void) argument;
	if (epoch->metric > best_seen)
		best_seen = epoch->metric;
}

static void
test_validation(void)
{
	static int32_t users[] = {0, 1, 2, 3};
	static int32_t items[] = {8, 7, 6, 5};
	TrPairs		held_out = {.count = 4, .user = users, .item = items};
	TrTrainHooks hooks = {.epoch = remember_metric};
	TrTrainResult result;
	TrDataset	dataset;
	TrModel    *model;
	Run			run;
	TrError		err = {0};
	double		value;

	make_dataset(&dataset, 5);
	set_options(&run, "hdlpr_ns", "layers=6 batch=3 epochs=60 patience=4 metric=mrr learning_rate=0.05", &err);
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	best_seen = 0;
	CHECK(tr_train(model, &dataset, &held_out, &run.train, &hooks, &result, &err) == TR_OK, "trains with held-out pairs");
	CHECK(result.epochs < 60 && result.epochs == result.best_epoch + 4, "stops after `patience` measurements without gain");
	tr_validate(model, &dataset, &held_out, TR_METRIC_MRR, 0, NULL, &value, &err);
	CHECK(value == best_seen && result.metric == best_seen, "and ends with the best epoch's weights");
	tr_model_destroy(model);
}

/* The arrays of all items after a short training with so many threads. */
/* ------------------------------------------------------------------ blocks */

static int	blocks;				/* of the output layer, made since it was 0 */

static void
counted_reconstruction(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
					   const float *multiplicity, bool squared, float scale, double *loss)
{
	blocks++;
	tr_plain_ops.reconstruction_loss(b, z, bias, dbias, x, first, R, multiplicity, squared, scale, loss);
}

/* 150 users in one batch, and as many items */
static double
loss_in_blocks(size_t block_bytes, int *count)
{
	TrBackendConfig config = {.threads = 1};
	TrBackendOps ops = tr_plain_ops;
	TrEpochStats stats = {0};
	TrAssignments a;
	TrDataset	dataset;
	TrModel    *model;
	Run			run;
	TrError		err = {0};

	ops.reconstruction_loss = counted_reconstruction;
	tr_plain_ops.open(&backend, &config, NULL);
	backend->ops = &ops;
	backend->block_bytes = block_bytes;
	tr_assignments_init(&a, &memory);
	for (int32_t n = 0; n < 300; n++)
		tr_assignments_add(&a, n % 150, n * 7 % 150, n * n % 30 % 20, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, 150, 150, 20, NULL);
	set_options(&run, "hdlpr", "layers=8,4 batch=150 reconstruction=0.3 keep=1", &err);
	blocks = 0;
	if (tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err) != TR_OK
		|| run.algorithm->train_epoch(model, 1, NULL, &stats, &err) != TR_OK
		|| run.algorithm->train_epoch(model, 2, NULL, &stats, &err) != TR_OK)
		stats.loss = NAN;
	*count = blocks;
	tr_model_destroy(model);
	tr_dataset_free(&dataset);
	backend->ops->close(backend);
	return stats.loss;
}

/* The output layer is made in the blocks that suit the backend, and their number makes no difference. */
static void
test_blocks(void)
{
	int			few;
	int			many;
	double		whole = loss_in_blocks(0, &few);

	CHECK_EQUAL(few, 4, "users and targets are a block each, in two epochs");
	CHECK_NEAR(loss_in_blocks(1, &many), whole, 1e-5 * whole, "smaller blocks give the same loss");
	CHECK(many > few, "... and are %d", many);
}

static void
train_with_threads(int threads, float *out)
{
	TrBackendConfig config = {.threads = threads};
	TrTrainResult result;
	TrDataset	dataset;
	TrModel    *model;
	Run			run;
	TrError		err = {0};

	tagrec_backend_ops()->open(&backend, &config, NULL);
	make_dataset(&dataset, 5);
	set_options(&run, "hdlpr_ns", "layers=300,130 batch=4 reconstruction=0.1 epochs=3", &err);
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	tr_train(model, &dataset, NULL, &run.train, NULL, &result, &err);
	run.algorithm->embed(model, TR_ITEM, &dataset, 0, ITEMS, out, &err);
	tr_model_destroy(model);
	backend->ops->close(backend);
}

static void
test_threads(void)
{
	static float one[ITEMS * 131];
	static float other[ITEMS * 131];

	train_with_threads(1, one);
	CHECK(one[0] != 0 && isfinite(one[0]), "one thread trains");
	train_with_threads(2, other);
	CHECK(memcmp(one, other, sizeof(one)) == 0, "two threads give the same model, bit by bit");
	train_with_threads(3, other);
	CHECK(memcmp(one, other, sizeof(one)) == 0, "and three");
}

static void
check_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, const TrSparse *tags)
{
	int64_t		ptr[] = {0, tags->n};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tags->index, .count = tags->value};
	float		array[129];
	float		expected[129];
	TrSparse	features;
	TrError		err = {0};

	tr_model_encode(model, TR_USER, &profile, expected, &err);
	CHECK(tr_model_fold_in(model, history, catalogue, array, &features, &err) == TR_OK && features.n == 0, "folds in");
	CHECK(memcmp(array, expected, (size_t) model->width * sizeof(float)) == 0, "a user of %d tags, whose items have %d",
		  history->tags.n, history->item_tags.n);
}

/* What the step towards the items makes of an array: tower_fold_in.c has the formula. */
static void
check_approach(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue)
{
	int			D = model->unit;
	TrHistory	tags = *history;
	float		x[129];
	float		array[129];
	double		to[128] = {0};
	double		p[ITEMS];
	double		sum = 0;
	double		norm = 0;
	bool		same = true;
	TrSparse	features;
	TrError		err = {0};

	tags.items.n = 0;
	tr_model_fold_in(model, &tags, catalogue, x, &features, &err);
	CHECK(tr_model_fold_in(model, history, catalogue, array, &features, &err) == TR_OK, "folds in %s", err.message);
	for (int j = 0; j < ITEMS; j++)
	{
		const float *y = catalogue->array + (size_t) j * catalogue->stride;
		double		score = y[D];

		for (int i = 0; i < D; i++)
			score += (double) x[i] * y[i];
		sum += p[j] = exp(score / 0.05);
	}
	for (int i = 0; i < D; i++)
	{
		to[i] = x[i] + catalogue->array[(size_t) 1 * catalogue->stride + (size_t) i] / 4
			+ catalogue->array[(size_t) 4 * catalogue->stride + (size_t) i] * 3 / 4;
		for (int j = 0; j < ITEMS; j++)
			to[i] -= p[j] / sum * catalogue->array[(size_t) j * catalogue->stride + (size_t) i];
		norm += to[i] * to[i];
	}
	for (int i = 0; i < D; i++)
		same &= fabs(array[i] - to[i] / sqrt(norm)) < 1e-5;
	CHECK(same && array[D] == x[D], "one step towards the items");
}

/* A new user is encoded by his tags and those of his items, and brought closer to these. */
static void
test_fold_in(void)
{
	static const int32_t index[] = {2, 5};
	static const float value[] = {1, 3};
	static const int32_t both_index[] = {2, 3, 5};
	static const float both_value[] = {1, 1, 6};
	static const int32_t items[] = {1, 4};
	TrSparse	own = {2, index, value};
	TrSparse	of_items = {2, both_index + 1, value};
	TrSparse	both = {3, both_index, both_value};
	float		arrays[ITEMS * 132];
	TrCatalogue catalogue = {.n_items = ITEMS, .array = arrays, .stride = 132};
	TrDataset	dataset;
	TrModel    *model;
	Run			run = {.dataset = &dataset};
	TrError		err = {0};

	make_dataset(&dataset, 3);
	set_options(&run, "hdlpr_ns", "layers=128 temperature=0.05", &err);
	CHECK(tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err) == TR_OK, "a tower");
	catalogue.width = model->width;
	for (int32_t i = 0; i < ITEMS; i++)
		tr_model_embed(model, TR_ITEM, &dataset, i, 1, arrays + (size_t) i * catalogue.stride, &err);
	check_fold_in(model, &(TrHistory) {.tags = own, .item_tags = of_items}, &catalogue, &both);
	check_fold_in(model, &(TrHistory) {.item_tags = of_items}, &catalogue, &of_items);
	check_fold_in(model, &(TrHistory) {.tags = own}, &catalogue, &own);
	check_approach(model, &(TrHistory) {.items = {2, items, value}, .tags = own}, &catalogue);
	tr_model_destroy(model);
	tr_dataset_free(&dataset);
}

/* w (T) by elimination: (x^T x + 10) w = x^T (y - mean) over the items below `old` */
static double
regress(const TrDataset *d, int32_t old, double w[TAGS])
{
	double		a[TAGS][TAGS + 1] = {{0}};
	double		mean = 0;

	for (int32_t i = 0; i < old; i++)
		mean += log1p(d->item_ptr[i + 1] - d->item_ptr[i]) / old;
	for (int32_t i = 0; i < old; i++)
		for (int64_t e = d->item.entry_ptr[i]; e < d->item.entry_ptr[i + 1]; e++)
		{
			for (int64_t f = d->item.entry_ptr[i]; f < d->item.entry_ptr[i + 1]; f++)
				a[d->item.tag[e]][d->item.tag[f]] += 1;
			a[d->item.tag[e]][TAGS] += log1p(d->item_ptr[i + 1] - d->item_ptr[i]) - mean;
		}
	for (int k = 0; k < TAGS; k++)
	{
		a[k][k] += 10;
		for (int i = k + 1; i < TAGS; i++)
			for (int j = TAGS; j >= k; j--)
				a[i][j] -= a[i][k] / a[k][k] * a[k][j];
	}
	for (int k = TAGS - 1; k >= 0; k--)
	{
		w[k] = a[k][TAGS];
		for (int j = k + 1; j < TAGS; j++)
			w[k] -= a[k][j] * w[j];
		w[k] /= a[k][k];
	}
	return mean;
}

/* Items that a model was not trained on count by their users and what their tags promise; the others stay to the bit. */
static void
test_new_items(const char *algorithm)
{
	enum
	{
		OLD = ITEMS - 2
	};
	uint64_t	new_items = 3 << OLD;
	TrDataset	dataset;
	TrDataset	present;
	TrModel    *model;
	Run			run = {.dataset = &dataset};
	float		before[ITEMS * 129];
	float		after[ITEMS * 129];
	double		w[TAGS];
	double		mean;
	TrError		err = {0};

	make_dataset(&dataset, 3);
	present = dataset;
	present.new_items = &new_items;
	set_options(&run, algorithm, "layers=128", &err);
	CHECK(tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err) == TR_OK, "a tower");
	tr_model_embed(model, TR_ITEM, &dataset, 0, ITEMS, before, &err);
	tr_model_embed(model, TR_ITEM, &present, 0, OLD + 1, after, &err);
	tr_model_embed(model, TR_ITEM, &present, OLD + 1, 1, after + (OLD + 1) * 129, &err);
	CHECK(memcmp(before, after, OLD * 129 * sizeof(float)) == 0, "%s: old items stay as they are", algorithm);
	mean = regress(&dataset, OLD, w);
	for (int32_t i = OLD; i < ITEMS; i++)
	{
		double		users = dataset.item_ptr[i + 1] - dataset.item_ptr[i];
		double		promise = mean;

		for (int64_t e = dataset.item.entry_ptr[i]; e < dataset.item.entry_ptr[i + 1]; e++)
			promise += w[dataset.item.tag[e]];
		CHECK_NEAR(after[i * 129 + 128] / before[i * 129 + 128], log1p(users + 1.6 * expm1(promise) / pow(1 + users, 0.8)) / log1p(users),
				   1e-5, "%s: a new item of %g users", algorithm, users);
		CHECK(memcmp(after + i * 129, before + i * 129, 128 * sizeof(float)) == 0, "its direction is that of its tags");
	}
	tr_model_destroy(model);
	tr_dataset_free(&dataset);
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {plain_ops, tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		if (i == 0)
			test_gradients();
		for (size_t g = 0; g < sizeof(golden) / sizeof(golden[0]); g++)
			check_golden(&golden[g]);
		test_checks();
		test_each();
		test_profile_tags();
		test_validation();
		test_fold_in();
		test_new_items("hdlpr_ns");
		backend->ops->close(backend);
	}
	test_estimate();
	test_blocks();
	test_threads();
	tr_memory_release(&memory);
	return check_done();
}
