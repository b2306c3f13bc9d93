/*
 * Items like an item by their tags. See tag_neighbours.h.
 */
#include <math.h>
#include <string.h>

#include "models/tags/tag_neighbours.h"

/* No item has more neighbours than there are other items. */
static int32_t
limit_of(int limit, int32_t n_items)
{
	int32_t		most = n_items > 1 ? n_items - 1 : 1;

	return limit < most ? limit : most;
}

/* Items whose cosines are added up together: they stay in the cache. */
#define BLOCK 4096

/* Of those found only the best are kept whenever there is no room for those of another block. */
static size_t
most_found(int32_t n_items, size_t limit)
{
	size_t		room = limit + 4 * BLOCK;

	return room < (size_t) n_items ? room : (size_t) n_items;
}

/* An item may have every tag. */
static size_t
room_bytes(const TrShape *shape, size_t limit)
{
	return sizeof(TrNeighbourRoom) + BLOCK * (sizeof(float) + sizeof(int32_t)) + (size_t) shape->n_tags * sizeof(int64_t)
		+ (most_found(shape->n_items, limit) + limit) * sizeof(TrScored);
}

size_t
tr_tag_neighbours_estimate(const TrShape *shape, int limit)
{
	size_t		items = (size_t) shape->n_items;
	size_t		most = (size_t) limit_of(limit, shape->n_items);

	return (size_t) shape->n_assignments * (sizeof(int32_t) + 2 * sizeof(float)) + (size_t) shape->n_tags * sizeof(int64_t)
		+ items * sizeof(int32_t) + items * most * (sizeof(int32_t) + sizeof(float))
		+ TR_ESTIMATED_THREADS * room_bytes(shape, most);
}

/* weight (E) = the unit profiles; tag_ptr becomes where each tag's items start */
static void
weigh(TrTagNeighbours *n)
{
	const TrDataset *d = n->dataset;
	int64_t    *with_tag = n->tag_ptr + 1;

	for (int64_t e = 0; e < d->item.n_entries; e++)
		with_tag[d->item.tag[e]]++;
	for (int32_t i = 0; i < d->n_items; i++)
	{
		double		squares = 0;

		for (int64_t e = d->item.entry_ptr[i]; e < d->item.entry_ptr[i + 1]; e++)
		{
			double		idf = log((double) d->n_items / (double) with_tag[d->item.tag[e]]);

			n->weight[e] = (float) (log1p(d->item.count[e]) * idf);
			squares += (double) n->weight[e] * n->weight[e];
		}
		for (int64_t e = d->item.entry_ptr[i]; e < d->item.entry_ptr[i + 1] && squares > 0; e++)
			n->weight[e] /= (float) sqrt(squares);
	}
	for (int32_t t = 0; t < d->n_tags; t++)
		n->tag_ptr[t + 1] += n->tag_ptr[t];
}

/* tag_item, tag_weight: the same entries by tag. Filling moves every start to its end: it is put back afterwards. */
static void
transpose(TrTagNeighbours *n)
{
	const TrDataset *d = n->dataset;

	for (int32_t i = 0; i < d->n_items; i++)
		for (int64_t e = d->item.entry_ptr[i]; e < d->item.entry_ptr[i + 1]; e++)
		{
			int64_t		at = n->tag_ptr[d->item.tag[e]]++;

			n->tag_item[at] = i;
			n->tag_weight[at] = n->weight[e];
		}
	memmove(n->tag_ptr + 1, n->tag_ptr, (size_t) d->n_tags * sizeof(int64_t));
	n->tag_ptr[0] = 0;
}

static int32_t
most_tags(const TrDataset *d)
{
	int64_t		most = 0;

	for (int32_t i = 0; i < d->n_items; i++)
		if (d->item.entry_ptr[i + 1] - d->item.entry_ptr[i] > most)
			most = d->item.entry_ptr[i + 1] - d->item.entry_ptr[i];
	return (int32_t) most;
}

static void
create_rooms(TrTagNeighbours *n, TrModel *model)
{
	int32_t		tags = most_tags(n->dataset);

	n->rooms = model->backend ? tr_threads(model->backend) : 1;
	n->room = TR_NEW(model, TrNeighbourRoom, n->rooms);
	for (int r = 0; n->room && r < n->rooms; r++)
	{
		n->room[r].cosine = TR_NEW(model, float, BLOCK);
		n->room[r].shared = TR_NEW(model, int32_t, BLOCK + 1);
		n->room[r].at = TR_NEW(model, int64_t, tags);
		n->room[r].found = TR_NEW(model, TrScored, most_found(n->dataset->n_items, (size_t) n->limit));
		n->room[r].best = TR_NEW(model, TrScored, n->limit);
	}
}

