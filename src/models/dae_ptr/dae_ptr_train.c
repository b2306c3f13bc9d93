/*
 * One epoch of dae_ptr: plan a step, forward, loss, backward, update.
 *
 * A step minimises the mean of its posts' losses + regularization / (2 N) (sum of the squared parameters), N posts in all:
 * over an epoch that is Eq. 11 and 12 divided by N. Two other readings of the paper have the step's posts, or 1, in place
 * of N. The weights of the prior's parts are not regularized. Legend: see dae_ptr.h.
 */
#include <math.h>

#include "models/dae_ptr/dae_ptr.h"

/* ------------------------------------------------------------------ upload */

/* Three for the input, its slots and touched rows, three for the targets and for each part. */
#define MOST_PIECES (3 + 2 + 3 + 3 * DAE_PARTS + TR_TAG_SAMPLE_PIECES)

/* The batch in backend memory. */
typedef struct DeviceBatch
{
	TrCsr		input;			/* (R,F) */
	TrCsr		compact;		/* (R,touched): the input without the rows of the table that it does not name */
	TrCsr		targets;		/* (R,T) */
	TrCsr		part[DAE_PARTS];	/* (R,T) */
	int32_t    *touched;
	int			C;				/* tags of the softmax */
} DeviceBatch;

static TrStatus
upload_batch(Dae *m, DeviceBatch *d, TrError *err)
{
	const DaeBatch *b = &m->batch;
	const DaeRows *rows = b->rows;
	TrPiece		piece[MOST_PIECES];
	int32_t    *slot = NULL;
	int			n = tr_rows_pieces(piece, &d->input, &slot, &rows->input, m->layout.rows);

	d->C = tr_tag_sampled(&m->sample) ? m->sample.n : m->layout.T;
	n += tr_rows_pieces(piece + n, &d->targets, NULL, &rows->targets, d->C);
	for (int j = 0; j < m->layout.parts; j++)
		n += tr_rows_pieces(piece + n, &d->part[j], NULL, &rows->part[j], d->C);
	if (tr_tag_sampled(&m->sample))
		n += tr_tag_sample_pieces(piece + n, &m->sample);
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

	b->ops->sparse_forward(b, m->hidden.data, &d->input, m->p.value, m->p.value + l->hidden_bias, l->K,
						   dae_activation(m));
	if (o->dropout == 0)
		return m->hidden.data;
	b->ops->dropout(b, m->dropped.data, m->hidden.data, (int64_t) d->input.rows * l->K, (float) o->dropout, o->seed,
					(uint64_t) m->p.steps);
	return m->dropped.data;
}

/* What the softmax is over: all tags, or the candidates. */
static const float *
decoder_of(const Dae *m)
{
	return tr_tag_sampled(&m->sample) ? m->sample.rows.data : m->p.value + m->layout.decoder;
}

/* logits (R,C) = W' z + b' and the prior's parts; then their loss and its gradient */
static void
decode(Dae *m, const DeviceBatch *d, const float *z)
{
	const DaeLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	TrTagLoss	loss = {
		.softmax = m->options.loss == DAE_SOFTMAX, .logits = m->logits.data, .targets = &d->targets,
		.bias = m->p.value + l->tag_bias, .dbias = tr_gradient(&m->p, l->tag_bias), .parts = l->parts,
		.part_weight = m->p.value + l->prior, .dpart_weight = tr_gradient(&m->p, l->prior),
		.scale = 1.0f / (float) d->input.rows, .loss = m->p.loss
	};

	for (int j = 0; j < l->parts; j++)
		loss.part[j] = d->part[j];
	if (tr_tag_sampled(&m->sample))
	{
		tr_tag_sample_gather(&m->sample, &m->p, b, l->decoder, l->tag_bias, l->K);
		loss.bias = m->sample.bias.data;
		loss.dbias = tr_tag_sample_bias_grad(&m->sample);
	}
	b->ops->dense_forward(b, m->logits.data, z, decoder_of(m), NULL, d->input.rows, l->K, d->C, TR_STORED_OI, TR_LINEAR);
	b->ops->tag_loss(b, &loss);
	if (tr_tag_sampled(&m->sample))
		tr_tag_sample_scatter(&m->sample, &m->p, b, l->tag_bias);
}

