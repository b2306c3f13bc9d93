/*
 * acf: an autoencoder over the tag profiles of users, and the items of the users nearest in its narrowest layer. See acf.h.
 * Legend: see acf.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/acf.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

#define OPTION(field) offsetof(AcfOptions, field)

/* In the order of TrWeighting. */
static const char *const weightings[] = {"count", "binary", "log", "tfidf", "log_tfidf", NULL};
static const char *const optimizers[] = {"sgd", "adam", NULL};

static const TrOption option_rows[] = {
	{"layers", TR_OPTION_INTS, OPTION(layers), "128", 1, 65536, NULL,
	"width of each layer of the encoder; the decoder is its mirror image"},
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), "log_tfidf", 0, 0, weightings,
	"how often a tag was given becomes its weight in a profile"},
	{"dropout", TR_OPTION_REAL, OPTION(dropout), "0.5", 0, 0.99, NULL,
	"share of a profile's tags left out at random in a step, and to be reconstructed"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0", 0, 1000, NULL,
	"weight of the squared parameters in the loss"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, optimizers,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.001", 1e-9, 1000, NULL,
	"size of a step; the gradient is the mean over the users of a batch"},
	{"batch", TR_OPTION_INT, OPTION(batch), "128", 1, 1000000, NULL,
	"users of a step"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "100", 0, 1e9, NULL,
	"users whose items a user is offered, at most, the nearest by cosine; 0 = all"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "20", 1, 100000, NULL,
	"passes over the users, at most"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(AcfOptions)
};

static size_t
estimate(const TrShape *shape, const void *values)
{
	const AcfOptions *o = values;
	AcfLayout	l;
	double		R = o->batch < shape->n_users ? o->batch : shape->n_users;
	double		entries = R * fmin(shape->n_tags, (double) shape->n_assignments);
	double		widths = 0;
	double		D;

	acf_layout(&l, &o->layers, shape->n_tags);
	D = l.dim[l.K];
	for (int k = 1; k <= l.K; k++)
		widths += l.dim[k];
	entries = fmin(entries, (double) shape->n_assignments);
	/*
	 * Parameters: in use, gradient, moments, on the host, saved, the best ones. A batch: layers, and rows, four times.
	 * Users: saved, the best ones.
	 */
	return (size_t) (sizeof(float) * (7.0 * l.size + R * (3 * widths + shape->n_tags + D) + 8 * 1.25 * entries
									  + 2 * D * shape->n_users))
		+ tr_user_neighbours_estimate(shape->n_users, D, shape->n_items);
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Acf		   *m = (Acf *) model;

	acf_release(m);
	tr_user_neighbours_free(&m->neighbours);
	if (m->tensors)
		for (int i = 0; i < 3 * m->layout.K + 2; i++)
			tr_free(model->memory, m->tensors[i].value);
	tr_free(model->memory, m->tensors);
	tr_free(model->memory, m->idf);
	tr_free(model->memory, m->order);
	tr_free(model->memory, m);
}

/* With room for so many rows at a time. */
static TrStatus
new_acf(Acf **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const AcfOptions *o, int batch, TrError *err)
{
	Acf		   *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	m->model.backend = backend;
	m->model.memory = memory;
	m->neighbours.memory = memory;
	m->options = *o;
	m->batch = batch;
	acf_layout(&m->layout, &o->layers, n_tags);
	m->idf = tr_calloc(memory, (size_t) n_tags + 1, sizeof(float));
	if (!m->idf)
	{
		destroy(&m->model);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", n_tags);
	}
	m->weights = (TrProfileWeights) {.weighting = (TrWeighting) o->weighting, .idf = m->idf};
	*result = m;
	return TR_OK;
}