/* When all are found */
static void
free_rooms(TrTagNeighbours *n)
{
	for (int r = 0; r < n->rooms; r++)
	{
		tr_free(n->memory, n->room[r].cosine);
		tr_free(n->memory, n->room[r].shared);
		tr_free(n->memory, n->room[r].at);
		tr_free(n->memory, n->room[r].found);
		tr_free(n->memory, n->room[r].best);
	}
	tr_free(n->memory, n->room);
	n->room = NULL;
}

TrStatus
tr_tag_neighbours_create(TrTagNeighbours *n, TrModel *model, int limit, TrError *err)
{
	const TrDataset *d = model->dataset;
	size_t		entries = (size_t) d->item.n_entries;
	size_t		items = (size_t) d->n_items;
	size_t		most = (size_t) limit_of(limit, d->n_items);

	*n = (TrTagNeighbours) {
		.dataset = d, .memory = model->memory, .limit = (int32_t) most,
		.tag_ptr = TR_NEW(model, int64_t, d->n_tags + 1),
		.tag_item = TR_NEW(model, int32_t, entries), .tag_weight = TR_NEW(model, float, entries),
		.weight = TR_NEW(model, float, entries), .count = TR_NEW(model, int32_t, items),
		.index = TR_NEW(model, int32_t, items * most), .value = TR_NEW(model, float, items * most)
	};
	create_rooms(n, model);
	TR_TRY(tr_enough_memory(model, err, "%d similar items of each of %d items", n->limit, d->n_items));
	for (int32_t i = 0; i < d->n_items; i++)
		n->count[i] = -1;
	weigh(n);
	transpose(n);
	return TR_OK;
}

/* ------------------------------------------------------------------ looking for them */

/* found = those of items first..end-1 that share a tag with this one, with their cosines; returns how many */
static int32_t
add_cosines(const TrTagNeighbours *n, TrNeighbourRoom *room, int32_t item, int32_t first, int32_t end, TrScored *found)
{
	const TrProfileTable *table = &n->dataset->item;
	int64_t		entry = table->entry_ptr[item];
	int32_t		tags = (int32_t) (table->entry_ptr[item + 1] - entry);
	int32_t		count = 0;
	int32_t		left = 0;

	for (int32_t e = 0; e < tags; e++)
	{
		int64_t		at = room->at[e];
		int64_t		last = n->tag_ptr[table->tag[entry + e] + 1];
		float		weight = n->weight[entry + e];

		for (; at < last && n->tag_item[at] < end; at++)
		{
			int32_t		other = n->tag_item[at] - first;

			room->shared[count] = other;
			count += room->cosine[other] == 0 && weight * n->tag_weight[at] > 0;
			room->cosine[other] += weight * n->tag_weight[at];
		}
		room->at[e] = at;
	}
	for (int32_t i = 0; i < count; i++)
	{
		found[left] = (TrScored) {room->cosine[room->shared[i]], first + room->shared[i]};
		left += found[left].index != item;
		room->cosine[room->shared[i]] = 0;
	}
	return left;
}

/* Classes of scores: a positive float's first bits, down to 2^-16; those below are one. */
#define CLASSES 2048

static inline int
class_of(float score)
{
	uint32_t	bits;
	int			class;

	memcpy(&bits, &score, sizeof(bits));
	class = (int) (bits >> 16) - (0x3f80 - CLASSES + 2);	/* 1, and what rounding makes of it, is in the last but one */
	return class < 0 ? 0 : class < CLASSES ? class : CLASSES - 1;
}

/* best = the best of those found; only those of the best classes are offered. Returns how many. */
static int32_t
select_best(TrNeighbourRoom *room, int32_t count, int32_t limit)
{
	int32_t		of_class[CLASSES] = {0};
	int			least = CLASSES;
	TrTopN		top;

	for (int32_t i = 0; i < count; i++)
		of_class[class_of(room->found[i].score)]++;
	for (int32_t better = 0; least > 0 && better < limit;)
		better += of_class[--least];
	tr_topn_init(&top, room->best, limit);
	for (int32_t i = 0; i < count; i++)
		if (class_of(room->found[i].score) >= least)
			tr_topn_offer(&top, room->found[i].score, room->found[i].index);
	tr_sort_by_index(top.best, (size_t) top.count);
	return top.count;
}

