/*
 * tag_cosine and tag_bm25: users and items are their weighted tag profiles themselves, and the score is the inner product
 * of the two. Nothing is learned but how rare a tag is. What a network over tags must beat.
 *
 *     tag_cosine   user = item = profile / |profile|, with the weighting of the option
 *     tag_bm25     item = BM25 weights (Robertson & Zaragoza 2009), user = ln(1 + count) / |ln(1 + count)|: the query
 *
 * Up to max_tags these are arrays, one number to a tag. Of more tags nearly all numbers would be 0: then the sparse part
 * of a score says the same, with an item's weights listed by tag, and the model has no arrays.
 *
 * Legend: T tags, the width of the arrays.
 */
#include <math.h>
#include <string.h>

#include "models/base.h"

typedef struct MatchOptions
{
	int			weighting;		/* TrWeighting */
	double		k1;
	double		b;
	int			max_tags;
} MatchOptions;

#define OPTION(field) offsetof(MatchOptions, field)

#define MAX_TAGS_OPTION \
	{"max_tags", TR_OPTION_INT, OPTION(max_tags), "20000", 1, 1000000, NULL, \
	"maximum number of tags for embeddings, which have one number per tag; with more, the items' weights are stored by tag, as " \
	"neighbors are"}

static const TrOption cosine_rows[] = {
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), "tfidf", 0, 0, tr_weighting_names,
	"weighting of tag counts in profiles"},
	MAX_TAGS_OPTION,
};

static const TrOption bm25_rows[] = {
	{"k1", TR_OPTION_REAL, OPTION(k1), "5", 0, 1000, NULL,
	"BM25 k1: saturation of a tag's count in an item's profile"},
	{"b", TR_OPTION_REAL, OPTION(b), "0", 0, 1, NULL,
	"BM25 b: length normalization of item profiles; 0 = none, which favours popular items"},
	MAX_TAGS_OPTION,
};

static const TrOptionSet cosine_options = {cosine_rows, 2, NULL, sizeof(MatchOptions), NULL};
static const TrOptionSet bm25_options = {bm25_rows, 3, NULL, sizeof(MatchOptions), NULL};

typedef struct Match
{
	TrModel		model;
	TrProfileWeights weights[2];	/* by TrSide */
	float	   *idf;			/* (T) ln(items / items with the tag) */
	float		mean_length;	/* assignments of an item */
	int64_t    *tag_ptr;		/* (T+1), without arrays: items with each tag, ascending, and their weights */
	int32_t    *tag_item;
	float	   *tag_weight;
	int32_t		room;			/* of a profile's weights */
	float	   *value;
} Match;

static bool
has_arrays(const MatchOptions *o, int32_t n_tags)
{
	return n_tags <= o->max_tags;
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	size_t		lists = has_arrays(values, shape->n_tags) ? 0 : 8 * ((size_t) shape->n_assignments + (size_t) shape->n_tags);

	return ((size_t) shape->n_tags + 1) * sizeof(float) + lists;
}

/* ------------------------------------------------------------------ life */

/* idf (T), and the mean number of an item's assignments */
static TrStatus
create_match(Match *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	const MatchOptions *o = model->options;
	float	   *mean_length = &m->mean_length;

	/* all of an array is compared by: similar users and items have similar profiles */
	model->width = model->unit = has_arrays(o, model->n_tags) ? model->n_tags : 0;
	TR_TRY(tr_tensor(model, "idf", 1, model->n_tags, TR_IDF, &m->idf, err));
	TR_TRY(tr_tensor(model, "mean_length", 1, 1, TR_FROM_ZERO, &mean_length, err));
	if (!d)
		return TR_OK;
	tr_dataset_idf(m->idf, d);
	m->mean_length = (float) ((double) d->item.n_occurrences / d->n_items);
	return TR_OK;
}

static TrStatus
create_cosine(TrModel *model, TrError *err)
{
	Match	   *m = (Match *) model;
	const MatchOptions *o = model->options;

	TR_TRY(create_match(m, err));
	m->weights[TR_USER] = (TrProfileWeights) {.weighting = (TrWeighting) o->weighting, .norm = TR_NORM_L2, .idf = m->idf};
	m->weights[TR_ITEM] = m->weights[TR_USER];
	return TR_OK;
}

static TrStatus
create_bm25(TrModel *model, TrError *err)
{
	Match	   *m = (Match *) model;
	const MatchOptions *o = model->options;

	TR_TRY(create_match(m, err));
	m->weights[TR_USER] = (TrProfileWeights) {.weighting = TR_WEIGHT_LOG, .norm = TR_NORM_L2};
	m->weights[TR_ITEM] = (TrProfileWeights) {.weighting = TR_WEIGHT_BM25, .norm = TR_NORM_NONE, .k1 = (float) o->k1,
	.b = (float) o->b, .mean_length = m->mean_length, .idf = m->idf};
	return TR_OK;
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	Match	   *m = (Match *) model;

	(void) err;
	m->weights[TR_ITEM].mean_length = m->mean_length;
	return TR_OK;
}

/* ------------------------------------------------------------------ encoding */

/* value (n) = the weights of a profile; one without a direction is all zeros */
static void
weigh(const Match *m, TrSide side, const int32_t *tag, const float *count, int64_t n, float *value)
{
	const TrProfileWeights *weights = &m->weights[side];
	float		length = 0;
	double		squares = 0;

	for (int64_t e = 0; e < n; e++)
		length += count[e];
	for (int64_t e = 0; e < n; e++)
	{
		value[e] = tr_tag_weight(weights, tag[e], count[e], length);
		squares += (double) value[e] * value[e];
	}
	for (int64_t e = 0; weights->norm == TR_NORM_L2 && squares > 0 && e < n; e++)
		value[e] /= (float) sqrt(squares);
}

