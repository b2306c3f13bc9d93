/*
 * Building a TrDataset from distinct assignments.
 * Legend: n assignments, P posts, N entities of one side, E (entity, tag) entries.
 */
#include <math.h>
#include <string.h>

#include "core/dataset.h"

#define NEW(memory, type, count) ((type *) tr_alloc((memory), ((size_t) (count) + 1) * sizeof(type)))

/*
 * Numbers the posts: post_of (n) = post of each assignment; the dataset gets the posts' users, items and tags, and
 * user_ptr.
 */
static TrStatus
build_posts(TrDataset *d, const TrAssignments *a, int32_t *post_of)
{
	int32_t		posts = 0;

	for (int64_t i = 0; i < a->count; i++)
	{
		if (i == 0 || a->user[i] != a->user[i - 1] || a->item[i] != a->item[i - 1])
			posts++;
		post_of[i] = posts - 1;
	}
	d->n_posts = posts;
	d->post_user = NEW(d->memory, int32_t, posts);
	d->post_item = NEW(d->memory, int32_t, posts);
	d->post_ptr = NEW(d->memory, int64_t, posts);
	d->post_tag = NEW(d->memory, int32_t, a->count);
	d->user_ptr = tr_calloc(d->memory, (size_t) d->n_users + 1, sizeof(int32_t));
	if (!d->post_user || !d->post_item || !d->post_ptr || !d->post_tag || !d->user_ptr)
		return TR_NO_MEMORY;
	d->post_ptr[0] = 0;
	for (int64_t i = 0; i < a->count; i++)
	{
		d->post_user[post_of[i]] = a->user[i];
		d->post_item[post_of[i]] = a->item[i];
		d->post_ptr[post_of[i] + 1] = i + 1;
		d->post_tag[i] = a->tag[i];
	}
	for (int32_t p = 0; p < posts; p++)
		d->user_ptr[d->post_user[p] + 1]++;
	for (int32_t u = 0; u < d->n_users; u++)
		d->user_ptr[u + 1] += d->user_ptr[u];
	return TR_OK;
}

/* item_ptr, item_post: the posts of each item, ascending (counting sort of the posts by item). */
static TrStatus
build_item_posts(TrDataset *d)
{
	int32_t    *next;

	d->item_ptr = tr_calloc(d->memory, (size_t) d->n_items + 2, sizeof(int32_t));
	d->item_post = NEW(d->memory, int32_t, d->n_posts);
	if (!d->item_ptr || !d->item_post)
		return TR_NO_MEMORY;
	next = d->item_ptr + 1;		/* next[i] counts up to item_ptr[i + 1] */
	for (int32_t p = 0; p < d->n_posts; p++)
		if (d->post_item[p] + 1 < d->n_items)
			next[d->post_item[p] + 1]++;
	for (int32_t i = 1; i < d->n_items; i++)
		next[i] += next[i - 1];
	for (int32_t p = 0; p < d->n_posts; p++)
		d->item_post[next[d->post_item[p]]++] = p;
	return TR_OK;
}

/* order (n) = assignments by (entity, tag, post); they come sorted by post. */
static TrStatus
order_by_entity_tag(TrMemory *memory, const TrAssignments *a, const int32_t *entity, int32_t n_entities, int32_t n_tags,
					int32_t *order)
{
	int32_t    *by_tag = NEW(memory, int32_t, a->count);
	int64_t    *start = tr_calloc(memory, (size_t) (n_entities > n_tags ? n_entities : n_tags) + 2, sizeof(int64_t));

	if (!by_tag || !start)
		return TR_NO_MEMORY;
	for (int64_t i = 0; i < a->count; i++)
		start[a->tag[i] + 1]++;
	for (int32_t t = 0; t < n_tags; t++)
		start[t + 1] += start[t];
	for (int64_t i = 0; i < a->count; i++)
		by_tag[start[a->tag[i]]++] = (int32_t) i;
	memset(start, 0, ((size_t) n_entities + 2) * sizeof(int64_t));
	for (int64_t i = 0; i < a->count; i++)
		start[entity[i] + 1]++;
	for (int32_t e = 0; e < n_entities; e++)
		start[e + 1] += start[e];
	for (int64_t i = 0; i < a->count; i++)
		order[start[entity[by_tag[i]]]++] = by_tag[i];
	tr_free(memory, start);
	tr_free(memory, by_tag);
	return TR_OK;
}

static int64_t
count_entries(const TrAssignments *a, const int32_t *entity, const int32_t *order)
{
	int64_t		entries = 0;

	for (int64_t i = 0; i < a->count; i++)
		if (i == 0 || entity[order[i]] != entity[order[i - 1]] || a->tag[order[i]] != a->tag[order[i - 1]])
			entries++;
	return entries;
}

/* Fills the arrays of a profile table from the assignments in (entity, tag, post) order. */
static void
fill_table(TrProfileTable *table, const TrAssignments *a, const int32_t *entity, const int32_t *order,
		   const int32_t *post_of)
{
	int64_t    *entry_ptr = (int64_t *) table->entry_ptr;
	int64_t    *occurrence_ptr = (int64_t *) table->occurrence_ptr;
	int64_t		entry = -1;

	memset(entry_ptr, 0, ((size_t) table->n_entities + 1) * sizeof(int64_t));
	for (int64_t i = 0; i < a->count; i++)
	{
		int32_t		row = order[i];
		float		weight = a->weight ? a->weight[row] : 1.0f;

		if (i == 0 || entity[row] != entity[order[i - 1]] || a->tag[row] != a->tag[order[i - 1]])
		{
			entry++;
			occurrence_ptr[entry] = i;
			((int32_t *) table->tag)[entry] = a->tag[row];
			((float *) table->count)[entry] = 0;
			entry_ptr[entity[row] + 1]++;
		}
		((float *) table->count)[entry] += weight;
		((int32_t *) table->post)[i] = post_of[row];
		if (table->weight)
			((float *) table->weight)[i] = weight;
	}
	occurrence_ptr[table->n_entries] = a->count;
	for (int32_t e = 0; e < table->n_entities; e++)
		entry_ptr[e + 1] += entry_ptr[e];
}

