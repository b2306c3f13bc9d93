/*
 * folkrank against its definition: the fixed point of PageRank with the preference of a post, found by iterating on a dense
 * matrix, minus the one without. Arrays of all tags, and arrays cut short.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/tag_post.h"

#define USERS 6
#define ITEMS 9
#define TAGS 12
#define NODES (TAGS + USERS + ITEMS)
#define UNKNOWN (-1)

extern const TrBackendOps *tagrec_backend_ops(void);

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;
static double edge[NODES][NODES];

static void
join(int a, int b)
{
	edge[a][b] += 1;
	edge[b][a] += 1;
}

/* Connected: tag 0 is everywhere. The last user and the last tag are in no post. */
static void
make_data(void)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t u = 0; u < USERS - 1; u++)
		for (int32_t i = 0; i < ITEMS; i++)
			for (int32_t t = 0; t < TAGS - 1; t++)
			{
				if (tr_uniform(3, 1, (uint64_t) (u * ITEMS + i), (uint64_t) t) > (t == 0 ? 0.6f : 0.2f) && u + i > 0)
					continue;
				tr_assignments_add(&a, u, i, t, false, 0);
				join(TAGS + u, t);
				join(TAGS + USERS + i, t);
				join(TAGS + u, TAGS + USERS + i);
			}
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

static double
degree(int v)
{
	double		sum = 0;

	for (int n = 0; n < NODES; n++)
		sum += edge[v][n];
	return sum;
}

/* w (V) = the fixed point of w <- d A^T w + (1 - d) p */
static void
page_rank(double *w, const double *p, double d)
{
	double		next[NODES];

	memcpy(w, p, NODES * sizeof(double));
	for (int step = 0; step < 400; step++)
	{
		for (int v = 0; v < NODES; v++)
			next[v] = (1 - d) * p[v];
		for (int n = 0; n < NODES; n++)
			for (int v = 0; degree(n) > 0 && v < NODES; v++)
				next[v] += d * edge[n][v] / degree(n) * w[n];
		memcpy(w, next, sizeof(next));
	}
}

static void
naive_scores(double *score, int user, int item, double d, double preference)
{
	double		p[NODES];
	double		w1[NODES];
	double		w0[NODES];
	double		total = 0;
	double		with_edges = 0;

	for (int v = 0; v < NODES; v++)
		p[v] = 1;
	if (user >= 0)
		p[TAGS + user] += preference > 0 ? preference * NODES : USERS;
	if (item >= 0)
		p[TAGS + USERS + item] += preference > 0 ? preference * NODES : ITEMS;
	for (int v = 0; v < NODES; v++)
		total += p[v];
	for (int v = 0; v < NODES; v++)
		with_edges += degree(v) > 0;
	page_rank(w1, p, d);
	for (int v = 0; v < NODES; v++)
		p[v] = degree(v) > 0 ? 1 / with_edges : 0;
	page_rank(w0, p, 1);
	for (int t = 0; t < TAGS; t++)
		score[t] = w1[t] / total - w0[t];
}

/* The largest difference over all posts between the model and the definition. */
static double
worst(TrModel *model, double d, double preference)
{
	TrPostBlock block;
	float		score[TAGS];
	double		naive[TAGS];
	double		apart = 0;

	tr_post_block_init(&block, &memory, model, &dataset, 1, NULL);
	for (int32_t u = UNKNOWN; u < USERS - 1; u++)
		for (int32_t i = UNKNOWN; i < ITEMS; i++)
		{
			tr_post_block_set(&block, 0, u, i, NULL);
			model->algorithm->score_tags(model, block.post, 1, score, NULL);
			naive_scores(naive, u, i, d, preference);
			for (int t = 0; t < TAGS; t++)
				apart = fmax(apart, fabs(score[t] - naive[t]));
		}
	tr_post_block_free(&block);
	return apart;
}

static bool
count_polls(void *argument)
{
	return ++*(int *) argument < 0;
}

static void
check_run(const char *damping, const char *tolerance, const char *preference, const char *tags, double bound)
{
	const TrAlgorithm *algorithm = tr_algorithm_find("folkrank");
	TrSetting	settings[] = {{"damping", damping}, {"tolerance", tolerance}, {"preference", preference}, {"tags", tags},
	{NULL, NULL}};
	char		options[4096];
	TrOptionTarget target = {algorithm->options, options};
	TrShape		shape = {USERS, ITEMS, TAGS, dataset.n_posts, dataset.n_assignments};
	TrModel    *model;
	TrEpochStats stats = {0};
	size_t		device = backend->ops->allocated(backend);
	int			polls = 0;
	TrPoll		poll = {.stop = count_polls, .argument = &polls};

	tr_options_set(&target, 1, settings, NULL);
	model_memory.peak = model_memory.used;
	CHECK(tr_model_create(&model, algorithm, &model_memory, backend, &dataset, options, NULL) == TR_OK
		  && algorithm->train_epoch(model, 1, &poll, &stats, NULL) == TR_OK && stats.last, "damping %s, %s tags: trains",
		  damping, tags);
	CHECK(polls > TAGS, "%d polls, one for each tag and more", polls);
	CHECK(algorithm->estimate(&shape, options) + 4096 > model_memory.peak, "its memory was announced");
	CHECK_NEAR(worst(model, atof(damping), atof(preference)), 0, bound, "tolerance %s, preference %s: the definition", tolerance,
			   preference);
	tr_model_destroy(model);
	CHECK(model_memory.used == 0 && backend->ops->allocated(backend) == device, "all memory is given back");
}

int
main(void)
{
	TrBackendConfig config = {.threads = 2};

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	make_data();
	tagrec_backend_ops()->open(&backend, &config, NULL);
	check_run("0.7", "1e-9", "0", "0", 2e-6);
	check_run("0.7", "1e-9", "10", "0", 2e-6);
	check_run("0.85", "1e-9", "1", "0", 2e-6);
	check_run("0.7", "0.1", "10", "0", 0.1);
	check_run("0.7", "1e-9", "10", "6", 2e-6);	/* 6 of 12 tags are no shorter than all */
	check_run("0.7", "1e-9", "10", "5", 0.02);	/* what is kept and the mean for the rest */
	backend->ops->close(backend);
	tr_memory_release(&memory);
	return check_done();
}
