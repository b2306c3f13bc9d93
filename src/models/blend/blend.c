/*
 * blend: members are trained one after the other, an epoch at a time; then they are measured and weighed, and from then on
 * answer as one. See blend.h for the score. Legend: M members, U users, N items, W width of a member's arrays.
 */
#include <math.h>
#include <string.h>

#include "core/metrics.h"
#include "core/tensors.h"
#include "core/trainer.h"
#include "models/blend/blend_choose.h"
#include "models/blend/blend_scores.h"

#define OPTION(field) offsetof(BlendOptions, field)

static const char *const members_range[] = {"algorithms, optionally with options: \"ease_tags; hdlpr_ns layers=128\"",
	NULL};
static const char *const weights_range[] = {"one number per member, or nothing", NULL};

static const TrOption option_rows[] = {
	{"members", TR_OPTION_TEXT, OPTION(members), "ease_tags; hybrid; ease; item_knn; user_knn; ials", 0, 0, members_range,
	"algorithms to blend, with their options: algorithm option=value; algorithm option=value"},
	{"weights", TR_OPTION_TEXT, OPTION(weights), "", 0, 0, weights_range,
	"weights of the members; by default the best on the held-out pairs, or equal weights if there are none"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"random seed for members without one of their own; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "100000", 1, 100000, NULL,
	"maximum number of passes over the training pairs by any member; members have their own option epochs"},
	{"validation", TR_OPTION_REAL, OPTION(validation), "0.05", 0, 0.5, NULL,
	"share of the (user, item) pairs held out to choose the weights, in steps of 0.01"},
	{"metric", TR_OPTION_ENUM, OPTION(metric), "ndcg", 0, 0, tr_ranking_metric_names,
	"metric to choose the weights by"},
	{"metric_k", TR_OPTION_INT, OPTION(metric_k), "20", 1, 100000, NULL,
	"list length for ndcg, recall, precision, hit and f1"},
};

static TrStatus
check_options(const void *values, TrError *err)
{
	const BlendOptions *o = values;
	BlendMember members[BLEND_MOST];
	double		weight[BLEND_MOST];
	TrMemory	memory;
	bool		given;
	int			n;
	TrStatus	status;

	tr_memory_init(&memory, 0);
	status = blend_read_members(members, &n, o, &memory, err);
	if (status == TR_OK)
		status = blend_read_weights(weight, n, o, &given, err);
	tr_memory_release(&memory);
	return status;
}

static const TrOptionSet options = TR_OPTION_SET(option_rows, BlendOptions, .check = check_options);

/* The members' sum: what one leaves behind is there while the next one trains. */
static size_t
estimate(const TrShape *shape, const void *values)
{
	BlendMember members[BLEND_MOST];
	TrMemory	memory;
	size_t		bytes = 0;
	double		scores;
	int			n;

	tr_memory_init(&memory, 0);
	if (blend_read_members(members, &n, values, &memory, NULL) == TR_OK)
		for (int i = 0; i < n; i++)
			bytes += members[i].algorithm->estimate(shape, members[i].options) + (size_t) shape->n_users * sizeof(float);
	tr_memory_release(&memory);
	scores = fmax(shape->n_items, fmin((double) shape->n_items * BLEND_BLOCK, BLEND_MOST_SCORES));
	return bytes + (size_t) (2 * sizeof(float) * scores);
}

static TrStatus add_own_tensors(Blend *m, TrError *err);
static TrStatus load(Blend *m, TrError *err);

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Blend	   *m = (Blend *) model;

	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].model)
			tr_model_destroy(m->member[i].model);
}

/* Features behind those of items are told apart by the number of items, which is stored as a float. */
static TrStatus
check_items(const Blend *m, int features, TrError *err)
{
	if ((features & TR_FEATURES_ITEMS) && features != TR_FEATURES_ITEMS && m->n_items > 1 << 24)
		return tr_fail(err, TR_BAD_DATA, "%d items exceed the maximum for a blend with several kinds of neighbours, %d",
					   m->n_items, 1 << 24);
	return TR_OK;
}

