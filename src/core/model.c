/*
 * The life of a model, which is the same for all algorithms: made, saved, restored, loaded, freed. See model.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/tensors.h"

/* ------------------------------------------------------------------ life */

void
tr_model_destroy(TrModel *model)
{
	TrBackend  *b = model->backend;

	if (model->algorithm->destroy)
		model->algorithm->destroy(model);
	while (model->n_device > 0)
		b->ops->release(b, model->device[--model->n_device]);
	tr_memory_end_child(model->memory);
}

/* A zeroed model with a heap and options of its own. */
static TrStatus
new_model(TrModel **result, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend, const void *options,
		  TrError *err)
{
	TrMemory   *own = tr_memory_child(memory);
	TrModel    *model = own ? tr_calloc(own, 1, algorithm->size) : NULL;
	void	   *copy = own ? tr_calloc(own, 1, algorithm->options->size + 1) : NULL;

	if (!model || !copy)
	{
		if (own)
			tr_memory_end_child(own);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	}
	if (options)
		memcpy(copy, options, algorithm->options->size);
	*model = (TrModel) {.algorithm = algorithm, .backend = backend, .memory = own, .options = copy};
	*result = model;
	return TR_OK;
}

/* What is on the host is in the backend. */
static TrStatus
upload(TrModel *model, TrError *err)
{
	TrBackend  *b = model->backend;

	for (int i = 0; i < model->n_mirrors; i++)
		b->ops->upload(b, model->mirrors[i].device, model->mirrors[i].host, model->mirrors[i].n * sizeof(float));
	return model->n_mirrors > 0 ? b->ops->finish(b, err) : TR_OK;
}

static TrStatus
finish(TrModel **result, TrModel *model, TrStatus status)
{
	if (status == TR_OK)
		*result = model;
	else
		tr_model_destroy(model);
	return status;
}

TrStatus
tr_check_untagged(const TrAlgorithm *algorithm, TrError *err)
{
	size_t		used;

	if (!tr_needs_tags(algorithm))
		return TR_OK;
	tr_fail(err, TR_BAD_OPTION, "algorithm \"%s\" cannot be trained without tags", algorithm->name);
	if (!err)
		return TR_BAD_OPTION;
	used = (size_t) snprintf(err->hint, sizeof(err->hint), "These can:");
	for (const TrAlgorithm *const *a = tr_algorithms; *a && used < sizeof(err->hint); a++)
		if (!tr_needs_tags(*a) && (algorithm->task->tags || (*a)->task == algorithm->task))
			used += (size_t) snprintf(err->hint + used, sizeof(err->hint) - used, " %s,", (*a)->name);
	if (used < sizeof(err->hint))
		err->hint[used - 1] = '.';
	return TR_BAD_OPTION;
}

TrStatus
tr_model_create_polled(TrModel **result, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend,
					   const TrDataset *dataset, const void *options, const TrPoll *poll, TrError *err)
{
	TrModel    *model = NULL;
	TrStatus	status;

	if (dataset->n_tags == 0)
		TR_TRY(tr_check_untagged(algorithm, err));
	TR_TRY(new_model(&model, algorithm, memory, backend, options, err));
	model->dataset = dataset;
	model->n_tags = dataset->n_tags;
	model->poll = poll;
	status = algorithm->create(model, err);
	model->poll = NULL;
	if (status == TR_OK)
		status = upload(model, err);
	return finish(result, model, status);
}

TrStatus
tr_model_create(TrModel **result, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend,
				const TrDataset *dataset, const void *options, TrError *err)
{
	return tr_model_create_polled(result, algorithm, memory, backend, dataset, options, NULL, err);
}

/* ------------------------------------------------------------------ tensors */

TrStatus
tr_model_save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	TrBackend  *b = model->backend;

	if (model->algorithm->save)
		return model->algorithm->save(model, tensors, count, err);
	for (int i = 0; i < model->n_mirrors; i++)
		b->ops->download(b, model->mirrors[i].host, model->mirrors[i].device, model->mirrors[i].n * sizeof(float));
	if (model->n_mirrors > 0)
		TR_TRY(b->ops->finish(b, err));
	if (model->algorithm->saving)
		TR_TRY(model->algorithm->saving(model, err));
	*tensors = model->tensors;
	*count = model->n_tensors;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, TrError *err)
{
	TR_TRY(tr_tensors_read(model->tensors, model->ranges, model->n_tensors, model->stored, model->n_stored, err));
	TR_TRY(upload(model, err));
	return model->algorithm->restored ? model->algorithm->restored(model, err) : TR_OK;
}

