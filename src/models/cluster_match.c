/*
 * ccs and ccf: the baselines of the DSPR paper (Xu et al., IJCAI 2017, section 6) that answer to the vocabulary's synonyms
 * with clusters of tags (Shepitsen, Gemmell, Mobasher & Burke, RecSys 2008). A user and an item are profiles over clusters:
 * a cluster weighs as much as its tags together.
 *
 *     ccs   score(u,i) = cosine of the two profiles
 *     ccf   score(u,i) = sum over the users v nearest to u who have i, of the cosine of the profiles of u and v
 *
 * Legend: T tags, C clusters, U users.
 */
#include <math.h>
#include <string.h>

#include "core/model.h"
#include "models/no_arrays.h"
#include "models/tag_clusters.h"
#include "models/tensors.h"
#include "models/user_neighbours.h"

typedef struct ClusterOptions
{
	int			clusters;
	double		similarity;
	int			weighting;		/* TrWeighting */
	int			neighbours;		/* ccf */
	int			max_tags;
} ClusterOptions;

#define OPTION(field) offsetof(ClusterOptions, field)

/* In the order of TrWeighting. */
static const char *const weightings[] = {"count", "binary", "log", "tfidf", "log_tfidf", NULL};

#define CLUSTER_OPTIONS(clusters_default, similarity_default, weighting_default) \
	{"clusters", TR_OPTION_INT, OPTION(clusters), clusters_default, 1, 1000000, NULL, \
	"clusters of tags that merging stops at"}, \
	{"similarity", TR_OPTION_REAL, OPTION(similarity), similarity_default, 0, 1, NULL, \
	"merging stops as well where no two clusters are alike by this mean cosine of their tags; 0 = it does not"}, \
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), weighting_default, 0, 0, weightings, \
	"how often a tag was given becomes its weight in a profile"}, \
	{"max_tags", TR_OPTION_INT, OPTION(max_tags), "10000", 1, 100000, NULL, \
	"most tags that training accepts: it compares each tag with each"}

static const TrOption ccs_rows[] = {
	CLUSTER_OPTIONS("1", "0.5", "tfidf"),
};

static const TrOption ccf_rows[] = {
	CLUSTER_OPTIONS("1", "0.5", "log_tfidf"),
	{"neighbours", TR_OPTION_INT, OPTION(neighbours), "50", 0, 1e9, NULL,
	"users whose items a user is offered, at most, the nearest by cosine; 0 = all"},
};

static const TrOptionSet ccs_options = {
	.options = ccs_rows,
	.count = sizeof(ccs_rows) / sizeof(ccs_rows[0]),
	.size = sizeof(ClusterOptions)
};

static const TrOptionSet ccf_options = {
	.options = ccf_rows,
	.count = sizeof(ccf_rows) / sizeof(ccf_rows[0]),
	.size = sizeof(ClusterOptions)
};

typedef struct ClusterMatch
{
	TrModel		model;
	ClusterOptions options;
	const TrDataset *dataset;	/* NULL in a model that was loaded */
	bool		by_users;		/* ccf */
	int32_t		n_tags;
	TrProfileWeights weights;
	float	   *idf;			/* (T) ln(items / items with the tag) */
	int32_t    *cluster;		/* (T) */
	int32_t		n_clusters;		/* C */
	float	   *profile;		/* (T) room for one */
	TrUserNeighbours neighbours;	/* ccf: of width C */
	TrTensor	tensors[3];		/* "clusters" (1,T), "idf" (1,T); ccf: "users" (U,C) */
} ClusterMatch;

/* Clusters there may be. */
static double
most_clusters(const ClusterOptions *o, int32_t n_tags)
{
	return o->similarity > 0 || o->clusters > n_tags ? n_tags : o->clusters;
}

static size_t
estimate_ccs(const TrShape *shape, const void *values)
{
	(void) values;
	return tr_cluster_tags_estimate(shape->n_tags) + 4 * (size_t) shape->n_tags * sizeof(float);
}

