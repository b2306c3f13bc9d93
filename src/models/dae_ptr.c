/*
 * The TrAlgorithm functions of dae_ptr but training and scoring: create, save, restore, load, embed.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "models/dae_ptr.h"
#include "models/tensors.h"

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const DaeOptions *o = values;
	double		rows = fmin(o->batch, shape->n_posts);
	double		floats;
	DaeLayout	l;

	dae_layout(&l, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, gradients, moments; saved, the best ones, the padded decoder */
	floats = (double) l.size * (o->optimizer == DAE_ADAM ? 6 : 4) + (double) l.T * tr_dot_stride(l.K);
	floats += rows * (3.0 * l.K + l.T);
	/* order, the touched rows of the table; a batch's rows, here and there: tags, profiles */
	floats += (double) shape->n_posts + 2.25 * l.rows + 6.0 * l.T;
	floats += rows * 16.0 * (double) shape->n_assignments * (1 / fmax(1, shape->n_posts) + 1 / fmax(1, shape->n_users)
															 + 1 / fmax(1, shape->n_items));
	return (size_t) (floats * 1.125 * sizeof(float))
		+ dae_known_estimate(shape, o);
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;
	TrBuffer   *buffer[] = {&m->hidden, &m->dropped, &m->hidden_grad, &m->logits, &m->table_grad};

	for (size_t i = 0; i < sizeof(buffer) / sizeof(buffer[0]); i++)
		tr_buffer_release(model, buffer[i]);
	tr_upload_release(model, &m->upload);
	b->ops->release(b, m->parameters);
	b->ops->release(b, m->gradient);
	b->ops->release(b, m->moment1);
	b->ops->release(b, m->moment2);
	b->ops->release(b, m->loss);
	dae_planner_destroy(m);
	if (m->host && m->decoder != m->host + m->layout.decoder)
		tr_free(model->memory, m->decoder);
	tr_free(model->memory, m->host);
	tr_free(model->memory, m->log_share);
	tr_free(model->memory, m->prior.extra);
	tr_free(model->memory, m->part_tag);
	tr_free(model->memory, m->part_value);
	tr_free(model->memory, m->scratch);
	tr_free(model->memory, m);
}

static TrStatus
new_dae(Dae **result, TrMemory *memory, TrBackend *backend, int32_t n_users, int32_t n_items, int32_t n_tags,
		const void *values, TrError *err)
{
	Dae		   *m = tr_calloc(memory, 1, sizeof(*m));
	size_t		T = (size_t) n_tags + 1;

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	*result = m;
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const DaeOptions *) values;
	dae_layout(&m->layout, &m->options, n_users, n_items, n_tags);
	m->log_share = tr_alloc(memory, T * sizeof(float));
	m->part_tag = tr_alloc(memory, T * sizeof(int32_t));
	m->part_value = tr_alloc(memory, T * sizeof(float));
	m->prior = (TrTagPrior) {.n_tags = n_tags, .log_share = m->log_share, .user_smoothing = m->options.user_smoothing,
	.item_smoothing = m->options.item_smoothing, .popularity = 1, .similar = m->options.similar,
	.extra = tr_calloc(memory, T, sizeof(float))};
	if (!m->log_share || !m->part_tag || !m->part_value || !m->prior.extra)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", n_tags);
	for (int c = 0; c < DAE_LOGS; c++)
		m->log_count[c] = log1pf((float) c);
	return TR_OK;
}

static TrStatus
allocate(Dae *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		bytes = (size_t) m->layout.size * sizeof(float) + 64;
	bool		adam = m->options.optimizer == DAE_ADAM;

	m->parameters = b->ops->alloc(b, bytes);
	m->gradient = b->ops->alloc(b, (size_t) (m->layout.size - m->layout.hidden_bias) * sizeof(float) + 64);
	m->moment1 = adam ? b->ops->alloc(b, bytes) : NULL;
	m->moment2 = adam ? b->ops->alloc(b, bytes) : NULL;
	m->loss = b->ops->alloc(b, 2 * sizeof(double));
	if (!m->parameters || !m->gradient || (adam && (!m->moment1 || !m->moment2)) || !m->loss)
		return tr_backend_full(&m->model, "room for the model", err);
	if (adam)
	{
		b->ops->zero(b, m->moment1, bytes);
		b->ops->zero(b, m->moment2, bytes);
	}
	return TR_OK;
}

static TrStatus
initialize(Dae *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	float	   *host = tr_alloc(m->model.memory, (size_t) m->layout.size * sizeof(float));

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the initial weights");
	dae_initialize(m, host);
	b->ops->upload(b, m->parameters, host, (size_t) m->layout.size * sizeof(float));
	tr_free(m->model.memory, host);
	return b->ops->finish(b, err);
}

