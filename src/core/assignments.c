/*
 * Raw assignments: collecting, merging duplicates, dropping what is rare, renumbering.
 * Legend: n assignments.
 */
#include <string.h>

#include "core/dataset.h"

#define FIRST_CAPACITY 4096

void
tr_assignments_init(TrAssignments *a, TrMemory *memory)
{
	memset(a, 0, sizeof(*a));
	a->memory = memory;
}

/* Grows one array; false when there is no memory. */
static bool
grow_array(TrMemory *memory, void *array, int64_t capacity, size_t size)
{
	void	   *grown = tr_realloc(memory, *(void **) array, (size_t) capacity * size);

	if (grown)
		*(void **) array = grown;
	return grown != NULL;
}

static TrStatus
grow(TrAssignments *a)
{
	int64_t		n = a->capacity ? a->capacity + a->capacity / 2 : FIRST_CAPACITY;
	bool		value = a->columns & TR_COLUMN_VALUE;

	if (!grow_array(a->memory, &a->user, n, sizeof(int32_t)) || !grow_array(a->memory, &a->item, n, sizeof(int32_t)) ||
		!grow_array(a->memory, &a->tag, n, sizeof(int32_t)) ||
		((a->columns & TR_COLUMN_WEIGHT) && !grow_array(a->memory, &a->weight, n, sizeof(float))) ||
		(value && !grow_array(a->memory, &a->value, n, sizeof(float))) ||
		(value && !grow_array(a->memory, &a->rows, n, sizeof(int32_t))) ||
		((a->columns & TR_COLUMN_TIME) && !grow_array(a->memory, &a->time, n, sizeof(int64_t))))
		return TR_NO_MEMORY;
	a->capacity = n;
	return TR_OK;
}

TrStatus
tr_assignments_add_row(TrAssignments *a, const TrAssignment *row)
{
	if (a->count == a->capacity)
		TR_TRY(grow(a));
	a->user[a->count] = row->user;
	a->item[a->count] = row->item;
	a->tag[a->count] = row->tag;
	if (a->weight)
		a->weight[a->count] = row->weight;
	if (a->value)
	{
		a->value[a->count] = row->value;
		a->rows[a->count] = 1;
	}
	if (a->time)
		a->time[a->count] = row->time;
	a->count++;
	return TR_OK;
}

TrStatus
tr_assignments_add(TrAssignments *a, int32_t user, int32_t item, int32_t tag, bool weighted, float weight)
{
	TrAssignment row = {.user = user, .item = item, .tag = tag, .weight = weight};

	if (weighted)
		a->columns |= TR_COLUMN_WEIGHT;
	return tr_assignments_add_row(a, &row);
}

static int32_t
largest(const int32_t *key, int64_t n)
{
	int32_t		max = -1;

	for (int64_t i = 0; i < n; i++)
		if (key[i] > max)
			max = key[i];
	return max;
}

/*
 * One stable counting-sort pass: to = from, ordered by key, -1 (no tag, no user) first. start has room for the largest key
 * + 3.
 */
static void
sort_pass(const TrMemory *memory, int32_t *to, const int32_t *from, const int32_t *key, int64_t n, int64_t *start, int32_t max)
{
	memset(start, 0, ((size_t) max + 3) * sizeof(int64_t));
	for (int64_t i = 0; i < n; i++)
		start[key[i] + 2]++;
	for (int32_t k = 0; k <= max + 1; k++)
		start[k + 1] += start[k];
	for (int64_t i = 0; i < n; i++)
	{
		tr_pause(memory, i);
		to[start[key[from[i]] + 1]++] = from[i];
	}
}

