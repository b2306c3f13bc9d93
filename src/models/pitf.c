/*
 * pitf: pairwise interaction tensor factorisation (Rendle & Schmidt-Thieme, WSDM 2010), learned to rank. A post (u, i) has
 * a tag t and lacks a tag s drawn for it:
 *
 *     y(u,i,t) = w_u . a_t + h_i . b_t
 *     loss     = sum over the assignments (u,i,t) of -ln sigmoid(y(u,i,t) - y(u,i,s))
 *              + regularization (|w_u|^2 + |h_i|^2 of every post in a batch + |a|^2 + |b|^2 of every tag in it)
 *
 * With several tags drawn the loss is that of a softmax over t and them, which is the same for one. A batch is one step,
 * over the rows it touches. [w_u, h_i] . [a_t, b_t] is one inner product: users and items lie in one table, so that the
 * rows of a post, gathered one behind the other, are a row of width 2D. Legend: see pitf.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "core/rng.h"
#include "models/pitf.h"
#include "models/tensors.h"

const char *const pitf_sampling_names[] = {"uniform", "popularity", NULL};
const char *const pitf_optimizer_names[] = {"sgd", "adam", NULL};

static const TrOption option_rows[] = {
	PITF_FACTORS_OPTION,
	PITF_OPTIONS_WITH("0.1"),
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(PitfOptions)
};

static const char *const tensor_names[] = {"tags", "means", "users", "items"};

size_t
pitf_estimate(const TrShape *shape, const void *values)
{
	const PitfOptions *o = values;
	double		D = o->factors;
	int			P = (int) (o->batch < shape->n_assignments ? o->batch : shape->n_assignments);
	double		M = (double) pitf_tags_of_batch(P, o->negatives);
	double		rows = (double) shape->n_users + shape->n_items + 2.0 * shape->n_tags;
	int			copies = o->optimizer == TR_ADAM ? 5 : 3;

	/* in the backend, with their moments, saved, and the best ones kept; tags to serve; two orders; a batch */
	return (size_t) (sizeof(float) * (copies * rows * D + 3.0 * shape->n_tags * (D + TR_DOT_PAD)
									  + 2.0 * (double) shape->n_assignments + 6 * P * D + 6 * M * D + 6 * M + 5.0 * P)
					 + 2 * sizeof(int32_t) * (double) pitf_batch_ints(P, o->negatives));
}

/* ------------------------------------------------------------------ life */

void
pitf_destroy(TrModel *model)
{
	Pitf	   *m = (Pitf *) model;
	TrBackend  *b = model->backend;

	for (int t = 0; t < 2; t++)
	{
		b->ops->release(b, m->table[t].rows);
		b->ops->release(b, m->table[t].m);
		b->ops->release(b, m->table[t].v);
		b->ops->release(b, m->table[t].gathered);
		b->ops->release(b, m->table[t].dgathered);
		b->ops->release(b, m->table[t].gradient);
	}
	b->ops->release(b, m->backend_memory);
	b->ops->release(b, m->score);
	b->ops->release(b, m->dscore);
	b->ops->release(b, m->pair_ptr);
	b->ops->release(b, m->no_column);
	b->ops->release(b, m->ones);
	b->ops->release(b, m->loss);
	for (int i = 0; i < PITF_TENSORS; i++)
		tr_free(model->memory, m->tensors[i].value);
	tr_free(model->memory, m->order);
	tr_free(model->memory, m->post_of);
	tr_free(model->memory, m->sort);
	tr_free(model->memory, m->host_memory);
	tr_free(model->memory, m->served);
	tr_free(model->memory, m->query);
	tr_free(model->memory, m);
}

static TrStatus
out_of_memory(TrError *err)
{
	return tr_fail(err, TR_NO_MEMORY, "out of memory for the factors of users, items and tags");
}

static TrStatus
new_tensor(Pitf *m, PitfTensor which, int32_t rows, int32_t cols, TrError *err)
{
	TrTensor   *tensor = &m->tensors[which];

	strcpy(tensor->name, tensor_names[which]);
	tensor->rows = rows;
	tensor->cols = cols;
	tensor->training = which >= PITF_TENSOR_USERS;
	tensor->value = tr_calloc(m->model.memory, (size_t) rows * (size_t) cols + 1, sizeof(float));
	return tensor->value ? TR_OK : out_of_memory(err);
}

