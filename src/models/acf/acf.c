/*
 * acf: an autoencoder over the tag profiles of users, and the items of the users nearest in its narrowest layer. See acf.h.
 * Legend: see acf.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/acf/acf.h"

#define OPTION(field) offsetof(AcfOptions, field)

static const TrOption option_rows[] = {
	{"layers", TR_OPTION_INTS, OPTION(layers), "128", 1, 65536, NULL,
	"sizes of the encoder's layers; the decoder mirrors them"},
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), "log_tfidf", 0, 0, tr_weighting_names,
	"weighting of tag counts in profiles"},
	{"dropout", TR_OPTION_REAL, OPTION(dropout), "0.5", 0, 0.99, NULL,
	"dropout rate of a profile's tags in training; the full profile is reconstructed"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0", 0, 1000, NULL,
	"L2 strength: weight of the squared parameters in the loss"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.001", 1e-9, 1000, NULL,
	"learning rate; gradients are averaged over the users of a mini-batch"},
	{"batch", TR_OPTION_INT, OPTION(batch), "128", 1, 1000000, NULL,
	"mini-batch size, in users"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "100", 0, 1e9, NULL,
	"maximum number of nearest users, by cosine, whose items are recommended; 0 = all"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "20", 1, 100000, NULL,
	"maximum number of passes over the users"},
};

static const TrOptionSet options = TR_OPTION_SET(option_rows, AcfOptions);

static size_t
estimate(const TrShape *shape, const void *values)
{
	const AcfOptions *o = values;
	TrParameters p = {0};
	TrStack		l;
	double		R = o->batch < shape->n_users ? o->batch : shape->n_users;
	double		entries = R * fmin(shape->n_tags, (double) shape->n_assignments);
	double		widths = 0;
	double		D;

	tr_stack_layout(&l, &p, &o->layers, shape->n_tags, 0, 1, true);
	D = l.dim[l.K];
	for (int k = 1; k <= l.K; k++)
		widths += l.dim[k];
	entries = fmin(entries, (double) shape->n_assignments);
	/*
	 * Parameters: in use, gradient, moments, on the host, saved, the best ones. A batch: layers, and rows, four times.
	 * Users: saved, the best ones.
	 */
	return (size_t) (sizeof(float) * (7.0 * p.size + R * (3 * widths + shape->n_tags + D) + 8 * 1.25 * entries
									  + 2 * D * shape->n_users))
		+ tr_user_neighbours_estimate(shape->n_users, D, shape->n_items);
}

/* ------------------------------------------------------------------ life */

/* idf (T), the users with a profile, the first parameters */
static TrStatus
fill(Acf *m, TrError *err)
{
	TrModel    *model = &m->model;
	const TrDataset *d = model->dataset;

	tr_dataset_idf(m->idf, d);
	m->order = TR_NEW(model, int32_t, d->n_users);
	TR_TRY(tr_enough_memory(model, err, "%d users", d->n_users));
	for (int32_t u = 0; u < d->n_users; u++)
		if (d->user.entry_ptr[u + 1] > d->user.entry_ptr[u])
			m->order[m->n_order++] = u;
	if (m->n_order == 0)
		return tr_fail(err, TR_BAD_DATA, "nothing to reconstruct: no user has a tag");
	return tr_user_neighbours_create(&m->neighbours, model, d->n_users, m->stack.dim[m->stack.K], m->options.neighbours,
									 err);
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Acf		   *m = (Acf *) model;
	const AcfOptions *o = model->options;
	int32_t		users = model->dataset ? model->dataset->n_users : 1;

	m->options = *o;
	m->batch = !model->dataset ? 1 : o->batch < users ? o->batch : users;
	tr_stack_layout(&m->stack, &m->p, &o->layers, model->n_tags, 0, 1, true);
	TR_TRY(tr_parameters_create(&m->p, model, o->optimizer == TR_ADAM ? 2 : 0, o->seed, true, err));
	TR_TRY(tr_tensor(model, "idf", 1, model->n_tags, TR_IDF, &m->idf, err));
	TR_TRY(tr_own_tensor(model, "users", model->dataset ? users : TR_ANY, m->stack.dim[m->stack.K], TR_UNIT, &m->users,
						 err));
	m->weights = (TrProfileWeights) {.weighting = (TrWeighting) o->weighting, .idf = m->idf};
	m->vectors = TR_NEW(model, float, (size_t) m->batch * (size_t) m->stack.dim[m->stack.K]);
	m->ones = tr_device_floats(model, (size_t) m->batch);
	TR_TRY(tr_enough_memory(model, err, "an autoencoder of %lld parameters", (long long) m->p.size));
	model->backend->ops->fill_column(model->backend, m->ones, 1, NULL, NULL, m->batch);
	return model->dataset ? fill(m, err) : TR_OK;
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
	int			n;

	for (int i = 0; i < s->n; i++)
		entries += s->profiles->ptr[selected(s, i) + 1] - s->profiles->ptr[selected(s, i)];
	if (!to->rows.ptr && !tr_rows_init(memory, &to->rows, m->batch, false))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of a batch");
	tr_rows_clear(&to->rows);
	if (!tr_rows_reserve(memory, &to->rows, entries + 1))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of a batch");
	for (int i = 0; i < s->n; i++)
		add_row(m, &to->rows, s, selected(s, i));
	n = tr_rows_pieces(pieces, &to->csr, NULL, &to->rows, m->stack.dim[0]);
	return tr_upload(&m->model, &to->upload, pieces, n, err);
}

