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
 * B; or, where it is spectral, arrays, and a new item is known by its tags as a new user is.
 */
#include <math.h>
#include <string.h>

#include "models/choice.h"
#include "models/ease/ease_spectral.h"

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
	int			rank;
} EaseTagsOptions;

#define OPTION(field) offsetof(EaseTagsOptions, field)

/* The number of items is stored as a float, which is exact up to here. */
#define MOST_FEATURES (1 << 24)

#define MOST_LAMBDA 1e9
#define MOST_WEIGHT 1000		/* of tags */

/* In the order of TrNorm. */
static const char *const norms[] = {"none", "l2", "max", NULL};
static const char *const methods[] = {"auto", "primal", "dual", "spectral", NULL};

static const TrOption option_rows[] = {
	{"lambda", TR_OPTION_REAL, OPTION(lambda), "0", 0, MOST_LAMBDA, NULL,
	"L2 strength; 0 = chosen on held-out pairs of the training data; 300 with the method spectral"},
	{"user_tags", TR_OPTION_REAL, OPTION(user_tags), "-1", -1, MOST_WEIGHT, NULL,
	"weight of a user's tags relative to the user's items; 0 = tags of users are ignored, and tags alone recommend "
	"nothing; -1 = chosen on held-out pairs; 3 with the method spectral"},
	{"item_tags", TR_OPTION_REAL, OPTION(item_tags), "-1", -1, MOST_WEIGHT, NULL,
	"weight of the tags of items relative to their users; 0 = tags of items are ignored; -1 = chosen on held-out pairs; 1 "
	"with the method spectral"},
	{"user_weighting", TR_OPTION_ENUM, OPTION(user_weighting), "binary", 0, 0, tr_weighting_names,
	"weighting of tag counts in user profiles"},
	{"item_weighting", TR_OPTION_ENUM, OPTION(item_weighting), "log", 0, 0, tr_weighting_names,
	"weighting of tag counts in item profiles"},
	{"user_norm", TR_OPTION_ENUM, OPTION(user_norm), "l2", 0, 0, norms,
	"normalization of user profiles"},
	{"item_norm", TR_OPTION_ENUM, OPTION(item_norm), "none", 0, 0, norms,
	"normalization of item profiles"},
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "1000", 0, 1e9, NULL,
	"number of weights stored per item or tag, the largest by absolute value; 0 = all"},
	{"method", TR_OPTION_ENUM, OPTION(method), "auto", 0, 0, methods,
	"matrix to invert, for the same result: primal (items and tags) or dual (users and tags); spectral, the leading "
	"eigenvectors in place of an inverse, for large catalogs; auto, the fastest, which is exact where that takes at most "
	"10^13 multiplications"},
	{"rank", TR_OPTION_INT, OPTION(rank), "1024", 1, 8192, NULL,
	"number of eigenvectors of the method spectral, which is the embedding size"},
};

static TrStatus
check_options(const void *values, TrError *err)
{
	const EaseTagsOptions *o = values;

	if (o->lambda > 0 && o->lambda < 0.001)
		return tr_fail(err, TR_BAD_OPTION, "option \"lambda\" is %g, which is neither 0 nor 0.001 or more", o->lambda);
	if ((o->user_tags < 0 && o->user_tags != -1) || (o->item_tags < 0 && o->item_tags != -1))
		return tr_fail(err, TR_BAD_OPTION, "option \"%s\" is negative, but not -1",
					   o->user_tags < 0 && o->user_tags != -1 ? "user_tags" : "item_tags");
	return TR_OK;
}

static const TrOptionSet options = TR_OPTION_SET(option_rows, EaseTagsOptions, .check = check_options);

/*
 * What is worth a try: tags that tell much, and tags that say little; then a lambda for items of few users, with those of
 * the two that did better.
 */
static const struct
{
	double		lambda,
				user_tags,
				item_tags;
} tried[] = {{300, 3, 1}, {300, 0.3, 0.3}, {100, 3, 1}, {100, 0.3, 0.3}};

#define TRIED ((int) (sizeof(tried) / sizeof(tried[0])))

/* A choice takes no more users: the matrix to invert then is small, and lambda goes by what they are of all. */
#define CHOOSING_USERS 800

typedef struct EaseTags
{
	TrModel		model;
	EaseTagsOptions options;
	TrEaseWeights weights;
	TrEaseSpectral spectral;
	float	   *chosen;			/* (3) tensor "chosen": lambda, user_tags, item_tags; NULL = they were given */
	int32_t		n_items;
	float	   *items;			/* (1) the same, saved */
	float	   *idf;			/* (T) ln(items / items with the tag) */
	int32_t		room;			/* of the two below: a user's features */
	int32_t    *index;
	float	   *value;
} EaseTags;

