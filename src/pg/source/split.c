/*
 * Validation data: a share of the source, or the rows of another relation. See source.h.
 *
 * Task item: pairs, of which training sees nothing. Task tag: one tag of a post, which keeps its other tags; a post with a
 * single tag keeps it and is not used for validation, so that training sees every post.
 */
#include "postgres.h"

#include <math.h>

#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/source/fold.h"
#include "pg/source/source.h"

/* ------------------------------------------------------------------ a share of the source */

typedef struct Split
{
	TagrecData *data;
	const TrTask *task;
	double		share;
	char	   *seed;			/* of the hashes */
	const int64 *row;			/* (posts+1) the first of each post's assignments; a post without tags has one */
	uint8	   *held_out;		/* (rows of assignments) */
	int32		posts;			/* that could be held out, or lose a tag */
	int32		count;			/* that do */
} Split;

static int64 *
first_rows(const TagrecData *data)
{
	const TrDataset *d = &data->all;
	int64	   *row = tagrec_alloc(data->memory, ((Size) d->n_posts + 1) * sizeof(int64));

	row[0] = d->n_described;
	for (int32 p = 0; p < d->n_posts; p++)
		row[p + 1] = row[p] + Max(d->post_ptr[p + 1] - d->post_ptr[p], 1);
	return row;
}

/* Of the post's tags, the one with the smallest hash: its place among them. */
static int64
held_out_tag(const Split *s, int32 post)
{
	const TrDataset *d = &s->data->all;
	char		smallest[TAGREC_MD5_DIGITS + 1];
	char		hash[TAGREC_MD5_DIGITS + 1];
	int64		found = -1;

	for (int64 i = d->post_ptr[post]; i < d->post_ptr[post + 1]; i++)
	{
		tagrec_holdout_of(hash, s->data->users.text[d->post_user[post]], s->data->items.text[d->post_item[post]],
						  s->data->tags.text[d->post_tag[i]], s->seed);
		if (found >= 0 && strcmp(hash, smallest) >= 0)
			continue;
		found = i - d->post_ptr[post];
		strcpy(smallest, hash);
	}
	return found;
}

/* Posts whose fold, under a seed of training's own, lies below the share. */
static void
choose(Split *s)
{
	const TrDataset *d = &s->data->all;
	int			below = (int) rint(s->share * 100);

	for (int32 p = 0; p < d->n_posts; p++)
	{
		int64		tags = d->post_ptr[p + 1] - d->post_ptr[p];

		CHECK_FOR_INTERRUPTS();
		if (s->task->tags && tags < 2)
			continue;
		s->posts++;
		if (tagrec_fold_of(s->data->users.text[d->post_user[p]], s->data->items.text[d->post_item[p]], s->seed) >= below)
			continue;
		s->count++;
		if (s->task->tags)
			s->held_out[s->row[p] + held_out_tag(s, p)] = 1;
		else
			memset(s->held_out + s->row[p], 1, s->row[p + 1] - s->row[p]);
	}
}

/* Is there something on both sides? */
static bool
is_split(const Split *s)
{
	bool		all = !s->task->tags && s->count == s->posts;

	return s->count > 0 && !all;
}

static void
check_choice(const Split *s)
{
	if (is_split(s))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("validation share %g leaves %s of the %d %s to %s", s->share, s->count == 0 ? "none" : "all", s->posts,
					s->task->source,
					s->count == 0 ? "validate on" : "validate on and none to train on"),
			 errhint("Choose another share, or 0 to disable validation.")));
}

static void
add_held_out(TrPairs *pairs, int32 user, int32 item, int32 tag, float value)
{
	pairs->user[pairs->count] = user;
	pairs->item[pairs->count] = item;
	if (pairs->tag)
		pairs->tag[pairs->count] = tag;
	if (pairs->value)
		pairs->value[pairs->count] = value;
	pairs->count++;
}

static void
allocate_pairs(TagrecData *data, int64 count, const TrTask *task)
{
	TrPairs    *pairs = &data->validation;

	pairs->user = tagrec_alloc(data->memory, count * sizeof(int32));
	pairs->item = tagrec_alloc(data->memory, count * sizeof(int32));
	pairs->tag = task->tags ? tagrec_alloc(data->memory, count * sizeof(int32)) : NULL;
	pairs->value = task->values ? tagrec_alloc(data->memory, count * sizeof(float)) : NULL;
}

static void
fill_pairs(Split *s)
{
	const TrDataset *d = &s->data->all;

	allocate_pairs(s->data, s->count, s->task);
	for (int32 p = 0; p < d->n_posts; p++)
		for (int64 i = s->row[p]; i < s->row[p + 1]; i++)
			if (s->held_out[i])
			{
				add_held_out(&s->data->validation, d->post_user[p], d->post_item[p],
							 s->task->tags ? d->post_tag[d->post_ptr[p] + i - s->row[p]] : TR_NO_TAG,
							 d->post_value ? d->post_value[p] : 0);
				break;
			}
}

/* The assignments that are not held out; raw is in the order of the posts' tags. */
static void
build_train(TagrecData *data, const TrAssignments *raw, const uint8 *held_out)
{
	TrAssignments kept;
	TrError		err = {0};

	tr_assignments_init(&kept, data->memory);
	tr_assignments_set_columns(&kept, raw->columns, raw->merge);
	for (int64 i = 0; i < raw->count; i++)
		if (!held_out[i])
			tagrec_data_check(tr_assignments_add_from(&kept, raw, i), &err, data->memory);
	tagrec_data_check(tr_dataset_build(&data->train, &kept, data->users.count, data->items.count, data->tags.count, &err),
					  &err, data->memory);
	data->train.dislikes = data->all.dislikes;
	tagrec_free_assignments(&kept);
}

