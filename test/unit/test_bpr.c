/*
 * bpr's gradient against finite differences of its loss: each user lacks one item, which is then the only one that can be
 * drawn beside those he has, and one step of plain gradient descent over all triples shows the whole gradient.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/model.h"

#define USERS 7
#define ITEMS 5
#define FACTORS 3
#define REGULARIZATION 0.05
#define EPSILON 1e-4

extern const TrBackendOps *tagrec_backend_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);

static TrMemory memory;
static TrDataset dataset;

static int
missing_item(int user)
{
	return (user * 3 + 1) % ITEMS;
}

static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
			if (i != missing_item(u))
				tr_assignments_add(&a, u, i, 0, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, 1, NULL);
}

/* The parameters of a model, users before items, rows of `width`. */
typedef struct Parameters
{
	int			width;			/* factors, and a bias column if there is one */
	int			n;
	double		value[(USERS + ITEMS) * (FACTORS + 1)];
} Parameters;

static Parameters
parameters_of(TrModel *model)
{
	Parameters	p = {.width = model->width};
	float		values[(USERS + ITEMS) * (FACTORS + 1)];

	p.n = (USERS + ITEMS) * p.width;
	model->algorithm->embed(model, TR_USER, &dataset, 0, USERS, values, NULL);
	model->algorithm->embed(model, TR_ITEM, &dataset, 0, ITEMS, values + USERS * p.width, NULL);
	for (int i = 0; i < p.n; i++)
		p.value[i] = values[i];
	return p;
}

static double
dot(const double *x, const double *y, int n)
{
	double		sum = 0;

	for (int j = 0; j < n; j++)
		sum += x[j] * y[j];
	return sum;
}

/* The sum over all triples, and the penalty apart. */
static double
loss_of(const Parameters *p, double *penalty)
{
	const double *items = p->value + USERS * p->width;
	double		loss = 0;

	*penalty = 0;
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS; i++)
		{
			const double *w = p->value + u * p->width;
			const double *has = items + i * p->width;
			const double *lacks = items + missing_item(u) * p->width;

			if (i == missing_item(u))
				continue;
			loss += log(1 + exp(dot(w, lacks, p->width) - dot(w, has, p->width)));
			*penalty += REGULARIZATION * (dot(w, w, FACTORS) + dot(has, has, p->width) + dot(lacks, lacks, p->width));
		}
	return loss;
}

static double
slope(const Parameters *p, int i)
{
	Parameters	up = *p;
	Parameters	down = *p;
	double		penalty_up,
				penalty_down;
	double		rise;

	up.value[i] += EPSILON;
	down.value[i] -= EPSILON;
	rise = loss_of(&up, &penalty_up) - loss_of(&down, &penalty_down);
	return (rise + penalty_up - penalty_down) / (2 * EPSILON);
}

static TrModel *
new_model(TrBackend *backend, const char *bias, const char *sampling)
{
	const TrAlgorithm *algorithm = tr_algorithm_find("bpr");
	TrSetting	settings[] = {{"factors", "3"}, {"item_bias", bias}, {"sampling", sampling}, {"regularization", "0.05"},
	{"optimizer", "sgd"}, {"learning_rate", "1"}, {"batch", "1000"}, {"init_std", "1"}, {NULL, NULL}};
	char		values[4096];
	TrOptionTarget target = {algorithm->options, values};
	TrModel    *model = NULL;
	TrError		err = {0};

	CHECK_EQUAL(tr_options_set(&target, 1, settings, &err), TR_OK, "options %s", err.message);
	CHECK_EQUAL(tr_model_create(&model, algorithm, &memory, backend, &dataset, values, &err), TR_OK, "created %s",
				err.message);
	return model;
}

static void
test_gradient(const TrBackendOps *ops, const char *bias, const char *sampling)
{
	TrBackendConfig config = {.threads = 2};
	TrBackend  *backend;
	TrModel    *model;
	TrEpochStats stats = {0};
	Parameters	before,
				after;
	double		penalty;
	double		worst = 0;

	ops->open(&backend, &config, NULL);
	model = new_model(backend, bias, sampling);
	before = parameters_of(model);
	model->algorithm->train_epoch(model, 1, NULL, &stats, NULL);
	after = parameters_of(model);
	CHECK_EQUAL(before.width, FACTORS + (strcmp(bias, "true") == 0), "%s, bias %s: width", ops->name, bias);
	CHECK_EQUAL(stats.pairs, USERS * (ITEMS - 1), "%s, bias %s: triples of an epoch", ops->name, bias);
	CHECK_NEAR(stats.loss * (double) stats.pairs, loss_of(&before, &penalty), 1e-4, "%s, bias %s: loss", ops->name, bias);
	for (int i = 0; i < before.n; i++)
	{
		bool		fixed = i < USERS * before.width && i % before.width >= FACTORS;

		worst = fmax(worst, fabs(before.value[i] - after.value[i] - (fixed ? 0 : slope(&before, i))));
		if (fixed)
			CHECK(after.value[i] == 1, "a user's column for the bias stays 1");
	}
	CHECK_NEAR(worst, 0, 1e-5, "%s, bias %s, %s: gradient", ops->name, bias, sampling);
	tr_model_destroy(model);
	ops->close(backend);
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops, tr_cuda_test_ops};

	tr_memory_init(&memory, 0);
	make_data();
	for (int i = 0; i < 2; i++)
	{
		test_gradient(backends[i] (), "true", "uniform");
		test_gradient(backends[i] (), "true", "popularity");
		test_gradient(backends[i] (), "false", "uniform");
	}
	tr_memory_release(&memory);
	return check_done();
}
