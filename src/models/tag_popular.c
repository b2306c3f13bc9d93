/*
 * tag_popular: the tags that are given most: overall, by the post's user, to the post's item, or by both: the sum of the
 * two shares. What a model of the task tag must beat.
 *
 *     all    assignments of the tag                                  user   user's assignments of the tag / all of his
 *     mix    user's share + item's share                             item   item's assignments of the tag / all of its
 *
 * Where nothing is known of whom the choice asks for, it is `all`, unless fallback is false.
 * Legend: T tags.
 */
#include <string.h>

#include "core/model.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

typedef enum PopularBy
{
	BY_ALL,
	BY_USER,
	BY_ITEM,
	BY_MIX
} PopularBy;

static const char *const by_names[] = {"all", "user", "item", "mix", NULL};

typedef struct PopularOptions
{
	int			by;				/* PopularBy */
	bool		fallback;
} PopularOptions;

static const TrOption option_rows[] = {
	{"by", TR_OPTION_ENUM, offsetof(PopularOptions, by), "mix", 0, 0, by_names,
	"whose assignments count: all, those of the post's user, of its item, or mix, the sum of the user's and the item's "
	"shares"},
	{"fallback", TR_OPTION_BOOL, offsetof(PopularOptions, fallback), "true", 0, 0, NULL,
	"where nothing is known of the user or the item that count, use everybody's assignments"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(PopularOptions)
};

typedef struct Popular
{
	TrModel		model;
	PopularOptions options;
	int32_t		n_tags;
	float	   *count;			/* (T) assignments of each tag */
	TrTensor	tensor;			/* "count" (1,T) */
} Popular;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return ((size_t) shape->n_tags + 1) * (sizeof(float) + sizeof(double));
}

static void
destroy(TrModel *model)
{
	tr_free(model->memory, ((Popular *) model)->count);
	tr_free(model->memory, model);
}

static TrStatus
new_popular(Popular **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, TrError *err)
{
	Popular    *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m || !(m->count = tr_calloc(memory, (size_t) n_tags + 1, sizeof(float))))
	{
		tr_free(memory, m);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", n_tags);
	}
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const PopularOptions *) values;
	m->n_tags = n_tags;
	m->tensor = (TrTensor) {.name = "count", .rows = 1, .cols = n_tags, .value = m->count};
	*result = m;
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	double	   *count = tr_alloc(memory, ((size_t) dataset->n_tags + 1) * sizeof(double));
	Popular    *m = NULL;
	TrStatus	status;

	if (!count)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", dataset->n_tags);
	tr_dataset_count_tags(count, dataset);
	status = new_popular(&m, memory, backend, dataset->n_tags, values, err);
	for (int32_t t = 0; status == TR_OK && t < dataset->n_tags; t++)
		m->count[t] = (float) count[t];
	tr_free(memory, count);
	if (status == TR_OK)
		*model = &m->model;
	return status;
}

/* Counting was all. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	(void) model, (void) epoch, (void) poll, (void) err;
	stats->last = true;
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *n, TrError *err)
{
	(void) err;
	*tensors = &((Popular *) model)->tensor;
	*n = 1;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int n, TrError *err)
{
	TrRange		range = TR_FROM_ZERO;

	return tr_tensors_read(&((Popular *) model)->tensor, &range, 1, tensors, n, err);
}

static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int n, TrError *err)
{
	Popular    *m = NULL;
	TrStatus	status;

	TR_TRY(new_popular(&m, memory, backend, n_tags, values, err));
	status = restore(&m->model, tensors, n, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* score (T) += the profile's shares; false when it is empty */
static bool
add_shares(float *score, const TrSparse *profile)
{
	double		total = 0;

	for (int32_t e = 0; e < profile->n; e++)
		total += profile->value[e];
	for (int32_t e = 0; e < profile->n && total > 0; e++)
		score[profile->index[e]] += (float) (profile->value[e] / total);
	return total > 0;
}

static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Popular *m = (const Popular *) model;

	(void) err;
	for (int32_t p = 0; p < n; p++, out += m->n_tags)
	{
		int			by = m->options.by;
		bool		known = by != BY_ALL && !m->options.fallback;

		memset(out, 0, (size_t) m->n_tags * sizeof(float));
		if (by == BY_USER || by == BY_MIX)
			known |= add_shares(out, &posts[p].user_tags);
		if (by == BY_ITEM || by == BY_MIX)
			known |= add_shares(out, &posts[p].item_tags);
		if (!known)
			memcpy(out, m->count, (size_t) m->n_tags * sizeof(float));
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_tag_popular = {
	.name = "tag_popular",
	.summary = "The tags that the post's user, its item, both or everybody used most.",
	.source = "Jaeschke et al. (PKDD 2007), section 3.3",
	.task = TR_TASK_TAG,
	.options = &options,
	.counts = true,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = tr_no_width,
	.embed = tr_no_embed,
	.score_tags = score_tags,
	.destroy = destroy,
};
