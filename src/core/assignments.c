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

static bool
grow_ints(TrMemory *memory, int32_t **array, int64_t capacity)
{
	int32_t    *grown = tr_realloc(memory, *array, (size_t) capacity * sizeof(int32_t));

	if (grown)
		*array = grown;
	return grown != NULL;
}

static TrStatus
grow(TrAssignments *a, bool weighted)
{
	int64_t		capacity = a->capacity ? a->capacity + a->capacity / 2 : FIRST_CAPACITY;

	if (!grow_ints(a->memory, &a->user, capacity) || !grow_ints(a->memory, &a->item, capacity)
		|| !grow_ints(a->memory, &a->tag, capacity))
		return TR_NO_MEMORY;
	if (weighted)
	{
		float	   *weight = tr_realloc(a->memory, a->weight, (size_t) capacity * sizeof(float));

		if (!weight)
			return TR_NO_MEMORY;
		a->weight = weight;
	}
	a->capacity = capacity;
	return TR_OK;
}

TrStatus
tr_assignments_add(TrAssignments *a, int32_t user, int32_t item, int32_t tag, bool weighted, float weight)
{
	if (a->count == a->capacity)
		TR_TRY(grow(a, weighted));
	a->user[a->count] = user;
	a->item[a->count] = item;
	a->tag[a->count] = tag;
	if (weighted)
		a->weight[a->count] = weight;
	a->count++;
	return TR_OK;
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

/* One stable counting-sort pass: to = from, ordered by key. start has room for the largest key + 2. */
static void
sort_pass(int32_t *to, const int32_t *from, const int32_t *key, int64_t n, int64_t *start, int32_t max)
{
	memset(start, 0, ((size_t) max + 2) * sizeof(int64_t));
	for (int64_t i = 0; i < n; i++)
		start[key[i] + 1]++;
	for (int32_t k = 0; k <= max; k++)
		start[k + 1] += start[k];
	for (int64_t i = 0; i < n; i++)
		to[start[key[from[i]]]++] = from[i];
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
		int64_t    *start = tr_alloc(a->memory, ((size_t) max + 2) * sizeof(int64_t));
		int32_t    *swap = from;

		if (!start)
			return TR_NO_MEMORY;
		sort_pass(to, from, keys[k], a->count, start, max);
		tr_free(a->memory, start);
		from = to;
		to = swap;
	}
	tr_free(a->memory, to);
	*order = from;
	return TR_OK;
}

static bool
same_assignment(const TrAssignments *a, int32_t i, int32_t j)
{
	return a->user[i] == a->user[j] && a->item[i] == a->item[j] && a->tag[i] == a->tag[j];
}

/* Writes the distinct assignments, in order, into the empty `to`, which has the capacity. */
static TrStatus
copy_distinct(TrAssignments *to, const TrAssignments *a, const int32_t *order)
{
	for (int64_t i = 0; i < a->count; i++)
	{
		int32_t		row = order[i];

		if (i > 0 && same_assignment(a, row, order[i - 1]))
		{
			if (a->weight)
				to->weight[to->count - 1] += a->weight[row];
		}
		else
			TR_TRY(tr_assignments_add(to, a->user[row], a->item[row], a->tag[row], a->weight != NULL,
									  a->weight ? a->weight[row] : 1.0f));
	}
	return TR_OK;
}

static void
free_arrays(TrAssignments *a)
{
	tr_free(a->memory, a->user);
	tr_free(a->memory, a->item);
	tr_free(a->memory, a->tag);
	tr_free(a->memory, a->weight);
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
	if (copy_distinct(&distinct, a, order) != TR_OK)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while copying %lld assignments", (long long) a->count);
	tr_free(a->memory, order);
	free_arrays(a);
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
		int32_t		user = user_map ? user_map[a->user[i]] : a->user[i];
		int32_t		item = item_map ? item_map[a->item[i]] : a->item[i];
		int32_t		tag = tag_map ? tag_map[a->tag[i]] : a->tag[i];

		if (user < 0 || item < 0 || tag < 0)
			continue;
		a->user[kept] = user;
		a->item[kept] = item;
		a->tag[kept] = tag;
		if (a->weight)
			a->weight[kept] = a->weight[i];
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
