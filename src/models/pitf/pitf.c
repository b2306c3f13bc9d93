/*
 * pitf: pairwise interaction tensor factorisation (Rendle & Schmidt-Thieme, WSDM 2010), learned to rank. A post (u, i) has
 * a tag t and lacks a tag s drawn for it:
 *
 *     y(u,i,t) = w_u . a_t + h_i . b_t
 *     loss     = sum over the assignments (u,i,t) of -ln sigmoid(y(u,i,t) - y(u,i,s))
 *              + regularization (|w_u|^2 + |h_i|^2 of every post in a batch + |a|^2 + |b|^2 of every tag in it)
 *
 * With several tags drawn the loss is that of a softmax over t and them, which is the same for one. A batch is one step,
 * over the rows it touches. [w_u, h_i] . [a_t, b_t] is one inner product: users and items lie in one table, so that the
 * rows of a post, gathered one behind the other, are a row of width 2D. Legend: see pitf.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "models/pitf/pitf.h"

const char *const pitf_sampling_names[] = {"uniform", "popularity", NULL};

static const TrOption option_rows[] = {
	PITF_FACTORS_OPTION,
	PITF_OPTIONS_WITH("0.1"),
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(PitfOptions)
};

size_t
pitf_estimate(const TrShape *shape, const void *values)
{
	const PitfOptions *o = values;
	double		D = o->factors;
	int			P = (int) (o->batch < shape->n_assignments ? o->batch : shape->n_assignments);
	double		M = (double) pitf_tags_of_batch(P, o->negatives);
	double		rows = (double) shape->n_users + shape->n_items + 2.0 * shape->n_tags;
	int			copies = o->optimizer == TR_ADAM ? 5 : 3;

	/* in the backend, with their moments, saved, and the best ones kept; tags to serve; two orders; a batch */
	return (size_t) (sizeof(float) * (copies * rows * D + 3.0 * shape->n_tags * (D + TR_DOT_PAD)
									  + 2.0 * (double) shape->n_assignments + 6 * P * D + 6 * M * D + 6 * M + 5.0 * P)
					 + 2 * sizeof(int32_t) * (8.0 * P + 5 * M));
}

/* ------------------------------------------------------------------ life */

/* The assignments that a pair can be made of: their post lacks a tag. */
static void
list_pairs(Pitf *m)
{
	const TrDataset *d = m->model.dataset;

	for (int32_t p = 0; p < d->n_posts; p++)
		for (int64_t a = d->post_ptr[p]; a < d->post_ptr[p + 1]; a++)
		{
			m->post_of[a] = p;
			if (d->post_ptr[p + 1] - d->post_ptr[p] < d->n_tags)
				m->order[m->n_pairs++] = (int32_t) a;
		}
}

/* Factors at random, each kind from its own stretch of the stream. */
static void
draw_factors(Pitf *m)
{
	const TrDataset *d = m->model.dataset;
	const PitfOptions *o = &m->options;
	int64_t		D = m->D;
	double		std = o->init_std / sqrt(m->D);

	tr_normals(m->entities, d->n_users * D, std, o->seed, 0);
	tr_normals(m->entities + d->n_users * D, d->n_items * D, std, o->seed, 1);
	tr_normals(m->tags, d->n_tags * 2 * D, std, o->seed, 2);
}