static TrStatus
create_member(Blend *m, BlendMember *member, TrError *err)
{
	int			known = 0;
	const TrDataset *d = m->model.dataset;

	TR_TRY(tr_model_create_polled(&member->model, member->algorithm, m->model.memory, m->model.backend, d, member->options,
								  m->model.poll, err));
	member->width = member->model->width;
	member->features = tr_features(member->model);
	member->deviation = TR_NEW(&m->model, float, d->n_users);
	TR_TRY(tr_enough_memory(&m->model, err, "%d users", d->n_users));
	for (BlendMember *other = m->member; other < member; other++)
		known |= other->features;
	if (!(member->features & known & ~TR_FEATURES_ITEMS))
		return check_items(m, member->features | known, err);
	tr_fail(err, TR_BAD_OPTION,
			"member \"%s\" uses the same kind of neighbours (tags or users) as an earlier member",
			member->algorithm->name);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "A blend can have one member with neighbours among tags, one with neighbours "
											   "among users, and any number of others.");
	return TR_BAD_OPTION;
}

/* All but those that are given no weight */
static TrStatus
create_members(Blend *m, TrError *err)
{
	double		weight[BLEND_MOST];
	bool		given;

	TR_TRY(blend_read_weights(weight, m->n_members, &m->options, &given, err));
	for (int i = 0; i < m->n_members; i++)
		if (!given || weight[i] > 0)
			TR_TRY(create_member(m, &m->member[i], err));
	blend_set_width(m);
	return TR_OK;
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Blend	   *m = (Blend *) model;

	m->options = *(const BlendOptions *) model->options;
	TR_TRY(blend_read_members(m->member, &m->n_members, &m->options, model->memory, err));
	TR_TRY(add_own_tensors(m, err));
	if (!model->dataset)
		return load(m, err);
	m->n_items = model->dataset->n_items;
	return create_members(m, err);
}

/* ------------------------------------------------------------------ training */

static void
held_out(TrModel *model, const TrPairs *pairs)
{
	Blend	   *m = (Blend *) model;

	m->held_out = pairs;
	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].model && m->member[i].algorithm->held_out)
			m->member[i].algorithm->held_out(m->member[i].model, pairs);
}

/* The epochs of every member that is trained, and of all together */
static int
plan(Blend *m)
{
	int			most = ((const BlendOptions *) m->model.options)->epochs;
	int			epochs = 0;

	for (int i = 0; i < m->n_members; i++)
	{
		BlendMember *member = &m->member[i];

		if (!member->model)
			continue;
		member->epochs = tr_planned_epochs(member->algorithm, member->options, member->epochs, m->model.dataset->n_posts);
		member->epochs = member->epochs < most ? member->epochs : most;
		epochs += member->epochs;
	}
	return epochs;
}

/* To the next member that is trained */
static void
skip_untrained(Blend *m)
{
	while (m->current < m->n_members && !m->member[m->current].model)
		m->current++;
}

/* Nothing of a member without weight is kept, but what its options say. */
static void
drop(BlendMember *member)
{
	if (member->model)
		tr_model_destroy(member->model);
	member->model = NULL;
	member->width = member->features = 0;
	member->typical = member->encoded = 0;
}

static void
drop_useless(Blend *m)
{
	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].weight == 0)
			drop(&m->member[i]);
	blend_set_width(m);
}

/* Those that do best on the held-out pairs, which the members are measured with, too. */
static TrStatus
choose_weights(Blend *m, double *weight, const TrPoll *poll, TrError *err)
{
	BlendLists	lists;
	TrStatus	status = blend_lists_open(&lists, m, err);

	if (status == TR_OK)
		status = blend_measure(m, &lists, poll, err);
	if (status == TR_OK)
		status = blend_lists_choose(&lists, weight, poll, err);
	blend_lists_close(&lists);
	return status;
}

/* Weights add up to 1: those given, those that do best on the held-out pairs, or the same for all. */
static TrStatus
set_weights(Blend *m, const TrPoll *poll, TrError *err)
{
	double		weight[BLEND_MOST];
	bool		given;

	TR_TRY(blend_read_weights(weight, m->n_members, &m->options, &given, err));
	for (int i = 0; !given && i < m->n_members; i++)
		weight[i] = 1.0 / m->n_members;
	if (!given && m->held_out && m->n_members > 1)
		TR_TRY(choose_weights(m, weight, poll, err));
	else
		TR_TRY(blend_measure(m, NULL, poll, err));
	for (int i = 0; i < m->n_members; i++)
		m->member[i].weight = (float) weight[i];	/* as it is stored */
	drop_useless(m);
	return TR_OK;
}

