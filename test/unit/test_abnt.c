/*
 * abnt as a whole: the gradient of every parameter against finite differences of the loss; scores of tags against the
 * formula, worked out in the plainest way; which tags attention looks at; what the options promise.
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
#include "models/abnt/abnt.h"

#define USERS 7
#define ITEMS 9
#define TAGS 11
#define MOST 32					/* widest vector of a test */

extern const TrBackendOps *tagrec_backend_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);

static const TrBackendOps *
plain_ops(void)
{
	return &tr_plain_ops;
}

static TrMemory memory;
static TrBackend *backend;
static TrDataset dataset;
static const TrAlgorithm *algorithm;

/* Random assignments in which every user, item and tag occurs; the last user has one post: an empty sequence. */
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

/*
 * init_std 1 makes attention choose, so that its gradient is not lost in rounding. A step decays the vectors that it moves,
 * all of them in a batch that holds every post and drops no id.
 */
static void
check_gradients(const char *settings)
{
	Run			run = {0};
	GradientCheck check = {.algorithm = algorithm, .dataset = &dataset, .options = run.options, .memory = &memory,
	.backend = backend, .step = 1e-2f};
	char		all[1024];

	snprintf(all, sizeof(all), "optimizer=sgd learning_rate=1 epochs=1 dimensions=4 init_std=1 %s", settings);
	if (!CHECK(train(&run, all), "%s: trains", settings))
		return;
	gradient_start(&check, run.tensors, run.n_tensors);
	tr_model_destroy(run.model);
	CHECK(isfinite(gradient_loss(&check, true)), "%s: finite loss", settings);
	for (int which = 0; which < check.count; which++)
	{
		double		largest;
		double		worst = gradient_apart(&check, which, &largest);

		CHECK_NEAR(worst, 0, 3e-5, "%s: gradient of %s", settings, check.at[which].name);
		CHECK(largest > 3e-4, "%s: %s has a gradient", settings, check.at[which].name);
	}
}