static TrStatus
encode(Acf *m, const TrProfiles *profiles, float *out, TrError *err)
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

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
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

		if (tr_poll_at(poll, "users", first, m->n_order))
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

/* ------------------------------------------------------------------ neighbours */

/* A profile without tags says nothing of its user: he is near to nobody. */
static bool
is_empty(const TrProfiles *profiles, int32_t row)
{
	return profiles->ptr[row] == profiles->ptr[row + 1];
}

/* The vectors of all users, if the parameters have changed since. */
static TrStatus
place_users(Acf *m, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	int			D = m->stack.dim[m->stack.K];

	for (int32_t first = 0; !m->placed && first < d->n_users; first += m->batch)
	{
		int32_t		left = d->n_users - first;
		TrProfiles	users = tr_profiles_of(d, TR_USER, first, left < m->batch ? left : m->batch);

		TR_TRY(encode(m, &users, m->vectors, err));
		for (int32_t r = 0; r < users.rows; r++)
		{
			if (is_empty(&users, r))
				memset(m->vectors + (size_t) r * (size_t) D, 0, (size_t) D * sizeof(float));
			tr_user_neighbours_set(&m->neighbours, first + r, m->vectors + (size_t) r * (size_t) D);
		}
	}
	m->placed = true;
	return TR_OK;
}

static TrStatus
find(Acf *m, const TrProfiles *profiles, int32_t row, int32_t without, TrSparse *out, TrError *err)
{
	TrProfiles	one = *profiles;

	*out = (TrSparse) {0};
	if (is_empty(profiles, row))
		return TR_OK;
	one.ptr += row;
	one.rows = 1;
	TR_TRY(encode(m, &one, m->vectors, err));
	tr_user_neighbours_find(&m->neighbours, m->vectors, without, out);
	return TR_OK;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrProfiles	profile = tr_profiles_of(dataset, TR_USER, user, 1);

	TR_TRY(place_users(m, err));
	return find(m, &profile, 0, user, out, err);
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	Acf		   *m = (Acf *) model;

	if (m->model.dataset)
		TR_TRY(place_users(m, err));
	return find(m, profiles, row, -1, out, err);
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	tr_user_neighbours_items(&((Acf *) model)->neighbours, model->dataset, feature, out);
	return TR_OK;
}

/* ------------------------------------------------------------------ tensors */

static TrStatus
saving(TrModel *model, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrTensor   *users = &model->tensors[m->users];

	TR_TRY(place_users(m, err));
	if (!users->value)
		users->value = TR_NEW(model, float, (size_t) users->rows * (size_t) users->cols);
	TR_TRY(tr_enough_memory(model, err, "the vectors of %d users", users->rows));
	tr_user_neighbours_save(&m->neighbours, users->value);
	return TR_OK;
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	Acf		   *m = (Acf *) model;

	TR_TRY(tr_user_neighbours_restore(&m->neighbours, model, m->options.neighbours, err));
	m->placed = true;
	return TR_OK;
}

const TrAlgorithm tr_algorithm_acf = {
	.name = "acf",
	.summary = "Items of the nearest users, by an autoencoder's encoding of their tags.",
	.source = "Zuo et al. (Neurocomputing 2016), as a baseline of Xu et al. (IJCAI 2017), section 6",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Acf),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.saving = saving,
	.restored = restored,
	.features = tr_user_features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
};
