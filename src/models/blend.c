/*
 * blend: members are trained one after the other, an epoch at a time; then they are measured and weighed, and from then on
 * answer as one. See blend.h for the score. Legend: M members, U users, N items, W width of a member's arrays.
 */
#include <math.h>
#include <string.h>

#include "core/metrics.h"
#include "models/blend.h"
#include "models/tensors.h"

#define OPTION(field) offsetof(BlendOptions, field)

static const char *const members_range[] = {"algorithms, each with options if need be: \"ease_tags; hdlpr_ns layers=128\"",
	NULL};
static const char *const weights_range[] = {"a number for each member, or nothing", NULL};

static const TrOption option_rows[] = {
	{"members", TR_OPTION_TEXT, OPTION(members), "ease_tags; hybrid", 0, 0, members_range,
	"the algorithms that are blended, with options of their own: algorithm option=value; algorithm option=value"},
	{"weights", TR_OPTION_TEXT, OPTION(weights), "", 0, 0, weights_range,
	"what each member counts; without, what does best on the held-out pairs, or the same for all when there are none"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"start of every random number of members that name no seed; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "100000", 1, 100000, NULL,
	"passes over the training pairs by one member, at most; how many are best for it is the member's own option"},
	{"validation", TR_OPTION_REAL, OPTION(validation), "0.05", 0, 0.5, NULL,
	"share of the (user, item) pairs held out to choose the weights by, in steps of 0.01"},
	{"metric", TR_OPTION_ENUM, OPTION(metric), "ndcg", 0, 0, tr_metric_names,
	"what the weights are chosen by"},
	{"metric_k", TR_OPTION_INT, OPTION(metric_k), "20", 1, 100000, NULL,
	"length of the list that ndcg, recall, precision, hit and f1 look at"},
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

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(BlendOptions),
	.check = check_options
};

/* The members' sum: what one leaves behind is there while the next one trains. */
static size_t
estimate(const TrShape *shape, const void *values)
{
	BlendMember members[BLEND_MOST];
	TrMemory	memory;
	size_t		bytes = 0;
	int			n;

	tr_memory_init(&memory, 0);
	if (blend_read_members(members, &n, values, &memory, NULL) == TR_OK)
		for (int i = 0; i < n; i++)
			bytes += members[i].algorithm->estimate(shape, members[i].options) + (size_t) shape->n_users * sizeof(float);
	tr_memory_release(&memory);
	return bytes + (size_t) shape->n_items * sizeof(float) * 2 * 256;
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Blend	   *m = (Blend *) model;
	TrMemory   *memory = model->memory;

	for (int i = 0; i < m->n_members; i++)
	{
		if (m->member[i].model)
			m->member[i].algorithm->destroy(m->member[i].model);
		tr_free(memory, m->member[i].options);
		tr_free(memory, m->member[i].deviation);
	}
	tr_free(memory, m->index);
	tr_free(memory, m->value);
	tr_free(memory, m->merged_index);
	tr_free(memory, m->merged_value);
	tr_free(memory, m->array);
	tr_free(memory, m->tensors);
	tr_free(memory, m);
}

static TrStatus
new_blend(Blend **result, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, TrError *err)
{
	Blend	   *m = tr_calloc(memory, 1, sizeof(*m));

	*result = m;
	if (!m)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const BlendOptions *) values;
	m->n_tags = n_tags;
	return blend_read_members(m->member, &m->n_members, &m->options, memory, err);
}

/* Features behind those of items are told apart by the number of items, which is stored as a float. */
static TrStatus
check_items(const Blend *m, int features, TrError *err)
{
	if ((features & TR_FEATURES_ITEMS) && features != TR_FEATURES_ITEMS && m->n_items > 1 << 24)
		return tr_fail(err, TR_BAD_DATA, "%d items are more than a blend with several kinds of neighbours can have, %d",
					   m->n_items, 1 << 24);
	return TR_OK;
}

static TrStatus
create_member(Blend *m, BlendMember *member, TrError *err)
{
	int			known = 0;

	TR_TRY(tr_model_create(&member->model, member->algorithm, m->model.memory, m->model.backend, m->dataset,
						   member->options, err));
	member->width = member->algorithm->width(member->model, NULL);
	member->features = tr_features(member->model);
	member->deviation = tr_calloc(m->model.memory, (size_t) m->dataset->n_users + 1, sizeof(float));
	if (!member->deviation)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d users", m->dataset->n_users);
	for (BlendMember *other = m->member; other < member; other++)
		known |= other->features;
	if (!(member->features & known))
		return check_items(m, member->features | known, err);
	tr_fail(err, TR_BAD_OPTION,
			"member \"%s\" scores by the same features of a user (items, tags or users) as a member before it",
			member->algorithm->name);
	if (err)
		snprintf(err->hint, sizeof(err->hint), "One member with neighbours of each kind is possible, beside any number with"
				 " embeddings.");
	return TR_BAD_OPTION;
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Blend	   *m = NULL;
	TrStatus	status = new_blend(&m, memory, backend, dataset->n_tags, values, err);

	if (!m)
		return status;
	m->dataset = dataset;
	m->n_items = dataset->n_items;
	for (int i = 0; status == TR_OK && i < m->n_members; i++)
		status = create_member(m, &m->member[i], err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ training */

static void
held_out(TrModel *model, const TrPairs *pairs)
{
	Blend	   *m = (Blend *) model;

	m->held_out = pairs;
	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].algorithm->held_out)
			m->member[i].algorithm->held_out(m->member[i].model, pairs);
}

