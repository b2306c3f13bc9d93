/*
 * blend: members are trained one after the other, an epoch at a time; then they are measured and weighed, and from then on answer as
 * one. See blend.h for the score. Legend: M members, U users, N items, W width of a member's arrays.
 */
#include <math.h>
#include <string.h>

#include "core/metrics.h"
#include "models/blend.h"

#define OPTION(field) offsetof(BlendOptions, field)

static const char *const members_range[] = {"algorithms, each with options if need be: \"ease_tags; hdlpr_ns layers=128\"", NULL};
static const char *const weights_range[] = {"a number for each member, or nothing", NULL};

static const TrOption option_rows[] = {
	{"members", TR_OPTION_TEXT, OPTION(members), "ease_tags; hybrid", 0, 0, members_range,
	"the algorithms that are blended, with options of their own: algorithm option=value; algorithm …"},
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

static TrStatus
create_member(Blend *m, BlendMember *member, TrError *err)
{
	int			known = 0;

	TR_TRY(tr_model_create(&member->model, member->algorithm, m->model.memory, m->model.backend, m->dataset, member->options,
						   err));
	member->width = member->algorithm->width(member->model, NULL);
	member->features = tr_features(member->model);
	member->deviation = tr_calloc(m->model.memory, (size_t) m->dataset->n_users + 1, sizeof(float));
	if (!member->deviation)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d users", m->dataset->n_users);
	for (BlendMember *other = m->member; other < member; other++)
		known |= other->features;
	if (!(member->features & known))
		return TR_OK;
	tr_fail(err, TR_BAD_OPTION, "member \"%s\" scores by the same features of a user (items, tags or users) as a member before it",
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

/* own (count) = the tensors of a member, under its own names; returns how many there are */
static int
member_tensors(TrTensor *own, int member, const TrTensor *tensors, int count)
{
	char		prefix[16];
	size_t		length = (size_t) snprintf(prefix, sizeof(prefix), "%d:", member);
	int			n = 0;

	for (int t = 0; t < count; t++)
	{
		if (strncmp(tensors[t].name, prefix, length) != 0)
			continue;
		own[n] = tensors[t];
		memmove(own[n].name, own[n].name + length, sizeof(own[n].name) - length);
		n++;
	}
	return n;
}

static TrStatus
find_tensor(const TrTensor **tensor, const char *name, int rows, int cols, const TrTensor *tensors, int count, TrError *err)
{
	for (int t = 0; t < count; t++)
	{
		if (strcmp(tensors[t].name, name) != 0)
			continue;
		if (tensors[t].rows != rows || tensors[t].cols != cols)
			return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is %d x %d, not %d x %d", name, tensors[t].rows,
						   tensors[t].cols, rows, cols);
		*tensor = &tensors[t];
		return TR_OK;
	}
	return tr_fail(err, TR_BAD_DATA, "stored weight \"%s\" is missing", name);
}

/* Into a member that was created, or, when loading, into one that this makes. */
static TrStatus
restore_member(Blend *m, int i, const TrTensor *tensors, int count, TrError *err)
{
	BlendMember *member = &m->member[i];
	TrMemory   *memory = m->model.memory;
	TrTensor   *own = tr_alloc(memory, (size_t) count * sizeof(TrTensor) + 1);
	TrStatus	status = TR_OK;
	int			n;

	if (!own)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the weights' names");
	n = member_tensors(own, i, tensors, count);
	if (member->model)
		status = member->algorithm->restore(member->model, own, n, err);
	else if (member->algorithm->load)
		status = tr_model_load(&member->model, member->algorithm, memory, m->model.backend, m->n_tags, member->options, own, n,
							   err);
	tr_free(memory, own);
	return status;
}

static TrStatus
restore_summary(Blend *m, const TrTensor *tensors, int count, TrError *err)
{
	const TrTensor *summary = NULL;
	const TrTensor *items = NULL;

	TR_TRY(find_tensor(&summary, "members", m->n_members, 5, tensors, count, err));
	TR_TRY(find_tensor(&items, "items", 1, 1, tensors, count, err));
	m->n_items = (int32_t) items->value[0];
	for (int i = 0; i < m->n_members; i++)
	{
		const float *row = summary->value + (size_t) i * 5;

		m->member[i].weight = row[0];
		m->member[i].typical = row[1];
		m->member[i].encoded = row[2];
		m->member[i].width = (int) row[3];
		m->member[i].features = (int) row[4];
	}
	return TR_OK;
}

/* How far scores spread is measured again. */
static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Blend	   *m = (Blend *) model;

	TR_TRY(restore_summary(m, tensors, count, err));
	for (int i = 0; i < m->n_members; i++)
		TR_TRY(restore_member(m, i, tensors, count, err));
	return blend_measure(m, NULL, err);
}

static TrStatus
load(TrModel **model, TrMemory *memory, TrBackend *backend, int32_t n_tags, const void *values, const TrTensor *tensors, int count,
	 TrError *err)
{
	Blend	   *m = NULL;
	TrStatus	status = new_blend(&m, memory, backend, n_tags, values, err);
	bool		any = false;

	if (!m)
		return status;
	if (status == TR_OK)
		status = restore_summary(m, tensors, count, err);
	for (int i = 0; status == TR_OK && i < m->n_members; i++)
	{
		status = restore_member(m, i, tensors, count, err);
		any |= m->member[i].model != NULL;
	}
	if (status == TR_OK && !any)
		status = tr_fail(err, TR_UNSUPPORTED, "no member of the blend can encode tags");
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ arrays */

/* Similar users and items are found by the arrays of the first member, when that has some to compare by. */
static int
width(const TrModel *model, int *unit)
{
	const Blend *m = (const Blend *) model;
	int			total = 0;

	if (unit)
		*unit = 0;
	for (int i = 0; i < m->n_members; i++)
	{
		if (unit && total == 0 && m->member[i].width > 0 && m->member[i].model)
			(void) m->member[i].algorithm->width(m->member[i].model, unit);
		total += m->member[i].width;
	}
	return total;
}

/* weight / deviation, 0 without a deviation */
static float
scale_of(const BlendMember *member, float deviation)
{
	return deviation > 0 ? (float) (member->weight / deviation) : 0;
}

/* What the member's part of the user counts; of a user of another dataset no more is known than of users on the whole. */
static float
user_scale(const Blend *m, const BlendMember *member, const TrDataset *dataset, int32_t user)
{
	return scale_of(member, dataset == m->dataset && member->deviation ? member->deviation[user] : member->typical);
}

static TrStatus
reserve_array(Blend *m, size_t n, TrError *err)
{
	if (n <= m->array_room)
		return TR_OK;
	tr_free(m->model.memory, m->array);
	m->array = tr_alloc(m->model.memory, n * sizeof(float));
	m->array_room = m->array ? n : 0;
	return m->array ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for %zu numbers", n);
}

/* out[0..W) of each of n rows = scale times that row of array (n,W), or 0 without an array; returns W */
static int
put_array(float *out, int total, const float *array, int W, const float *scale, int32_t n)
{
	for (int32_t r = 0; r < n; r++)
		for (int j = 0; j < W; j++)
			out[(size_t) r * (size_t) total + (size_t) j] = array ? array[(size_t) r * (size_t) W + (size_t) j] * scale[r] : 0;
	return W;
}

/* The arrays of a member, with room for n scales behind them, which are 1. */
static TrStatus
prepare_array(Blend *m, const BlendMember *member, int32_t n, float **scale, TrError *err)
{
	size_t		floats = (size_t) n * (size_t) member->width;

	TR_TRY(reserve_array(m, floats + (size_t) n, err));
	*scale = m->array + floats;
	for (int32_t r = 0; r < n; r++)
		(*scale)[r] = 1;
	return TR_OK;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			total = width(model, NULL);

	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		bool		able = member->width > 0 && member->model;
		float	   *scale;

		TR_TRY(prepare_array(m, member, n, &scale, err));
		if (able)
			TR_TRY(member->algorithm->embed(member->model, side, dataset, first, n, m->array, err));
		for (int32_t r = 0; side == TR_USER && r < n; r++)
			scale[r] = user_scale(m, member, dataset, first + r);
		out += put_array(out, total, able ? m->array : NULL, member->width, scale, n);
	}
	return TR_OK;
}

static bool
encodes(const BlendMember *member)
{
	return member->model && (member->algorithm->encode || member->algorithm->encode_features);
}

static TrStatus
check_encoding(const Blend *m, TrError *err)
{
	for (int i = 0; i < m->n_members; i++)
		if (encodes(&m->member[i]))
			return TR_OK;
	return tr_fail(err, TR_UNSUPPORTED, "no member of the blend can encode tags");
}

static TrStatus
encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			total = width(model, NULL);

	TR_TRY(check_encoding(m, err));
	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		bool		able = member->width > 0 && member->model && member->algorithm->encode;
		float	   *scale;

		TR_TRY(prepare_array(m, member, profiles->rows, &scale, err));
		if (able)
			TR_TRY(member->algorithm->encode(member->model, side, profiles, m->array, err));
		for (int32_t r = 0; side == TR_USER && r < profiles->rows; r++)
			scale[r] = scale_of(member, member->encoded);
		out += put_array(out, total, able ? m->array : NULL, member->width, scale, profiles->rows);
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ features */

static int
features(const TrModel *model)
{
	const Blend *m = (const Blend *) model;
	int			all = TR_FEATURES_NONE;

	for (int i = 0; i < m->n_members; i++)
		all |= m->member[i].features;
	return all;
}

/* Where features of a kind start among those of `set`. */
static int64_t
start_of(const Blend *m, int set, TrFeatures kind)
{
	return tr_feature_count(set & (kind - 1), 0, m->n_items, m->n_tags);
}

/* The kind of a feature among those of `set`. */
static TrFeatures
kind_of(const Blend *m, int set, int64_t feature)
{
	TrFeatures	kind = TR_FEATURES_USERS;

	while (kind > TR_FEATURES_ITEMS && (!(set & kind) || feature < start_of(m, set, kind)))
		kind = (TrFeatures) (kind >> 1);
	return kind;
}

/* The same feature among those of the set `to`. */
static int32_t
renumber(const Blend *m, int from, int to, int32_t feature)
{
	TrFeatures	kind = kind_of(m, from, feature);

	return (int32_t) (feature - start_of(m, from, kind) + start_of(m, to, kind));
}

static TrStatus
reserve_features(Blend *m, int32_t n, TrError *err)
{
	TrMemory   *memory = m->model.memory;
	int32_t    *index;
	float	   *value;

	if (n <= m->room)
		return TR_OK;
	n += n / 2;
	tr_free(memory, m->merged_index);
	tr_free(memory, m->merged_value);
	m->merged_index = tr_alloc(memory, (size_t) n * sizeof(int32_t));
	m->merged_value = tr_alloc(memory, (size_t) n * sizeof(float));
	index = tr_realloc(memory, m->index, (size_t) n * sizeof(int32_t));
	m->index = index ? index : m->index;
	value = tr_realloc(memory, m->value, (size_t) n * sizeof(float));
	m->value = value ? value : m->value;
	if (!m->merged_index || !m->merged_value || !index || !value)
	{
		m->room = 0;
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d features of a user", n);
	}
	m->room = n;
	return TR_OK;
}

/* index, value (found.n) += those of a member, renumbered and scaled; both lists ascend and have nothing in common. */
static TrStatus
merge(Blend *m, const BlendMember *member, const TrSparse *from, float scale, TrError *err)
{
	int			all = features(&m->model);
	int32_t		a = 0;
	int32_t		n = 0;

	TR_TRY(reserve_features(m, m->found.n + from->n, err));
	for (int32_t f = 0; f <= from->n; f++)
	{
		int32_t		next = f < from->n ? renumber(m, member->features, all, from->index[f]) : INT32_MAX;

		for (; a < m->found.n && m->index[a] < next; a++, n++)
		{
			m->merged_index[n] = m->index[a];
			m->merged_value[n] = m->value[a];
		}
		if (f == from->n)
			break;
		m->merged_index[n] = next;
		m->merged_value[n++] = from->value[f] * scale;
	}
	memcpy(m->index, m->merged_index, (size_t) n * sizeof(int32_t));
	memcpy(m->value, m->merged_value, (size_t) n * sizeof(float));
	m->found.n = n;
	return TR_OK;
}

static TrStatus
user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Blend	   *m = (Blend *) model;

	m->found.n = 0;
	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		TrSparse	own;

		if (!member->features)
			continue;
		TR_TRY(member->algorithm->user_features(member->model, dataset, user, &own, err));
		TR_TRY(merge(m, member, &own, user_scale(m, member, dataset, user), err));
	}
	*out = (TrSparse) {m->found.n, m->index, m->value};
	return TR_OK;
}