/* m->value = the weights of row r */
static TrStatus
weigh_row(Match *m, TrSide side, const TrProfiles *profiles, int32_t r, TrError *err)
{
	int64_t		first = profiles->ptr[r];
	int64_t		n = profiles->ptr[r + 1] - first;

	if (n > m->room)
	{
		tr_free(m->model.memory, m->value);
		m->value = tr_alloc(m->model.memory, (size_t) n * sizeof(float));
		m->room = m->value ? (int32_t) n : 0;
		if (!m->value)
			return tr_fail(err, TR_NO_MEMORY, "out of memory for %lld tags of a profile", (long long) n);
	}
	weigh(m, side, profiles->tag + first, profiles->count + first, n, m->value);
	return TR_OK;
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	Match	   *m = (Match *) model;
	size_t		T = (size_t) model->width;

	memset(out, 0, (size_t) profiles->rows * T * sizeof(float));
	for (int32_t r = 0; T > 0 && r < profiles->rows; r++, out += T)
	{
		TR_TRY(weigh_row(m, side, profiles, r, err));
		for (int64_t e = profiles->ptr[r]; e < profiles->ptr[r + 1]; e++)
			out[profiles->tag[e]] = m->value[e - profiles->ptr[r]];
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ without arrays */

/* The items of every tag, and their weights */
static TrStatus
list_items(Match *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrProfileTable *items = &model->dataset->item;
	TrProfiles	profiles = tr_profiles_of(model->dataset, TR_ITEM, 0, model->dataset->n_items);

	m->tag_ptr = TR_NEW(model, int64_t, model->n_tags + 2);
	m->tag_item = TR_NEW(model, int32_t, items->n_entries);
	m->tag_weight = TR_NEW(model, float, items->n_entries);
	TR_TRY(tr_enough_memory(model, err, "the weights of %lld tags of items", (long long) items->n_entries));
	for (int64_t e = 0; e < items->n_entries; e++)
		m->tag_ptr[items->tag[e] + 2]++;
	for (int32_t t = 0; t < model->n_tags; t++)
		m->tag_ptr[t + 2] += m->tag_ptr[t + 1];
	for (int32_t i = 0; i < profiles.rows; i++)
	{
		TR_TRY(weigh_row(m, TR_ITEM, &profiles, i, err));
		for (int64_t e = profiles.ptr[i]; e < profiles.ptr[i + 1]; e++)
		{
			int64_t		at = m->tag_ptr[profiles.tag[e] + 1]++;

			m->tag_item[at] = i;
			m->tag_weight[at] = m->value[e - profiles.ptr[i]];
		}
	}
	return TR_OK;
}

/* Counting is all of it. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Match	   *m = (Match *) model;

	(void) epoch, (void) poll;
	stats->last = true;
	return model->width > 0 || m->tag_ptr ? TR_OK : list_items(m, err);
}

static int
features(const TrModel *model)
{
	return model->width > 0 ? TR_FEATURES_NONE : TR_FEATURES_TAGS;
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	Match	   *m = (Match *) model;
	int64_t		first = profiles->ptr[row];

	*out = (TrSparse) {0};
	if (model->width > 0)
		return TR_OK;
	TR_TRY(weigh_row(m, TR_USER, profiles, row, err));
	*out = (TrSparse) {(int32_t) (profiles->ptr[row + 1] - first), profiles->tag + first, m->value};
	return TR_OK;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	TrProfiles	profile = tr_profiles_of(dataset, TR_USER, user, 1);

	return encode_features(model, &profile, 0, out, err);
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Match	   *m = (Match *) model;
	int64_t		first;

	*out = (TrSparse) {0};
	if (model->width > 0)
		return TR_OK;
	if (!m->tag_ptr)
		TR_TRY(list_items(m, err));
	first = m->tag_ptr[feature];
	*out = (TrSparse) {(int32_t) (m->tag_ptr[feature + 1] - first), m->tag_item + first, m->tag_weight + first};
	return TR_OK;
}

/* What the two have in common; they differ in how profiles are weighted. */
#define MATCH_SLOTS \
	.task = TR_TASK_ITEM, .size = sizeof(Match), .loads = true, .estimate = estimate, .train_epoch = train_epoch, \
	.restored = restored, .embed = tr_embed_profiles, .encode = encode, .features = features, \
	.user_features = user_features, .feature_weights = feature_weights, .encode_features = encode_features

const TrAlgorithm tr_algorithm_tag_cosine = {
	.name = "tag_cosine",
	.summary = "Cosine similarity of the weighted tag profiles of user and item, without learning.",
	.source = "Salton & Buckley (1988), on the profiles of Xu et al. (IJCAI 2017), section 3",
	MATCH_SLOTS,
	.options = &cosine_options,
	.create = create_cosine,
};

const TrAlgorithm tr_algorithm_tag_bm25 = {
	.name = "tag_bm25",
	.summary = "BM25 search for items with the user's tags as the query, without learning.",
	.source = "Robertson & Zaragoza, The Probabilistic Relevance Framework (2009), equation 3.15",
	MATCH_SLOTS,
	.options = &bm25_options,
	.create = create_bm25,
};
