/*
 * How a blend answers: the arrays of its members side by side, and their features one kind behind the other, the user's
 * part of each scaled by w / d. See blend.h for the score. Legend: M members, N items, W width of a member's arrays.
 */
#include <math.h>
#include <string.h>

#include "models/blend/blend.h"

/* ------------------------------------------------------------------ arrays */

/* Similar users and items are found by the arrays of the first member, when that has some to compare by. */
void
blend_set_width(Blend *m)
{
	TrModel    *model = &m->model;

	model->width = model->unit = 0;
	for (int i = 0; i < m->n_members; i++)
	{
		if (model->width == 0 && m->member[i].width > 0 && m->member[i].model)
			model->unit = m->member[i].model->unit;
		model->width += m->member[i].width;
	}
}

/* What is not a number to multiply by is none. */
static float
number(double scale)
{
	return isfinite((float) scale) ? (float) scale : 0;
}

/* weight / deviation; 0 without a deviation, or with one too small to divide by */
static float
scale_of(const BlendMember *member, float deviation)
{
	return deviation > 0 ? number(member->weight / deviation) : 0;
}

/* Do the two share features? */
static bool
shares(const BlendMember *a, const BlendMember *b)
{
	return a == b || (a->features & b->features & TR_FEATURES_ITEMS);
}

/* The first with scores that the member shares features with: its weights of neighbours are stored as they are. */
static const BlendMember *
leader(const Blend *m, const BlendMember *member)
{
	for (const BlendMember *first = m->member; first < m->member + m->n_members; first++)
		if (shares(first, member) && first->typical > 0)
			return first;
	return member;
}

/* e: how far the scores of those who share features with the member spread for the user, beside what is typical of them */
static double
spread(const Blend *m, const BlendMember *member, int32_t user)
{
	double		sum = 0;
	int			n = 0;

	for (const BlendMember *other = m->member; other < m->member + m->n_members; other++)
		if (shares(other, member) && other->typical > 0)
		{
			sum += other->deviation[user] / other->typical;
			n++;
		}
	return n > 0 ? sum / n : 0;
}

float
blend_unit_scale(const Blend *m, const BlendMember *member, int32_t user)
{
	double		e = spread(m, member, user);

	return e > 0 && member->typical > 0 ? number(1 / (member->typical * e)) : 0;
}

/* What the member's part of the user counts; of a user of another dataset no more is known than of users on the whole. */
static float
user_scale(const Blend *m, const BlendMember *member, const TrDataset *dataset, int32_t user)
{
	if (dataset == m->model.dataset && member->deviation)
		return number(member->weight * blend_unit_scale(m, member, user));
	return scale_of(member, member->typical);
}

/* What the member's weights of neighbours are multiplied by: they are stored with those of its leader. */
static float
row_scale(const Blend *m, const BlendMember *member)
{
	const BlendMember *first = leader(m, member);
	float		unit = scale_of(first, first->typical);

	return member == first ? 1 : unit > 0 ? number(scale_of(member, member->typical) / unit) : 0;
}

