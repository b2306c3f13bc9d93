/*
 * Building a TrDataset from distinct assignments.
 * Legend: n assignments, P posts, N entities of one side, E (entity, tag) entries.
 */
#include <math.h>
#include <string.h>

#include "core/ascending.h"
#include "core/dataset.h"

#define NEW(memory, type, count) ((type *) tr_alloc((memory), ((size_t) (count) + 1) * sizeof(type)))

/* The rows of users, which come behind those without one. */
static TrAssignments
of_users(const TrAssignments *a, int64_t described)
{
	TrAssignments rest = *a;

	rest.count -= described;
	rest.user += described;
	rest.item += described;
	rest.tag += described;
	rest.weight = a->weight ? a->weight + described : NULL;
	rest.value = a->value ? a->value + described : NULL;
	rest.rows = a->rows ? a->rows + described : NULL;
	rest.time = a->time ? a->time + described : NULL;
	return rest;
}

/* post_of (n) = post of each row; the number of posts. */
static int32_t
number_posts(const TrAssignments *a, int32_t *post_of)
{
	int32_t		posts = 0;

	for (int64_t i = 0; i < a->count; i++)
	{
		if (i == 0 || a->user[i] != a->user[i - 1] || a->item[i] != a->item[i - 1])
			posts++;
		post_of[i] = posts - 1;
	}
	return posts;
}

/* The posts' users, items and tags, and user_ptr. */
static TrStatus
build_posts(TrDataset *d, const TrAssignments *a, const int32_t *post_of)
{
	int64_t		tagged = 0;

	d->post_user = NEW(d->memory, int32_t, d->n_posts);
	d->post_item = NEW(d->memory, int32_t, d->n_posts);
	d->post_ptr = NEW(d->memory, int64_t, d->n_posts);
	d->post_tag = NEW(d->memory, int32_t, d->n_assignments);
	d->user_ptr = tr_calloc(d->memory, (size_t) d->n_users + 1, sizeof(int32_t));
	if (!d->post_user || !d->post_item || !d->post_ptr || !d->post_tag || !d->user_ptr)
		return TR_NO_MEMORY;
	d->post_ptr[0] = 0;
	for (int64_t i = 0; i < a->count; i++)
	{
		tr_pause(d->memory, i);
		d->post_user[post_of[i]] = a->user[i];
		d->post_item[post_of[i]] = a->item[i];
		if (a->tag[i] != TR_NO_TAG)
			d->post_tag[tagged++] = a->tag[i];
		d->post_ptr[post_of[i] + 1] = tagged;
	}
	for (int32_t p = 0; p < d->n_posts; p++)
		d->user_ptr[d->post_user[p] + 1]++;
	for (int32_t u = 0; u < d->n_users; u++)
		d->user_ptr[u + 1] += d->user_ptr[u];
	return TR_OK;
}

/* post_value, post_time: of all rows of a post, merged as rows of one tag are. */
static TrStatus
build_values(TrDataset *d, const TrAssignments *a, const int32_t *post_of)
{
	int32_t		rows = 0;

	d->post_value = a->value ? NEW(d->memory, float, d->n_posts) : NULL;
	d->post_time = a->time ? NEW(d->memory, int64_t, d->n_posts) : NULL;
	if ((a->value && !d->post_value) || (a->time && !d->post_time))
		return TR_NO_MEMORY;
	for (int64_t i = 0; i < a->count && (a->value || a->time); i++)
	{
		int32_t		p = post_of[i];
		bool		first = i == 0 || post_of[i - 1] != p;
		bool		later = first || !a->time || a->time[i] >= d->post_time[p];

		if (a->value)
		{
			rows = first ? 0 : rows;
			d->post_value[p] = first ? a->value[i]
				: tr_merge_values(a->merge, d->post_value[p], rows, a->value[i], a->rows[i], later);
			rows += a->rows[i];
		}
		if (a->time && later)
			d->post_time[p] = a->time[i];
	}
	return TR_OK;
}

