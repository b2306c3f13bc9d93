/*
 * acf's gradient against finite differences of the loss it reports, and that loss against the formula; the reconstruction
 * of what has a structure gets better.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "gradients.h"
#include "core/model.h"
#include "models/acf/acf.h"

#define USERS 6
#define ITEMS 4
#define TAGS 7
#define EPSILON 0.01f
#define MOST_PARAMETERS 200

extern const TrBackendOps *tagrec_backend_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);

static TrMemory memory;
static TrDataset dataset;
static TrBackend *backend;

/* User 4 has nothing. */
static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int u = 0; u < USERS; u++)
		for (int i = 0; i < ITEMS && u != 4; i++)
			tr_assignments_add(&a, u, i, (u % 3 + i * i) % TAGS, false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

static TrModel *
new_model(const char *layers, const char *optimizer, const char *rate, const char *dropout)
{
	const TrAlgorithm *algorithm = tr_algorithm_find("acf");
	TrSetting	settings[] = {{"layers", layers}, {"optimizer", optimizer}, {"learning_rate", rate}, {"dropout", dropout},
	{"weighting", "count"}, {NULL, NULL}};
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
read_parameters(TrModel *model, float *values)
{
	const Acf  *m = (const Acf *) model;

	backend->ops->download(backend, values, m->p.value, (size_t) m->p.size * sizeof(float));
}

static void
write_parameters(TrModel *model, const float *values)
{
	const Acf  *m = (const Acf *) model;

	backend->ops->upload(backend, m->p.value, values, (size_t) m->p.size * sizeof(float));
}

typedef struct Place
{
	TrModel    *model;
	float	   *values;
} Place;

/* The loss before a step, which changes the parameters. */
static double
loss_at(void *argument)
{
	const Place *place = argument;
	TrEpochStats stats = {0};

	write_parameters(place->model, place->values);
	place->model->algorithm->train_epoch(place->model, 1, NULL, &stats, NULL);
	return stats.loss;
}

/* out (n) = tanh(in (m) W + b), W (m,n), or stored (n,m) */
static void
layer(double *out, int n, const double *in, int m, const float *w, const float *b, bool transposed)
{
	for (int j = 0; j < n; j++)
	{
		double		sum = b[j];

		for (int i = 0; i < m; i++)
			sum += in[i] * (transposed ? w[j * m + i] : w[i * n + j]);
		out[j] = tanh(sum);
	}
}

/* The head of acf.h, to the letter. */
static double
naive_loss(const Acf *m, const float *p)
{
	const TrStack *l = &m->stack;
	const TrProfileTable *t = &dataset.user;
	double		total = 0;

	for (int u = 0; u < USERS; u++)
	{
		double		x[TAGS] = {0};
		double		h[2][TAGS] = {0};
		double		squares = 0;
		int			now = 0;

		for (int64_t e = t->entry_ptr[u]; e < t->entry_ptr[u + 1]; e++)
			squares += (double) t->count[e] * t->count[e];
		if (squares == 0)
			continue;
		for (int64_t e = t->entry_ptr[u]; e < t->entry_ptr[u + 1]; e++)
			x[t->tag[e]] = h[0][t->tag[e]] = t->count[e] / sqrt(squares);
		for (int k = 1; k <= l->K; k++, now = 1 - now)
			layer(h[1 - now], l->dim[k], h[now], l->dim[k - 1], p + l->weight[k], p + l->bias[k], false);
		for (int k = l->K; k >= 1; k--, now = 1 - now)
			layer(h[1 - now], l->dim[k - 1], h[now], l->dim[k], p + l->weight[k], p + l->bias[2 * l->K - k + 1], true);
		for (int j = 0; j < TAGS; j++)
			total += (h[now][j] - x[j]) * (h[now][j] - x[j]);
	}
	return total / (USERS - 1);
}

static void
test_gradient(const char *layers)
{
	TrModel    *model = new_model(layers, "sgd", "1", "0");
	const Acf  *m = (const Acf *) model;
	int			n = (int) m->p.size;
	float		start[MOST_PARAMETERS];
	float		after[MOST_PARAMETERS];
	Place		place = {model, start};
	double		worst = 0;

	read_parameters(model, start);
	for (int i = 0; i < n; i++)
		start[i] += 0.05f * (float) (i % 3);	/* biases too */
	CHECK_NEAR(loss_at(&place), naive_loss(m, start), 1e-5, "%s, layers %s: loss", backend->ops->name, layers);
	read_parameters(model, after);
	for (int i = 0; i < n; i++)
		worst = fmax(worst, fabs(gradient_difference(loss_at, &place, &start[i], EPSILON, false) - (start[i] - after[i])));
	CHECK_NEAR(worst, 0, 5e-4, "%s, layers %s: gradient of %d parameters", backend->ops->name, layers, n);
	tr_model_destroy(model);
}

static void
test_learns(const char *dropout)
{
	TrModel    *model = new_model("6", "adam", "0.02", dropout);
	double		first = 0;
	TrEpochStats stats = {0};
	TrSparse	near;

	for (int epoch = 1; epoch <= 150; epoch++)
	{
		model->algorithm->train_epoch(model, epoch, NULL, &stats, NULL);
		first = epoch == 1 ? stats.loss : first;
	}
	CHECK(stats.loss < (strcmp(dropout, "0") == 0 ? 0.1 : 0.5) * first, "%s, dropout %s: reconstructs, %g after %g",
		  backend->ops->name, dropout, stats.loss, first);
	model->algorithm->user_features(model, &dataset, 0, &near, NULL);
	CHECK(near.n > 0 && near.n < USERS - 1, "a user has neighbours, himself and the one without tags not among them");
	for (int i = 0; i < near.n; i++)
		CHECK(near.index[i] != 0 && near.index[i] != 4 && (near.index[i] != 3 || near.value[i] > 0.9999f),
			  "neighbour %d of user 0", (int) near.index[i]);
	model->algorithm->user_features(model, &dataset, 4, &near, NULL);
	CHECK_EQUAL(near.n, 0, "a user without tags has none");
	tr_model_destroy(model);
}

int
main(void)
{
	static const TrBackendOps *(*const backends[]) (void) = {tagrec_backend_ops, tr_cuda_test_ops};
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	make_data();
	for (int i = 0; i < 2; i++)
	{
		backends[i] ()->open(&backend, &config, NULL);
		test_gradient("3");
		test_gradient("5,3");
		test_gradient("5,4,3");
		test_learns("0");
		test_learns("0.2");
		backend->ops->close(backend);
	}
	tr_memory_release(&memory);
	return check_done();
}
