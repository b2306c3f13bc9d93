/*
 * Loading a version's weights and vocabulary. See encoder.h.
 */
#include "pg/serve/encoder.h"

#include "lib/stringinfo.h"
#include "pg/base/options.h"
#include "pg/base/tagrec.h"
#include "pg/store/version_read.h"
#include "utils/memutils.h"

/* Unknown tags that the notice names. */
#define MAX_NAMED 5

struct TagrecEncoder
{
	MemoryContext context;
	MemoryContextCallback cleanup;
	int			width;
	TrMemory	memory;			/* of the model */
	TrBackend  *backend;
	TrModel    *model;
	TagrecOptions *options;
	int32		n_tags;
	char	  **tag;			/* (tags) by position */
	int32	   *by_name;		/* (tags) positions in the order of strcmp */
};

/* Frees memory not allocated by palloc; runs when the context is deleted, also after an error. */
static void
release(void *argument)
{
	TagrecEncoder *encoder = argument;

	if (encoder->model)
		tr_model_destroy(encoder->model);
	if (encoder->backend)
		encoder->backend->ops->close(encoder->backend);
	tr_memory_release(&encoder->memory);
}

/* ------------------------------------------------------------------ vocabulary */

static void
take_tag(void *argument, const char *tag)
{
	TagrecEncoder *encoder = argument;

	encoder->tag[encoder->n_tags++] = MemoryContextStrdup(encoder->context, tag);
}

static int
compare_tags(const void *a, const void *b, void *argument)
{
	char	  **tag = argument;

	return strcmp(tag[*(const int32 *) a], tag[*(const int32 *) b]);
}

static void
load_tags(TagrecEncoder *encoder, const TagrecVersion *version)
{
	encoder->tag = MemoryContextAllocHuge(encoder->context, ((Size) version->tags + 1) * sizeof(char *));
	encoder->by_name = MemoryContextAllocHuge(encoder->context, ((Size) version->tags + 1) * sizeof(int32));
	tagrec_read_tags(version, take_tag, encoder);
	for (int32 i = 0; i < encoder->n_tags; i++)
		encoder->by_name[i] = i;
	qsort_arg(encoder->by_name, encoder->n_tags, sizeof(int32), compare_tags, encoder->tag);
}

int32
tagrec_encoder_find(const TagrecEncoder *encoder, const char *tag)
{
	int32		low = 0;
	int32		high = encoder->n_tags - 1;

	while (low <= high)
	{
		int32		middle = low + (high - low) / 2;
		int			order = strcmp(tag, encoder->tag[encoder->by_name[middle]]);

		if (order == 0)
			return encoder->by_name[middle];
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

const char *
tagrec_encoder_tag(const TagrecEncoder *encoder, int32 position)
{
	return position >= 0 && position < encoder->n_tags ? encoder->tag[position] : NULL;
}

int32
tagrec_encoder_tags(const TagrecEncoder *encoder)
{
	return encoder->n_tags;
}

void
tagrec_report_unknown_tags(const char *model, char **unknown, int n, int of)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < Min(n, MAX_NAMED); i++)
		appendStringInfo(&names, "%s\"%s\"", i ? ", " : "", unknown[i]);
	ereport(NOTICE,
			(errmsg("model \"%s\" does not know %d of %d tags: %s%s", model, n, of, names.data,
					n > MAX_NAMED ? ", ..." : "")));
}

/* ------------------------------------------------------------------ the encoder */

void
tagrec_check_encodes(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);
	bool		tags = tagrec_version_task(version)->tags;

	if (tags && !(algorithm->loads && algorithm->score_tags))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot score tags", version->model),
				 errdetail("Its algorithm, %s, does not recommend tags.", version->algorithm)));
	if (!tags && !(algorithm->loads && (algorithm->encode || algorithm->encode_features)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot encode tags", version->model),
				 errdetail("Its algorithm, %s, does not use tags.", version->algorithm)));
}