/* The rows with a tag, and their posts; a itself where all rows have one. */
static TrStatus
select_tagged(TrAssignments *tagged, int32_t **post_of, const TrAssignments *a)
{
	int32_t    *posts = *post_of;
	int64_t		kept = 0;

	*tagged = *a;
	for (int64_t i = 0; i < a->count; i++)
		kept += a->tag[i] != TR_NO_TAG;
	if (kept == a->count)
		return TR_OK;
	tr_assignments_init(tagged, a->memory);
	tr_assignments_set_columns(tagged, a->weight ? TR_COLUMN_WEIGHT : 0, a->merge);
	kept = 0;
	for (int64_t i = 0; i < a->count; i++)
	{
		if (a->tag[i] == TR_NO_TAG)
			continue;
		posts[kept++] = posts[i];
		TR_TRY(tr_assignments_add(tagged, a->user[i], a->item[i], a->tag[i], a->weight != NULL,
								  a->weight ? a->weight[i] : 1.0f));
	}
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
	{
		tr_pause(d->memory, p);
		d->item_post[next[d->post_item[p]]++] = p;
	}
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
	{
		tr_pause(memory, i);
		by_tag[start[a->tag[i]]++] = (int32_t) i;
	}
	memset(start, 0, ((size_t) n_entities + 2) * sizeof(int64_t));
	for (int64_t i = 0; i < a->count; i++)
		start[entity[i] + 1]++;
	for (int32_t e = 0; e < n_entities; e++)
		start[e + 1] += start[e];
	for (int64_t i = 0; i < a->count; i++)
	{
		tr_pause(memory, i);
		order[start[entity[by_tag[i]]]++] = by_tag[i];
	}
	tr_free(memory, start);
	tr_free(memory, by_tag);
	return TR_OK;
}

static int64_t
count_entries(const TrAssignments *a, const int32_t *entity, const int32_t *order)
{
	int64_t		entries = 0;

	for (int64_t i = 0; i < a->count; i++)
	{
		tr_pause(a->memory, i);
		if (i == 0 || entity[order[i]] != entity[order[i - 1]] || a->tag[order[i]] != a->tag[order[i - 1]])
			entries++;
	}
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

		tr_pause(a->memory, i);
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
build_tables(TrDataset *d, const TrAssignments *tagged, const int32_t *post_of)
{
	TrAssignments users = of_users(tagged, d->n_described);

	TR_TRY(build_table(d, &d->user, &users, users.user, d->n_users, post_of + d->n_described));
	TR_TRY(build_table(d, &d->item, tagged, tagged->item, d->n_items, post_of));
	if (!d->item.weight)
	{
		d->item.post_ptr = d->post_ptr;
		d->item.post_tag = d->post_tag;
	}
	return TR_OK;
}

static TrStatus
build(TrDataset *d, const TrAssignments *a)
{
	TrAssignments tagged;
	TrAssignments users;
	int32_t    *post_of = NEW(d->memory, int32_t, a->count);

	if (!post_of)
		return TR_NO_MEMORY;
	while (d->n_described < a->count && a->user[d->n_described] == TR_NO_USER)
		post_of[d->n_described++] = -1;
	users = of_users(a, d->n_described);
	d->n_posts = number_posts(&users, post_of + d->n_described);
	for (int64_t i = 0; i < users.count; i++)
		d->n_assignments += users.tag[i] != TR_NO_TAG;
	TR_TRY(build_posts(d, &users, post_of + d->n_described));
	TR_TRY(build_item_posts(d));
	TR_TRY(build_values(d, &users, post_of + d->n_described));
	TR_TRY(select_tagged(&tagged, &post_of, a));
	TR_TRY(build_tables(d, &tagged, post_of));
	if (tagged.user != a->user)
		tr_assignments_free(&tagged);
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
	if (build(dataset, a) != TR_OK)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while indexing %lld assignments", (long long) a->count);
	return TR_OK;
}

/* ------------------------------------------------------------------ further profiles */

/* The rows as assignments of features, by entity: a profile table is built of either. */
static TrStatus
feature_assignments(TrAssignments *a, const TrFeatureRows *rows)
{
	for (int64_t i = 0; i < rows->count; i++)
		TR_TRY(tr_assignments_add(a, rows->entity[i], 0, rows->feature[i], rows->value != NULL,
								  rows->value ? rows->value[i] : 1.0f));
	return tr_assignments_distinct(a, NULL);
}

static TrStatus
build_profiles(TrDataset *d, TrNamedProfiles *profiles, const TrFeatureRows *rows)
{
	TrDataset	features = {.memory = d->memory, .n_tags = profiles->n_features};
	int32_t		n_entities = profiles->of_items ? d->n_items : d->n_users;
	TrAssignments a;
	int32_t    *row;
	TrStatus	status;

	tr_assignments_init(&a, d->memory);
	status = feature_assignments(&a, rows);
	row = NEW(d->memory, int32_t, a.count);
	for (int64_t i = 0; row && i < a.count; i++)
		row[i] = (int32_t) i;
	if (status == TR_OK)
		status = row ? build_table(&features, &profiles->table, &a, a.user, n_entities, row) : TR_NO_MEMORY;
	tr_free(d->memory, row);
	tr_assignments_free(&a);
	return status;
}

TrStatus
tr_dataset_add_profiles(TrDataset *dataset, const char *name, bool of_items, int32_t n_features, const TrFeatureRows *rows,
						TrError *err)
{
	int32_t		n_entities = of_items ? dataset->n_items : dataset->n_users;
	TrNamedProfiles *grown;

	if (strlen(name) >= sizeof(grown->name) || tr_dataset_profiles(dataset, name))
		return tr_fail(err, TR_BAD_DATA, "there is a profile \"%s\" already, or its name is too long", name);
	for (int64_t i = 0; i < rows->count; i++)
		if (rows->entity[i] < 0 || rows->entity[i] >= n_entities || rows->feature[i] < 0 || rows->feature[i] >= n_features)
			return tr_fail(err, TR_BAD_DATA, "row %lld of profile \"%s\" is out of range", (long long) i, name);
	grown = tr_realloc(dataset->memory, dataset->profiles, ((size_t) dataset->n_profiles + 1) * sizeof(TrNamedProfiles));
	if (!grown)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for profile \"%s\"", name);
	dataset->profiles = grown;
	grown += dataset->n_profiles;
	memset(grown, 0, sizeof(*grown));
	strcpy(grown->name, name);
	grown->of_items = of_items;
	grown->n_features = n_features;
	dataset->n_profiles++;
	if (build_profiles(dataset, grown, rows) != TR_OK)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for profile \"%s\"", name);
	return TR_OK;
}

