/*
 * Training a model: memory, device, epochs. See job_training.h.
 */
#include "pg/train/job_training.h"

#include <math.h>

#include "core/metrics.h"
#include "core/validation.h"
#include "pg/base/tagrec.h"
#include "pg/train/backend_load.h"
#include "pg/train/tune_space.h"

#define MB(bytes) ((bytes) >> 20)

/* Before that many, what a metric will become cannot be told. */
#define FEWEST_MEASURED 4

void
tagrec_training_init(TagrecTraining *t, const TagrecRunningJob *job, TagrecProgress *progress)
{
	memset(t, 0, sizeof(*t));
	t->job = job;
	t->progress = progress;
	t->to_beat = NAN;
	tr_memory_init(&t->memory, (Size) job->request->max_memory << 20);
	t->memory.pause = tagrec_progress_pause;
}

void
tagrec_training_end(TagrecTraining *t)
{
	tagrec_training_forget(t);
	tagrec_training_close(t);
	tr_memory_release(&t->memory);
}

Size
tagrec_training_peak(const TagrecTraining *t)
{
	return t->memory.peak + Max(t->model_peak, t->model_memory.peak) + t->backend_bytes;
}

char *
tagrec_metric_name(const TagrecOptions *options)
{
	const TrTrainOptions *train = &options->train;
	const char *name = tr_metric_names[train->metric];

	if (train->validation <= 0 && !options->validation_source)
		return NULL;
	return tr_metric_has_k((TrMetric) train->metric) ? psprintf("%s@%d", name, train->metric_k) : pstrdup(name);
}

/* ------------------------------------------------------------------ memory and device */

static const TrDataset *
training_data(const TagrecTraining *t)
{
	if (t->trial && t->data.sampled)
		return &t->data.sample;
	return t->data.split && !t->refit ? &t->data.train : &t->data.all;
}

/* What users and items are measured by. */
static const TrDataset *
measured_data(const TagrecTraining *t)
{
	const TrAlgorithm *algorithm = t->options->algorithm;
	bool		encodes = algorithm->encode && algorithm->loads && tr_features(t->model) == TR_FEATURES_NONE;

	return t->data.items_are_new && encodes && !t->refit ? &t->data.met : training_data(t);
}

/* What measuring takes while a model whose arrays are so wide is trained. */
static Size
validation_bytes(const TagrecTraining *t, int width)
{
	bool		measured = !t->refit && t->data.validation.count > 0 && !t->options->algorithm->task->tags;

	return measured ? tr_rank_bytes(width, t->data.all.n_items) : 0;
}

static Size
estimate(const TagrecTraining *t)
{
	const TrDataset *d = training_data(t);
	TrShape		shape = {d->n_users, d->n_items, d->n_tags, d->n_posts, d->n_assignments + d->n_described};

	return t->options->algorithm->estimate(&shape, t->options->values);
}

/* Before anything large is allocated for training; width = that of the model's arrays, as far as is known. */
static void
check_memory(TagrecTraining *t, int width)
{
	const TrDataset *d = training_data(t);
	Size		needed = t->memory.used + estimate(t) + validation_bytes(t, width);

	if (t->memory.limit == 0 || needed <= t->memory.limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("training needs about %zu MB, but tagrec.max_memory allows %zu MB", MB(needed) + 1,
					MB(t->memory.limit)),
			 errdetail("The data take %zu MB: %d users, %d items, %d tags, %lld assignments.", MB(t->memory.used) + 1,
					   d->n_users, d->n_items, d->n_tags, (long long) d->n_assignments),
			 errhint("Increase tagrec.max_memory, or train on less data or a smaller network.")));
}

/* Only a warning: part of the estimate is in the host's memory, and training may still fit. */
static void
check_device_memory(const TagrecTraining *t)
{
	const TrBackendOps *ops = t->backend->ops;
	Size		available = ops->available ? ops->available(t->backend) : 0;
	Size		needed = available > 0 ? estimate(t) : 0;

	if (needed > available)
		ereport(WARNING,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("training needs about %zu MB, but device \"%s\" has %zu MB free", MB(needed) + 1, ops->name,
						MB(available)),
				 errhint("If it fails, train a smaller network or a smaller batch, or use device => 'cpu'.")));
}

static int
threads_of(const TagrecTraining *t)
{
	int			asked = t->options->train.threads;

	return asked > 0 ? Min(asked, t->job->request->threads) : t->job->request->threads;
}

static void
open_backend(TagrecTraining *t, TagrecDevice device)
{
	t->backend = tagrec_backend_open(device, threads_of(t), (TrPrecision) t->options->train.precision);
}

