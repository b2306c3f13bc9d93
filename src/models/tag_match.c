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

#include "core/model.h"
#include "models/tensors.h"

typedef struct MatchOptions
{
	int			weighting;		/* TrWeighting */
	double		k1;
	double		b;
	int			max_tags;
} MatchOptions;

#define OPTION(field) offsetof(MatchOptions, field)

/* In the order of TrWeighting; bm25 is an algorithm of its own. */
static const char *const weightings[] = {"count", "binary", "log", "tfidf", "log_tfidf", NULL};

#define MAX_TAGS_OPTION \
	{"max_tags", TR_OPTION_INT, OPTION(max_tags), "20000", 1, 1000000, NULL, \
	"most tags that training accepts: every embedding has a number for each tag"}

static const TrOption cosine_rows[] = {
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), "tfidf", 0, 0, weightings,
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
	int32_t		n_tags;
	float	   *idf;			/* (T) ln(items / items with the tag) */
	float		mean_length;	/* assignments of an item */
	TrTensor	tensors[2];		/* "idf" (1,T), "mean_length" (1,1) */
} Match;

static size_t
estimate(const TrShape *shape, const void *values)
{
	(void) values;
	return ((size_t) shape->n_tags + 1) * sizeof(float);
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	tr_free(model->memory, ((Match *) model)->idf);
	tr_free(model->memory, model);
}

static TrStatus
new_match(Match **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, TrError *err)
{
	Match	   *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m || !(m->idf = tr_calloc(memory, (size_t) n_tags + 1, sizeof(float))))
	{
		tr_free(memory, m);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", n_tags);
	}
	m->model.backend = backend;
	m->model.memory = memory;
	m->n_tags = n_tags;
	m->tensors[0] = (TrTensor) {.name = "idf", .rows = 1, .cols = n_tags, .value = m->idf};
	m->tensors[1] = (TrTensor) {.name = "mean_length", .rows = 1, .cols = 1, .value = &m->mean_length};
	*result = m;
	return TR_OK;
}

static void
set_cosine(Match *m, const MatchOptions *o)
{
	m->weights[TR_USER] = (TrProfileWeights) {.weighting = (TrWeighting) o->weighting, .norm = TR_NORM_L2, .idf = m->idf};
	m->weights[TR_ITEM] = m->weights[TR_USER];
}

static void
set_bm25(Match *m, const MatchOptions *o)
{
	m->weights[TR_USER] = (TrProfileWeights) {.weighting = TR_WEIGHT_LOG, .norm = TR_NORM_L2};
	m->weights[TR_ITEM] = (TrProfileWeights) {.weighting = TR_WEIGHT_BM25, .norm = TR_NORM_NONE, .k1 = (float) o->k1,
	.b = (float) o->b, .mean_length = m->mean_length, .idf = m->idf};
}

/* idf (T), and the mean number of an item's assignments */
static void
count(Match *m, const TrDataset *d)
{
	tr_dataset_idf(m->idf, d);
	m->mean_length = (float) ((double) d->n_assignments / d->n_items);
}

static TrStatus
create_match(Match **result, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const MatchOptions *o,
			 TrError *err)
{
	if (dataset->n_tags > o->max_tags)
	{
		tr_fail(err, TR_BAD_DATA, "%d tags are more than max_tags, %d", dataset->n_tags, o->max_tags);
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Every embedding would have a number for each tag. Leave rare tags out"
					 " with min_tag_count, or raise max_tags.");
		return TR_BAD_DATA;
	}
	TR_TRY(new_match(result, memory, backend, dataset->n_tags, err));
	count(*result, dataset);
	return TR_OK;
}

static TrStatus
create_cosine(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values,
			  TrError *err)
{
	Match	   *m = NULL;

	TR_TRY(create_match(&m, memory, backend, dataset, values, err));
	set_cosine(m, values);
	*model = &m->model;
	return TR_OK;
}

static TrStatus
create_bm25(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values,
			TrError *err)
{
	Match	   *m = NULL;

	TR_TRY(create_match(&m, memory, backend, dataset, values, err));
	set_bm25(m, values);
	*model = &m->model;
	return TR_OK;
}

/* Counting was all. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	(void) model, (void) epoch, (void) poll, (void) err;
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ tensors */

static TrStatus
save(TrModel *model, TrTensor **tensors, int *n, TrError *err)
{
	(void) err;
	*tensors = ((Match *) model)->tensors;
	*n = 2;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int n, TrError *err)
{
	Match	   *m = (Match *) model;
	TrRange		ranges[] = {TR_IDF, TR_FROM_ZERO};

	TR_TRY(tr_tensors_read(m->tensors, ranges, 2, tensors, n, err));
	m->weights[TR_ITEM].mean_length = m->mean_length;
	return TR_OK;
}

static TrStatus
load_match(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const MatchOptions *o,
		   void (*set) (Match *m, const MatchOptions *o), const TrTensor *tensors, int n, TrError *err)
{
	Match	   *m = NULL;
	TrStatus	status;

	TR_TRY(new_match(&m, memory, backend, n_tags, err));
	set(m, o);
	status = restore(&m->model, tensors, n, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

static TrStatus
load_cosine(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values,
			const TrTensor *tensors, int n, TrError *err)
{
	return load_match(model, memory, backend, n_tags, values, set_cosine, tensors, n, err);
}

static TrStatus
load_bm25(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values,
		  const TrTensor *tensors, int n, TrError *err)
{
	return load_match(model, memory, backend, n_tags, values, set_bm25, tensors, n, err);
}

/* ------------------------------------------------------------------ encoding */

/* All of an array is compared by: similar users and items have similar profiles. */
static int
width(const TrModel *model, int *unit)
{
	const Match *m = (const Match *) model;

	if (unit)
		*unit = m->n_tags;
	return m->n_tags;
}

/* out (T) = the weighted profile of row r; a profile without a direction is all zeros */
static void
encode_row(const Match *m, TrSide side, const TrProfiles *profiles, int32_t r, float *out)
{
	const TrProfileWeights *weights = &m->weights[side];
	float		length = 0;
	double		squares = 0;

	memset(out, 0, (size_t) m->n_tags * sizeof(float));
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
		encode_row(m, side, profiles, r, out + (size_t) r * m->n_tags);
	return TR_OK;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	const TrProfileTable *table = side == TR_USER ? &dataset->user : &dataset->item;
	TrProfiles	profiles = {.rows = n, .ptr = table->entry_ptr + first, .tag = table->tag, .count = table->count};

	return encode(model, side, &profiles, out, err);
}

const TrAlgorithm tr_algorithm_tag_cosine = {
	.name = "tag_cosine",
	.summary = "The cosine of the weighted tag profiles of user and item, without learning.",
	.source = "Salton & Buckley (1988), on the profiles of Xu et al. (IJCAI 2017), section 3",
	.task = TR_TASK_ITEM,
	.options = &cosine_options,
	.estimate = estimate,
	.create = create_cosine,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load_cosine,
	.width = width,
	.embed = embed,
	.encode = encode,
	.destroy = destroy,
};

const TrAlgorithm tr_algorithm_tag_bm25 = {
	.name = "tag_bm25",
	.summary = "A user's tags as a query for items by BM25, without learning.",
	.source = "Robertson & Zaragoza, The Probabilistic Relevance Framework (2009), equation 3.15",
	.task = TR_TASK_ITEM,
	.options = &bm25_options,
	.estimate = estimate,
	.create = create_bm25,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load_bm25,
	.width = width,
	.embed = embed,
	.encode = encode,
	.destroy = destroy,
};
