/*
 * The TrAlgorithm functions of the DSPR family: create, save, load, encode.
 */
#include <math.h>
#include <string.h>

#include "models/choice.h"
#include "models/tower/tower.h"

/* Rows encoded at a time outside training. */
#define ENCODE_ROWS 1024

/* ------------------------------------------------------------------ estimate */

/* Without what a choice takes */
static double
bytes_of(const TrShape *shape, const TowerOptions *o)
{
	TrParameters p = {0};
	TrStack		l;
	double		targets = o->batch_by == TOWER_BY_USERS ? fmin(o->batch,
															   shape->n_users) * (double) o->max_targets : o->batch;
	double		users = fmin(o->batch, shape->n_users);
	double		pairs = fmin(targets, shape->n_posts);
	double		columns = fmin(shape->n_items, o->negatives == TOWER_FULL ? shape->n_items
							   : o->negatives == TOWER_EACH ? pairs * (1.0 + o->samples)
							   : pairs + (o->negatives == TOWER_IN_BATCH ? 0 : o->samples));
	double		rows = users + columns + (o->own_tags ? 0 : pairs);
	double		floats;

	(void) tower_layout(&l, &p, o, shape->n_tags);
	floats = (double) p.size * (o->optimizer == TOWER_ADAM ? 4 : o->optimizer == TOWER_MOMENTUM ? 3 : 2);
	for (int k = 1; k <= l.K; k++)
		floats += rows * l.dim[k] * (o->reconstruction > 0 ? 4 : 2);
	floats += (o->negatives == TOWER_EACH ? pairs * (2 * columns + o->samples) : users * columns) + rows * l.dim[l.K] * 2;
	if (o->reconstruction > 0)
		floats += fmin(rows * l.dim[0], fmax(4 * 1024 * 1024, 64.0 * l.dim[0]));
	/* the dataset's copy in backend memory, and the kept best weights */
	floats += 4.0 * (double) shape->n_assignments + 2.0 * (double) shape->n_posts + 2.0 * (double) p.size;
	return floats * 1.125 * sizeof(float);
}

size_t
tower_estimate_over(const TrShape *shape, const void *values)
{
	TowerOptions o;
	double		bytes;

	tower_set_tried(&o, values, 0);
	bytes = bytes_of(shape, &o);
	return tower_is_open(values) ? (size_t) (2 * bytes) + tr_choice_bytes(shape) : (size_t) bytes;
}

size_t
tower_estimate(const TrShape *shape, const void *values)
{
	return tower_estimate_over(shape, values) + tower_profiles_bytes(shape, values);
}

/* ------------------------------------------------------------------ life */

/* idf = ln(items / items with the tag), and the mean number of assignments of a profile */
static void
profile_statistics(Tower *t)
{
	const TrDataset *d = t->dataset;

	tr_dataset_idf(t->host_idf, d);
	t->mean_length[TR_USER] = (float) ((double) d->n_assignments / d->n_users);
	t->mean_length[TR_ITEM] = (float) ((double) d->item.n_occurrences / d->n_items);
}

/* to = from, in backend memory */
static void
upload_table(Tower *t, TrProfileTable *to, const TrProfileTable *from)
{
	TrModel    *model = &t->model;
	size_t		E = (size_t) from->n_entries;
	size_t		n = (size_t) from->n_occurrences;

	*to = *from;
	to->entry_ptr = tr_to_device(model, from->entry_ptr, ((size_t) from->n_entities + 1) * sizeof(int64_t));
	to->tag = tr_to_device(model, from->tag, E * sizeof(int32_t));
	to->count = tr_to_device(model, from->count, E * sizeof(float));
	to->occurrence_ptr = tr_to_device(model, from->occurrence_ptr, (E + 1) * sizeof(int64_t));
	to->post = tr_to_device(model, from->post, n * sizeof(int32_t));
	to->weight = from->weight ? tr_to_device(model, from->weight, n * sizeof(float)) : NULL;
	if (from->post_ptr)
	{
		to->post_ptr = tr_to_device(model, from->post_ptr, ((size_t) t->dataset->n_posts + 1) * sizeof(int64_t));
		to->post_tag = tr_to_device(model, from->post_tag, (size_t) t->dataset->n_assignments * sizeof(int32_t));
	}
}

static TrStatus
check_dataset(const TrDataset *d, TrError *err)
{
	if (d->n_items >= 2)
		return TR_OK;
	(void) tr_fail(err, TR_BAD_DATA, "cannot learn a ranking from %d item%s", d->n_items, d->n_items == 1 ? "" : "s");
	if (err)
		snprintf(err->hint, sizeof(err->hint), "The source must have at least two different items.");
	return TR_BAD_DATA;
}

/*
 * What is not learned of such an input adds no noise: its row of the first layer is zero. Its idf is 1: how rare it is says
 * little about it.
 */
static void
silence(Tower *t, int32_t first)
{
	const TrStack *l = &t->stack;

	memset(t->p.host + l->weight[1] + (size_t) first * l->dim[1], 0,
		   (size_t) (l->dim[0] - first) * (size_t) l->dim[1] * sizeof(float));
	for (int32_t input = first; input < l->dim[0]; input++)
		t->host_idf[input] = 1;
}

/* What the first epoch starts from. */
static TrStatus
prepare_training(Tower *t, int32_t n_tags, TrError *err)
{
	TrProfileTable items;

	profile_statistics(t);
	silence(t, n_tags);
	if (t->options.popularity)
		t->p.host[t->popularity_weight] = 0.5f;
	upload_table(t, &t->side[TR_USER], &t->dataset->user);
	TR_TRY(tower_read_profiles(t, &items, err));
	upload_table(t, &t->side[TR_ITEM], &items);
	tower_forget_profiles(t, &items);
	TR_TRY(tr_enough_memory(&t->model, err, "the model"));
	return tower_planner_create(t, err);
}

