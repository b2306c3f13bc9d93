/*
 * One epoch of abnt: plan a step, forward, loss, backward, update.
 *
 * A step minimises the mean of its posts' losses + regularization / (2 N) (sum of the squared parameters), N posts in all.
 * It moves the vectors of the users, items and tags of its batch alone. Legend: see abnt.h.
 */
#include "models/abnt/abnt.h"

/* ------------------------------------------------------------------ upload */

#define MOST_PIECES (12 + TR_TAG_SAMPLE_PIECES)

/* Sparse rows in backend memory; over the whole table, and over the touched rows alone. */
typedef struct DeviceRows
{
	TrCsr		full;
	TrCsr		compact;
} DeviceRows;

typedef struct DeviceBatch
{
	int			R;
	int			C;				/* tags of the softmax */
	DeviceRows	sequence;
	DeviceRows	ids;
	TrCsr		targets;
	int32_t    *touched;
} DeviceBatch;

static void
finish_compact(DeviceRows *rows, int32_t cols)
{
	int32_t    *slot = rows->compact.col;

	rows->compact = rows->full;
	rows->compact.cols = cols;
	rows->compact.col = slot;
}

static TrStatus
upload_batch(Abnt *m, DeviceBatch *d, TrError *err)
{
	const AbntBatch *b = &m->batch;
	TrPiece		piece[MOST_PIECES];
	int			n = tr_rows_pieces(piece, &d->sequence.full, &d->sequence.compact.col, &b->sequence, m->layout.rows);

	d->R = b->rows;
	d->C = tr_tag_sampled(&m->sample) ? m->sample.n : m->layout.T;
	n += tr_rows_pieces(piece + n, &d->ids.full, &d->ids.compact.col, &b->ids, m->layout.rows);
	n += tr_rows_pieces(piece + n, &d->targets, NULL, &b->targets, d->C);
	if (tr_tag_sampled(&m->sample))
		n += tr_tag_sample_pieces(piece + n, &m->sample);
	piece[n++] = (TrPiece) {(void **) &d->touched, b->touched.index, (size_t) b->touched.n * sizeof(int32_t)};
	TR_TRY(tr_upload(&m->model, &m->upload, piece, n, err));
	finish_compact(&d->sequence, b->touched.n);
	finish_compact(&d->ids, b->touched.n);
	return TR_OK;
}

/* ------------------------------------------------------------------ rows that change places */

/*
 * What stands part by part, (parts R,D), stands post by post, (R,parts D), for a layer: a permutation of rows of width D.
 * For all parts, there and back; for the ids alone the same, and 0, 1, … to add by.
 */
typedef struct Moves
{
	const int32_t *join;		/* (3R) */
	const int32_t *split;		/* (3R) */
	const int32_t *join_ids;	/* (2R) */
	const int32_t *split_ids;	/* (2R) */
	const int32_t *count;		/* (2R) */
} Moves;

static Moves
moves_of(const Abnt *m, int R)
{
	const int32_t *at = m->moves.data;

	return (Moves) {at, at + 3 * R, at + 6 * R, at + 8 * R, at + 10 * R};
}

static void
fill_moves(int32_t *join, int32_t *split, int R, int parts)
{
	for (int r = 0; r < R; r++)
		for (int k = 0; k < parts; k++)
		{
			join[r * parts + k] = k * R + r;
			split[k * R + r] = r * parts + k;
		}
}

static TrStatus
prepare_moves(Abnt *m, int R, TrError *err)
{
	size_t		bytes = 12 * (size_t) R * sizeof(int32_t);
	int32_t    *host;

	if (m->moves_rows == R)
		return TR_OK;
	TR_TRY(tr_reserve(&m->model, &m->moves, bytes, err));
	host = tr_alloc(m->model.memory, bytes);
	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
	fill_moves(host, host + 3 * R, R, ABNT_PARTS);
	fill_moves(host + 6 * R, host + 8 * R, R, ABNT_PARTS - 1);
	for (int i = 0; i < 2 * R; i++)
		host[10 * R + i] = i;
	m->model.backend->ops->upload(m->model.backend, m->moves.data, host, bytes);
	tr_free(m->model.memory, host);
	m->moves_rows = R;
	return TR_OK;
}

