/*
 * ease_tags: EASE over items and tags together. Users tell which items and tags go together, and so do the tags themselves:
 * each is one more row, that of the items it was given to.
 *
 *     X = [[ R,                b w(tags of the user) ],       U users
 *          [ a w(tags of the item)^T,            0   ]]       T tags
 *            N items           T tags
 *
 *     score of an item = sum over the user's items i of B[i,item] + sum over his tags t of b w_t B[N + t,item]
 *
 * B solves every item's column from all the others (ease_solve.h). A user of whom nothing but tags is known has the second
 * sum; an item that few users have, or a tag, is known by the rows of its tags. What is stored of the model are the rows of
 * B.
 */
#include <math.h>
#include <string.h>

#include "core/model.h"
#include "models/ease_solve.h"
#include "models/no_arrays.h"
#include "models/tensors.h"

typedef struct EaseTagsOptions
{
	double		lambda;
	double		user_tags;		/* b */
	double		item_tags;		/* a */
	int			user_weighting; /* TrWeighting */
	int			item_weighting;
	int			user_norm;		/* TrNorm */
	int			item_norm;
	int			neighbours;
	int			method;			/* TrEaseMethod */
} EaseTagsOptions;

#define OPTION(field) offsetof(EaseTagsOptions, field)

/* The number of items is stored as a float, which is exact up to here. */
#define MOST_FEATURES (1 << 24)

/* In the order of TrWeighting and of TrNorm. */
static const char *const weightings[] = {"count", "binary", "log", "tfidf", "log_tfidf", NULL};
static const char *const norms[] = {"none", "l2", "max", NULL};
static const char *const methods[] = {"auto", "primal", "dual", NULL};

static const TrOption option_rows[] = {
	{"lambda", TR_OPTION_REAL, OPTION(lambda), "300", 1e-3, 1e9, NULL,
	"weight of the squared weights: more for data with few pairs, or with much chance in them"},
	{"user_tags", TR_OPTION_REAL, OPTION(user_tags), "3", 0, 1000, NULL,
	"what a user's tags count beside his items, 1 each; 0 = nothing, and then tags alone recommend nothing"},
	{"item_tags", TR_OPTION_REAL, OPTION(item_tags), "1", 0, 1000, NULL,
	"what the tags of items count beside the users they have; 0 = nothing"},
	{"user_weighting", TR_OPTION_ENUM, OPTION(user_weighting), "binary", 0, 0, weightings,
	"how often a user gave a tag becomes its weight in his profile"},
	{"item_weighting", TR_OPTION_ENUM, OPTION(item_weighting), "log", 0, 0, weightings,
	"how often an item was given a tag becomes its weight in the item's profile"},
	{"user_norm", TR_OPTION_ENUM, OPTION(user_norm), "l2", 0, 0, norms,
	"what the weights of a user's profile are divided by"},
	{"item_norm", TR_OPTION_ENUM, OPTION(item_norm), "none", 0, 0, norms,
	"what the weights of an item's profile are divided by"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "1000", 0, 1e9, NULL,
	"weights kept of an item or a tag, those of the largest absolute value; 0 = all"},
	{"method", TR_OPTION_ENUM, OPTION(method), "auto", 0, 0, methods,
	"which matrix is inverted, for the same result: primal, of items and tags; dual, of users and tags; auto, the faster "
	"one"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(EaseTagsOptions)
};

typedef struct EaseTags
{
	TrModel		model;
	EaseTagsOptions options;
	const TrDataset *dataset;	/* NULL when loaded */
	TrEaseWeights weights;
	int32_t		n_items,
				n_tags;
	float		items;			/* n_items, to be saved */
	float	   *idf;			/* (T) ln(items / items with the tag) */
	int32_t		room;			/* of the two below: a user's features */
	int32_t    *index;
	float	   *value;
	TrTensor	tensors[2];		/* "idf" (1,T), "items" (1,1) */
} EaseTags;

static TrEaseSettings
settings_of(const EaseTagsOptions *o)
{
	return (TrEaseSettings) {.lambda = o->lambda, .neighbours = o->neighbours, .method = o->method};
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	TrEaseSettings settings = settings_of(values);
	double		entries = shape->n_posts + 2.0 * (double) shape->n_assignments;	/* at most */
	double		M = (double) shape->n_users + shape->n_tags;
	double		C = (double) shape->n_items + shape->n_tags;

	return tr_ease_bytes(M, C, shape->n_items, entries, &settings) + (size_t) (16 * entries + 8 * (M + C));
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	EaseTags   *m = (EaseTags *) model;

	tr_ease_weights_free(&m->weights, model->memory);
	tr_free(model->memory, m->idf);
	tr_free(model->memory, m->index);
	tr_free(model->memory, m->value);
	tr_free(model->memory, m);
}

static TrStatus
new_model(EaseTags **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, TrError *err)
{
	EaseTags   *m = tr_calloc(memory, 1, sizeof(*m));

	if (!m || !(m->idf = tr_calloc(memory, (size_t) n_tags + 1, sizeof(float))))
	{
		tr_free(memory, m);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", n_tags);
	}
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const EaseTagsOptions *) values;
	m->n_tags = n_tags;
	m->tensors[0] = (TrTensor) {.name = "idf", .rows = 1, .cols = n_tags, .value = m->idf};
	m->tensors[1] = (TrTensor) {.name = "items", .rows = 1, .cols = 1, .value = &m->items};
	*result = m;
	return TR_OK;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *d, const void *values, TrError *err)
{
	EaseTags   *m = NULL;

	if ((int64_t) d->n_items + d->n_tags > MOST_FEATURES)
		return tr_fail(err, TR_BAD_DATA, "%d items and %d tags are more than %d", d->n_items, d->n_tags, MOST_FEATURES);
	TR_TRY(new_model(&m, memory, backend, d->n_tags, values, err));
	m->dataset = d;
	m->n_items = d->n_items;
	tr_dataset_idf(m->idf, d);
	*model = &m->model;
	return TR_OK;
}