static int
planned(const Blend *m)
{
	int			epochs = 0;

	for (int i = 0; i < m->n_members; i++)
		epochs += m->member[i].epochs;
	return epochs;
}

/* One epoch of the member whose turn it is; after the last one of all, the weights. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Blend	   *m = (Blend *) model;
	BlendMember *member = &m->member[m->current];

	if (epoch == 1)
		model->epochs = planned(m);
	member->model->epochs = member->epochs;
	TR_TRY(member->algorithm->train_epoch(member->model, ++m->epoch, poll, stats, err));
	if (stats->last || m->epoch == member->epochs)
	{
		member->width = member->algorithm->width(member->model, NULL);	/* ccs knows its own by now */
		model->epochs += m->epoch - member->epochs;	/* those that it did not need */
		m->current++;
		m->epoch = 0;
	}
	stats->last = m->current == m->n_members;
	stats->partial = !stats->last;
	if (!stats->last)
		return TR_OK;
	TR_TRY(blend_measure(m, poll, err));
	return blend_choose_weights(m, poll, err);
}

/* ------------------------------------------------------------------ tensors */

/* What the model's own tensors say of the members. */
static void
summarize(Blend *m)
{
	for (int i = 0; i < m->n_members; i++)
	{
		const BlendMember *member = &m->member[i];
		const float row[5] = {(float) member->weight, member->typical, member->encoded, (float) member->width,
		(float) member->features};

		memcpy(m->summary[i], row, sizeof(row));
	}
	m->items = (float) m->n_items;
}

/* The tensor of a member: "0:w1" is w1 of the first. */
static TrStatus
name_tensor(TrTensor *tensor, int member, TrError *err)
{
	char		name[sizeof(tensor->name)];

	memcpy(name, tensor->name, sizeof(name));
	if (snprintf(tensor->name, sizeof(tensor->name), "%d:%.61s", member, name) >= (int) sizeof(tensor->name)
		|| strlen(name) > 61)
		return tr_fail(err, TR_UNSUPPORTED, "weight \"%s\" of a member has too long a name", name);
	return TR_OK;
}

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Blend	   *m = (Blend *) model;

	summarize(m);
	tr_free(model->memory, m->tensors);
	m->tensors = NULL;
	*count = 0;
	for (int i = -1; i < m->n_members; i++)
	{
		TrTensor	own[2] = {
			{.name = "members", .rows = m->n_members, .cols = 5, .value = m->summary[0]},
			{.name = "items", .rows = 1, .cols = 1, .value = &m->items}
		};
		TrTensor   *from = own;
		TrTensor   *all;
		int			n = 2;

		if (i >= 0)
			TR_TRY(m->member[i].algorithm->save(m->member[i].model, &from, &n, err));
		all = tr_realloc(model->memory, m->tensors, (size_t) (*count + n) * sizeof(TrTensor) + 1);
		if (!all)
			return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
		m->tensors = all;
		for (int t = 0; t < n; t++)
		{
			all[*count] = from[t];
			if (i >= 0)
				TR_TRY(name_tensor(&all[*count], i, err));
			(*count)++;
		}
	}
	*tensors = m->tensors;
	return TR_OK;
}

/* Is it a tensor of this member? Then its own name starts behind so many characters. */
static size_t
prefix_of(const TrTensor *tensor, int member)
{
	char		prefix[16];
	size_t		length = (size_t) snprintf(prefix, sizeof(prefix), "%d:", member);

	return strncmp(tensor->name, prefix, length) == 0 ? length : 0;
}

/* own (count) = the tensors of a member, under its own names; returns how many there are */
static int
member_tensors(TrTensor *own, int member, const TrTensor *tensors, int count)
{
	int			n = 0;

	for (int t = 0; t < count; t++)
	{
		size_t		length = prefix_of(&tensors[t], member);

		if (length == 0)
			continue;
		own[n] = tensors[t];
		memmove(own[n].name, own[n].name + length, sizeof(own[n].name) - length);
		memset(own[n].name + sizeof(own[n].name) - length, 0, length);
		n++;
	}
	return n;
}

/* own (count) = the tensors of no member; returns how many there are */
static int
other_tensors(const Blend *m, TrTensor *own, const TrTensor *tensors, int count)
{
	int			n = 0;

	for (int t = 0; t < count; t++)
	{
		bool		of_member = false;

		for (int i = 0; i < m->n_members; i++)
			of_member |= prefix_of(&tensors[t], i) > 0;
		if (!of_member)
			own[n++] = tensors[t];
	}
	return n;
}

/*
 * Into a member that was created, or, when loading, into one that this makes. Of one that cannot be loaded there is nothing
 * to read.
 */
