/*
 * The TrAlgorithm functions of abnt but training and scoring: create, save, restore, load, embed.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/dot.h"
#include "models/abnt.h"
#include "models/tensors.h"

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const AbntOptions *o = values;
	double		posts = fmax(1, shape->n_posts);
	double		rows = fmin(o->batch, posts);
	double		entries = 2 + (double) shape->n_assignments / posts;
	double		of_row;
	double		floats;
	AbntLayout	l;

	abnt_layout(&l, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, moments; saved, the best ones; gradients, the padded last layer */
	floats = (double) l.size * (o->optimizer == ABNT_ADAM ? 5 : 3) + (double) l.size + (double) l.T * tr_dot_stride(l.D);
	/* of a post in a step: vectors and their gradients, the sequence here and there, the layers, the scores */
	of_row = 12.0 * l.D + 11.0 * (fmin(o->sequence, shape->n_tags) + entries) + 6 * entries + l.T + 3.0 * l.width[0];
	for (int i = 1; i <= l.layers; i++)
		of_row += 3.0 * l.width[i];
	floats += rows * of_row + 2.0 * l.rows + posts + (double) l.T * tr_dot_stride(abnt_last_width(&l));
	return (size_t) (floats * 1.125 * sizeof(float));
}

/* ------------------------------------------------------------------ life */

static void
release_buffers(Abnt *m)
{
	TrBuffer   *buffer[] = {&m->moves, &m->weight, &m->score_grad, &m->parts, &m->parts_grad, &m->ids,
	&m->ids_grad, &m->query, &m->query_grad, &m->logits, &m->table_grad};

	for (size_t i = 0; i < sizeof(buffer) / sizeof(buffer[0]); i++)
		tr_buffer_release(&m->model, buffer[i]);
	tr_upload_release(&m->model, &m->upload);
	for (int i = 0; i <= TR_MAX_INTS; i++)
	{
		tr_buffer_release(&m->model, &m->value[i]);
		tr_buffer_release(&m->model, &m->dropped[i]);
		tr_buffer_release(&m->model, &m->value_grad[i]);
	}
}

static void
destroy(TrModel *model)
{
	Abnt	   *m = (Abnt *) model;
	TrBackend  *b = model->backend;

	release_buffers(m);
	b->ops->release(b, m->parameters);
	b->ops->release(b, m->gradient);
	b->ops->release(b, m->moment1);
	b->ops->release(b, m->moment2);
	b->ops->release(b, m->loss);
	abnt_planner_destroy(m);
	tr_free(model->memory, m->decoder);
	tr_free(model->memory, m->host);
	tr_free(model->memory, m->scratch);
	tr_free(model->memory, m);
}

static TrStatus
new_abnt(Abnt **result, TrMemory *memory, TrBackend *backend, int32_t n_users, int32_t n_items, int32_t n_tags,
		 const void *values, TrError *err)
{
	Abnt	   *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	*result = m;
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const AbntOptions *) values;
	abnt_layout(&m->layout, &m->options, n_users, n_items, n_tags);
	return TR_OK;
}

