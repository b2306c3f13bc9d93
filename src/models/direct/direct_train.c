/*
 * Steps of a network over both sides, and the arrays that an epoch leaves. See direct.h.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ a side */

/* The rows of a side's entities in the tables of vectors. */
static void
gather(Direct *m, TrSide side)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];

	s->vector.n_gathered = s->identity.n_gathered = s->n;
	s->vector.batch.index = s->identity.batch.index = s->batch_entity;
	tr_factors_gather(b, &s->vector);
	if (m->I > 0)
		tr_factors_gather(b, &s->identity);
}

/* joined (n,J) is what joint layers read, of which those of the items follow those of the users. */
static float *
joined_of(const Direct *m, const TrBuffer *joined, TrSide side)
{
	return tr_add(joined, side == TR_USER ? 0 : (int64_t) m->side[TR_USER].n * m->size[1]);
}

static TrStatus
forward_side(Direct *m, TrSide side, TrError *err)
{
	gather(m, side);
	return m->kind.product ? tr_direct_represent(m, side, err)
		: tr_direct_sum(m, side, joined_of(m, &m->joined, side), err);
}

/* ------------------------------------------------------------------ the joint layers */

static TrStatus
reserve(Direct *m, TrError *err)
{
	int			n = m->side[TR_USER].n + m->side[TR_ITEM].n;
	int			widest = m->size[1] > m->s.factors + 2 ? m->size[1] : m->s.factors + 2;
	TrModel    *model = &m->model;

	TR_TRY(tr_reserve_floats(model, &m->joined, n, m->size[1], err));
	TR_TRY(tr_reserve_floats(model, &m->djoined, n, m->size[1], err));
	for (int k = 1; k <= m->K; k++)
	{
		TR_TRY(tr_reserve_floats(model, &m->layer[k], m->P, m->size[k], err));
		TR_TRY(tr_reserve_floats(model, &m->dlayer[k], m->P, m->size[k], err));
		if (m->s.dropout > 0)
			TR_TRY(tr_reserve_floats(model, &m->dropped[k], m->P, m->size[k], err));
	}
	TR_TRY(tr_reserve_floats(model, &m->taken, m->P, widest, err));
	TR_TRY(tr_reserve_floats(model, &m->dtaken, m->P, widest, err));
	TR_TRY(tr_reserve_floats(model, &m->out, m->P, 1, err));
	return tr_reserve_floats(model, &m->dot, m->P, 1, err);
}

/* A number for the dropout of a layer in a step. */
static uint64_t
dropout_step(const Direct *m, int k)
{
	return (uint64_t) m->p.steps * DIRECT_LAYERS + (uint64_t) k;
}

static void
drop(Direct *m, float *out, const float *x, int k)
{
	TrBackend  *b = m->model.backend;

	if (m->s.dropout > 0 && k < m->K)
		b->ops->dropout(b, out, x, (int64_t) m->P * m->size[k], (float) m->s.dropout, m->s.seed, dropout_step(m, k));
}

/* What layer k + 1 reads: the gradient of layer k needs what it was before the dropout. */
static float *
seen(Direct *m, int k)
{
	return m->s.dropout > 0 ? m->dropped[k].data : m->layer[k].data;
}

static void
joint_forward(Direct *m)
{
	TrBackend  *b = m->model.backend;

	b->ops->sparse_forward(b, m->layer[1].data, &m->pairs, m->joined.data, m->p.value + m->bias[1], m->size[1],
						   m->activation);
	drop(m, seen(m, 1), m->layer[1].data, 1);
	for (int k = 2; k <= m->K; k++)
	{
		b->ops->dense_forward(b, m->layer[k].data, seen(m, k - 1), m->p.value + m->weight[k], m->p.value + m->bias[k],
							  m->P, m->size[k - 1], m->size[k], TR_STORED_IO, k < m->K ? m->activation : TR_LINEAR);
		drop(m, seen(m, k), m->layer[k].data, k);
	}
}

