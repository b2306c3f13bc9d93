/*
 * The TrAlgorithm functions of abnt but training and scoring: create, save, restore, load, embed.
 */
#include <math.h>

#include "core/dot.h"
#include "models/abnt/abnt.h"
#include "models/tags/tag_prior.h"

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const AbntOptions *o = values;
	double		posts = fmax(1, shape->n_posts);
	double		rows = fmin(o->batch, posts);
	double		entries = 2 + (double) shape->n_assignments / posts;
	double		of_row;
	double		floats;
	TrParameters p = {0};
	AbntLayout	l;

	abnt_layout(&l, &p, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, moments; saved, the best ones; gradients, the padded last layer */
	floats = (double) p.size * (o->optimizer == TR_ADAM ? 5 : 3) + (double) p.size + (double) l.T * tr_dot_stride(l.D);
	/* of a post in a step: vectors and their gradients, the sequence here and there, the layers, the scores */
	of_row = 12.0 * l.D + 11.0 * (fmin(o->sequence, shape->n_tags) + entries) + 6 * entries + l.T + 3.0 * l.width[0];
	for (int i = 1; i <= l.layers; i++)
		of_row += 3.0 * l.width[i];
	floats += rows * of_row + 2.0 * l.rows + posts + (double) l.T * tr_dot_stride(abnt_last_width(&l));
	return (size_t) (floats * 1.125 * sizeof(float));
}

/* ------------------------------------------------------------------ life */

static TrStatus
fill(Abnt *m, TrError *err)
{
	TrModel    *model = &m->model;

	/* the tags' biases start as the logarithms of their shares */
	TR_TRY(tr_tag_log_shares(m->p.host + m->layout.tag_bias, model->memory, model->dataset, err));
	return abnt_planner_create(m, err);
}

/* Where it is loaded, posts bring the vectors of their user and item. */
static TrStatus
create(TrModel *model, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	const TrDataset *d = model->dataset;
	int32_t		users = d ? d->n_users : 0;
	int32_t		items = d ? d->n_items : 0;

	if ((int64_t) users + items + 2 * (int64_t) model->n_tags > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags for one table");
	if (model->n_tags < 1)
		return tr_fail(err, TR_BAD_DATA, "there are no tags to learn from");
	m->options = *(const AbntOptions *) model->options;
	abnt_layout(&m->layout, &m->p, &m->options, users, items, model->n_tags);
	TR_TRY(tr_parameters_create(&m->p, model, m->options.optimizer == TR_ADAM ? 2 : 0, m->options.seed, false, err));
	m->decoder = TR_NEW(model, float, (size_t) model->n_tags * tr_dot_stride(abnt_last_width(&m->layout)));
	TR_TRY(tr_enough_memory(model, err, "the last layer"));
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->layout.D;
	if (!d)
		return TR_OK;
	model->rows[TR_USER] = m->p.value + (size_t) m->layout.users * (size_t) m->layout.D;
	model->rows[TR_ITEM] = m->p.value + (size_t) m->layout.items * (size_t) m->layout.D;
	return fill(m, err);
}

/* ------------------------------------------------------------------ vectors */

const TrAlgorithm tr_algorithm_abnt = {
	.name = "abnt",
	.summary = "A multi-layer perceptron over the vectors of a post's user and item, and attention over the tags the user "
		"gave before: a bag of the most used ones, without the post itself, for their order is not known.",
	.source = "Yuan et al., Attention-based neural tag recommendation, as Zhao et al. compare with it",
	.task = TR_TASK_TAG,
	.options = &abnt_option_set,
	.estimate = estimate,
	.size = sizeof(Abnt),
	.loads = true,
	.create = create,
	.train_epoch = abnt_train_epoch,
	.saving = abnt_pad_decoder,
	.restored = abnt_pad_decoder,
	.embed = tr_embed_rows,
	.score_tags = abnt_score_tags,
};
