/*
 * The training loop: epochs, the held-out metric, patience, the best weights.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/metrics.h"
#include "core/trainer.h"
#include "core/validation.h"

#define OPTION(field) offsetof(TrTrainOptions, field)

/* By TrPrecision. */
static const char *const precisions[] = {"fp32", "tf32", "bf16", NULL};

/* 1 + TrMerge */
static const char *const merges[] = {"auto", "mean", "sum", "max", "last", NULL};

static const TrOption options[] = {
	{"epochs", TR_OPTION_INT, OPTION(epochs), "0", 0, 100000, NULL,
	"maximum number of passes over the training data; 0 = 30, or as many as make 5 million pairs, but at least 5"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"threads", TR_OPTION_INT, OPTION(threads), "0", 0, 1024, NULL,
	"number of threads of the training worker, at most tagrec.threads; 0 = tagrec.threads"},
	{"precision", TR_OPTION_ENUM, OPTION(precision), "fp32", 0, 0, precisions,
	"precision of matrix products: tf32 (GPU) and bf16 (GPU; CPU with AVX512-BF16 and oneDNN) round the factors; weights and "
	"sums always use fp32"},
	{"min_tag_count", TR_OPTION_INT, OPTION(min_tag_count), "1", 1, 1e9, NULL,
	"tags with fewer assignments are ignored"},
	{"core", TR_OPTION_INT, OPTION(core), "0", 0, 1e9, NULL,
	"users, items and tags with fewer assignments are removed until all that remain have as many (k-core); 0 = off"},
	{"duplicates", TR_OPTION_ENUM, OPTION(duplicates), "auto", 0, 0, merges,
	"value of a (user, item) pair with several rows: auto = the mean of ratings and of rows with tags, otherwise the sum"},
	{"half_life", TR_OPTION_REAL, OPTION(half_life), "0", 0, 1e6, NULL,
	"days, or an interval, after which an interaction counts half, compared to the latest one; 0 = all count alike"},
	{"like_from", TR_OPTION_REAL, OPTION(like_from), "-1e12", -1e12, 1e12, NULL,
	"rows with lower values are dislikes: left out, and these items not recommended to these users; for algorithms that do not "
	"predict values"},
	{"caution", TR_OPTION_REAL, OPTION(caution), "0", 0, 1e6, NULL,
	"of predicted values: recommending takes caution / sqrt(1 + ratings of the item) off them, a lower confidence bound; 0 = off"},
	{"validation", TR_OPTION_REAL, OPTION(validation), "0", 0, 0.5, NULL,
	"share of the (user, item) pairs held out for validation, in steps of 0.01; for the task tag, share of the posts with "
	"two or more tags of which one tag is held out"},
	{"validation_every", TR_OPTION_INT, OPTION(validation_every), "1", 1, 100000, NULL,
	"number of epochs between validations"},
	{"patience", TR_OPTION_INT, OPTION(patience), "3", 0, 100000, NULL,
	"validations without improvement before training stops early; 0 = no early stopping"},
	{"stop_after", TR_OPTION_INT, OPTION(stop_after), "0", 0, 100000, NULL,
	"epoch after which training stops, while a decaying learning_rate is still planned over all epochs; 0 = none"},
	{"max_seconds", TR_OPTION_REAL, OPTION(max_seconds), "0", 0, 1e9, NULL,
	"seconds after which training stops with the epoch that it is in, so that its result depends on the machine; 0 = no limit"},
	{"metric", TR_OPTION_ENUM, OPTION(metric), "ndcg", 0, 0, tr_metric_names,
	"validation metric"},
	{"metric_k", TR_OPTION_INT, OPTION(metric_k), "20", 1, 100000, NULL,
	"list length for ndcg, recall, precision, hit and f1"},
	{"keep_versions", TR_OPTION_INT, OPTION(keep_versions), "1", 0, 1000, NULL,
	"number of versions kept for rollback in addition to the deployed one"},
};

const TrOptionSet tr_train_options = {
	.options = options,
	.count = sizeof(options) / sizeof(options[0]),
	.size = sizeof(TrTrainOptions)
};

