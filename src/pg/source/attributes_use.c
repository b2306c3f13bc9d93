/*
 * Attributes as tags, and as profiles. See attributes.h.
 */
#include "pg/source/attributes.h"

#include "pg/source/source.h"

/* ------------------------------------------------------------------ tags */

/* The tags of every item: tag[ptr[i] .. ptr[i + 1]) */
typedef struct ItemTags
{
	int64	   *ptr;
	int32	   *tag;
} ItemTags;

/* tag (features) = the tags that an attribute's features are */
static int32 *
intern_tags(const TagrecAttribute *attribute, TagrecKeys *tags)
{
	int32	   *tag = tagrec_alloc(tags->memory, ((Size) attribute->features.count + 1) * sizeof(int32));

	for (int32 f = 0; f < attribute->features.count; f++)
	{
		char	   *text = psprintf("%s=%s", attribute->name, attribute->features.text[f]);

		tag[f] = tagrec_keys_intern(tags, text, strlen(text));
		pfree(text);
	}
	return tag;
}

static void
count_rows(const TagrecAttributes *a, int64 *ptr)
{
	for (int i = 0; i < a->count; i++)
		for (int64 r = 0; r < a->attribute[i].count; r++)
			if (a->attribute[i].feature[r] >= 0)
				ptr[a->attribute[i].entity[r] + 1]++;
	for (int32 e = 0; e < a->entities; e++)
		ptr[e + 1] += ptr[e];
}

static ItemTags
tags_by_item(const TagrecAttributes *a, TagrecKeys *tags)
{
	ItemTags	of = {.ptr = tagrec_calloc(a->memory, (Size) a->entities + 2, sizeof(int64))};
	int64	   *next = tagrec_alloc(a->memory, ((Size) a->entities + 1) * sizeof(int64));

	count_rows(a, of.ptr);
	memcpy(next, of.ptr, (Size) a->entities * sizeof(int64));
	of.tag = tagrec_alloc(a->memory, ((Size) of.ptr[a->entities] + 1) * sizeof(int32));
	for (int i = 0; i < a->count; i++)
	{
		const TagrecAttribute *attribute = &a->attribute[i];
		int32	   *tag = intern_tags(attribute, tags);

		for (int64 r = 0; r < attribute->count; r++)
			if (attribute->feature[r] >= 0)
				of.tag[next[attribute->entity[r]]++] = tag[attribute->feature[r]];
		tr_free(a->memory, tag);
	}
	tr_free(a->memory, next);
	return of;
}

/* The tags of the items that the source does not have. */
static void
describe_others(const TagrecAttributes *a, const ItemTags *of, TrAssignments *raw)
{
	for (int32 item = a->in_source; item < a->entities; item++)
		for (int64 t = of->ptr[item]; t < of->ptr[item + 1]; t++)
		{
			TrAssignment row = {.user = TR_NO_USER, .item = item, .tag = of->tag[t], .weight = 1, .value = 1};

			if (tr_assignments_add_row(raw, &row) != TR_OK)
				tagrec_out_of_memory(a->memory);
		}
}

/* Of every pair once, whose rows are together. */
void
tagrec_attributes_as_tags(const TagrecAttributes *a, TagrecKeys *tags, TrAssignments *raw)
{
	ItemTags	of = tags_by_item(a, tags);
	TrError		err = {0};
	int64		rows;

	tagrec_data_check(tr_assignments_distinct(raw, &err), &err, a->memory);
	rows = raw->count;
	for (int64 r = 0; r < rows; r++)
	{
		int32		item = raw->item[r];

		if (r > 0 && raw->user[r] == raw->user[r - 1] && item == raw->item[r - 1])
			continue;
		for (int64 t = of.ptr[item]; t < of.ptr[item + 1]; t++)
		{
			tagrec_data_check(tr_assignments_add_from(raw, raw, r), &err, a->memory);
			raw->tag[raw->count - 1] = of.tag[t];
		}
	}
	describe_others(a, &of, raw);
	tr_free(a->memory, of.ptr);
	tr_free(a->memory, of.tag);
}

/* ------------------------------------------------------------------ profiles */

/* map (entities) = the numbers that the keys have in the dataset, -1 = none */
static int32 *
map_entities(const TagrecAttributes *a, TagrecKeys *keys)
{
	int32	   *map = tagrec_alloc(a->memory, ((Size) a->entities + 1) * sizeof(int32));
	bool		closed = keys->closed;

	keys->closed = true;
	for (int32 e = 0; e < a->entities; e++)
		map[e] = tagrec_keys_intern(keys, a->text[e], strlen(a->text[e]));
	keys->closed = closed;
	return map;
}

/* A name of its own for every column: the column's, where it fits. */
static char *
profile_name(const TagrecAttributes *a, const TagrecAttribute *attribute)
{
	char	   *name = psprintf("%s.%s", tagrec_attributes_of(a), attribute->name);

	if (strlen(name) < sizeof(((TrNamedProfiles *) NULL)->name))
		return name;
	pfree(name);
	return psprintf("%s.%d", tagrec_attributes_of(a), attribute->number);
}

static void
add_profile(const TagrecAttributes *a, const TagrecAttribute *attribute, const int32 *map, TrDataset *dataset)
{
	int32	   *entity = tagrec_alloc(a->memory, ((Size) attribute->count + 1) * sizeof(int32));
	int32	   *feature = tagrec_alloc(a->memory, ((Size) attribute->count + 1) * sizeof(int32));
	TrFeatureRows rows = {.entity = entity, .feature = feature};
	char	   *name = profile_name(a, attribute);
	TrError		err = {0};

	for (int64 r = 0; r < attribute->count; r++)
	{
		if (attribute->feature[r] < 0 || map[attribute->entity[r]] < 0)
			continue;
		entity[rows.count] = map[attribute->entity[r]];
		feature[rows.count++] = attribute->feature[r];
	}
	tagrec_data_check(tr_dataset_add_profiles(dataset, name, a->of_items, attribute->features.count, &rows, &err), &err,
					  a->memory);
	pfree(name);
	tr_free(a->memory, entity);
	tr_free(a->memory, feature);
}

void
tagrec_attributes_as_profiles(const TagrecAttributes *a, TagrecKeys *keys, TrDataset *dataset)
{
	int32	   *map = map_entities(a, keys);

	for (int i = 0; i < a->count; i++)
		if (a->attribute[i].features.count > 0)
			add_profile(a, &a->attribute[i], map, dataset);
	tr_free(a->memory, map);
}