/* ------------------------------------------------------------------ new items */

static bool
is_new(const TagrecData *data, int32 item)
{
	return data->train.item_ptr[item] == data->train.item_ptr[item + 1];
}

/* From elsewhere */
static bool
has_tags(const TrDataset *d, int32 item)
{
	return d->item.entry_ptr[item] < d->item.entry_ptr[item + 1];
}

/* Those of the held-out pairs that nothing else is known of; and how many pairs are of such */
static uint64 *
new_items(const TagrecData *data, int32 *pairs)
{
	uint64	   *set = tagrec_calloc(data->memory, TR_BIT_WORDS(data->items.count), sizeof(uint64));

	*pairs = 0;
	for (int32 p = 0; p < data->validation.count; p++)
		if (is_new(data, data->validation.item[p]))
		{
			tr_bit_set(set, data->validation.item[p]);
			(*pairs)++;
		}
	return set;
}

/*
 * Where every item has one user, a pair that is held out takes with it all that is known of its item, and no model could
 * find it. Such items have their tags from elsewhere: it is as if nobody had given them. They are ranked among themselves,
 * as those that have a user are no candidates.
 */
static void
meet_new_items(TagrecData *data, const TrAssignments *raw, const uint8 *held_out)
{
	TrAssignments met;
	TrError		err = {0};
	int32		pairs;
	uint64	   *new = new_items(data, &pairs);

	data->items_are_new = pairs > data->validation.count / 2 && raw->tag && data->tags.count > 0;
	if (!data->items_are_new)
	{
		tr_free(data->memory, new);
		return;
	}
	tr_assignments_init(&met, data->memory);
	tr_assignments_set_columns(&met, raw->columns, raw->merge);
	for (int64 i = 0; i < raw->count; i++)
	{
		bool		tells = tr_bit_test(new, raw->item[i]) && raw->tag[i] != TR_NO_TAG;

		if (held_out[i] && (!tells || has_tags(&data->train, raw->item[i])))
			continue;
		tagrec_data_check(tr_assignments_add_from(&met, raw, i), &err, data->memory);
		if (held_out[i])
			met.user[met.count - 1] = TR_NO_USER;
	}
	tagrec_data_check(tr_assignments_distinct(&met, &err), &err, data->memory);
	tagrec_data_check(tr_dataset_build(&data->met, &met, data->users.count, data->items.count, data->tags.count, &err),
					  &err, data->memory);
	data->met.new_items = new;
	data->validation.candidates = new;
	tagrec_free_assignments(&met);
}

void
tagrec_data_split(TagrecData *data, const TrAssignments *raw, const TrTrainOptions *options, const TrTask *task)
{
	Split		s = {.data = data, .task = task, .share = options->validation};

	s.seed = psprintf("validation:%llu", (unsigned long long) options->seed);
	s.row = first_rows(data);
	s.held_out = tagrec_calloc(data->memory, raw->count, 1);
	choose(&s);
	data->split = !data->may_hold_none || is_split(&s);
	if (data->split)
	{
		check_choice(&s);
		fill_pairs(&s);
		build_train(data, raw, s.held_out);
		if (data->meets_new)
			meet_new_items(data, raw, s.held_out);
	}
	tr_free(data->memory, s.held_out);
	tr_free(data->memory, (void *) s.row);
}

/* ------------------------------------------------------------------ another relation */

/* Reports the result: of `all`, `known` have keys in the training data, and `left` of these are not in it themselves. */
static void
tell_left_out(const TagrecData *data, int64 all, int64 known, const TrTask *task)
{
	int32		left = data->validation.count;

	if (left == all)
		return;
	ereport(left == 0 ? ERROR : NOTICE,
			(errcode(left == 0 ? ERRCODE_DATA_EXCEPTION : ERRCODE_SUCCESSFUL_COMPLETION),
			 left == 0 ? errmsg("validation_source contains no %s to validate the model on", task->pair)
			 : errmsg("ignoring %lld of %lld %ss in validation_source", (long long) (all - left), (long long) all,
					  task->pair),
			 errdetail("Ignored: %lld with a %s not in the training data, %lld already in the training data.",
					   (long long) (all - known), task->keys, (long long) (known - left))));
}

static bool
has_tag(const TrDataset *d, int32 post, int32 tag)
{
	for (int64 i = d->post_ptr[post]; i < d->post_ptr[post + 1]; i++)
		if (d->post_tag[i] == tag)
			return true;
	return false;
}

void
tagrec_data_hold_out(TagrecData *data, TrAssignments *held_out, int64 all, const TrTask *task)
{
	int64		known = held_out->count;

	allocate_pairs(data, known, task);
	for (int64 i = 0; i < known; i++)
	{
		int32		post = tr_dataset_post(&data->all, held_out->user[i], held_out->item[i]);

		if (post >= 0 && (!task->tags || has_tag(&data->all, post, held_out->tag[i])))
			continue;
		add_held_out(&data->validation, held_out->user[i], held_out->item[i], held_out->tag[i],
					 held_out->value ? held_out->value[i] : 0);
	}
	tagrec_free_assignments(held_out);
	tell_left_out(data, all, known, task);
}
