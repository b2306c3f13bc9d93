/*
 * An algorithm whose scores are no inner products: score_items() in validation, in the choice of the best epoch, on a model
 * that was loaded, and in a blend. The list of algorithms is this test's own: a network of one weight scores by the
 * distance of a user's and an item's array, and the inner product, were it taken instead, would rank otherwise.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "core/plain.h"
#include "core/trainer.h"
#include "core/validation.h"
#include "models/base.h"

#define USERS 300
#define ITEMS 7
#define WIDTH 2

typedef struct NearOptions
{
	char		none;
} NearOptions;

static const TrOptionSet options = {.size = sizeof(NearOptions)};

typedef struct Near
{
	TrModel		model;
	float	   *sign;			/* (1) host, a mirror of */
	float	   *device_sign;	/* (1) */
} Near;

static int	scored;				/* users */

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) shape, (void) values;
	return sizeof(float);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Near	   *m = (Near *) model;

	model->width = model->unit = WIDTH;
	TR_TRY(tr_tensor(model, "sign", 1, 1, TR_FINITE, &m->sign, err));
	if (!model->dataset)
		return TR_OK;
	m->device_sign = tr_device_floats(model, 1);
	return tr_mirror(model, m->sign, m->device_sign, 1, err);
}

/* The nearest items are the best after the second epoch, the worst after the others. Only the backend knows. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	TrBackend  *b = model->backend;
	float		sign = epoch == 2 ? -1.0f : 1.0f;

	(void) poll;
	stats->pairs = 1;
	b->ops->upload(b, ((Near *) model)->device_sign, &sign, sizeof(float));
	return b->ops->finish(b, err);
}

/* Item i lies at (i + 1, 0), user u where item u % ITEMS is: the inner product is largest for the last item. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	(void) model, (void) side, (void) dataset, (void) err;
	for (int32_t i = 0; i < n; i++)
	{
		out[WIDTH * i] = (float) ((first + i) % ITEMS + 1);
		out[WIDTH * i + 1] = 0;
	}
	return TR_OK;
}

static TrStatus
score_items(TrModel *model, const float *user, const float *items, size_t stride, int32_t n, float *out, TrError *err)
{
	(void) err;
	scored++;
	for (int32_t i = 0; i < n; i++)
		out[i] = *((Near *) model)->sign * hypotf(user[0] - items[(size_t) i * stride],
												  user[1] - items[(size_t) i * stride + 1]);
	return TR_OK;
}

static const TrAlgorithm near = {
	.name = "near",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Near),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.embed = embed,
	.score_items = score_items,
};

extern const TrAlgorithm tr_algorithm_blend;
extern const TrAlgorithm tr_algorithm_popularity;

const TrAlgorithm *const tr_algorithms[] = {&tr_algorithm_blend, &near, &tr_algorithm_popularity, NULL};

const TrAlgorithm *
tr_algorithm_find(const char *name)
{
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		if (strcmp((*a)->name, name) == 0)
			return *a;
	return NULL;
}

static TrMemory memory;
static TrMemory model_memory;
static TrBackend *backend;
static TrDataset dataset;
static TrPairs held_out;

/* Each user has the item after the one where he lies, and the one where he lies is held out. */
static void
make_data(void)
{
	static int32_t user[USERS];
	static int32_t item[USERS];
	TrAssignments a;

	tr_assignments_init(&a, &memory);
	for (int32_t u = 0; u < USERS; u++)
	{
		tr_assignments_add(&a, u, (u + 1) % ITEMS, 0, false, 0);
		user[u] = u;
		item[u] = u % ITEMS;
	}
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&dataset, &a, USERS, ITEMS, 1, NULL);
	held_out = (TrPairs) {.count = USERS, .user = user, .item = item};
}

static double
reciprocal_rank(TrModel *model)
{
	TrError		err = {0};
	double		value = -1;

	CHECK(tr_validate(model, &dataset, &held_out, TR_METRIC_MRR, 10, NULL, &value, &err) == TR_OK, "validates %s",
		  err.message);
	return value;
}

