/*
 * From the sources of a side to what the network knows of its entities, and back. See direct.h.
 */
#include "models/direct/direct.h"

/* ------------------------------------------------------------------ a layer */

TrStatus
tr_direct_reserve_layer(Direct *m, DirectLayer *layer, int n, TrError *err)
{
	TR_TRY(tr_reserve_floats(&m->model, &layer->value, n, layer->out, err));
	return tr_reserve_floats(&m->model, &layer->gradient, n, layer->out, err);
}

/* out (n,width) = act(z + bias): there is no operation that is nothing but this */
void
tr_direct_activate(Direct *m, float *out, const float *z, int64_t bias, int n, int width)
{
	TrBackend  *b = m->model.backend;
	TrCsr		unit = m->unit;

	unit.rows = unit.cols = n;
	b->ops->sparse_forward(b, out, &unit, z, m->p.value + bias, width, m->activation);
}

/* Of sparse rows, or of x (n,in) and what is injected; the first layer has this among its columns. */
void
tr_direct_layer(Direct *m, DirectLayer *layer, const float *x, const TrCsr *sparse, const TrCsr *injected, int n)
{
	TrBackend  *b = m->model.backend;
	const float *w = m->p.value + layer->weight;
	const float *bias = m->p.value + layer->bias;
	float	   *sum = layer->gradient.data;

	if (sparse)
		b->ops->sparse_forward(b, layer->value.data, sparse, w, bias, layer->out, m->activation);
	else if (!injected)
		b->ops->dense_forward(b, layer->value.data, x, w, bias, n, layer->in, layer->out, TR_STORED_IO, m->activation);
	else
	{
		b->ops->sparse_forward(b, sum, injected, m->p.value + layer->injected, NULL, layer->out, TR_LINEAR);
		b->ops->gemm(b, sum, layer->out, x, layer->in, false, w, layer->out, false, n, layer->out, layer->in, 1, 1);
		tr_direct_activate(m, layer->value.data, sum, layer->bias, n, layer->out);
	}
}

/* From the gradient of its value into the parameters, and dx (n,in). */
void
tr_direct_layer_backward(Direct *m, DirectLayer *layer, const float *x, float *dx, const TrCsr *sparse,
						 const TrCsr *injected, int n)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	float	   *dz = layer->gradient.data;
	float	   *dw = tr_gradient(p, layer->weight);

	b->ops->activation_backward(b, dz, tr_gradient(p, layer->bias), dz, layer->value.data, n, layer->out, m->activation);
	if (sparse)
	{
		b->ops->sparse_backward(b, dw, sparse, dz, layer->out);
		return;
	}
	if (injected)
		b->ops->sparse_backward(b, tr_gradient(p, layer->injected), injected, dz, layer->out);
	b->ops->dense_backward(b, dx, dw, dz, x, p->value + layer->weight, n, layer->in, layer->out, TR_STORED_IO);
}

/* ------------------------------------------------------------------ sums of the sources */

static TrStatus
encode(Direct *m, DirectSide *s, DirectSource *source, TrError *err)
{
	for (int k = 1; k <= m->L; k++)
	{
		DirectLayer *layer = &source->layer[k];

		TR_TRY(tr_direct_reserve_layer(m, layer, s->n, err));
		tr_direct_layer(m, layer, k > 1 ? source->layer[k - 1].value.data : NULL, k > 1 ? NULL : &source->x,
						tr_direct_injected(s), s->n);
	}
	return TR_OK;
}

TrStatus
tr_direct_sum(Direct *m, TrSide side, float *sum, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	int			J = m->size[1];
	bool		first = s->X == 0;

	if (s->X > 0)
		b->ops->sparse_forward(b, sum, &s->injected, m->p.value + s->joined.injected, NULL, J, TR_LINEAR);
	for (int i = 0; i < s->S; i++, first = false)
	{
		DirectSource *source = &s->source[i];
		DirectLayer *last = &source->layer[m->L];

		TR_TRY(encode(m, s, source, err));
		b->ops->gemm(b, sum, J, last->value.data, last->out, false, m->p.value + source->join, J, false, s->n, J, last->out, 1,
					 first ? 0 : 1);
	}
	if (!m->kind.product && m->I > 0)
	{
		b->ops->gemm(b, sum, J, s->identity.gathered, m->I, false, m->p.value + s->join, J, false, s->n, J, m->I, 1,
					 first ? 0 : 1);
		first = false;
	}
	if (first)
		b->ops->zero(b, sum, (size_t) s->n * (size_t) J * sizeof(float));
	return TR_OK;
}

void
tr_direct_sum_backward(Direct *m, TrSide side, const float *dsum)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	DirectSide *s = &m->side[side];
	int			J = m->size[1];

	if (s->X > 0)
		b->ops->sparse_backward(b, tr_gradient(p, s->joined.injected), &s->injected, dsum, J);
	for (int i = 0; i < s->S; i++)
	{
		DirectSource *source = &s->source[i];
		DirectLayer *layer = source->layer;

		b->ops->dense_backward(b, layer[m->L].gradient.data, tr_gradient(p, source->join), dsum, layer[m->L].value.data,
							   p->value + source->join, s->n, layer[m->L].out, J, TR_STORED_IO);
		for (int k = m->L; k >= 1; k--)
			tr_direct_layer_backward(m, &layer[k], k > 1 ? layer[k - 1].value.data : NULL,
									 k > 1 ? layer[k - 1].gradient.data : NULL, k > 1 ? NULL : &source->x,
									 tr_direct_injected(s), s->n);
	}
	if (!m->kind.product && m->I > 0)
		b->ops->dense_backward(b, s->identity.gradient, tr_gradient(p, s->join), dsum, s->identity.gathered, p->value + s->join,
							   s->n, m->I, J, TR_STORED_IO);
}

/* ------------------------------------------------------------------ what an inner product is of */

TrStatus
tr_direct_represent(Direct *m, TrSide side, TrError *err)
{
	DirectSide *s = &m->side[side];
	int			J = m->size[1];

	if (m->kind.grouped)
		return tr_direct_group(m, side, err);
	TR_TRY(tr_direct_reserve_layer(m, &s->joined, s->n, err));
	TR_TRY(tr_reserve_floats(&m->model, &s->apart, s->n, J, err));
	TR_TRY(tr_direct_sum(m, side, s->joined.gradient.data, err));
	tr_direct_activate(m, s->joined.value.data, s->joined.gradient.data, s->joined.bias, s->n, J);
	s->a = m->kind.coupled ? s->identity.gathered : s->joined.value.data;
	s->da = m->kind.coupled ? s->identity.gradient : s->joined.gradient.data;
	return m->kind.mixed ? tr_direct_mix(m, side, err) : TR_OK;
}

void
tr_direct_represent_backward(Direct *m, TrSide side)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	float	   *dg = s->joined.gradient.data;

	if (m->kind.grouped)
	{
		tr_direct_group_backward(m, side);
		return;
	}
	b->ops->activation_backward(b, dg, tr_gradient(&m->p, s->joined.bias), dg, s->joined.value.data, s->n, m->size[1],
								m->activation);
	tr_direct_sum_backward(m, side, dg);
}
