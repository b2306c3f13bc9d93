/*
 * The TrAlgorithm functions of dae_ptr but training and scoring: create, save, restore, load, embed.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "models/dae_ptr/dae_ptr.h"

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const DaeOptions *o = values;
	double		rows = fmin(o->batch, shape->n_posts);
	double		floats;
	TrParameters p = {0};
	DaeLayout	l;

	dae_layout(&l, &p, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, gradients, moments; saved, the best ones, the padded decoder */
	floats = (double) p.size * (o->optimizer == TR_ADAM ? 6 : 4) + (double) l.T * tr_dot_stride(l.K);
	floats += rows * (3.0 * l.K + l.T);
	/* order, the touched rows of the table; a batch's rows, here and there: tags, profiles */
	floats += (double) shape->n_posts + 2.25 * l.rows + 6.0 * l.T;
	floats += rows * 16.0 * (double) shape->n_assignments * (1 / fmax(1, shape->n_posts) + 1 / fmax(1, shape->n_users)
															 + 1 / fmax(1, shape->n_items));
	return (size_t) (floats * 1.125 * sizeof(float))
		+ dae_known_estimate(shape, o);
}

/* ------------------------------------------------------------------ life */

/* With a prior, training starts from what tag_product scores (tag_prior.h, a = 1). */
static TrStatus
fill(Dae *m, TrError *err)
{
	TrModel    *model = &m->model;
	const DaeLayout *l = &m->layout;

	TR_TRY(tr_tag_log_shares(m->log_share, model->memory, model->dataset, err));
	if (l->parts > 0)
		memcpy(m->p.host + l->tag_bias, m->log_share, (size_t) l->T * sizeof(float));
	for (int j = 0; j < l->parts; j++)
		m->p.host[l->prior + j] = 1;
	return dae_planner_create(m, err);
}

/* Where it is loaded, posts bring the vectors of their user and item. */
static TrStatus
create(TrModel *model, TrError *err)
{
	Dae		   *m = (Dae *) model;
	const TrDataset *d = model->dataset;
	int32_t		T = model->n_tags;
	int32_t		users = d ? d->n_users : 0;
	int32_t		items = d ? d->n_items : 0;
	size_t		stride;

	if ((int64_t) users + items + 3 * (int64_t) T > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags for one table");
	m->options = *(const DaeOptions *) model->options;
	dae_layout(&m->layout, &m->p, &m->options, users, items, T);
	TR_TRY(tr_parameters_create(&m->p, model, m->options.optimizer == TR_ADAM ? 2 : 0, m->options.seed, false, err));
	TR_TRY(tr_tensor(model, "log_share", 1, T, TR_LOG_SHARE, &m->log_share, err));
	stride = tr_dot_stride(m->layout.K);
	m->decoder = stride == (size_t) m->layout.K ? m->p.host + m->layout.decoder : TR_NEW(model, float, (size_t) T * stride);
	m->part_tag = TR_NEW(model, int32_t, T);
	m->part_value = TR_NEW(model, float, T);
	m->prior = (TrTagPrior) {.n_tags = T, .log_share = m->log_share, .user_smoothing = m->options.user_smoothing,
	.item_smoothing = m->options.item_smoothing, .popularity = 1, .similar = m->options.similar,
	.extra = TR_NEW(model, float, T)};
	TR_TRY(tr_enough_memory(model, err, "%d tags", T));
	for (int c = 0; c < DAE_LOGS; c++)
		m->log_count[c] = log1pf((float) c);
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->layout.K;
	if (!d)
		return TR_OK;
	model->rows[TR_USER] = m->p.value + (size_t) m->layout.users * (size_t) m->layout.K;
	model->rows[TR_ITEM] = m->p.value + (size_t) m->layout.items * (size_t) m->layout.K;
	return fill(m, err);
}

/* ------------------------------------------------------------------ vectors */

static int
features(const TrModel *model)
{
	return dae_has_neighbours((const Dae *) model) ? TR_FEATURES_ITEMS : TR_FEATURES_NONE;
}

/* Items like an item, which the prior looks at. */
static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Dae		   *m = (Dae *) model;

	(void) err;
	*out = dae_has_neighbours(m) ? tr_tag_neighbours_of(&m->neighbours, feature) : (TrSparse) {0};
	return TR_OK;
}

const TrAlgorithm tr_algorithm_dae_ptr = {
	.name = "dae_ptr",
	.summary = "A denoising autoencoder over the tags of a post, with vectors for its user and its item.",
	.source = "Zhao et al., Denoising auto-encoder based personalized tag recommendation, Eq. 7-12",
	.task = TR_TASK_TAG,
	.options = &dae_option_set,
	.estimate = estimate,
	.size = sizeof(Dae),
	.loads = true,
	.create = create,
	.train_epoch = dae_train_epoch,
	.saving = dae_pad_decoder,
	.restored = dae_pad_decoder,
	.embed = tr_embed_rows,
	.features = features,
	.feature_weights = feature_weights,
	.score_tags = dae_score_tags,
};