/* One epoch of the member whose turn it is; after the last one of all, the weights. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Blend	   *m = (Blend *) model;
	BlendMember *member;

	skip_untrained(m);
	member = &m->member[m->current];
	if (epoch == 1)
		model->epochs = plan(m);
	member->model->epochs = member->epochs;
	TR_TRY(member->algorithm->train_epoch(member->model, ++m->epoch, poll, stats, err));
	if (stats->last || m->epoch == member->epochs)
	{
		member->width = member->model->width;	/* ccs knows its own by now */
		blend_set_width(m);
		model->epochs += m->epoch - member->epochs;	/* those that it did not need */
		m->current++;
		skip_untrained(m);
		m->epoch = 0;
	}
	stats->last = m->current == m->n_members;
	stats->partial = !stats->last;
	if (!stats->last)
		return TR_OK;
	return set_weights(m, poll, err);
}

/* The members that have weight, and their weights, unless these were given. */
static bool
settled(const TrModel *model, void *values)
{
	const Blend *m = (const Blend *) model;
	BlendOptions *o = values;
	TrText		all = m->options.members;
	char	   *rest = all.value;
	double		weight[BLEND_MOST];
	bool		given;
	size_t		members = 0;
	size_t		weights = 0;
	int			i = 0;

	if (blend_read_weights(weight, m->n_members, &m->options, &given, NULL) != TR_OK || given)
		return false;
	for (char *one; (one = strsep(&rest, ";"));)
	{
		const char *between = members > 0 ? "; " : "";

		one += strspn(one, " \t\r\n");
		if (*one == '\0' || m->member[i++].weight == 0)
			continue;
		members += (size_t) snprintf(o->members.value + members, TR_MAX_TEXT - members, "%s%s", between, one);
		weights += (size_t) snprintf(o->weights.value + weights, TR_MAX_TEXT - weights, "%s%.4g", weights > 0 ? " " : "",
									 m->member[i - 1].weight);
	}
	return members < TR_MAX_TEXT && weights < TR_MAX_TEXT;
}

/* ------------------------------------------------------------------ tensors */

/* What the model's own tensors say of a member: "members" has a row for each. */
enum
{
	WEIGHT,
	TYPICAL,
	ENCODED,
	WIDTH,
	FEATURES,
	COLUMNS
};

static TrStatus
add_own_tensors(Blend *m, TrError *err)
{
	TR_TRY(tr_tensor(&m->model, "members", m->n_members, COLUMNS, TR_FROM_ZERO, &m->summary, err));
	return tr_tensor(&m->model, "items", 1, 1, (TrRange) {1, 2147483520.0f, true}, &m->items, err);
}

static void
summarize(Blend *m)
{
	for (int i = 0; i < m->n_members; i++)
	{
		const BlendMember *member = &m->member[i];
		float	   *row = m->summary + i * COLUMNS;

		row[WEIGHT] = (float) member->weight;
		row[TYPICAL] = member->typical;
		row[ENCODED] = member->encoded;
		row[WIDTH] = (float) member->width;
		row[FEATURES] = (float) member->features;
	}
	*m->items = (float) m->n_items;
}

