/*
 * What can be chosen of abnt, its parameters, and how a model of it is made. The preset "paper" has what Zhao et al. say of
 * their runs of it. Legend: see abnt.h.
 */
#include <math.h>
#include <stdio.h>

#include "core/dot.h"
#include "models/abnt/abnt.h"
#include "models/tags/tag_prior.h"

/* ------------------------------------------------------------------ options */

static const char *const history_names[] = {"all", "earlier", NULL};
static const char *const given_names[] = {"none", "some", "others", NULL};
static const char *const activation_names[] = {"relu", "tanh", "sigmoid", NULL};

#define FIELD(field) offsetof(AbntOptions, field)

static const TrOption option_rows[] = {
	{"dimensions", TR_OPTION_INT, FIELD(dimensions), "64", 1, 4096, NULL,
	"embedding size of users, items and tags (K in the paper)"},
	{"sequence", TR_OPTION_INT, FIELD(sequence), "100", 0, 1000000, NULL,
	"maximum number of distinct tags of the user for attention, the most used first; 0 = no attention"},
	{"history", TR_OPTION_ENUM, FIELD(history), "all", 0, 0, history_names,
	"posts of the user whose tags attention sees in training: all others (all), or, with a time_column, those with an "
	"earlier time (earlier)"},
	{"given", TR_OPTION_ENUM, FIELD(given), "none", 0, 0, given_names,
	"tags that the post already has: ignored (none) or used as input; in training, the input is then a random part of "
	"the post's tags, or all but one (others)"},
	{"layers", TR_OPTION_INTS, FIELD(layers), "256", 1, 65536, NULL,
	"sizes of the hidden layers"},
	{"activation", TR_OPTION_ENUM, FIELD(activation), "relu", 0, 0, activation_names,
	"activation function of the hidden layers"},
	{"dropout", TR_OPTION_REAL, FIELD(dropout), "0.3", 0, 0.99, NULL,
	"dropout rate of the hidden units"},
	{"id_dropout", TR_OPTION_REAL, FIELD(id_dropout), "0.1", 0, 0.99, NULL,
	"dropout rate of whole user and item embeddings, to prepare the model for unknown users and items"},
	{"samples", TR_OPTION_INT, FIELD(samples), "0", 0, 1e9, NULL, TR_TAG_SAMPLES_TEXT},
	{"regularization", TR_OPTION_REAL, FIELD(regularization), "0", 0, 1000, NULL,
	"L2 strength: weight of half the squared parameters, relative to the sum of the posts' losses (lambda)"},
	{"optimizer", TR_OPTION_ENUM, FIELD(optimizer), "adam", 0, 0, tr_optimizer_names,
	"optimizer"},
	{"learning_rate", TR_OPTION_REAL, FIELD(learning_rate), "0.003", 1e-9, 10, NULL,
	"learning rate"},
	{"init_std", TR_OPTION_REAL, FIELD(init_std), "0.1", 1e-6, 10, NULL,
	"standard deviation of the initial embeddings"},
	{"batch", TR_OPTION_INT, FIELD(batch), "256", 1, 10000000, NULL,
	"mini-batch size, in posts"},
	{"seed", TR_OPTION_SEED, FIELD(seed), "1", 0, 0, NULL,
	"random seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, FIELD(epochs), "15", 1, 100000, NULL,
	"maximum number of passes over the posts"},
};