/* What a loaded model has too. After a failure, destroy() is due. */
static TrStatus
new_pitf(Pitf **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const PitfOptions *o, TrError *err)
{
	Pitf	   *m = tr_calloc(memory, 1, sizeof(*m));
	size_t		stride = tr_dot_stride(2 * o->factors);

	*result = m;
	if (!m)
		return out_of_memory(err);
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *o;
	m->n_tags = n_tags;
	m->D = o->factors;
	m->served = tr_calloc(memory, (size_t) n_tags * stride + 1, sizeof(float));
	m->query = tr_calloc(memory, stride, sizeof(float));
	if (!m->served || !m->query)
		return out_of_memory(err);
	TR_TRY(new_tensor(m, PITF_TENSOR_TAGS, n_tags, 2 * m->D, err));
	return new_tensor(m, PITF_TENSOR_MEANS, 2, m->D, err);
}

/* The assignments that a pair can be made of: their post lacks a tag. */
static void
list_pairs(Pitf *m)
{
	const TrDataset *d = m->dataset;

	for (int32_t p = 0; p < d->n_posts; p++)
		for (int64_t a = d->post_ptr[p]; a < d->post_ptr[p + 1]; a++)
		{
			m->post_of[a] = p;
			if (d->post_ptr[p + 1] - d->post_ptr[p] < d->n_tags)
				m->order[m->n_pairs++] = (int32_t) a;
		}
}

/* host (n,width) = normal factors, from their own stretch of the stream */
static void
draw_factors(const Pitf *m, uint64_t tensor, float *host, size_t n)
{
	double		std = m->options.init_std / sqrt(m->D);

	for (size_t i = 0; i < n; i++)
		host[i] = (float) (std * tr_normal(m->options.seed, TR_STREAM_INIT, tensor, i));
}

static TrStatus
fill_table(Pitf *m, int which, int32_t n, int width, size_t gathered, TrError *err)
{
	PitfTable  *t = &m->table[which];
	TrBackend  *b = m->model.backend;
	size_t		bytes = (size_t) n * (size_t) width * sizeof(float) + sizeof(float);
	size_t		batch = gathered * (size_t) width * sizeof(float);
	bool		adam = m->options.optimizer == TR_ADAM;

	t->n = n;
	t->width = width;
	t->rows = b->ops->alloc(b, bytes);
	t->m = adam ? b->ops->alloc(b, bytes) : NULL;
	t->v = adam ? b->ops->alloc(b, bytes) : NULL;
	t->gathered = b->ops->alloc(b, batch);
	t->dgathered = b->ops->alloc(b, batch);
	t->gradient = b->ops->alloc(b, batch);
	if (!t->rows || (adam && (!t->m || !t->v)) || !t->gathered || !t->dgathered || !t->gradient)
		return out_of_memory(err);
	if (adam)
	{
		b->ops->zero(b, t->m, bytes);
		b->ops->zero(b, t->v, bytes);
	}
	return TR_OK;
}

/* rows of both tables = the tensors */
static TrStatus
upload_tensors(Pitf *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		D = (size_t) m->D;
	size_t		users = (size_t) m->dataset->n_users * D;
	size_t		items = (size_t) m->dataset->n_items * D;
	float	   *entities = m->table[PITF_ENTITIES].rows;

	b->ops->upload(b, entities, m->tensors[PITF_TENSOR_USERS].value, users * sizeof(float));
	b->ops->upload(b, entities + users, m->tensors[PITF_TENSOR_ITEMS].value, items * sizeof(float));
	b->ops->upload(b, m->table[PITF_TAGS].rows, m->tensors[PITF_TENSOR_TAGS].value,
				   (size_t) m->n_tags * 2 * D * sizeof(float));
	return b->ops->finish(b, err);
}

