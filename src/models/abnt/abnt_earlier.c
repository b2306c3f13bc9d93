/*
 * What a user's tags were before a post: option history = earlier. Without times, or by default, a post's sequence is of
 * all of the user's other posts, also later ones.
 */
#include <stdio.h>

#include "models/abnt/abnt.h"

TrStatus
abnt_earlier_create(Abnt *m, TrError *err)
{
	TrModel    *model = &m->model;
	AbntEarlier *e = &m->earlier;

	if (m->options.history != ABNT_EARLIER)
		return TR_OK;
	if (!model->dataset->post_time)
	{
		tr_fail(err, TR_BAD_OPTION, "option \"history\" with value \"earlier\" requires times");
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Name the column of times as time_column.");
		return TR_BAD_OPTION;
	}
	e->count = TR_NEW(model, float, model->n_tags);
	e->tag = TR_NEW(model, int32_t, model->n_tags);
	e->value = TR_NEW(model, float, model->n_tags);
	return tr_enough_memory(model, err, "the tags given before a post");
}

/* Counts from zero; count is zeros again afterwards. */
TrSparse
abnt_earlier(Abnt *m, int32_t post)
{
	const TrDataset *d = m->model.dataset;
	AbntEarlier *e = &m->earlier;
	int32_t		user = d->post_user[post];
	TrSparse	profile = {0, e->tag, e->value};

	for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
		if (d->post_time[p] < d->post_time[post])
			for (int64_t i = d->post_ptr[p]; i < d->post_ptr[p + 1]; i++)
				e->count[d->post_tag[i]] += 1;
	for (int64_t i = d->user.entry_ptr[user]; i < d->user.entry_ptr[user + 1]; i++)
	{
		int32_t		tag = d->user.tag[i];

		if (e->count[tag] > 0)
		{
			e->tag[profile.n] = tag;
			e->value[profile.n++] = e->count[tag];
			e->count[tag] = 0;
		}
	}
	return profile;
}