void
tagrec_training_open(TagrecTraining *t)
{
	if (!t->backend)
		open_backend(t, tagrec_device(t->job->request->device));
}

void
tagrec_training_close(TagrecTraining *t)
{
	if (t->backend)
		t->backend->ops->close(t->backend);
	t->backend = NULL;
}

static void
check(TagrecTraining *t, TrStatus status, TrError *err)
{
	/* a device without enough memory reports that itself */
	if (status == TR_NO_MEMORY && t->memory.limit > 0 && err->detail[0] == '\0')
		tagrec_out_of_memory(&t->memory);
	tagrec_check(status, err);
}

static bool poll(void *argument);

static TrStatus
try_create(TagrecTraining *t, TrError *err)
{
	TrPoll		watching = {poll, t, &t->progress->work};

	return tr_model_create_polled(&t->model, t->options->algorithm, &t->model_memory, t->backend, training_data(t),
								  t->options->values, &watching, err);
}

/* Not every algorithm runs on every device: 'auto' falls back to the CPU. */
static void
create_model(TagrecTraining *t)
{
	TrError		err = {0};
	TrStatus	status = try_create(t, &err);

	if (status == TR_UNSUPPORTED && tagrec_device(t->job->request->device).kind == TAGREC_AUTO)
	{
		ereport(NOTICE,
				(errmsg("training on the CPU because algorithm \"%s\" cannot use device \"%s\"",
						t->options->algorithm->name, t->backend->ops->name),
				 errdetail("%s", tagrec_sentence(err.message))));
		tagrec_training_close(t);
		open_backend(t, (TagrecDevice) {TAGREC_CPU});
		status = try_create(t, &err);
	}
	check(t, status, &err);
}

/* ------------------------------------------------------------------ the hooks of tr_train() */

static void
check_time(const TagrecTraining *t)
{
	if (t->seconds <= 0 || tagrec_seconds_since(t->started) <= t->seconds)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("stopped after %.1f s", t->seconds)));
}

static void
count_backend_bytes(TagrecTraining *t)
{
	t->backend_bytes = Max(t->backend_bytes, t->backend->ops->allocated(t->backend));
}

static bool
poll(void *argument)
{
	TagrecTraining *t = argument;

	check_time(t);
	count_backend_bytes(t);
	tagrec_progress_tick(t->progress);
	return tagrec_running_cancelled(t->job);
}

/*
 * What the metric becomes if it goes on as it did over the last half of what was measured, which is more than it does:
 * learning slows down. NAN = too little was measured.
 */
static double
best_to_come(const TagrecTraining *t, const TrEpoch *epoch)
{
	int			half = t->measured / 2;
	double		last;

	if (t->measured < FEWEST_MEASURED || t->measured > TAGREC_CURVE)
		return NAN;
	last = t->curve[t->measured - 1];
	return last + (last - t->curve[half - 1]) / (t->measured - half) * t->measured
		* ((double) epoch->epochs / epoch->epoch - 1);
}

static void
check_hope(TagrecTraining *t, const TrEpoch *epoch)
{
	TrMetric	metric = (TrMetric) t->options->train.metric;
	double		margin = t->result.metric_error * (tr_metric_is_error(metric) ? -1 : 1);
	double		hope;

	if (isnan(epoch->metric) || isnan(t->to_beat) || epoch->epoch == epoch->epochs)
		return;
	if (!tr_metric_better(metric, t->to_beat, t->result.metric))
		return;
	if (t->measured < TAGREC_CURVE)
		t->curve[t->measured] = (float) epoch->metric;
	t->measured++;
	hope = best_to_come(t, epoch);
	if (isnan(hope) || isnan(margin) || !tr_metric_better(metric, t->to_beat, hope + margin))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("given up after %d of %d epochs: %s %.4f", epoch->epoch, epoch->epochs, tagrec_metric_name(t->options),
					epoch->metric)));
}

static void
epoch_done(void *argument, const TrEpoch *epoch)
{
	TagrecTraining *t = argument;

	count_backend_bytes(t);
	tagrec_progress_epoch(t->progress, epoch);
	check_hope(t, epoch);
}

/* ------------------------------------------------------------------ a model */

