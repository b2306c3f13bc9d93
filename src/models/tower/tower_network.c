/*
 * The tower's parameters, its forward and backward passes, and its decoder.
 * Legend: see tower.h. dim[0] = T, dim[K] = D.
 */
#include <math.h>

#include "models/tower/tower.h"

/* ------------------------------------------------------------------ parameters */

/* Weights at random, biases 0. */
void
tower_layout(TowerLayout *l, TrParameters *p, const TowerOptions *o, int32_t n_tags)
{
	int			K = o->layers.count;

	*l = (TowerLayout) {.K = K, .dim = {n_tags}, .decoder = o->reconstruction > 0, .popularity = o->popularity};
	for (int k = 1; k <= K; k++)
		l->dim[k] = o->layers.value[k - 1];
	for (int k = 1; k <= K; k++)
	{
		double		std = o->init == TOWER_NORMAL ? o->init_std : sqrt(2.0 / ((double) l->dim[k - 1] + l->dim[k]));

		if (k == 1)
			std *= o->first_layer_gain;
		l->weight[k] = tr_parameter(p, l->dim[k - 1], l->dim[k], std, (uint64_t) k, "W%d", k);
	}
	for (int j = 1; j <= (l->decoder ? 2 * K : K); j++)
		l->bias[j] = tr_parameter(p, 1, l->dim[j <= K ? j : 2 * K - j], 0, 0, "b%d", j);
	if (l->popularity)
	{
		l->popularity_weight = tr_parameter(p, 1, 1, 0, 0, "popularity");
		p->regularized = l->popularity_weight;
	}
}

/* ------------------------------------------------------------------ memory */

TrStatus
tower_reserve_rows(Tower *t, int group, int n, int64_t entries, TrCsr *csr, TrError *err)
{
	TrBuffer   *memory = t->csr[group];

	TR_TRY(tr_reserve(&t->model, &memory[0], ((size_t) n + 1) * sizeof(int64_t), err));
	TR_TRY(tr_reserve(&t->model, &memory[1], ((size_t) entries + 16) * sizeof(int32_t), err));
	TR_TRY(tr_reserve(&t->model, &memory[2], ((size_t) entries + 16) * sizeof(float), err));
	*csr = (TrCsr) {.rows = n, .cols = t->layout.dim[0], .capacity = entries, .ptr = memory[0].data,
		.col = memory[1].data, .val = memory[2].data};
	return TR_OK;
}

static float *
row(const TrBuffer *buffer, int64_t index, int width)
{
	return (float *) buffer->data + index * width;
}

/* ------------------------------------------------------------------ encoder */

static int
count_rows(const TrCsr *groups, int n_groups)
{
	int			rows = 0;

	for (int g = 0; g < n_groups; g++)
		rows += groups[g].rows;
	return rows;
}

/* hidden[k] (R,dim[k]) = tanh(hidden[k-1] W_k + b_k), the first layer from the sparse groups (Eq. 1-4) */
static TrStatus
encode_layers(Tower *t, const TrCsr *groups, int n_groups, int R, TrError *err)
{
	const TowerLayout *l = &t->layout;
	const float *p = t->p.value;
	TrBackend  *b = t->model.backend;

	for (int k = 1; k <= l->K; k++)
		TR_TRY(tr_reserve_floats(&t->model, &t->hidden[k], R, l->dim[k], err));
	for (int g = 0, first = 0; g < n_groups; first += groups[g++].rows)
		b->ops->sparse_forward(b, row(&t->hidden[1], first, l->dim[1]), &groups[g], p + l->weight[1], p + l->bias[1],
							   l->dim[1], TR_TANH);
	for (int k = 2; k <= l->K; k++)
		b->ops->dense_forward(b, t->hidden[k].data, t->hidden[k - 1].data, p + l->weight[k], p + l->bias[k], R,
							  l->dim[k - 1], l->dim[k], TR_STORED_IO, TR_TANH);
	return TR_OK;
}

