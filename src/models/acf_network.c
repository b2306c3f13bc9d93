/*
 * The autoencoder of acf: parameters, rows of profiles, forward and backward passes, an epoch.
 * Legend: see acf.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/acf.h"
#include "models/rows.h"

void
acf_layout(AcfLayout *layout, const TrIntList *layers, int32_t n_tags)
{
	int			K = layers->count;
	int64_t		at = 0;

	memset(layout, 0, sizeof(*layout));
	layout->K = K;
	layout->dim[0] = n_tags;
	for (int k = 1; k <= K; k++)
	{
		layout->dim[k] = layers->value[k - 1];
		layout->weight[k] = at;
		at += (int64_t) layout->dim[k - 1] * layout->dim[k];
	}
	for (int j = 1; j <= 2 * K; j++)
	{
		layout->bias[j] = at;
		at += layout->dim[j <= K ? j : 2 * K - j];
	}
	layout->size = at;
}

/* Weights after Glorot & Bengio (2010), biases 0. */
void
acf_initialize(Acf *m, float *host)
{
	const AcfLayout *l = &m->layout;

	memset(host, 0, (size_t) l->size * sizeof(float));
	for (int k = 1; k <= l->K; k++)
	{
		int64_t		n = (int64_t) l->dim[k - 1] * l->dim[k];
		double		std = sqrt(2.0 / ((double) l->dim[k - 1] + l->dim[k]));

		for (int64_t i = 0; i < n; i++)
			host[l->weight[k] + i] = (float) (std * tr_normal(m->options.seed, TR_STREAM_INIT, (uint64_t) k, (uint64_t) i));
	}
}

/* ------------------------------------------------------------------ memory */

static bool
reserve_floats(TrBackend *b, float **memory, int64_t n)
{
	*memory = b->ops->alloc(b, (size_t) (n + 16) * sizeof(float));
	return *memory != NULL;
}

static bool
reserve_training(Acf *m)
{
	const AcfLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	int64_t		R = m->batch;
	bool		adam = m->options.optimizer == TR_ADAM;
	bool		done = reserve_floats(b, &m->gradient, l->size) && (!adam || reserve_floats(b, &m->moment1, l->size))
		&& (!adam || reserve_floats(b, &m->moment2, l->size)) && reserve_floats(b, &m->output, R * l->dim[0])
		&& reserve_floats(b, &m->ones, R) && (m->loss = b->ops->alloc(b, sizeof(double))) != NULL;

	for (int k = 1; k <= l->K && done; k++)
		done = reserve_floats(b, &m->grad[k], R * l->dim[k])
			&& (k == l->K || reserve_floats(b, &m->decoded[k], R * l->dim[k]));
	if (done && adam)
	{
		b->ops->zero(b, m->moment1, (size_t) l->size * sizeof(float));
		b->ops->zero(b, m->moment2, (size_t) l->size * sizeof(float));
	}
	if (done)
		b->ops->fill_column(b, m->ones, 1, NULL, NULL, m->batch);
	return done;
}

TrStatus
acf_reserve(Acf *m, bool training, TrError *err)
{
	const AcfLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	int64_t		rows = (int64_t) m->batch * l->dim[l->K];
	bool		done = reserve_floats(b, &m->parameters, l->size);

	for (int k = 1; k <= l->K && done; k++)
		done = reserve_floats(b, &m->hidden[k], (int64_t) m->batch * l->dim[k]);
	m->host = tr_alloc(m->model.memory, (size_t) (rows > l->size ? rows : l->size) * sizeof(float));
	if (done && m->host && (!training || reserve_training(m)))
		return TR_OK;
	tr_fail(err, TR_NO_MEMORY, "out of memory for an autoencoder of %lld parameters", (long long) l->size);
	if (b->ops->shortage)
		b->ops->shortage(b, err);
	return TR_NO_MEMORY;
}

static void
release_rows(Acf *m, AcfRows *rows)
{
	TrBackend  *b = m->model.backend;

	tr_free(m->model.memory, rows->ptr);
	tr_free(m->model.memory, rows->col);
	tr_free(m->model.memory, rows->val);
	b->ops->release(b, rows->csr.ptr);
	b->ops->release(b, rows->csr.col);
	b->ops->release(b, rows->csr.val);
	*rows = (AcfRows) {0};
}

void
acf_release(Acf *m)
{
	TrBackend  *b = m->model.backend;

	release_rows(m, &m->input);
	release_rows(m, &m->target);
	for (int k = 1; k <= m->layout.K; k++)
	{
		b->ops->release(b, m->hidden[k]);
		b->ops->release(b, m->decoded[k]);
		b->ops->release(b, m->grad[k]);
	}
	b->ops->release(b, m->parameters);
	b->ops->release(b, m->gradient);
	b->ops->release(b, m->moment1);
	b->ops->release(b, m->moment2);
	b->ops->release(b, m->output);
	b->ops->release(b, m->ones);
	b->ops->release(b, m->loss);
	tr_free(m->model.memory, m->host);
}

