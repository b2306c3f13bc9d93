/*
 * pitf and nltf: one step of gradient descent against the derivatives written out, on posts that lack one tag each, so that
 * it is known which one is drawn; scores by the formula; the same model on any number of threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/tag_post.h"

#define USERS 3
#define ITEMS 4
#define TAGS 3
#define D 2
#define RATE 0.1
#define PENALTY 0.05
#define EXACT 1e-5

extern const TrBackendOps *tagrec_backend_ops(void);

static TrMemory memory;
static TrDataset dataset;
static const TrAlgorithm *algorithm;

/* of nltf's kernels */
#define SIGMA 0.8
#define SCALE 3

/* Every pair but one is a post; it lacks the tag (u + i) % 3. */
static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t i = 0; i < ITEMS; i++)
			for (int32_t t = 0; t < TAGS; t++)
				if (t != (u + i) % TAGS && u + i > 0)
					tr_assignments_add(&a, u, i, t, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

typedef struct Factors
{
	double		user[USERS][D];
	double		item[ITEMS][D];
	double		tag[TAGS][2 * D];
} Factors;

static double *
factor(Factors *f, int tensor, int32_t at)
{
	return (tensor == 0 ? &f->user[0][0] : tensor == 1 ? &f->item[0][0] : &f->tag[0][0]) + at;
}

static Factors
read_factors(TrModel *model)
{
	static const char *const names[] = {"users", "items", "tags"};
	Factors		f = {0};
	TrTensor   *tensors;
	int			count;

	tr_model_save(model, &tensors, &count, NULL);
	for (int i = 0; i < count; i++)
		for (int n = 0; n < 3; n++)
			for (int32_t at = 0; strcmp(tensors[i].name, names[n]) == 0 && at < tensors[i].rows * tensors[i].cols; at++)
				*factor(&f, n, at) = tensors[i].value[at];
	return f;
}

static double
kernel(const double *x, const double *y)
{
	double		sum = 0;

	for (int j = 0; j < D; j++)
		sum += (x[j] - y[j]) * (x[j] - y[j]);
	return SCALE * exp(-sum / (2 * SIGMA * SIGMA));
}

static double
score(const Factors *f, int32_t user, int32_t item, int32_t tag)
{
	double		sum = 0;

	if (strcmp(algorithm->name, "nltf") == 0)
		return kernel(f->user[user], f->tag[tag]) + kernel(f->item[item], f->tag[tag] + D);
	for (int j = 0; j < D; j++)
		sum += f->user[user][j] * f->tag[tag][j] + f->item[item][j] * f->tag[tag][D + j];
	return sum;
}

static double
squares(const double *x, int n)
{
	double		sum = 0;

	for (int j = 0; j < n; j++)
		sum += x[j] * x[j];
	return sum;
}

/* The loss of all assignments as one batch; of `negatives` draws, all are the one tag that the post lacks. */
static double
objective(const Factors *f, int negatives)
{
	double		loss = 0;

	for (int32_t p = 0; p < dataset.n_posts; p++)
	{
		int32_t		u = dataset.post_user[p];
		int32_t		i = dataset.post_item[p];
		int32_t		lacks = (u + i) % TAGS;

		loss += PENALTY * (squares(f->user[u], D) + squares(f->item[i], D));
		for (int32_t t = 0; t < TAGS; t++)
			if (t != lacks)
				loss += log1p(negatives * exp(score(f, u, i, lacks) - score(f, u, i, t)))
					+ PENALTY * (squares(f->tag[t], 2 * D) + negatives * squares(f->tag[lacks], 2 * D));
	}
	return loss;
}

static TrModel *
train(TrBackend *backend, const char *negatives, const char *optimizer, const char *batch, int epochs)
{
	bool		kernels = strcmp(algorithm->name, "nltf") == 0;
	TrSetting	settings[] = {{"factors", "2"}, {"negatives", negatives}, {"optimizer", optimizer}, {"batch", batch},
	{"learning_rate", "0.1"}, {"regularization", "0.05"}, {"init_std", "1"},
	{kernels ? "sigma" : NULL, "0.8"}, {"scale", "3"}, {NULL, NULL}};
	char		options[4096];
	TrOptionTarget target = {algorithm->options, options};
	TrEpochStats stats = {0};
	TrModel    *model;

	tr_options_set(&target, 1, settings, NULL);
	tr_model_create(&model, algorithm, &memory, backend, &dataset, options, NULL);
	for (int epoch = 1; epoch <= epochs; epoch++)
		algorithm->train_epoch(model, epoch, NULL, &stats, NULL);
	return model;
}

static void
test_step(TrBackend *backend, const char *negatives)
{
	TrModel    *before = train(backend, negatives, "sgd", "1000", 0);
	TrModel    *after = train(backend, negatives, "sgd", "1000", 1);
	Factors		f = read_factors(before);
	Factors		g = read_factors(after);
	const int	sizes[] = {USERS * D, ITEMS * D, TAGS * 2 * D};
	double		apart = 0;

	for (int n = 0; n < 3; n++)
		for (int32_t at = 0; at < sizes[n]; at++)
		{
			double	   *x = factor(&f, n, at);
			double		was = *x;
			double		up;

			*x = was + EXACT;
			up = objective(&f, atoi(negatives));
			*x = was - EXACT;
			up = (up - objective(&f, atoi(negatives))) / (2 * EXACT);
			*x = was;
			apart = fmax(apart, fabs(was - RATE * up - *factor(&g, n, at)));
		}
	CHECK_NEAR(apart, 0, 2 * EXACT, "%s, %s negative(s): a step goes down the gradient", algorithm->name, negatives);
	tr_model_destroy(before);
	tr_model_destroy(after);
}

static void
test_scores(TrBackend *backend)
{
	TrModel    *model = train(backend, "2", "adam", "5", 3);
	Factors		f = read_factors(model);
	TrPostBlock block;
	float		scores[TAGS];
	double		apart = 0;

	tr_post_block_init(&block, &memory, model, &dataset, 1, NULL);
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t i = 0; i < ITEMS; i++)
		{
			tr_post_block_set(&block, 0, u, i, NULL);
			model->algorithm->score_tags(model, block.post, 1, scores, NULL);
			for (int32_t t = 0; t < TAGS; t++)
				apart = fmax(apart, fabs(scores[t] - score(&f, u, i, t)));
		}
	CHECK_NEAR(apart, 0, EXACT, "%s: scores by the formula", algorithm->name);
	tr_post_block_free(&block);
	tr_model_destroy(model);
}

static void
test_threads(TrBackend *one, TrBackend *two)
{
	TrModel    *x = train(one, "3", "adam", "4", 4);
	TrModel    *y = train(two, "3", "adam", "4", 4);
	Factors		f = read_factors(x);
	Factors		g = read_factors(y);

	CHECK(memcmp(&f, &g, sizeof(f)) == 0, "%s: the same model on one thread and on two", algorithm->name);
	tr_model_destroy(x);
	tr_model_destroy(y);
}

int
main(void)
{
	TrBackend  *one;
	TrBackend  *two;

	tr_memory_init(&memory, 0);
	make_data();
	tagrec_backend_ops()->open(&one, &(TrBackendConfig) {.threads = 1}, NULL);
	tagrec_backend_ops()->open(&two, &(TrBackendConfig) {.threads = 2}, NULL);
	for (int i = 0; i < 2; i++)
	{
		algorithm = tr_algorithm_find(i == 0 ? "pitf" : "nltf");
		test_step(one, "1");
		test_step(one, "3");
		test_scores(one);
		test_threads(one, two);
	}
	one->ops->close(one);
	two->ops->close(two);
	tr_memory_release(&memory);
	return check_done();
}
