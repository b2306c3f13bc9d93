/*
 * The TrAlgorithm functions of the DSPR family: create, save, load, encode.
 */
#include <math.h>
#include <string.h>

#include "models/tensors.h"
#include "models/tower.h"

/* Rows encoded at a time outside training. */
#define ENCODE_ROWS 1024

/* ------------------------------------------------------------------ estimate */

size_t
tower_estimate(const TrShape *shape, const void *values)
{
	const TowerOptions *o = values;
	TowerLayout l;
	double		targets = o->batch_by == TOWER_BY_USERS ? fmin(o->batch,
															   shape->n_users) * (double) o->max_targets : o->batch;
	double		users = fmin(o->batch, shape->n_users);
	double		pairs = fmin(targets, shape->n_posts);
	double		columns = fmin(shape->n_items, o->negatives == TOWER_FULL ? shape->n_items
							   : pairs + (o->negatives == TOWER_IN_BATCH ? 0 : o->samples));
	double		rows = users + columns + (o->own_tags ? 0 : pairs);
	double		floats;

	tower_layout(&l, o, shape->n_tags);
	floats = (double) l.size * (o->optimizer == TOWER_ADAM ? 4 : o->optimizer == TOWER_MOMENTUM ? 3 : 2);
	for (int k = 1; k <= l.K; k++)
		floats += rows * l.dim[k] * (l.decoder ? 4 : 2);
	floats += users * columns + rows * l.dim[l.K] * 2;
	if (l.decoder)
		floats += fmin(rows * l.dim[0], fmax(4 * 1024 * 1024, 64.0 * l.dim[0]));
	/* the dataset's copy in backend memory, and the kept best weights */
	floats += 3.0 * (double) shape->n_assignments + 2.0 * (double) l.size;
	return (size_t) (floats * 1.125 * sizeof(float));
}

/* ------------------------------------------------------------------ life */

static void *
to_backend(Tower *t, const void *source, size_t bytes)
{
	TrBackend  *b = t->model.backend;
	void	   *target = b->ops->alloc(b, bytes + 64);

	if (target)
		b->ops->upload(b, target, source, bytes);
	return target;
}

/* A zeroed model with its layout and room for its parameters. */
static TrStatus
new_tower(Tower **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *options, TrError *err)
{
	Tower	   *t = tr_calloc(memory, 1, sizeof(*t));

	if (!t)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	*result = t;
	t->model.backend = backend;
	t->model.memory = memory;
	t->options = *(const TowerOptions *) options;
	tower_layout(&t->layout, &t->options, n_tags);
	t->parameters = backend->ops->alloc(backend, (size_t) t->layout.size * sizeof(float) + 64);
	t->host_idf = tr_alloc(memory, (size_t) n_tags * sizeof(float));
	if (!t->parameters || !t->host_idf)
		return tr_backend_full(&t->model, "room for the model", err);
	return TR_OK;
}

/* idf = ln(items / items with the tag), and the mean number of assignments of a profile */
static void
profile_statistics(Tower *t)
{
	const TrDataset *d = t->dataset;

	tr_dataset_idf(t->host_idf, d);
	t->mean_length[TR_USER] = (float) ((double) d->n_assignments / d->n_users);
	t->mean_length[TR_ITEM] = (float) ((double) d->n_assignments / d->n_items);
}

static bool
upload_table(Tower *t, TrProfileTable *to, const TrProfileTable *from)
{
	size_t		N = (size_t) from->n_entities + 1;
	size_t		E = (size_t) from->n_entries;
	size_t		n = (size_t) from->n_occurrences;

	*to = *from;
	to->entry_ptr = to_backend(t, from->entry_ptr, N * sizeof(int64_t));
	to->tag = to_backend(t, from->tag, E * sizeof(int32_t));
	to->count = to_backend(t, from->count, E * sizeof(float));
	to->occurrence_ptr = to_backend(t, from->occurrence_ptr, (E + 1) * sizeof(int64_t));
	to->post = to_backend(t, from->post, n * sizeof(int32_t));
	to->weight = from->weight ? to_backend(t, from->weight, n * sizeof(float)) : NULL;
	return to->entry_ptr && to->tag && to->count && to->occurrence_ptr && to->post && (to->weight || !from->weight);
}