/* The tensor of a member: "0:w1" is w1 of the first. */
static TrStatus
name_tensor(TrTensor *tensor, int member, TrError *err)
{
	char		name[sizeof(tensor->name)];

	memcpy(name, tensor->name, sizeof(name));
	if (snprintf(tensor->name, sizeof(tensor->name), "%d:%.61s", member, name) >= (int) sizeof(tensor->name)
		|| strlen(name) > 61)
		return tr_fail(err, TR_UNSUPPORTED, "name of weight \"%s\" of a member is too long", name);
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Blend	   *m = (Blend *) model;

	summarize(m);
	tr_free(model->memory, m->saved);
	m->saved = NULL;
	*count = 0;
	for (int i = -1; i < m->n_members; i++)
	{
		TrTensor   *from = model->tensors;
		TrTensor   *all;
		int			n = model->n_tensors;

		if (i >= 0 && !m->member[i].model)
			continue;
		if (i >= 0)
			TR_TRY(tr_model_save(m->member[i].model, &from, &n, err));
		all = tr_realloc(model->memory, m->saved, (size_t) (*count + n) * sizeof(TrTensor) + 1);
		if (!all)
			return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
		m->saved = all;
		for (int t = 0; t < n; t++)
		{
			all[*count] = from[t];
			if (i >= 0)
				TR_TRY(name_tensor(&all[*count], i, err));
			(*count)++;
		}
	}
	*tensors = m->saved;
	return TR_OK;
}

/* Whose tensor it is, -1 = the blend's own; its own name starts behind so many characters. */
static int
member_of(const Blend *m, const TrTensor *tensor, size_t *length)
{
	char		prefix[16];

	for (int i = 0; i < m->n_members; i++)
	{
		*length = (size_t) snprintf(prefix, sizeof(prefix), "%d:", i);
		if (strncmp(tensor->name, prefix, *length) == 0)
			return i;
	}
	*length = 0;
	return -1;
}

/* own (count) = the tensors of a member, under its own names; returns how many there are */
static int
take_tensors(const Blend *m, int member, TrTensor *own, const TrTensor *tensors, int count)
{
	int			n = 0;

	for (int t = 0; t < count; t++)
	{
		size_t		length;

		if (member_of(m, &tensors[t], &length) != member)
			continue;
		own[n] = tensors[t];
		memmove(own[n].name, own[n].name + length, sizeof(own[n].name) - length);
		memset(own[n].name + sizeof(own[n].name) - length, 0, length);
		n++;
	}
	return n;
}

/* What is stored of the members is in the summary. */
static TrStatus
check_summary(Blend *m, TrError *err)
{
	if (m->model.dataset && *m->items != (float) m->n_items)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %.0f items, not %d", *m->items, m->n_items);
	m->n_items = m->model.dataset ? m->n_items : (int32_t) *m->items;
	for (int i = 0; i < m->n_members; i++)
	{
		const float *row = m->summary + i * COLUMNS;

		if (row[WEIGHT] > 1.001f || row[WIDTH] > 1 << 24 || row[WIDTH] != truncf(row[WIDTH])
			|| row[FEATURES] > (TR_FEATURES_ITEMS | TR_FEATURES_TAGS | TR_FEATURES_USERS)
			|| row[FEATURES] != truncf(row[FEATURES]))
			return tr_fail(err, TR_BAD_DATA, "stored weight \"members\" has an invalid row %d", i);
	}
	return TR_OK;
}

/* Was the member dropped? */
static bool
is_dropped(const float *row)
{
	return row[WEIGHT] == 0 && row[WIDTH] == 0 && row[FEATURES] == 0;
}

/*
 * Into a member that was created, or, when loading, into one that this makes. Of one that cannot be loaded there is nothing
 * to read.
 */
static TrStatus
restore_member(Blend *m, BlendMember *member, const float *row, const TrTensor *own, int n, TrError *err)
{
	if (is_dropped(row))
		drop(member);
	else if (!member->model && m->model.dataset)
		TR_TRY(create_member(m, member, err));
	if (is_dropped(row))
		return n == 0 ? TR_OK : tr_fail(err, TR_BAD_DATA, "a member without weight has stored weights");
	if (member->model)
		return tr_model_restore(member->model, own, n, err);
	if (!tr_folds_in(member->algorithm))
		return TR_OK;
	return tr_model_load(&member->model, member->algorithm, m->model.memory, m->model.backend, m->model.n_tags,
						 member->options, own, n, err);
}