static void
backward(Dae *m, const DeviceBatch *d, const float *z)
{
	const DaeLayout *l = &m->layout;
	const DaeOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	int			R = d->input.rows;
	float	   *dz = m->hidden_grad.data;
	float	   *ddecoder = tr_tag_sampled(&m->sample) ? m->sample.rows_grad.data : tr_gradient(&m->p, l->decoder);

	b->ops->dense_backward(b, dz, ddecoder, m->logits.data, z, decoder_of(m), R, l->K, d->C, TR_STORED_OI);
	if (o->dropout > 0)
		b->ops->dropout(b, dz, dz, (int64_t) R * l->K, (float) o->dropout, o->seed, (uint64_t) m->p.steps);
	b->ops->activation_backward(b, dz, tr_gradient(&m->p, l->hidden_bias), dz, m->hidden.data, R, l->K, dae_activation(m));
	b->ops->zero(b, m->table_grad.data, (size_t) d->compact.cols * (size_t) l->K * sizeof(float));
	b->ops->sparse_backward(b, m->table_grad.data, &d->compact, dz, l->K);
}

/* What half the squared parameters are weighed by, in a mini-batch of so many posts. */
static double
penalty(const Dae *m, double posts)
{
	switch ((DaePenalty) m->options.penalty)
	{
		case DAE_PER_BATCH:
			return m->options.regularization / posts;
		case DAE_PER_POST:
			return m->options.regularization;
		default:
			return m->options.regularization / m->model.dataset->n_posts;
	}
}

static void
update(Dae *m, const DeviceBatch *d)
{
	const DaeOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	TrOptimizer optimizer = tr_optimizer(o->optimizer, m->rate, m->p.steps, penalty(m, d->input.rows) / 2);

	if (o->touched_rows)
		tr_parameters_update_rows(&m->p, b, &optimizer, m->table_grad.data, d->touched, d->compact.cols, m->layout.K);
	else
		b->ops->update(b, &optimizer, m->p.value, m->table_grad.data, m->p.moment1, m->p.moment2, m->p.dense);
	if (!tr_tag_sampled(&m->sample))
	{
		tr_parameters_update(&m->p, b, optimizer);
		return;
	}
	tr_tag_sample_update(&m->sample, &m->p, b, &optimizer, m->layout.decoder, m->layout.K);
	tr_parameters_update_but(&m->p, b, optimizer, m->layout.decoder, m->layout.tag_bias);
}

static TrStatus
reserve_step(Dae *m, int R, int C, int table_rows, TrError *err)
{
	const DaeLayout *l = &m->layout;

	TR_TRY(tr_reserve_floats(&m->model, &m->hidden, R, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->dropped, m->options.dropout > 0 ? R : 0, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->hidden_grad, R, l->K, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->logits, R, C, err));
	if (tr_tag_sampled(&m->sample))
		TR_TRY(tr_tag_sample_reserve(&m->sample, &m->model, l->K, err));
	return tr_reserve_floats(&m->model, &m->table_grad, table_rows, l->K, err);
}

static TrStatus
train_step(Dae *m, TrError *err)
{
	DeviceBatch d;
	const float *z;

	TR_TRY(upload_batch(m, &d, err));
	TR_TRY(reserve_step(m, d.input.rows, d.C, d.compact.cols, err));
	if (tr_tag_sampled(&m->sample))
		tr_parameters_start_step_but(&m->p, m->model.backend, m->layout.decoder, m->layout.tag_bias);
	else
		tr_parameters_start_step(&m->p, m->model.backend);
	z = forward(m, &d);
	decode(m, &d, z);
	backward(m, &d, z);
	update(m, &d);
	return TR_OK;
}

TrStatus
dae_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;
	double		sums[2];
	int64_t		steps = 0;
	bool		more;

	tr_parameters_start_epoch(&m->p, b);
	m->rate = tr_epoch_rate(model, m->options.learning_rate, m->options.decay == DAE_LINEAR, epoch);
	if (dae_has_neighbours(m))
		TR_TRY(tr_tag_neighbours_find(&m->neighbours, b, poll));
	dae_plan_epoch(m, epoch);
	for (;;)
	{
		if (tr_poll_at(poll, "posts", m->next - m->first, m->end - m->first))
			return TR_CANCELLED;
		TR_TRY(dae_plan_step(m, &more, err));
		if (!more)
			break;
		stats->pairs += m->batch.posts;
		if (m->batch.rows->rows == 0)
			continue;
		tr_begin_step(b);
		TR_TRY(train_step(m, err));
		tr_end_step(b);
		steps++;
	}
	TR_TRY(tr_parameters_end_epoch(&m->p, b, sums, err));
	stats->loss = (steps > 0 ? sums[0] / (double) steps : 0)
		+ penalty(m, (double) stats->pairs / fmax((double) steps, 1)) / 2 * sums[1];
	return TR_OK;
}