/* The smallest item that is left of those that share a tag with this one; the number of items when none is */
static int32_t
first_left(const TrTagNeighbours *n, const TrNeighbourRoom *room, int32_t item)
{
	const TrProfileTable *table = &n->dataset->item;
	int64_t		entry = table->entry_ptr[item];
	int32_t		first = n->dataset->n_items;

	for (int64_t e = entry; e < table->entry_ptr[item + 1]; e++)
	{
		int64_t		at = room->at[e - entry];

		if (at < n->tag_ptr[table->tag[e] + 1] && n->tag_item[at] < first)
			first = n->tag_item[at];
	}
	return first;
}

static void
find(TrTagNeighbours *n, TrNeighbourRoom *room, int32_t item)
{
	const TrProfileTable *table = &n->dataset->item;
	size_t		to = (size_t) item * (size_t) n->limit;
	size_t		most = most_found(table->n_entities, (size_t) n->limit);
	int64_t		entry = table->entry_ptr[item];
	int32_t		found = 0;
	int32_t		first;
	int32_t		count;

	for (int64_t e = entry; e < table->entry_ptr[item + 1]; e++)
		room->at[e - entry] = n->tag_ptr[table->tag[e]];
	while ((first = first_left(n, room, item)) < table->n_entities)
	{
		int32_t		end = table->n_entities - first < BLOCK ? table->n_entities : first + BLOCK;

		if ((size_t) (found + end - first) > most)
		{
			found = select_best(room, found, n->limit);
			memcpy(room->found, room->best, (size_t) found * sizeof(TrScored));
		}
		found += add_cosines(n, room, item, first, end, room->found + found);
	}
	count = select_best(room, found, n->limit);
	for (int32_t i = 0; i < count; i++)
	{
		n->index[to + (size_t) i] = room->best[i].index;
		n->value[to + (size_t) i] = room->best[i].score;
	}
	n->count[item] = count;
}

TrSparse
tr_tag_neighbours_of(TrTagNeighbours *n, int32_t item)
{
	if (n->count[item] < 0)
		find(n, n->room, item);
	return tr_tag_neighbours_found(n, item);
}

/* What a thread does between two polls: so many items, or fewer when their tags have so many */
#define ITEMS 64
#define ENTRIES (1 << 20)

typedef struct Search
{
	TrTagNeighbours *n;
	int32_t		first,
				end;
} Search;

static void
find_some(void *argument, int task)
{
	Search	   *s = argument;

	for (int32_t i = s->first + task; i < s->end; i += s->n->rooms)
		if (s->n->count[i] < 0)
			find(s->n, &s->n->room[task], i);
}

/* Where a step from this item on ends; every thread has as many items, but at the end */
static int32_t
step_end(const TrTagNeighbours *n, int32_t first)
{
	const TrProfileTable *table = &n->dataset->item;
	int64_t		most = (int64_t) first + (int64_t) ITEMS * n->rooms;
	int64_t		entries = 0;
	int32_t		end = first;

	for (; end < table->n_entities && end < most; end++)
	{
		if (entries >= (int64_t) ENTRIES * n->rooms && (end - first) % n->rooms == 0)
			break;
		for (int64_t e = table->entry_ptr[end]; e < table->entry_ptr[end + 1]; e++)
			entries += n->tag_ptr[table->tag[e] + 1] - n->tag_ptr[table->tag[e]];
	}
	return end;
}

TrStatus
tr_tag_neighbours_find(TrTagNeighbours *n, TrBackend *b, const TrPoll *poll)
{
	int32_t		items = n->dataset->n_items;
	Search		s = {.n = n};

	if (!n->room)
		return TR_OK;
	for (; s.first < items; s.first = s.end)
	{
		if (tr_poll_at(poll, "items", s.first, items))
			return TR_CANCELLED;
		s.end = step_end(n, s.first);
		tr_run_tasks(b, find_some, &s, n->rooms);
	}
	free_rooms(n);
	return TR_OK;
}
