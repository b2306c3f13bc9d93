/*
 * From raw assignments to the datasets that a training works on. See source.h.
 */
#include "postgres.h"

#include "core/topn.h"
#include "lib/stringinfo.h"
#include "pg/base/tagrec.h"
#include "pg/source/reader.h"
#include "pg/source/source.h"

void
tagrec_free_assignments(TrAssignments *a)
{
	tr_assignments_free(a);
	tr_assignments_init(a, a->memory);
}

void
tagrec_data_init(TagrecData *data, TrMemory *memory)
{
	memset(data, 0, sizeof(*data));
	data->memory = memory;
	tagrec_keys_init(&data->users, memory);
	tagrec_keys_init(&data->items, memory);
	tagrec_keys_init(&data->tags, memory);
	tr_assignments_init(&data->disliked, memory);
}

static void
tell_nobody(const TagrecSource *source, const TagrecReader *reader)
{
	bool		by_tags = source->rules.nobody == TAGREC_NOBODY_TAG;

	ereport(NOTICE,
			(errmsg("%lld of %lld rows of %s have no user", (long long) reader->without_user, (long long) reader->rows,
					source->name),
			 by_tags ? errdetail("They count as tags of their items.")
			 : errdetail("They are left out, because the algorithm does not know items by their tags alone.")));
}

void
tagrec_source_read(const TagrecSource *source, TagrecData *data, TrAssignments *raw)
{
	TagrecReader reader = {
		.relation = source->name,
		.columns = source->columns,
		.users = &data->users,
		.items = &data->items,
		.tags = &data->tags,
		.rules = source->rules,
		.longest = TAGREC_MAX_KEY_BYTES,
		.to = raw,
		.disliked_to = source->rules.untagged ? &data->disliked : NULL
	};

	tagrec_read_interactions(&reader);
	data->rows = reader.rows;
	data->ignored = reader.ignored;
	if (reader.without_tag > 0)
		ereport(NOTICE,
				(errmsg("%lld of %lld rows of %s have no tag", (long long) reader.without_tag, (long long) reader.rows,
						source->name),
				 errdetail("They count as interactions without a tag.")));
	if (reader.without_user > 0)
		tell_nobody(source, &reader);
	if (reader.disliked > 0)
		ereport(NOTICE,
				(errmsg("leaving out %lld of %lld rows of %s, whose values are below %g", (long long) reader.disliked,
						(long long) reader.rows, source->name, source->rules.like_from),
				 errdetail(reader.disliked_to
						   ? "The option like_from says that they are dislikes: these items are not recommended to these users."
						   : "The option like_from says that they are dislikes.")));
	if (source->rules.half_life > 0)
		tagrec_decay(raw, source);
}

void
tagrec_data_check(TrStatus status, const TrError *err, const TrMemory *memory)
{
	TrError		copy = *err;

	if (status == TR_NO_MEMORY)
		tagrec_out_of_memory(memory);
	tagrec_check(status, &copy);
}

/* Maps of the numbers of users, items and tags; NULL = they stay. */
typedef struct Maps
{
	int32	   *user,
			   *item,
			   *tag;
} Maps;

/* Frees the maps. held_out may be NULL here and below; its tags are none in the task item. */
static void
renumber(TagrecData *data, TrAssignments *raw, TrAssignments *held_out, const TrTask *task, Maps *maps)
{
	TrError		err = {0};

	tagrec_data_check(tr_assignments_renumber(raw, maps->user, maps->item, maps->tag), &err, data->memory);
	if (held_out)
		tagrec_data_check(tr_assignments_renumber(held_out, maps->user, maps->item,
												  task->tags ? maps->tag : NULL), &err, data->memory);
	tagrec_data_check(tr_assignments_renumber(&data->disliked, maps->user, maps->item, NULL), &err, data->memory);
	tr_free(data->memory, maps->user);
	tr_free(data->memory, maps->item);
	tr_free(data->memory, maps->tag);
}

/* Renumbers the assignments so that every number is a rank in the order of the keys. */
static void
rank_keys(TagrecData *data, const TagrecSource *source, TrAssignments *raw, TrAssignments *held_out, const TrTask *task)
{
	TagrecKeyType bytes = {InvalidOid, InvalidOid};
	Maps		maps = {
		.user = tagrec_keys_rank(&data->users, source->user),
		.item = tagrec_keys_rank(&data->items, source->item),
		.tag = data->tags.closed ? NULL : tagrec_keys_rank(&data->tags, bytes)
	};

	renumber(data, raw, held_out, task, &maps);
}

/* Numbers in use by the assignments. */
static uint8 *
used_keys(TrMemory *memory, const int32 *key, int64 count, int32 n_keys)
{
	uint8	   *used = tagrec_calloc(memory, n_keys, 1);

	for (int64 i = 0; i < count; i++)
		if (key[i] >= 0)
			used[key[i]] = 1;
	return used;
}

static int32 *
keep_used(TagrecKeys *keys, const int32 *key, int64 count)
{
	uint8	   *used = used_keys(keys->memory, key, count, keys->count);
	int32	   *map = tagrec_keys_keep(keys, used);

	tr_free(keys->memory, used);
	return map;
}

/* Drops users, items and tags without remaining assignments, and their held-out pairs. */
static void
drop_unused(TagrecData *data, TrAssignments *raw, TrAssignments *held_out, const TrTask *task)
{
	Maps		maps = {
		.user = keep_used(&data->users, raw->user, raw->count),
		.item = data->keep_items ? NULL : keep_used(&data->items, raw->item, raw->count),
		.tag = data->tags.closed ? NULL : keep_used(&data->tags, raw->tag, raw->count)
	};

	renumber(data, raw, held_out, task, &maps);
}

