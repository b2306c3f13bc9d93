/*
 * A sample of what is trained on, for trials. See source.h.
 *
 * Some of the users, with all of their assignments: their profiles are as in the whole, and items have fewer users.
 */
#include "postgres.h"

#include <math.h>

#include "pg/base/tagrec.h"
#include "pg/source/fold.h"
#include "pg/source/source.h"

/* Folds of a user: shares are in steps of 0.0001. */
#define STEPS 100

typedef struct Sample
{
	TagrecData *data;
	uint8	   *taken;			/* (users) */
	int32		next;			/* held-out pair */
} Sample;

static void
take_users(Sample *s, double share)
{
	int			below = (int) ceil(share * STEPS * STEPS);

	for (int32 u = 0; u < s->data->users.count; u++)
	{
		const char *key = s->data->users.text[u];

		s->taken[u] = tagrec_fold_of(key, "", "sample") * STEPS + tagrec_fold_of(key, "", "sample, finer") < below;
	}
}

/* Both are in the order of users, items and tags. */
static bool
is_held_out(Sample *s, const TrAssignments *raw, int64 row)
{
	const TrPairs *pairs = &s->data->validation;

	for (; s->next < pairs->count; s->next++)
	{
		int32		p = s->next;
		int			order = (pairs->user[p] > raw->user[row]) - (pairs->user[p] < raw->user[row]);

		if (order == 0)
			order = (pairs->item[p] > raw->item[row]) - (pairs->item[p] < raw->item[row]);
		if (order == 0 && pairs->tag)
			order = (pairs->tag[p] > raw->tag[row]) - (pairs->tag[p] < raw->tag[row]);
		if (order >= 0)
			return order == 0;
	}
	return false;
}

static void
keep_pairs(Sample *s)
{
	TrPairs    *pairs = &s->data->validation;
	int32		kept = 0;

	for (int32 p = 0; p < pairs->count; p++)
	{
		if (!s->taken[pairs->user[p]])
			continue;
		pairs->user[kept] = pairs->user[p];
		pairs->item[kept] = pairs->item[p];
		if (pairs->tag)
			pairs->tag[kept] = pairs->tag[p];
		if (pairs->value)
			pairs->value[kept] = pairs->value[p];
		kept++;
	}
	pairs->count = kept;
}

static void
build(Sample *s, const TrAssignments *raw)
{
	TagrecData *data = s->data;
	TrAssignments kept;
	TrError		err = {0};

	tr_assignments_init(&kept, data->memory);
	tr_assignments_set_columns(&kept, raw->columns, raw->merge);
	for (int64 i = 0; i < raw->count; i++)
		if (raw->user[i] == TR_NO_USER || (!is_held_out(s, raw, i) && s->taken[raw->user[i]]))
			tagrec_data_check(tr_assignments_add_from(&kept, raw, i), &err, data->memory);
	tagrec_data_check(tr_dataset_build(&data->sample, &kept, data->users.count, data->items.count, data->tags.count, &err),
					  &err, data->memory);
	data->sample.dislikes = data->all.dislikes;
	tagrec_free_assignments(&kept);
}

void
tagrec_data_sample(TagrecData *data, const TrAssignments *raw)
{
	Sample		s = {.data = data};

	if (data->most_pairs == 0 || data->all.n_posts <= data->most_pairs || data->validation.count == 0)
		return;
	s.taken = tagrec_calloc(data->memory, data->users.count, 1);
	take_users(&s, (double) data->most_pairs / data->all.n_posts);
	build(&s, raw);
	keep_pairs(&s);
	tr_free(data->memory, s.taken);
	if (data->sample.n_posts == 0 || data->validation.count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("a sample of %d pairs leaves nothing to train or to validate on", data->most_pairs),
				 errhint("Increase the option sample.")));
	data->sampled = true;
}

static int32
count_users(const TrPairs *pairs)
{
	int32		users = 0;

	for (int32 p = 0; p < pairs->count; p++)
		users += p == 0 || pairs->user[p] != pairs->user[p - 1];
	return users;
}

void
tagrec_data_thin_validation(TagrecData *data, int users, int pairs)
{
	double		share = Min((double) users / count_users(&data->validation), (double) pairs / data->validation.count);
	Sample		s = {.data = data};

	if (data->validation.count == 0 || share >= 1)
		return;
	s.taken = tagrec_calloc(data->memory, data->users.count, 1);
	take_users(&s, share);
	keep_pairs(&s);
	tr_free(data->memory, s.taken);
}