/* The users' profiles, what save() gives, and the best ones. */
static size_t
estimate_ccf(const TrShape *shape, const void *values)
{
	double		C = most_clusters(values, shape->n_tags);

	return estimate_ccs(shape, values) + tr_user_neighbours_estimate(shape->n_users, C, shape->n_items)
		+ (size_t) (2 * sizeof(float) * C * shape->n_users);
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	ClusterMatch *m = (ClusterMatch *) model;

	tr_user_neighbours_free(&m->neighbours);
	tr_free(model->memory, m->idf);
	tr_free(model->memory, m->cluster);
	tr_free(model->memory, m->profile);
	for (int i = 0; i < 3; i++)
		if (m->tensors[i].value != m->idf)
			tr_free(model->memory, m->tensors[i].value);
	tr_free(model->memory, m);
}

/* Every tag is a cluster of its own. */
static TrStatus
fill(ClusterMatch *m, TrError *err)
{
	size_t		T = (size_t) m->n_tags + 1;
	TrMemory   *memory = m->model.memory;

	m->neighbours.memory = memory;
	m->idf = tr_calloc(memory, T, sizeof(float));
	m->cluster = tr_alloc(memory, T * sizeof(int32_t));
	m->profile = tr_alloc(memory, T * sizeof(float));
	m->tensors[0].value = tr_alloc(memory, T * sizeof(float));
	if (!m->idf || !m->cluster || !m->profile || !m->tensors[0].value)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", m->n_tags);
	m->tensors[1].value = m->idf;
	m->weights = (TrProfileWeights) {.weighting = (TrWeighting) m->options.weighting, .idf = m->idf};
	m->n_clusters = m->n_tags;
	for (int32_t t = 0; t < m->n_tags; t++)
		m->cluster[t] = t;
	return TR_OK;
}

static TrStatus
new_model(ClusterMatch **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const ClusterOptions *o,
		  bool by_users, TrError *err)
{
	ClusterMatch *m = tr_calloc(memory, 1, sizeof(*m));
	TrStatus	status;

	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a model");
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *o;
	m->n_tags = n_tags;
	m->by_users = by_users;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*result = m;
	return status;
}

static TrStatus
refuse_tags(int32_t n_tags, int max_tags, TrError *err)
{
	tr_fail(err, TR_BAD_DATA, "%d tags are more than max_tags, %d", n_tags, max_tags);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "Training would compare each tag with each. Leave rare tags out with"
				 " min_tag_count, or raise max_tags.");
	return TR_BAD_DATA;
}

static TrStatus
create_model(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const ClusterOptions *o,
			 bool by_users, TrError *err)
{
	ClusterMatch *m = NULL;

	if (dataset->n_tags > o->max_tags)
		return refuse_tags(dataset->n_tags, o->max_tags, err);
	TR_TRY(new_model(&m, memory, backend, dataset->n_tags, o, by_users, err));
	m->dataset = dataset;
	tr_dataset_idf(m->idf, dataset);
	*model = &m->model;
	return TR_OK;
}

static TrStatus
create_ccs(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values,
		   TrError *err)
{
	return create_model(model, memory, backend, dataset, values, false, err);
}

static TrStatus
create_ccf(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values,
		   TrError *err)
{
	return create_model(model, memory, backend, dataset, values, true, err);
}

/* ------------------------------------------------------------------ profiles */

/* out (C) = the profile of row r over clusters, of length 1; zeros when it has no tags */
static void
encode_row(const ClusterMatch *m, const TrProfiles *profiles, int32_t r, float *out)
{
	double		squares = 0;

	memset(out, 0, (size_t) m->n_clusters * sizeof(float));
	for (int64_t e = profiles->ptr[r]; e < profiles->ptr[r + 1]; e++)
		out[m->cluster[profiles->tag[e]]] += tr_tag_weight(&m->weights, profiles->tag[e], profiles->count[e], 0);
	for (int32_t c = 0; c < m->n_clusters; c++)
		squares += (double) out[c] * out[c];
	for (int32_t c = 0; c < m->n_clusters && squares > 0; c++)
		out[c] = (float) (out[c] / sqrt(squares));
}

static TrProfiles
profiles_of(const TrDataset *dataset, TrSide side, int32_t first, int32_t n)
{
	const TrProfileTable *table = side == TR_USER ? &dataset->user : &dataset->item;

	return (TrProfiles) {.rows = n, .ptr = table->entry_ptr + first, .tag = table->tag, .count = table->count};
}

