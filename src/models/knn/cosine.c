/*
 * Cosines between sets. See cosine.h.
 */
#include <math.h>

#include "models/knn/cosine.h"

size_t
tr_cosine_estimate(const TrShape *shape, TrSide side)
{
	size_t		rows = (size_t) (side == TR_USER ? shape->n_users : shape->n_items);

	return (size_t) shape->n_posts * sizeof(int32_t) + rows * (5 * sizeof(float) + 2 * sizeof(TrScored))
		+ TR_BIT_WORDS(rows) * sizeof(uint64_t);
}

static void
join(TrCosine *c, const TrDataset *d, TrSide side)
{
	for (int32_t p = 0; p < d->n_posts; p++)
		c->item_user[p] = d->post_user[d->item_post[p]];
	c->set_ptr = side == TR_USER ? d->user_ptr : d->item_ptr;
	c->set_member = side == TR_USER ? d->post_item : c->item_user;
	c->member_ptr = side == TR_USER ? d->item_ptr : d->user_ptr;
	c->member_set = side == TR_USER ? c->item_user : d->post_item;
	for (int32_t r = 0; r < c->rows; r++)
		c->length[r] = sqrtf((float) (c->set_ptr[r + 1] - c->set_ptr[r]));
}

TrStatus
tr_cosine_create(TrCosine *c, TrModel *model, TrSide side, TrError *err)
{
	const TrDataset *d = model->dataset;
	int32_t		rows = side == TR_USER ? d->n_users : d->n_items;

	*c = (TrCosine) {
		.rows = rows, .item_user = TR_NEW(model, int32_t, d->n_posts), .length = TR_NEW(model, float, rows),
		.common = TR_NEW(model, int32_t, rows), .found = TR_NEW(model, TrScored, rows),
		.best = TR_NEW(model, TrScored, rows), .bits = TR_NEW(model, uint64_t, TR_BIT_WORDS(rows)),
		.by_row = TR_NEW(model, float, rows), .index = TR_NEW(model, int32_t, rows), .value = TR_NEW(model, float, rows),
		.ones = TR_NEW(model, float, d->n_items)
	};
	TR_TRY(tr_enough_memory(model, err, "the neighbours of %d %s", rows, side == TR_USER ? "users" : "items"));
	for (int32_t i = 0; i < d->n_items; i++)
		c->ones[i] = 1;
	join(c, d, side);
	return TR_OK;
}

int32_t
tr_cosine_find(TrCosine *c, const int32_t *member, int32_t n, int32_t self)
{
	float		length = sqrtf((float) n);
	int32_t		count = 0;
	int32_t		kept = 0;

	for (int32_t m = 0; m < n; m++)
		for (int32_t p = c->member_ptr[member[m]]; p < c->member_ptr[member[m] + 1]; p++)
			if (c->common[c->member_set[p]]++ == 0)
				c->found[count++].index = c->member_set[p];
	for (int32_t i = 0; i < count; i++)
	{
		int32_t		row = c->found[i].index;

		if (row != self)
			c->found[kept++] = (TrScored) {(float) c->common[row] / (c->length[row] * length), row};
		c->common[row] = 0;
	}
	return kept;
}

int32_t
tr_cosine_nearest(TrCosine *c, int32_t n, int32_t limit)
{
	TrTopN		top;

	tr_topn_init(&top, c->best, limit);
	for (int32_t i = 0; i < n; i++)
		tr_topn_offer(&top, c->found[i].score, c->found[i].index);
	return top.count;
}

TrSparse
tr_cosine_in_order(TrCosine *c, const TrScored *row, int32_t n)
{
	size_t		words = TR_BIT_WORDS(c->rows);
	int32_t		count = 0;

	for (int32_t i = 0; i < n; i++)
	{
		tr_bit_set(c->bits, row[i].index);
		c->by_row[row[i].index] = row[i].score;
	}
	for (size_t w = 0; w < words; w++)
	{
		for (uint64_t left = c->bits[w]; left != 0; left &= left - 1)
		{
			int32_t		next = (int32_t) (64 * w) + __builtin_ctzll(left);

			c->index[count] = next;
			c->value[count++] = c->by_row[next];
		}
		c->bits[w] = 0;
	}
	return (TrSparse) {.n = count, .index = c->index, .value = c->value};
}

TrSparse
tr_cosine_items(const TrCosine *c, const TrDataset *dataset, int32_t user)
{
	int32_t		first = dataset->user_ptr[user];

	return (TrSparse) {.n = dataset->user_ptr[user + 1] - first, .index = dataset->post_item + first, .value = c->ones};
}