/* State of one training. */
typedef struct Training
{
	TrModel    *model;
	const TrDataset *dataset;
	const TrPairs *validation;
	const TrTrainOptions *options;
	const TrTrainHooks *hooks;
	TrTrainResult *result;
	TrTensor   *best;			/* copies of the best epoch's tensors, in the model's memory */
	int			n_best;
	int			without_gain;	/* validations since the best one */
	double		started;
} Training;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void
forget_best(Training *t)
{
	for (int i = 0; i < t->n_best; i++)
		tr_free(t->model->memory, t->best[i].value);
	tr_free(t->model->memory, t->best);
	t->best = NULL;
	t->n_best = 0;
}

/* Copies the model's parameters: they are the best so far. */
static TrStatus
keep_best(Training *t, TrError *err)
{
	TrMemory   *memory = t->model->memory;
	TrTensor   *tensors;
	int			count;

	TR_TRY(tr_model_save(t->model, &tensors, &count, err));
	forget_best(t);
	t->best = tr_calloc(memory, (size_t) count, sizeof(TrTensor));
	if (!t->best)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while keeping the best weights");
	for (t->n_best = 0; t->n_best < count; t->n_best++)
	{
		TrTensor   *copy = &t->best[t->n_best];
		size_t		bytes = (size_t) tensors[t->n_best].rows * tensors[t->n_best].cols * sizeof(float);

		*copy = tensors[t->n_best];
		copy->value = tr_alloc(memory, bytes);
		if (!copy->value)
			return tr_fail(err, TR_NO_MEMORY, "out of memory while keeping the best weights");
		memcpy(copy->value, tensors[t->n_best].value, bytes);
	}
	return TR_OK;
}

/* In all epochs together; and the fewest epochs. With 350,000 pairs, 14 epochs were within 1 % of 30. */
#define MOST_PAIRS 5000000
#define LEAST_EPOCHS 5

int
tr_usual_epochs(int usual, int64_t posts)
{
	int64_t		most = MOST_PAIRS / (posts > 0 ? posts : 1);

	most = most > LEAST_EPOCHS ? most : LEAST_EPOCHS;
	return most < usual ? (int) most : usual;
}

int
tr_planned_epochs(const TrAlgorithm *algorithm, const void *options, int asked, int64_t posts)
{
	if (asked > 0)
		return asked;
	return algorithm->usual_epochs ? algorithm->usual_epochs(options, posts) : tr_usual_epochs(30, posts);
}

static bool
validates(const Training *t)
{
	return t->validation && t->validation->count > 0;
}

static bool
due(const Training *t, const TrEpoch *epoch, bool last)
{
	return validates(t) && (last || epoch->epoch % t->options->validation_every == 0);
}

/* Measures the epoch and remembers it when it is the best. */
static TrStatus
measure(Training *t, TrEpoch *epoch, TrError *err)
{
	TrMetric	metric = (TrMetric) t->options->metric;
	TrMean		mean = {0};

	TR_TRY(tr_validate_mean(t->model, t->dataset, t->validation, metric, t->options->metric_k, &t->hooks->poll, &mean,
							err));
	epoch->metric = mean.count > 0 ? tr_metric_value(metric, &mean) : 0;
	if (!isnan(t->result->metric) && !tr_metric_better(metric, epoch->metric, t->result->metric))
	{
		t->without_gain++;
		return TR_OK;
	}
	t->without_gain = 0;
	t->result->best_epoch = epoch->epoch;
	t->result->metric = epoch->metric;
	t->result->metric_error = tr_metric_error(metric, &mean);
	t->result->loss = epoch->loss;
	return keep_best(t, err);
}

static TrStatus
check_loss(const TrEpoch *epoch, TrError *err)
{
	if (isfinite(epoch->loss))
		return TR_OK;
	tr_fail(err, TR_NOT_FINITE, "loss is not finite in epoch %d", epoch->epoch);
	if (err)
	{
		snprintf(err->detail, sizeof(err->detail), "The training diverged: the loss became %s.",
				 isnan(epoch->loss) ? "NaN" : "infinite");
		snprintf(err->hint, sizeof(err->hint), "Try a smaller learning_rate.");
	}
	return TR_NOT_FINITE;
}

