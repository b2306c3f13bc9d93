/*
 * What can be chosen of dae_ptr, its parameters, and how a model of it is made. The preset "paper" is the paper's reading;
 * the defaults are the best recipe measured. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "core/trainer.h"
#include "models/dae_ptr/dae_ptr.h"

/* ------------------------------------------------------------------ options */

static const char *const activation_names[] = {"sigmoid", "tanh", "relu", NULL};
static const char *const drop_names[] = {"share", "random", "one", NULL};
static const char *const loss_names[] = {"bce", "softmax", NULL};
static const char *const target_names[] = {"all", "dropped", NULL};
static const char *const prior_names[] = {"none", "product", NULL};
static const char *const penalty_names[] = {"epoch", "batch", "post", NULL};
static const char *const decay_names[] = {"none", "linear", NULL};
static const char *const init_names[] = {"glorot", "normal", NULL};

#define FIELD(field) offsetof(DaeOptions, field)

static const TrOption option_rows[] = {
	{"hidden", TR_OPTION_INT, FIELD(hidden), "256", 1, 65536, NULL,
	"size of the hidden layer and of the user and item embeddings (K in the paper)"},
	{"activation", TR_OPTION_ENUM, FIELD(activation), "relu", 0, 0, activation_names,
	"activation function of the hidden layer"},
	{"corruption", TR_OPTION_REAL, FIELD(corruption), "0.8", 0, 1, NULL,
	"with drop share: probability of dropping a tag of the post from the input (c in the paper)"},
	{"drop", TR_OPTION_ENUM, FIELD(drop), "one", 0, 0, drop_names,
	"tags of a post dropped from the input in each epoch: the share corruption of them, a random share, or one"},
	{"rescale", TR_OPTION_BOOL, FIELD(rescale), "false", 0, 0, NULL,
	"divide the remaining input by 1 - corruption"},
	{"loss", TR_OPTION_ENUM, FIELD(loss), "softmax", 0, 0, loss_names,
	"binary cross-entropy per tag (bce, Eq. 11), or cross-entropy of a softmax over all tags"},
	{"samples", TR_OPTION_INT, FIELD(samples), "0", 0, 1e9, NULL,
	"with loss softmax: " TR_TAG_SAMPLES_TEXT},
	{"targets", TR_OPTION_ENUM, FIELD(targets), "dropped", 0, 0, target_names,
	"tags to predict: all tags of the post, or only the dropped ones among the tags not in the input"},
	{"post_balance", TR_OPTION_REAL, FIELD(post_balance), "1", 0, 1, NULL,
	"with loss softmax: weight of each predicted tag is (number of predicted tags of its post) ^ -post_balance"},
	{"dropout", TR_OPTION_REAL, FIELD(dropout), "0.3", 0, 0.99, NULL,
	"dropout rate of the hidden units"},
	{"id_dropout", TR_OPTION_REAL, FIELD(id_dropout), "0.4", 0, 0.99, NULL,
	"dropout rate of whole user and item embeddings, to prepare the model for unknown users and items"},
	{"history_dropout", TR_OPTION_REAL, FIELD(history_dropout), "0.8", 0, 1, NULL,
	"probability that prior and profiles use only a random share of the user's posts, to prepare the model for newer "
	"users"},
	{"prior", TR_OPTION_ENUM, FIELD(prior), "product", 0, 0, prior_names,
	"add the logarithms of the user's and the item's earlier tag frequencies to the score, with learned weights"},
	{"user_smoothing", TR_OPTION_REAL, FIELD(user_smoothing), "3", 0.001, 1e6, NULL,
	"smoothing of the user's tag frequencies in the prior: assignments added from the overall tag distribution"},
	{"item_smoothing", TR_OPTION_REAL, FIELD(item_smoothing), "10", 0.001, 1e6, NULL,
	"smoothing of the item's tag frequencies in the prior"},
	{"similar", TR_OPTION_REAL, FIELD(similar), "100", 0, 1e6, NULL,
	"in the prior, weight of a user's post is 1 + similar x cosine of its item's tags and the given item's; 0 = equal "
	"weights"},
	{"neighbours", TR_OPTION_INT, FIELD(neighbours), "200", 1, 100000, NULL,
	"with similar > 0: number of nearest items, by cosine of their tags, stored for every item"},
	{"profiles", TR_OPTION_BOOL, FIELD(profiles), "true", 0, 0, NULL,
	"use the tag profiles of the user and the item, without the post itself, as input of the hidden layer, too"},
	{"profile_tags", TR_OPTION_INT, FIELD(profile_tags), "0", 0, 1e9, NULL,
	"with profiles: maximum number of tags of a profile that are input, the most used first; 0 = all if there are at most "
	"20,000 tags, else 16"},
	{"regularization", TR_OPTION_REAL, FIELD(regularization), "0", 0, 1000, NULL,
	"L2 strength: weight of half the squared parameters, relative to what regularization_per says (lambda in the paper)"},
	{"regularization_per", TR_OPTION_ENUM, FIELD(penalty), "epoch", 0, 0, penalty_names,
	"what regularization is relative to: the sum of all posts' losses (epoch), the sum of those of a mini-batch (batch), or "
	"their mean (post)"},
	{"optimizer", TR_OPTION_ENUM, FIELD(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, FIELD(learning_rate), "0.001", 1e-9, 10, NULL,
	"learning rate"},
	{"learning_rate_decay", TR_OPTION_ENUM, FIELD(decay), "linear", 0, 0, decay_names,
	"learning rate schedule: constant (none), or linear decay to 0 at the last epoch"},
	{"touched_rows", TR_OPTION_BOOL, FIELD(touched_rows), "true", 0, 0, NULL,
	"sparse updates: change only embeddings of users, items and input tags in the mini-batch; false updates all, by "
	"their momentum"},
	{"init", TR_OPTION_ENUM, FIELD(init), "glorot", 0, 0, init_names,
	"initialization: standard deviation sqrt(2 / (tags + hidden)), or init_std"},
	{"init_std", TR_OPTION_REAL, FIELD(init_std), "0.01", 1e-6, 10, NULL,
	"with init normal: standard deviation of the initial weights"},
	{"batch", TR_OPTION_INT, FIELD(batch), "0", 0, 10000000, NULL,
	"mini-batch size, in posts; 0 = a 3,000th of the posts, but at least 256 and at most 1,024; 256 of more than 1,000,000 "
	"posts when tags are sampled"},
	{"epoch_posts", TR_OPTION_INT, FIELD(epoch_posts), "0", 0, 1e9, NULL,
	"maximum number of posts in an epoch: a pass over more posts takes several epochs of the same size; 0 = 1,000,000"},
	{"seed", TR_OPTION_SEED, FIELD(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, FIELD(epochs), "0", 0, 100000, NULL,
	"maximum number of passes over the posts, or over parts of them (see epoch_posts); 0 = 25, or as many as make 5 million "
	"posts, but at least 5"},
};

static const TrSetting paper[] = {
	{"hidden", "512"}, {"activation", "sigmoid"}, {"corruption", "0.8"}, {"drop", "share"}, {"rescale", "false"},
	{"loss", "bce"}, {"targets", "all"}, {"dropout", "0"}, {"id_dropout", "0"}, {"history_dropout", "0"}, {"prior", "none"},
	{"profiles", "false"},
	{"regularization", "0.01"}, {"optimizer", "adam"}, {"learning_rate", "0.001"}, {"learning_rate_decay", "none"},
	{"touched_rows", "false"}, {"batch", "1024"}, {"epoch_posts", "1000000000"}, {"epochs", "300"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static TrStatus
check(const void *values, TrError *err)
{
	const DaeOptions *o = values;

	if (o->drop == DAE_DROP_SHARE && o->corruption == 0 && o->targets == DAE_DROPPED_TAGS)
	{
		tr_fail(err, TR_BAD_OPTION, "corruption 0 drops no tags, but targets \"dropped\" learns only from dropped tags");
		if (err)
			snprintf(err->hint, sizeof(err->hint),
					 "Set corruption above 0, drop to \"random\" or \"one\", or targets to \"all\".");
		return TR_BAD_OPTION;
	}
	if (o->samples > 0 && (o->loss != DAE_SOFTMAX || !o->touched_rows))
		return tr_fail(err, TR_BAD_OPTION, "samples requires loss \"softmax\" and touched_rows");
	if (o->drop == DAE_DROP_SHARE && o->rescale && o->corruption == 1)
	{
		tr_fail(err, TR_BAD_OPTION, "rescale cannot be used with corruption 1, which leaves no input");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Set corruption below 1, or rescale to false.");
		return TR_BAD_OPTION;
	}
	return TR_OK;
}

static int
usual_epochs(const void *options, int64_t posts)
{
	return tr_usual_epochs(25, posts / dae_epochs_of_pass(options, posts));
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
	double		rows = fmin(dae_batch(o, shape->n_posts, shape->n_tags), shape->n_posts);
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

/* Tags of a profile that are input where there are very many: what a post costs does not grow with them. */
#define MOST_READ 16

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
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags");
	m->options = *(const DaeOptions *) model->options;
	layout_of(&m->layout, &m->p, &m->options, users, items, T);
	m->most_read = m->options.profile_tags > 0 ? m->options.profile_tags : T > TR_MOST_EXACT_TAGS ? MOST_READ : INT32_MAX;
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
	.summary = "A denoising autoencoder over the tags of a post, with user and item embeddings.",
	.source = "Zhao et al., Denoising auto-encoder based personalized tag recommendation, Eq. 7-12",
	.task = TR_TASK_TAG,
	.options = &option_set,
	.estimate = estimate,
	.usual_epochs = usual_epochs,
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
