/*
 * The features of users and items. See fm.h. A user has one of its own, one for every item that it has rated, and those of
 * the profiles of users; an item likewise. Rows of a group are as long as 1.
 */
#include "models/fm/fm.h"

#include <math.h>
#include <string.h>

/* One group of features: rows of a table, or the other side's entities that an entity has ratings with. */
typedef struct Group
{
	const TrProfileTable *table;	/* NULL = ratings */
	int32_t		features;
} Group;

static int64_t
count_of(const Fm *m, TrSide side, const Group *group, int32_t e)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;

	return group->table ? group->table->entry_ptr[e + 1] - group->table->entry_ptr[e] : from[e + 1] - from[e];
}

/* Appends the features of entity e at position `at`; they start with number `first`. */
static int64_t
append(const Fm *m, TrSide side, const Group *group, int32_t e, int32_t first, FmRows *rows, int64_t at)
{
	const TrDataset *d = m->model.dataset;
	int64_t		n = count_of(m, side, group, e);
	double		squares = 0;

	for (int64_t k = 0; k < n; k++)
	{
		int64_t		from = group->table ? group->table->entry_ptr[e] + k : (side == TR_USER ? d->user_ptr : d->item_ptr)[e] + k;
		int32_t		feature = group->table ? group->table->tag[from]
			: side == TR_USER ? d->post_item[from] : d->post_user[d->item_post[from]];

		rows->col[at + k] = first + feature;
		rows->val[at + k] = group->table ? group->table->count[from] : 1;
		squares += (double) rows->val[at + k] * rows->val[at + k];
	}
	for (int64_t k = 0; k < n && squares > 0; k++)
		rows->val[at + k] = (float) (rows->val[at + k] / sqrt(squares));
	return at + n;
}

static bool
new_rows(Fm *m, FmRows *rows, int64_t n, int64_t entries)
{
	rows->ptr = TR_NEW(&m->model, int64_t, n + 1);
	rows->col = TR_NEW(&m->model, int32_t, entries);
	rows->val = TR_NEW(&m->model, float, entries);
	return rows->ptr && rows->col && rows->val;
}

/* entities (F,n) = features (n,F) the other way */
static void
transpose(FmSide *s)
{
	const FmRows *rows = &s->features;
	FmRows	   *t = &s->entities;

	for (int64_t i = 0; i < rows->ptr[s->n]; i++)
		t->ptr[rows->col[i] + 1]++;
	for (int32_t f = 0; f < s->F; f++)
		t->ptr[f + 1] += t->ptr[f];
	for (int32_t e = 0; e < s->n; e++)
		for (int64_t i = rows->ptr[e]; i < rows->ptr[e + 1]; i++)
		{
			int64_t		at = t->ptr[rows->col[i]]++;

			t->col[at] = e;
			t->val[at] = rows->val[i];
		}
	for (int32_t f = s->F; f > 0; f--)
		t->ptr[f] = t->ptr[f - 1];
	t->ptr[0] = 0;
}

static int
list_groups(const Fm *m, TrSide side, Group *group)
{
	const TrDataset *d = m->model.dataset;
	int			n = 0;

	if (m->options.implicit)
		group[n++] = (Group) {NULL, side == TR_USER ? d->n_items : d->n_users};
	for (int i = 0; i < d->n_profiles && m->options.attributes && n < FM_MOST_GROUPS - 1; i++)
		if (d->profiles[i].of_items == (side == TR_ITEM))
			group[n++] = (Group) {&d->profiles[i].table, d->profiles[i].n_features};
	return n;
}

static TrStatus
fill_side(Fm *m, TrSide side, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	FmSide	   *s = &m->side[side];
	Group		group[FM_MOST_GROUPS];
	int			groups = list_groups(m, side, group);
	int64_t		entries = 0;
	int64_t		at = 0;

	s->n = side == TR_USER ? d->n_users : d->n_items;
	s->G = groups + 1;
	s->group[1] = s->n;
	for (int g = 0; g < groups; g++)
	{
		s->group[g + 2] = s->group[g + 1] + group[g].features;
		for (int32_t e = 0; e < s->n; e++)
			entries += count_of(m, side, &group[g], e);
	}
	s->F = s->group[s->G];
	if (!new_rows(m, &s->features, s->n, s->n + entries) || !new_rows(m, &s->entities, s->F, s->n + entries))
		return tr_enough_memory(&m->model, err, "the features of users and items");
	for (int32_t e = 0; e < s->n; e++)
	{
		s->features.col[at] = e;
		s->features.val[at++] = 1;
		for (int g = 0; g < groups; g++)
			at = append(m, side, &group[g], e, s->group[g + 1], &s->features, at);
		s->features.ptr[e + 1] = at;
	}
	transpose(s);
	return TR_OK;
}

TrStatus
tr_fm_features(Fm *m, TrError *err)
{
	TR_TRY(fill_side(m, TR_USER, err));
	return fill_side(m, TR_ITEM, err);
}