static TrEaseSettings
settings_of(const EaseTagsOptions *o)
{
	return (TrEaseSettings) {.lambda = o->lambda, .neighbours = o->neighbours, .method = o->method};
}

static bool
is_open(const EaseTagsOptions *o)
{
	return o->lambda == 0 || o->user_tags < 0 || o->item_tags < 0;
}

/* o = the i-th of those tried, where it is not given */
static void
set_tried(EaseTagsOptions *o, const EaseTagsOptions *given, int i)
{
	*o = *given;
	if (given->lambda == 0)
		o->lambda = tried[i].lambda;
	if (given->user_tags < 0)
		o->user_tags = tried[i].user_tags;
	if (given->item_tags < 0)
		o->item_tags = tried[i].item_tags;
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	TrEaseSettings settings = settings_of(values);
	double		entries = shape->n_posts + 2.0 * (double) shape->n_assignments;	/* at most */
	double		M = (double) shape->n_users + shape->n_tags;
	double		C = (double) shape->n_items + shape->n_tags;
	size_t		bytes;

	if (tr_ease_is_spectral(M, C, shape->n_posts, settings.method))
		return tr_ease_spectral_bytes(M, C, entries, ((const EaseTagsOptions *) values)->rank)
			+ (size_t) (16 * entries + 8 * (M + C));
	bytes = tr_ease_bytes(M, C, shape->n_items, entries, &settings) + (size_t) (16 * entries + 8 * (M + C));
	if (is_open(values))
		bytes += tr_choice_bytes(shape) + (size_t) (16 * entries)
			+ tr_ease_bytes(fmin(shape->n_users, CHOOSING_USERS) + shape->n_tags, C, shape->n_items, entries, &settings);
	return bytes;
}

/* One that is being loaded is what it was stored as. */
static bool
is_spectral(const EaseTags *m)
{
	const TrModel *model = &m->model;
	const TrDataset *d = model->dataset;

	if (!d)
		return m->options.method == TR_EASE_SPECTRAL || (m->options.method == TR_EASE_AUTO && tr_stored(model, "tags"));
	return tr_ease_is_spectral((double) d->n_users + d->n_tags, (double) d->n_items + d->n_tags, d->n_posts,
							   m->options.method);
}

static void
keep_chosen(EaseTags *m)
{
	m->chosen[0] = (float) m->options.lambda;
	m->chosen[1] = (float) m->options.user_tags;
	m->chosen[2] = (float) m->options.item_tags;
}

/* What is not given is stored, but for members of blends of 0.1.0, in which it had a default. */
static TrStatus
add_chosen(EaseTags *m, TrError *err)
{
	TrModel    *model = &m->model;

	if (!is_open(model->options) || (!model->dataset && !tr_stored(model, "chosen")))
		return TR_OK;
	TR_TRY(tr_tensor(model, "chosen", 1, 3, (TrRange) {0, MOST_LAMBDA, false}, &m->chosen, err));
	if (model->dataset)
		keep_chosen(m);
	return TR_OK;
}