TrStatus
tr_model_restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	TrStatus	status;

	if (model->algorithm->restore)
		return model->algorithm->restore(model, tensors, count, err);
	model->stored = tensors;
	model->n_stored = count;
	status = restore(model, err);
	model->stored = NULL;
	return status;
}

/* What create() asked for it has; nothing else may be stored. */
static TrStatus
load(TrModel *model, TrError *err)
{
	TR_TRY(model->algorithm->create(model, err));
	if (model->algorithm->restore)
		return TR_OK;
	TR_TRY(tr_tensors_check_surplus(model->tensors, model->n_tensors, model->stored, model->n_stored, err));
	TR_TRY(upload(model, err));
	return model->algorithm->restored ? model->algorithm->restored(model, err) : TR_OK;
}

TrStatus
tr_model_load(TrModel **result, const TrAlgorithm *algorithm, TrMemory *memory, TrBackend *backend, int32_t n_tags,
			  const void *options, const TrTensor *tensors, int count, TrError *err)
{
	TrModel    *model = NULL;
	TrStatus	status;

	if (!algorithm->loads && algorithm->fold_in)
		return new_model(result, algorithm, memory, backend, options, err);
	if (!algorithm->loads)
		return tr_fail(err, TR_UNSUPPORTED, "algorithm \"%s\" cannot encode tags", algorithm->name);
	if (n_tags < (tr_needs_tags(algorithm) ? 1 : 0))
		return tr_fail(err, TR_BAD_DATA, "a model of algorithm \"%s\" has %d tags", algorithm->name, n_tags);
	TR_TRY(new_model(&model, algorithm, memory, backend, options, err));
	model->n_tags = n_tags;
	model->stored = tensors;
	model->n_stored = count;
	status = load(model, err);
	model->stored = NULL;
	return finish(result, model, status);
}

/* ------------------------------------------------------------------ embeddings */

static TrStatus
check_finite(const float *value, int width, int32_t n, const char *what, TrError *err)
{
	for (size_t i = 0; i < (size_t) n * (size_t) width; i++)
	{
		if (isfinite(value[i]))
			continue;
		tr_fail(err, TR_NOT_FINITE, "%s is not finite", what);
		if (err)
		{
			snprintf(err->detail, sizeof(err->detail), "Element %zu is %g.", i % (size_t) width + 1, value[i]);
			snprintf(err->hint, sizeof(err->hint), "Try smaller tag weights, or train with a smaller learning_rate.");
		}
		return TR_NOT_FINITE;
	}
	return TR_OK;
}

TrStatus
tr_model_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	TR_TRY(model->algorithm->embed(model, side, dataset, first, n, out, err));
	return check_finite(out, model->width, n,
						side == TR_USER ? "the embedding of a user" : "the embedding of an item", err);
}

TrStatus
tr_model_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	TR_TRY(model->algorithm->encode(model, side, profiles, out, err));
	return check_finite(out, model->width, profiles->rows, "the embedding of these tags", err);
}

/* ------------------------------------------------------------------ new users */

bool
tr_reads_tags(const TrAlgorithm *algorithm)
{
	return algorithm->loads && (algorithm->encode || algorithm->encode_features);
}

bool
tr_folds_in(const TrAlgorithm *algorithm)
{
	return algorithm->fold_in || (tr_reads_tags(algorithm) && !algorithm->task->tags);
}

static TrStatus
encode_history(TrModel *model, const TrHistory *history, float *array, TrSparse *features, TrError *err)
{
	TrSparse	tags = tr_history_tags(history);
	int64_t		ptr[2] = {0, tags.n};
	TrProfiles	profile = {.rows = 1, .ptr = ptr, .tag = tags.index, .count = tags.value};

	if (model->algorithm->encode)
		TR_TRY(model->algorithm->encode(model, TR_USER, &profile, array, err));
	if (model->algorithm->encode_features)
		TR_TRY(model->algorithm->encode_features(model, &profile, 0, features, err));
	return TR_OK;
}

TrStatus
tr_model_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
				 TrError *err)
{
	*features = (TrSparse) {0};
	memset(array, 0, (size_t) catalogue->width * sizeof(float));
	if (model->algorithm->fold_in)
		TR_TRY(model->algorithm->fold_in(model, history, catalogue, array, features, err));
	else
		TR_TRY(encode_history(model, history, array, features, err));
	return check_finite(array, catalogue->width, 1, "the embedding of this history", err);
}