/* ------------------------------------------------------------------ forward */

/* parts (3R,D) from part k on */
static float *
part_of(const TrBuffer *parts, const Abnt *m, int R, int k)
{
	return (float *) parts->data + (size_t) k * R * m->layout.D;
}

/* The users' and items' vectors, what they ask, and what attention answers: parts (3R,D) */
static void
attend(Abnt *m, const DeviceBatch *d)
{
	const AbntLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	TrCsr		mixed = d->sequence.full;
	Moves		moves = moves_of(m, d->R);

	b->ops->sparse_forward(b, part_of(&m->parts, m, d->R, ABNT_USER), &d->ids.full, m->p.value, NULL, l->D, TR_LINEAR);
	b->ops->gather_rows(b, m->ids.data, part_of(&m->parts, m, d->R, ABNT_USER), moves.join_ids, 2 * d->R, l->D);
	b->ops->dense_forward(b, m->query.data, m->ids.data, m->p.value + l->query, m->p.value + l->query_bias, d->R,
						  2 * l->D, l->D, TR_STORED_IO, TR_TANH);
	b->ops->attention_weights(b, m->weight.data, &d->sequence.full, m->query.data, m->p.value, l->D, abnt_scale(l));
	mixed.val = m->weight.data;
	b->ops->sparse_forward(b, part_of(&m->parts, m, d->R, ABNT_CONTEXT), &mixed, m->p.value, NULL, l->D, TR_LINEAR);
}

/* Dropout of one layer's values, or of their gradient: steps and layers draw their own numbers. */
static void
drop(Abnt *m, float *out, const float *in, int R, int layer)
{
	m->model.backend->ops->dropout(m->model.backend, out, in, (int64_t) R * m->layout.width[layer],
								   (float) m->options.dropout, m->options.seed,
								   (uint64_t) m->p.steps * (TR_MAX_INTS + 1) + (uint64_t) layer);
}

/* What the next layer reads. */
static const float *
output_of(const Abnt *m, int layer)
{
	return layer > 0 && m->options.dropout > 0 ? m->dropped[layer].data : m->value[layer].data;
}

static void
climb(Abnt *m, int R)
{
	const AbntLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;

	b->ops->gather_rows(b, m->value[0].data, m->parts.data, moves_of(m, R).join, ABNT_PARTS * R, l->D);
	for (int i = 0; i < l->layers; i++)
	{
		b->ops->dense_forward(b, m->value[i + 1].data, output_of(m, i), m->p.value + l->layer[i],
							  m->p.value + l->layer_bias[i], R, l->width[i], l->width[i + 1], TR_STORED_IO,
							  abnt_activation(&m->options));
		if (m->options.dropout > 0)
			drop(m, m->dropped[i + 1].data, m->value[i + 1].data, R, i + 1);
	}
}

/* What the softmax is over: all tags, or the candidates. */
static const float *
decoder_of(const Abnt *m)
{
	return tr_tag_sampled(&m->sample) ? m->sample.rows.data : m->p.value + m->layout.decoder;
}

/* logits (R,C); then their loss and its gradient */
static void
decode(Abnt *m, const DeviceBatch *d)
{
	const AbntLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	int			H = abnt_last_width(l);
	TrTagLoss	loss = {
		.softmax = true, .logits = m->logits.data, .targets = &d->targets, .bias = m->p.value + l->tag_bias,
		.dbias = tr_gradient(&m->p, l->tag_bias), .scale = 1.0f / (float) d->R, .loss = m->p.loss
	};

	if (tr_tag_sampled(&m->sample))
	{
		tr_tag_sample_gather(&m->sample, &m->p, b, l->decoder, l->tag_bias, H);
		loss.bias = m->sample.bias.data;
		loss.dbias = tr_tag_sample_bias_grad(&m->sample);
	}
	b->ops->dense_forward(b, m->logits.data, output_of(m, l->layers), decoder_of(m), NULL, d->R, H, d->C, TR_STORED_OI,
						  TR_LINEAR);
	b->ops->tag_loss(b, &loss);
	if (tr_tag_sampled(&m->sample))
		tr_tag_sample_scatter(&m->sample, &m->p, b, l->tag_bias);
}