/* epoch = what is done after each */
static void
train(TagrecTraining *t, const char *phase, void (*epoch) (void *argument, const TrEpoch *epoch))
{
	TrTrainHooks hooks = {{poll, t, &t->progress->work}, epoch};
	TrError		err = {0};

	check_memory(t, 0);
	tagrec_training_open(t);
	check_device_memory(t);
	tagrec_progress_phase(t->progress, phase, t->backend, NULL);
	tagrec_progress_train(t->progress, tagrec_metric_name(t->options));
	tr_memory_init(&t->model_memory, t->memory.limit > 0 ? t->memory.limit - t->memory.used : 0);
	create_model(t);
	check_memory(t, t->model->width);
	check(t, tr_train(t->model, measured_data(t), t->refit ? NULL : &t->data.validation, &t->options->train, &hooks,
					  &t->result, &err), &err);
	count_backend_bytes(t);
}

void
tagrec_training_run(TagrecTraining *t, const char *phase)
{
	INSTR_TIME_SET_CURRENT(t->started);
	t->measured = 0;
	train(t, phase, epoch_done);
}

void
tagrec_training_again(TagrecTraining *t, const char *phase)
{
	const TrAlgorithm *algorithm = t->options->algorithm;
	TrTrainResult first = t->result;
	void	   *settled;

	if (!algorithm->held_out || !algorithm->settled || !t->data.split || t->refit)
		return;
	settled = palloc(algorithm->options->size);
	memcpy(settled, t->options->values, algorithm->options->size);
	if (!algorithm->settled(t->model, settled))
		return;
	tagrec_training_forget(t);
	t->options->values = settled;
	t->refit = true;
	train(t, phase, NULL);
	t->result = first;
}

void
tagrec_training_save(TagrecTraining *t)
{
	TrError		err = {0};

	check(t, tr_model_save(t->model, &t->tensors, &t->n_tensors, &err), &err);
	count_backend_bytes(t);
}

void
tagrec_training_forget(TagrecTraining *t)
{
	if (t->model)
		tr_model_destroy(t->model);
	t->model = NULL;
	t->tensors = NULL;
	t->model_peak = Max(t->model_peak, t->model_memory.peak);
	tr_memory_release(&t->model_memory);
}

Jsonb *
tagrec_training_until(const TagrecTraining *t, const TagrecOptions *options, int best_epoch, Jsonb *asked)
{
	const TrDataset *d = t->data.split ? &t->data.train : &t->data.all;
	int			epochs = options->train.epochs;

	if (epochs == 0)
		asked = tagrec_jsonb_with(asked, tagrec_jsonb(psprintf("{\"epochs\": %d}",
															 tr_planned_epochs(options->algorithm, options->values, 0,
																			   d->n_posts))));
	return tagrec_jsonb_with(asked, tagrec_jsonb(psprintf("{\"stop_after\": %d}", best_epoch)));
}

static double
measure(TagrecTraining *t, const TrDataset *dataset, const TrPairs *pairs)
{
	const TrTrainOptions *train = &t->options->train;
	TrPoll		stop = {poll, t};
	TrError		err = {0};
	double		value;

	check(t, tr_validate(t->model, dataset, pairs, (TrMetric) train->metric, train->metric_k, &stop, &value, &err), &err);
	return value;
}

double
tagrec_training_measure(TagrecTraining *t, const TrPairs *pairs)
{
	return measure(t, training_data(t), pairs);
}

bool
tagrec_is_new(const TrDataset *known, const TrPairs *pairs, int32 p, TrSide side)
{
	const int32 *ptr = side == TR_USER ? known->user_ptr : known->item_ptr;
	int32		key = side == TR_USER ? pairs->user[p] : pairs->item[p];

	return ptr[key] == ptr[key + 1];
}

double
tagrec_training_measure_new(TagrecTraining *t, TrSide side)
{
	const TrPairs *all = &t->data.validation;
	TrPairs		some = *all;
	double		value;

	some.count = 0;
	some.user = palloc_extended(all->count * sizeof(int32), MCXT_ALLOC_HUGE);
	some.item = palloc_extended(all->count * sizeof(int32), MCXT_ALLOC_HUGE);
	if (all->tag)
		some.tag = palloc_extended(all->count * sizeof(int32), MCXT_ALLOC_HUGE);
	if (all->value)
		some.value = palloc_extended(all->count * sizeof(float), MCXT_ALLOC_HUGE);
	for (int32 p = 0; p < all->count; p++)
	{
		if (!tagrec_is_new(training_data(t), all, p, side))
			continue;
		some.user[some.count] = all->user[p];
		some.item[some.count] = all->item[p];
		if (all->tag)
			some.tag[some.count] = all->tag[p];
		if (all->value)
			some.value[some.count] = all->value[p];
		some.count++;
	}
	value = some.count > 0 ? measure(t, measured_data(t), &some) : NAN;
	pfree(some.user);
	pfree(some.item);
	if (some.tag)
		pfree(some.tag);
	if (some.value)
		pfree(some.value);
	return value;
}