const TrNamedProfiles *
tr_dataset_profiles(const TrDataset *dataset, const char *name)
{
	for (int i = 0; i < dataset->n_profiles; i++)
		if (strcmp(dataset->profiles[i].name, name) == 0)
			return &dataset->profiles[i];
	return NULL;
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
	tr_free(dataset->memory, dataset->post_value);
	tr_free(dataset->memory, dataset->post_time);
	for (int i = 0; i < dataset->n_profiles; i++)
		free_table(dataset->memory, &dataset->profiles[i].table);
	tr_free(dataset->memory, dataset->profiles);
	free_table(dataset->memory, &dataset->user);
	free_table(dataset->memory, &dataset->item);
	memset(dataset, 0, sizeof(*dataset));
}

int32_t
tr_dataset_post(const TrDataset *dataset, int32_t user, int32_t item)
{
	int32_t		first = dataset->user_ptr[user];
	int32_t		place = tr_find_ascending(dataset->post_item + first, dataset->user_ptr[user + 1] - first, item);

	return place < 0 ? -1 : first + place;
}

TrStatus
tr_dislikes_build(TrDislikes *dislikes, const TrAssignments *pairs, const TrDataset *dataset)
{
	int32_t		n = 0;

	dislikes->ptr = tr_calloc(dataset->memory, (size_t) dataset->n_users + 1, sizeof(int32_t));
	dislikes->item = NEW(dataset->memory, int32_t, pairs->count);
	if (!dislikes->ptr || !dislikes->item)
		return TR_NO_MEMORY;
	for (int64_t i = 0; i < pairs->count; i++)
	{
		if (tr_dataset_post(dataset, pairs->user[i], pairs->item[i]) >= 0)
			continue;
		dislikes->item[n++] = pairs->item[i];
		dislikes->ptr[pairs->user[i] + 1]++;
	}
	for (int32_t u = 0; u < dataset->n_users; u++)
		dislikes->ptr[u + 1] += dislikes->ptr[u];
	return TR_OK;
}

TrValueRange
tr_dataset_values(const TrDataset *dataset)
{
	TrValueRange range = {.least = dataset->post_value[0], .most = dataset->post_value[0]};

	for (int32_t p = 0; p < dataset->n_posts; p++)
	{
		float		value = dataset->post_value[p];

		range.least = value < range.least ? value : range.least;
		range.most = value > range.most ? value : range.most;
		range.mean += ((double) value - range.mean) / (p + 1);
	}
	return range;
}

void
tr_dataset_count_tags(double *count, const TrDataset *dataset)
{
	memset(count, 0, (size_t) dataset->n_tags * sizeof(double));
	for (int64_t e = 0; e < dataset->user.n_entries; e++)
		count[dataset->user.tag[e]] += dataset->user.count[e];
}

/* A float stops counting at 2^24: a whole number lies in its place until all is counted. */
static int32_t
count_in_place(float *place, int32_t more)
{
	int32_t		count;

	_Static_assert(sizeof(int32_t) == sizeof(float), "a count must fit in the place of a float");
	memcpy(&count, place, sizeof(count));
	count += more;
	memcpy(place, &count, sizeof(count));
	return count;
}

void
tr_dataset_idf(float *idf, const TrDataset *dataset)
{
	memset(idf, 0, (size_t) dataset->n_tags * sizeof(float));
	for (int64_t e = 0; e < dataset->item.n_entries; e++)
		count_in_place(&idf[dataset->item.tag[e]], 1);
	for (int32_t t = 0; t < dataset->n_tags; t++)
	{
		int32_t		items = count_in_place(&idf[t], 0);

		idf[t] = items > 0 ? logf((float) dataset->n_items / (float) items) : 0;
	}
}
