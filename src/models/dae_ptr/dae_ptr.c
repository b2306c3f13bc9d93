/*
 * What can be chosen of dae_ptr, its parameters, and how a model of it is made. The preset "paper" is the paper's reading;
 * the defaults are the best recipe measured. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "models/dae_ptr/dae_ptr.h"

/* ------------------------------------------------------------------ options */

static const char *const activation_names[] = {"sigmoid", "tanh", "relu", NULL};
static const char *const drop_names[] = {"share", "random", "one", NULL};
static const char *const loss_names[] = {"bce", "softmax", NULL};
static const char *const target_names[] = {"all", "dropped", NULL};
static const char *const prior_names[] = {"none", "product", NULL};
static const char *const decay_names[] = {"none", "linear", NULL};
static const char *const init_names[] = {"glorot", "normal", NULL};

#define FIELD(field) offsetof(DaeOptions, field)

static const TrOption option_rows[] = {
	{"hidden", TR_OPTION_INT, FIELD(hidden), "256", 1, 65536, NULL,
	"units of the hidden layer, which is also the width of the user and item vectors (the paper's K)"},
	{"activation", TR_OPTION_ENUM, FIELD(activation), "relu", 0, 0, activation_names,
	"of the hidden layer"},
	{"corruption", TR_OPTION_REAL, FIELD(corruption), "0.8", 0, 1, NULL,
	"probability that a tag of the post is dropped from the input (the paper's c), with drop share"},
	{"drop", TR_OPTION_ENUM, FIELD(drop), "one", 0, 0, drop_names,
	"tags dropped from the input of a post in an epoch: a share, corruption, of them; a random share; one of them"},
	{"rescale", TR_OPTION_BOOL, FIELD(rescale), "false", 0, 0, NULL,
	"divide what is left of the input by 1 - corruption"},
	{"loss", TR_OPTION_ENUM, FIELD(loss), "softmax", 0, 0, loss_names,
	"cross-entropy of every tag by itself (bce, Eq. 11), or of a softmax over the tags"},
	{"targets", TR_OPTION_ENUM, FIELD(targets), "dropped", 0, 0, target_names,
	"tags to predict: all of the post, or the dropped ones alone, among the tags that the input lacks"},
	{"post_balance", TR_OPTION_REAL, FIELD(post_balance), "1", 0, 1, NULL,
	"with the loss softmax, a tag to predict weighs (tags to predict of its post) ^ -post_balance"},
	{"dropout", TR_OPTION_REAL, FIELD(dropout), "0.3", 0, 0.99, NULL,
	"share of the hidden units left out at random in a step"},
	{"id_dropout", TR_OPTION_REAL, FIELD(id_dropout), "0.4", 0, 0.99, NULL,
	"probability that the user's vector, or the item's, is left out: as it is for a user or an item nobody knows"},
	{"history_dropout", TR_OPTION_REAL, FIELD(history_dropout), "0.8", 0, 1, NULL,
	"probability that prior and profiles see a random share of the user's posts instead of all: as it is for a newer user"},
	{"prior", TR_OPTION_ENUM, FIELD(prior), "product", 0, 0, prior_names,
	"add to the score, with learned weights, the logarithms of how often the user and the item were given a tag before"},
	{"user_smoothing", TR_OPTION_REAL, FIELD(user_smoothing), "3", 0.001, 1e6, NULL,
	"assignments of the overall distribution of tags that are added to the user's own in the prior"},
	{"item_smoothing", TR_OPTION_REAL, FIELD(item_smoothing), "10", 0.001, 1e6, NULL,
	"the same for the item"},
	{"similar", TR_OPTION_REAL, FIELD(similar), "100", 0, 1e6, NULL,
	"in the prior, a post of the user weighs 1 + similar x cosine of its item's tags with the item's; 0 = all of them 1"},
	{"neighbours", TR_OPTION_INT, FIELD(neighbours), "200", 1, 100000, NULL,
	"similar items kept for every item, when similar > 0: the nearest by the cosine of their tags"},
	{"profiles", TR_OPTION_BOOL, FIELD(profiles), "true", 0, 0, NULL,
	"the hidden layer also reads the tag profiles of the user and of the item, without the post itself"},
	{"regularization", TR_OPTION_REAL, FIELD(regularization), "0", 0, 1000, NULL,
	"weight of half the squared parameters next to the sum of the posts' losses (the paper's lambda)"},
	{"optimizer", TR_OPTION_ENUM, FIELD(optimizer), "adam", 0, 0, tr_optimizer_names,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, FIELD(learning_rate), "0.001", 1e-9, 10, NULL,
	"size of a step"},
	{"learning_rate_decay", TR_OPTION_ENUM, FIELD(decay), "none", 0, 0, decay_names,
	"what the learning rate does over the epochs: none, or linear, down to 0 at the last one"},
	{"touched_rows", TR_OPTION_BOOL, FIELD(touched_rows), "true", 0, 0, NULL,
	"a step moves the vectors of the users, items and input tags of its batch alone; false moves all of them, by their "
	"momentum"},
	{"init", TR_OPTION_ENUM, FIELD(init), "glorot", 0, 0, init_names,
	"standard deviation of the initial weights: sqrt(2 / (tags + hidden)), or init_std"},
	{"init_std", TR_OPTION_REAL, FIELD(init_std), "0.01", 1e-6, 10, NULL,
	"standard deviation of the initial weights with init normal"},
	{"batch", TR_OPTION_INT, FIELD(batch), "256", 1, 10000000, NULL,
	"posts of a step"},
	{"seed", TR_OPTION_SEED, FIELD(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, FIELD(epochs), "15", 1, 100000, NULL,
	"passes over the posts, at most"},
};

static const TrSetting paper[] = {
	{"hidden", "512"}, {"activation", "sigmoid"}, {"corruption", "0.8"}, {"drop", "share"}, {"rescale", "false"},
	{"loss", "bce"}, {"targets", "all"}, {"dropout", "0"}, {"id_dropout", "0"}, {"history_dropout", "0"}, {"prior", "none"},
	{"profiles", "false"},
	{"regularization", "0.01"}, {"optimizer", "adam"}, {"learning_rate", "0.001"}, {"learning_rate_decay", "none"},
	{"touched_rows", "false"}, {"batch", "1024"}, {"epochs", "300"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static TrStatus
check(const void *values, TrError *err)
{
	const DaeOptions *o = values;

	if (o->drop == DAE_DROP_SHARE && o->corruption == 0 && o->targets == DAE_DROPPED_TAGS)
	{
		tr_fail(err, TR_BAD_OPTION, "corruption 0 drops no tag, and targets \"dropped\" learns from dropped tags alone");
		if (err)
			snprintf(err->hint, sizeof(err->hint),
					 "Set corruption above 0, drop to \"random\" or \"one\", or targets to \"all\".");
		return TR_BAD_OPTION;
	}
	if (o->drop == DAE_DROP_SHARE && o->rescale && o->corruption == 1)
	{
		tr_fail(err, TR_BAD_OPTION, "corruption 1 leaves no input, which rescale cannot divide by 1 - corruption");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Set corruption below 1, or rescale to false.");
		return TR_BAD_OPTION;
	}
	return TR_OK;
}

static const TrOptionSet option_set = TR_OPTION_SET(option_rows, DaeOptions, .presets = presets, .check = check);

/* ------------------------------------------------------------------ parameters */

/* Weights at random, biases 0. */
static void
layout_of(DaeLayout *l, TrParameters *p, const DaeOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int			K = o->hidden;
	int32_t		profiles = o->profiles ? n_tags : 0;
	double		std = o->init == DAE_NORMAL ? o->init_std : sqrt(2.0 / ((double) n_tags + K));

	*l = (DaeLayout) {.U = n_users, .I = n_items, .T = n_tags, .K = K, .users = n_tags, .items = n_tags + n_users,
	.parts = o->prior == DAE_NO_PRIOR ? 0 : DAE_PARTS};
	l->user_profile = l->items + n_items;
	l->item_profile = l->user_profile + profiles;
	l->rows = l->item_profile + profiles;
	(void) tr_parameter(p, n_tags, K, std, 1, "W");
	(void) tr_training_parameter(p, n_users, K, std, 1, "P");
	(void) tr_training_parameter(p, n_items, K, std, 1, "Q");
	(void) tr_parameter(p, profiles, K, std, 1, "W_user");
	(void) tr_parameter(p, profiles, K, std, 1, "W_item");
	tr_parameters_begin_dense(p);
	l->hidden_bias = tr_parameter(p, 1, K, 0, 0, "b");
	l->decoder = tr_parameter(p, n_tags, K, std, 2, "W_out");
	l->tag_bias = tr_parameter(p, 1, n_tags, 0, 0, "b_out");
	l->prior = tr_parameter(p, l->parts > 0 ? 1 : 0, l->parts, 0, 0, "prior");
	p->regularized = l->prior;
}

TrActivation
dae_activation(const Dae *m)
{
	static const TrActivation of[] = {[DAE_SIGMOID] = TR_SIGMOID, [DAE_TANH] = TR_TANH, [DAE_RELU] = TR_RELU};

	return of[m->options.activation];
}

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const DaeOptions *o = values;
	double		rows = fmin(o->batch, shape->n_posts);
	double		floats;
	TrParameters p = {0};
	DaeLayout	l;

	layout_of(&l, &p, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, gradients, moments; saved, the best ones, the padded decoder */
	floats = (double) p.size * (o->optimizer == TR_ADAM ? 6 : 4) + (double) l.T * tr_dot_stride(l.K);
	floats += rows * (3.0 * l.K + l.T);
	/* order, the touched rows of the table; a batch's rows, here and there: tags, profiles */
	floats += (double) shape->n_posts + 2.25 * l.rows + 6.0 * l.T;
	floats += rows * 16.0 * (double) shape->n_assignments * (1 / fmax(1, shape->n_posts) + 1 / fmax(1, shape->n_users)
															 + 1 / fmax(1, shape->n_items));
	return (size_t) (floats * 1.125 * sizeof(float))
		+ dae_known_estimate(shape, o);
}

/* ------------------------------------------------------------------ life */

/* With a prior, training starts from what tag_product scores (tag_prior.h, a = 1). */
static TrStatus
fill(Dae *m, TrError *err)
{
	TrModel    *model = &m->model;
	const DaeLayout *l = &m->layout;

	TR_TRY(tr_tag_log_shares(m->log_share, model->memory, model->dataset, err));
	if (l->parts > 0)
		memcpy(m->p.host + l->tag_bias, m->log_share, (size_t) l->T * sizeof(float));
	for (int j = 0; j < l->parts; j++)
		m->p.host[l->prior + j] = 1;
	return dae_planner_create(m, err);
}

/* Where it is loaded, posts bring the vectors of their user and item. */
static TrStatus
create(TrModel *model, TrError *err)
{
	Dae		   *m = (Dae *) model;
	const TrDataset *d = model->dataset;
	int32_t		T = model->n_tags;
	int32_t		users = d ? d->n_users : 0;
	int32_t		items = d ? d->n_items : 0;
	size_t		stride;

	if ((int64_t) users + items + 3 * (int64_t) T > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags for one table");
	m->options = *(const DaeOptions *) model->options;
	layout_of(&m->layout, &m->p, &m->options, users, items, T);
	TR_TRY(tr_parameters_create(&m->p, model, m->options.optimizer == TR_ADAM ? 2 : 0, m->options.seed, false, err));
	TR_TRY(tr_tensor(model, "log_share", 1, T, TR_LOG_SHARE, &m->log_share, err));
	stride = tr_dot_stride(m->layout.K);
	m->decoder = stride == (size_t) m->layout.K ? m->p.host + m->layout.decoder : TR_NEW(model, float, (size_t) T * stride);
	m->part_tag = TR_NEW(model, int32_t, T);
	m->part_value = TR_NEW(model, float, T);
	m->prior = (TrTagPrior) {.n_tags = T, .log_share = m->log_share, .user_smoothing = m->options.user_smoothing,
	.item_smoothing = m->options.item_smoothing, .popularity = 1, .similar = m->options.similar,
	.extra = TR_NEW(model, float, T)};
	TR_TRY(tr_enough_memory(model, err, "%d tags", T));
	for (int c = 0; c < DAE_LOGS; c++)
		m->log_count[c] = log1pf((float) c);
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->layout.K;
	if (!d)
		return TR_OK;
	model->rows[TR_USER] = m->p.value + (size_t) m->layout.users * (size_t) m->layout.K;
	model->rows[TR_ITEM] = m->p.value + (size_t) m->layout.items * (size_t) m->layout.K;
	return fill(m, err);
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
	.options = &option_set,
	.estimate = estimate,
	.size = sizeof(Dae),
	.loads = true,
	.create = create,
	.train_epoch = dae_train_epoch,
	.saving = dae_pad_decoder,
	.restored = dae_pad_decoder,
	.embed = tr_embed_rows,
	.features = features,
	.feature_weights = feature_weights,
	.score_tags = dae_score_tags,
};