/* ------------------------------------------------------------------ backward */

/* From the logits' gradient to that of the parts */
static void
descend(Abnt *m, int R, int C)
{
	const AbntLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	float	   *ddecoder = tr_tag_sampled(&m->sample) ? m->sample.rows_grad.data : tr_gradient(&m->p, l->decoder);

	b->ops->dense_backward(b, m->value_grad[l->layers].data, ddecoder, m->logits.data, output_of(m, l->layers),
						   decoder_of(m), R, abnt_last_width(l), C, TR_STORED_OI);
	for (int i = l->layers - 1; i >= 0; i--)
	{
		float	   *dz = m->value_grad[i + 1].data;

		if (m->options.dropout > 0)
			drop(m, dz, dz, R, i + 1);
		b->ops->activation_backward(b, dz, tr_gradient(&m->p, l->layer_bias[i]), dz, m->value[i + 1].data, R,
									l->width[i + 1], abnt_activation(&m->options));
		b->ops->dense_backward(b, m->value_grad[i].data, tr_gradient(&m->p, l->layer[i]), dz, output_of(m, i),
							   m->p.value + l->layer[i], R, l->width[i], l->width[i + 1], TR_STORED_IO);
	}
	b->ops->gather_rows(b, m->parts_grad.data, m->value_grad[0].data, moves_of(m, R).split, ABNT_PARTS * R, l->D);
}

/* From the parts' gradient to that of the touched rows of the table, and of the query's layer */
static void
look_back(Abnt *m, const DeviceBatch *d)
{
	const AbntLayout *l = &m->layout;
	TrBackend  *b = m->model.backend;
	Moves		moves = moves_of(m, d->R);
	float	   *dcontext = part_of(&m->parts_grad, m, d->R, ABNT_CONTEXT);
	float	   *dids = part_of(&m->parts_grad, m, d->R, ABNT_USER);
	TrCsr		scores = d->sequence.full;
	TrCsr		compact = d->sequence.compact;

	b->ops->attention_backward(b, m->score_grad.data, &d->sequence.full, m->weight.data, dcontext, m->p.value, l->D,
							   abnt_scale(l));
	scores.val = m->score_grad.data;
	b->ops->sparse_forward(b, m->query_grad.data, &scores, m->p.value, NULL, l->D, TR_LINEAR);
	b->ops->activation_backward(b, m->query_grad.data, tr_gradient(&m->p, l->query_bias), m->query_grad.data, m->query.data,
								d->R, l->D, TR_TANH);
	b->ops->dense_backward(b, m->ids_grad.data, tr_gradient(&m->p, l->query), m->query_grad.data, m->ids.data,
						   m->p.value + l->query, d->R, 2 * l->D, l->D, TR_STORED_IO);
	b->ops->scatter_rows(b, dids, moves.count, m->ids_grad.data, moves.split_ids, 2 * d->R, l->D, 1);
	b->ops->zero(b, m->table_grad.data, (size_t) compact.cols * (size_t) l->D * sizeof(float));
	b->ops->sparse_backward(b, m->table_grad.data, &d->ids.compact, dids, l->D);
	compact.val = m->weight.data;
	b->ops->sparse_backward(b, m->table_grad.data, &compact, dcontext, l->D);
	compact.val = m->score_grad.data;
	b->ops->sparse_backward(b, m->table_grad.data, &compact, m->query.data, l->D);
}

/* ------------------------------------------------------------------ step */