/* The last epoch's network is no better than the first's. */
static void
test_training(TrModel **result)
{
	TrTrainOptions train;
	TrSetting	settings[] = {{"epochs", "3"}, {"validation", "0.1"}, {"validation_every", "1"}, {NULL, NULL}};
	TrOptionTarget target = {&tr_train_options, &train};
	TrTrainResult outcome = {0};
	TrError		err = {0};
	TrModel    *model;

	CHECK(tr_options_set(&target, 1, settings, &err) == TR_OK, "options %s", err.message);
	CHECK(tr_model_create(&model, &near, &model_memory, backend, &dataset, NULL, &err) == TR_OK, "creates %s", err.message);
	CHECK(tr_train(model, &dataset, &held_out, &train, NULL, &outcome, &err) == TR_OK, "trains %s", err.message);
	CHECK_EQUAL(outcome.best_epoch, 2, "the epoch whose network ranks best");
	CHECK_NEAR(outcome.metric, 1, 0, "what it was measured to be");
	CHECK_NEAR(reciprocal_rank(model), 1, 0, "the network that was kept ranks as it was measured");
	*result = model;
}

/* Validation asks the network as it is in the backend now. */
static void
test_current(TrModel *model)
{
	TrEpochStats stats = {0};
	TrError		err = {0};

	train_epoch(model, 3, NULL, &stats, &err);
	CHECK(reciprocal_rank(model) < 0.5, "after another epoch, the network of that epoch");
	train_epoch(model, 2, NULL, &stats, &err);
	CHECK_NEAR(reciprocal_rank(model), 1, 0, "and after the next, that of the next");
}

static bool
stop_third(void *argument)
{
	return ++*(int *) argument == 3;
}

/* A network is slow: whoever cancels waits for one user at most, not for a block of them. */
static void
test_cancel(TrModel *model)
{
	int			asked = 0;
	TrPoll		poll = {.stop = stop_third, .argument = &asked};
	TrError		err = {0};
	double		value;

	scored = 0;
	CHECK(tr_validate(model, &dataset, &held_out, TR_METRIC_MRR, 10, &poll, &value, &err) == TR_CANCELLED,
		  "stops when asked");
	CHECK_EQUAL(scored, 2, "users scored before that");
}

static void
test_loading(TrModel *model)
{
	float		user[WIDTH] = {2, 1};
	float		items[3 * ITEMS] = {0};
	float		score[ITEMS];
	float		alone;
	TrTensor   *tensors;
	TrModel    *loaded;
	int			n;
	bool		same = true;
	TrError		err = {0};

	for (int i = 0; i < ITEMS; i++)
		items[3 * i] = (float) i;
	CHECK(tr_model_save(model, &tensors, &n, &err) == TR_OK, "saves");
	CHECK(tr_model_load(&loaded, &near, &model_memory, backend, 1, NULL, tensors, n, &err) == TR_OK, "loads %s",
		  err.message);
	near.score_items(loaded, user, items, 3, ITEMS, score, &err);
	for (int i = 0; i < ITEMS; i++)
	{
		near.score_items(loaded, user, items + 3 * i, 3, 1, &alone, &err);
		same &= alone == score[i] && score[i] == -hypotf(2 - (float) i, 1);
	}
	CHECK(same, "a model that was loaded scores items, together and one by one");
	tr_model_destroy(loaded);
}

/* A blend puts arrays side by side, which only inner products are the same for. */
static void
test_blend(const char *members, const char *complaint, const char *detail)
{
	char		values[8192];
	TrSetting	settings[] = {{"members", members}, {NULL, NULL}};
	TrOptionTarget target = {tr_algorithm_blend.options, values};
	TrModel    *model = NULL;
	TrError		err = {0};
	TrStatus	status = tr_options_set(&target, 1, settings, &err);

	if (status == TR_OK)
		status = tr_model_create(&model, &tr_algorithm_blend, &model_memory, backend, &dataset, values, &err);
	if (status == TR_OK)
		tr_model_destroy(model);
	CHECK(status == TR_BAD_OPTION && strstr(err.message, complaint), "blend of \"%s\": %s", members, err.message);
	CHECK(strcmp(err.detail, detail) == 0, "what is valid: %s", err.detail);
}

int
main(void)
{
	TrBackendConfig config = {.threads = 1};
	TrModel    *model;

	tr_memory_init(&memory, 0);
	tr_memory_init(&model_memory, 0);
	tr_plain_ops.open(&backend, &config, NULL);
	make_data();
	test_training(&model);
	test_current(model);
	test_cancel(model);
	test_loading(model);
	tr_model_destroy(model);
	test_blend("near", "\"near\" are no inner products", "");
	test_blend("nothing", "unknown algorithm", "Valid members are popularity.");
	CHECK_EQUAL((long long) model_memory.used, 0, "all memory is given back");
	backend->ops->close(backend);
	tr_memory_release(&model_memory);
	tr_memory_release(&memory);
	return check_done();
}
