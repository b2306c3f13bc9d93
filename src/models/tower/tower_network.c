/*
 * The tower's parameters, its forward and backward passes, and its decoder.
 * Legend: see tower.h. dim[0] = T, dim[K] = D.
 */
#include "models/tower/tower.h"

/* ------------------------------------------------------------------ parameters */

int64_t
tower_layout(TrStack *stack, TrParameters *p, const TowerOptions *o, int32_t n_tags)
{
	tr_stack_layout(stack, p, &o->layers, n_tags, o->init == TOWER_NORMAL ? o->init_std : 0, o->first_layer_gain,
					o->reconstruction > 0);
	if (o->popularity)
		p->regularized = tr_parameter(p, 1, 1, 0, 0, "popularity");
	return p->regularized;
}

/* ------------------------------------------------------------------ memory */

TrStatus
tower_reserve_rows(Tower *t, int group, int n, int64_t entries, TrCsr *csr, TrError *err)
{
	TrBuffer   *memory = t->csr[group];

	TR_TRY(tr_reserve(&t->model, &memory[0], ((size_t) n + 1) * sizeof(int64_t), err));
	TR_TRY(tr_reserve(&t->model, &memory[1], ((size_t) entries + 16) * sizeof(int32_t), err));
	TR_TRY(tr_reserve(&t->model, &memory[2], ((size_t) entries + 16) * sizeof(float), err));
	*csr = (TrCsr) {.rows = n, .cols = t->stack.dim[0], .capacity = entries, .ptr = memory[0].data,
		.col = memory[1].data, .val = memory[2].data};
	return TR_OK;
}

/* ------------------------------------------------------------------ encoder */

/* embedding (R,width): users (x / |x|, 1), items (item_scale x / |x|, w ln(1 + users of the item)) */
TrStatus
tower_forward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale, const float *item_feature,
			  TrError *err)
{
	TrStack    *l = &t->stack;
	TrBackend  *b = t->model.backend;
	int			R = tr_count_rows(groups, n_groups);
	int			D = l->dim[l->K];
	int			width = t->model.width;
	int			items = R - user_rows;

	TR_TRY(tr_stack_encode(l, &t->p, &t->model, groups, n_groups, err));
	TR_TRY(tr_reserve_floats(&t->model, &t->embedding, R, width, err));
	TR_TRY(tr_reserve_floats(&t->model, &t->norm, R, 1, err));
	b->ops->normalize(b, t->embedding.data, width, t->norm.data, l->hidden[l->K].data, user_rows, D, 1.0f);
	b->ops->normalize(b, tr_row(&t->embedding, user_rows, width), width, tr_row(&t->norm, user_rows, 1),
					  tr_row(&l->hidden[l->K], user_rows, D), items, D, item_scale);
	if (t->options.popularity)
	{
		b->ops->fill_column(b, tr_row(&t->embedding, 0, width) + D, width, NULL, NULL, user_rows);
		b->ops->fill_column(b, tr_row(&t->embedding, user_rows, width) + D, width,
							t->p.value + t->popularity_weight, item_feature, items);
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
	TrStack    *l = &t->stack;
	TrBackend  *b = t->model.backend;
	int			D = l->dim[l->K];
	int			width = t->model.width;
	int			items = R - user_rows;

	if (t->options.popularity)
		b->ops->fill_column_backward(b, t->p.gradient + t->popularity_weight,
									 tr_row(&t->embedding_grad, user_rows, width) + D, width, item_feature, items);
	b->ops->normalize_backward(b, l->hidden_grad[l->K].data, t->embedding_grad.data, t->embedding.data, width,
							   t->norm.data, user_rows, D, 1.0f);
	b->ops->normalize_backward(b, tr_row(&l->hidden_grad[l->K], user_rows, D), tr_row(&t->embedding_grad, user_rows, width),
							   tr_row(&t->embedding, user_rows, width), width, tr_row(&t->norm, user_rows, 1), items, D,
							   item_scale);
}

TrStatus
tower_backward(Tower *t, const TrCsr *groups, int n_groups, int user_rows, float item_scale, const float *item_feature,
			   int decoded_rows, TrError *err)
{
	TrStack    *l = &t->stack;
	int			R = tr_count_rows(groups, n_groups);

	TR_TRY(tr_stack_reserve_grad(l, &t->model, R, err));
	normalize_backward(t, R, user_rows, item_scale, item_feature);
	if (decoded_rows > 0)
		accumulate(t->model.backend, l->hidden_grad[l->K].data, l->decoded_grad[l->K].data,
				   (int64_t) decoded_rows * l->dim[l->K]);
	if (tower_first_apart(t))
		tr_stack_layers_backward(l, &t->p, t->model.backend, R, l->hidden_grad[l->K].data);
	else
		tr_stack_encode_backward(l, &t->p, &t->model, groups, n_groups, l->hidden_grad[l->K].data);
	return TR_OK;
}

/* ------------------------------------------------------------------ decoder */

/* Rows of the decoder's output layer held at a time. */
static int
output_block(const Tower *t)
{
	size_t		rows = tr_block_bytes(t->model.backend) / sizeof(float) / (size_t) t->stack.dim[0];

	return rows < 64 ? 64 : rows < INT32_MAX ? (int) rows : INT32_MAX;
}

TrStatus
tower_reconstruct(Tower *t, const TrCsr *users, const TrCsr *targets, int n_targets, const float *multiplicity,
				  float scale, TrError *err)
{
	TrBackend  *b = t->model.backend;
	bool		squared = t->options.reconstruction_loss == TOWER_SQUARED;
	int			R = users->rows + n_targets;
	int			block = output_block(t);

	TR_TRY(tr_stack_decode(&t->stack, &t->p, &t->model, R, block, err));
	tr_stack_output(&t->stack, &t->p, b, 0, users, users->rows, multiplicity, squared, scale, block);
	tr_stack_output(&t->stack, &t->p, b, users->rows, targets, n_targets, multiplicity, squared, scale, block);
	tr_stack_decode_backward(&t->stack, &t->p, b, R);
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