static TrStatus
allocate_training(Tower *t, TrError *err)
{
	TrBackend  *b = t->model.backend;
	size_t		bytes = (size_t) t->layout.size * sizeof(float) + 64;

	t->gradient = b->ops->alloc(b, bytes);
	t->moment1 = t->options.optimizer == TOWER_SGD ? NULL : b->ops->alloc(b, bytes);
	t->moment2 = t->options.optimizer == TOWER_ADAM ? b->ops->alloc(b, bytes) : NULL;
	t->loss = b->ops->alloc(b, 2 * sizeof(double));
	t->idf = to_backend(t, t->host_idf, (size_t) t->layout.dim[0] * sizeof(float));
	if (!t->gradient || (t->options.optimizer != TOWER_SGD && !t->moment1)
		|| (t->options.optimizer == TOWER_ADAM && !t->moment2) || !t->loss || !t->idf
		|| !upload_table(t, &t->side[TR_USER], &t->dataset->user)
		|| !upload_table(t, &t->side[TR_ITEM], &t->dataset->item))
		return tr_backend_full(&t->model, "room for the model", err);
	if (t->moment1)
		b->ops->zero(b, t->moment1, bytes);
	if (t->moment2)
		b->ops->zero(b, t->moment2, bytes);
	return TR_OK;
}

static TrStatus
initialize(Tower *t, TrError *err)
{
	TrBackend  *b = t->model.backend;
	float	   *host = tr_alloc(t->model.memory, (size_t) t->layout.size * sizeof(float));

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the initial weights");
	tower_initialize(t, host);
	b->ops->upload(b, t->parameters, host, (size_t) t->layout.size * sizeof(float));
	tr_free(t->model.memory, host);
	return b->ops->finish(b, err);
}

static TrStatus
check_dataset(const TrDataset *d, TrError *err)
{
	if (d->n_items >= 2)
		return TR_OK;
	(void) tr_fail(err, TR_BAD_DATA, "cannot learn a ranking from %d item%s", d->n_items, d->n_items == 1 ? "" : "s");
	if (err)
		snprintf(err->hint, sizeof(err->hint), "The source must have two different items or more.");
	return TR_BAD_DATA;
}

TrStatus
tower_create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *options,
			 TrError *err)
{
	Tower	   *t = NULL;
	TrStatus	status;

	TR_TRY(check_dataset(dataset, err));
	status = new_tower(&t, memory, backend, dataset->n_tags, options, err);
	if (status == TR_OK)
	{
		t->dataset = dataset;
		profile_statistics(t);
		status = allocate_training(t, err);
	}
	if (status == TR_OK)
		status = tower_planner_create(t, err);
	if (status == TR_OK)
		status = initialize(t, err);
	if (status != TR_OK && t)
		tower_destroy(&t->model);
	else
		*model = &t->model;
	return status;
}

static void
release_table(Tower *t, TrProfileTable *table)
{
	TrBackend  *b = t->model.backend;

	b->ops->release(b, (void *) table->entry_ptr);
	b->ops->release(b, (void *) table->tag);
	b->ops->release(b, (void *) table->count);
	b->ops->release(b, (void *) table->occurrence_ptr);
	b->ops->release(b, (void *) table->post);
	b->ops->release(b, (void *) table->weight);
}

static void
release_buffers(Tower *t, TrBuffer *buffer, int n)
{
	for (int i = 0; i < n; i++)
		tr_buffer_release(&t->model, &buffer[i]);
}

void
tower_destroy(TrModel *model)
{
	Tower	   *t = (Tower *) model;
	TrBackend  *b = model->backend;
	TrBuffer   *single[] = {&t->output, &t->embedding, &t->embedding_grad, &t->norm, &t->logits, &t->pair_logit,
	&t->pair_grad};

	for (int i = 0; i < 3; i++)
		release_buffers(t, t->csr[i], 3);
	release_buffers(t, t->hidden, TR_MAX_INTS + 1);
	release_buffers(t, t->hidden_grad, TR_MAX_INTS + 1);
	release_buffers(t, t->decoded, TR_MAX_INTS + 1);
	release_buffers(t, t->decoded_grad, TR_MAX_INTS + 1);
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tr_buffer_release(model, single[i]);
	tr_upload_release(model, &t->upload);
	for (int side = TR_USER; side <= TR_ITEM; side++)
		release_table(t, &t->side[side]);
	b->ops->release(b, t->parameters);
	b->ops->release(b, t->gradient);
	b->ops->release(b, t->moment1);
	b->ops->release(b, t->moment2);
	b->ops->release(b, t->loss);
	b->ops->release(b, t->idf);
	tower_planner_destroy(t);
	tr_free(model->memory, t->host);
	tr_free(model->memory, t->host_idf);
	tr_free(model->memory, t);
}

/* ------------------------------------------------------------------ tensors */