static TrStatus
encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
{
	Blend	   *m = (Blend *) model;

	TR_TRY(check_encoding(m, err));
	m->found.n = 0;
	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		TrSparse	own;

		if (!member->model || !member->algorithm->encode_features)
			continue;
		TR_TRY(member->algorithm->encode_features(member->model, profiles, row, &own, err));
		TR_TRY(merge(m, member, &own, scale_of(member, member->encoded), err));
	}
	*out = (TrSparse) {m->found.n, m->index, m->value};
	return TR_OK;
}

/* Of the one member that has features of this kind. */
static TrStatus
feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			all = features(model);
	TrFeatures	kind = kind_of(m, all, feature);

	for (int i = 0; i < m->n_members; i++)
		if (m->member[i].features & (int) kind)
			return m->member[i].algorithm->feature_weights(m->member[i].model,
														   renumber(m, all, m->member[i].features, feature), out, err);
	*out = (TrSparse) {0};
	return TR_OK;
}

const TrAlgorithm tr_algorithm_blend = {
	.name = "blend",
	.summary = "Several algorithms trained together; their scores, standardised for each user, are added with weights.",
	.source = "a linear combination, compare Ferrari Dacrema et al. (RecSys 2019)",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.load = load,
	.width = width,
	.embed = embed,
	.encode = encode,
	.features = features,
	.user_features = user_features,
	.feature_weights = feature_weights,
	.encode_features = encode_features,
	.held_out = held_out,
	.destroy = destroy,
};
