/*
 * An autoencoder over the rows of a matrix of users and items. See auto.h.
 */
#include "models/auto/auto.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

const char *const tr_auto_activations[] = {"sigmoid", "tanh", "relu", NULL};

/* Which layer's output is the input of layer k: the drawn one where it is latent. */
static float *
input_of(Auto *m, int k)
{
	return m->s.latent && k == m->L + 1 ? m->drawn.data : m->layer[k - 1].data;
}

/* Of the last layer and of latent ones the numbers are taken as they are. */
static TrActivation
activation_of(const Auto *m, int k)
{
	return k == 2 * m->L || (k == m->L && m->s.latent) ? TR_LINEAR : m->activation;
}

static void
lay_out(Auto *m)
{
	m->L = m->s.layers.count;
	m->H[0] = m->T + (m->s.own ? m->N : 0);
	for (int k = 1; k <= m->L; k++)
		m->H[k] = m->s.layers.value[k - 1];
	for (int k = 1; k <= m->L; k++)
	{
		m->in[k] = m->out[2 * m->L - k + 1] = m->H[k - 1];
		m->out[k] = m->in[2 * m->L - k + 1] = m->H[k];
	}
	m->out[2 * m->L] = m->T;
	if (m->s.latent)
		m->out[m->L] = 2 * m->H[m->L];
	for (int k = 1; k <= 2 * m->L; k++)
	{
		int			in = m->in[k];
		int			out = m->out[k];
		double		std = sqrt(2.0 / ((double) in + out));
		char		name[24];

		snprintf(name, sizeof(name), "W%d", k);
		m->weight[k] = tr_training_parameter(&m->p, k == 2 * m->L ? out : in, k == 2 * m->L ? in : out, std, (uint64_t) k, name);
	}
	for (int k = 1; k <= 2 * m->L; k++)
	{
		char		name[24];

		snprintf(name, sizeof(name), "b%d", k);
		m->bias[k] = tr_training_parameter(&m->p, 1, m->out[k], 0, 0, name);
	}
	m->p.regularized = m->bias[1];
}

size_t
tr_auto_estimate(const TrShape *shape, const void *options)
{
	const AutoOptions *s = options;
	bool		users = s->rows == TR_USER;
	Auto		m = {.s = *s, .N = users ? shape->n_users : shape->n_items, .T = users ? shape->n_items : shape->n_users};
	double		R = s->batch < m.N ? s->batch : m.N;
	double		widths = 0;

	lay_out(&m);
	for (int k = 1; k <= 2 * m.L; k++)
		widths += 2.0 * m.out[k];
	/* parameters: in use, gradient, moments, on the host, saved, the best ones; a batch; arrays */
	return (size_t) (sizeof(float) * (7.0 * (double) m.p.size + R * widths + 9.0 * shape->n_posts
									  + ((double) m.N + m.T) * (m.H[1] + 1)));
}

/* ------------------------------------------------------------------ life */

static bool
is_entry(const Auto *m, int32_t post)
{
	const TrDataset *d = m->model.dataset;

	return !d->post_value || d->post_value[post] >= m->s.least_value;
}

static int32_t
post_of(const Auto *m, int32_t k)
{
	return m->s.rows == TR_USER ? k : m->model.dataset->item_post[k];
}

static const int32_t *
ends_of(const Auto *m)
{
	return m->s.rows == TR_USER ? m->model.dataset->user_ptr : m->model.dataset->item_ptr;
}

static void
list_rows(Auto *m)
{
	const int32_t *from = ends_of(m);

	for (int32_t r = 0; r < m->N; r++)
	{
		bool		any = false;

		for (int32_t k = from[r]; k < from[r + 1]; k++)
			any |= is_entry(m, post_of(m, k));
		if (any)
			m->order[m->n_order++] = r;
	}
}