/* The users of ccf, with room for other clusters than before. */
static TrStatus
new_neighbours(ClusterMatch *m, int32_t n_users, TrError *err)
{
	tr_user_neighbours_free(&m->neighbours);
	return tr_user_neighbours_create(&m->neighbours, m->model.memory, n_users, m->n_clusters, m->options.neighbours, err);
}

static TrStatus
place_users(ClusterMatch *m, const TrPoll *poll, TrError *err)
{
	TrProfiles	users = profiles_of(m->dataset, TR_USER, 0, m->dataset->n_users);

	TR_TRY(new_neighbours(m, users.rows, err));
	for (int32_t u = 0; u < users.rows; u++)
	{
		if (u % 1024 == 0 && tr_poll(poll))
			return TR_CANCELLED;
		encode_row(m, &users, u, m->profile);
		tr_user_neighbours_set(&m->neighbours, u, m->profile);
	}
	return TR_OK;
}

/* One pass is all. The loss is left at 0. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	const ClusterOptions *o = &m->options;

	(void) epoch;
	/* 0 = no limit, below what rounding may make of orthogonal tags */
	TR_TRY(tr_cluster_tags(model->memory, m->dataset, o->clusters, o->similarity > 0 ? o->similarity : -1, poll, m->cluster,
						   &m->n_clusters, err));
	if (m->by_users)
		TR_TRY(place_users(m, poll, err));
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ tensors */

/* The users' vectors, without their padding. */
static TrStatus
save_users(ClusterMatch *m, TrTensor *tensor, TrError *err)
{
	const TrUserNeighbours *n = &m->neighbours;
	size_t		C = (size_t) m->n_clusters;

	tr_free(m->model.memory, tensor->value);
	tensor->rows = n->n_users;
	tensor->cols = m->n_clusters;
	tensor->value = tr_alloc(m->model.memory, (size_t) n->n_users * C * sizeof(float) + 1);
	if (!tensor->value)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the profiles of %d users", n->n_users);
	for (int32_t u = 0; u < n->n_users; u++)
		memcpy(tensor->value + (size_t) u * C, n->unit + (size_t) u * n->stride, C * sizeof(float));
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	static const char *const names[] = {"clusters", "idf", "users"};

	for (int i = 0; i < 3; i++)
		strcpy(m->tensors[i].name, names[i]);
	for (int i = 0; i < 2; i++)
	{
		m->tensors[i].rows = 1;
		m->tensors[i].cols = m->n_tags;
	}
	for (int32_t t = 0; t < m->n_tags; t++)
		m->tensors[0].value[t] = (float) m->cluster[t];
	if (m->by_users)
		TR_TRY(save_users(m, &m->tensors[2], err));
	*tensors = m->tensors;
	*count = m->by_users ? 3 : 2;
	return TR_OK;
}

/* How many clusters; 0 when they are not numbered by their smallest tags: each is at most one more than all before it. */
static int32_t
count_clusters(const TrTensor *tensor)
{
	int32_t		n = 0;

	for (int32_t t = 0; t < tensor->cols; t++)
	{
		if (tensor->value[t] > (float) n)
			return 0;
		n += tensor->value[t] == (float) n;
	}
	return n;
}