/* order (n) = the assignments' positions by (user, item, tag): three passes, last key first. */
static TrStatus
sorted_order(const TrAssignments *a, int32_t **order)
{
	const int32_t *keys[3] = {a->tag, a->item, a->user};
	int32_t    *from = tr_alloc(a->memory, (size_t) a->count * sizeof(int32_t));
	int32_t    *to = tr_alloc(a->memory, (size_t) a->count * sizeof(int32_t));

	if (!from || !to)
		return TR_NO_MEMORY;
	for (int64_t i = 0; i < a->count; i++)
		from[i] = (int32_t) i;
	for (int k = 0; k < 3; k++)
	{
		int32_t		max = largest(keys[k], a->count);
		int64_t    *start = tr_alloc(a->memory, ((size_t) max + 3) * sizeof(int64_t));
		int32_t    *swap = from;

		if (!start)
			return TR_NO_MEMORY;
		sort_pass(a->memory, to, from, keys[k], a->count, start, max);
		tr_free(a->memory, start);
		from = to;
		to = swap;
	}
	tr_free(a->memory, to);
	*order = from;
	return TR_OK;
}

float
tr_merge_values(TrMerge merge, float value, int32_t rows, float other, int32_t other_rows, bool later)
{
	double		all = (double) rows + other_rows;

	switch (merge)
	{
		case TR_MERGE_MEAN:
			return (float) ((value * (double) rows + other * (double) other_rows) / all);
		case TR_MERGE_SUM:
			return value + other;
		case TR_MERGE_MAX:
			return value > other ? value : other;
		case TR_MERGE_LAST:
			return later ? other : value;
	}
	return value;
}

/* Row `from` of a joins row `at` of to, of the same pair. */
static void
merge_row(TrAssignments *to, int64_t at, const TrAssignments *a, int32_t from)
{
	bool		later = !a->time || a->time[from] >= to->time[at];

	if (a->weight)
		to->weight[at] += a->weight[from];
	if (a->value)
	{
		to->value[at] = tr_merge_values(a->merge, to->value[at], to->rows[at], a->value[from], a->rows[from], later);
		to->rows[at] += a->rows[from];
	}
	if (a->time && later)
		to->time[at] = a->time[from];
}

static TrAssignment
row_at(const TrAssignments *a, int32_t i)
{
	return (TrAssignment) {
		.user = a->user[i],
		.item = a->item[i],
		.tag = a->tag[i],
		.weight = a->weight ? a->weight[i] : 1.0f,
		.value = a->value ? a->value[i] : 0,
		.time = a->time ? a->time[i] : 0
	};
}

TrStatus
tr_assignments_add_from(TrAssignments *a, const TrAssignments *other, int64_t row)
{
	TrAssignment copy = row_at(other, (int32_t) row);

	TR_TRY(tr_assignments_add_row(a, &copy));
	if (a->rows)
		a->rows[a->count - 1] = other->rows[row];
	return TR_OK;
}

/* A pair's row without a tag comes first, and takes the tag of the next one. */
static TrStatus
add_distinct(TrAssignments *to, const TrAssignments *a, int32_t row)
{
	int64_t		last = to->count - 1;
	bool		pair = last >= 0 && to->user[last] == a->user[row] && to->item[last] == a->item[row];
	bool		same_tag = pair && to->tag[last] == a->tag[row];

	if (pair && to->tag[last] == TR_NO_TAG && !same_tag)
	{
		to->tag[last] = a->tag[row];
		if (to->weight)
			to->weight[last] = 0;
		same_tag = true;
	}
	if (same_tag)
	{
		merge_row(to, last, a, row);
		return TR_OK;
	}
	return tr_assignments_add_from(to, a, row);
}

void
tr_assignments_free(TrAssignments *a)
{
	tr_free(a->memory, a->user);
	tr_free(a->memory, a->item);
	tr_free(a->memory, a->tag);
	tr_free(a->memory, a->weight);
	tr_free(a->memory, a->value);
	tr_free(a->memory, a->rows);
	tr_free(a->memory, a->time);
}

TrStatus
tr_assignments_distinct(TrAssignments *a, TrError *err)
{
	TrAssignments distinct;
	int32_t    *order;

	if (a->count > INT32_MAX)
		return tr_fail(err, TR_UNSUPPORTED, "more than %d assignments", INT32_MAX);
	if (a->count == 0)
		return TR_OK;
	if (sorted_order(a, &order) != TR_OK)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while sorting %lld assignments", (long long) a->count);
	tr_assignments_init(&distinct, a->memory);
	tr_assignments_set_columns(&distinct, a->columns, a->merge);
	for (int64_t i = 0; i < a->count; i++)
	{
		tr_pause(a->memory, i);
		if (add_distinct(&distinct, a, order[i]) != TR_OK)
			return tr_fail(err, TR_NO_MEMORY, "out of memory while copying %lld assignments", (long long) a->count);
	}
	tr_free(a->memory, order);
	tr_assignments_free(a);
	*a = distinct;
	return TR_OK;
}

