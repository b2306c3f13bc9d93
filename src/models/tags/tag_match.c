/*
 * tag_cosine and tag_bm25: users and items are their weighted tag profiles themselves, and the score is the inner product
 * of the two. Nothing is learned but how rare a tag is. What a network over tags must beat.
 *
 *     tag_cosine   user = item = profile / |profile|, with the weighting of the option
 *     tag_bm25     item = BM25 weights (Robertson & Zaragoza 2009), user = ln(1 + count) / |ln(1 + count)|: the query
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
	"most tags that training accepts: every embedding has a number for each tag"}

static const TrOption cosine_rows[] = {
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), "tfidf", 0, 0, tr_weighting_names,
	"how often a tag was given becomes its weight in a profile"},
	MAX_TAGS_OPTION,
};

static const TrOption bm25_rows[] = {
	{"k1", TR_OPTION_REAL, OPTION(k1), "5", 0, 1000, NULL,
	"how many times a tag has to be given to an item before more of it hardly counts"},
	{"b", TR_OPTION_REAL, OPTION(b), "0", 0, 1, NULL,
	"how much a long item profile is marked down; 0 lets items with many tags come first, as popular items do"},
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
} Match;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return ((size_t) shape->n_tags + 1) * sizeof(float);
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

	if (d)
		TR_TRY(tr_check_max_tags(d, o->max_tags, "Every embedding would have a number for each tag.", err));
	/* all of an array is compared by: similar users and items have similar profiles */
	model->width = model->unit = model->n_tags;
	TR_TRY(tr_tensor(model, "idf", 1, model->n_tags, TR_IDF, &m->idf, err));
	TR_TRY(tr_tensor(model, "mean_length", 1, 1, TR_FROM_ZERO, &mean_length, err));
	if (!d)
		return TR_OK;
	tr_dataset_idf(m->idf, d);
	m->mean_length = (float) ((double) d->n_assignments / d->n_items);
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

/* out (T) = the weighted profile of row r; a profile without a direction is all zeros */
static void
encode_row(const Match *m, TrSide side, const TrProfiles *profiles, int32_t r, float *out)
{
	const TrProfileWeights *weights = &m->weights[side];
	float		length = 0;
	double		squares = 0;

	memset(out, 0, (size_t) m->model.n_tags * sizeof(float));
	for (int64_t e = profiles->ptr[r]; e < profiles->ptr[r + 1]; e++)
		length += profiles->count[e];
	for (int64_t e = profiles->ptr[r]; e < profiles->ptr[r + 1]; e++)
	{
		float		weight = tr_tag_weight(weights, profiles->tag[e], profiles->count[e], length);

		out[profiles->tag[e]] = weight;
		squares += (double) weight * weight;
	}
	if (weights->norm == TR_NORM_L2 && squares > 0)
		for (int64_t e = profiles->ptr[r]; e < profiles->ptr[r + 1]; e++)
			out[profiles->tag[e]] /= (float) sqrt(squares);
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	const Match *m = (const Match *) model;

	(void) err;
	for (int32_t r = 0; r < profiles->rows; r++)
		encode_row(m, side, profiles, r, out + (size_t) r * m->model.n_tags);
	return TR_OK;
}

/* What the two have in common; they differ in how profiles are weighted. */
#define MATCH_SLOTS \
	.task = TR_TASK_ITEM, .size = sizeof(Match), .loads = true, .estimate = estimate, .train_epoch = tr_no_training, \
	.restored = restored, .embed = tr_embed_profiles, .encode = encode

const TrAlgorithm tr_algorithm_tag_cosine = {
	.name = "tag_cosine",
	.summary = "The cosine of the weighted tag profiles of user and item, without learning.",
	.source = "Salton & Buckley (1988), on the profiles of Xu et al. (IJCAI 2017), section 3",
	MATCH_SLOTS,
	.options = &cosine_options,
	.create = create_cosine,
};

const TrAlgorithm tr_algorithm_tag_bm25 = {
	.name = "tag_bm25",
	.summary = "A user's tags as a query for items by BM25, without learning.",
	.source = "Robertson & Zaragoza, The Probabilistic Relevance Framework (2009), equation 3.15",
	MATCH_SLOTS,
	.options = &bm25_options,
	.create = create_bm25,
};