static int
planned(const Training *t)
{
	int			epochs = t->model->epochs;

	return t->options->stop_after > 0 && t->options->stop_after < epochs ? t->options->stop_after : epochs;
}

/* Stopped while there are only parts of a model. */
static TrStatus
incomplete(const Training *t, const TrEpoch *epoch, TrError *err)
{
	tr_fail(err, TR_BAD_OPTION, "algorithm \"%s\" has no model after %d of its %d epochs", t->model->algorithm->name,
			epoch->epoch, t->model->epochs);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "Omit stop_after, and train its members for fewer epochs.");
	return TR_BAD_OPTION;
}

static bool
is_late(const Training *t)
{
	return t->options->max_seconds > 0 && now() - t->started >= t->options->max_seconds;
}

/* One epoch; *done says whether it was the last one. */
static TrStatus
run_epoch(Training *t, int number, bool *done, TrError *err)
{
	TrEpoch		epoch = {.epoch = number, .metric = NAN};
	TrEpochStats stats = {0};
	double		start = now();

	if (t->hooks->poll.work)
		*t->hooks->poll.work = (TrWork) {.epoch = number, .epochs = planned(t)};
	TR_TRY(t->model->algorithm->train_epoch(t->model, number, &t->hooks->poll, &stats, err));
	epoch.seconds = now() - start;
	epoch.epochs = planned(t);
	epoch.loss = stats.loss;
	epoch.pairs = stats.pairs;
	epoch.partial = stats.partial;
	TR_TRY(check_loss(&epoch, err));
	*done = stats.last || number == planned(t) || (!stats.partial && is_late(t));
	if (*done && stats.partial)
		return incomplete(t, &epoch, err);
	t->result->epochs = number;
	if (!stats.partial && due(t, &epoch, *done))
		TR_TRY(measure(t, &epoch, err));
	else if (!validates(t))
	{
		t->result->best_epoch = number;
		t->result->loss = epoch.loss;
	}
	if (t->options->patience > 0 && t->without_gain >= t->options->patience)
		*done = true;
	if (*done)
		epoch.epochs = number;
	if (t->hooks->epoch)
		t->hooks->epoch(t->hooks->poll.argument, &epoch);
	return TR_OK;
}

/* A model that ranks has no errors, and one that predicts values ranks nothing. */
static TrStatus
check_metric(const Training *t, TrError *err)
{
	const TrAlgorithm *algorithm = t->model->algorithm;

	if (tr_metric_is_error((TrMetric) t->options->metric) == algorithm->task->values)
		return TR_OK;
	tr_fail(err, TR_BAD_OPTION, "algorithm \"%s\" cannot be validated by metric \"%s\"", algorithm->name,
			tr_metric_names[t->options->metric]);
	if (err)
		snprintf(err->hint, sizeof(err->hint), algorithm->task->values ? "Choose rmse or mae."
				 : "Choose a metric of rankings; rmse and mae are for algorithms that predict values.");
	return TR_BAD_OPTION;
}

TrStatus
tr_train(TrModel *model, const TrDataset *dataset, const TrPairs *validation, const TrTrainOptions *train_options,
		 const TrTrainHooks *hooks, TrTrainResult *result, TrError *err)
{
	static const TrTrainHooks no_hooks;
	Training	t = {.model = model, .dataset = dataset, .validation = validation, .options = train_options,
	.hooks = hooks ? hooks : &no_hooks, .result = result};
	TrStatus	status = TR_OK;
	bool		done = false;

	*result = (TrTrainResult) {.metric = NAN, .metric_error = NAN};
	t.started = now();
	if (validates(&t))
		TR_TRY(check_metric(&t, err));
	model->epochs = tr_planned_epochs(model->algorithm, model->options, train_options->epochs, model->dataset->n_posts);
	if (model->algorithm->held_out && validates(&t))
		model->algorithm->held_out(model, validation);
	for (int number = 1; status == TR_OK && !done; number++)
		status = tr_poll(&t.hooks->poll) ? TR_CANCELLED : run_epoch(&t, number, &done, err);
	if (status == TR_OK && t.best && result->best_epoch < result->epochs)
		status = tr_model_restore(model, t.best, t.n_best, err);
	forget_best(&t);
	return status;
}