TrStatus
tr_auto_create(Auto *m, TrError *err)
{
	static const TrActivation of[] = {TR_SIGMOID, TR_TANH, TR_RELU};
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;
	bool		users = m->s.rows == TR_USER;

	m->activation = of[m->s.activation];
	model->width = m->s.layers.value[0] + 1;
	model->unit = m->s.layers.value[0];
	if (!d)
		return TR_OK;
	m->N = users ? d->n_users : d->n_items;
	m->T = users ? d->n_items : d->n_users;
	lay_out(m);
	TR_TRY(tr_parameters_create(&m->p, model, m->s.optimizer == TR_ADAM ? 2 : 0, m->s.seed, true, err));
	m->order = TR_NEW(model, int32_t, m->N);
	m->arrays[TR_USER] = TR_NEW(model, float, (size_t) d->n_users * (size_t) model->width);
	m->arrays[TR_ITEM] = TR_NEW(model, float, (size_t) d->n_items * (size_t) model->width);
	model->host_is_full |= !tr_rows_init(model->memory, &m->input, m->s.batch, false)
		|| !tr_rows_init(model->memory, &m->target, m->s.batch, false);
	TR_TRY(tr_enough_memory(model, err, "an autoencoder"));
	list_rows(m);
	if (m->n_order == 0)
		return tr_fail(err, TR_BAD_DATA, "nothing to learn from: no pair has a value of %g or more", m->s.least_value);
	if (m->s.loss == AUTO_SQUARES)
		m->mean = (float) tr_dataset_values(d).mean;
	return TR_OK;
}

/* ------------------------------------------------------------------ batches */

/* Of a row's entries n, those that the input shows, from `first` on: scaled, and of length 1. */
static void
finish_input(const Auto *m, int64_t first, int64_t n, bool training)
{
	float	   *val = m->input.val + first;
	double		squares = 0;
	double		factor = training ? 1 / (1 - m->s.dropout) : 1;

	for (int64_t i = 0; i < n; i++)
		squares += (double) val[i] * val[i];
	if (m->s.unit && squares > 0)
		factor /= sqrt(squares);
	for (int64_t i = 0; i < n; i++)
		val[i] = (float) (val[i] * factor);
}

/* Zeroes what is dropped, after the length was taken of all. */
static void
drop(const Auto *m, int64_t first, int64_t n, uint64_t key)
{
	double		rate = m->s.dropout;

	for (int64_t i = 0; i < n && rate > 0; i++)
		if (tr_uniform_of(key, (uint64_t) m->input.col[first + i]) < rate)
			m->input.val[first + i] = 0;
}

static bool
add_row(Auto *m, int32_t r, int epoch, bool training)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = ends_of(m);
	TrMemory   *memory = m->model.memory;
	int64_t		n = from[r + 1] - from[r];
	int64_t		first = m->input.ptr[m->input.rows];

	if (!tr_rows_reserve(memory, &m->input, n + 1) || !tr_rows_reserve(memory, &m->target, n))
		return false;
	tr_rows_start(&m->input);
	tr_rows_start(&m->target);
	for (int32_t k = from[r]; k < from[r + 1]; k++)
	{
		int32_t		post = post_of(m, k);
		int32_t		col = m->s.rows == TR_USER ? d->post_item[post] : d->post_user[post];
		float		value = m->s.loss == AUTO_SQUARES ? d->post_value[post] - m->mean : 1;

		if (!is_entry(m, post))
			continue;
		tr_rows_add(&m->input, col, value);
		tr_rows_add(&m->target, col, value);
	}
	n = m->input.ptr[m->input.rows + 1] - first;
	finish_input(m, first, n, training);
	if (training)
		drop(m, first, n, tr_random_key(m->s.seed, TR_STREAM_TAG_DROPOUT, (uint64_t) epoch << 32 | (uint32_t) r));
	if (m->s.own)
		tr_rows_add(&m->input, m->T + r, 1);
	m->input.rows++;
	m->target.rows++;
	return true;
}

/* The rows of a list, in the backend; NULL = first, first + 1, … */
static TrStatus
upload_rows(Auto *m, const int32_t *list, int32_t first, int n, int epoch, TrError *err)
{
	TrPiece		piece[8];
	int			pieces;

	tr_rows_clear(&m->input);
	tr_rows_clear(&m->target);
	for (int i = 0; i < n; i++)
		if (!add_row(m, list ? list[i] : first + i, epoch, list != NULL))
			return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	pieces = tr_rows_pieces(piece, &m->x, NULL, &m->input, m->H[0]);
	pieces += tr_rows_pieces(piece + pieces, &m->y, NULL, &m->target, m->T);
	return tr_upload(&m->model, &m->upload, piece, pieces, err);
}

