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
#include "core/rng.h"
#include "core/trainer.h"
#include "core/validation.h"

#define USERS 7
#define ITEMS 9
#define TAGS 11

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

/* settings: "name=value name=value …" */
static bool
set_options(Run *run, const char *algorithm, const char *text, TrError *err)
{
	char		copy[1024];
	TrSetting	settings[64] = {{NULL, NULL}};
	TrOptionTarget targets[2];
	int			n = 0;

	run->algorithm = tr_algorithm_find(algorithm);
	targets[0] = (TrOptionTarget) {run->algorithm->options, run->options};
	targets[1] = (TrOptionTarget) {&tr_train_options, &run->train};
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
	{
		char	   *value = strchr(word, '=');

		*value = '\0';
		settings[n++] = (TrSetting) {word, value + 1};
	}
	return tr_options_set(targets, 2, settings, err) == TR_OK;
}

/* ------------------------------------------------------------------ gradients */

static double
total_loss(Run *run, const TrTensor *parameters, int count, TrTensor *after, int after_count)
{
	TrModel    *model;
	TrEpochStats stats = {0};
	TrTensor   *tensors;
	TrError		err = {0};
	double		loss = NAN;

	if (tr_model_create(&model, run->algorithm, &memory, backend, run->dataset, run->options, &err) != TR_OK)
		return NAN;
	if (run->algorithm->restore(model, parameters, count, &err) == TR_OK
		&& run->algorithm->train_epoch(model, 1, NULL, &stats, &err) == TR_OK
		&& run->algorithm->save(model, &tensors, &count, &err) == TR_OK)
	{
		loss = stats.loss * (double) stats.pairs;
		for (int i = 0; i < after_count; i++)
			memcpy(after[i].value, tensors[i].value, (size_t) tensors[i].rows * tensors[i].cols * sizeof(float));
	}
	run->algorithm->destroy(model);
	return loss;
}

static TrTensor *
copy_tensors(const TrTensor *from, int count)
{
	TrTensor   *copy = tr_calloc(&memory, (size_t) count, sizeof(TrTensor));

	for (int i = 0; i < count; i++)
	{
		size_t		bytes = (size_t) from[i].rows * from[i].cols * sizeof(float);

		copy[i] = from[i];
		copy[i].value = tr_alloc(&memory, bytes);
		memcpy(copy[i].value, from[i].value, bytes);
	}
	return copy;
}

/* The largest difference of the analytic gradient of a tensor to central differences, relative to 1 + |gradient|. */
static double
worst_difference(Run *run, TrTensor *at, const TrTensor *after, int count, int which)
{
	const float step = 4e-3f;
	double		worst = 0;

	for (int i = 0; i < at[which].rows * at[which].cols; i++)
	{
		float		saved = at[which].value[i];
		double		analytic = (double) saved - after[which].value[i];
		double		above;
		double		below;

		at[which].value[i] = saved + step;
		above = total_loss(run, at, count, NULL, 0);
		at[which].value[i] = saved - step;
		below = total_loss(run, at, count, NULL, 0);
		at[which].value[i] = saved;
		worst = fmax(worst, fabs((above - below) / (2 * (double) step) - analytic) / (1 + fabs(analytic)));
		if (isnan(above) || isnan(below))
			return NAN;
	}
	return worst;
}

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
	TrTensor   *at;
	TrTensor   *after;
	int			count;
	char		all[1024];
	TrError		err = {0};

	make_dataset(&dataset, 5);
	run.dataset = &dataset;
	snprintf(all, sizeof(all), "%s%s", GRADIENT_SETTINGS, settings);
	if (!CHECK(set_options(&run, algorithm, all, &err), "%s accepts %s %s", algorithm, settings, err.message))
		return;
	tr_model_create(&model, run.algorithm, &memory, backend, &dataset, run.options, &err);
	run.algorithm->save(model, &saved, &count, &err);
	at = copy_tensors(saved, count);
	after = copy_tensors(saved, count);
	run.algorithm->destroy(model);
	shift_biases(at, count);
	CHECK(isfinite(total_loss(&run, at, count, after, count)), "%s %s: finite loss", algorithm, settings);
	for (int which = 0; which < count; which++)
		if (strcmp(at[which].name, "idf") != 0 && strcmp(at[which].name, "mean_length") != 0)
			CHECK_NEAR(worst_difference(&run, at, after, count, which), 0, 5e-3, "%s %s: gradient of %s", algorithm,
					   settings, at[which].name);
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
	check_gradients("hdlpr_ns", "layers=5,4 reconstruction=0.2 temperature=0.5");
	check_gradients("hdlpr_ns", "layers=5,4 reconstruction=0 temperature=0.5 logq=false positive_in_denominator=false");
	check_gradients("hdlpr_ns", "layers=4 negatives=uniform samples=5 temperature=0.5 own_tags=true keep=1");
	check_gradients("hdlpr_ns", "layers=4 negatives=popularity samples=5 temperature=0.5 reconstruction=0.2");
	check_gradients("hdlpr_ns", "layers=4 negatives=uniform samples=3 mask_seen=false logq=false temperature=0.5");
	check_gradients("hdlpr_ns", "layers=4 negatives=full temperature=0.5 user_balance=1 max_targets=2");
}

int
main(void)
{
	TrBackendConfig config = {.threads = 1};

	tr_memory_init(&memory, 0);
	tr_plain_ops.open(&backend, &config, NULL);
	test_gradients();
	backend->ops->close(backend);
	tr_memory_release(&memory);
	return check_done();
}