static void
check_left(const TrAssignments *raw, const char *detail, const char *option)
{
	if (raw->count > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("no assignments are left to train on"),
			 errdetail_internal("%s", detail),
			 errhint("Lower the option %s.", option)));
}

static void
drop_rare(TagrecData *data, TrAssignments *raw, int min_tag_count)
{
	TrError		err = {0};

	tagrec_data_check(tr_assignments_drop_rare_tags(raw, data->tags.count, min_tag_count), &err, data->memory);
	check_left(raw, psprintf("None of the %d tags is used by %d assignments or more.", data->tags.count, min_tag_count),
			   "min_tag_count");
}

static void
keep_core(TagrecData *data, TrAssignments *raw, int core)
{
	int64		left[TR_CORE_ROUNDS];
	int			rounds;
	int64		before = raw->count;
	StringInfoData detail;
	TrError		err = {0};

	tagrec_data_check(tr_assignments_core(raw, data->users.count, data->items.count, data->tags.count, core, left, &rounds),
					  &err, data->memory);
	initStringInfo(&detail);
	appendStringInfo(&detail, "Dropping users, items and tags with fewer than %d assignments reduced %lld rows to ", core,
					 (long long) before);
	for (int i = 0; i < rounds; i++)
		appendStringInfo(&detail, "%s%lld", i == 0 ? "" : ", ", (long long) left[i]);
	appendStringInfoChar(&detail, '.');
	check_left(raw, detail.data, "core");
	pfree(detail.data);
}

/* Drops everything that the options exclude, and renumbers the rest. */
static void
settle(TagrecData *data, const TagrecSource *source, TrAssignments *raw, const TrTrainOptions *options, const TrTask *task,
	   TrAssignments *held_out)
{
	const TagrecAttributes *items = &source->attributes[TR_ITEM];
	int64		before = raw->count;

	if (!data->tags.closed)
	{
		drop_rare(data, raw, options->min_tag_count);
		if (options->core > 0)
			keep_core(data, raw, options->core);
	}
	/* items of item_features alone may have no attributes */
	if (held_out || data->disliked.count > 0 || raw->count < before || items->entities > items->in_source)
		drop_unused(data, raw, held_out, task);
}

/* Of all that may be trained on, as it is known of all users. */
static void
add_dislikes(TagrecData *data)
{
	TrError		err = {0};

	if (data->disliked.count == 0)
		return;
	tagrec_data_check(tr_assignments_distinct(&data->disliked, &err), &err, data->memory);
	tagrec_data_check(tr_dislikes_build(&data->dislikes, &data->disliked, &data->all), &err, data->memory);
	tagrec_free_assignments(&data->disliked);
	data->all.dislikes = &data->dislikes;
}

/* Where all values are the same, there is nothing to predict. */
static void
check_values(const TagrecData *data, const TagrecSource *source)
{
	TrValueRange range = tr_dataset_values(&data->all);

	if (range.least == range.most)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("all values of column \"%s\" of %s are %g", source->columns.value, source->name, range.least),
				 errdetail("There is nothing to predict."),
				 errhint("Train an algorithm for the task \"item\" on the pairs alone, such as ease.")));
}

/* The items that have tags and no user yet. */
static void
mark_waiting_items(const TagrecData *data, TrDataset *d)
{
	uint64	   *waiting;

	if (d->n_described == 0)
		return;
	waiting = tagrec_calloc(data->memory, TR_BIT_WORDS(d->n_items) + 1, sizeof(uint64));
	for (int32 i = 0; i < d->n_items; i++)
		if (d->item_ptr[i + 1] == d->item_ptr[i] && d->item.entry_ptr[i + 1] > d->item.entry_ptr[i])
			tr_bit_set(waiting, i);
	d->new_items = waiting;
}

void
tagrec_data_build(TagrecData *data, const TagrecSource *source, TrAssignments *raw, const TrTrainOptions *options,
				  const TrTask *task, TrAssignments *held_out)
{
	int64		n_held_out = 0;
	TrError		err = {0};

	if (raw->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no row of %s has %s that the model knows", source->name, data->items.closed ? "an item" : "a tag")));
	rank_keys(data, source, raw, held_out, task);
	tagrec_data_check(tr_assignments_distinct(raw, &err), &err, data->memory);
	if (held_out)
	{
		tagrec_data_check(tr_assignments_distinct(held_out, &err), &err, data->memory);
		n_held_out = held_out->count;
	}
	settle(data, source, raw, options, task, held_out);
	tagrec_data_check(tr_dataset_build(&data->all, raw, data->users.count, data->items.count, data->tags.count, &err),
					  &err, data->memory);
	if (data->all.n_posts == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no row of %s that has a user has a tag that the model knows", source->name)));
	add_dislikes(data);
	if (task->values)
		check_values(data, source);
	if (held_out)
		tagrec_data_hold_out(data, held_out, n_held_out, task);
	else if (options->validation > 0 && !data->tags.closed)
		tagrec_data_split(data, raw, options, task);
	tagrec_data_sample(data, raw);
	tagrec_free_assignments(raw);
	mark_waiting_items(data, &data->all);
	mark_waiting_items(data, &data->train);
	mark_waiting_items(data, &data->sample);
}