/* A member has the width and the features that it says it has; one that cannot be loaded, those that are stored. */
static TrStatus
adopt_row(Blend *m, BlendMember *member, const float *row, TrError *err)
{
	int			known = 0;

	for (BlendMember *other = m->member; other < member; other++)
		known |= other->features;
	member->weight = row[WEIGHT];
	member->typical = row[TYPICAL];
	member->encoded = row[ENCODED];
	member->width = member->model && member->algorithm->loads ? member->model->width : (int) row[WIDTH];
	member->features = member->model && member->algorithm->loads ? tr_features(member->model) : (int) row[FEATURES];
	blend_set_width(m);
	if (member->width != (int) row[WIDTH] || member->features != (int) row[FEATURES] || (member->features & known & ~TR_FEATURES_ITEMS)
		|| (member->features && !member->algorithm->features))
		return tr_fail(err, TR_BAD_DATA, "stored weight \"members\" does not match member \"%s\"", member->algorithm->name);
	return TR_OK;
}

static TrStatus
restore_all(Blend *m, const TrTensor *tensors, int count, TrError *err)
{
	TrModel    *model = &m->model;
	TrTensor   *own = TR_NEW(model, TrTensor, count);
	TrStatus	status = tr_enough_memory(model, err, "the weights' names");

	if (status == TR_OK)
		status = tr_tensors_read(model->tensors, model->ranges, model->n_tensors, own,
								 take_tensors(m, -1, own, tensors, count), err);
	if (status == TR_OK)
		status = check_summary(m, err);
	for (int i = 0; status == TR_OK && i < m->n_members; i++)
	{
		status = restore_member(m, &m->member[i], m->summary + i * COLUMNS, own, take_tensors(m, i, own, tensors, count), err);
		if (status == TR_OK)
			status = adopt_row(m, &m->member[i], m->summary + i * COLUMNS, err);
	}
	tr_free(model->memory, own);
	return status;
}

/* How far scores spread is measured again. */
static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Blend	   *m = (Blend *) model;

	TR_TRY(restore_all(m, tensors, count, err));
	return blend_measure(m, NULL, NULL, err);
}

/* Those of the members that have numbers for each item. */
static TrStatus
renumber_items(const TrRenumbering *renumbering, const void *options, TrTensor *tensors, int count, TrMemory *memory,
			   TrError *err)
{
	Blend		m = {.n_members = 0};
	TrTensor   *own = tr_alloc(memory, ((size_t) count + 1) * sizeof(TrTensor));

	if (!own)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
	TR_TRY(blend_read_members(m.member, &m.n_members, options, memory, err));
	for (int i = 0; i < m.n_members; i++)
	{
		const TrAlgorithm *algorithm = m.member[i].algorithm;
		int			n = algorithm->renumber_items ? take_tensors(&m, i, own, tensors, count) : 0;
		size_t		length;

		if (n > 0)
			TR_TRY(algorithm->renumber_items(renumbering, m.member[i].options, own, n, memory, err));
		for (int t = 0, at = 0; t < count && at < n; t++)
			if (member_of(&m, &tensors[t], &length) == i)
			{
				tensors[t].rows = own[at].rows;
				tensors[t].cols = own[at].cols;
				tensors[t].value = own[at++].value;
			}
	}
	tr_free(memory, own);
	return TR_OK;
}

static TrStatus
load(Blend *m, TrError *err)
{
	TR_TRY(restore_all(m, m->model.stored, m->model.n_stored, err));
	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].model)
			return TR_OK;
	return tr_fail(err, TR_UNSUPPORTED, "no member of the blend can encode a new user");
}

const TrAlgorithm tr_algorithm_blend = {
	.name = "blend",
	.summary = "A weighted sum of the scores of several algorithms, standardized per user.",
	.source = "linear combination; compare Ferrari Dacrema et al. (RecSys 2019)",
	.task = TR_TASK_ITEM,
	.pairs_alone = true,		/* where all members are */
	.uses_values = true,		/* as some members do */
	.knows_items = true,		/* as some members do */
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Blend),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.embed = blend_embed,
	.encode = blend_encode,
	.features = blend_features,
	.user_features = blend_user_features,
	.feature_weights = blend_feature_weights,
	.encode_features = blend_encode_features,
	.fold_in = blend_fold_in,
	.renumber_items = renumber_items,
	.contributions = blend_contributions,
	.held_out = held_out,
	.settled = settled,
	.destroy = destroy,
};