/* Where it is not given it is stored, but for members of blends of 0.1.0, in which it had a default. */
static TrStatus
add_temperature(Tower *t, TrError *err)
{
	TrModel    *model = &t->model;

	if (((const TowerOptions *) model->options)->temperature != 0)
		return TR_OK;
	if (!model->dataset && !tr_stored(model, "temperature"))
	{
		t->options.temperature = model->algorithm->knows_items ? 0.1 : 0.05;
		return TR_OK;
	}
	TR_TRY(tr_tensor(model, "temperature", 1, 1, TR_FROM_ZERO, &t->chosen, err));
	if (model->dataset)
		*t->chosen = (float) t->options.temperature;
	return TR_OK;
}

TrStatus
tower_create_over(Tower *t, const TrDataset *dataset, int32_t inputs, int32_t n_tags, TrError *err)
{
	static const int moments[] = {[TOWER_SGD] = 0, [TOWER_MOMENTUM] = 1, [TOWER_ADAM] = 2};
	TrModel    *model = &t->model;

	if (dataset)
		TR_TRY(check_dataset(dataset, err));
	tower_set_tried(&t->options, model->options, 0);
	t->dataset = dataset;
	t->popularity_weight = tower_layout(&t->stack, &t->p, &t->options, inputs);
	TR_TRY(tr_parameters_create(&t->p, model, moments[t->options.optimizer], t->options.seed, true, err));
	TR_TRY(add_temperature(t, err));
	TR_TRY(tr_tensor(model, "idf", 1, inputs, TR_IDF, &t->host_idf, err));
	TR_TRY(tr_tensor(model, "mean_length", 1, 2, TR_FROM_ZERO, &t->mean_length, err));
	t->idf = tr_device_floats(model, (size_t) inputs);
	TR_TRY(tr_mirror(model, t->host_idf, t->idf, (size_t) inputs, err));
	model->unit = t->stack.dim[t->stack.K];
	model->width = model->unit + (t->options.popularity ? 1 : 0);
	return dataset ? prepare_training(t, n_tags, err) : TR_OK;
}

TrStatus
tower_create(TrModel *model, TrError *err)
{
	return tower_create_over((Tower *) model, model->dataset, model->n_tags, model->n_tags, err);
}

/* ------------------------------------------------------------------ encoding */

/* csr = the weighted profiles of rows first..first+n-1 */
static TrStatus
profile_rows(Tower *t, TrSide side, const TrProfiles *profiles, int first, int n, TrCsr *csr, TrError *err)
{
	static const TrProfileRule everything = {.keep = 1.0f};
	TrModel    *model = &t->model;
	int64_t		start = profiles->ptr[first];
	int64_t		entries = profiles->ptr[first + n] - start;
	TrProfileWeights weights = tower_profile_weights(t, side);
	int64_t    *ptr = TR_NEW(model, int64_t, n + 1);
	int32_t    *entity = TR_NEW(model, int32_t, n + 1);
	TrProfileTable table = {.n_entities = n, .n_entries = entries};
	TrPiece		pieces[] = {
		{(void **) &table.entry_ptr, ptr, ((size_t) n + 1) * sizeof(int64_t)},
		{(void **) &table.tag, profiles->tag + start, (size_t) entries * sizeof(int32_t)},
		{(void **) &table.count, profiles->count + start, (size_t) entries * sizeof(float)},
		{(void **) &t->encoded, entity, (size_t) n * sizeof(int32_t)},
	};
	TrStatus	status;

	TR_TRY(tr_enough_memory(model, err, "encoding"));
	for (int i = 0; i <= n; i++)
	{
		ptr[i] = profiles->ptr[first + i] - start;
		entity[i] = i;
	}
	status = tower_reserve_rows(t, TOWER_USERS, n, entries, csr, err);
	if (status == TR_OK)
		status = tr_upload(model, &t->upload, pieces, sizeof(pieces) / sizeof(pieces[0]), err);
	if (status == TR_OK)
		model->backend->ops->profile_rows(model->backend, csr, &table, t->encoded, NULL, n, &weights, &everything);
	tr_free(model->memory, ptr);
	tr_free(model->memory, entity);
	return status;
}

TrStatus
tower_popularity_factor(Tower *t, float *factor, TrError *err)
{
	TrBackend  *b = t->model.backend;
	float		weight = 0;

	b->ops->download(b, &weight, t->p.value + t->popularity_weight, sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	*factor = (float) t->options.temperature * weight;
	return TR_OK;
}

/*
 * Users (x / |x|, 1), items (x / |x|, temperature w ln(1 + users)): the training's score times the temperature, which
 * ranks alike and leaves unit vectors in front.
 */
static TrStatus
encode_block(Tower *t, TrSide side, const TrProfiles *profiles, int first, int n, float *out, TrError *err)
{
	TrBackend  *b = t->model.backend;
	int			width = t->model.width;
	TrCsr		csr;
	float		factor = 0;

	TR_TRY(profile_rows(t, side, profiles, first, n, &csr, err));
	TR_TRY(tower_forward(t, &csr, 1, n, 1.0f, NULL, err));
	b->ops->download(b, out, t->embedding.data, (size_t) n * width * sizeof(float));
	if (t->options.popularity && side == TR_ITEM)
		TR_TRY(tower_popularity_factor(t, &factor, err));
	TR_TRY(b->ops->finish(b, err));
	if (t->options.popularity && side == TR_ITEM)
		for (int i = 0; i < n; i++)
			out[(size_t) i * width + width - 1] = factor
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

		TR_TRY(encode_block(t, side, profiles, first, n, out + (size_t) first * t->model.width, err));
	}
	return TR_OK;
}
