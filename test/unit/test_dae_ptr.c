/*
 * dae_ptr as a whole: the gradient of every parameter against finite differences of the loss, for every choice that changes
 * the loss; scores of tags against the formula; what the options promise.
 *
 * One epoch of plain gradient descent with rate 1 on a single batch is the gradient: parameters before minus after.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "gradients.h"
#include "core/rng.h"
#include "core/tag_post.h"
#include "core/trainer.h"
#include "models/dae_ptr/dae_ptr.h"

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
static TrDataset dataset;
static const TrAlgorithm *algorithm;

/* Random assignments in which every user, item and tag occurs; the last user has one post, of one tag. */
static void
make_dataset(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t n = 0; n < 90; n++)
		tr_assignments_add(&a, n < USERS - 1 ? n : (int32_t) tr_below(5, 1, 0, n, USERS - 1),
						   n < ITEMS ? n : (int32_t) tr_below(5, 2, 0, n, ITEMS),
						   n < TAGS ? n : (int32_t) tr_below(5, 3, 0, n, TAGS), false, 0);
	tr_assignments_add(&a, USERS - 1, 0, 0, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

typedef struct Run
{
	char		options[4096];
	TrTrainOptions train;
	TrModel    *model;
	TrTensor   *tensors;		/* saved */
	int			n_tensors;
} Run;

static bool
set_options(Run *run, const char *text, TrError *err)
{
	return gradient_options(algorithm, run->options, &run->train, text, err);
}

static bool
train(Run *run, const char *settings)
{
	TrTrainResult result;
	TrError		err = {0};
	bool		ok = set_options(run, settings, &err)
		&& tr_model_create(&run->model, algorithm, &memory, backend, &dataset, run->options, &err) == TR_OK
		&& tr_train(run->model, &dataset, NULL, &run->train, NULL, &result, &err) == TR_OK
		&& tr_model_save(run->model, &run->tensors, &run->n_tensors, &err) == TR_OK;

	if (!ok)
		printf("# %s: %s\n", settings, err.message);
	return ok;
}

/* ------------------------------------------------------------------ gradients */

static void
check_gradients(const char *settings)
{
	Run			run = {0};
	GradientCheck check = {.algorithm = algorithm, .dataset = &dataset, .options = run.options, .memory = &memory,
	.backend = backend, .step = 1e-2f};
	char		all[1024];

	snprintf(all, sizeof(all), "optimizer=sgd learning_rate=1 epochs=1 hidden=5 init=normal init_std=0.7 %s", settings);
	if (!CHECK(train(&run, all), "%s: trains", settings))
		return;
	gradient_start(&check, run.tensors, run.n_tensors);
	tr_model_destroy(run.model);
	CHECK(isfinite(gradient_loss(&check, true)), "%s: finite loss", settings);
	for (int which = 0; which < check.count; which++)
	{
		double		largest;
		double		worst;

		if (strcmp(check.at[which].name, "log_share") == 0)
			continue;
		worst = gradient_apart(&check, which, &largest);
		CHECK_NEAR(worst, 0, 1e-3, "%s: gradient of %s", settings, check.at[which].name);
		CHECK(largest > 5e-3, "%s: %s has a gradient", settings, check.at[which].name);
	}
}

static void
test_gradients(void)
{
	check_gradients("preset=paper hidden=5 learning_rate=1 optimizer=sgd epochs=1 regularization=20");
	check_gradients("activation=tanh dropout=0 id_dropout=0 prior=none");
	check_gradients("activation=sigmoid profiles=true drop=random dropout=0.3 id_dropout=0.3");
	check_gradients("activation=tanh touched_rows=false drop=share corruption=0.5 rescale=true profiles=true");
	check_gradients("activation=tanh loss=bce targets=dropped regularization=5 touched_rows=false");
	check_gradients("activation=sigmoid loss=softmax targets=all drop=share corruption=0.7 prior=product");
	check_gradients("activation=tanh samples=4 dropout=0 prior=product");
	check_gradients("preset=paper hidden=5 learning_rate=1 optimizer=sgd epochs=1 regularization=20 regularization_per=batch");
	check_gradients("preset=paper hidden=5 learning_rate=1 optimizer=sgd epochs=1 regularization=0.1 regularization_per=post");
}

/* ------------------------------------------------------------------ scores */

static const TrTensor *
tensor(const Run *run, const char *name)
{
	for (int i = 0; i < run->n_tensors; i++)
		if (strcmp(run->tensors[i].name, name) == 0)
			return &run->tensors[i];
	return NULL;
}

/* x += factor times row r of a tensor */
static void
add_row(double *x, const TrTensor *from, int r, double factor)
{
	for (int k = 0; k < from->cols; k++)
		x[k] += factor * from->value[(size_t) r * from->cols + k];
}

/* counts (TAGS) of a user or an item without one post (-1: with all) */
static void
count_tags(TrSide side, int32_t entity, int32_t without, double *count)
{
	memset(count, 0, TAGS * sizeof(double));
	for (int32_t p = 0; p < dataset.n_posts; p++)
		if ((side == TR_USER ? dataset.post_user[p] : dataset.post_item[p]) == entity && p != without)
			for (int64_t e = dataset.post_ptr[p]; e < dataset.post_ptr[p + 1]; e++)
				count[dataset.post_tag[e]]++;
}

/* Is the tag among the `most` most used ones? */
static bool
is_read(const double *count, int tag, int most)
{
	int			before = 0;

	for (int t = 0; t < TAGS; t++)
		before += count[t] > count[tag] || (count[t] == count[tag] && t < tag);
	return before < most;
}

/* What z and the logits get from a profile, of which z reads the `most` most used tags. */
static void
add_counts(const Run *run, TrSide side, const double *count, int most, double *z, double *score)
{
	double		smoothing = side == TR_USER ? 2 : 7;	/* as the settings below have it */
	double		squares = 0;

	for (int t = 0; t < TAGS; t++)
		if (is_read(count, t, most))
			squares += log1p(count[t]) * log1p(count[t]);
	for (int t = 0; t < TAGS; t++)
	{
		if (count[t] == 0)
			continue;
		if (is_read(count, t, most))
			add_row(z, tensor(run, side == TR_USER ? "W_user" : "W_item"), t, log1p(count[t]) / sqrt(squares));
		score[t] += tensor(run, "prior")->value[side] * log1p(count[t] / (smoothing * exp(tensor(run, "log_share")->value[t])));
	}
}

/* score (TAGS) by the formula; user or item -1: unknown */
static void
expected_scores(const Run *run, int most, int32_t user, int32_t item, const int32_t *given, int n_given, double *score)
{
	int32_t		post = user >= 0 && item >= 0 ? tr_dataset_post(&dataset, user, item) : -1;
	double		count[TAGS];
	double		z[16] = {0};

	memset(score, 0, TAGS * sizeof(double));
	add_row(z, tensor(run, "b"), 0, 1);
	for (int i = 0; i < n_given; i++)
		add_row(z, tensor(run, "W"), given[i], 1);
	if (user >= 0)
	{
		add_row(z, tensor(run, "P"), user, 1);
		count_tags(TR_USER, user, post, count);
		add_counts(run, TR_USER, count, most, z, score);
	}
	if (item >= 0)
	{
		add_row(z, tensor(run, "Q"), item, 1);
		count_tags(TR_ITEM, item, post, count);
		add_counts(run, TR_ITEM, count, most, z, score);
	}
	for (int t = 0; t < TAGS; t++)
	{
		const TrTensor *decoder = tensor(run, "W_out");

		score[t] += tensor(run, "b_out")->value[t];
		for (int k = 0; k < decoder->cols; k++)
			score[t] += 1 / (1 + exp(-z[k])) * decoder->value[(size_t) t * decoder->cols + k];
	}
}

static void
test_scores(int most)
{
	static const int32_t given[] = {2, 5};
	TrPostBlock block;
	Run			run = {0};
	float		score[TAGS];
	double		expected[TAGS];
	double		worst = 0;
	char		settings[256];

	snprintf(settings, sizeof(settings), "hidden=13 activation=sigmoid profiles=true user_smoothing=2 item_smoothing=7 similar=0 "
			 "epochs=5 batch=8 profile_tags=%d", most);
	if (!CHECK(train(&run, settings), "trains with everything on, %d tags of a profile", most))
		return;
	tr_post_block_init(&block, &memory, run.model, &dataset, 1, NULL);
	for (int32_t user = -1; user < USERS; user++)
		for (int32_t item = -1; item < ITEMS; item++)
		{
			tr_post_block_set(&block, 0, user, item, NULL);
			block.post[0].given = given;
			block.post[0].n_given = (user + item + 2) % 3;
			algorithm->score_tags(run.model, block.post, 1, score, NULL);
			expected_scores(&run, most > 0 ? most : TAGS, user, item, given, block.post[0].n_given, expected);
			for (int t = 0; t < TAGS; t++)
				worst = fmax(worst, fabs(score[t] - expected[t]));
		}
	CHECK_NEAR(worst, 0, 1e-4, "scores are those of the formula, of known and unknown users and items, %d tags", most);
	tr_post_block_free(&block);
	tr_model_destroy(run.model);
}

/* ------------------------------------------------------------------ what else is promised */

static void
test_checks(void)
{
	Run			run = {0};
	TrError		err = {0};

	CHECK(!set_options(&run, "corruption=0 drop=share targets=dropped", &err) && strstr(err.message, "corruption 0"),
		  "nothing dropped leaves nothing to learn");
	CHECK(!set_options(&run, "corruption=1 drop=share rescale=true targets=all", &err)
		  && strstr(err.message, "rescale"), "nothing left cannot be rescaled");
	CHECK(!set_options(&run, "loss=bce samples=5", &err) && strstr(err.message, "samples requires"),
		  "samples are of a softmax");
	CHECK(set_options(&run, "corruption=1 drop=share", &err), "no input at all is a model without tags");
	CHECK(set_options(&run, "preset=paper", &err) && run.train.epochs > 0, "the paper's preset");
}

/* Whether a step moves the vectors of an id that is not in it: it does by momentum, unless touched_rows says no. */
static void
test_touched_rows(void)
{
	static const char *const settings[] = {
		"touched_rows=true hidden=4 batch=1 epochs=2 id_dropout=0", "touched_rows=false hidden=4 batch=1 epochs=2 id_dropout=0"
	};
	Run			run[2] = {0};

	for (int i = 0; i < 2; i++)
		CHECK(train(&run[i], settings[i]), "%s", settings[i]);
	CHECK(memcmp(tensor(&run[0], "P")->value, tensor(&run[1], "P")->value, USERS * 4 * sizeof(float)) != 0,
		  "touched_rows makes a difference");
	for (int i = 0; i < 2; i++)
		tr_model_destroy(run[i].model);
}

/* The largest difference between the decoders of two trainings. */
static double
decoders_apart(const char *one, const char *other)
{
	Run			run[2] = {0};
	double		most = 0;

	CHECK(train(&run[0], one) && train(&run[1], other), "%s and %s: train", one, other);
	for (int i = 0; i < TAGS * 6; i++)
		most = fmax(most, fabs(tensor(&run[0], "W_out")->value[i] - tensor(&run[1], "W_out")->value[i]));
	tr_model_destroy(run[0].model);
	tr_model_destroy(run[1].model);
	return most;
}

/* A sample of all tags is no sample; one of few is another model. So it is with the tags of profiles. */
static void
test_samples(void)
{
	CHECK(decoders_apart("hidden=6 epochs=3 batch=9", "hidden=6 epochs=3 batch=9 profile_tags=100000") == 0,
		  "all tags of profiles are all");
	CHECK(decoders_apart("hidden=6 epochs=3 batch=9", "hidden=6 epochs=3 batch=9 profile_tags=2") > 1e-4,
		  "two tags of a profile are another model");
	CHECK_NEAR(decoders_apart("hidden=6 epochs=3 batch=9", "hidden=6 epochs=3 batch=9 samples=100000"), 0, 1e-5,
			   "all tags sampled are all tags");
	CHECK(decoders_apart("hidden=6 epochs=3 batch=2 samples=2", "hidden=6 epochs=3 batch=2") > 1e-3,
		  "a few are another model");
}

/* Epochs of a part of the posts each: so many of them make up a pass. */
static void
test_parts(void)
{
	Run			run = {0};
	int			parts = (dataset.n_posts + 4) / 5;
	int64_t		pairs = 0;
	int64_t		most = 0;

	if (!CHECK(train(&run, "hidden=6 epochs=1 batch=4 epoch_posts=5"), "trains on five posts in an epoch"))
		return;
	for (int epoch = 1; epoch <= 2 * parts; epoch++)
	{
		TrEpochStats stats = {0};

		run.model->algorithm->train_epoch(run.model, epoch, NULL, &stats, NULL);
		pairs += stats.pairs;
		most = stats.pairs > most ? stats.pairs : most;
	}
	CHECK(parts > 2 && most == 5, "%d epochs of up to %d posts", parts, (int) most);
	CHECK_EQUAL(pairs, 2 * (int64_t) dataset.n_posts, "two passes see each post twice");
	tr_model_destroy(run.model);
}

/* What is left for training may be nothing. */
static void
test_no_posts(void)
{
	TrDataset	full = dataset;
	TrAssignments a;
	Run			run = {0};
	TrEpochStats stats = {0};

	tr_assignments_init(&a, &memory);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
	CHECK(set_options(&run, "hidden=6 epochs=1", NULL)
		  && tr_model_create(&run.model, algorithm, &memory, backend, &dataset, run.options, NULL) == TR_OK
		  && algorithm->train_epoch(run.model, 1, NULL, &stats, NULL) == TR_OK, "no posts: an epoch without steps");
	CHECK_EQUAL(stats.pairs, 0, "it has seen no posts");
	tr_model_destroy(run.model);
	tr_dataset_free(&dataset);
	dataset = full;
}

static void
train_with_threads(const char *settings, int threads, float *out)
{
	TrBackendConfig config = {.threads = threads};
	Run			run = {0};

	tagrec_backend_ops()->open(&backend, &config, NULL);
	if (CHECK(train(&run, settings), "%d threads: trains", threads))
	{
		memcpy(out, tensor(&run, "W_out")->value, TAGS * 200 * sizeof(float));
		tr_model_destroy(run.model);
	}
	backend->ops->close(backend);
}

static void
test_threads(const char *settings)
{
	static float one[TAGS * 200];
	static float other[TAGS * 200];

	train_with_threads(settings, 1, one);
	for (int threads = 2; threads <= 3; threads++)
	{
		train_with_threads(settings, threads, other);
		CHECK(memcmp(one, other, sizeof(one)) == 0, "%s: %d threads give the same model, bit by bit", settings, threads);
	}
}

/* By the posts of an epoch, where a pass over all takes several */
static void
test_epochs(void)
{
	const TrAlgorithm *a = tr_algorithm_find("dae_ptr");
	DaeOptions	o = {0};

	CHECK_EQUAL(tr_planned_epochs(a, &o, 0, 60000), 25, "over little data");
	CHECK_EQUAL(tr_planned_epochs(a, &o, 0, 500000), 10, "5 million posts in all");
	CHECK_EQUAL(tr_planned_epochs(a, &o, 0, 10000000), 5, "of a million posts each");
	o.epoch_posts = 100000;
	CHECK_EQUAL(tr_planned_epochs(a, &o, 0, 10000000), 25, "of fewer posts each");
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {plain_ops, tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	algorithm = tr_algorithm_find("dae_ptr");
	make_dataset();
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		if (i == 0)
			test_gradients();
		test_scores(0);
		test_scores(3);
		test_checks();
		test_touched_rows();
		test_samples();
		test_parts();
		test_no_posts();
		backend->ops->close(backend);
	}
	test_epochs();
	test_threads("hidden=200 epochs=3 batch=7 profiles=true");
	test_threads("hidden=200 epochs=3 batch=7 epoch_posts=9");
	test_threads("hidden=200 epochs=3 batch=7 samples=5 profile_tags=2");
	tr_memory_release(&memory);
	return check_done();
}
