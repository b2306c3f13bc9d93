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

size_t
tr_tag_neighbours_estimate(const TrShape *shape, int limit)
{
	size_t		items = (size_t) shape->n_items;
	size_t		most = (size_t) limit_of(limit, shape->n_items);

	return (size_t) shape->n_assignments * (sizeof(int32_t) + 2 * sizeof(float)) + (size_t) shape->n_tags * sizeof(int64_t)
		+ items * (sizeof(float) + 2 * sizeof(int32_t)) + items * most * (sizeof(int32_t) + sizeof(float))
		+ most * sizeof(TrScored);
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

TrStatus
tr_tag_neighbours_create(TrTagNeighbours *n, TrModel *model, int limit, TrError *err)
{
	const TrDataset *d = model->dataset;
	size_t		entries = (size_t) d->item.n_entries;
	size_t		items = (size_t) d->n_items;
	size_t		most = (size_t) limit_of(limit, d->n_items);

	*n = (TrTagNeighbours) {
		.dataset = d, .limit = (int32_t) most, .tag_ptr = TR_NEW(model, int64_t, d->n_tags + 1),
		.tag_item = TR_NEW(model, int32_t, entries), .tag_weight = TR_NEW(model, float, entries),
		.weight = TR_NEW(model, float, entries), .cosine = TR_NEW(model, float, items),
		.found = TR_NEW(model, int32_t, items), .best = TR_NEW(model, TrScored, most), .count = TR_NEW(model, int32_t, items),
		.index = TR_NEW(model, int32_t, items * most), .value = TR_NEW(model, float, items * most)
	};
	TR_TRY(tr_enough_memory(model, err, "%d similar items of each of %d items", n->limit, d->n_items));
	for (int32_t i = 0; i < d->n_items; i++)
		n->count[i] = -1;
	weigh(n);
	transpose(n);
	return TR_OK;
}

/* found, cosine = the items that share a tag with this one; returns how many */
static int32_t
add_cosines(TrTagNeighbours *n, int32_t item)
{
	const TrProfileTable *table = &n->dataset->item;
	int32_t		count = 0;

	for (int64_t e = table->entry_ptr[item]; e < table->entry_ptr[item + 1]; e++)
	{
		int32_t		tag = table->tag[e];

		for (int64_t at = n->tag_ptr[tag]; at < n->tag_ptr[tag + 1]; at++)
		{
			int32_t		other = n->tag_item[at];
			float		product = n->weight[e] * n->tag_weight[at];

			if (n->cosine[other] == 0 && product > 0)
				n->found[count++] = other;
			n->cosine[other] += product;
		}
	}
	return count;
}

/* Goes by the items that share a tag alone: in a large catalog they are few. */
static void
find(TrTagNeighbours *n, int32_t item)
{
	int32_t    *index = n->index + (size_t) item * (size_t) n->limit;
	float	   *value = n->value + (size_t) item * (size_t) n->limit;
	int32_t		count = add_cosines(n, item);
	TrTopN		top;

	tr_topn_init(&top, n->best, n->limit);
	n->cosine[item] = 0;
	for (int32_t i = 0; i < count; i++)
	{
		float	   *cosine = &n->cosine[n->found[i]];

		if (*cosine > 0 && (top.count < top.limit || *cosine >= top.best[0].score))
			tr_topn_offer(&top, *cosine, n->found[i]);
		*cosine = 0;
	}
	tr_sort_by_index(top.best, (size_t) top.count);
	for (int32_t i = 0; i < top.count; i++)
	{
		index[i] = top.best[i].index;
		value[i] = top.best[i].score;
	}
	n->count[item] = top.count;
}

TrSparse
tr_tag_neighbours_of(TrTagNeighbours *n, int32_t item)
{
	if (n->count[item] < 0)
		find(n, item);
	return (TrSparse) {.n = n->count[item], .index = n->index + (size_t) item * (size_t) n->limit,
	.value = n->value + (size_t) item * (size_t) n->limit};
}