/* From the gradient of the last layer, which is in the layer itself. */
static void
joint_backward(Direct *m)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;

	b->ops->activation_backward(b, m->dlayer[m->K].data, tr_gradient(p, m->bias[m->K]), m->layer[m->K].data,
								m->layer[m->K].data, m->P, 1, TR_LINEAR);
	for (int k = m->K; k >= 2; k--)
	{
		b->ops->dense_backward(b, m->dlayer[k - 1].data, tr_gradient(p, m->weight[k]), m->dlayer[k].data, seen(m, k - 1),
							   p->value + m->weight[k], m->P, m->size[k - 1], m->size[k], TR_STORED_IO);
		drop(m, m->dlayer[k - 1].data, m->dlayer[k - 1].data, k - 1);
		b->ops->activation_backward(b, m->dlayer[k - 1].data, tr_gradient(p, m->bias[k - 1]), m->dlayer[k - 1].data,
									m->layer[k - 1].data, m->P, m->size[k - 1], m->activation);
	}
	b->ops->zero(b, m->djoined.data, (size_t) m->pairs.cols * (size_t) m->size[1] * sizeof(float));
	b->ops->sparse_backward(b, m->djoined.data, &m->pairs, m->dlayer[1].data, m->size[1]);
	for (int side = TR_USER; side <= TR_ITEM; side++)
		tr_direct_sum_backward(m, (TrSide) side, joined_of(m, &m->djoined, (TrSide) side));
}

/* ------------------------------------------------------------------ inner products */

/* score (P) of rows of users and of items (n,W) */
static void
multiply(Direct *m, float *score, const float *users, const float *items, int W)
{
	TrBackend  *b = m->model.backend;

	b->ops->gather_rows(b, m->taken.data, items, m->batch_row[TR_ITEM], m->P, W);
	b->ops->pair_scores(b, score, users, m->taken.data, m->batch_row[TR_USER], m->P, W);
}

/* The gradients of the rows, from dscore (P). */
static void
multiply_backward(Direct *m, const float *dscore, const float *users, const float *items, float *dusers, float *ditems,
				  int W)
{
	TrBackend  *b = m->model.backend;

	b->ops->gather_rows(b, m->taken.data, items, m->batch_row[TR_ITEM], m->P, W);
	b->ops->zero(b, dusers, (size_t) m->side[TR_USER].n * (size_t) W * sizeof(float));
	b->ops->zero(b, ditems, (size_t) m->side[TR_ITEM].n * (size_t) W * sizeof(float));
	b->ops->pair_scores_backward(b, dusers, m->dtaken.data, dscore, users, m->taken.data, m->batch_row[TR_USER], m->P, W);
	b->ops->scatter_rows(b, ditems, m->batch_by_item[0], m->dtaken.data, m->batch_by_item[1], m->P, W, 1);
}

/* Of vectors and biases; none of the columns of 1, nor of what is not used. */
static void
vectors_backward(Direct *m, const float *dz)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *users = &m->side[TR_USER].vector;
	TrFactors  *items = &m->side[TR_ITEM].vector;
	int			W = m->s.factors + 2;

	multiply_backward(m, dz, users->gathered, items->gathered, users->gradient, items->gradient, W);
	for (int side = TR_USER; side <= TR_ITEM; side++)
		for (int column = W - 2; column < W; column++)
			if (!m->s.biases || column == (side == TR_USER ? W - 1 : W - 2))
				b->ops->fill_column(b, m->side[side].vector.gradient + column, W, m->nothing, NULL, m->side[side].n);
}