/* What a user known by tags alone counts of the member's features */
static float
encoded_scale(const Blend *m, const BlendMember *member)
{
	float		row = row_scale(m, member);

	return row > 0 ? number(scale_of(member, member->encoded) / row) : 0;
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
			out[(size_t) r * (size_t) total + (size_t) j] = array
				? array[(size_t) r * (size_t) W + (size_t) j] * scale[r] : 0;
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

TrStatus
blend_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			total = model->width;

	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		bool		able = member->width > 0 && member->model && (m->model.dataset || member->algorithm->encode);
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

TrStatus
blend_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			total = model->width;

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

int
blend_features(const TrModel *model)
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
	return tr_feature_count(set & (kind - 1), 0, m->n_items, m->model.n_tags);
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
static int64_t
renumber(const Blend *m, int from, int to, int32_t feature)
{
	TrFeatures	kind = kind_of(m, from, feature);

	return feature - start_of(m, from, kind) + start_of(m, to, kind);
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

/*
 * index, value (found.n) += those of a member, renumbered and scaled; both lists ascend. What is there already, a member
 * that shares it has put there, and it is the same.
 */
static TrStatus
merge(Blend *m, const BlendMember *member, const TrSparse *from, float scale, TrError *err)
{
	int			all = blend_features(&m->model);
	int32_t		a = 0;
	int32_t		n = 0;

	TR_TRY(reserve_features(m, m->found.n + from->n, err));
	for (int32_t f = 0; f <= from->n; f++)
	{
		int64_t		next = f < from->n ? renumber(m, member->features, all, from->index[f]) : INT32_MAX;

		if (next > INT32_MAX)
			return tr_fail(err, TR_BAD_DATA, "a user has an invalid feature: %lld", (long long) next);
		for (; a < m->found.n && m->index[a] < next; a++, n++)
		{
			m->merged_index[n] = m->index[a];
			m->merged_value[n] = m->value[a];
		}
		if (f == from->n)
			break;
		a += a < m->found.n && m->index[a] == next;
		m->merged_index[n] = (int32_t) next;
		m->merged_value[n++] = from->value[f] * scale;
	}
	m->found.n = n;
	if (n == 0)
		return TR_OK;
	memcpy(m->index, m->merged_index, (size_t) n * sizeof(int32_t));
	memcpy(m->value, m->merged_value, (size_t) n * sizeof(float));
	return TR_OK;
}

TrStatus
blend_user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	Blend	   *m = (Blend *) model;

	m->found.n = 0;
	for (BlendMember *member = m->member; member < m->member + m->n_members; member++)
	{
		TrSparse	own;

		if (!member->features)
			continue;
		TR_TRY(member->algorithm->user_features(member->model, dataset, user, &own, err));
		TR_TRY(merge(m, member, &own, user_scale(m, leader(m, member), dataset, user), err));
	}
	*out = (TrSparse) {m->found.n, m->index, m->value};
	return TR_OK;
}

TrStatus
blend_encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err)
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
		TR_TRY(merge(m, member, &own, encoded_scale(m, member), err));
	}
	*out = (TrSparse) {m->found.n, m->index, m->value};
	return TR_OK;
}

/* How many members have features of this kind, and the first of them */
static int
holders(const Blend *m, TrFeatures kind, const BlendMember **first)
{
	int			n = 0;

	for (const BlendMember *member = m->member + m->n_members - 1; member >= m->member; member--)
		if (member->features & (int) kind)
		{
			*first = member;
			n++;
		}
	return n;
}

static TrStatus
member_row(const Blend *m, const BlendMember *member, int64_t feature, TrSparse *out, TrError *err)
{
	return member->algorithm->feature_weights(member->model,
											  (int32_t) renumber(m, blend_features(&m->model), member->features,
																 (int32_t) feature), out, err);
}

static TrStatus
reserve_row(Blend *m, TrError *err)
{
	TrModel    *model = &m->model;

	if (m->row_value)
		return TR_OK;
	m->row = TR_NEW(model, float, m->n_items);
	m->row_items = TR_NEW(model, uint64_t, TR_BIT_WORDS(m->n_items));
	m->row_index = TR_NEW(model, int32_t, m->n_items);
	m->row_value = TR_NEW(model, float, m->n_items);
	return tr_enough_memory(model, err, "the neighbours of an item");
}

/* out = what was added up in row, which is empty again */
static void
collect_row(Blend *m, TrSparse *out)
{
	size_t		words = TR_BIT_WORDS(m->n_items);
	int32_t		n = 0;

	for (size_t w = 0; w < words; w++)
	{
		for (uint64_t left = m->row_items[w]; left != 0; left &= left - 1)
		{
			int32_t		i = (int32_t) (64 * w) + __builtin_ctzll(left);

			m->row_index[n] = i;
			m->row_value[n++] = m->row[i];
			m->row[i] = 0;
		}
		m->row_items[w] = 0;
	}
	*out = (TrSparse) {n, m->row_index, m->row_value};
}

