/*
 * The life of a network over both sides, and what it says of arrays. See direct.h.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <string.h>

const char *const tr_direct_activations[] = {"relu", "tanh", "sigmoid", "selu", NULL};

/* ------------------------------------------------------------------ life */

/* Of the parameters, that are not vectors, and in a layer of the batch; what is decoded is as much again. */
size_t
tr_direct_estimate(const TrShape *shape, const void *options)
{
	const DirectOptions *s = options;
	double		n = (double) shape->n_users + shape->n_items;
	double		J = s->size > 0 ? s->size : s->layers.value[0];
	double		P = s->batch < shape->n_posts ? s->batch : shape->n_posts;
	double		I = s->groups > 0 ? s->groups : s->coupling > 0 || s->attention > 0 ? s->size : s->identity;
	double		widths = 3 * J + s->factors + I + 4 * s->attention + 4;
	double		parameters = 0;
	double		output = s->reconstruction > 0 ? (P < n ? P : n) * (n + 2 * J) : 0;

	for (int k = 0; k < s->encoder.count; k++)
		widths += (s->reconstruction > 0 ? 2 : 1) * s->encoder.value[k];
	for (int k = 0; k < s->layers.count; k++)
		widths += s->layers.value[k];
	parameters = s->encoder.count > 0 ? n * s->encoder.value[0] : 0;
	for (int k = 1; k < s->encoder.count; k++)
		parameters += 2.0 * s->encoder.value[k] * s->encoder.value[k - 1];
	parameters *= s->reconstruction > 0 ? 2 : 1;
	for (int k = 1; k < s->layers.count; k++)
		parameters += (double) s->layers.value[k] * s->layers.value[k - 1];
	/* with gradient and moments, saved, the best ones; vectors likewise, and arrays; a batch */
	return (size_t) (sizeof(float) * (7 * parameters + 5 * n * (I + s->factors + 2) + n * (J + s->factors + 2)
									  + 6 * P * widths + output + 10.0 * shape->n_posts));
}

static TrStatus
create_vectors(Direct *m, TrSide side, bool identity, int width, TrError *err)
{
	static const char *const names[2][2] = {{"users", "items"}, {"user vectors", "item vectors"}};
	const TrDataset *d = m->model.dataset;
	DirectSide *s = &m->side[side];
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	float	  **saved = &s->saved[identity];
	int			most = s->n_all;

	TR_TRY(tr_training_tensor(&m->model, names[identity][side], s->n_all, width, saved, err));
	tr_normals(*saved, (int64_t) s->n_all * width, 0.1, m->s.seed, (uint64_t) (100 + 2 * identity + side));
	for (int32_t r = 0; r < s->n_all; r++)
	{
		float	   *row = *saved + (size_t) r * (size_t) width;

		if (from[r + 1] == from[r])
			memset(row, 0, (size_t) width * sizeof(float));
		if (!identity)
		{
			row[width - 2] = side == TR_ITEM;
			row[width - 1] = side == TR_USER;
		}
	}
	return tr_factors_create(identity ? &s->identity : &s->vector, &m->model, *saved, s->n_all, width, (size_t) most, false,
							 (TrOptimizerKind) m->s.optimizer, err);
}

static TrStatus
create_side(Direct *m, TrSide side, TrError *err)
{
	DirectSide *s = &m->side[side];
	TrModel    *model = &m->model;

	TR_TRY(create_vectors(m, side, false, m->s.factors + 2, err));
	if (m->I > 0)
		TR_TRY(create_vectors(m, side, true, m->I, err));
	s->entity = TR_NEW(model, int32_t, s->n_all);
	s->place = TR_NEW(model, int32_t, s->n_all);
	s->arrays = TR_NEW(model, float, (size_t) s->n_all * (size_t) model->width);
	m->row[side] = TR_NEW(model, int32_t, m->B);
	m->by_item[side] = TR_NEW(model, int32_t, m->B);
	TR_TRY(tr_direct_create_rows(m, s, err));
	return m->kind.grouped ? tr_direct_create_groups(m, side, err) : TR_OK;
}

