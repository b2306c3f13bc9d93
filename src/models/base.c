/*
 * What models share. See base.h.
 */
#include "models/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/sort.h"

const char *const tr_weighting_names[] = {"count", "binary", "log", "tfidf", "log_tfidf", NULL};
const char *const tr_optimizer_names[] = {"sgd", "adam", NULL};

/* ------------------------------------------------------------------ memory */

void *
tr_new(TrModel *model, size_t count, size_t size)
{
	void	   *memory = model->memory ? tr_calloc(model->memory, count + 1, size) : NULL;

	model->host_is_full |= !memory;
	return memory;
}

void *
tr_device_new(TrModel *model, size_t bytes)
{
	TrBackend  *b = model->backend;
	size_t		list_bytes = ((size_t) model->n_device + 1) * sizeof(void *);
	void	  **list = model->memory ? tr_realloc(model->memory, model->device, list_bytes) : NULL;
	void	   *memory = list ? b->ops->alloc(b, bytes + 64) : NULL;

	model->device = list ? list : model->device;
	if (memory)
		model->device[model->n_device++] = memory;
	model->device_is_full |= !memory;
	return memory;
}

void
tr_device_free(TrModel *model, void *memory)
{
	for (int i = model->n_device - 1; memory && i >= 0; i--)
		if (model->device[i] == memory)
		{
			model->backend->ops->release(model->backend, memory);
			model->device[i] = model->device[--model->n_device];
			return;
		}
}

float *
tr_device_floats(TrModel *model, size_t count)
{
	return tr_device_new(model, count * sizeof(float));
}

float *
tr_device_zeros(TrModel *model, size_t count)
{
	float	   *memory = tr_device_floats(model, count);

	if (memory)
		model->backend->ops->zero(model->backend, memory, count * sizeof(float));
	return memory;
}

void *
tr_to_device(TrModel *model, const void *source, size_t bytes)
{
	void	   *memory = tr_device_new(model, bytes);

	if (memory)
		model->backend->ops->upload(model->backend, memory, source, bytes);
	return memory;
}

TrStatus
tr_enough_memory(TrModel *model, TrError *err, const char *what, ...)
{
	TrBackend  *b = model->backend;
	char		text[128];
	va_list		args;
	bool		device;

	if (!model->host_is_full && !model->device_is_full)
		return TR_OK;
	device = model->device_is_full;
	model->host_is_full = model->device_is_full = false;
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	tr_fail(err, TR_NO_MEMORY, "out of memory for %s", text);
	if (device && b->ops->shortage)
		b->ops->shortage(b, err);
	return TR_NO_MEMORY;
}

void
tr_start_work(TrModel *work, const TrModel *model)
{
	*work = (TrModel) {.backend = model->backend, .memory = tr_memory_child(model->memory)};
}

void
tr_end_work(TrModel *work)
{
	while (work->n_device > 0)
		work->backend->ops->release(work->backend, work->device[--work->n_device]);
	if (work->memory)
		tr_memory_end_child(work->memory);
}

/* ------------------------------------------------------------------ tensors */

const TrTensor *
tr_stored(const TrModel *model, const char *name)
{
	return tr_tensor_find(name, model->stored, model->n_stored);
}

/* The table of tensors has room for one more. */
static TrStatus
grow(TrModel *model, TrError *err)
{
	size_t		n = (size_t) model->n_tensors + 1;
	TrTensor   *tensors = tr_realloc(model->memory, model->tensors, n * sizeof(TrTensor));
	TrRange    *ranges = tr_realloc(model->memory, model->ranges, n * sizeof(TrRange));

	model->tensors = tensors ? tensors : model->tensors;
	model->ranges = ranges ? ranges : model->ranges;
	return tensors && ranges ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
}

TrStatus
tr_own_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, TrRange range, int *place, TrError *err)
{
	TrTensor	tensor = {.rows = rows, .cols = cols};

	snprintf(tensor.name, sizeof(tensor.name), "%s", name);
	if (!model->dataset)
		TR_TRY(tr_tensor_check(&tensor, range, model->stored, model->n_stored, err));
	TR_TRY(grow(model, err));
	model->tensors[model->n_tensors] = tensor;
	model->ranges[model->n_tensors] = range;
	*place = model->n_tensors++;
	return TR_OK;
}

void
tr_place_tensor(TrModel *model, int place, float *value)
{
	model->tensors[place].value = value;
	if (!model->dataset)
		tr_tensor_copy(value, tr_stored(model, model->tensors[place].name));
}

