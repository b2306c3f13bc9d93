/*
 * A stack of layers and its decoder. See stack.h.
 */
#include "models/nn/stack.h"

#include <math.h>

void
tr_stack_layout(TrStack *s, TrParameters *p, const TrIntList *layers, int32_t inputs, double std, double gain, bool decoder)
{
	int			K = layers->count;

	*s = (TrStack) {.K = K, .dim = {inputs}};
	for (int k = 1; k <= K; k++)
	{
		double		glorot;

		s->dim[k] = layers->value[k - 1];
		glorot = sqrt(2.0 / ((double) s->dim[k - 1] + s->dim[k]));
		s->weight[k] = tr_parameter(p, s->dim[k - 1], s->dim[k], (std > 0 ? std : glorot) * (k == 1 ? gain : 1),
									(uint64_t) k, "W%d", k);
	}
	for (int j = 1; j <= (decoder ? 2 * K : K); j++)
		s->bias[j] = tr_parameter(p, 1, s->dim[j <= K ? j : 2 * K - j], 0, 0, "b%d", j);
}

/* ------------------------------------------------------------------ encoder */

TrStatus
tr_stack_encode(TrStack *s, TrParameters *p, TrModel *model, const TrCsr *groups, int n_groups, TrError *err)
{
	TrBackend  *b = model->backend;
	int			R = tr_count_rows(groups, n_groups);

	for (int k = 1; k <= s->K; k++)
		TR_TRY(tr_reserve_floats(model, &s->hidden[k], R, s->dim[k], err));
	for (int g = 0, first = 0; g < n_groups; first += groups[g++].rows)
		b->ops->sparse_forward(b, tr_row(&s->hidden[1], first, s->dim[1]), &groups[g], p->value + s->weight[1],
							   p->value + s->bias[1], s->dim[1], TR_TANH);
	for (int k = 2; k <= s->K; k++)
		b->ops->dense_forward(b, s->hidden[k].data, s->hidden[k - 1].data, p->value + s->weight[k], p->value + s->bias[k],
							  R, s->dim[k - 1], s->dim[k], TR_STORED_IO, TR_TANH);
	return TR_OK;
}

TrStatus
tr_stack_reserve_grad(TrStack *s, TrModel *model, int R, TrError *err)
{
	for (int k = 1; k <= s->K; k++)
		TR_TRY(tr_reserve_floats(model, &s->hidden_grad[k], R, s->dim[k], err));
	return TR_OK;
}

void
tr_stack_layers_backward(TrStack *s, TrParameters *p, TrBackend *b, int R, const float *top)
{
	for (int k = s->K; k >= 1; k--)
	{
		float	   *dz = s->hidden_grad[k].data;

		b->ops->activation_backward(b, dz, tr_gradient(p, s->bias[k]), k == s->K ? top : dz, s->hidden[k].data, R,
									s->dim[k], TR_TANH);
		if (k > 1)
			b->ops->dense_backward(b, s->hidden_grad[k - 1].data, tr_gradient(p, s->weight[k]), dz, s->hidden[k - 1].data,
								   p->value + s->weight[k], R, s->dim[k - 1], s->dim[k], TR_STORED_IO);
	}
}

void
tr_stack_encode_backward(TrStack *s, TrParameters *p, TrModel *model, const TrCsr *groups, int n_groups, const float *top)
{
	TrBackend  *b = model->backend;

	tr_stack_layers_backward(s, p, b, tr_count_rows(groups, n_groups), top);
	for (int g = 0, first = 0; g < n_groups; first += groups[g++].rows)
		b->ops->sparse_backward(b, tr_gradient(p, s->weight[1]), &groups[g], tr_row(&s->hidden_grad[1], first, s->dim[1]),
								s->dim[1]);
}

void
tr_stack_update_first(TrStack *s, TrParameters *p, TrBackend *b, const TrOptimizer *optimizer, const TrCsr *groups,
					  int n_groups)
{
	int64_t		at = s->weight[1];

	b->ops->sparse_update(b, optimizer, p->value + at, p->moment1 ? p->moment1 + at : NULL,
						  p->moment2 ? p->moment2 + at : NULL, groups, n_groups, s->hidden_grad[1].data, s->dim[1],
						  tr_gradient(p, at));
}

/* ------------------------------------------------------------------ decoder */

/* What the decoder's layer k-1 reads: the encoder's last layer, or the decoder's own layer k. */
static TrBuffer *
decoder_input(TrStack *s, int k)
{
	return k == s->K ? &s->hidden[k] : &s->decoded[k];
}

/* decoded[k-1] (R,dim[k-1]) = tanh(decoded[k] W_k^T + b_(2K-k+1)), k = K..2 */
TrStatus
tr_stack_decode(TrStack *s, TrParameters *p, TrModel *model, int R, int block, TrError *err)
{
	TrBackend  *b = model->backend;

	for (int k = 1; k < s->K; k++)
		TR_TRY(tr_reserve_floats(model, &s->decoded[k], R, s->dim[k], err));
	for (int k = 1; k <= s->K; k++)
		TR_TRY(tr_reserve_floats(model, &s->decoded_grad[k], R, s->dim[k], err));
	TR_TRY(tr_reserve_floats(model, &s->output, block < R ? block : R, s->dim[0], err));
	for (int k = s->K; k >= 2; k--)
		b->ops->dense_forward(b, s->decoded[k - 1].data, decoder_input(s, k)->data, p->value + s->weight[k],
							  p->value + s->bias[2 * s->K - k + 1], R, s->dim[k], s->dim[k - 1], TR_STORED_OI, TR_TANH);
	return TR_OK;
}

void
tr_stack_output(TrStack *s, TrParameters *p, TrBackend *b, int first, const TrCsr *x, int n, const float *multiplicity,
				bool squared, float scale, int block)
{
	int			H = s->dim[1];
	int			T = s->dim[0];
	int64_t		bias = s->bias[2 * s->K];
	const float *w = p->value + s->weight[1];
	float	   *z = s->output.data;

	for (int start = 0; start < n; start += block)
	{
		int			R = n - start < block ? n - start : block;
		const float *in = tr_row(decoder_input(s, 1), first + start, H);

		b->ops->dense_forward(b, z, in, w, NULL, R, H, T, TR_STORED_OI, TR_LINEAR);
		b->ops->reconstruction_loss(b, z, p->value + bias, tr_gradient(p, bias), x, start, R, multiplicity + first, squared,
									scale, p->loss);
		b->ops->dense_backward(b, tr_row(&s->decoded_grad[1], first + start, H), tr_gradient(p, s->weight[1]), z, in, w, R,
							   H, T, TR_STORED_OI);
	}
}

void
tr_stack_decode_backward(TrStack *s, TrParameters *p, TrBackend *b, int R)
{
	for (int k = 2; k <= s->K; k++)
	{
		float	   *dz = s->decoded_grad[k - 1].data;

		b->ops->activation_backward(b, dz, tr_gradient(p, s->bias[2 * s->K - k + 1]), dz, s->decoded[k - 1].data, R,
									s->dim[k - 1], TR_TANH);
		b->ops->dense_backward(b, s->decoded_grad[k].data, tr_gradient(p, s->weight[k]), dz, decoder_input(s, k)->data,
							   p->value + s->weight[k], R, s->dim[k], s->dim[k - 1], TR_STORED_OI);
	}
}
