/*
 * One epoch of dae_ptr: plan a step, forward, loss, backward, update.
 *
 * A step minimises the mean of its posts' losses + regularization / (2 N) (sum of the squared parameters), N posts in all:
 * over an epoch that is Eq. 11 and 12 divided by N. The weights of the prior's parts are not regularized.
 * Legend: see dae_ptr.h.
 */
#include "models/dae_ptr.h"

/* ------------------------------------------------------------------ upload */

/* Three for the input, its slots and touched rows, three for the targets and for each part. */
#define MOST_PIECES (3 + 2 + 3 + 3 * DAE_PARTS)

/* The batch in backend memory. */
typedef struct DeviceBatch
{
	TrCsr		input;			/* (R,F) */
	TrCsr		compact;		/* (R,touched): the input without the rows of the table that it does not name */
	TrCsr		targets;		/* (R,T) */
	TrCsr		part[DAE_PARTS];	/* (R,T) */
	int32_t    *touched;
} DeviceBatch;

static TrStatus
upload_batch(Dae *m, DeviceBatch *d, TrError *err)
{
	const DaeBatch *b = &m->batch;
	TrPiece		piece[MOST_PIECES];
	int32_t    *slot = NULL;
	int			n = tr_rows_pieces(piece, &d->input, &slot, &b->input, m->layout.rows);

	n += tr_rows_pieces(piece + n, &d->targets, NULL, &b->targets, m->layout.T);
	for (int j = 0; j < m->layout.parts; j++)
		n += tr_rows_pieces(piece + n, &d->part[j], NULL, &b->part[j], m->layout.T);
	if (m->options.touched_rows)
		piece[n++] = (TrPiece) {(void **) &d->touched, b->touched.index, (size_t) b->touched.n * sizeof(int32_t)};
	TR_TRY(tr_upload(&m->model, &m->upload, piece, n, err));
	d->compact = d->input;
	if (m->options.touched_rows)
	{
		d->compact.cols = b->touched.n;
		d->compact.col = slot;
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ step */

/* hidden (R,K) = g(W y~ + p_u + q_i + b); returns what the decoder reads */
static const float *
forward(Dae *m, const DeviceBatch *d)
{
	const DaeLayout *l = &m->layout;
	const DaeOptions *o = &m->options;
	TrBackend  *b = m->model.backend;

	b->ops->sparse_forward(b, m->hidden.data, &d->input, m->parameters, m->parameters + l->hidden_bias, l->K,
						   dae_activation(m));
	if (o->dropout == 0)
		return m->hidden.data;
	b->ops->dropout(b, m->dropped.data, m->hidden.data, (int64_t) d->input.rows * l->K, (float) o->dropout, o->seed,
					(uint64_t) m->steps);
	return m->dropped.data;
}

/* gradient of a parameter behind the table */
static float *
gradient_of(const Dae *m, int64_t parameter)
{
	return m->gradient + (parameter - m->layout.hidden_bias);
}

/* logits (R,T) = W' z + b' and the prior's parts; then their loss and its gradient */
static void
decode(Dae *m, const DeviceBatch *d, const float *z)
{
	const DaeLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	TrTagLoss	loss = {
		.softmax = m->options.loss == DAE_SOFTMAX, .logits = m->logits.data, .targets = &d->targets,
		.bias = m->parameters + l->tag_bias, .dbias = gradient_of(m, l->tag_bias), .parts = l->parts,
		.part_weight = m->parameters + l->prior, .dpart_weight = gradient_of(m, l->prior),
		.scale = 1.0f / (float) d->input.rows, .loss = m->loss
	};

	for (int j = 0; j < l->parts; j++)
		loss.part[j] = d->part[j];
	b->ops->dense_forward(b, m->logits.data, z, m->parameters + l->decoder, NULL, d->input.rows, l->K, l->T, TR_STORED_OI,
						  TR_LINEAR);
	b->ops->tag_loss(b, &loss);
}

static void
backward(Dae *m, const DeviceBatch *d, const float *z)
{
	const DaeLayout *l = &m->layout;
	const DaeOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	int			R = d->input.rows;
	float	   *dz = m->hidden_grad.data;

	b->ops->dense_backward(b, dz, gradient_of(m, l->decoder), m->logits.data, z, m->parameters + l->decoder, R, l->K, l->T,
						   TR_STORED_OI);
	if (o->dropout > 0)
		b->ops->dropout(b, dz, dz, (int64_t) R * l->K, (float) o->dropout, o->seed, (uint64_t) m->steps);
	b->ops->activation_backward(b, dz, gradient_of(m, l->hidden_bias), dz, m->hidden.data, R, l->K, dae_activation(m));
	b->ops->zero(b, m->table_grad.data, (size_t) d->compact.cols * (size_t) l->K * sizeof(float));
	b->ops->sparse_backward(b, m->table_grad.data, &d->compact, dz, l->K);
}

/* Parameters from..end-1, all behind the table */
static void
update_tail(Dae *m, const TrOptimizer *o, int64_t from, int64_t end)
{
	m->model.backend->ops->update(m->model.backend, o, m->parameters + from, gradient_of(m, from),
								  m->moment1 ? m->moment1 + from : NULL, m->moment2 ? m->moment2 + from : NULL, end - from);
}

static void
update(Dae *m, const DeviceBatch *d)
{
	const DaeLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	TrOptimizer optimizer = {
		.kind = m->options.optimizer == DAE_ADAM ? TR_ADAM : TR_SGD, .rate = (float) m->rate,
		.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .step = m->steps,
		.decay = (float) (m->options.regularization / 2 / m->dataset->n_posts)
	};

	if (m->options.touched_rows)
		b->ops->update_rows(b, &optimizer, m->parameters, m->table_grad.data, m->moment1, m->moment2, d->touched,
							d->compact.cols, l->K);
	else
		b->ops->update(b, &optimizer, m->parameters, m->table_grad.data, m->moment1, m->moment2, l->hidden_bias);
	update_tail(m, &optimizer, l->hidden_bias, l->prior);
	optimizer.decay = 0;
	if (l->parts > 0)
		update_tail(m, &optimizer, l->prior, l->size);
}

static TrStatus
reserve_step(Dae *m, int R, int table_rows, TrError *err)
{
	const DaeLayout *l = &m->layout;

	TR_TRY(tr_reserve_floats(&m->model, &m->hidden, R, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->dropped, m->options.dropout > 0 ? R : 0, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->hidden_grad, R, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->logits, R, l->T, err));
	return tr_reserve_floats(&m->model, &m->table_grad, table_rows, l->K, err);
}

static TrStatus
train_step(Dae *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DeviceBatch d;
	const float *z;

	TR_TRY(upload_batch(m, &d, err));
	TR_TRY(reserve_step(m, d.input.rows, d.compact.cols, err));
	m->steps++;
	b->ops->zero(b, m->gradient, (size_t) (m->layout.size - m->layout.hidden_bias) * sizeof(float));
	z = forward(m, &d);
	decode(m, &d, z);
	backward(m, &d, z);
	update(m, &d);
	return TR_OK;
}

static double
epoch_rate(const Dae *m, int epoch)
{
	double		rate = m->options.learning_rate;

	if (m->options.decay == DAE_LINEAR && m->model.epochs > 0)
		rate *= 1 - (epoch - 0.5) / m->model.epochs;
	return rate;
}

TrStatus
dae_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;
	double		sums[2];
	int64_t		steps = 0;
	bool		more;

	b->ops->zero(b, m->loss, sizeof(sums));
	b->ops->sum_squares(b, m->loss + 1, m->parameters, m->layout.prior, 1.0f);
	m->rate = epoch_rate(m, epoch);
	dae_plan_epoch(m, epoch);
	for (;;)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(dae_plan_step(m, &more, err));
		if (!more)
			break;
		stats->pairs += m->batch.posts;
		if (m->batch.rows == 0)
			continue;
		tr_begin_step(b);
		TR_TRY(train_step(m, err));
		tr_end_step(b);
		steps++;
	}
	b->ops->download(b, sums, m->loss, sizeof(sums));
	TR_TRY(b->ops->finish(b, err));
	stats->loss = (steps > 0 ? sums[0] / (double) steps : 0)
		+ m->options.regularization / 2 * sums[1] / m->dataset->n_posts;
	return TR_OK;
}