static TrStatus
restore_users(ClusterMatch *m, const TrTensor *tensor, TrError *err)
{
	TR_TRY(new_neighbours(m, tensor->rows, err));
	for (int32_t u = 0; u < tensor->rows; u++)
		memcpy(m->neighbours.unit + (size_t) u * m->neighbours.stride, tensor->value + (size_t) u * (size_t) tensor->cols,
			   (size_t) tensor->cols * sizeof(float));
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int n, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	TrTensor	wanted[] = {
		{.name = "clusters", .rows = 1, .cols = m->n_tags},
		{.name = "idf", .rows = 1, .cols = m->n_tags},
		{.name = "users", .rows = m->dataset ? m->dataset->n_users : TR_ANY, .cols = TR_ANY}
	};
	TrRange		ranges[] = {{0, 1 << 24, true}, TR_IDF, TR_UNIT};
	const TrTensor *clusters = tr_tensor_find("clusters", tensors, n);
	const TrTensor *users = tr_tensor_find("users", tensors, n);
	int32_t		n_clusters;

	TR_TRY(tr_tensors_check(wanted, ranges, m->by_users ? 3 : 2, tensors, n, err));
	n_clusters = count_clusters(clusters);
	if (n_clusters == 0 || (m->by_users && users->cols != n_clusters))
		return tr_fail(err, TR_BAD_DATA, "stored weight \"clusters\" has no clusters that the other weights are for");
	for (int32_t t = 0; t < m->n_tags; t++)
		m->cluster[t] = (int32_t) clusters->value[t];
	m->n_clusters = n_clusters;
	memcpy(m->idf, tr_tensor_find("idf", tensors, n)->value, (size_t) m->n_tags * sizeof(float));
	return m->by_users ? restore_users(m, users, err) : TR_OK;
}

static TrStatus
load_model(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const ClusterOptions *o, bool by_users,
		   const TrTensor *tensors, int n, TrError *err)
{
	ClusterMatch *m = NULL;
	TrStatus	status;

	TR_TRY(new_model(&m, memory, backend, n_tags, o, by_users, err));
	status = restore(&m->model, tensors, n, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

static TrStatus
load_ccs(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
		 int n, TrError *err)
{
	return load_model(model, memory, backend, n_tags, values, false, tensors, n, err);
}

static TrStatus
load_ccf(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
		 int n, TrError *err)
{
	return load_model(model, memory, backend, n_tags, values, true, tensors, n, err);
}

/* ------------------------------------------------------------------ ccs: arrays */

static int
width_ccs(const TrModel *model, int *unit)
{
	const ClusterMatch *m = (const ClusterMatch *) model;

	if (unit)
		*unit = m->n_clusters;
	return m->n_clusters;
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	const ClusterMatch *m = (const ClusterMatch *) model;

	(void) side, (void) err;
	for (int32_t r = 0; r < profiles->rows; r++)
		encode_row(m, profiles, r, out + (size_t) r * (size_t) m->n_clusters);
	return TR_OK;
}

static TrStatus
embed_ccs(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	TrProfiles	profiles = profiles_of(dataset, side, first, n);

	return encode(model, side, &profiles, out, err);
}

/* ------------------------------------------------------------------ ccf: neighbours */

static int
features(const TrModel *model)
{
	(void) model;
	return TR_FEATURES_USERS;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	TrProfiles	profile = profiles_of(dataset, TR_USER, user, 1);

	(void) err;
	encode_row(m, &profile, 0, m->profile);
	tr_user_neighbours_find(&m->neighbours, m->profile, user, out);
	return TR_OK;
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;

	(void) err;
	encode_row(m, profiles, row, m->profile);
	tr_user_neighbours_find(&m->neighbours, m->profile, -1, out);
	return TR_OK;
}

static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;

	return tr_user_neighbours_items(&m->neighbours, m->dataset, feature, out, err);
}

const TrAlgorithm tr_algorithm_ccs = {
	.name = "ccs",
	.summary = "The cosine of user and item as profiles over clusters of tags.",
	.source = "Shepitsen et al. (RecSys 2008), as a baseline of Xu et al. (IJCAI 2017), section 6",
	.task = TR_TASK_ITEM,
	.options = &ccs_options,
	.estimate = estimate_ccs,
	.create = create_ccs,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load_ccs,
	.width = width_ccs,
	.embed = embed_ccs,
	.encode = encode,
	.destroy = destroy,
};

const TrAlgorithm tr_algorithm_ccf = {
	.name = "ccf",
	.summary = "Items of the users nearest to the user, by the cosine of their profiles over clusters of tags.",
	.source = "Shepitsen et al. (RecSys 2008), as a baseline of Xu et al. (IJCAI 2017), section 6",
	.task = TR_TASK_ITEM,
	.options = &ccf_options,
	.estimate = estimate_ccf,
	.create = create_ccf,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load_ccf,
	.width = tr_no_width,
	.embed = tr_no_embed,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
	.destroy = destroy,
};