/* ------------------------------------------------------------------ profiles */

/* value (n) = the weights of a profile, times factor */
static void
weigh(const EaseTags *m, TrSide side, float factor, const int32_t *tag, const float *count, int64_t n, float *value)
{
	const EaseTagsOptions *o = &m->options;
	TrProfileWeights weights = {.idf = m->idf};
	TrNorm		norm = (TrNorm) (side == TR_USER ? o->user_norm : o->item_norm);
	double		squares = 0;
	float		most = 0;
	double		divisor;

	weights.weighting = (TrWeighting) (side == TR_USER ? o->user_weighting : o->item_weighting);
	for (int64_t e = 0; e < n; e++)
	{
		value[e] = tr_tag_weight(&weights, tag[e], count[e], 0);
		squares += (double) value[e] * value[e];
		most = fmaxf(most, value[e]);
	}
	divisor = norm == TR_NORM_L2 ? sqrt(squares) : norm == TR_NORM_MAX ? most : 1;
	for (int64_t e = 0; e < n; e++)
		value[e] = divisor > 0 ? (float) (factor * value[e] / divisor) : 0;
}

/* ------------------------------------------------------------------ training */

/* The users' rows of X; returns the entries so far. */
static int64_t
fill_users(const EaseTags *m, TrCsr *x)
{
	const TrDataset *d = m->dataset;
	int64_t		at = 0;

	for (int32_t u = 0; u < d->n_users; u++)
	{
		int64_t		first = d->user.entry_ptr[u];
		int64_t		n = m->options.user_tags > 0 ? d->user.entry_ptr[u + 1] - first : 0;

		x->ptr[u] = at;
		for (int32_t p = d->user_ptr[u]; p < d->user_ptr[u + 1]; p++, at++)
		{
			x->col[at] = d->post_item[p];
			x->val[at] = 1;
		}
		weigh(m, TR_USER, (float) m->options.user_tags, d->user.tag + first, d->user.count + first, n, x->val + at);
		for (int64_t e = 0; e < n; e++)
			x->col[at++] = d->n_items + d->user.tag[first + e];
	}
	return at;
}

/* The tags' rows of X, from entry `at` on: the items' profiles, by tag. next (T) and value (entries) are work space. */
static void
fill_tags(const EaseTags *m, TrCsr *x, int64_t at, int64_t *next, float *value)
{
	const TrDataset *d = m->dataset;
	const TrProfileTable *items = &d->item;
	int64_t    *ptr = x->ptr + d->n_users;
	int64_t		entries = m->options.item_tags > 0 ? items->n_entries : 0;

	memset(next, 0, (size_t) d->n_tags * sizeof(int64_t));
	for (int64_t e = 0; e < entries; e++)
		next[items->tag[e]]++;
	for (int32_t t = 0; t < d->n_tags; t++)
	{
		ptr[t] = at;
		at += next[t];
		next[t] = ptr[t];
	}
	ptr[d->n_tags] = at;
	for (int32_t i = 0; entries > 0 && i < d->n_items; i++)
	{
		int64_t		first = items->entry_ptr[i];
		int64_t		n = items->entry_ptr[i + 1] - first;

		weigh(m, TR_ITEM, (float) m->options.item_tags, items->tag + first, items->count + first, n, value);
		for (int64_t e = 0; e < n; e++)
		{
			int64_t		to = next[items->tag[first + e]]++;

			x->col[to] = i;
			x->val[to] = value[e];
		}
	}
}

static TrStatus
fill_data(const EaseTags *m, TrEaseData *data, TrError *err)
{
	const TrDataset *d = m->dataset;
	TrMemory   *memory = m->model.memory;
	TrCsr	   *x = &data->by_row;
	size_t		entries = (size_t) (d->n_posts + d->user.n_entries + d->item.n_entries);
	int64_t    *next = tr_alloc(memory, (size_t) d->n_tags * sizeof(int64_t) + 1);
	float	   *value = tr_alloc(memory, (size_t) d->n_tags * sizeof(float) + 1);
	bool		enough;

	data->targets = d->n_items;
	*x = (TrCsr) {.rows = d->n_users + d->n_tags, .cols = d->n_items + d->n_tags, .capacity = (int64_t) entries};
	x->ptr = tr_alloc(memory, ((size_t) x->rows + 1) * sizeof(int64_t));
	x->col = tr_alloc(memory, entries * sizeof(int32_t) + 1);
	x->val = tr_alloc(memory, entries * sizeof(float) + 1);
	enough = x->ptr && x->col && x->val && next && value;
	if (enough)
		fill_tags(m, x, fill_users(m, x), next, value);
	tr_free(memory, next);
	tr_free(memory, value);
	if (!enough)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %zu entries", entries);
	return tr_ease_transpose(data, memory, err);
}