/* idf (T), the users with a profile, the first parameters */
static TrStatus
fill(Acf *m, TrError *err)
{
	const TrDataset *d = m->dataset;
	TrBackend  *b = m->model.backend;

	tr_dataset_idf(m->idf, d);
	m->order = tr_alloc(m->model.memory, (size_t) d->n_users * sizeof(int32_t) + 1);
	if (!m->order)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d users", d->n_users);
	for (int32_t u = 0; u < d->n_users; u++)
		if (d->user.entry_ptr[u + 1] > d->user.entry_ptr[u])
			m->order[m->n_order++] = u;
	if (m->n_order == 0)
		return tr_fail(err, TR_BAD_DATA, "there is nothing to reconstruct: no user has a tag");
	TR_TRY(acf_reserve(m, true, err));
	TR_TRY(tr_user_neighbours_create(&m->neighbours, m->model.memory, d->n_users, m->layout.dim[m->layout.K],
									 m->options.neighbours, err));
	acf_initialize(m, m->host);
	b->ops->upload(b, m->parameters, m->host, (size_t) m->layout.size * sizeof(float));
	return b->ops->finish(b, err);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	const AcfOptions *o = values;
	Acf		   *m = NULL;
	TrStatus	status;

	TR_TRY(new_acf(&m, memory, backend, dataset->n_tags, o, o->batch < dataset->n_users ? o->batch : dataset->n_users,
				   err));
	m->dataset = dataset;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ neighbours */

static TrProfiles
users_of(const TrDataset *dataset, int32_t first, int32_t n)
{
	return (TrProfiles) {.rows = n, .ptr = dataset->user.entry_ptr + first, .tag = dataset->user.tag,
	.count = dataset->user.count};
}

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
	const TrDataset *d = m->dataset;
	int			D = m->layout.dim[m->layout.K];

	for (int32_t first = 0; !m->placed && first < d->n_users; first += m->batch)
	{
		TrProfiles	users = users_of(d, first, d->n_users - first < m->batch ? d->n_users - first : m->batch);

		TR_TRY(acf_encode(m, &users, m->host, err));
		for (int32_t r = 0; r < users.rows; r++)
		{
			if (is_empty(&users, r))
				memset(m->host + (size_t) r * (size_t) D, 0, (size_t) D * sizeof(float));
			tr_user_neighbours_set(&m->neighbours, first + r, m->host + (size_t) r * (size_t) D);
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
	TR_TRY(acf_encode(m, &one, m->host, err));
	tr_user_neighbours_find(&m->neighbours, m->host, without, out);
	return TR_OK;
}

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_USERS;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrProfiles	profile = users_of(dataset, user, 1);

	TR_TRY(place_users(m, err));
	return find(m, &profile, 0, user, out, err);
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	Acf		   *m = (Acf *) model;

	if (m->dataset)
		TR_TRY(place_users(m, err));
	return find(m, profiles, row, -1, out, err);
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Acf		   *m = (Acf *) model;

	return tr_user_neighbours_items(&m->neighbours, m->dataset, feature, out, err);
}

/* ------------------------------------------------------------------ tensors */

/* Tensor i of the model: W_1..W_K, b_1..b_2K, each with its place among the parameters, then idf and users, at -1. */
static int64_t
describe(const Acf *m, int i, TrTensor *tensor)
{
	const AcfLayout *l = &m->layout;
	int			K = l->K;

	tensor->rows = 1;
	if (i < K)
	{
		snprintf(tensor->name, sizeof(tensor->name), "W%d", i + 1);
		tensor->rows = l->dim[i];
		tensor->cols = l->dim[i + 1];
		return l->weight[i + 1];
	}
	if (i < 3 * K)
	{
		int			j = i - K + 1;

		snprintf(tensor->name, sizeof(tensor->name), "b%d", j);
		tensor->cols = l->dim[j <= K ? j : 2 * K - j];
		return l->bias[j];
	}
	strcpy(tensor->name, i == 3 * K ? "idf" : "users");
	tensor->rows = i == 3 * K ? 1 : m->neighbours.n_users;
	tensor->cols = i == 3 * K ? l->dim[0] : l->dim[K];
	return -1;
}

static void
copy_users(Acf *m, float *out)
{
	const TrUserNeighbours *n = &m->neighbours;

	for (int32_t u = 0; u < n->n_users; u++)
		memcpy(out + (size_t) u * (size_t) n->width, n->unit + (size_t) u * n->stride, (size_t) n->width * sizeof(float));
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrBackend  *b = model->backend;
	int			n = 3 * m->layout.K + 2;

	if (!m->tensors && !(m->tensors = tr_calloc(model->memory, (size_t) n, sizeof(TrTensor))))
		return tr_fail(err, TR_NO_MEMORY, "out of memory while saving");
	TR_TRY(place_users(m, err));
	for (int i = 0; i < n; i++)
	{
		TrTensor   *tensor = &m->tensors[i];
		int64_t		at = describe(m, i, tensor);
		size_t		bytes = (size_t) tensor->rows * (size_t) tensor->cols * sizeof(float);

		if (!tensor->value && !(tensor->value = tr_alloc(model->memory, bytes + 1)))
			return tr_fail(err, TR_NO_MEMORY, "out of memory while saving");
		if (at >= 0)
			b->ops->download(b, tensor->value, m->parameters + at, bytes);
		else if (i == 3 * m->layout.K)
			memcpy(tensor->value, m->idf, bytes);
		else
			copy_users(m, tensor->value);
	}
	*tensors = m->tensors;
	*count = n;
	return b->ops->finish(b, err);
}

/* Vectors of users as they were saved: unit vectors, which must not be divided by their length again. */
static TrStatus
restore_users(Acf *m, const TrTensor *tensor, TrError *err)
{
	TrUserNeighbours *n = &m->neighbours;

	if (!m->dataset)
		TR_TRY(tr_user_neighbours_create(n, m->model.memory, tensor->rows, tensor->cols, m->options.neighbours, err));
	for (int32_t u = 0; u < tensor->rows; u++)
		memcpy(n->unit + (size_t) u * n->stride, tensor->value + (size_t) u * (size_t) tensor->cols,
			   (size_t) tensor->cols * sizeof(float));
	m->placed = true;
	return TR_OK;
}

static TrStatus
check_stored(const Acf *m, const TrTensor *tensors, int count, TrError *err)
{
	int			n = 3 * m->layout.K + 2;
	TrTensor	wanted[3 * TR_MAX_INTS + 2];
	TrRange		ranges[3 * TR_MAX_INTS + 2];

	for (int i = 0; i < n; i++)
	{
		describe(m, i, &wanted[i]);
		ranges[i] = TR_FINITE;
	}
	ranges[n - 2] = TR_IDF;
	ranges[n - 1] = TR_UNIT;
	/* a model that was loaded knows from the stored tensor how many users there were */
	if (!m->dataset)
		wanted[n - 1].rows = TR_ANY;
	return tr_tensors_check(wanted, ranges, n, tensors, count, err);
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Acf		   *m = (Acf *) model;
	TrBackend  *b = model->backend;
	int			K = m->layout.K;

	TR_TRY(check_stored(m, tensors, count, err));
	for (int i = 0; i < 3 * K + 2; i++)
	{
		TrTensor	like;
		int64_t		at = describe(m, i, &like);
		const TrTensor *tensor = tr_tensor_find(like.name, tensors, count);

		if (at >= 0)
			b->ops->upload(b, m->parameters + at, tensor->value, (size_t) like.rows * (size_t) like.cols * sizeof(float));
		else if (i == 3 * K)
			memcpy(m->idf, tensor->value, (size_t) like.cols * sizeof(float));
		else
			TR_TRY(restore_users(m, tensor, err));
	}
	return b->ops->finish(b, err);
}

static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int count, TrError *err)
{
	Acf		   *m = NULL;
	TrStatus	status;

	TR_TRY(new_acf(&m, memory, backend, n_tags, values, 1, err));
	status = check_stored(m, tensors, count, err);
	if (status == TR_OK)
		status = acf_reserve(m, false, err);
	if (status == TR_OK)
		status = restore(&m->model, tensors, count, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

const TrAlgorithm tr_algorithm_acf = {
	.name = "acf",
	.summary = "Items of the users nearest to the user, by what an autoencoder makes of their tags.",
	.source = "Zuo et al. (Neurocomputing 2016), as a baseline of Xu et al. (IJCAI 2017), section 6",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = acf_train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = tr_no_width,
	.embed = tr_no_embed,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
	.destroy = destroy,
};