static TrStatus
allocate(Abnt *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	const AbntLayout *l = &m->layout;
	size_t		bytes = (size_t) l->size * sizeof(float) + 64;
	bool		adam = m->options.optimizer == ABNT_ADAM;

	m->parameters = b->ops->alloc(b, bytes);
	m->gradient = b->ops->alloc(b, (size_t) (l->size - (int64_t) l->rows * l->D) * sizeof(float) + 64);
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
initialize(Abnt *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	float	   *host = tr_alloc(m->model.memory, (size_t) m->layout.size * sizeof(float));
	TrStatus	status;

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the initial weights");
	status = abnt_initialize(m, host, err);
	if (status == TR_OK)
	{
		b->ops->upload(b, m->parameters, host, (size_t) m->layout.size * sizeof(float));
		status = b->ops->finish(b, err);
	}
	tr_free(m->model.memory, host);
	return status;
}

static TrStatus
check_size(int32_t n_users, int32_t n_items, int32_t n_tags, TrError *err)
{
	if ((int64_t) n_users + n_items + 2 * (int64_t) n_tags > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags for one table");
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Abnt	   *m = NULL;
	TrStatus	status;

	TR_TRY(check_size(dataset->n_users, dataset->n_items, dataset->n_tags, err));
	status = new_abnt(&m, memory, backend, dataset->n_users, dataset->n_items, dataset->n_tags, values, err);
	if (status == TR_OK)
	{
		m->dataset = dataset;
		status = allocate(m, err);
	}
	if (status == TR_OK)
		status = abnt_planner_create(m, err);
	if (status == TR_OK)
		status = initialize(m, err);
	if (status != TR_OK && m)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ tensors */

static void
add_tensor(TrTensor *tensors, int *n, const char *name, int layer, int32_t rows, int32_t cols, float *value)
{
	TrTensor   *t = &tensors[*n];

	if (rows == 0)
		return;
	*t = (TrTensor) {.rows = rows, .cols = cols, .value = value};
	if (layer > 0)
		snprintf(t->name, sizeof(t->name), "%s_%d", name, layer);
	else
		snprintf(t->name, sizeof(t->name), "%s", name);
	(*n)++;
}

/* What is stored, as it lies in the array of parameters; returns how many. */
static int
describe(Abnt *m, TrTensor *tensors)
{
	const AbntLayout *l = &m->layout;
	float	   *host = m->host;
	int			n = 0;

	add_tensor(tensors, &n, "tags", 0, l->T, l->D, host);
	add_tensor(tensors, &n, "tags_given", 0, l->users - l->given, l->D, host + (size_t) l->given * l->D);
	add_tensor(tensors, &n, "users", 0, l->U, l->D, host + (size_t) l->users * l->D);
	add_tensor(tensors, &n, "items", 0, l->I, l->D, host + (size_t) l->items * l->D);
	for (int side = 1; m->dataset && side <= 2; side++)
		tensors[n - side].training = true;
	add_tensor(tensors, &n, "W_query", 0, 2 * l->D, l->D, host + l->query);
	add_tensor(tensors, &n, "b_query", 0, 1, l->D, host + l->query_bias);
	for (int i = 0; i < l->layers; i++)
	{
		add_tensor(tensors, &n, "W", i + 1, l->width[i], l->width[i + 1], host + l->layer[i]);
		add_tensor(tensors, &n, "b", i + 1, 1, l->width[i + 1], host + l->layer_bias[i]);
	}
	add_tensor(tensors, &n, "W_out", 0, l->T, abnt_last_width(l), host + l->decoder);
	add_tensor(tensors, &n, "b_out", 0, 1, l->T, host + l->tag_bias);
	return n;
}

static TrStatus
allocate_host(Abnt *m, TrError *err)
{
	if (!m->host && !(m->host = tr_alloc(m->model.memory, (size_t) m->layout.size * sizeof(float) + 64)))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights");
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	TrBackend  *b = model->backend;

	TR_TRY(allocate_host(m, err));
	b->ops->download(b, m->host, m->parameters, (size_t) m->layout.size * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	TR_TRY(abnt_pad_decoder(m, err));
	*count = describe(m, m->tensors);
	*tensors = m->tensors;
	return TR_OK;
}

/* host = the stored tensors, each where it belongs */
static TrStatus
fill_host(Abnt *m, const TrTensor *stored, int count, TrError *err)
{
	TrTensor	wanted[ABNT_MOST_TENSORS];

	TR_TRY(allocate_host(m, err));
	TR_TRY(tr_tensors_read(wanted, NULL, describe(m, wanted), stored, count, err));
	return abnt_pad_decoder(m, err);
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	TrBackend  *b = model->backend;

	TR_TRY(fill_host(m, tensors, count, err));
	b->ops->upload(b, m->parameters, m->host, (size_t) m->layout.size * sizeof(float));
	return b->ops->finish(b, err);
}

/* Posts bring the vectors of their user and item: those tensors are not asked for. */
static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int count, TrError *err)
{
	Abnt	   *m = NULL;
	TrStatus	status;

	TR_TRY(check_size(0, 0, n_tags, err));
	status = new_abnt(&m, memory, backend, 0, 0, n_tags, values, err);
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
	const Abnt *m = (const Abnt *) model;

	if (unit)
		*unit = m->layout.D;
	return m->layout.D;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	TrBackend  *b = model->backend;
	size_t		D = (size_t) m->layout.D;
	size_t		row = (size_t) (side == TR_USER ? m->layout.users : m->layout.items) + (size_t) first;

	(void) dataset;
	b->ops->download(b, out, m->parameters + row * D, (size_t) n * D * sizeof(float));
	return b->ops->finish(b, err);
}

const TrAlgorithm tr_algorithm_abnt = {
	.name = "abnt",
	.summary = "A multi-layer perceptron over the vectors of a post's user and item, and attention over the tags the user "
		"gave before: a bag of the most used ones, without the post itself, for their order is not known.",
	.source = "Yuan et al., Attention-based neural tag recommendation, as Zhao et al. compare with it",
	.task = TR_TASK_TAG,
	.options = &abnt_option_set,
	.estimate = estimate,
	.create = create,
	.train_epoch = abnt_train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = width,
	.embed = embed,
	.score_tags = abnt_score_tags,
	.destroy = destroy,
};