static void
test_gradients(void)
{
	check_gradients("activation=tanh layers=6,5 dropout=0 id_dropout=0 given=none regularization=0");
	check_gradients("activation=tanh layers=6 dropout=0 id_dropout=0 given=none regularization=5");
	check_gradients("activation=tanh layers=6 dropout=0 id_dropout=0 given=some sequence=3 regularization=0");
	check_gradients("activation=sigmoid layers=6,5 dropout=0.3 id_dropout=0.3 given=some regularization=0");
	check_gradients("activation=tanh layers=6 dropout=0.3 id_dropout=0.3 given=others regularization=0");
	check_gradients("activation=tanh layers=6 dropout=0 id_dropout=0 given=some samples=4 regularization=0");
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

static const float *
row_of(const TrTensor *t, int r)
{
	return t->value + (size_t) r * t->cols;
}

/* out = bias + x W */
static void
linear(const Run *run, const char *w, const char *b, const double *x, double *out)
{
	const TrTensor *weight = tensor(run, w);

	for (int j = 0; j < weight->cols; j++)
	{
		out[j] = tensor(run, b)->value[j];
		for (int i = 0; i < weight->rows; i++)
			out[j] += x[i] * row_of(weight, i)[j];
	}
}

/* count (TAGS): the user's, without this post; all but the `most` largest are 0 */
static void
history(int32_t user, int32_t without, int most, double *count)
{
	memset(count, 0, TAGS * sizeof(double));
	for (int32_t p = 0; p < dataset.n_posts; p++)
		if (dataset.post_user[p] == user && p != without)
			for (int64_t e = dataset.post_ptr[p]; e < dataset.post_ptr[p + 1]; e++)
				count[dataset.post_tag[e]]++;
	for (int t = TAGS - 1; t >= 0; t--)
	{
		int			before = 0;

		for (int s = 0; s < TAGS; s++)
			before += count[s] > count[t] || (count[s] == count[t] && s < t);
		if (before >= most)
			count[t] = -fabs(count[t]);
	}
	for (int t = 0; t < TAGS; t++)
		count[t] = fmax(count[t], 0);
}

/* context += share of one tag's vector, *sum += that share */
static void
mix(double *context, double *sum, const double *query, const float *vector, int D, double times)
{
	double		share = 0;

	for (int j = 0; j < D; j++)
		share += query[j] * vector[j];
	share = times * exp(share / sqrt(D));
	*sum += share;
	for (int j = 0; j < D; j++)
		context[j] += share * vector[j];
}

/* x (3D): context, user, item */
static void
input_of(const Run *run, int most, int32_t user, int32_t item, const int32_t *given, int n_given, double *x)
{
	int			D = tensor(run, "tags")->cols;
	double		query[MOST];
	double		count[TAGS];
	double		sum = 0;

	memset(x, 0, 3 * (size_t) D * sizeof(double));
	for (int j = 0; j < D; j++)
	{
		x[D + j] = user < 0 ? 0 : row_of(tensor(run, "users"), user)[j];
		x[2 * D + j] = item < 0 ? 0 : row_of(tensor(run, "items"), item)[j];
	}
	linear(run, "W_query", "b_query", x + D, query);
	for (int j = 0; j < D; j++)
		query[j] = tanh(query[j]);
	history(user, user >= 0 && item >= 0 ? tr_dataset_post(&dataset, user, item) : -1, most, count);
	for (int t = 0; t < TAGS; t++)
		mix(x, &sum, query, row_of(tensor(run, "tags"), t), D, count[t]);
	for (int i = 0; i < n_given; i++)
		mix(x, &sum, query, row_of(tensor(run, "tags_given"), given[i]), D, 1);
	for (int j = 0; j < D && sum > 0; j++)
		x[j] /= sum;
}

static void
expected_scores(const Run *run, int most, int32_t user, int32_t item, const int32_t *given, int n_given, double *score)
{
	double		x[3 * MOST];
	double		first[MOST];
	double		second[MOST];
	const TrTensor *out = tensor(run, "W_out");

	input_of(run, most, user, item, given, n_given, x);
	linear(run, "W_1", "b_1", x, first);
	for (int j = 0; j < tensor(run, "W_1")->cols; j++)
		first[j] = fmax(first[j], 0);
	linear(run, "W_2", "b_2", first, second);
	for (int t = 0; t < TAGS; t++)
	{
		score[t] = tensor(run, "b_out")->value[t];
		for (int k = 0; k < out->cols; k++)
			score[t] += fmax(second[k], 0) * row_of(out, t)[k];
	}
}

static void
test_scores(int most)
{
	static const int32_t given[] = {2, 5};
	TrPostBlock block;
	Run			run = {0};
	char		settings[256];
	float		score[TAGS];
	double		expected[TAGS];
	double		worst = 0;

	snprintf(settings, sizeof(settings), "dimensions=13 layers=17,9 sequence=%d given=some epochs=20 batch=8 init_std=0.5",
			 most);
	if (!CHECK(train(&run, settings), "trains with %d tags", most))
		return;
	tr_post_block_init(&block, &memory, run.model, &dataset, 1, NULL);
	for (int32_t user = -1; user < USERS; user++)
		for (int32_t item = -1; item < ITEMS; item++)
		{
			tr_post_block_set(&block, 0, user, item, NULL);
			block.post[0].given = given;
			block.post[0].n_given = (user + item + 2) % 3;
			algorithm->score_tags(run.model, block.post, 1, score, NULL);
			expected_scores(&run, most, user, item, given, block.post[0].n_given, expected);
			for (int t = 0; t < TAGS; t++)
				worst = fmax(worst, fabs(score[t] - expected[t]));
		}
	CHECK_NEAR(worst, 0, 1e-4, "%d tags: scores are those of the formula, of known and unknown users and items", most);
	tr_post_block_free(&block);
	tr_model_destroy(run.model);
}

/* ------------------------------------------------------------------ what else is promised */

#define LONG 400

/* Against a count of how many stand before each */
static void
test_sequence(void)
{
	static int32_t index[LONG];
	static float value[LONG];
	static int32_t col[LONG];
	static float val[LONG];
	static uint64_t keys[LONG];
	static const int32_t own[] = {1, 6, 7, 300, 900};
	TrSparse	profile = {LONG, index, value};

	for (int e = 0; e < LONG; e++)
	{
		index[e] = 3 * e;
		value[e] = (float) (1 + tr_below(3, 1, 0, (uint64_t) e, 9));
	}
	value[2] = 1;				/* tag 6: its only use is this post */
	for (int most = 0; most <= LONG; most += most < 3 ? 1 : 37)
	{
		int32_t		n = abnt_sequence(&profile, own, 5, most, col, val, keys);
		bool		right = n == (most < LONG - 1 ? most : LONG - 1);

		for (int32_t i = 0; i < n; i++)
		{
			int			before = 0;

			for (int e = 0; e < LONG; e++)
			{
				float		count = value[e] - (index[e] == 6 || index[e] == 300 || index[e] == 900);

				before += count > val[i] || (count == val[i] && index[e] < col[i]);
				right &= index[e] != col[i] || count == val[i];
			}
			right &= before < most && (i == 0 || col[i] > col[i - 1]);
		}
		CHECK(right, "the %d most used tags, the post's own counted once less", most);
	}
}

/* Counted by hand, for every post; some posts have the same time. */
static void
test_earlier(void)
{
	static int64_t times[200];
	Run			run = {0};
	TrTrainResult result;
	TrError		err = {0};
	bool		right = true;

	CHECK(!set_options(&run, "history=earlier sequence=0", &err) && strstr(err.message, "sequence above 0")
		  && strstr(err.hint, "history"), "not without a sequence: %s", err.message);
	CHECK(set_options(&run, "history=earlier epochs=2 layers=3", &err)
		  && tr_model_create(&run.model, algorithm, &memory, backend, &dataset, run.options, &err) == TR_BAD_OPTION
		  && strstr(err.message, "times") && strstr(err.hint, "time_column"), "not without times: %s", err.message);
	for (int32_t p = 0; p < dataset.n_posts; p++)
		times[p] = (int64_t) tr_below(7, 1, 0, (uint64_t) p, 8);
	dataset.post_time = times;
	CHECK(tr_model_create(&run.model, algorithm, &memory, backend, &dataset, run.options, &err) == TR_OK, "with times");
	for (int32_t p = 0; p < dataset.n_posts; p++)
	{
		float		count[TAGS] = {0};
		TrSparse	earlier = abnt_earlier((Abnt *) run.model, p);

		for (int32_t q = 0; q < dataset.n_posts; q++)
			for (int64_t i = dataset.post_ptr[q]; i < dataset.post_ptr[q + 1]; i++)
				count[dataset.post_tag[i]] += dataset.post_user[q] == dataset.post_user[p] && times[q] < times[p];
		for (int32_t i = 0; i < earlier.n; i++)
		{
			right &= count[earlier.index[i]] == earlier.value[i] && (i == 0 || earlier.index[i] > earlier.index[i - 1]);
			count[earlier.index[i]] = 0;
		}
		for (int32_t t = 0; t < TAGS; t++)
			right &= count[t] == 0;
	}
	CHECK(right, "the tags that the user gave before each post");
	CHECK(tr_train(run.model, &dataset, NULL, &run.train, NULL, &result, &err) == TR_OK, "it trains %s", err.message);
	tr_model_destroy(run.model);
	dataset.post_time = NULL;
}

/* A sample of all tags is no sample; one of few is another model. */
static void
test_samples(void)
{
	static const char *const settings[] = {"layers=6 epochs=3 batch=9", "layers=6 epochs=3 batch=9 samples=100000",
	"layers=6 epochs=3 batch=9 samples=2"};
	double		apart[3] = {0};
	Run			run[3] = {0};

	for (int i = 0; i < 3; i++)
	{
		if (!CHECK(train(&run[i], settings[i]), "%s: trains", settings[i]))
			return;
		for (int k = 0; k < TAGS * 6; k++)
			apart[i] = fmax(apart[i], fabs(tensor(&run[0], "W_out")->value[k] - tensor(&run[i], "W_out")->value[k]));
	}
	CHECK_NEAR(apart[1], 0, 1e-5, "all tags sampled are all tags");
	CHECK(apart[2] > 1e-3, "a few are another model");
	for (int i = 0; i < 3; i++)
		tr_model_destroy(run[i].model);
}

/* Regardless of the number of threads; and of the backend, up to rounding */
static void
train_on(const TrBackendOps *ops, int threads, float *out)
{
	TrBackendConfig config = {.threads = threads};
	Run			run = {0};

	ops->open(&backend, &config, NULL);
	if (CHECK(train(&run, "dimensions=40 layers=30,20 epochs=3 batch=7"), "%s, %d threads: trains", ops->name, threads))
	{
		memcpy(out, tensor(&run, "W_out")->value, TAGS * 20 * sizeof(float));
		tr_model_destroy(run.model);
	}
	backend->ops->close(backend);
}

static void
test_backends(void)
{
	static float one[TAGS * 20];
	static float other[TAGS * 20];
	double		worst = 0;

	train_on(tagrec_backend_ops(), 1, one);
	for (int threads = 2; threads <= 3; threads++)
	{
		train_on(tagrec_backend_ops(), threads, other);
		CHECK(memcmp(one, other, sizeof(one)) == 0, "%d threads give the same model, bit by bit", threads);
	}
	train_on(tr_cuda_test_ops(), 1, other);
	for (int i = 0; i < TAGS * 20; i++)
		if (fabs(one[i] - other[i]) > worst)
			worst = fabs(one[i] - other[i]);
	CHECK_NEAR(worst, 0, 1e-3, "the CUDA backend learns the same");
}

static void
test_presets(void)
{
	Run			run = {0};
	TrError		err = {0};

	CHECK(train(&run, "preset=paper epochs=2") && tensor(&run, "tags_given") == NULL,
		  "the paper's preset reads no given tags");
	tr_model_destroy(run.model);
	CHECK(train(&run, "sequence=0 epochs=2 layers=3"), "without a history");
	tr_model_destroy(run.model);
	CHECK(!set_options(&run, "given=all", &err) && strstr(err.message, "given"), "an unknown choice is refused");
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {plain_ops, tagrec_backend_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	algorithm = tr_algorithm_find("abnt");
	make_dataset();
	test_sequence();
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		if (i == 0)
		{
			test_gradients();
			test_earlier();
		}
		test_scores(3);
		test_scores(100);
		test_presets();
		test_samples();
		backend->ops->close(backend);
	}
	test_backends();
	tr_memory_release(&memory);
	return check_done();
}