/* Room for so many entries, and for the rows of a batch. */
static TrStatus
reserve_rows(Acf *m, AcfRows *rows, int64_t entries, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	TrBackend  *b = m->model.backend;
	size_t		R = (size_t) m->batch + 1;

	if (rows->ptr && entries <= rows->capacity)
		return TR_OK;
	release_rows(m, rows);
	rows->capacity = entries + entries / 4 + 16;
	rows->ptr = tr_alloc(memory, R * sizeof(int64_t));
	rows->col = tr_alloc(memory, (size_t) rows->capacity * sizeof(int32_t));
	rows->val = tr_alloc(memory, (size_t) rows->capacity * sizeof(float));
	rows->csr = (TrCsr) {.cols = m->layout.dim[0], .capacity = rows->capacity, .ptr = b->ops->alloc(b, R * sizeof(int64_t)),
		.col = b->ops->alloc(b, (size_t) rows->capacity * sizeof(int32_t)),
	.val = b->ops->alloc(b, (size_t) rows->capacity * sizeof(float))};
	if (rows->ptr && rows->col && rows->val && rows->csr.ptr && rows->csr.col && rows->csr.val)
		return TR_OK;
	release_rows(m, rows);
	return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of a batch");
}

/* ------------------------------------------------------------------ rows */

/* Which rows of the profiles, and which of their tags, make up a batch. */
typedef struct Selection
{
	const TrProfiles *profiles;
	const int32_t *row;			/* (n); NULL = first, first + 1, … */
	int32_t		first;
	int			n;
	double		dropout;		/* share of the tags left out */
	uint64_t	epoch;
} Selection;

static int32_t
selected(const Selection *s, int i)
{
	return s->row ? s->row[i] : s->first + i;
}

/* Appends a profile, of length 1, without the tags that the dropout takes. */
static int64_t
add_row(const Acf *m, AcfRows *rows, int64_t at, const Selection *s, int32_t r)
{
	const TrProfiles *p = s->profiles;
	int64_t		start = at;
	double		squares = 0;

	for (int64_t e = p->ptr[r]; e < p->ptr[r + 1]; e++)
	{
		float		weight = tr_tag_weight(&m->weights, p->tag[e], p->count[e], 0);

		if (s->dropout > 0 && tr_uniform(m->options.seed, TR_STREAM_TAG_DROPOUT, s->epoch,
										 (uint64_t) r << 32 | (uint32_t) p->tag[e]) < (float) s->dropout)
			continue;
		rows->col[at] = p->tag[e];
		rows->val[at++] = weight;
		squares += (double) weight * weight;
	}
	for (int64_t e = start; e < at && squares > 0; e++)
		rows->val[e] = (float) (rows->val[e] / sqrt(squares));
	return at;
}

static TrStatus
take_rows(Acf *m, AcfRows *rows, const Selection *s, TrError *err)
{
	TrBackend  *b = m->model.backend;
	int64_t		entries = 0;

	for (int i = 0; i < s->n; i++)
		entries += s->profiles->ptr[selected(s, i) + 1] - s->profiles->ptr[selected(s, i)];
	TR_TRY(reserve_rows(m, rows, entries, err));
	rows->ptr[0] = 0;
	for (int i = 0; i < s->n; i++)
		rows->ptr[i + 1] = add_row(m, rows, rows->ptr[i], s, selected(s, i));
	rows->csr.rows = s->n;
	b->ops->upload(b, rows->csr.ptr, rows->ptr, ((size_t) s->n + 1) * sizeof(int64_t));
	b->ops->upload(b, rows->csr.col, rows->col, (size_t) rows->ptr[s->n] * sizeof(int32_t));
	b->ops->upload(b, rows->csr.val, rows->val, (size_t) rows->ptr[s->n] * sizeof(float));
	return TR_OK;
}

/* ------------------------------------------------------------------ passes */

/* hidden[1..K] of the input */
static void
encode(Acf *m, int R)
{
	const AcfLayout *l = &m->layout;
	const float *p = m->parameters;
	TrBackend  *b = m->model.backend;

	b->ops->sparse_forward(b, m->hidden[1], &m->input.csr, p + l->weight[1], p + l->bias[1], l->dim[1], TR_TANH);
	for (int k = 2; k <= l->K; k++)
		b->ops->dense_forward(b, m->hidden[k], m->hidden[k - 1], p + l->weight[k], p + l->bias[k], R, l->dim[k - 1],
							  l->dim[k], TR_STORED_IO, TR_TANH);
}

TrStatus
acf_encode(Acf *m, const TrProfiles *profiles, float *out, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		D = (size_t) m->layout.dim[m->layout.K];

	for (int32_t first = 0; first < profiles->rows; first += m->batch)
	{
		int			n = profiles->rows - first < m->batch ? profiles->rows - first : m->batch;
		Selection	s = {.profiles = profiles, .first = first, .n = n};

		TR_TRY(take_rows(m, &m->input, &s, err));
		encode(m, n);
		b->ops->download(b, out + (size_t) first * D, m->hidden[m->layout.K], (size_t) n * D * sizeof(float));
	}
	return b->ops->finish(b, err);
}