static TrStatus
restore_member(Blend *m, int i, TrTensor *own, const TrTensor *tensors, int count, TrError *err)
{
	BlendMember *member = &m->member[i];
	int			n = member_tensors(own, i, tensors, count);

	if (member->model)
		return member->algorithm->restore(member->model, own, n, err);
	if (!member->algorithm->load)
		return TR_OK;
	return tr_model_load(&member->model, member->algorithm, m->model.memory, m->model.backend, m->n_tags, member->options,
						 own, n, err);
}

/* weight, typical, encoded, width, features */
static TrStatus
check_row(const float *row, TrError *err)
{
	static const float most[5] = {1.001f, FLT_MAX, FLT_MAX, 1 << 24,
	TR_FEATURES_ITEMS | TR_FEATURES_TAGS | TR_FEATURES_USERS};

	for (int i = 0; i < 5; i++)
		if (!(row[i] >= 0 && row[i] <= most[i]) || (i >= 3 && row[i] != truncf(row[i])))
			return tr_fail(err, TR_BAD_DATA, "stored weight \"members\" has an invalid number, %g", row[i]);
	return TR_OK;
}

/* *row = what is stored of the first member; the others follow */
static TrStatus
restore_summary(Blend *m, const float **row, const TrTensor *tensors, int count, TrError *err)
{
	TrTensor	wanted[] = {
		{.name = "members", .rows = m->n_members, .cols = 5},
		{.name = "items", .rows = 1, .cols = 1}
	};
	TrRange		ranges[] = {TR_FINITE, {1, 2147483520.0f, true}};
	float		items;

	TR_TRY(tr_tensors_check(wanted, ranges, 2, tensors, count, err));
	*row = tr_tensor_find("members", tensors, count)->value;
	for (int i = 0; i < m->n_members; i++)
		TR_TRY(check_row(*row + (size_t) i * 5, err));
	items = tr_tensor_find("items", tensors, count)->value[0];
	if (m->dataset && items != (float) m->n_items)
		return tr_fail(err, TR_BAD_DATA, "stored weights are for %.0f items, not %d", items, m->n_items);
	if (!m->dataset)
		m->n_items = (int32_t) items;
	return TR_OK;
}

/* A member has the width and the features that it says it has; one that cannot be loaded, those that are stored. */
static TrStatus
adopt_row(Blend *m, BlendMember *member, const float *row, TrError *err)
{
	int			known = 0;

	for (BlendMember *other = m->member; other < member; other++)
		known |= other->features;
	member->weight = row[0];
	member->typical = row[1];
	member->encoded = row[2];
	member->width = member->model ? member->algorithm->width(member->model, NULL) : (int) row[3];
	member->features = member->model ? tr_features(member->model) : (int) row[4];
	if (member->width != (int) row[3] || member->features != (int) row[4] || (member->features & known)
		|| (member->features && !member->algorithm->features))
		return tr_fail(err, TR_BAD_DATA, "stored weight \"members\" does not fit member \"%s\"", member->algorithm->name);
	return TR_OK;
}

static TrStatus
restore_all(Blend *m, const TrTensor *tensors, int count, TrError *err)
{
	TrTensor   *own = tr_alloc(m->model.memory, (size_t) count * sizeof(TrTensor) + 1);
	const float *row = NULL;
	TrStatus	status;

	if (!own)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
	status = restore_summary(m, &row, own, other_tensors(m, own, tensors, count), err);
	for (int i = 0; status == TR_OK && i < m->n_members; i++)
	{
		status = restore_member(m, i, own, tensors, count, err);
		if (status == TR_OK)
			status = adopt_row(m, &m->member[i], row + (size_t) i * 5, err);
	}
	tr_free(m->model.memory, own);
	return status;
}

/* How far scores spread is measured again. */
static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Blend	   *m = (Blend *) model;

	TR_TRY(restore_all(m, tensors, count, err));
	return blend_measure(m, NULL, err);
}

static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors,
	 int count, TrError *err)
{
	Blend	   *m = NULL;
	TrStatus	status = new_blend(&m, memory, backend, n_tags, values, err);
	bool		any = false;

	if (!m)
		return status;
	if (status == TR_OK)
		status = restore_all(m, tensors, count, err);
	for (int i = 0; i < m->n_members; i++)
		any |= m->member[i].model != NULL;
	if (status == TR_OK && !any)
		status = tr_fail(err, TR_UNSUPPORTED, "no member of the blend can encode tags");
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

const TrAlgorithm tr_algorithm_blend = {
	.name = "blend",
	.summary = "Several algorithms trained together; their scores, standardised for each user, are added with weights.",
	.source = "a linear combination, compare Ferrari Dacrema et al. (RecSys 2019)",
	.task = TR_TASK_ITEM,
	.knows_items = true,		/* as some members do */
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = blend_width,
	.embed = blend_embed,
	.encode = blend_encode,
	.features = blend_features,
	.user_features = blend_user_features,
	.feature_weights = blend_feature_weights,
	.encode_features = blend_encode_features,
	.held_out = held_out,
	.destroy = destroy,
};
