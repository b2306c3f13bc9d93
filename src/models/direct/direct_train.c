/*
 * Steps of a network that predicts ratings directly, and the arrays that an epoch leaves. See direct.h.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ encoding */

static TrStatus
encode(Direct *m, DirectSource *source, int n, TrError *err)
{
	TrBackend  *b = m->model.backend;
	const float *value = m->p.value;

	for (int k = 1, in = source->F; k <= m->s.encoder.count; in = m->s.encoder.value[k - 1], k++)
	{
		int			out = m->s.encoder.value[k - 1];
		const float *w = value + source->weight[k];
		const float *bias = value + source->bias[k];

		TR_TRY(tr_reserve_floats(&m->model, &source->layer[k], n, out, err));
		TR_TRY(tr_reserve_floats(&m->model, &source->dlayer[k], n, out, err));
		if (k == 1)
			b->ops->sparse_forward(b, source->layer[k].data, &source->x, w, bias, out, m->s.activation);
		else
			b->ops->dense_forward(b, source->layer[k].data, source->layer[k - 1].data, w, bias, n, in, out, TR_STORED_IO,
								  m->s.activation);
	}
	return TR_OK;
}

/* joined (n,J) = the part that a side's entities of the batch have in the first joint layer; their vectors are gathered. */
TrStatus
tr_direct_join(Direct *m, TrSide side, float *joined, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	int			J = m->size[1];
	int			last = m->s.encoder.count;
	int			width = last > 0 ? m->s.encoder.value[last - 1] : 0;
	bool		first = true;

	for (int i = 0; i < s->S; i++, first = false)
	{
		TR_TRY(encode(m, &s->source[i], s->n, err));
		b->ops->gemm(b, joined, J, s->source[i].layer[last].data, width, false, m->p.value + s->source[i].join, J, false, s->n,
					 J, width, 1, first ? 0 : 1);
	}
	s->vector.n_gathered = s->identity.n_gathered = s->n;
	s->vector.batch.index = s->identity.batch.index = s->batch_entity;
	tr_factors_gather(b, &s->vector);
	if (m->s.identity > 0)
	{
		tr_factors_gather(b, &s->identity);
		b->ops->gemm(b, joined, J, s->identity.gathered, m->s.identity, false, m->p.value + s->join, J, false, s->n, J,
					 m->s.identity, 1, first ? 0 : 1);
		first = false;
	}
	if (first)
		b->ops->zero(b, joined, (size_t) s->n * (size_t) J * sizeof(float));
	return TR_OK;
}

static void
encode_backward(Direct *m, DirectSource *source, int n)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;

	for (int k = m->s.encoder.count; k >= 1; k--)
	{
		int			in = k > 1 ? m->s.encoder.value[k - 2] : source->F;
		int			out = m->s.encoder.value[k - 1];
		float	   *dz = source->dlayer[k].data;

		b->ops->activation_backward(b, dz, tr_gradient(p, source->bias[k]), dz, source->layer[k].data, n, out,
									m->s.activation);
		if (k == 1)
			b->ops->sparse_backward(b, tr_gradient(p, source->weight[k]), &source->x, dz, out);
		else
			b->ops->dense_backward(b, source->dlayer[k - 1].data, tr_gradient(p, source->weight[k]), dz,
								   source->layer[k - 1].data, p->value + source->weight[k], n, in, out, TR_STORED_IO);
	}
}

/* From djoined (n,J) into the sources, and the gradient of the identities. */
static void
join_backward(Direct *m, TrSide side, const float *djoined)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	int			J = m->size[1];
	int			last = m->s.encoder.count;

	for (int i = 0; i < s->S; i++)
	{
		DirectSource *source = &s->source[i];

		b->ops->dense_backward(b, source->dlayer[last].data, tr_gradient(&m->p, source->join), djoined,
							   source->layer[last].data, m->p.value + source->join, s->n, m->s.encoder.value[last - 1], J,
							   TR_STORED_IO);
		encode_backward(m, source, s->n);
	}
	if (m->s.identity > 0)
		b->ops->dense_backward(b, s->identity.gradient, tr_gradient(&m->p, s->join), djoined, s->identity.gathered,
							   m->p.value + s->join, s->n, m->s.identity, J, TR_STORED_IO);
}

/* ------------------------------------------------------------------ the joint layers */