static float *
place(float *host, int64_t at)
{
	return host ? host + at : NULL;
}

/*
 * W1..WK, b1..bK (b2K with a decoder), popularity (1,1), idf (1,T), mean_length (1,2: user, item), and the ranges of their
 * numbers; host is where the parameters are, or are to be, on the host, or NULL. Returns how many.
 */
static int
describe(Tower *t, float *host, TrTensor *tensors, TrRange *ranges)
{
	const TowerLayout *l = &t->layout;
	int			biases = l->decoder ? 2 * l->K : l->K;
	int			n = 0;

	for (int i = 0; i < TOWER_MOST_TENSORS; i++)
		ranges[i] = TR_FINITE;
	for (int k = 1; k <= l->K; k++, n++)
	{
		tensors[n] = (TrTensor) {.rows = l->dim[k - 1], .cols = l->dim[k], .value = place(host, l->weight[k])};
		snprintf(tensors[n].name, sizeof(tensors[n].name), "W%d", k);
	}
	for (int j = 1; j <= biases; j++, n++)
	{
		tensors[n] = (TrTensor) {.rows = 1, .cols = l->dim[j <= l->K ? j : 2 * l->K - j], .value = place(host, l->bias[j])};
		snprintf(tensors[n].name, sizeof(tensors[n].name), "b%d", j);
	}
	if (l->popularity)
		tensors[n++] = (TrTensor) {.name = "popularity", .rows = 1, .cols = 1, .value = place(host, l->popularity_weight)};
	ranges[n] = TR_IDF;
	tensors[n++] = (TrTensor) {.name = "idf", .rows = 1, .cols = l->dim[0], .value = t->host_idf};
	ranges[n] = TR_FROM_ZERO;
	tensors[n++] = (TrTensor) {.name = "mean_length", .rows = 1, .cols = 2, .value = t->mean_length};
	return n;
}

static TrStatus
reserve_host(Tower *t, TrError *err)
{
	if (!t->host && !(t->host = tr_alloc(t->model.memory, (size_t) t->layout.size * sizeof(float))))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights");
	return TR_OK;
}

TrStatus
tower_save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Tower	   *t = (Tower *) model;
	TrBackend  *b = model->backend;
	TrRange		ranges[TOWER_MOST_TENSORS];

	TR_TRY(reserve_host(t, err));
	b->ops->download(b, t->host, t->parameters, (size_t) t->layout.size * sizeof(float));
	*tensors = t->tensors;
	*count = describe(t, t->host, t->tensors, ranges);
	return b->ops->finish(b, err);
}

TrStatus
tower_restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Tower	   *t = (Tower *) model;
	TrBackend  *b = model->backend;
	TrTensor	wanted[TOWER_MOST_TENSORS];
	TrRange		ranges[TOWER_MOST_TENSORS];

	TR_TRY(reserve_host(t, err));
	TR_TRY(tr_tensors_read(wanted, ranges, describe(t, t->host, wanted, ranges), tensors, count, err));
	b->ops->upload(b, t->parameters, t->host, (size_t) t->layout.size * sizeof(float));
	if (t->idf)
		b->ops->upload(b, t->idf, t->host_idf, (size_t) t->layout.dim[0] * sizeof(float));
	return b->ops->finish(b, err);
}

/* Are the stored tensors those of such a model? Before there is memory for one, whose size is theirs. */
static TrStatus
check_stored(int32_t n_tags, const void *options, const TrTensor *tensors, int count, TrError *err)
{
	Tower		t = {.options = *(const TowerOptions *) options};
	TrTensor	wanted[TOWER_MOST_TENSORS];
	TrRange		ranges[TOWER_MOST_TENSORS];

	tower_layout(&t.layout, &t.options, n_tags);
	return tr_tensors_check(wanted, ranges, describe(&t, NULL, wanted, ranges), tensors, count, err);
}

TrStatus
tower_load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *options,
		   const TrTensor *tensors, int count, TrError *err)
{
	Tower	   *t = NULL;
	TrStatus	status;

	TR_TRY(check_stored(n_tags, options, tensors, count, err));
	status = new_tower(&t, memory, backend, n_tags, options, err);
	if (status == TR_OK)
		status = tower_restore(&t->model, tensors, count, err);
	if (status == TR_OK && !(t->idf = to_backend(t, t->host_idf, (size_t) n_tags * sizeof(float))))
		status = tr_backend_full(&t->model, "room for the model", err);
	if (status != TR_OK && t)
		tower_destroy(&t->model);
	else
		*model = &t->model;
	return status;
}