/* As large as a batch's entities, or a block of arrays, may want it; twice, for vectors and what is beside them. */
static TrStatus
create_unit(Direct *m, TrError *err)
{
	TrModel    *model = &m->model;
	int32_t		n = 2 * (m->B > DIRECT_BLOCK ? m->B : DIRECT_BLOCK);
	int64_t    *ptr = TR_NEW(model, int64_t, n + 1);
	int32_t    *col = TR_NEW(model, int32_t, n);
	int32_t    *zero = TR_NEW(model, int32_t, n);
	float	   *one = TR_NEW(model, float, n);

	TR_TRY(tr_enough_memory(model, err, "a network"));
	for (int32_t i = 0; i < n; i++)
	{
		ptr[i + 1] = i + 1;
		col[i] = i;
		one[i] = 1;
	}
	m->unit = (TrCsr) {.rows = n, .cols = n, .capacity = n};
	m->unit.ptr = tr_to_device(model, ptr, ((size_t) n + 1) * sizeof(int64_t));
	m->unit.col = tr_to_device(model, col, (size_t) n * sizeof(int32_t));
	m->unit.val = tr_to_device(model, one, (size_t) n * sizeof(float));
	m->same = tr_to_device(model, zero, (size_t) n * sizeof(int32_t));
	tr_free(model->memory, ptr);
	tr_free(model->memory, col);
	tr_free(model->memory, zero);
	tr_free(model->memory, one);
	return tr_enough_memory(model, err, "a network");
}

static TrStatus
create_batch(Direct *m, TrError *err)
{
	TrModel    *model = &m->model;
	size_t		n = (size_t) m->B;

	m->order = TR_NEW(model, int32_t, model->dataset->n_posts);
	m->hidden_post = TR_NEW(model, uint8_t, model->dataset->n_posts);
	m->pair_ptr = TR_NEW(model, int64_t, n + 1);
	m->pair_col = TR_NEW(model, int32_t, 2 * n);
	m->ones = TR_NEW(model, float, 2 * n);
	m->count = TR_NEW(model, int64_t, n + 1);
	m->zeros = TR_NEW(model, int32_t, n);
	m->residual = TR_NEW(model, float, n);
	m->sort = TR_NEW(model, uint64_t, n);
	m->nothing = tr_device_zeros(model, 1);
	TR_TRY(tr_enough_memory(model, err, "a network"));
	for (size_t i = 0; i <= n; i++)
	{
		m->count[i] = (int64_t) i;
		m->pair_ptr[i] = 2 * (int64_t) i;
	}
	for (size_t i = 0; i < 2 * n; i++)
		m->ones[i] = 1;
	for (int32_t p = 0; p < model->dataset->n_posts; p++)
		m->order[p] = p;
	return create_unit(m, err);
}

/* The ratings of a batch are hidden from its rows, of which enough is to be left. */
static int
batch_size(const Direct *m)
{
	int32_t		ratings = m->model.dataset->n_posts;
	int32_t		most = m->kind.ratings && !m->s.own_rating ? ratings / 10 + 1 : ratings;

	return m->s.batch < most ? m->s.batch : most;
}

/* K and the sizes of the joint layers, and J. */
static void
size_layers(Direct *m)
{
	m->L = m->s.encoder.count;
	m->I = m->kind.grouped ? m->s.groups : m->kind.coupled || m->kind.mixed ? m->s.size : m->s.identity;
	m->size[1] = m->s.size;
	if (m->kind.product)
		return;
	m->K = m->s.layers.count + 1;
	for (int k = 1; k < m->K; k++)
		m->size[k] = m->s.layers.value[k - 1];
	m->size[m->K] = 1;
}

