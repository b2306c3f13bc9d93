/*
 * Autoencoders: from what the sources of a side are encoded as back into these, and vectors that are held near to it. See
 * direct.h.
 */
#include "models/direct/direct.h"

/* out (n,J) += scale x */
static void
add_rows(Direct *m, float *out, const float *x, int n, double scale)
{
	TrBackend  *b = m->model.backend;

	b->ops->scatter_rows(b, out, m->unit.col, x, NULL, n, m->size[1], (float) scale);
}

/* ------------------------------------------------------------------ what is decoded */

/* The output of a path becomes its gradient, which goes to the path's last layer: the first sets that, others add. */
static TrStatus
lose(Direct *m, DirectSide *s, DirectPath *path, DirectOutput *o, bool first, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectLayer *last = &path->layer[1];
	const float *w = m->p.value + o->weight;
	const float *bias = m->p.value + o->bias;
	float	   *dbias = tr_gradient(&m->p, o->bias);
	int64_t		ratings = o->ratings ? tr_rows_entries(&s->ratings_list) : 0;
	float		scale = (float) (m->s.reconstruction / (double) (ratings > 0 ? ratings : s->n));
	float	   *z;

	TR_TRY(tr_reserve_floats(&m->model, &o->z, s->n, o->F, err));
	z = o->z.data;
	b->ops->dense_forward(b, z, last->value.data, w, o->ratings ? bias : NULL, s->n, last->out, o->F, TR_STORED_OI, TR_LINEAR);
	if (o->ratings)
	{
		b->ops->squared_loss(b, z, o->target, scale, m->p.loss);
		b->ops->activation_backward(b, z, dbias, z, z, s->n, o->F, TR_LINEAR);
	}
	else
		b->ops->reconstruction_loss(b, z, bias, dbias, o->target, 0, s->n, m->unit.val, true, scale, m->p.loss);
	b->ops->dense_backward(b, first ? last->gradient.data : NULL, tr_gradient(&m->p, o->weight), z, last->value.data, w, s->n,
						   last->out, o->F, TR_STORED_OI);
	if (!first)
		b->ops->gemm(b, last->gradient.data, last->out, z, o->F, false, w, last->out, false, s->n, last->out, o->F, 1, 1);
	return TR_OK;
}

static TrStatus
decode_path(Direct *m, DirectSide *s, DirectPath *path, TrError *err)
{
	DirectLayer *layer = path->layer;
	const TrCsr *injected = tr_direct_injected(s);

	for (int k = m->L; k >= 1; k--)
	{
		TR_TRY(tr_direct_reserve_layer(m, &layer[k], s->n, err));
		tr_direct_layer(m, &layer[k], k < m->L ? layer[k + 1].value.data : s->joined.value.data, NULL, injected, s->n);
	}
	for (int i = 0; i < path->n_outputs; i++)
		TR_TRY(lose(m, s, path, &path->output[i], i == 0, err));
	for (int k = 1; k <= m->L; k++)
		tr_direct_layer_backward(m, &layer[k], k < m->L ? layer[k + 1].value.data : s->joined.value.data,
								 k < m->L ? layer[k + 1].gradient.data : s->apart.data, NULL, injected, s->n);
	add_rows(m, s->joined.gradient.data, s->apart.data, s->n, 1);
	return TR_OK;
}

TrStatus
tr_direct_decode(Direct *m, TrSide side, TrError *err)
{
	DirectSide *s = &m->side[side];

	for (int i = 0; i < s->n_paths; i++)
		TR_TRY(decode_path(m, s, &s->path[i], err));
	return TR_OK;
}

/* ------------------------------------------------------------------ vectors */

/* loss += coupling * the mean over the entities of |vector - g|^2 */
void
tr_direct_couple(Direct *m, TrSide side)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	int64_t		floats = (int64_t) s->n * m->size[1];
	double		weight = m->s.coupling / s->n;

	b->ops->zero(b, s->apart.data, (size_t) floats * sizeof(float));
	b->ops->zero(b, s->joined.gradient.data, (size_t) floats * sizeof(float));
	add_rows(m, s->apart.data, s->identity.gathered, s->n, 1);
	add_rows(m, s->apart.data, s->joined.value.data, s->n, -1);
	b->ops->sum_squares(b, m->p.loss, s->apart.data, floats, (float) weight);
	add_rows(m, s->identity.gradient, s->apart.data, s->n, 2 * weight);
	add_rows(m, s->joined.gradient.data, s->apart.data, s->n, -2 * weight);
}
