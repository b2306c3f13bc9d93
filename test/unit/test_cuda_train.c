/*
 * Training on the CUDA backend (emulated, or on a device: cuda_emulation/cuda_ops.c). A golden run: loss of each epoch and
 * every tensor, as with the reference backend, for every choice that takes another way through the operations. The same
 * again, with steps launched as graphs, gives the same bits, in whatever order blocks and threads run, and however late.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/trainer.h"
#include "cuda_emulation/emulation.h"

#define USERS 23
#define ITEMS 31
#define TAGS 300				/* two passes of the sort */
#define EPOCHS 2

extern const TrBackendOps *tr_cuda_test_ops(void);

static TrMemory memory;
static TrDataset dataset;

static void
make_dataset(int32_t assignments)
{
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	tr_assignments_set_columns(&a, TR_COLUMN_VALUE, TR_MERGE_MEAN);
	for (int32_t n = 0; n < assignments; n++)
	{
		TrAssignment row = {
			.user = n < USERS ? n : (int32_t) tr_below(5, 1, 0, n, USERS),
			.item = n < ITEMS ? n : (int32_t) tr_below(5, 2, 0, n, ITEMS),
			.tag = n < TAGS ? n : (int32_t) (tr_below(5, 3, 0, n, TAGS) * tr_below(5, 4, 0, n, TAGS) / TAGS),
			.weight = 1
		};

		row.value = (float) (1 + (row.user * 3 + row.item) % 5);
		tr_assignments_add_row(&a, &row);
	}
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, TAGS, NULL);
}

/* Some have no attributes. */
static void
add_attributes(void)
{
	int32_t		entity[USERS + ITEMS];
	int32_t		feature[USERS + ITEMS];
	TrFeatureRows rows = {.entity = entity, .feature = feature};

	for (int side = 0; side < 2; side++)
	{
		rows.count = (side ? ITEMS : USERS) - 2;
		for (int32_t i = 0; i < rows.count; i++)
		{
			entity[i] = i;
			feature[i] = i % (3 + side);
		}
		tr_dataset_add_profiles(&dataset, side ? "item" : "user", side, 3 + side, &rows, NULL);
	}
}

typedef struct Run
{
	const TrAlgorithm *algorithm;
	char		options[4096];
	TrTrainOptions train;
} Run;

/* settings: "name=value name=value …" */
static bool
set_options(Run *run, const char *algorithm, const char *text)
{
	char		copy[1024];
	TrSetting	settings[64] = {{NULL, NULL}};
	TrOptionTarget targets[2];
	TrError		err = {0};
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
	return tr_options_set(targets, 2, settings, &err) == TR_OK;
}

/* What a run leaves. */
typedef struct Result
{
	double		loss[EPOCHS];
	TrTensor	tensors[64];
	int			count;
	float	   *users;			/* (USERS,width) */
	long		graphs;			/* launched */
	int			width;
	bool		ok;
} Result;

static void
keep(Result *result, const TrTensor *tensors, int count)
{
	result->count = count;
	for (int i = 0; i < count; i++)
	{
		size_t		bytes = (size_t) tensors[i].rows * tensors[i].cols * sizeof(float);

		result->tensors[i] = tensors[i];
		result->tensors[i].value = tr_alloc(&memory, bytes);
		memcpy(result->tensors[i].value, tensors[i].value, bytes);
	}
}