static TrStatus
fill(Pitf *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	TrOptimizerKind optimizer = (TrOptimizerKind) m->options.optimizer;
	float	   *items;

	m->order = TR_NEW(model, int32_t, d->n_assignments);
	m->post_of = TR_NEW(model, int32_t, d->n_assignments);
	m->entities = TR_NEW(model, float, ((size_t) d->n_users + (size_t) d->n_items) * (size_t) m->D);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	list_pairs(m);
	if (m->n_pairs == 0)
		return tr_fail(err, TR_BAD_DATA, "there is nothing to rank: every post has every tag");
	m->P = m->options.batch < m->n_pairs ? m->options.batch : m->n_pairs;
	items = m->entities + (size_t) d->n_users * (size_t) m->D;
	TR_TRY(tr_training_tensor(model, "users", d->n_users, m->D, &m->entities, err));
	TR_TRY(tr_training_tensor(model, "items", d->n_items, m->D, &items, err));
	draw_factors(m);
	TR_TRY(tr_factors_create(&m->table[PITF_ENTITIES], model, m->entities, d->n_users + d->n_items, m->D,
							 2 * (size_t) m->P, true, optimizer, err));
	TR_TRY(tr_factors_create(&m->table[PITF_TAGS], model, m->tags, d->n_tags, 2 * m->D,
							 pitf_tags_of_batch(m->P, m->options.negatives), true, optimizer, err));
	model->rows[TR_USER] = m->table[PITF_ENTITIES].rows;
	model->rows[TR_ITEM] = m->table[PITF_ENTITIES].rows + (size_t) d->n_users * (size_t) m->D;
	return pitf_create_batch(m, err);
}

TrStatus
pitf_create(TrModel *model, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	size_t		stride;

	m->options = *(const PitfOptions *) model->options;
	m->D = m->options.factors;
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->D;
	TR_TRY(tr_tensor(model, "tags", model->n_tags, 2 * m->D, TR_FINITE, &m->tags, err));
	TR_TRY(tr_tensor(model, "means", 2, m->D, TR_FINITE, &m->means, err));
	stride = tr_dot_stride(2 * m->D);
	m->served = TR_NEW(model, float, (size_t) model->n_tags * stride);
	m->query = TR_NEW(model, float, stride);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	return model->dataset ? fill(m, err) : TR_OK;
}

/* ------------------------------------------------------------------ tensors */

/* means (2,D): of the users, and of the items, that have posts */
static void
set_means(Pitf *m)
{
	const TrDataset *d = m->model.dataset;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		const int32_t *ptr = side == TR_USER ? d->user_ptr : d->item_ptr;
		int32_t		n = side == TR_USER ? d->n_users : d->n_items;
		const float *rows = m->entities + (side == TR_USER ? 0 : (size_t) d->n_users * (size_t) m->D);

		for (int j = 0; j < m->D; j++)
		{
			double		sum = 0;
			int32_t		known = 0;

			for (int32_t r = 0; r < n; r++)
				if (ptr[r + 1] > ptr[r])
				{
					sum += rows[(size_t) r * (size_t) m->D + (size_t) j];
					known++;
				}
			m->means[side * m->D + j] = known > 0 ? (float) (sum / known) : 0;
		}
	}
}

/* The tags as tr_dot_block() reads them. */
TrStatus
pitf_restored(TrModel *model, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	size_t		width = 2 * (size_t) m->D;
	size_t		stride = tr_dot_stride((int) width);

	(void) err;
	for (int32_t t = 0; t < model->n_tags; t++)
		memcpy(m->served + (size_t) t * stride, m->tags + (size_t) t * width, width * sizeof(float));
	return TR_OK;
}

TrStatus
pitf_saving(TrModel *model, TrError *err)
{
	set_means((Pitf *) model);
	return pitf_restored(model, err);
}

/* ------------------------------------------------------------------ result */

static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Pitf *m = (const Pitf *) model;
	size_t		D = (size_t) m->D;

	(void) err;
	for (int32_t p = 0; p < n; p++)
	{
		memcpy(m->query, posts[p].user ? posts[p].user : m->means, D * sizeof(float));
		memcpy(m->query + D, posts[p].item ? posts[p].item : m->means + D, D * sizeof(float));
		tr_dot_block(out + (size_t) p * (size_t) model->n_tags, (size_t) model->n_tags, m->query, 1, m->served, model->n_tags,
					 tr_dot_stride(2 * m->D));
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_pitf = {
	.name = "pitf",
	.summary = "Factors of users, items and tags that rank a post's tags above others, by the pairs of user and tag, item "
			   "and tag.",
	.source = "Rendle & Schmidt-Thieme, Pairwise Interaction Tensor Factorization (WSDM 2010)",
	PITF_SLOTS,
	.options = &options,
	.score_tags = score_tags,
};