static TagrecEncoder *
allocate(int width)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tagrec encoder", ALLOCSET_DEFAULT_SIZES);
	TagrecEncoder *encoder = MemoryContextAllocZero(context, sizeof(TagrecEncoder));

	encoder->context = context;
	encoder->width = width;
	tr_memory_init(&encoder->memory, 0);
	encoder->cleanup.func = release;
	encoder->cleanup.arg = encoder;
	MemoryContextRegisterResetCallback(context, &encoder->cleanup);
	return encoder;
}

TagrecEncoder *
tagrec_encoder_load(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);
	TagrecEncoder *encoder = allocate(version->width);
	TrBackendConfig config = {.threads = 1};
	TrError		err = {0};
	TrTensor   *tensors = NULL;
	int			n_tensors = 0;
	MemoryContext old;

	load_tags(encoder, version);
	old = MemoryContextSwitchTo(encoder->context);
	encoder->options = tagrec_options_read(algorithm, version->options);
	MemoryContextSwitchTo(old);
	/* folding in without having loaded goes by the options alone */
	if (algorithm->loads)
		tensors = tagrec_read_weights(version, &encoder->memory, &n_tensors);
	tagrec_check(tr_plain_ops.open(&encoder->backend, &config, &err), &err);
	tagrec_check(tr_model_load(&encoder->model, algorithm, &encoder->memory, encoder->backend, encoder->n_tags,
							   encoder->options->values, tensors, n_tensors, &err), &err);
	/* the model has its own copies */
	tagrec_free_weights(&encoder->memory, tensors, n_tensors);
	if (algorithm->loads && encoder->model->width != version->width)
		tagrec_version_corrupted(version, psprintf("Its weights produce arrays of %d numbers, not %d.",
												   encoder->model->width, version->width));
	MemoryContextSetParent(encoder->context, CacheMemoryContext);
	return encoder;
}

void
tagrec_encoder_free(TagrecEncoder *encoder)
{
	MemoryContextDelete(encoder->context);
}

Size
tagrec_encoder_bytes(const TagrecEncoder *encoder)
{
	return MemoryContextMemAllocated(encoder->context, true) + encoder->memory.used +
		encoder->backend->ops->allocated(encoder->backend);
}

void
tagrec_encode(TagrecEncoder *encoder, TrSide side, const TrProfiles *profiles, float *out)
{
	TrError		err = {0};

	if (encoder->model->algorithm->encode)
		tagrec_check(tr_model_encode(encoder->model, side, profiles, out, &err), &err);
	else
		memset(out, 0, (Size) profiles->rows * encoder->width * sizeof(float));
}

TrSparse
tagrec_encode_features(TagrecEncoder *encoder, const TrProfiles *profiles, int32 row)
{
	TrSparse	features = {0};
	TrError		err = {0};

	if (encoder->model->algorithm->encode_features)
		tagrec_check(encoder->model->algorithm->encode_features(encoder->model, profiles, row, &features, &err), &err);
	return features;
}

TrSparse
tagrec_encode_history(TagrecEncoder *encoder, const TrHistory *history, const TrCatalogue *catalogue, float *array)
{
	TrSparse	features;
	TrError		err = {0};

	tagrec_check(tr_model_fold_in(encoder->model, history, catalogue, array, &features, &err), &err);
	return features;
}

void
tagrec_contributions(TagrecEncoder *encoder, const TrHistory *history, const TrCatalogue *catalogue, int32 item, float *out)
{
	TrError		err = {0};

	tagrec_check(encoder->model->algorithm->contributions(encoder->model, history, catalogue, item, out, &err), &err);
}

void
tagrec_score_items(TagrecEncoder *encoder, const float *user, const float *items, size_t stride, int32 n,
				   float *out)
{
	TrError		err = {0};

	tagrec_check(encoder->model->algorithm->score_items(encoder->model, user, items, stride, n, out, &err), &err);
}

void
tagrec_unknown_array(TagrecEncoder *encoder, TrSide side, float *out)
{
	TrError		err = {0};

	tagrec_check(encoder->model->algorithm->unknown(encoder->model, side, out, &err), &err);
}

void
tagrec_score_tags(TagrecEncoder *encoder, const TrPost *posts, int32 n, float *out)
{
	TrError		err = {0};

	tagrec_check(encoder->model->algorithm->score_tags(encoder->model, posts, n, out, &err), &err);
}
