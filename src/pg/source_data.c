/*
 * From raw assignments to the datasets that a training works on. See source.h.
 */
#include "postgres.h"

#include <math.h>

#include "fold.h"
#include "miscadmin.h"
#include "source.h"
#include "tagrec.h"

static void
free_assignments(TrAssignments *a)
{
	tr_free(a->memory, a->user);
	tr_free(a->memory, a->item);
	tr_free(a->memory, a->tag);
	tr_free(a->memory, a->weight);
	tr_assignments_init(a, a->memory);
}

static void
check(TrStatus status, const TrError *err, const TrMemory *memory)
{
	TrError		copy = *err;

	if (status == TR_NO_MEMORY)
		tagrec_out_of_memory(memory);
	tagrec_check(status, &copy);
}

/* Renumbers the assignments so that every number is a rank in the order of the keys. held_out may be NULL here and below. */
static void
rank_keys(TagrecData *data, const TagrecSource *source, TrAssignments *raw, TrAssignments *held_out)
{
	TagrecKeyType bytes = {InvalidOid, InvalidOid};
	int32	   *user_map = tagrec_keys_rank(&data->users, source->user);
	int32	   *item_map = tagrec_keys_rank(&data->items, source->item);
	int32	   *tag_map = data->tags.closed ? NULL : tagrec_keys_rank(&data->tags, bytes);
	TrError		err = {0};

	check(tr_assignments_renumber(raw, user_map, item_map, tag_map), &err, data->memory);
	if (held_out)
		check(tr_assignments_renumber(held_out, user_map, item_map, NULL), &err, data->memory);
	tr_free(data->memory, user_map);
	tr_free(data->memory, item_map);
	tr_free(data->memory, tag_map);
}

/* Numbers in use by the assignments. */
static uint8 *
used_keys(TrMemory *memory, const int32 *key, int64 count, int32 n_keys)
{
	uint8	   *used = tagrec_calloc(memory, n_keys, 1);

	for (int64 i = 0; i < count; i++)
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

/* Drops the users, items and tags that no assignment is left of, and the held-out pairs that refer to them. */
static void
drop_unused(TagrecData *data, TrAssignments *raw, TrAssignments *held_out)
{
	int32	   *user_map = keep_used(&data->users, raw->user, raw->count);
	int32	   *item_map = keep_used(&data->items, raw->item, raw->count);
	int32	   *tag_map = keep_used(&data->tags, raw->tag, raw->count);
	TrError		err = {0};

	check(tr_assignments_renumber(raw, user_map, item_map, tag_map), &err, data->memory);
	if (held_out)
		check(tr_assignments_renumber(held_out, user_map, item_map, NULL), &err, data->memory);
	tr_free(data->memory, user_map);
	tr_free(data->memory, item_map);
	tr_free(data->memory, tag_map);
}

static void
drop_rare(TagrecData *data, TrAssignments *raw, int min_tag_count)
{
	TrError		err = {0};

	check(tr_assignments_drop_rare_tags(raw, data->tags.count, min_tag_count), &err, data->memory);
	if (raw->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no assignment is left to train on"),
				 errdetail("None of the %d tags is used by %d assignments or more.", data->tags.count, min_tag_count),
				 errhint("Lower the option min_tag_count.")));
}

/* Which posts are held out: those whose fold, under a seed of training's own, lies below the share. */
static uint8 *
held_out_posts(const TagrecData *data, double share, uint64 seed, int32 *count)
{
	const TrDataset *d = &data->all;
	uint8	   *held_out = tagrec_calloc(data->memory, d->n_posts, 1);
	char	   *text = psprintf("validation:%llu", (unsigned long long) seed);
	int			below = (int) rint(share * 100);

	*count = 0;
	for (int32 p = 0; p < d->n_posts; p++)
	{
		CHECK_FOR_INTERRUPTS();
		held_out[p] = tagrec_fold_of(data->users.text[d->post_user[p]], data->items.text[d->post_item[p]], text) < below;
		*count += held_out[p];
	}
	if (*count == 0 || *count == d->n_posts)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("validation share %g leaves %s of the %d pairs to %s", share, *count == 0 ? "none" : "all",
						d->n_posts, *count == 0 ? "measure on" : "measure on and none to train on"),
				 errhint("Choose another share, or 0 for none.")));
	return held_out;
}

