/*
 * Mixtures of an entity's vector and what its attributes are encoded as, weighed by attention (Shi et al. 2018, Eq. 8-10):
 *
 *     w_x = exp(q . tanh(x W + b)), a = sum of w_x x / sum of w_x, x being the vector and g
 *
 * See direct.h. Legend: J size of both, A size of the layer that weighs them.
 */
#include "models/direct/direct.h"

/* The two, one behind the other; the gradients likewise. */
static void
copy_rows(Direct *m, float *out, const float *x, int n)
{
	TrBackend  *b = m->model.backend;

	b->ops->gather_rows(b, out, x, m->unit.col, n, m->size[1]);
}

static TrStatus
reserve(Direct *m, DirectSide *s, TrError *err)
{
	TrBuffer   *of_J[] = {&s->stacked, &s->dstacked, &s->mixed, &s->dmixed};
	TrBuffer   *of_A[] = {&s->key, &s->dkey, &s->queries, &s->dqueries};

	for (int i = 0; i < 4; i++)
	{
		int64_t		rows = i < 2 ? 2 * (int64_t) s->n : s->n;

		TR_TRY(tr_reserve_floats(&m->model, of_J[i], rows, m->size[1], err));
		TR_TRY(tr_reserve_floats(&m->model, of_A[i], rows, m->s.attention, err));
	}
	TR_TRY(tr_reserve_floats(&m->model, &s->weight, 2 * (int64_t) s->n, 1, err));
	return tr_reserve_floats(&m->model, &s->dscore, 2 * (int64_t) s->n, 1, err);
}

/* Rows of the mixture with other values. */
static TrCsr
with(const DirectSide *s, const TrBuffer *value)
{
	TrCsr		x = s->mixture;

	x.val = value->data;
	return x;
}

TrStatus
tr_direct_mix(Direct *m, TrSide side, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	const float *value = m->p.value;
	int			J = m->size[1];
	int			A = m->s.attention;
	TrCsr		weighed;

	TR_TRY(reserve(m, s, err));
	copy_rows(m, s->stacked.data, s->identity.gathered, s->n);
	copy_rows(m, tr_add(&s->stacked, (int64_t) s->n * J), s->joined.value.data, s->n);
	b->ops->dense_forward(b, s->key.data, s->stacked.data, value + s->attention, value + s->attention_bias, 2 * s->n, J, A,
						  TR_STORED_IO, TR_TANH);
	b->ops->gather_rows(b, s->queries.data, value + s->query, m->same, s->n, A);
	b->ops->attention_weights(b, s->weight.data, &s->mixture, s->queries.data, s->key.data, A, 1);
	weighed = with(s, &s->weight);
	b->ops->sparse_forward(b, s->mixed.data, &weighed, s->stacked.data, NULL, J, TR_LINEAR);
	s->a = s->mixed.data;
	s->da = s->dmixed.data;
	return TR_OK;
}

/* From the gradient of the keys into the parameters and the stacked rows. */
static void
keys_backward(Direct *m, DirectSide *s)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	int			J = m->size[1];
	int			A = m->s.attention;

	b->ops->activation_backward(b, s->dkey.data, tr_gradient(p, s->attention_bias), s->dkey.data, s->key.data, 2 * s->n, A,
								TR_TANH);
	b->ops->dense_backward(b, s->dstacked.data, tr_gradient(p, s->attention), s->dkey.data, s->stacked.data,
						   p->value + s->attention, 2 * s->n, J, A, TR_STORED_IO);
}

void
tr_direct_mix_backward(Direct *m, TrSide side)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	int			J = m->size[1];
	int			A = m->s.attention;
	TrCsr		weighed = with(s, &s->weight);
	TrCsr		scored = with(s, &s->dscore);

	b->ops->attention_backward(b, s->dscore.data, &s->mixture, s->weight.data, s->dmixed.data, s->stacked.data, J, 1);
	b->ops->sparse_forward(b, s->dqueries.data, &scored, s->key.data, NULL, A, TR_LINEAR);
	b->ops->scatter_rows(b, tr_gradient(&m->p, s->query), m->same, s->dqueries.data, NULL, s->n, A, 1);
	b->ops->zero(b, s->dkey.data, 2 * (size_t) s->n * (size_t) A * sizeof(float));
	b->ops->sparse_backward(b, s->dkey.data, &scored, s->queries.data, A);
	keys_backward(m, s);
	b->ops->sparse_backward(b, s->dstacked.data, &weighed, s->dmixed.data, J);
	copy_rows(m, s->identity.gradient, s->dstacked.data, s->n);
	copy_rows(m, s->joined.gradient.data, tr_add(&s->dstacked, (int64_t) s->n * J), s->n);
}
