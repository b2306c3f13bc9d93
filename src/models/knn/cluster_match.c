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

#include "models/knn/tag_clusters.h"
#include "models/knn/user_neighbours.h"

typedef struct ClusterOptions
{
	int			clusters;
	double		similarity;
	int			weighting;		/* TrWeighting */
	int			neighbours;		/* ccf */
	int			max_tags;
} ClusterOptions;

#define OPTION(field) offsetof(ClusterOptions, field)

#define CLUSTER_OPTIONS(clusters_default, similarity_default, weighting_default) \
	{"clusters", TR_OPTION_INT, OPTION(clusters), clusters_default, 1, 1000000, NULL, \
	"clusters of tags that merging stops at"}, \
	{"similarity", TR_OPTION_REAL, OPTION(similarity), similarity_default, 0, 1, NULL, \
	"merging stops as well where no two clusters are alike by this mean cosine of their tags; 0 = it does not"}, \
	{"weighting", TR_OPTION_ENUM, OPTION(weighting), weighting_default, 0, 0, tr_weighting_names, \
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

static const TrOptionSet ccs_options = TR_OPTION_SET(ccs_rows, ClusterOptions);

static const TrOptionSet ccf_options = TR_OPTION_SET(ccf_rows, ClusterOptions);

typedef struct ClusterMatch
{
	TrModel		model;
	ClusterOptions options;
	bool		by_users;		/* ccf */
	TrProfileWeights weights;
	float	   *idf;			/* (T) ln(items / items with the tag) */
	int32_t    *cluster;		/* (T) */
	float	   *saved;			/* (T) the same */
	int32_t		n_clusters;		/* C */
	float	   *profile;		/* (T) room for one */
	TrUserNeighbours neighbours;	/* ccf: of width C */
	int			users;			/* ccf: place of the tensor "users" (U,C) */
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

/* For ccs, that is how wide arrays are. */
static void
set_clusters(ClusterMatch *m, int32_t n)
{
	m->n_clusters = n;
	m->model.width = m->model.unit = m->by_users ? 0 : n;
}

/* Every tag is a cluster of its own, to begin with. */
static TrStatus
create(TrModel *model, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	int32_t		T = model->n_tags;

	m->options = *(const ClusterOptions *) model->options;
	m->by_users = model->algorithm->encode == NULL;
	if (model->dataset)
		TR_TRY(tr_check_max_tags(model->dataset, m->options.max_tags, "Training would compare each tag with each.", err));
	TR_TRY(tr_tensor(model, "clusters", 1, T, (TrRange) {0, 1 << 24, true}, &m->saved, err));
	TR_TRY(tr_tensor(model, "idf", 1, T, TR_IDF, &m->idf, err));
	if (m->by_users)
		TR_TRY(tr_own_tensor(model, "users", model->dataset ? model->dataset->n_users : TR_ANY, TR_ANY, TR_UNIT, &m->users,
							 err));
	m->cluster = TR_NEW(model, int32_t, T);
	m->profile = TR_NEW(model, float, T);
	TR_TRY(tr_enough_memory(model, err, "%d tags", T));
	m->weights = (TrProfileWeights) {.weighting = (TrWeighting) m->options.weighting, .idf = m->idf};
	set_clusters(m, T);
	for (int32_t t = 0; t < T; t++)
		m->cluster[t] = t;
	if (model->dataset)
		tr_dataset_idf(m->idf, model->dataset);
	return TR_OK;
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

static TrStatus
place_users(ClusterMatch *m, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	TrProfiles	users = tr_profiles_of(d, TR_USER, 0, d->n_users);

	TR_TRY(tr_user_neighbours_create(&m->neighbours, &m->model, d->n_users, m->n_clusters, m->options.neighbours, err));
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
	int32_t		n;

	(void) epoch;
	/* 0 = no limit, below what rounding may make of orthogonal tags */
	TR_TRY(tr_cluster_tags(model, o->clusters, o->similarity > 0 ? o->similarity : -1, poll, m->cluster,
						   &n, err));
	set_clusters(m, n);
	if (m->by_users)
		TR_TRY(place_users(m, poll, err));
	stats->last = true;
	return TR_OK;
}

/* ------------------------------------------------------------------ tensors */

static TrStatus
saving(TrModel *model, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	TrTensor   *users = &model->tensors[m->users];

	for (int32_t t = 0; t < model->n_tags; t++)
		m->saved[t] = (float) m->cluster[t];
	if (!m->by_users)
		return TR_OK;
	tr_free(model->memory, users->value);
	users->cols = m->n_clusters;
	users->value = TR_NEW(model, float, (size_t) users->rows * (size_t) users->cols);
	TR_TRY(tr_enough_memory(model, err, "the profiles of %d users", users->rows));
	tr_user_neighbours_save(&m->neighbours, users->value);
	return TR_OK;
}

/* How many clusters; 0 when they are not numbered by their smallest tags: each is at most one more than all before it. */
static int32_t
count_clusters(const float *cluster, int32_t n_tags)
{
	int32_t		n = 0;

	for (int32_t t = 0; t < n_tags; t++)
	{
		if (cluster[t] > (float) n)
			return 0;
		n += cluster[t] == (float) n;
	}
	return n;
}

static TrStatus
restored(TrModel *model, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	int32_t		n_clusters = count_clusters(m->saved, model->n_tags);

	if (n_clusters == 0 || (m->by_users && tr_stored(model, "users")->cols != n_clusters))
		return tr_fail(err, TR_BAD_DATA, "stored weight \"clusters\" has no clusters that the other weights are for");
	for (int32_t t = 0; t < model->n_tags; t++)
		m->cluster[t] = (int32_t) m->saved[t];
	set_clusters(m, n_clusters);
	return m->by_users ? tr_user_neighbours_restore(&m->neighbours, model, m->options.neighbours, err) : TR_OK;
}

/* ------------------------------------------------------------------ ccs: arrays */

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	const ClusterMatch *m = (const ClusterMatch *) model;

	(void) side, (void) err;
	for (int32_t r = 0; r < profiles->rows; r++)
		encode_row(m, profiles, r, out + (size_t) r * (size_t) m->n_clusters);
	return TR_OK;
}

/* ------------------------------------------------------------------ ccf: neighbours */

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	ClusterMatch *m = (ClusterMatch *) model;
	TrProfiles	profile = tr_profiles_of(dataset, TR_USER, user, 1);

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
	(void) err;
	tr_user_neighbours_items(&((ClusterMatch *) model)->neighbours, model->dataset, feature, out);
	return TR_OK;
}

#define CLUSTER_SLOTS \
	.task = TR_TASK_ITEM, .size = sizeof(ClusterMatch), .loads = true, .create = create, .train_epoch = train_epoch, \
	.saving = saving, .restored = restored

const TrAlgorithm tr_algorithm_ccs = {
	.name = "ccs",
	.summary = "The cosine of user and item as profiles over clusters of tags.",
	.source = "Shepitsen et al. (RecSys 2008), as a baseline of Xu et al. (IJCAI 2017), section 6",
	CLUSTER_SLOTS,
	.options = &ccs_options,
	.estimate = estimate_ccs,
	.embed = tr_embed_profiles,
	.encode = encode,
};

const TrAlgorithm tr_algorithm_ccf = {
	.name = "ccf",
	.summary = "Items of the users nearest to the user, by the cosine of their profiles over clusters of tags.",
	.source = "Shepitsen et al. (RecSys 2008), as a baseline of Xu et al. (IJCAI 2017), section 6",
	CLUSTER_SLOTS,
	.options = &ccf_options,
	.estimate = estimate_ccf,
	.features = tr_user_features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
};