static TrStatus
product_backward(Direct *m, const float *dz, TrError *err)
{
	DirectSide *users = &m->side[TR_USER];
	DirectSide *items = &m->side[TR_ITEM];

	multiply_backward(m, dz, users->a, items->a, users->da, items->da, m->size[1]);
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		if (m->kind.coupled)
			tr_direct_couple(m, (TrSide) side);
		if (m->kind.mixed)
			tr_direct_mix_backward(m, (TrSide) side);
		if (m->kind.decoded)
			TR_TRY(tr_direct_decode(m, (TrSide) side, err));
		tr_direct_represent_backward(m, (TrSide) side);
	}
	return TR_OK;
}

/* Returns (P) predictions less the mean. */
static float *
forward(Direct *m)
{
	TrBackend  *b = m->model.backend;
	DirectSide *users = &m->side[TR_USER];
	DirectSide *items = &m->side[TR_ITEM];
	float	   *out = m->kind.product ? m->out.data : m->layer[m->K].data;

	if (m->kind.product)
		multiply(m, out, users->a, items->a, m->size[1]);
	else
		joint_forward(m);
	multiply(m, m->dot.data, users->vector.gathered, items->vector.gathered, m->s.factors + 2);
	b->ops->scatter_rows(b, out, m->unit.col, m->dot.data, NULL, m->P, 1, 1);
	return out;
}

static TrStatus
backward(Direct *m, const float *dz, TrError *err)
{
	vectors_backward(m, dz);
	if (m->kind.product)
		return product_backward(m, dz, err);
	joint_backward(m);
	return TR_OK;
}

/* ------------------------------------------------------------------ a step */

static void
learn_rows(Direct *m, TrFactors *f, const int32_t *index, int n, const TrOptimizer *o)
{
	TrBackend  *b = m->model.backend;

	b->ops->update_rows(b, o, f->rows, f->gradient, f->m, f->v, index, n, f->width);
}

/* The columns of 1 are not to decay. */
static void
learn(Direct *m)
{
	TrOptimizer o = tr_optimizer(m->s.optimizer, m->rate, m->p.steps, m->s.regularization);
	TrOptimizer lasting = tr_optimizer(m->s.optimizer, m->rate, m->p.steps, 0);

	tr_parameters_update(&m->p, m->model.backend, o);
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		DirectSide *s = &m->side[side];

		learn_rows(m, &s->vector, s->batch_entity, s->n, &lasting);
		if (m->I > 0)
			learn_rows(m, &s->identity, s->batch_entity, s->n, &o);
	}
}

static TrStatus
step(Direct *m, int epoch, int32_t first, int n, TrError *err)
{
	TrBackend  *b = m->model.backend;
	float	   *out;

	TR_TRY(tr_direct_list(m, epoch, first, n, err));
	TR_TRY(reserve(m, err));
	tr_begin_step(b);
	tr_parameters_start_step(&m->p, b);
	TR_TRY(forward_side(m, TR_USER, err));
	TR_TRY(forward_side(m, TR_ITEM, err));
	out = forward(m);
	b->ops->squared_loss(b, out, &m->target, 1.0f / (float) n, m->p.loss);
	TR_TRY(backward(m, out, err));
	learn(m);
	tr_end_step(b);
	return TR_OK;
}

TrStatus
tr_direct_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Direct	   *m = (Direct *) model;
	TrBackend  *b = model->backend;
	int32_t		P = model->dataset->n_posts;
	double		sums[2];

	m->rate = tr_epoch_rate(model, m->s.learning_rate, m->s.decay, epoch);
	tr_shuffle(m->order, P, m->s.seed, epoch);
	tr_parameters_start_epoch(&m->p, b);
	for (int32_t first = 0; first < P; first += m->B)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(step(m, epoch, first, P - first < m->B ? P - first : m->B, err));
	}
	TR_TRY(tr_parameters_end_epoch(&m->p, b, sums, err));
	stats->loss = sums[0] / ((P + m->B - 1) / m->B);
	stats->pairs = P;
	return tr_direct_fill_arrays(m, poll, err);
}

/* ------------------------------------------------------------------ arrays */