static void
fill_pairs(TagrecData *data, const uint8 *held_out, int32 count)
{
	const TrDataset *d = &data->all;
	TrPairs    *pairs = &data->validation;

	pairs->user = tagrec_alloc(data->memory, count * sizeof(int32));
	pairs->item = tagrec_alloc(data->memory, count * sizeof(int32));
	for (int32 p = 0; p < d->n_posts; p++)
		if (held_out[p])
		{
			pairs->user[pairs->count] = d->post_user[p];
			pairs->item[pairs->count++] = d->post_item[p];
		}
}

/* The assignments of the posts that are not held out; raw is in the order of posts. */
static void
build_train(TagrecData *data, const TrAssignments *raw, const uint8 *held_out)
{
	TrAssignments kept;
	int32		post = -1;
	TrError		err = {0};

	tr_assignments_init(&kept, data->memory);
	for (int64 i = 0; i < raw->count; i++)
	{
		if (i == 0 || raw->user[i] != raw->user[i - 1] || raw->item[i] != raw->item[i - 1])
			post++;
		if (!held_out[post])
			check(tr_assignments_add(&kept, raw->user[i], raw->item[i], raw->tag[i], raw->weight != NULL,
									 raw->weight ? raw->weight[i] : 1.0f), &err, data->memory);
	}
	check(tr_dataset_build(&data->train, &kept, data->users.count, data->items.count, data->tags.count, &err), &err,
		  data->memory);
	free_assignments(&kept);
}

static void
split(TagrecData *data, const TrAssignments *raw, double share, uint64 seed)
{
	int32		count;
	uint8	   *held_out = held_out_posts(data, share, seed, &count);

	fill_pairs(data, held_out, count);
	build_train(data, raw, held_out);
	tr_free(data->memory, held_out);
	data->split = true;
}

/* ------------------------------------------------------------------ pairs of another relation */

/* What became of the pairs: of `all`, `known` had a user and an item that are trained on, and some are left of these. */
static void
tell_left_out(const TagrecData *data, int64 all, int64 known)
{
	int32		left = data->validation.count;

	if (left == all)
		return;
	ereport(left == 0 ? ERROR : NOTICE,
			(errcode(left == 0 ? ERRCODE_DATA_EXCEPTION : ERRCODE_SUCCESSFUL_COMPLETION),
			 left == 0 ? errmsg("there is no pair in validation_source that the model could be validated on")
			 : errmsg("%lld of %lld pairs in validation_source are left out", (long long) (all - left), (long long) all),
			 errdetail("%lld have a user or an item that is not in the training data, %lld stand in the training data"
					   " themselves.", (long long) (all - known), (long long) (known - left))));
}

/* all = distinct pairs that were read */
static void
take_held_out(TagrecData *data, TrAssignments *held_out, int64 all)
{
	TrPairs    *pairs = &data->validation;
	int64		known = held_out->count;

	pairs->user = tagrec_alloc(data->memory, known * sizeof(int32));
	pairs->item = tagrec_alloc(data->memory, known * sizeof(int32));
	for (int64 i = 0; i < known; i++)
	{
		if (tr_dataset_post(&data->all, held_out->user[i], held_out->item[i]) >= 0)
			continue;
		pairs->user[pairs->count] = held_out->user[i];
		pairs->item[pairs->count++] = held_out->item[i];
	}
	free_assignments(held_out);
	tell_left_out(data, all, known);
}

void
tagrec_data_build(TagrecData *data, const TagrecSource *source, TrAssignments *raw, int min_tag_count, double validation,
				  uint64 seed, TrAssignments *held_out)
{
	int64		before;
	int64		pairs = 0;
	TrError		err = {0};

	if (raw->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no row of %s has a tag that the model knows", source->name)));
	rank_keys(data, source, raw, held_out);
	check(tr_assignments_distinct(raw, &err), &err, data->memory);
	if (held_out)
	{
		check(tr_assignments_distinct(held_out, &err), &err, data->memory);
		pairs = held_out->count;
	}
	before = raw->count;
	if (!data->tags.closed)
		drop_rare(data, raw, min_tag_count);
	if (held_out || raw->count < before)
		drop_unused(data, raw, held_out);
	check(tr_dataset_build(&data->all, raw, data->users.count, data->items.count, data->tags.count, &err), &err,
		  data->memory);
	if (validation > 0)
		split(data, raw, validation, seed);
	else if (held_out)
		take_held_out(data, held_out, pairs);
	free_assignments(raw);
}