/* embedding (R,width): users (x / |x|, 1), items (item_scale x / |x|, w ln(1 + users of the item)) */
TrStatus
tower_forward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale, const float *item_feature,
			  TrError *err)
{
	const TowerLayout *l = &t->layout;
	TrBackend  *b = t->model.backend;
	int			R = count_rows(groups, n_groups);
	int			D = l->dim[l->K];
	int			width = t->model.width;
	int			items = R - user_rows;

	TR_TRY(encode_layers(t, groups, n_groups, R, err));
	TR_TRY(tr_reserve_floats(&t->model, &t->embedding, R, width, err));
	TR_TRY(tr_reserve_floats(&t->model, &t->norm, R, 1, err));
	b->ops->normalize(b, t->embedding.data, width, t->norm.data, t->hidden[l->K].data, user_rows, D, 1.0f);
	b->ops->normalize(b, row(&t->embedding, user_rows, width), width, row(&t->norm, user_rows, 1),
					  row(&t->hidden[l->K], user_rows, D), items, D, item_scale);
	if (l->popularity)
	{
		b->ops->fill_column(b, row(&t->embedding, 0, width) + D, width, NULL, NULL, user_rows);
		b->ops->fill_column(b, row(&t->embedding, user_rows, width) + D, width,
							t->p.value + l->popularity_weight, item_feature, items);
	}
	return TR_OK;
}

/* y (n) += x: a step of plain gradient descent with rate -1 */
static void
accumulate(TrBackend *b, float *y, const float *x, int64_t n)
{
	static const TrOptimizer add = {.kind = TR_SGD, .rate = -1.0f, .step = 1};

	b->ops->update(b, &add, y, x, NULL, NULL, n);
}

/* hidden_grad[K] (R,D) from embedding_grad (R,width) */
static void
normalize_backward(Tower *t, int R, int user_rows, float item_scale, const float *item_feature)
{
	const TowerLayout *l = &t->layout;
	TrBackend  *b = t->model.backend;
	int			D = l->dim[l->K];
	int			width = t->model.width;
	int			items = R - user_rows;

	if (l->popularity)
		b->ops->fill_column_backward(b, t->p.gradient + l->popularity_weight,
									 row(&t->embedding_grad, user_rows, width) + D, width, item_feature, items);
	b->ops->normalize_backward(b, t->hidden_grad[l->K].data, t->embedding_grad.data, t->embedding.data, width,
							   t->norm.data, user_rows, D, 1.0f);
	b->ops->normalize_backward(b, row(&t->hidden_grad[l->K], user_rows, D), row(&t->embedding_grad, user_rows, width),
							   row(&t->embedding, user_rows, width), width, row(&t->norm, user_rows, 1), items, D,
							   item_scale);
}

TrStatus
tower_backward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale, const float *item_feature,
			   int decoded_rows, TrError *err)
{
	const TowerLayout *l = &t->layout;
	const float *p = t->p.value;
	float	   *grad = t->p.gradient;
	TrBackend  *b = t->model.backend;
	int			R = count_rows(groups, n_groups);

	for (int k = 1; k <= l->K; k++)
		TR_TRY(tr_reserve_floats(&t->model, &t->hidden_grad[k], R, l->dim[k], err));
	normalize_backward(t, R, user_rows, item_scale, item_feature);
	if (decoded_rows > 0)
		accumulate(b, t->hidden_grad[l->K].data, t->decoded_grad[l->K].data, (int64_t) decoded_rows * l->dim[l->K]);
	for (int k = l->K; k >= 1; k--)
	{
		float	   *dz = t->hidden_grad[k].data;

		b->ops->activation_backward(b, dz, grad + l->bias[k], dz, t->hidden[k].data, R, l->dim[k], TR_TANH);
		if (k > 1)
			b->ops->dense_backward(b, t->hidden_grad[k - 1].data, grad + l->weight[k], dz, t->hidden[k - 1].data,
								   p + l->weight[k], R, l->dim[k - 1], l->dim[k], TR_STORED_IO);
	}
	for (int g = 0, first = 0; g < n_groups; first += groups[g++].rows)
		b->ops->sparse_backward(b, grad + l->weight[1], &groups[g], row(&t->hidden_grad[1], first, l->dim[1]),
								l->dim[1]);
	return TR_OK;
}

/* ------------------------------------------------------------------ decoder */

/* What the decoder's layer k-1 reads: the encoder's last layer, or the decoder's own layer k. */
static TrBuffer *
decoder_input(Tower *t, int k)
{
	return k == t->layout.K ? &t->hidden[k] : &t->decoded[k];
}

