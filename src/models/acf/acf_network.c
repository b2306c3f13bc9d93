/*
 * The autoencoder of acf: parameters, rows of profiles, forward and backward passes, an epoch.
 * Legend: see acf.h.
 */
#include <math.h>

#include "core/rng.h"
#include "models/acf/acf.h"
#include "models/nn/rows.h"

/* Weights after Glorot & Bengio (2010), biases 0. */
void
acf_layout(AcfLayout *l, TrParameters *p, const TrIntList *layers, int32_t n_tags)
{
	int			K = layers->count;

	*l = (AcfLayout) {.K = K, .dim = {n_tags}};
	for (int k = 1; k <= K; k++)
	{
		l->dim[k] = layers->value[k - 1];
		l->weight[k] = tr_parameter(p, l->dim[k - 1], l->dim[k], sqrt(2.0 / ((double) l->dim[k - 1] + l->dim[k])),
									(uint64_t) k, "W%d", k);
	}
	for (int j = 1; j <= 2 * K; j++)
		l->bias[j] = tr_parameter(p, 1, l->dim[j <= K ? j : 2 * K - j], 0, 0, "b%d", j);
}

/* ------------------------------------------------------------------ memory */

TrStatus
acf_reserve(Acf *m, TrError *err)
{
	const AcfLayout *l = &m->layout;
	TrModel    *model = &m->model;
	size_t		R = (size_t) m->batch;
	bool		training = model->dataset != NULL;

	m->vectors = TR_NEW(model, float, R * (size_t) l->dim[l->K]);
	for (int k = 1; k <= l->K; k++)
	{
		m->hidden[k] = tr_device_floats(model, R * (size_t) l->dim[k]);
		m->grad[k] = training ? tr_device_floats(model, R * (size_t) l->dim[k]) : NULL;
		m->decoded[k] = training ? tr_device_floats(model, R * (size_t) l->dim[k]) : NULL;
	}
	m->output = training ? tr_device_floats(model, R * (size_t) l->dim[0]) : NULL;
	m->ones = training ? tr_device_floats(model, R) : NULL;
	TR_TRY(tr_enough_memory(model, err, "an autoencoder of %lld parameters", (long long) m->p.size));
	if (training)
		model->backend->ops->fill_column(model->backend, m->ones, 1, NULL, NULL, m->batch);
	return TR_OK;
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

/* Adds a profile, of length 1, without the tags that the dropout takes. */
static void
add_row(const Acf *m, TrRows *rows, const Selection *s, int32_t r)
{
	const TrProfiles *p = s->profiles;
	int64_t		start = tr_rows_entries(rows);
	double		squares = 0;

	tr_rows_start(rows);
	for (int64_t e = p->ptr[r]; e < p->ptr[r + 1]; e++)
	{
		float		weight = tr_tag_weight(&m->weights, p->tag[e], p->count[e], 0);

		if (s->dropout > 0 && tr_uniform(m->options.seed, TR_STREAM_TAG_DROPOUT, s->epoch,
										 (uint64_t) r << 32 | (uint32_t) p->tag[e]) < (float) s->dropout)
			continue;
		tr_rows_add(rows, p->tag[e], weight);
		squares += (double) weight * weight;
	}
	rows->rows++;
	for (int64_t e = start; e < tr_rows_entries(rows) && squares > 0; e++)
		rows->val[e] = (float) (rows->val[e] / sqrt(squares));
}

/* to->csr = the selected rows, in backend memory */
static TrStatus
take_rows(Acf *m, AcfRows *to, const Selection *s, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	TrPiece		pieces[3];
	int64_t		entries = 0;

	for (int i = 0; i < s->n; i++)
		entries += s->profiles->ptr[selected(s, i) + 1] - s->profiles->ptr[selected(s, i)];
	if (!to->rows.ptr && !tr_rows_init(memory, &to->rows, m->batch, false))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of a batch");
	tr_rows_clear(&to->rows);
	if (!tr_rows_reserve(memory, &to->rows, entries + 1))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of a batch");
	for (int i = 0; i < s->n; i++)
		add_row(m, &to->rows, s, selected(s, i));
	return tr_upload(&m->model, &to->upload, pieces, tr_rows_pieces(pieces, &to->csr, NULL, &to->rows, m->layout.dim[0]), err);
}

/* ------------------------------------------------------------------ passes */

/* hidden[1..K] of the input */
static void
encode(Acf *m, int R)
{
	const AcfLayout *l = &m->layout;
	const float *p = m->p.value;
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
	const float *p = m->p.value;
	float	   *g = m->p.gradient;
	TrBackend  *b = m->model.backend;
	int			K = l->K;

	for (int k = K; k >= 2; k--)
		b->ops->dense_forward(b, m->decoded[k - 1], decoder_input(m, k), p + l->weight[k], p + l->bias[2 * K - k + 1], R,
							  l->dim[k], l->dim[k - 1], TR_STORED_OI, TR_TANH);
	b->ops->dense_forward(b, m->output, decoder_input(m, 1), p + l->weight[1], NULL, R, l->dim[1], l->dim[0], TR_STORED_OI,
						  TR_LINEAR);
	b->ops->reconstruction_loss(b, m->output, p + l->bias[2 * K], g + l->bias[2 * K], target, 0, R, m->ones, true,
								1 / (float) R, m->p.loss);
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
	float	   *g = m->p.gradient;
	TrBackend  *b = m->model.backend;

	for (int k = l->K; k >= 1; k--)
	{
		b->ops->activation_backward(b, m->grad[k], g + l->bias[k], m->grad[k], m->hidden[k], R, l->dim[k], TR_TANH);
		if (k > 1)
			b->ops->dense_backward(b, m->grad[k - 1], g + l->weight[k], m->grad[k], m->hidden[k - 1],
								   m->p.value + l->weight[k], R, l->dim[k - 1], l->dim[k], TR_STORED_IO);
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

	TR_TRY(take_rows(m, &m->input, &s, err));
	s.dropout = 0;
	if (o->dropout > 0)
		TR_TRY(take_rows(m, &m->target, &s, err));
	tr_parameters_start_step(&m->p, b);
	encode(m, R);
	reconstruct(m, o->dropout > 0 ? &m->target.csr : &m->input.csr, R);
	encode_backward(m, R);
	tr_parameters_update(&m->p, b, tr_optimizer(o->optimizer, o->learning_rate, m->p.steps, o->regularization));
	return TR_OK;
}

TrStatus
acf_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrBackend  *b = model->backend;
	TrProfiles	users = tr_profiles_of(model->dataset, TR_USER, 0, model->dataset->n_users);
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
		b->ops->zero(b, m->p.loss, sizeof(double));
		TR_TRY(train_step(m, &users, epoch, first, R, err));
		tr_end_step(b);
		b->ops->download(b, &loss, m->p.loss, sizeof(double));
		total += loss * R;
	}
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->n_order;
	stats->loss = total / m->n_order;
	return TR_OK;
}