/* ------------------------------------------------------------------ a step */

static TrStatus
reserve(Auto *m, int R, TrError *err)
{
	for (int k = 1; k <= 2 * m->L; k++)
	{
		TR_TRY(tr_reserve_floats(&m->model, &m->layer[k], R, m->out[k], err));
		if (k < 2 * m->L)
			TR_TRY(tr_reserve_floats(&m->model, &m->gradient[k], R, m->out[k], err));
	}
	TR_TRY(tr_reserve_floats(&m->model, &m->drawn, R, m->H[m->L], err));
	return tr_reserve_floats(&m->model, &m->ddrawn, R, m->H[m->L], err);
}

/* Layers 1..last of R rows; step = 0: what is latent has its mean. */
static void
forward(Auto *m, int R, int last, uint64_t step)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;

	for (int k = 1; k <= last; k++)
	{
		const float *w = p->value + m->weight[k];
		const float *bias = k == 2 * m->L && m->s.loss != AUTO_SQUARES ? NULL : p->value + m->bias[k];

		if (k == 1)
			b->ops->sparse_forward(b, m->layer[k].data, &m->x, w, bias, m->out[k], activation_of(m, k));
		else
			b->ops->dense_forward(b, m->layer[k].data, input_of(m, k), w, bias, R, m->in[k], m->out[k],
								  k == 2 * m->L ? TR_STORED_OI : TR_STORED_IO, activation_of(m, k));
		if (k == m->L && m->s.latent)
			b->ops->latent(b, m->drawn.data, m->layer[k].data, R, m->H[k], m->s.seed, step);
	}
}

/* The last layer becomes its gradient. */
static void
lose(Auto *m, int R)
{
	TrBackend  *b = m->model.backend;
	float	   *z = m->layer[2 * m->L].data;
	int64_t		bias = m->bias[2 * m->L];
	TrTagLoss	t = {.softmax = m->s.loss == AUTO_SOFTMAX, .logits = z, .targets = &m->y, .bias = m->p.value + bias,
	.dbias = tr_gradient(&m->p, bias), .scale = 1.0f / (float) R, .loss = m->p.loss};

	if (m->s.loss != AUTO_SQUARES)
	{
		b->ops->tag_loss(b, &t);
		return;
	}
	b->ops->squared_loss(b, z, &m->y, 1.0f / (float) R, m->p.loss);
	b->ops->activation_backward(b, z, tr_gradient(&m->p, bias), z, z, R, m->T, TR_LINEAR);
}

static void
backward(Auto *m, int R, uint64_t step, float divergence)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	float	   *dz = m->layer[2 * m->L].data;

	for (int k = 2 * m->L; k >= 1; k--)
	{
		bool		into_latent = m->s.latent && k == m->L + 1;
		float	   *dx = k == 1 ? NULL : into_latent ? m->ddrawn.data : m->gradient[k - 1].data;

		if (k < 2 * m->L)
			b->ops->activation_backward(b, dz, tr_gradient(p, m->bias[k]), dz, m->layer[k].data, R, m->out[k],
										activation_of(m, k));
		if (k == 1)
			b->ops->sparse_backward(b, tr_gradient(p, m->weight[k]), &m->x, dz, m->out[k]);
		else
			b->ops->dense_backward(b, dx, tr_gradient(p, m->weight[k]), dz, input_of(m, k), p->value + m->weight[k], R,
								   m->in[k], m->out[k], k == 2 * m->L ? TR_STORED_OI : TR_STORED_IO);
		if (into_latent)
			b->ops->latent_backward(b, m->gradient[m->L].data, m->ddrawn.data, m->layer[m->L].data, R, m->H[m->L],
									m->s.seed, step, divergence / (float) R, p->loss);
		dz = k == 1 ? NULL : m->gradient[k - 1].data;
	}
}