static void
update(Abnt *m, const DeviceBatch *d)
{
	const AbntOptions *o = &m->options;
	TrOptimizer optimizer = tr_optimizer(o->optimizer, o->learning_rate, m->p.steps,
										 o->regularization / 2 / m->model.dataset->n_posts);

	tr_parameters_update_rows(&m->p, m->model.backend, &optimizer, m->table_grad.data, d->touched, d->sequence.compact.cols,
							  m->layout.D);
	if (!tr_tag_sampled(&m->sample))
	{
		tr_parameters_update(&m->p, m->model.backend, optimizer);
		return;
	}
	tr_tag_sample_update(&m->sample, &m->p, m->model.backend, &optimizer, m->layout.decoder, abnt_last_width(&m->layout));
	tr_parameters_update_but(&m->p, m->model.backend, optimizer, m->layout.decoder, m->layout.tag_bias);
}

static TrStatus
reserve_step(Abnt *m, const DeviceBatch *d, TrError *err)
{
	const AbntLayout *l = &m->layout;

	TR_TRY(prepare_moves(m, d->R, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->weight, d->sequence.full.capacity, 1, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->score_grad, d->sequence.full.capacity, 1, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->parts, ABNT_PARTS * (int64_t) d->R, l->D, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->parts_grad, ABNT_PARTS * (int64_t) d->R, l->D, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->ids, 2 * (int64_t) d->R, l->D, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->ids_grad, 2 * (int64_t) d->R, l->D, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->query, d->R, l->D, err));
	TR_TRY(tr_reserve_floats(&m->model, &m->query_grad, d->R, l->D, err));
	for (int i = 0; i <= l->layers; i++)
	{
		TR_TRY(tr_reserve_floats(&m->model, &m->value[i], d->R, l->width[i], err));
		TR_TRY(tr_reserve_floats(&m->model, &m->dropped[i], m->options.dropout > 0 && i > 0 ? d->R : 0, l->width[i], err));
		TR_TRY(tr_reserve_floats(&m->model, &m->value_grad[i], d->R, l->width[i], err));
	}
	TR_TRY(tr_reserve_floats(&m->model, &m->logits, d->R, d->C, err));
	if (tr_tag_sampled(&m->sample))
		TR_TRY(tr_tag_sample_reserve(&m->sample, &m->model, abnt_last_width(l), err));
	return tr_reserve_floats(&m->model, &m->table_grad, d->sequence.compact.cols, l->D, err);
}

static TrStatus
train_step(Abnt *m, TrError *err)
{
	DeviceBatch d;

	TR_TRY(upload_batch(m, &d, err));
	TR_TRY(reserve_step(m, &d, err));
	if (tr_tag_sampled(&m->sample))
		tr_parameters_start_step_but(&m->p, m->model.backend, m->layout.decoder, m->layout.tag_bias);
	else
		tr_parameters_start_step(&m->p, m->model.backend);
	attend(m, &d);
	climb(m, d.R);
	decode(m, &d);
	descend(m, d.R, d.C);
	look_back(m, &d);
	update(m, &d);
	return TR_OK;
}

TrStatus
abnt_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	TrBackend  *b = model->backend;
	double		sums[2];
	int64_t		steps = 0;

	tr_parameters_start_epoch(&m->p, b);
	abnt_plan_epoch(m, epoch);
	for (;; steps++)
	{
		if (tr_poll_at(poll, "posts", stats->pairs, model->dataset->n_posts))
			return TR_CANCELLED;
		TR_TRY(abnt_plan_step(m, epoch, err));
		if (m->batch.rows == 0)
			break;
		stats->pairs += m->batch.rows;
		tr_begin_step(b);
		TR_TRY(train_step(m, err));
		tr_end_step(b);
	}
	TR_TRY(tr_parameters_end_epoch(&m->p, b, sums, err));
	stats->loss = (steps > 0 ? sums[0] / (double) steps : 0)
		+ m->options.regularization / 2 * sums[1] / m->model.dataset->n_posts;
	return TR_OK;
}
