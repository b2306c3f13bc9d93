/*
 * Cosines between sets. See cosine.h.
 */
#include <math.h>
#include <string.h>

#include "models/cosine.h"

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
tr_cosine_create(TrCosine *c, TrMemory *memory, const TrDataset *dataset, TrSide side, TrError *err)
{
	size_t		rows = (size_t) (side == TR_USER ? dataset->n_users : dataset->n_items);

	memset(c, 0, sizeof(*c));
	c->memory = memory;
	c->rows = (int32_t) rows;
	c->item_user = tr_alloc(memory, (size_t) dataset->n_posts * sizeof(int32_t));
	c->length = tr_alloc(memory, rows * sizeof(float));
	c->common = tr_calloc(memory, rows, sizeof(int32_t));
	c->found = tr_alloc(memory, rows * sizeof(TrScored));
	c->best = tr_alloc(memory, rows * sizeof(TrScored));
	c->bits = tr_calloc(memory, TR_BIT_WORDS(rows), sizeof(uint64_t));
	c->by_row = tr_alloc(memory, rows * sizeof(float));
	c->index = tr_alloc(memory, rows * sizeof(int32_t));
	c->value = tr_alloc(memory, rows * sizeof(float));
	if (!c->item_user || !c->length || !c->common || !c->found || !c->best || !c->bits || !c->by_row || !c->index
		|| !c->value)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the neighbours of %d %s", c->rows,
					   side == TR_USER ? "users" : "items");
	join(c, dataset, side);
	return TR_OK;
}

void
tr_cosine_free(TrCosine *c)
{
	tr_free(c->memory, c->item_user);
	tr_free(c->memory, c->length);
	tr_free(c->memory, c->common);
	tr_free(c->memory, c->found);
	tr_free(c->memory, c->best);
	tr_free(c->memory, c->bits);
	tr_free(c->memory, c->by_row);
	tr_free(c->memory, c->index);
	tr_free(c->memory, c->value);
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