/* Of the member that has features of this kind; of several, their weighted sum. */
TrStatus
blend_feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err)
{
	Blend	   *m = (Blend *) model;
	TrFeatures	kind = kind_of(m, blend_features(model), feature);
	const BlendMember *first = NULL;
	int			n = holders(m, kind, &first);

	*out = (TrSparse) {0};
	if (n == 0)
		return TR_OK;
	if (n == 1 && row_scale(m, first) == 1)
		return member_row(m, first, feature, out, err);
	TR_TRY(reserve_row(m, err));
	for (const BlendMember *member = first; member < m->member + m->n_members; member++)
	{
		float		scale = row_scale(m, member);
		TrSparse	row;

		if (!(member->features & (int) kind))
			continue;
		TR_TRY(member_row(m, member, feature, &row, err));
		for (int32_t i = 0; i < row.n; i++)
		{
			m->row[row.index[i]] += scale * row.value[i];
			tr_bit_set(m->row_items, row.index[i]);
		}
	}
	collect_row(m, out);
	return TR_OK;
}

/* ------------------------------------------------------------------ new users */

/* The part of the catalogue that is a member's, whose arrays start at `offset`. */
static TrCatalogue
catalogue_of(const Blend *m, const BlendMember *member, const TrCatalogue *whole, int offset)
{
	int			all = blend_features(&m->model);
	TrCatalogue part = *whole;

	part.width = member->width;
	part.array += offset;
	if (member->features && part.ptr)
	{
		int64_t		start = start_of(m, all, (TrFeatures) (member->features & -member->features));

		part.ptr += start;
		part.n_features -= start;
	}
	return part;
}

/* How far a member's scores spread for a user is what it is for users on the whole. */
static float
history_scale(const BlendMember *member, const TrHistory *history)
{
	return scale_of(member, history->items.n > 0 || member->encoded == 0 ? member->typical : member->encoded);
}

/* The same for what the member's features count, whose weights are stored with those of its leader. */
static float
history_feature_scale(const Blend *m, const BlendMember *member, const TrHistory *history)
{
	const BlendMember *first = leader(m, member);

	return history->items.n > 0 || member->encoded == 0 ? scale_of(first, first->typical) : encoded_scale(m, member);
}

TrStatus
blend_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array, TrSparse *features,
			  TrError *err)
{
	Blend	   *m = (Blend *) model;
	bool		any = false;
	int			offset = 0;

	m->found.n = 0;
	for (BlendMember *member = m->member; member < m->member + m->n_members; offset += member++->width)
	{
		TrCatalogue part = catalogue_of(m, member, catalogue, offset);
		float		scale = history_scale(member, history);
		float	   *one;
		TrSparse	own;

		if (!member->model)
			continue;
		TR_TRY(prepare_array(m, member, 1, &one, err));
		TR_TRY(tr_model_fold_in(member->model, history, &part, m->array, &own, err));
		put_array(array + offset, member->width, m->array, member->width, &scale, 1);
		TR_TRY(merge(m, member, &own, history_feature_scale(m, member, history), err));
		any = true;
	}
	*features = (TrSparse) {m->found.n, m->index, m->value};
	return any ? TR_OK : tr_fail(err, TR_UNSUPPORTED, "no member of the blend can encode a new user");
}

TrStatus
blend_contributions(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item, float *out,
					TrError *err)
{
	Blend	   *m = (Blend *) model;
	int			offset = 0;

	memset(out, 0, (size_t) history->items.n * sizeof(float));
	for (BlendMember *member = m->member; member < m->member + m->n_members; offset += member++->width)
	{
		TrCatalogue part = catalogue_of(m, member, catalogue, offset);

		if (!member->model || !member->algorithm->contributions)
			continue;
		TR_TRY(reserve_array(m, (size_t) history->items.n, err));
		TR_TRY(member->algorithm->contributions(member->model, history, &part, item, m->array, err));
		for (int32_t i = 0; i < history->items.n; i++)
			out[i] += history_scale(member, history) * m->array[i];
	}
	return TR_OK;
}