static TrStatus
check_size(int32_t n_users, int32_t n_items, int32_t n_tags, TrError *err)
{
	if ((int64_t) n_users + n_items + 3 * (int64_t) n_tags > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags for one table");
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Dae		   *m = NULL;
	TrStatus	status;

	TR_TRY(check_size(dataset->n_users, dataset->n_items, dataset->n_tags, err));
	status = new_dae(&m, memory, backend, dataset->n_users, dataset->n_items, dataset->n_tags, values, err);
	if (status == TR_OK)
	{
		m->dataset = dataset;
		status = tr_tag_log_shares(m->log_share, memory, dataset, err);
	}
	if (status == TR_OK)
		status = allocate(m, err);
	if (status == TR_OK)
		status = dae_planner_create(m, err);
	if (status == TR_OK)
		status = initialize(m, err);
	if (status != TR_OK && m)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ tensors */

/* What is saved, as it lies in the array of parameters; log_share is the only one elsewhere. Returns how many. */
static int
describe(Dae *m, TrTensor *tensor)
{
	const DaeLayout *l = &m->layout;
	bool		profiles = m->options.profiles;
	struct
	{
		const char *name;
		int32_t		rows,
					cols;
		int64_t		at;
		bool		training;
	}			part[] = {
		{"W", l->T, l->K, 0, false},
		{"P", l->U, l->K, (int64_t) l->users * l->K, true},
		{"Q", l->I, l->K, (int64_t) l->items * l->K, true},
		{"W_user", profiles ? l->T : 0, l->K, (int64_t) l->user_profile * l->K, false},
		{"W_item", profiles ? l->T : 0, l->K, (int64_t) l->item_profile * l->K, false},
		{"b", 1, l->K, l->hidden_bias, false},
		{"W_out", l->T, l->K, l->decoder, false},
		{"b_out", 1, l->T, l->tag_bias, false},
		{"prior", l->parts > 0 ? 1 : 0, l->parts, l->prior, false},
	};
	int			n = 0;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (part[i].rows > 0)
		{
			tensor[n] = (TrTensor) {.rows = part[i].rows, .cols = part[i].cols, .value = m->host + part[i].at,
			.training = part[i].training};
			strcpy(tensor[n++].name, part[i].name);
		}
	tensor[n] = (TrTensor) {.name = "log_share", .rows = 1, .cols = l->T, .value = m->log_share};
	return n + 1;
}

static TrStatus
allocate_host(Dae *m, TrError *err)
{
	if (!m->host && !(m->host = tr_alloc(m->model.memory, (size_t) m->layout.size * sizeof(float) + 64)))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights");
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;

	TR_TRY(allocate_host(m, err));
	b->ops->download(b, m->host, m->parameters, (size_t) m->layout.size * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	TR_TRY(dae_pad_decoder(m, err));
	*count = describe(m, m->tensors);
	*tensors = m->tensors;
	return TR_OK;
}

/* host = the stored tensors, each where it belongs */
static TrStatus
fill_host(Dae *m, const TrTensor *stored, int count, TrError *err)
{
	TrTensor	wanted[DAE_MOST_TENSORS];
	TrRange		ranges[DAE_MOST_TENSORS];
	int			n;

	TR_TRY(allocate_host(m, err));
	n = describe(m, wanted);
	for (int i = 0; i < n; i++)
		ranges[i] = wanted[i].value == m->log_share ? TR_LOG_SHARE : TR_FINITE;
	TR_TRY(tr_tensors_read(wanted, ranges, n, stored, count, err));
	return dae_pad_decoder(m, err);
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;

	TR_TRY(fill_host(m, tensors, count, err));
	b->ops->upload(b, m->parameters, m->host, (size_t) m->layout.size * sizeof(float));
	return b->ops->finish(b, err);
}

/* Posts bring the vectors of their user and item: P and Q are not asked for. */
static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int count, TrError *err)
{
	Dae		   *m = NULL;
	TrStatus	status;

	TR_TRY(check_size(0, 0, n_tags, err));
	status = new_dae(&m, memory, backend, 0, 0, n_tags, values, err);
	if (status == TR_OK)
		status = fill_host(m, tensors, count, err);
	if (status != TR_OK && m)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ vectors */

/* Similar users and items are those whose vectors point the same way. */
static int
width(const TrModel *model, int *unit)
{
	const Dae  *m = (const Dae *) model;

	if (unit)
		*unit = m->layout.K;
	return m->layout.K;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Dae		   *m = (Dae *) model;
	TrBackend  *b = model->backend;
	size_t		K = (size_t) m->layout.K;
	size_t		row = (size_t) (side == TR_USER ? m->layout.users : m->layout.items) + (size_t) first;

	(void) dataset;
	b->ops->download(b, out, m->parameters + row * K, (size_t) n * K * sizeof(float));
	return b->ops->finish(b, err);
}

static int
features(const TrModel *model)
{
	return dae_has_neighbours((const Dae *) model) ? TR_FEATURES_ITEMS : TR_FEATURES_NONE;
}

/* Items like an item, which the prior looks at. */
static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Dae		   *m = (Dae *) model;

	(void) err;
	*out = dae_has_neighbours(m) ? tr_tag_neighbours_of(&m->neighbours, feature) : (TrSparse) {0};
	return TR_OK;
}

const TrAlgorithm tr_algorithm_dae_ptr = {
	.name = "dae_ptr",
	.summary = "A denoising autoencoder over the tags of a post, with vectors for its user and its item.",
	.source = "Zhao et al., Denoising auto-encoder based personalized tag recommendation, Eq. 7-12",
	.task = TR_TASK_TAG,
	.options = &dae_option_set,
	.estimate = estimate,
	.create = create,
	.train_epoch = dae_train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = width,
	.embed = embed,
	.features = features,
	.feature_weights = feature_weights,
	.score_tags = dae_score_tags,
	.destroy = destroy,
};