static TrStatus
step(Auto *m, int epoch, int32_t first, int R, TrError *err)
{
	TrBackend  *b = m->model.backend;
	double		share = m->s.warm_up > 0 ? fmin(1, epoch / m->s.warm_up) : 1;
	uint64_t	number = (uint64_t) m->p.steps + 1;

	TR_TRY(upload_rows(m, m->order + first, 0, R, epoch, err));
	TR_TRY(reserve(m, R, err));
	tr_begin_step(b);
	tr_parameters_start_step(&m->p, b);
	forward(m, R, 2 * m->L, number);
	lose(m, R);
	backward(m, R, number, (float) (m->s.divergence * share));
	tr_parameters_update(&m->p, b, tr_optimizer(m->s.optimizer, m->s.learning_rate, m->p.steps, m->s.regularization));
	tr_end_step(b);
	return TR_OK;
}

/* ------------------------------------------------------------------ arrays */

/* Array r of a side = (these numbers, the last one) */
static void
put_array(Auto *m, TrSide side, int32_t r, const float *values, float last)
{
	size_t		H = (size_t) m->H[1];
	float	   *array = m->arrays[side] + (size_t) r * (H + 1);

	memcpy(array, values, H * sizeof(float));
	array[H] = last;
}

static TrStatus
encode_rows(Auto *m, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		H = (size_t) m->H[1];
	int			last = 2 * m->L - 1;
	float	   *host = TR_NEW(&m->model, float, (size_t) m->s.batch * H);
	TrStatus	status = tr_enough_memory(&m->model, err, "an autoencoder");

	for (int32_t first = 0; status == TR_OK && first < m->N; first += m->s.batch)
	{
		int			R = m->N - first < m->s.batch ? m->N - first : m->s.batch;

		status = tr_poll(poll) ? TR_CANCELLED : upload_rows(m, NULL, first, R, 0, err);
		if (status == TR_OK)
			status = reserve(m, R, err);
		if (status != TR_OK)
			break;
		forward(m, R, last, 0);
		b->ops->download(b, host, m->layer[last].data, (size_t) R * H * sizeof(float));
		for (int i = 0; i < R; i++)
			put_array(m, m->s.rows, first + i, host + (size_t) i * H, 1);
	}
	tr_free(m->model.memory, host);
	return status == TR_OK ? b->ops->finish(b, err) : status;
}

/* The arrays of rows and columns; the columns' weights are on the host. */
static TrStatus
fill_arrays(Auto *m, const TrPoll *poll, TrError *err)
{
	TrSide		columns = m->s.rows == TR_USER ? TR_ITEM : TR_USER;
	const float *w = m->p.host + m->weight[2 * m->L];
	const float *bias = m->p.host + m->bias[2 * m->L];

	for (int32_t c = 0; c < m->T; c++)
		put_array(m, columns, c, w + (size_t) c * (size_t) m->H[1], bias[c]);
	return encode_rows(m, poll, err);
}

static TrStatus
download(Auto *m, TrError *err)
{
	TrBackend  *b = m->model.backend;

	b->ops->download(b, m->p.host, m->p.value, (size_t) m->p.size * sizeof(float));
	return b->ops->finish(b, err);
}

TrStatus
tr_auto_restored(TrModel *model, TrError *err)
{
	return model->dataset ? fill_arrays((Auto *) model, NULL, err) : TR_OK;
}

TrStatus
tr_auto_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Auto	   *m = (Auto *) model;
	TrBackend  *b = model->backend;
	int			batches = (m->n_order + m->s.batch - 1) / m->s.batch;
	double		sums[2];

	tr_shuffle(m->order, m->n_order, m->s.seed, epoch);
	tr_parameters_start_epoch(&m->p, b);
	for (int32_t first = 0; first < m->n_order; first += m->s.batch)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(step(m, epoch, first, m->n_order - first < m->s.batch ? m->n_order - first : m->s.batch, err));
	}
	TR_TRY(tr_parameters_end_epoch(&m->p, b, sums, err));
	TR_TRY(download(m, err));
	stats->loss = sums[0] / batches;
	stats->pairs = m->n_order;
	return fill_arrays(m, poll, err);
}

TrStatus
tr_auto_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	size_t		width = (size_t) model->width;

	(void) dataset, (void) err;
	memcpy(out, ((Auto *) model)->arrays[side] + (size_t) first * width, (size_t) n * width * sizeof(float));
	return TR_OK;
}