/* What encoding tags takes is saved; the weights are stored as rows. */
static TrStatus
create(TrModel *model, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;
	const TrDataset *d = model->dataset;

	if (d && (int64_t) d->n_items + d->n_tags > MOST_FEATURES)
		return tr_fail(err, TR_BAD_DATA, "%d items and %d tags exceed the maximum, "
										 "%d", d->n_items, d->n_tags, MOST_FEATURES);
	set_tried(&m->options, model->options, 0);
	TR_TRY(add_chosen(m, err));
	TR_TRY(tr_tensor(model, "idf", 1, model->n_tags, TR_IDF, &m->idf, err));
	TR_TRY(tr_tensor(model, "items", 1, 1, (TrRange) {1, (float) (MOST_FEATURES - model->n_tags), true}, &m->items, err));
	if (d)
	{
		tr_dataset_idf(m->idf, d);
		*m->items = (float) d->n_items;
	}
	m->n_items = (int32_t) *m->items;
	if (!is_spectral(m))
		return TR_OK;
	return tr_ease_spectral_create(&m->spectral, model, (d ? d->n_users : 0) + model->n_tags, m->n_items + model->n_tags,
								   model->n_tags, m->options.rank, err);
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

/* The users' rows of X; *entries = how many they have */
static TrStatus
fill_users(const EaseTags *m, TrCsr *x, int64_t *entries, const TrPoll *poll)
{
	const TrDataset *d = m->model.dataset;
	int64_t		at = 0;
	int64_t		since = 0;

	for (int32_t u = 0; u < d->n_users; u++)
	{
		int64_t		first = d->user.entry_ptr[u];
		int64_t		n = m->options.user_tags > 0 ? d->user.entry_ptr[u + 1] - first : 0;

		if (tr_poll_after(poll, &since, d->user_ptr[u + 1] - d->user_ptr[u] + n))
			return TR_CANCELLED;
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
	*entries = at;
	return TR_OK;
}

/* The tags' rows of X, from entry `at` on: the items' profiles, by tag. next (T) and value (entries) are work space. */
static TrStatus
fill_tags(const EaseTags *m, TrCsr *x, int64_t at, int64_t *next, float *value, const TrPoll *poll)
{
	const TrDataset *d = m->model.dataset;
	const TrProfileTable *items = &d->item;
	int64_t    *ptr = x->ptr + d->n_users;
	int64_t		entries = m->options.item_tags > 0 ? items->n_entries : 0;
	int64_t		since = 0;

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

		if (tr_poll_after(poll, &since, n))
			return TR_CANCELLED;
		weigh(m, TR_ITEM, (float) m->options.item_tags, items->tag + first, items->count + first, n, value);
		for (int64_t e = 0; e < n; e++)
		{
			int64_t		to = next[items->tag[first + e]]++;

			x->col[to] = i;
			x->val[to] = value[e];
		}
	}
	return TR_OK;
}

static TrStatus
fill(const TrModel *model, TrModel *work, TrEaseData *data, const TrPoll *poll, TrError *err)
{
	const EaseTags *m = (const EaseTags *) model;
	const TrDataset *d = model->dataset;
	int64_t		entries = d->n_posts + d->user.n_entries + d->item.n_entries;
	int64_t    *next = TR_NEW(work, int64_t, d->n_tags);
	float	   *value = TR_NEW(work, float, d->n_tags);
	int64_t		at;

	TR_TRY(tr_ease_new_data(data, work, d->n_users + d->n_tags, d->n_items + d->n_tags, d->n_items, entries, err));
	TR_TRY(fill_users(m, &data->by_row, &at, poll));
	TR_TRY(fill_tags(m, &data->by_row, at, next, value, poll));
	return tr_ease_transpose(data, poll);
}

static bool
is_worth(int best, int i)
{
	return i < TRIED / 2 || i == best + TRIED / 2;
}

static TrStatus
choose(EaseTags *m, const TrPoll *poll, TrError *err)
{
	EaseTagsOptions options[TRIED];
	const void *list[TRIED];
	TrChoice	choice = {.options = list, .n = TRIED, .epochs = 1, .worth = is_worth, .most_users = CHOOSING_USERS,
	.seed = 1};
	double		share = tr_choice_share(m->model.dataset, CHOOSING_USERS);
	int			best;

	for (int i = 0; i < TRIED; i++)
	{
		set_tried(&options[i], m->model.options, i);
		options[i].lambda *= share;
		list[i] = &options[i];
	}
	TR_TRY(tr_choose(&best, &m->model, &choice, poll, err));
	set_tried(&m->options, m->model.options, best);
	keep_chosen(m);
	return TR_OK;
}

static TrStatus
solve(TrModel *model, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;
	TrEaseSettings settings = settings_of(&m->options);

	if (m->spectral.rank > 0)
		return tr_ease_spectral_train(&m->spectral, model, fill, m->options.lambda, poll, stats, err);
	return tr_ease_train(&m->weights, model, fill, &settings, poll, stats, err);
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;

	(void) epoch;
	if (is_open(model->options) && m->spectral.rank == 0)
		TR_TRY(choose(m, poll, err));
	return solve(model, poll, stats, err);
}

static TrStatus
take_chosen(EaseTags *m, TrError *err)
{
	EaseTagsOptions *o = &m->options;

	o->lambda = m->chosen[0];
	o->user_tags = m->chosen[1];
	o->item_tags = m->chosen[2];
	if (o->user_tags > MOST_WEIGHT || o->item_tags > MOST_WEIGHT)
		return tr_fail(err, TR_BAD_DATA, "stored weight of tags is %g", fmax(o->user_tags, o->item_tags));
	return TR_OK;
}

/* Solves again: what is restored is what the same data gave. */
static TrStatus
restored(TrModel *model, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;

	if (m->chosen)
		TR_TRY(take_chosen(m, err));
	if (!(m->options.lambda > 0))
		return tr_fail(err, TR_BAD_DATA, "stored lambda is %g", m->options.lambda);
	if (*m->items != (float) m->n_items)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %.0f items, not %d", *m->items, m->n_items);
	if (m->spectral.rank > 0)
		return tr_ease_spectral_restored(&m->spectral, err);
	return model->dataset ? solve(model, NULL, &(TrEpochStats) {0}, err) : TR_OK;
}

/* ------------------------------------------------------------------ result */

static int
features(const TrModel *model)
{
	return ((const EaseTags *) model)->spectral.rank > 0 ? TR_FEATURES_NONE : TR_FEATURES_ITEMS | TR_FEATURES_TAGS;
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

/* out = the items, with these weights (NULL = 1 each), and behind them the weighted tags */
static TrStatus
user_row(EaseTags *m, const int32_t *item, const float *weight, int32_t n_items, const int32_t *tag, const float *count,
		 int64_t n_tags, TrSparse *out, TrError *err)
{
	*out = (TrSparse) {0};
	if (m->spectral.rank > 0)
		return TR_OK;
	if (m->options.user_tags == 0)
		n_tags = 0;
	TR_TRY(reserve(m, n_items + n_tags, err));
	for (int32_t i = 0; i < n_items; i++)
	{
		m->index[i] = item[i];
		m->value[i] = weight ? weight[i] : 1;
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

	return user_row((EaseTags *) model, d->post_item + first, NULL, d->user_ptr[user + 1] - first, d->user.tag + entry,
					d->user.count + entry, d->user.entry_ptr[user + 1] - entry, out, err);
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	int64_t		entry = profiles->ptr[row];

	return user_row((EaseTags *) model, NULL, NULL, 0, profiles->tag + entry, profiles->count + entry,
					profiles->ptr[row + 1] - entry, out, err);
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	(void) err;
	*out = tr_ease_row(&((EaseTags *) model)->weights, feature);
	return TR_OK;
}

/* out (r) += the arrays of the tags of a user, weighted; returns the squares of the weights */
static double
add_tags(EaseTags *m, const int32_t *tag, const float *count, int64_t n, float *out)
{
	double		squares = 0;

	weigh(m, TR_USER, (float) m->options.user_tags, tag, count, n, m->value);
	for (int64_t e = 0; e < n; e++)
	{
		squares += (double) m->value[e] * m->value[e];
		tr_ease_add_tag(&m->spectral, out, tag[e], m->value[e]);
	}
	return squares;
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;
	size_t		r = (size_t) m->spectral.rank;

	memset(out, 0, sizeof(float) * r * (size_t) profiles->rows);
	for (int32_t row = 0; r > 0 && row < profiles->rows; row++, out += r)
	{
		int64_t		first = profiles->ptr[row];
		int64_t		n = profiles->ptr[row + 1] - first;
		double		squares;

		TR_TRY(reserve(m, n, err));
		squares = add_tags(m, profiles->tag + first, profiles->count + first, n, out);
		if (side == TR_ITEM)
			tr_ease_new_item(&m->spectral, out, squares, m->options.lambda, profiles->posts ? profiles->posts[row] : 0);
	}
	return TR_OK;
}

/* The users and items that it was trained on; in other data they are no more than their tags. */
static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	EaseTags   *m = (EaseTags *) model;
	size_t		r = (size_t) m->spectral.rank;

	if (!model->dataset || side == TR_USER || dataset->n_items != model->dataset->n_items)
		TR_TRY(tr_embed_profiles(model, side, dataset, first, n, out, err));
	if (!model->dataset || dataset->n_items != model->dataset->n_items)
		return TR_OK;
	for (int32_t i = first; i < first + n; i++, out += r)
	{
		if (side == TR_ITEM)
			tr_ease_item_array(&m->spectral, out, i);
		for (int32_t p = dataset->user_ptr[i]; side == TR_USER && p < dataset->user_ptr[i + 1]; p++)
			tr_ease_add_item(&m->spectral, out, dataset->post_item[p], 1);
	}
	return TR_OK;
}

static TrStatus
fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
		TrError *err)
{
	EaseTags   *m = (EaseTags *) model;
	const TrSparse *items = &history->items;
	TrSparse	tags = tr_history_tags(history);

	if (m->spectral.rank == 0)
		return user_row(m, items->index, items->value, items->n, tags.index, tags.value, tags.n, features, err);
	TR_TRY(reserve(m, tags.n, err));
	add_tags(m, tags.index, tags.value, tags.n, array);
	tr_ease_fold_in(items, catalogue, array);
	return TR_OK;
}

static bool
settled(const TrModel *model, void *options)
{
	const EaseTags *m = (const EaseTags *) model;
	EaseTagsOptions *o = options;

	o->lambda = m->options.lambda;
	o->user_tags = m->options.user_tags;
	o->item_tags = m->options.item_tags;
	return is_open(model->options) && m->spectral.rank == 0;
}

const TrAlgorithm tr_algorithm_ease_tags = {
	.name = "ease_tags",
	.summary = "Linear regression of every item on the user's other items and tags, and on the tags items share, in "
			   "closed form.",
	.source = "Steck (WWW 2019), with tags as further rows and columns; compare Jeunen et al., Closed-Form Models for "
			  "Collaborative Filtering with Side-Information (RecSys 2020)",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(EaseTags),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.restored = restored,
	.knows_items = true,
	.embed = embed,
	.encode = encode,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
	.fold_in = fold_in,
	.contributions = tr_ease_contributions,
	.settled = settled,
};