/* The arrays of n entities from their parts in the backend. */
static void
put_arrays(Direct *m, TrSide side, int32_t first, const float *joined, const float *vectors)
{
	DirectSide *s = &m->side[side];
	size_t		J = (size_t) m->size[1];
	size_t		W = (size_t) m->s.factors + 2;

	for (int32_t e = 0; e < s->n; e++)
	{
		float	   *array = s->arrays + (size_t) (first + e) * (J + W);

		memcpy(array, joined + (size_t) e * J, J * sizeof(float));
		memcpy(array + J, vectors + (size_t) e * W, W * sizeof(float));
		if (side == TR_ITEM)
			array[J + W - 1] += *m->mean;
	}
}

/* A vector that nothing was learned of is replaced by what is known of its entity. */
static TrStatus
replace_vectors(Direct *m, TrSide side, int32_t first, float *joined, float *vectors, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = (side == TR_USER ? d->user_ptr : d->item_ptr) + first;
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	size_t		J = (size_t) m->size[1];

	b->ops->download(b, vectors, s->joined.value.data, (size_t) s->n * J * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	for (int32_t e = 0; e < s->n; e++)
		if (from[e + 1] == from[e])
			memcpy(joined + (size_t) e * J, vectors + (size_t) e * J, J * sizeof(float));
	return TR_OK;
}

static TrStatus
fill_some(Direct *m, TrSide side, int32_t first, int n, float *joined, float *vectors, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];

	TR_TRY(tr_direct_list_all(m, side, first, n, err));
	TR_TRY(reserve(m, err));
	TR_TRY(forward_side(m, side, err));
	b->ops->download(b, joined, m->kind.product ? s->a : joined_of(m, &m->joined, side),
					 (size_t) n * (size_t) m->size[1] * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	if (m->kind.coupled)
		TR_TRY(replace_vectors(m, side, first, joined, vectors, err));
	b->ops->download(b, vectors, s->vector.gathered, (size_t) n * ((size_t) m->s.factors + 2) * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	put_arrays(m, side, first, joined, vectors);
	return TR_OK;
}

/* Nobody is the mean of those with ratings in what the joint layers see, and has no vector and no bias. */
static void
fill_nobody(Direct *m, TrSide side)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	size_t		width = (size_t) m->model.width;
	float	   *mean = m->nobody + (size_t) side * width;
	int32_t		seen = 0;

	memset(mean, 0, width * sizeof(float));
	for (int32_t r = 0; r < m->side[side].n_all; r++)
		if (from[r + 1] > from[r])
		{
			seen++;
			for (int j = 0; j < m->size[1]; j++)
				mean[j] += (m->side[side].arrays[(size_t) r * width + (size_t) j] - mean[j]) / (float) seen;
		}
	mean[width - 2] = side == TR_ITEM;
	mean[width - 1] = side == TR_USER ? 1 : *m->mean;
}

TrStatus
tr_direct_fill_arrays(Direct *m, const TrPoll *poll, TrError *err)
{
	TrModel    *model = &m->model;
	int			block = DIRECT_BLOCK;
	int			widest = m->size[1] > m->s.factors + 2 ? m->size[1] : m->s.factors + 2;
	float	   *joined = TR_NEW(model, float, block * m->size[1]);
	float	   *vectors = TR_NEW(model, float, block * widest);
	TrStatus	status = tr_enough_memory(model, err, "a network");

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		int32_t		all = m->side[side].n_all;

		for (int32_t first = 0; status == TR_OK && first < all; first += block)
			status = tr_poll(poll) ? TR_CANCELLED
				: fill_some(m, (TrSide) side, first, all - first < block ? all - first : block, joined, vectors, err);
		if (status == TR_OK)
			fill_nobody(m, (TrSide) side);
	}
	tr_free(model->memory, joined);
	tr_free(model->memory, vectors);
	return status;
}
