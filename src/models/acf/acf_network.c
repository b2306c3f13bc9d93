/*
 * The autoencoder of acf: parameters, rows of profiles, forward and backward passes, an epoch.
 * Legend: see acf.h.
 */
#include <math.h>

#include "core/rng.h"
#include "models/acf/acf.h"
#include "models/nn/rows.h"

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
	return tr_upload(&m->model, &to->upload, pieces, tr_rows_pieces(pieces, &to->csr, NULL, &to->rows, m->stack.dim[0]), err);
}

TrStatus
acf_encode(Acf *m, const TrProfiles *profiles, float *out, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		D = (size_t) m->stack.dim[m->stack.K];

	for (int32_t first = 0; first < profiles->rows; first += m->batch)
	{
		int			n = profiles->rows - first < m->batch ? profiles->rows - first : m->batch;
		Selection	s = {.profiles = profiles, .first = first, .n = n};

		TR_TRY(take_rows(m, &m->input, &s, err));
		TR_TRY(tr_stack_encode(&m->stack, &m->p, &m->model, &m->input.csr, 1, err));
		b->ops->download(b, out + (size_t) first * D, m->stack.hidden[m->stack.K].data, (size_t) n * D * sizeof(float));
	}
	return b->ops->finish(b, err);
}

/* ------------------------------------------------------------------ an epoch */

static TrStatus
train_step(Acf *m, const TrProfiles *users, int epoch, int32_t first, int R, TrError *err)
{
	const AcfOptions *o = &m->options;
	TrModel    *model = &m->model;
	TrBackend  *b = model->backend;
	TrStack    *l = &m->stack;
	Selection	s = {.profiles = users, .row = m->order + first, .n = R, .dropout = o->dropout, .epoch = (uint64_t) epoch};

	TR_TRY(take_rows(m, &m->input, &s, err));
	s.dropout = 0;
	if (o->dropout > 0)
		TR_TRY(take_rows(m, &m->target, &s, err));
	tr_parameters_start_step(&m->p, b);
	TR_TRY(tr_stack_encode(l, &m->p, model, &m->input.csr, 1, err));
	TR_TRY(tr_stack_decode(l, &m->p, model, R, R, err));
	tr_stack_output(l, &m->p, b, 0, o->dropout > 0 ? &m->target.csr : &m->input.csr, R, m->ones, true, 1 / (float) R, R);
	tr_stack_decode_backward(l, &m->p, b, R);
	TR_TRY(tr_stack_reserve_grad(l, model, R, err));
	tr_stack_encode_backward(l, &m->p, model, &m->input.csr, 1, l->decoded_grad[l->K].data);
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