static TrStatus
build_table(TrDataset *d, TrProfileTable *table, const TrAssignments *a, const int32_t *entity, int32_t n_entities,
			const int32_t *post_of)
{
	int32_t    *order = NEW(d->memory, int32_t, a->count);

	if (!order)
		return TR_NO_MEMORY;
	TR_TRY(order_by_entity_tag(d->memory, a, entity, n_entities, d->n_tags, order));
	table->n_entities = n_entities;
	table->n_entries = count_entries(a, entity, order);
	table->n_occurrences = a->count;
	table->entry_ptr = NEW(d->memory, int64_t, n_entities);
	table->tag = NEW(d->memory, int32_t, table->n_entries);
	table->count = NEW(d->memory, float, table->n_entries);
	table->occurrence_ptr = NEW(d->memory, int64_t, table->n_entries);
	table->post = NEW(d->memory, int32_t, a->count);
	table->weight = a->weight ? NEW(d->memory, float, a->count) : NULL;
	if (!table->entry_ptr || !table->tag || !table->count || !table->occurrence_ptr || !table->post
		|| (a->weight && !table->weight))
		return TR_NO_MEMORY;
	fill_table(table, a, entity, order, post_of);
	tr_free(d->memory, order);
	return TR_OK;
}

static TrStatus
build(TrDataset *d, const TrAssignments *a)
{
	int32_t    *post_of = NEW(d->memory, int32_t, a->count);

	if (!post_of)
		return TR_NO_MEMORY;
	TR_TRY(build_posts(d, a, post_of));
	TR_TRY(build_item_posts(d));
	TR_TRY(build_table(d, &d->user, a, a->user, d->n_users, post_of));
	TR_TRY(build_table(d, &d->item, a, a->item, d->n_items, post_of));
	tr_free(d->memory, post_of);
	return TR_OK;
}

TrStatus
tr_dataset_build(TrDataset *dataset, const TrAssignments *a, int32_t n_users, int32_t n_items, int32_t n_tags,
				 TrError *err)
{
	memset(dataset, 0, sizeof(*dataset));
	dataset->memory = a->memory;
	dataset->n_users = n_users;
	dataset->n_items = n_items;
	dataset->n_tags = n_tags;
	dataset->n_assignments = a->count;
	if (build(dataset, a) != TR_OK)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while indexing %lld assignments", (long long) a->count);
	return TR_OK;
}

static void
free_table(TrMemory *memory, TrProfileTable *table)
{
	tr_free(memory, (void *) table->entry_ptr);
	tr_free(memory, (void *) table->tag);
	tr_free(memory, (void *) table->count);
	tr_free(memory, (void *) table->occurrence_ptr);
	tr_free(memory, (void *) table->post);
	tr_free(memory, (void *) table->weight);
}

void
tr_dataset_free(TrDataset *dataset)
{
	tr_free(dataset->memory, dataset->post_user);
	tr_free(dataset->memory, dataset->post_item);
	tr_free(dataset->memory, dataset->post_ptr);
	tr_free(dataset->memory, dataset->post_tag);
	tr_free(dataset->memory, dataset->user_ptr);
	tr_free(dataset->memory, dataset->item_ptr);
	tr_free(dataset->memory, dataset->item_post);
	free_table(dataset->memory, &dataset->user);
	free_table(dataset->memory, &dataset->item);
	memset(dataset, 0, sizeof(*dataset));
}

int32_t
tr_dataset_post(const TrDataset *dataset, int32_t user, int32_t item)
{
	int32_t		low = dataset->user_ptr[user];
	int32_t		high = dataset->user_ptr[user + 1];

	while (low < high)
	{
		int32_t		middle = low + (high - low) / 2;

		if (dataset->post_item[middle] < item)
			low = middle + 1;
		else
			high = middle;
	}
	return low < dataset->user_ptr[user + 1] && dataset->post_item[low] == item ? low : -1;
}

void
tr_dataset_count_tags(double *count, const TrDataset *dataset)
{
	memset(count, 0, (size_t) dataset->n_tags * sizeof(double));
	for (int64_t e = 0; e < dataset->user.n_entries; e++)
		count[dataset->user.tag[e]] += dataset->user.count[e];
}

void
tr_dataset_idf(float *idf, const TrDataset *dataset)
{
	/* a float stops counting at 2^24: whole numbers stand in its place until all is counted */
	int32_t    *items = (int32_t *) idf;

	_Static_assert(sizeof(int32_t) == sizeof(float), "a count must fit in the place of a float");
	memset(items, 0, (size_t) dataset->n_tags * sizeof(int32_t));
	for (int64_t e = 0; e < dataset->item.n_entries; e++)
		items[dataset->item.tag[e]]++;
	for (int32_t t = 0; t < dataset->n_tags; t++)
		idf[t] = items[t] > 0 ? logf((float) dataset->n_items / (float) items[t]) : 0;
}