static Result
train(const TrBackendOps *ops, const Run *run, const char *graphs)
{
	TrBackendConfig config = {.threads = 1};
	TrBackend  *backend;
	TrModel    *model;
	TrTensor   *tensors;
	Result		result = {.count = 0};
	int			count;
	TrError		err = {0};

	setenv("TAGREC_CUDA_GRAPHS", graphs, 1);
	if (ops->open(&backend, &config, &err) != TR_OK)
	{
		printf("Bail out! %s\n", err.message);
		exit(1);
	}
	result.graphs = -emulated_graphs().launches;
	result.ok = tr_model_create(&model, run->algorithm, &memory, backend, &dataset, run->options, &err) == TR_OK;
	for (int epoch = 1; epoch <= EPOCHS && result.ok; epoch++)
	{
		TrEpochStats stats = {0};

		result.ok = run->algorithm->train_epoch(model, epoch, NULL, &stats, &err) == TR_OK;
		result.loss[epoch - 1] = stats.loss;
	}
	if (result.ok)
	{
		result.width = model->width;
		result.users = tr_calloc(&memory, (size_t) USERS * result.width + 1, sizeof(float));
		result.ok = tr_model_save(model, &tensors, &count, &err) == TR_OK
			&& (result.width == 0
				|| run->algorithm->embed(model, TR_USER, &dataset, 0, USERS, result.users, &err) == TR_OK);
		keep(&result, tensors, count);
		tr_model_destroy(model);
	}
	else
		printf("# %s\n", err.message);
	result.graphs += emulated_graphs().launches;
	ops->close(backend);
	return result;
}

static void
forget(Result *result)
{
	for (int i = 0; i < result->count; i++)
		tr_free(&memory, result->tensors[i].value);
	tr_free(&memory, result->users);
}

/* The largest difference, in units of the largest value. */
static double
apart(const float *x, const float *y, size_t n)
{
	double		most = 0;
	double		largest = 1e-3;

	for (size_t i = 0; i < n; i++)
	{
		double		d = fabs((double) x[i] - y[i]);

		largest = fmax(largest, fabs(y[i]));
		if (!(d <= most))
			most = isnan(d) ? INFINITY : d;
	}
	return most / largest;
}

static bool
same_bits(const Result *a, const Result *b)
{
	bool		same = a->count == b->count && memcmp(a->loss, b->loss, sizeof(a->loss)) == 0
		&& memcmp(a->users, b->users, sizeof(float) * USERS * a->width) == 0;

	for (int i = 0; i < a->count && same; i++)
		same = memcmp(a->tensors[i].value, b->tensors[i].value,
					  (size_t) a->tensors[i].rows * a->tensors[i].cols * sizeof(float)) == 0;
	return same;
}

static void
compare(const char *name, const Result *got, const Result *expected)
{
	for (int epoch = 0; epoch < EPOCHS; epoch++)
		CHECK_NEAR(got->loss[epoch], expected->loss[epoch], 2e-5 * fabs(expected->loss[epoch]), "%s: loss of epoch %d", name, epoch + 1);
	for (int i = 0; i < expected->count; i++)
		CHECK_NEAR(apart(got->tensors[i].value, expected->tensors[i].value,
						 (size_t) expected->tensors[i].rows * expected->tensors[i].cols), 0, 2e-3, "%s: %s", name,
				   expected->tensors[i].name);
	CHECK_NEAR(apart(got->users, expected->users, (size_t) USERS * expected->width), 0, 1e-3, "%s: embeddings", name);
}

/* steps: it trains by steps, which become graphs */
static void
check_training(const char *algorithm, const char *settings, bool steps)
{
	Run			run;
	char		name[256];
	Result		expected;
	Result		first;

	if (!check_share())
		return;
	snprintf(name, sizeof(name), "%s %s", algorithm, settings);
	if (!CHECK(set_options(&run, algorithm, settings), "%s: options", name))
		return;
	expected = train(&tr_plain_ops, &run, "no");
	first = train(tr_cuda_test_ops(), &run, "no");
	if (CHECK(expected.ok && first.ok, "%s: trains", name))
		compare(name, &first, &expected);
	for (uint64_t seed = 0; seed <= 2; seed++)
	{
		Result		again;

		emulate_order(seed);
		emulate_late(seed != 1);
		again = train(tr_cuda_test_ops(), &run, "yes");
		emulate_order(0);
		emulate_late(false);
		CHECK(same_bits(&again, &first), "%s: the same bits again, as graphs, order %d", name, (int) seed);
		CHECK((again.graphs > 0) == steps || getenv("TAGREC_CUDA_LIBRARY"), "%s: ... of which there were %ld", name, again.graphs);
		forget(&again);
	}
	forget(&expected);
	forget(&first);
}

static void
check_run(const char *algorithm, const char *settings)
{
	check_training(algorithm, settings, true);
}