/* decoded[k-1] (R,dim[k-1]) = tanh(decoded[k] W_k^T + b_(2K-k+1)), k = K..2 (Eq. 9, 10) */
static void
decode_layers(Tower *t, int R)
{
	const TowerLayout *l = &t->layout;
	TrBackend  *b = t->model.backend;

	for (int k = l->K; k >= 2; k--)
		b->ops->dense_forward(b, t->decoded[k - 1].data, decoder_input(t, k)->data, t->p.value + l->weight[k],
							  t->p.value + l->bias[2 * l->K - k + 1], R, l->dim[k], l->dim[k - 1], TR_STORED_OI,
							  TR_TANH);
}

/*
 * The output layer of rows first..first+x->rows-1, in blocks (Eq. 11, 12): loss, dW_1, db_2K, and decoded_grad[1].
 * Only the first n rows of x are decoded.
 */
static void
output_layer(Tower *t, int first, const TrCsr *x, int n, const float *multiplicity, float scale, int block)
{
	const TowerLayout *l = &t->layout;
	TrBackend  *b = t->model.backend;
	int			H = l->dim[1];
	int			T = l->dim[0];
	const float *w = t->p.value + l->weight[1];
	float	   *z = t->output.data;

	for (int start = 0; start < n; start += block)
	{
		int			R = n - start < block ? n - start : block;
		const float *in = row(decoder_input(t, 1), first + start, H);

		b->ops->dense_forward(b, z, in, w, NULL, R, H, T, TR_STORED_OI, TR_LINEAR);
		b->ops->reconstruction_loss(b, z, t->p.value + l->bias[2 * l->K], t->p.gradient + l->bias[2 * l->K], x, start, R,
									multiplicity + first, t->options.reconstruction_loss == TOWER_SQUARED, scale,
									t->p.loss);
		b->ops->dense_backward(b, row(&t->decoded_grad[1], first + start, H), t->p.gradient + l->weight[1], z, in, w, R, H, T,
							   TR_STORED_OI);
	}
}

/* Rows of the decoder's output layer held at a time. */
static int
output_block(const Tower *t)
{
	size_t		rows = tr_block_bytes(t->model.backend) / sizeof(float) / (size_t) t->layout.dim[0];

	return rows < 64 ? 64 : rows < INT32_MAX ? (int) rows : INT32_MAX;
}

static TrStatus
reserve_decoder(Tower *t, int R, int block, TrError *err)
{
	const TowerLayout *l = &t->layout;

	for (int k = 1; k < l->K; k++)
		TR_TRY(tr_reserve_floats(&t->model, &t->decoded[k], R, l->dim[k], err));
	for (int k = 1; k <= l->K; k++)
		TR_TRY(tr_reserve_floats(&t->model, &t->decoded_grad[k], R, l->dim[k], err));
	return tr_reserve_floats(&t->model, &t->output, block, l->dim[0], err);
}

TrStatus
tower_reconstruct(Tower *t, const TrCsr *users, const TrCsr *targets, int n_targets, const float *multiplicity,
				  float scale, TrError *err)
{
	const TowerLayout *l = &t->layout;
	TrBackend  *b = t->model.backend;
	int			R = users->rows + n_targets;
	int			block = output_block(t);

	TR_TRY(reserve_decoder(t, R, block < R ? block : R, err));
	decode_layers(t, R);
	output_layer(t, 0, users, users->rows, multiplicity, scale, block);
	output_layer(t, users->rows, targets, n_targets, multiplicity, scale, block);
	for (int k = 2; k <= l->K; k++)
	{
		float	   *dz = t->decoded_grad[k - 1].data;

		b->ops->activation_backward(b, dz, t->p.gradient + l->bias[2 * l->K - k + 1], dz, t->decoded[k - 1].data, R,
									l->dim[k - 1], TR_TANH);
		b->ops->dense_backward(b, t->decoded_grad[k].data, t->p.gradient + l->weight[k], dz, decoder_input(t, k)->data,
							   t->p.value + l->weight[k], R, l->dim[k], l->dim[k - 1], TR_STORED_OI);
	}
	return TR_OK;
}

TrProfileWeights
tower_profile_weights(const Tower *t, TrSide side)
{
	return (TrProfileWeights) {
		.weighting = (TrWeighting) t->options.weighting, .norm = (TrNorm) t->options.norm,
		.k1 = (float) t->options.bm25_k1, .b = (float) t->options.bm25_b,
		.mean_length = t->mean_length[side], .idf = t->idf
	};
}