/* ------------------------------------------------------------------ encoding */

int
tower_model_width(const TrModel *model, int *unit)
{
	const Tower *t = (const Tower *) model;

	if (unit)
		*unit = t->layout.dim[t->layout.K];
	return tower_width(t);
}

/* csr = the weighted profiles of rows first..first+n-1 */
static TrStatus
profile_rows(Tower *t, TrSide side, const TrProfiles *profiles, int first, int n, TrCsr *csr, TrError *err)
{
	static const TrProfileRule everything = {.keep = 1.0f};
	TrBackend  *b = t->model.backend;
	int64_t		start = profiles->ptr[first];
	int64_t		entries = profiles->ptr[first + n] - start;
	TrProfileWeights weights = tower_profile_weights(t, side);
	int64_t    *ptr = tr_alloc(t->model.memory, ((size_t) n + 1) * sizeof(int64_t));
	int32_t    *entity = tr_alloc(t->model.memory, ((size_t) n + 1) * sizeof(int32_t));
	TrProfileTable table = {.n_entities = n, .n_entries = entries};
	TrStatus	status;

	if (!ptr || !entity)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while encoding");
	for (int i = 0; i <= n; i++)
	{
		ptr[i] = profiles->ptr[first + i] - start;
		entity[i] = i;
	}
	table.entry_ptr = to_backend(t, ptr, ((size_t) n + 1) * sizeof(int64_t));
	table.tag = to_backend(t, profiles->tag + start, (size_t) entries * sizeof(int32_t));
	table.count = to_backend(t, profiles->count + start, (size_t) entries * sizeof(float));
	int32_t    *entities = to_backend(t, entity, (size_t) n * sizeof(int32_t));

	status = tower_reserve_rows(t, TOWER_USERS, n, entries, csr, err);
	if (status == TR_OK && (!table.entry_ptr || !table.tag || !table.count || !entities))
		status = tr_backend_full(&t->model, "room for the model", err);
	if (status == TR_OK)
		b->ops->profile_rows(b, csr, &table, entities, NULL, n, &weights, &everything);
	release_table(t, &table);
	b->ops->release(b, entities);
	tr_free(t->model.memory, ptr);
	tr_free(t->model.memory, entity);
	return status;
}

/*
 * Users (x / |x|, 1), items (x / |x|, temperature w ln(1 + users)): the training's score times the temperature, which
 * ranks alike and leaves unit vectors in front.
 */
static TrStatus
encode_block(Tower *t, TrSide side, const TrProfiles *profiles, int first, int n, float *out, TrError *err)
{
	TrBackend  *b = t->model.backend;
	int			width = tower_width(t);
	TrCsr		csr;
	float		weight = 0;

	TR_TRY(profile_rows(t, side, profiles, first, n, &csr, err));
	TR_TRY(tower_forward(t, &csr, 1, n, 1.0f, NULL, err));
	b->ops->download(b, out, t->embedding.data, (size_t) n * width * sizeof(float));
	if (t->layout.popularity)
		b->ops->download(b, &weight, t->parameters + t->layout.popularity_weight, sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	if (t->layout.popularity && side == TR_ITEM)
		for (int i = 0; i < n; i++)
			out[(size_t) i * width + width - 1] = (float) t->options.temperature * weight
				* log1pf(profiles->posts ? (float) profiles->posts[first + i] : 0.0f);
	return TR_OK;
}

TrStatus
tower_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	Tower	   *t = (Tower *) model;

	for (int first = 0; first < profiles->rows; first += ENCODE_ROWS)
	{
		int			n = profiles->rows - first < ENCODE_ROWS ? profiles->rows - first : ENCODE_ROWS;

		TR_TRY(encode_block(t, side, profiles, first, n, out + (size_t) first * tower_width(t), err));
	}
	return TR_OK;
}

TrStatus
tower_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	const TrProfileTable *table = side == TR_USER ? &dataset->user : &dataset->item;
	int32_t    *posts = tr_alloc(model->memory, ((size_t) n + 1) * sizeof(int32_t));
	const int32_t *ptr = side == TR_USER ? dataset->user_ptr : dataset->item_ptr;
	TrProfiles	profiles = {.rows = n, .ptr = table->entry_ptr + first, .tag = table->tag, .count = table->count,
	.posts = posts};
	TrStatus	status;

	if (!posts)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while encoding");
	for (int32_t i = 0; i < n; i++)
		posts[i] = ptr[first + i + 1] - ptr[first + i];
	status = tower_encode(model, side, &profiles, out, err);
	tr_free(model->memory, posts);
	return status;
}