static const TrSetting paper[] = {
	{"dimensions", "64"}, {"sequence", "1000000"}, {"given", "none"}, {"layers", "64,64"}, {"activation", "relu"},
	{"dropout", "0"}, {"id_dropout", "0"}, {"regularization", "0.01"}, {"optimizer", "adam"}, {"learning_rate", "0.01"},
	{"batch", "1024"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static TrStatus
check(const void *values, TrError *err)
{
	const AbntOptions *o = values;

	if (o->history == ABNT_EARLIER && o->sequence == 0)
	{
		tr_fail(err, TR_BAD_OPTION, "option \"history\" with value \"earlier\" requires sequence above 0");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Set sequence above 0, or history to \"all\".");
		return TR_BAD_OPTION;
	}
	return TR_OK;
}

static const TrOptionSet option_set = TR_OPTION_SET(option_rows, AbntOptions, .presets = presets, .check = check);

/* ------------------------------------------------------------------ parameters */

/* Vectors and weights at random, these by Glorot & Bengio 2010; biases 0. */
static void
layout_of(AbntLayout *l, TrParameters *p, const AbntOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int			D = o->dimensions;
	int			H;

	*l = (AbntLayout) {.U = n_users, .I = n_items, .T = n_tags, .D = D, .given = n_tags, .layers = o->layers.count};
	l->users = l->given + (o->given == ABNT_NONE ? 0 : n_tags);
	l->items = l->users + n_users;
	l->rows = l->items + n_items;
	(void) tr_parameter(p, n_tags, D, o->init_std, 1, "tags");
	(void) tr_parameter(p, l->users - l->given, D, o->init_std, 1, "tags_given");
	(void) tr_training_parameter(p, n_users, D, o->init_std, 1, "users");
	(void) tr_training_parameter(p, n_items, D, o->init_std, 1, "items");
	tr_parameters_begin_dense(p);
	l->query = tr_parameter(p, 2 * D, D, sqrt(2.0 / (3.0 * D)), 2, "W_query");
	l->query_bias = tr_parameter(p, 1, D, 0, 0, "b_query");
	l->width[0] = ABNT_PARTS * D;
	for (int i = 0; i < l->layers; i++)
	{
		int			O = l->width[i + 1] = o->layers.value[i];

		l->layer[i] = tr_parameter(p, l->width[i], O, sqrt(2.0 / ((double) l->width[i] + O)), 4 + (uint64_t) i, "W_%d",
								   i + 1);
		l->layer_bias[i] = tr_parameter(p, 1, O, 0, 0, "b_%d", i + 1);
	}
	H = abnt_last_width(l);
	l->decoder = tr_parameter(p, n_tags, H, sqrt(2.0 / ((double) n_tags + H)), 3, "W_out");
	l->tag_bias = tr_parameter(p, 1, n_tags, 0, 0, "b_out");
}

TrActivation
abnt_activation(const AbntOptions *o)
{
	static const TrActivation of[] = {[ABNT_RELU] = TR_RELU, [ABNT_TANH] = TR_TANH, [ABNT_SIGMOID] = TR_SIGMOID};

	return of[o->activation];
}

/* ------------------------------------------------------------------ estimate */

static size_t
estimate(const TrShape *shape, const void *values)
{
	const AbntOptions *o = values;
	double		posts = fmax(1, shape->n_posts);
	double		rows = fmin(o->batch, posts);
	double		entries = 2 + (double) shape->n_assignments / posts;
	double		of_row;
	double		floats;
	TrParameters p = {0};
	AbntLayout	l;

	layout_of(&l, &p, o, shape->n_users, shape->n_items, shape->n_tags);
	/* parameters, moments; saved, the best ones; gradients, the padded last layer */
	floats = (double) p.size * (o->optimizer == TR_ADAM ? 5 : 3) + (double) p.size + (double) l.T * tr_dot_stride(l.D);
	/* of a post in a step: vectors and their gradients, the sequence here and there, the layers, the scores */
	of_row = 12.0 * l.D + 11.0 * (fmin(o->sequence, shape->n_tags) + entries) + 6 * entries + l.T + 3.0 * l.width[0];
	for (int i = 1; i <= l.layers; i++)
		of_row += 3.0 * l.width[i];
	if (o->history == ABNT_EARLIER)
		floats += 3.0 * l.T;
	floats += rows * of_row + 2.0 * l.rows + posts + (double) l.T * tr_dot_stride(abnt_last_width(&l));
	return (size_t) (floats * 1.125 * sizeof(float));
}

/* ------------------------------------------------------------------ life */

static TrStatus
fill(Abnt *m, TrError *err)
{
	TrModel    *model = &m->model;

	/* the tags' biases start as the logarithms of their shares */
	TR_TRY(tr_tag_log_shares(m->p.host + m->layout.tag_bias, model->memory, model->dataset, err));
	return abnt_planner_create(m, err);
}

/* Where it is loaded, posts bring the vectors of their user and item. */
static TrStatus
create(TrModel *model, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	const TrDataset *d = model->dataset;
	int32_t		users = d ? d->n_users : 0;
	int32_t		items = d ? d->n_items : 0;

	if ((int64_t) users + items + 2 * (int64_t) model->n_tags > INT32_MAX)
		return tr_fail(err, TR_BAD_DATA, "too many users, items and tags");
	if (model->n_tags < 1)
		return tr_fail(err, TR_BAD_DATA, "no tags to learn from");
	m->options = *(const AbntOptions *) model->options;
	layout_of(&m->layout, &m->p, &m->options, users, items, model->n_tags);
	TR_TRY(tr_parameters_create(&m->p, model, m->options.optimizer == TR_ADAM ? 2 : 0, m->options.seed, false, err));
	m->decoder = TR_NEW(model, float, (size_t) model->n_tags * tr_dot_stride(abnt_last_width(&m->layout)));
	TR_TRY(tr_enough_memory(model, err, "the last layer"));
	/* similar users and items are those whose vectors point the same way */
	model->width = model->unit = m->layout.D;
	if (!d)
		return TR_OK;
	model->rows[TR_USER] = m->p.value + (size_t) m->layout.users * (size_t) m->layout.D;
	model->rows[TR_ITEM] = m->p.value + (size_t) m->layout.items * (size_t) m->layout.D;
	return fill(m, err);
}

const TrAlgorithm tr_algorithm_abnt = {
	.name = "abnt",
	.summary = "A multi-layer perceptron over the embeddings of a post's user and item, with attention over the user's "
			   "most used tags (unordered, without those of the post itself).",
	.source = "Yuan et al., Attention-based neural tag recommendation, as compared by Zhao et al.",
	.task = TR_TASK_TAG,
	.options = &option_set,
	.estimate = estimate,
	.size = sizeof(Abnt),
	.loads = true,
	.create = create,
	.train_epoch = abnt_train_epoch,
	.saving = abnt_pad_decoder,
	.restored = abnt_pad_decoder,
	.embed = tr_embed_rows,
	.score_tags = abnt_score_tags,
};