static TrStatus
fill_batch(Pitf *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	TrMemory   *memory = m->model.memory;
	size_t		P = (size_t) m->P;
	size_t		M = pitf_tags_of_batch(m->P, m->options.negatives);
	size_t		ints = pitf_batch_ints(m->P, m->options.negatives);

	m->sort = tr_alloc(memory, (M > 2 * P ? M : 2 * P) * sizeof(uint64_t));
	m->host_memory = tr_alloc(memory, (ints + 1) * sizeof(int32_t));
	m->backend_memory = b->ops->alloc(b, ints * sizeof(int32_t));
	m->score = b->ops->alloc(b, M * sizeof(float));
	m->dscore = b->ops->alloc(b, P * sizeof(float));
	m->pair_ptr = b->ops->alloc(b, (P + 1) * sizeof(int32_t));
	m->no_column = b->ops->alloc(b, P * sizeof(int32_t));
	m->ones = b->ops->alloc(b, P * sizeof(float));
	m->loss = b->ops->alloc(b, sizeof(double));
	if (!m->sort || !m->host_memory || !m->backend_memory || !m->score || !m->dscore || !m->pair_ptr || !m->no_column
		|| !m->ones || !m->loss)
		return out_of_memory(err);
	m->host = pitf_carve_batch(m->host_memory, m->P, m->options.negatives);
	m->batch = pitf_carve_batch(m->backend_memory, m->P, m->options.negatives);
	for (size_t i = 0; i <= P; i++)
		m->host_memory[i] = (int32_t) i;
	b->ops->upload(b, m->pair_ptr, m->host_memory, (P + 1) * sizeof(int32_t));
	for (size_t i = 0; i < P; i++)
		m->host_memory[i] = -1;
	b->ops->upload(b, m->no_column, m->host_memory, P * sizeof(int32_t));
	b->ops->fill_column(b, m->ones, 1, NULL, NULL, m->P);
	return b->ops->finish(b, err);
}

static TrStatus
fill(Pitf *m, TrError *err)
{
	const TrDataset *d = m->dataset;
	size_t		D = (size_t) m->D;

	m->order = tr_alloc(m->model.memory, (size_t) d->n_assignments * sizeof(int32_t) + 1);
	m->post_of = tr_alloc(m->model.memory, (size_t) d->n_assignments * sizeof(int32_t) + 1);
	if (!m->order || !m->post_of)
		return out_of_memory(err);
	list_pairs(m);
	if (m->n_pairs == 0)
		return tr_fail(err, TR_BAD_DATA, "there is nothing to rank: every post has every tag");
	m->P = m->options.batch < m->n_pairs ? m->options.batch : m->n_pairs;
	TR_TRY(new_tensor(m, PITF_TENSOR_USERS, d->n_users, m->D, err));
	TR_TRY(new_tensor(m, PITF_TENSOR_ITEMS, d->n_items, m->D, err));
	draw_factors(m, 0, m->tensors[PITF_TENSOR_USERS].value, (size_t) d->n_users * D);
	draw_factors(m, 1, m->tensors[PITF_TENSOR_ITEMS].value, (size_t) d->n_items * D);
	draw_factors(m, 2, m->tensors[PITF_TENSOR_TAGS].value, (size_t) d->n_tags * 2 * D);
	TR_TRY(fill_table(m, PITF_ENTITIES, d->n_users + d->n_items, m->D, 2 * (size_t) m->P, err));
	TR_TRY(fill_table(m, PITF_TAGS, d->n_tags, 2 * m->D, pitf_tags_of_batch(m->P, m->options.negatives), err));
	TR_TRY(upload_tensors(m, err));
	return fill_batch(m, err);
}

TrStatus
pitf_create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values,
			TrError *err)
{
	Pitf	   *m = NULL;
	TrStatus	status = new_pitf(&m, memory, backend, dataset->n_tags, values, err);

	if (m)
		m->dataset = dataset;
	if (status == TR_OK)
		status = fill(m, err);
	if (status == TR_OK)
		*model = &m->model;
	else if (m)
		pitf_destroy(&m->model);
	return status;
}

/* ------------------------------------------------------------------ tensors */

/* means (2,D): of the users, and of the items, that have posts */
static void
set_means(Pitf *m)
{
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		const int32_t *ptr = side == TR_USER ? m->dataset->user_ptr : m->dataset->item_ptr;
		const TrTensor *rows = &m->tensors[side == TR_USER ? PITF_TENSOR_USERS : PITF_TENSOR_ITEMS];
		float	   *mean = m->tensors[PITF_TENSOR_MEANS].value + side * m->D;

		for (int j = 0; j < m->D; j++)
		{
			double		sum = 0;
			int32_t		known = 0;

			for (int32_t r = 0; r < rows->rows; r++)
				if (ptr[r + 1] > ptr[r])
				{
					sum += rows->value[(size_t) r * (size_t) m->D + (size_t) j];
					known++;
				}
			mean[j] = known > 0 ? (float) (sum / known) : 0;
		}
	}
}