TrStatus
tr_direct_create(TrModel *model, const DirectKind *kind, TrError *err)
{
	static const TrActivation of[] = {TR_RELU, TR_TANH, TR_SIGMOID, TR_SELU};
	Direct	   *m = (Direct *) model;
	int			largest = 1;

	m->s = *(const DirectOptions *) model->options;
	m->kind = *kind;
	m->activation = of[m->s.activation];
	size_layers(m);
	for (int k = 1; k <= m->K; k++)
		largest = m->size[k] > largest ? m->size[k] : largest;
	model->unit = model->width = m->size[1] + m->s.factors;
	model->width += 2;
	TR_TRY(tr_mean_tensor(model, &m->mean, err));
	TR_TRY(tr_tensor(model, "nobody", 2, model->width, TR_FINITE, &m->nobody, err));
	tr_direct_lay_out(m);
	TR_TRY(tr_parameters_create(&m->p, model, m->s.optimizer == TR_ADAM ? 2 : 0, m->s.seed, false, err));
	m->hidden[0] = TR_NEW(model, float, largest);
	m->hidden[1] = TR_NEW(model, float, largest);
	TR_TRY(tr_enough_memory(model, err, "a network"));
	if (!model->dataset)
		return TR_OK;
	m->B = batch_size(m);
	TR_TRY(create_side(m, TR_USER, err));
	TR_TRY(create_side(m, TR_ITEM, err));
	return create_batch(m, err);
}

TrStatus
tr_direct_restored(TrModel *model, TrError *err)
{
	return model->dataset ? tr_direct_fill_arrays((Direct *) model, NULL, err) : TR_OK;
}

/* ------------------------------------------------------------------ what it says */

static bool
has_nothing(const Direct *m, TrSide side, int32_t r)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	bool		nothing = from[r + 1] == from[r];

	for (int i = 0; i < m->side[side].n_profiles; i++)
		nothing &= m->side[side].profile[i]->entry_ptr[r + 1] == m->side[side].profile[i]->entry_ptr[r];
	return nothing;
}

TrStatus
tr_direct_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Direct	   *m = (Direct *) model;
	size_t		width = (size_t) model->width;

	(void) dataset, (void) err;
	for (int32_t r = 0; r < n; r++)
		memcpy(out + (size_t) r * width, has_nothing(m, side, first + r) ? m->nobody + (size_t) side * width
			   : m->side[side].arrays + (size_t) (first + r) * width, width * sizeof(float));
	return TR_OK;
}

TrStatus
tr_direct_unknown(TrModel *model, TrSide side, float *out, TrError *err)
{
	(void) err;
	memcpy(out, ((Direct *) model)->nobody + (size_t) side * (size_t) model->width, (size_t) model->width * sizeof(float));
	return TR_OK;
}

static void
activate(float *x, int n, TrActivation activation)
{
	for (int j = 0; j < n; j++)
		switch (activation)
		{
			case TR_TANH:
				x[j] = tanhf(x[j]);
				break;
			case TR_SIGMOID:
				x[j] = 1 / (1 + expf(-x[j]));
				break;
			case TR_RELU:
				x[j] = x[j] > 0 ? x[j] : 0;
				break;
			case TR_SELU:
				x[j] = x[j] < 0 ? TR_SELU_LEAST * (expf(x[j]) - 1) : TR_SELU_SCALE * x[j];
				break;
			case TR_LINEAR:
				break;
		}
}

/* y (O) = x (I) w (I,O) + bias (O) */
static void
multiply(float *restrict y, const float *restrict x, const float *restrict w, const float *restrict bias, int I, int O)
{
	for (int j = 0; j < O; j++)
		y[j] = bias[j];
	for (int i = 0; i < I; i++)
		for (int j = 0; j < O; j++)
			y[j] += x[i] * w[(size_t) i * (size_t) O + (size_t) j];
}

static float
score(Direct *m, const float *user, const float *item)
{
	const float *host = m->p.host;
	float	   *h = m->hidden[0];
	float	   *next = m->hidden[1];
	int			J = m->size[1];
	float		sum = 0;

	for (int j = 0; j < J; j++)
		h[j] = user[j] + item[j] + host[m->bias[1] + j];
	for (int k = 2; k <= m->K; k++)
	{
		float	   *swap = h;

		activate(h, m->size[k - 1], m->activation);
		multiply(next, h, host + m->weight[k], host + m->bias[k], m->size[k - 1], m->size[k]);
		h = next;
		next = swap;
	}
	for (int j = J; j < m->model.width; j++)
		sum += user[j] * item[j];
	return h[0] + sum;
}

TrStatus
tr_direct_score(TrModel *model, const float *user, const float *items, size_t stride, int32_t n, float *out, TrError *err)
{
	(void) err;
	for (int32_t i = 0; i < n; i++)
		out[i] = score((Direct *) model, user, items + (size_t) i * stride);
	return TR_OK;
}
