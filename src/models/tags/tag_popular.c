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

#include "models/base.h"

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

static const TrOptionSet options = TR_OPTION_SET(option_rows, PopularOptions);

typedef struct Popular
{
	TrModel		model;
	PopularOptions options;
	float	   *count;			/* (T) assignments of each tag */
} Popular;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return ((size_t) shape->n_tags + 1) * (sizeof(float) + sizeof(double));
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Popular    *m = (Popular *) model;
	double	   *count;

	m->options = *(const PopularOptions *) model->options;
	TR_TRY(tr_tensor(model, "count", 1, model->n_tags, TR_FROM_ZERO, &m->count, err));
	if (!model->dataset)
		return TR_OK;
	count = TR_NEW(model, double, model->n_tags);
	TR_TRY(tr_enough_memory(model, err, "%d tags", model->n_tags));
	tr_dataset_count_tags(count, model->dataset);
	for (int32_t t = 0; t < model->n_tags; t++)
		m->count[t] = (float) count[t];
	tr_free(model->memory, count);
	return TR_OK;
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
	for (int32_t p = 0; p < n; p++, out += model->n_tags)
	{
		int			by = m->options.by;
		bool		known = by != BY_ALL && !m->options.fallback;

		memset(out, 0, (size_t) model->n_tags * sizeof(float));
		if (by == BY_USER || by == BY_MIX)
			known |= add_shares(out, &posts[p].user_tags);
		if (by == BY_ITEM || by == BY_MIX)
			known |= add_shares(out, &posts[p].item_tags);
		if (!known)
			memcpy(out, m->count, (size_t) model->n_tags * sizeof(float));
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
	.size = sizeof(Popular),
	.loads = true,
	.create = create,
	.train_epoch = tr_no_training,
	.score_tags = score_tags,
};