/* The tags as tr_dot_block() reads them. */
static void
set_served(Pitf *m)
{
	size_t		width = 2 * (size_t) m->D;
	size_t		stride = tr_dot_stride((int) width);

	for (int32_t t = 0; t < m->n_tags; t++)
		memcpy(m->served + (size_t) t * stride, m->tensors[PITF_TENSOR_TAGS].value + (size_t) t * width,
			   width * sizeof(float));
}

TrStatus
pitf_save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	TrBackend  *b = model->backend;
	size_t		D = (size_t) m->D;
	size_t		users = (size_t) m->dataset->n_users * D;
	float	   *entities = m->table[PITF_ENTITIES].rows;

	b->ops->download(b, m->tensors[PITF_TENSOR_USERS].value, entities, users * sizeof(float));
	b->ops->download(b, m->tensors[PITF_TENSOR_ITEMS].value, entities + users,
					 (size_t) m->dataset->n_items * D * sizeof(float));
	b->ops->download(b, m->tensors[PITF_TENSOR_TAGS].value, m->table[PITF_TAGS].rows,
					 (size_t) m->n_tags * 2 * D * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	set_means(m);
	set_served(m);
	*tensors = m->tensors;
	*count = PITF_TENSORS;
	return TR_OK;
}

TrStatus
pitf_restore(TrModel *model, const TrTensor *tensors, int n, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	int			wanted = m->dataset ? PITF_TENSORS : PITF_TENSOR_USERS;

	TR_TRY(tr_tensors_read(m->tensors, NULL, wanted, tensors, n, err));
	set_served(m);
	return m->dataset ? upload_tensors(m, err) : TR_OK;
}

TrStatus
pitf_load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values,
		  const TrTensor *tensors, int n, TrError *err)
{
	Pitf	   *m = NULL;
	TrStatus	status = new_pitf(&m, memory, backend, n_tags, values, err);

	if (status == TR_OK)
		status = pitf_restore(&m->model, tensors, n, err);
	if (status == TR_OK)
		*model = &m->model;
	else if (m)
		pitf_destroy(&m->model);
	return status;
}

/* ------------------------------------------------------------------ result */

/* Similar users and items are those whose vectors point the same way. */
int
pitf_width(const TrModel *model, int *unit)
{
	const Pitf *m = (const Pitf *) model;

	if (unit)
		*unit = m->D;
	return m->D;
}

TrStatus
pitf_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	TrBackend  *b = model->backend;
	size_t		row = (size_t) (side == TR_USER ? first : m->dataset->n_users + first);

	(void) dataset;
	b->ops->download(b, out, m->table[PITF_ENTITIES].rows + row * (size_t) m->D,
					 (size_t) n * (size_t) m->D * sizeof(float));
	return b->ops->finish(b, err);
}

static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Pitf *m = (const Pitf *) model;
	size_t		D = (size_t) m->D;
	const float *means = m->tensors[PITF_TENSOR_MEANS].value;

	(void) err;
	for (int32_t p = 0; p < n; p++)
	{
		memcpy(m->query, posts[p].user ? posts[p].user : means, D * sizeof(float));
		memcpy(m->query + D, posts[p].item ? posts[p].item : means + D, D * sizeof(float));
		tr_dot_block(out + (size_t) p * (size_t) m->n_tags, (size_t) m->n_tags, m->query, 1, m->served, m->n_tags,
					 tr_dot_stride(2 * m->D));
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_pitf = {
	.name = "pitf",
	.summary = "Factors of users, items and tags that rank a post's tags above others, by the pairs of user and tag, item "
			   "and tag.",
	.source = "Rendle & Schmidt-Thieme, Pairwise Interaction Tensor Factorization (WSDM 2010)",
	PITF_SLOTS,
	.options = &options,
	.score_tags = score_tags,
};
