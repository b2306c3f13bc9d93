/*
 * User-based collaborative filtering on dense vectors of users. See user_neighbours.h.
 */
#include "models/user_neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/dot.h"

#define BLOCK 1024				/* users compared at a time */

size_t
tr_user_neighbours_estimate(double n_users, double width, double n_items)
{
	return (size_t) (n_users * ((width + TR_DOT_PAD) * sizeof(float) + sizeof(TrScored) + 2 * sizeof(float))
					 + n_items * sizeof(float) + BLOCK * sizeof(float));
}

TrStatus
tr_user_neighbours_create(TrUserNeighbours *n, TrMemory *memory, int32_t n_users, int width, int32_t most, TrError *err)
{
	size_t		room;

	*n = (TrUserNeighbours) {.memory = memory, .n_users = n_users, .width = width, .stride = tr_dot_stride(width)};
	n->most = most > 0 && most < n_users ? most : n_users;
	room = (size_t) n->most + 1;
	n->unit = tr_calloc(memory, (size_t) n_users * n->stride + 1, sizeof(float));
	n->query = tr_calloc(memory, n->stride + 1, sizeof(float));
	n->score = tr_alloc(memory, BLOCK * sizeof(float));
	n->best = tr_alloc(memory, room * sizeof(TrScored));
	n->index = tr_alloc(memory, room * sizeof(int32_t));
	n->value = tr_alloc(memory, room * sizeof(float));
	if (n->unit && n->query && n->score && n->best && n->index && n->value)
		return TR_OK;
	tr_user_neighbours_free(n);
	return tr_fail(err, TR_NO_MEMORY, "out of memory for the vectors of %d users", n_users);
}

void
tr_user_neighbours_free(TrUserNeighbours *n)
{
	tr_free(n->memory, n->unit);
	tr_free(n->memory, n->query);
	tr_free(n->memory, n->score);
	tr_free(n->memory, n->best);
	tr_free(n->memory, n->index);
	tr_free(n->memory, n->value);
	tr_free(n->memory, n->ones);
	*n = (TrUserNeighbours) {.memory = n->memory};
}

/* to (width) = from / |from| */
static void
to_unit(float *to, const float *from, int width)
{
	double		squares = 0;
	float		scale;

	for (int j = 0; j < width; j++)
		squares += (double) from[j] * from[j];
	scale = squares > 0 ? (float) (1 / sqrt(squares)) : 0;
	for (int j = 0; j < width; j++)
		to[j] = scale * from[j];
}

void
tr_user_neighbours_set(TrUserNeighbours *n, int32_t user, const float *vector)
{
	to_unit(n->unit + (size_t) user * n->stride, vector, n->width);
}

static int
compare_indices(const void *a, const void *b)
{
	int32_t		x = ((const TrScored *) a)->index;
	int32_t		y = ((const TrScored *) b)->index;

	return (x > y) - (x < y);
}

void
tr_user_neighbours_find(TrUserNeighbours *n, const float *vector, int32_t without, TrSparse *out)
{
	TrTopN		top;

	*out = (TrSparse) {0};
	if (n->n_users == 0)
		return;
	to_unit(n->query, vector, n->width);
	tr_topn_init(&top, n->best, n->most);
	for (int32_t first = 0; first < n->n_users; first += BLOCK)
	{
		int			rows = n->n_users - first < BLOCK ? n->n_users - first : BLOCK;

		tr_dot_block(n->score, BLOCK, n->query, 1, n->unit + (size_t) first * n->stride, rows, n->stride);
		for (int r = 0; r < rows; r++)
			if (n->score[r] > 0 && first + r != without)
				tr_topn_offer(&top, n->score[r], first + r);
	}
	qsort(n->best, (size_t) top.count, sizeof(TrScored), compare_indices);
	for (int32_t i = 0; i < top.count; i++)
	{
		n->index[i] = n->best[i].index;
		n->value[i] = n->best[i].score;
	}
	*out = (TrSparse) {.n = top.count, .index = n->index, .value = n->value};
}

/* The ones are as many as a user's items were at most so far. */
static TrStatus
reserve_ones(TrUserNeighbours *n, int32_t count, TrError *err)
{
	float	   *ones;

	if (count <= n->n_ones)
		return TR_OK;
	ones = tr_realloc(n->memory, n->ones, (size_t) count * sizeof(float));
	if (!ones)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the items of a user");
	for (int32_t i = 0; i < count; i++)
		ones[i] = 1;
	n->ones = ones;
	n->n_ones = count;
	return TR_OK;
}

TrStatus
tr_user_neighbours_items(TrUserNeighbours *n, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err)
{
	int32_t		first = dataset->user_ptr[user];
	int32_t		count = dataset->user_ptr[user + 1] - first;

	TR_TRY(reserve_ones(n, count, err));
	*out = (TrSparse) {.n = count, .index = dataset->post_item + first, .value = n->ones};
	return TR_OK;
}