/* Renumbers in place; an assignment mapped to -1 goes. */
static void
compact(TrAssignments *a, const int32_t *user_map, const int32_t *item_map, const int32_t *tag_map)
{
	int64_t		kept = 0;

	for (int64_t i = 0; i < a->count; i++)
	{
		bool		used = a->user[i] != TR_NO_USER;
		int32_t		user = user_map && used ? user_map[a->user[i]] : a->user[i];
		int32_t		item = item_map ? item_map[a->item[i]] : a->item[i];
		bool		tagged = a->tag[i] != TR_NO_TAG;
		int32_t		tag = tag_map && tagged ? tag_map[a->tag[i]] : a->tag[i];

		tr_pause(a->memory, i);
		if ((used && user < 0) || item < 0 || (tagged && tag < 0))
			continue;
		a->user[kept] = user;
		a->item[kept] = item;
		a->tag[kept] = tag;
		if (a->weight)
			a->weight[kept] = a->weight[i];
		if (a->value)
		{
			a->value[kept] = a->value[i];
			a->rows[kept] = a->rows[i];
		}
		if (a->time)
			a->time[kept] = a->time[i];
		kept++;
	}
	a->count = kept;
}

/* map (n keys) = where key k goes: nowhere (-1) when fewer than min_count assignments have it, else to k itself. */
static void
map_frequent(int32_t *map, int32_t n_keys, const int32_t *key, int64_t n, int32_t min_count)
{
	memset(map, 0, (size_t) n_keys * sizeof(int32_t));
	for (int64_t i = 0; i < n; i++)
		if (key[i] >= 0)
			map[key[i]]++;
	for (int32_t k = 0; k < n_keys; k++)
		map[k] = map[k] >= min_count ? k : -1;
}

TrStatus
tr_assignments_drop_rare_tags(TrAssignments *a, int32_t n_tags, int32_t min_count)
{
	int32_t    *map = tr_alloc(a->memory, ((size_t) n_tags + 1) * sizeof(int32_t));

	if (!map)
		return TR_NO_MEMORY;
	map_frequent(map, n_tags, a->tag, a->count, min_count);
	compact(a, NULL, NULL, map);
	tr_free(a->memory, map);
	return TR_OK;
}

TrStatus
tr_assignments_core(TrAssignments *a, int32_t n_users, int32_t n_items, int32_t n_tags, int32_t min_count, int64_t *left,
					int *rounds)
{
	int32_t    *user_map = tr_alloc(a->memory, ((size_t) n_users + 1) * sizeof(int32_t));
	int32_t    *item_map = tr_alloc(a->memory, ((size_t) n_items + 1) * sizeof(int32_t));
	int32_t    *tag_map = tr_alloc(a->memory, ((size_t) n_tags + 1) * sizeof(int32_t));
	bool		memory = user_map && item_map && tag_map;
	int64_t		before = -1;

	*rounds = 0;
	while (memory && a->count > 0 && a->count != before)
	{
		before = a->count;
		map_frequent(user_map, n_users, a->user, a->count, min_count);
		map_frequent(item_map, n_items, a->item, a->count, min_count);
		map_frequent(tag_map, n_tags, a->tag, a->count, min_count);
		compact(a, user_map, item_map, tag_map);
		if (a->count == before)
			break;
		*rounds += *rounds < TR_CORE_ROUNDS;
		left[*rounds - 1] = a->count;
	}
	tr_free(a->memory, user_map);
	tr_free(a->memory, item_map);
	tr_free(a->memory, tag_map);
	return memory ? TR_OK : TR_NO_MEMORY;
}

TrStatus
tr_assignments_renumber(TrAssignments *a, const int32_t *user_map, const int32_t *item_map, const int32_t *tag_map)
{
	compact(a, user_map, item_map, tag_map);
	return TR_OK;
}