static TrStatus
reserve(Direct *m, TrError *err)
{
	int			n = m->side[TR_USER].n + m->side[TR_ITEM].n;
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
	TR_TRY(tr_reserve_floats(model, &m->taken, m->P, m->s.factors + 2, err));
	TR_TRY(tr_reserve_floats(model, &m->dtaken, m->P, m->s.factors + 2, err));
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

/* layer[K] (P) = predictions less the mean */
static void
forward(Direct *m)
{
	TrBackend  *b = m->model.backend;
	DirectSide *users = &m->side[TR_USER];
	DirectSide *items = &m->side[TR_ITEM];
	int			W = m->s.factors + 2;

	b->ops->sparse_forward(b, m->layer[1].data, &m->pairs, m->joined.data, m->p.value + m->bias[1], m->size[1],
						   m->s.activation);
	drop(m, seen(m, 1), m->layer[1].data, 1);
	for (int k = 2; k <= m->K; k++)
	{
		b->ops->dense_forward(b, m->layer[k].data, seen(m, k - 1), m->p.value + m->weight[k], m->p.value + m->bias[k],
							  m->P, m->size[k - 1], m->size[k], TR_STORED_IO, k < m->K ? m->s.activation : TR_LINEAR);
		drop(m, seen(m, k), m->layer[k].data, k);
	}
	b->ops->gather_rows(b, m->taken.data, items->vector.gathered, m->batch_row[TR_ITEM], m->P, W);
	b->ops->pair_scores(b, m->dot.data, users->vector.gathered, m->taken.data, m->batch_row[TR_USER], m->P, W);
	b->ops->scatter_rows(b, m->layer[m->K].data, m->identity, m->dot.data, NULL, m->P, 1, 1);
}

/* The gradient of the inner products, dz (P): of vectors and biases; none of the columns of 1, nor of what is not used. */
static void
vectors_backward(Direct *m, const float *dz)
{
	TrBackend  *b = m->model.backend;
	int			W = m->s.factors + 2;

	for (int side = TR_USER; side <= TR_ITEM; side++)
		b->ops->zero(b, m->side[side].vector.gradient, (size_t) m->side[side].n * (size_t) W * sizeof(float));
	b->ops->pair_scores_backward(b, m->side[TR_USER].vector.gradient, m->dtaken.data, dz, m->side[TR_USER].vector.gathered,
								 m->taken.data, m->batch_row[TR_USER], m->P, W);
	b->ops->scatter_rows(b, m->side[TR_ITEM].vector.gradient, m->batch_by_item[0], m->dtaken.data, m->batch_by_item[1], m->P,
						 W, 1);
	for (int side = TR_USER; side <= TR_ITEM; side++)
		for (int column = W - 2; column < W; column++)
			if (!m->s.biases || column == (side == TR_USER ? W - 1 : W - 2))
				b->ops->fill_column(b, m->side[side].vector.gradient + column, W, m->nothing, NULL, m->side[side].n);
}

static void
backward(Direct *m)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	float	   *djoined = m->djoined.data;

	vectors_backward(m, m->layer[m->K].data);
	b->ops->activation_backward(b, m->dlayer[m->K].data, tr_gradient(p, m->bias[m->K]), m->layer[m->K].data,
								m->layer[m->K].data, m->P, 1, TR_LINEAR);
	for (int k = m->K; k >= 2; k--)
	{
		b->ops->dense_backward(b, m->dlayer[k - 1].data, tr_gradient(p, m->weight[k]), m->dlayer[k].data, seen(m, k - 1),
							   p->value + m->weight[k], m->P, m->size[k - 1], m->size[k], TR_STORED_IO);
		drop(m, m->dlayer[k - 1].data, m->dlayer[k - 1].data, k - 1);
		b->ops->activation_backward(b, m->dlayer[k - 1].data, tr_gradient(p, m->bias[k - 1]), m->dlayer[k - 1].data,
									m->layer[k - 1].data, m->P, m->size[k - 1], m->s.activation);
	}
	b->ops->zero(b, djoined, (size_t) m->pairs.cols * (size_t) m->size[1] * sizeof(float));
	b->ops->sparse_backward(b, djoined, &m->pairs, m->dlayer[1].data, m->size[1]);
	join_backward(m, TR_USER, djoined);
	join_backward(m, TR_ITEM, djoined + (size_t) m->side[TR_USER].n * (size_t) m->size[1]);
}

/* ------------------------------------------------------------------ a step */

static void
learn_rows(Direct *m, TrFactors *f, const int32_t *index, int n, const TrOptimizer *o)
{
	TrBackend  *b = m->model.backend;

	b->ops->update_rows(b, o, f->rows, f->gradient, f->m, f->v, index, n, f->width);
}

static TrStatus
step(Direct *m, int epoch, int32_t first, int n, TrError *err)
{
	TrBackend  *b = m->model.backend;
	TrOptimizer o;

	TR_TRY(tr_direct_list(m, epoch, first, n, err));
	TR_TRY(reserve(m, err));
	tr_begin_step(b);
	tr_parameters_start_step(&m->p, b);
	TR_TRY(tr_direct_join(m, TR_USER, m->joined.data, err));
	TR_TRY(tr_direct_join(m, TR_ITEM, (float *) m->joined.data + (size_t) m->side[TR_USER].n * (size_t) m->size[1], err));
	forward(m);
	b->ops->squared_loss(b, m->layer[m->K].data, &m->target, 1.0f / (float) n, m->p.loss);
	backward(m);
	o = tr_optimizer(m->s.optimizer, m->rate, m->p.steps, m->s.regularization);
	tr_parameters_update(&m->p, b, o);
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		DirectSide *s = &m->side[side];

		/* the columns of 1 are not to decay */
		o.decay = 0;
		learn_rows(m, &s->vector, s->batch_entity, s->n, &o);
		o.decay = (float) m->s.regularization;
		if (m->s.identity > 0)
			learn_rows(m, &s->identity, s->batch_entity, s->n, &o);
	}
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

static TrStatus
fill_some(Direct *m, TrSide side, int32_t first, int n, float *joined, float *vectors, TrError *err)
{
	TrBackend  *b = m->model.backend;

	TR_TRY(tr_direct_list_all(m, side, first, n, err));
	TR_TRY(reserve(m, err));
	TR_TRY(tr_direct_join(m, side, m->joined.data, err));
	b->ops->download(b, joined, m->joined.data, (size_t) n * (size_t) m->size[1] * sizeof(float));
	b->ops->download(b, vectors, m->side[side].vector.gathered, (size_t) n * ((size_t) m->s.factors + 2) * sizeof(float));
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
	int			block = 1024;
	float	   *joined = TR_NEW(model, float, block * m->size[1]);
	float	   *vectors = TR_NEW(model, float, block * (m->s.factors + 2));
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