static TrStatus
solve(EaseTags *m, const TrPoll *poll, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	TrEaseSettings settings = settings_of(&m->options);
	TrEaseData	data = {0};
	TrStatus	status = fill_data(m, &data, err);

	if (status == TR_OK)
		status = tr_ease_solve(&m->weights, memory, m->model.backend, &data, &settings, poll, err);
	tr_ease_data_free(&data, memory);
	return status;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;

	(void) epoch;
	TR_TRY(solve(m, poll, err));
	stats->pairs = m->dataset->n_posts;
	stats->loss = m->weights.loss / m->dataset->n_posts;
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ tensors */

/* What encoding tags takes; the weights are stored as rows. */
static TrStatus
save(TrModel *model, TrTensor **tensors, int *n, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;

	(void) err;
	m->items = (float) m->n_items;
	*tensors = m->tensors;
	*n = 2;
	return TR_OK;
}

/* Into idf and items. */
static TrStatus
read_tensors(EaseTags *m, const TrTensor *tensors, int n, TrError *err)
{
	TrRange		ranges[] = {TR_IDF, {1, (float) (MOST_FEATURES - m->n_tags), true}};

	return tr_tensors_read(m->tensors, ranges, 2, tensors, n, err);
}

/* Solves again: what is restored is what the same data gave. */
static TrStatus
restore(TrModel *model, const TrTensor *tensors, int n, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;

	TR_TRY(read_tensors(m, tensors, n, err));
	if (m->items != (float) m->n_items)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %.0f items, not %d", m->items, m->n_items);
	return solve(m, NULL, err);
}

static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int n, TrError *err)
{
	EaseTags   *m = NULL;
	TrStatus	status;

	TR_TRY(new_model(&m, memory, backend, n_tags, values, err));
	status = read_tensors(m, tensors, n, err);
	if (status == TR_OK)
		m->n_items = (int32_t) m->items;
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ result */

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_ITEMS | TR_FEATURES_TAGS;
}

static TrStatus
reserve(EaseTags *m, int64_t n, TrError *err)
{
	TrMemory   *memory = m->model.memory;

	if (n <= m->room)
		return TR_OK;
	tr_free(memory, m->index);
	tr_free(memory, m->value);
	m->index = tr_alloc(memory, (size_t) n * sizeof(int32_t));
	m->value = tr_alloc(memory, (size_t) n * sizeof(float));
	m->room = m->index && m->value ? (int32_t) n : 0;
	return m->room ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for %lld features of a user", (long long) n);
}

/* out = the items, 1 each, and behind them the weighted tags */
static TrStatus
user_row(EaseTags *m, const int32_t *item, int32_t n_items, const int32_t *tag, const float *count, int64_t n_tags,
		 TrSparse *out, TrError *err)
{
	if (m->options.user_tags == 0)
		n_tags = 0;
	TR_TRY(reserve(m, n_items + n_tags, err));
	for (int32_t i = 0; i < n_items; i++)
	{
		m->index[i] = item[i];
		m->value[i] = 1;
	}
	weigh(m, TR_USER, (float) m->options.user_tags, tag, count, n_tags, m->value + n_items);
	for (int64_t e = 0; e < n_tags; e++)
		m->index[n_items + e] = m->n_items + tag[e];
	*out = (TrSparse) {n_items + (int32_t) n_tags, m->index, m->value};
	return TR_OK;
}

static TrStatus
user_features(TrModel *model, const TrDataset *d, int32_t user, TrSparse *out, TrError *err)
{
	int32_t		first = d->user_ptr[user];
	int64_t		entry = d->user.entry_ptr[user];

	return user_row((EaseTags *) model, d->post_item + first, d->user_ptr[user + 1] - first, d->user.tag + entry,
					d->user.count + entry, d->user.entry_ptr[user + 1] - entry, out, err);
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	int64_t		entry = profiles->ptr[row];

	return user_row((EaseTags *) model, NULL, 0, profiles->tag + entry, profiles->count + entry,
					profiles->ptr[row + 1] - entry, out, err);
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = tr_ease_row(&((EaseTags *) model)->weights, feature);
	return TR_OK;
}

const TrAlgorithm tr_algorithm_ease_tags = {
	.name = "ease_tags",
	.summary = "Every item explained by the user's other items and tags, and by the tags items share, in closed form.",
	.source = "Steck (WWW 2019), with tags as further rows and columns; compare Jeunen et al., Closed-Form Models for "
			  "Collaborative Filtering with Side-Information (RecSys 2020)",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
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