static TrStatus
place_new_tensor(TrModel *model, int place, float **value, TrError *err)
{
	TrTensor   *tensor = &model->tensors[place];

	if (!*value)
		*value = TR_NEW(model, float, (size_t) tensor->rows * (size_t) tensor->cols);
	TR_TRY(tr_enough_memory(model, err, "%d x %d numbers", tensor->rows, tensor->cols));
	tr_place_tensor(model, place, *value);
	return TR_OK;
}

TrStatus
tr_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, TrRange range, float **value, TrError *err)
{
	int			place = 0;

	TR_TRY(tr_own_tensor(model, name, rows, cols, range, &place, err));
	return place_new_tensor(model, place, value, err);
}

TrStatus
tr_training_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, float **value, TrError *err)
{
	int			place = 0;

	if (!model->dataset)
		return TR_OK;
	TR_TRY(tr_own_tensor(model, name, rows, cols, TR_FINITE, &place, err));
	model->tensors[place].training = true;
	return place_new_tensor(model, place, value, err);
}

TrStatus
tr_mirror(TrModel *model, float *host, float *device, size_t n, TrError *err)
{
	TrMirror   *mirrors = tr_realloc(model->memory, model->mirrors, ((size_t) model->n_mirrors + 1) * sizeof(TrMirror));

	TR_TRY(tr_enough_memory(model, err, "the model"));
	if (!mirrors)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the model");
	model->mirrors = mirrors;
	model->mirrors[model->n_mirrors++] = (TrMirror) {host, device, n};
	return TR_OK;
}

/* ------------------------------------------------------------------ what many do not have, or all alike */

void
tr_normals(float *value, int64_t n, double std, uint64_t seed, uint64_t stream)
{
	for (int64_t i = 0; i < n; i++)
		value[i] = (float) (std * tr_normal(seed, TR_STREAM_INIT, stream, (uint64_t) i));
}

TrStatus
tr_check_max_tags(const TrDataset *dataset, int max_tags, const char *why, TrError *err)
{
	if (dataset->n_tags <= max_tags)
		return TR_OK;
	tr_fail(err, TR_BAD_DATA, "%d tags exceed max_tags, %d", dataset->n_tags, max_tags);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "%s Leave rare tags out with min_tag_count, or raise max_tags.", why);
	return TR_BAD_DATA;
}

TrStatus
tr_no_training(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	(void) model, (void) epoch, (void) poll, (void) err;
	stats->last = true;
	return TR_OK;
}

TrStatus
tr_embed_rows(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	TrBackend  *b = model->backend;
	size_t		W = (size_t) model->width;

	(void) dataset;
	b->ops->download(b, out, model->rows[side] + (size_t) first * W, (size_t) n * W * sizeof(float));
	return b->ops->finish(b, err);
}

TrStatus
tr_embed_profiles(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	const int32_t *ptr = (side == TR_USER ? dataset->user_ptr : dataset->item_ptr) + first;
	TrProfiles	profiles = tr_profiles_of(dataset, side, first, n);
	int32_t    *posts = TR_NEW(model, int32_t, n);
	TrStatus	status;

	TR_TRY(tr_enough_memory(model, err, "encoding"));
	for (int32_t i = 0; i < n; i++)
		posts[i] = ptr[i + 1] - ptr[i];
	profiles.posts = posts;
	status = model->algorithm->encode(model, side, &profiles, out, err);
	tr_free(model->memory, posts);
	return status;
}

TrStatus
tr_fold_in_items(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
				 TrError *err)
{
	(void) model, (void) catalogue, (void) array, (void) err;
	*features = history->items;
	return TR_OK;
}

int
tr_item_features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_ITEMS;
}

int
tr_user_features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_USERS;
}

TrProfiles
tr_profiles_of(const TrDataset *dataset, TrSide side, int32_t first, int32_t n)
{
	const TrProfileTable *table = side == TR_USER ? &dataset->user : &dataset->item;

	return (TrProfiles) {.rows = n, .ptr = table->entry_ptr + first, .tag = table->tag, .count = table->count};
}

TrOptimizer
tr_optimizer(int kind, double rate, int64_t step, double decay)
{
	return (TrOptimizer) {.kind = (TrOptimizerKind) kind, .rate = (float) rate, .beta1 = 0.9f, .beta2 = 0.999f,
	.epsilon = 1e-8f, .step = step, .decay = (float) decay};
}

/* ------------------------------------------------------------------ order */

TR_SORT_FUNCTIONS(sort_ints, int32_t)

void
tr_sort_ints(int32_t *value, size_t n)
{
	sort_ints(value, n);
}

void
tr_sort_by_index(TrScored *value, size_t n)
{
	qsort(value, n, sizeof(TrScored), tr_scored_by_index);
}
