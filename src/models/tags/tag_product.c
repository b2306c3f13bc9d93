/*
 * tag_product: how often the user, and how often the item, were given each tag, as a product of smoothed shares; the user's
 * posts count the more the more their items are like this one. No training but counting. The formula is tag_prior.h's.
 *
 * Legend: T tags.
 */
#include <string.h>

#include "models/tags/tag_neighbours.h"
#include "models/tags/tag_prior.h"

typedef struct ProductOptions
{
	double		user_smoothing;
	double		item_smoothing;
	double		popularity;
	double		similar;
	int			neighbours;
} ProductOptions;

#define OPTION(field) offsetof(ProductOptions, field)

static const TrOption option_rows[] = {
	{"user_smoothing", TR_OPTION_REAL, OPTION(user_smoothing), "3", 0.001, 1e6, NULL,
	"smoothing of the user's tag frequencies: assignments added from the overall tag distribution"},
	{"item_smoothing", TR_OPTION_REAL, OPTION(item_smoothing), "10", 0.001, 1e6, NULL,
	"smoothing of the item's tag frequencies: assignments added from the overall tag distribution"},
	{"popularity", TR_OPTION_REAL, OPTION(popularity), "1", 0, 2, NULL,
	"popularity correction: exponent of a tag's overall share, by which the product is divided"},
	{"similar", TR_OPTION_REAL, OPTION(similar), "100", 0, 1e6, NULL,
	"weight of a user's post is 1 + similar x cosine of its item's tags and the given item's; 0 = equal weights"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "200", 1, 100000, NULL,
	"number of nearest items, by cosine of their tags, stored for every item; others count as cosine 0"},
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, ProductOptions);

typedef struct Product
{
	TrModel		model;
	ProductOptions options;
	TrTagPrior	prior;
	TrTagNeighbours neighbours; /* of a model in training, when similar > 0 */
	float	   *log_share;		/* (T) */
	int32_t    *tag;			/* (2T) work space */
	float	   *value;			/* (2T) */
} Product;

static size_t
estimate(const TrShape *shape, const void *values)
{
	const ProductOptions *o = values;

	return ((size_t) shape->n_tags + 1) * (6 * sizeof(float))
		+ (o->similar > 0 ? tr_tag_neighbours_estimate(shape, o->neighbours) : 0);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Product    *m = (Product *) model;
	const ProductOptions *o = model->options;
	int32_t		T = model->n_tags;

	m->options = *o;
	m->tag = TR_NEW(model, int32_t, 2 * (size_t) T);
	m->value = TR_NEW(model, float, 2 * (size_t) T);
	m->prior = (TrTagPrior) {.n_tags = T, .user_smoothing = o->user_smoothing, .item_smoothing = o->item_smoothing,
	.popularity = o->popularity, .similar = o->similar, .extra = TR_NEW(model, float, T)};
	TR_TRY(tr_enough_memory(model, err, "%d tags", T));
	TR_TRY(tr_tensor(model, "log_share", 1, T, TR_LOG_SHARE, &m->log_share, err));
	m->prior.log_share = m->log_share;
	if (!model->dataset)
		return TR_OK;
	TR_TRY(tr_tag_log_shares(m->log_share, model->memory, model->dataset, err));
	return o->similar > 0 ? tr_tag_neighbours_create(&m->neighbours, model, o->neighbours, err) : TR_OK;
}

/* Finds the similar items of every item. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Product    *m = (Product *) model;

	(void) epoch, (void) err;
	if (m->options.similar > 0)
		TR_TRY(tr_tag_neighbours_find(&m->neighbours, model->backend, poll));
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static int
features(const TrModel *model)
{
	return ((const Product *) model)->options.similar > 0 ? TR_FEATURES_ITEMS : TR_FEATURES_NONE;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Product    *m = (Product *) model;

	(void) err;
	*out = m->options.similar > 0 ? tr_tag_neighbours_of(&m->neighbours, feature) : (TrSparse) {0};
	return TR_OK;
}

static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Product *m = (const Product *) model;

	(void) err;
	for (int32_t p = 0; p < n; p++)
		tr_tag_prior_scores(&m->prior, &posts[p], m->tag, m->value, out + (size_t) p * (size_t) m->prior.n_tags);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_tag_product = {
	.name = "tag_product",
	.summary = "The product of a tag's frequencies for the user and for the item, with more weight on the user's similar "
			   "items.",
	.source = "smoothed frequencies, as in Zhai & Lafferty (TOIS 2004), equation 6",
	.task = TR_TASK_TAG,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Product),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.features = features,
	.feature_weights = feature_weights,
	.score_tags = score_tags,
};