/* g_k: what layer k of the decoder reads */
static float *
decoder_input(const Acf *m, int k)
{
	return k == m->layout.K ? m->hidden[k] : m->decoded[k];
}

/* Decodes hidden[K]; the loss, the gradient of the decoder's parameters, and grad[K] of hidden[K] */
static void
reconstruct(Acf *m, const TrCsr *target, int R)
{
	const AcfLayout *l = &m->layout;
	const float *p = m->parameters;
	float	   *g = m->gradient;
	TrBackend  *b = m->model.backend;
	int			K = l->K;

	for (int k = K; k >= 2; k--)
		b->ops->dense_forward(b, m->decoded[k - 1], decoder_input(m, k), p + l->weight[k], p + l->bias[2 * K - k + 1], R,
							  l->dim[k], l->dim[k - 1], TR_STORED_OI, TR_TANH);
	b->ops->dense_forward(b, m->output, decoder_input(m, 1), p + l->weight[1], NULL, R, l->dim[1], l->dim[0], TR_STORED_OI,
						  TR_LINEAR);
	b->ops->reconstruction_loss(b, m->output, p + l->bias[2 * K], g + l->bias[2 * K], target, 0, R, m->ones, true,
								1 / (float) R, m->loss);
	b->ops->dense_backward(b, m->grad[1], g + l->weight[1], m->output, decoder_input(m, 1), p + l->weight[1], R, l->dim[1],
						   l->dim[0], TR_STORED_OI);
	for (int k = 2; k <= K; k++)
	{
		b->ops->activation_backward(b, m->grad[k - 1], g + l->bias[2 * K - k + 1], m->grad[k - 1], m->decoded[k - 1], R,
									l->dim[k - 1], TR_TANH);
		b->ops->dense_backward(b, m->grad[k], g + l->weight[k], m->grad[k - 1], decoder_input(m, k), p + l->weight[k], R,
							   l->dim[k], l->dim[k - 1], TR_STORED_OI);
	}
}

/* From grad[K] to the gradient of the encoder's parameters, which the decoder's has begun */
static void
encode_backward(Acf *m, int R)
{
	const AcfLayout *l = &m->layout;
	float	   *g = m->gradient;
	TrBackend  *b = m->model.backend;

	for (int k = l->K; k >= 1; k--)
	{
		b->ops->activation_backward(b, m->grad[k], g + l->bias[k], m->grad[k], m->hidden[k], R, l->dim[k], TR_TANH);
		if (k > 1)
			b->ops->dense_backward(b, m->grad[k - 1], g + l->weight[k], m->grad[k], m->hidden[k - 1],
								   m->parameters + l->weight[k], R, l->dim[k - 1], l->dim[k], TR_STORED_IO);
	}
	b->ops->sparse_backward(b, g + l->weight[1], &m->input.csr, m->grad[1], l->dim[1]);
}

/* ------------------------------------------------------------------ an epoch */

static TrStatus
train_step(Acf *m, const TrProfiles *users, int epoch, int32_t first, int R, TrError *err)
{
	const AcfOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	Selection	s = {.profiles = users, .row = m->order + first, .n = R, .dropout = o->dropout, .epoch = (uint64_t) epoch};
	TrOptimizer optimizer = {.kind = (TrOptimizerKind) o->optimizer, .rate = (float) o->learning_rate, .beta1 = 0.9f,
	.beta2 = 0.999f, .epsilon = 1e-8f, .step = ++m->steps, .decay = (float) o->regularization};

	TR_TRY(take_rows(m, &m->input, &s, err));
	s.dropout = 0;
	if (o->dropout > 0)
		TR_TRY(take_rows(m, &m->target, &s, err));
	b->ops->zero(b, m->gradient, (size_t) m->layout.size * sizeof(float));
	encode(m, R);
	reconstruct(m, o->dropout > 0 ? &m->target.csr : &m->input.csr, R);
	encode_backward(m, R);
	b->ops->update(b, &optimizer, m->parameters, m->gradient, m->moment1, m->moment2, m->layout.size);
	return TR_OK;
}

TrStatus
acf_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrBackend  *b = model->backend;
	const TrProfileTable *table = &m->dataset->user;
	TrProfiles	users = {.rows = table->n_entities, .ptr = table->entry_ptr, .tag = table->tag, .count = table->count};
	double		total = 0;

	tr_shuffle(m->order, m->n_order, m->options.seed, epoch);
	m->placed = false;
	for (int32_t first = 0; first < m->n_order; first += m->batch)
	{
		int			R = m->n_order - first < m->batch ? m->n_order - first : m->batch;
		double		loss;

		if (tr_poll(poll))
			return TR_CANCELLED;
		tr_begin_step(b);
		b->ops->zero(b, m->loss, sizeof(double));
		TR_TRY(train_step(m, &users, epoch, first, R, err));
		tr_end_step(b);
		b->ops->download(b, &loss, m->loss, sizeof(double));
		total += loss * R;
	}
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->n_order;
	stats->loss = total / m->n_order;
	return TR_OK;
}