int
main(void)
{
	tr_memory_init(&memory, 0);
	make_dataset(1500);
	/* SGD where numbers are compared: Adam's first steps are as large for a gradient of rounding errors as for any other */
	check_run("hdlpr_ns", "layers=24,12,8 optimizer=sgd learning_rate=0.05 batch=9");
	check_run("hdlpr_ns", "layers=24,12,8 preset=paper batch=64");
	check_run("hdlpr_ns", "layers=23,9 optimizer=momentum learning_rate=0.02 negatives=uniform samples=11 batch=50 batch_by=pairs");
	check_run("hdlpr_ns", "layers=16 optimizer=sgd learning_rate=0.05 negatives=each samples=9 batch=12 batch_by=pairs");
	check_run("hdlpr_ns", "layers=16 optimizer=sgd learning_rate=0.05 negatives=popularity samples=9 mask_seen=false batch=12");
	check_run("dspr", "layers=20,8 optimizer=sgd learning_rate=0.05 batch=7 weighting=bm25 norm=max");
	check_run("dspr", "layers=20,8 preset=paper batch=100");
	check_run("hdlpr", "layers=20,12,8 optimizer=sgd learning_rate=0.05 reconstruction=0.3 reconstruction_loss=squared batch=11");
	check_run("hdlpr", "layers=260,8 optimizer=sgd learning_rate=0.05 reconstruction=0.3 own_tags=true keep=1 popularity=false batch=12");
	check_run("hdlpr_ns", "layers=12 optimizer=adam learning_rate=0.001 batch=12");
	tr_dataset_free(&dataset);
	make_dataset(400);
	add_attributes();
	check_run("acf", "layers=12,8 optimizer=sgd learning_rate=0.05 batch=9");
	check_run("bpr", "factors=7 optimizer=sgd learning_rate=0.05 batch=50");
	check_run("mf", "factors=7 learning_rate=0.01 batch=50");
	check_run("mf", "preset=pmf factors=6 batch=300");
	check_run("svdpp", "factors=7 learning_rate=0.01 batch=50");
	check_run("autorec", "layers=7 learning_rate=0.01 optimizer=sgd batch=9");
	check_run("cdae", "layers=7 learning_rate=0.1 optimizer=sgd batch=9");
	check_run("multvae", "layers=8,5 learning_rate=0.1 optimizer=sgd batch=9");
	check_run("nrp", "encoder=7,5 layers=6,4 identity=3 factors=2 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("neumf", "identity=5 layers=6,4 factors=2 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("dha", "encoder=6,5 factors=4 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("asdae", "encoder=6,5 factors=4 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("nrp_dha", "encoder=6 factors=4 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("nrp_asdae", "encoder=6,5 factors=4 optimizer=sgd learning_rate=0.05 batch=60 reconstruction=1");
	check_run("accm", "encoder=6 factors=4 attention=3 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("hire", "groups=3 factors=4 optimizer=sgd learning_rate=0.05 batch=60");
	check_run("pitf", "factors=6 negatives=2 optimizer=sgd learning_rate=0.05 batch=150");
	check_run("nltf", "factors=6 negatives=2 optimizer=sgd learning_rate=0.05 batch=150");
	check_run("dae_ptr", "hidden=12 optimizer=sgd learning_rate=0.05 batch=250");
	check_run("dae_ptr", "hidden=12 optimizer=sgd learning_rate=0.05 batch=250 samples=20");
	check_run("dae_ptr", "hidden=12 optimizer=sgd learning_rate=0.05 batch=250 preset=paper touched_rows=false");
	check_run("abnt", "dimensions=8 sequence=20 layers=12 optimizer=sgd learning_rate=0.05 batch=250");
	check_run("abnt", "dimensions=8 sequence=20 layers=12 optimizer=sgd learning_rate=0.05 batch=250 samples=20");
	check_run("hybrid", "layers=16,8 optimizer=sgd batch=12");
	check_training("ials", "factors=10 alpha=0.3", false);
	check_training("ials", "factors=72 regularization=0.1", false);
	check_training("ease", "", false);
	check_training("ease_tags", "", false);
	check_training("folkrank", "", false);
	tr_memory_release(&memory);
	return check_done();
}
