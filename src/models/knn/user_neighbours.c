/*
 * User-based collaborative filtering on dense vectors of users. See user_neighbours.h.
 */
#include "models/knn/user_neighbours.h"

#include <math.h>
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
tr_user_neighbours_create(TrUserNeighbours *n, TrModel *model, int32_t n_users, int width, int32_t most, TrError *err)
{
	int32_t		items = model->dataset ? model->dataset->n_items : 0;
	size_t		room = (size_t) (most > 0 && most < n_users ? most : n_users) + 1;
	TrMemory   *memory;

	if (n->memory)
		tr_memory_end_child(n->memory);
	*n = (TrUserNeighbours) {.memory = memory = tr_memory_child(model->memory)};
	if (memory)
		*n = (TrUserNeighbours) {
			.memory = memory, .n_users = n_users, .width = width, .stride = tr_dot_stride(width), .most = (int32_t) room - 1,
			.unit = tr_calloc(memory, (size_t) n_users * tr_dot_stride(width) + 1, sizeof(float)),
			.query = tr_calloc(memory, tr_dot_stride(width) + 1, sizeof(float)),
			.score = tr_alloc(memory, BLOCK * sizeof(float)), .best = tr_alloc(memory, room * sizeof(TrScored)),
			.index = tr_alloc(memory, room * sizeof(int32_t)), .value = tr_alloc(memory, room * sizeof(float)),
			.ones = tr_alloc(memory, ((size_t) items + 1) * sizeof(float))
		};
	if (!n->unit || !n->query || !n->score || !n->best || !n->index || !n->value || !n->ones)
	{
		n->n_users = 0;
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the vectors of %d users", n_users);
	}
	for (int32_t i = 0; i < items; i++)
		n->ones[i] = 1;
	return TR_OK;
}

void
tr_user_neighbours_save(const TrUserNeighbours *n, float *out)
{
	for (int32_t u = 0; u < n->n_users; u++)
		memcpy(out + (size_t) u * (size_t) n->width, n->unit + (size_t) u * n->stride, (size_t) n->width * sizeof(float));
}

/* Unit vectors as they were saved must not be divided by their length again. */
TrStatus
tr_user_neighbours_restore(TrUserNeighbours *n, TrModel *model, int32_t most, TrError *err)
{
	const TrTensor *users = tr_stored(model, "users");
	float	   *row;

	TR_TRY(tr_user_neighbours_create(n, model, users->rows, users->cols, most, err));
	row = tr_alloc(n->memory, (size_t) users->rows * (size_t) users->cols * sizeof(float) + 1);
	if (!row)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for the vectors of %d users", users->rows);
	tr_tensor_copy(row, users);
	for (int32_t u = 0; u < n->n_users; u++)
		memcpy(n->unit + (size_t) u * n->stride, row + (size_t) u * (size_t) n->width, (size_t) n->width * sizeof(float));
	tr_free(n->memory, row);
	return TR_OK;
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
	tr_sort_by_index(n->best, (size_t) top.count);
	for (int32_t i = 0; i < top.count; i++)
	{
		n->index[i] = n->best[i].index;
		n->value[i] = n->best[i].score;
	}
	*out = (TrSparse) {.n = top.count, .index = n->index, .value = n->value};
}

void
tr_user_neighbours_items(const TrUserNeighbours *n, const TrDataset *dataset, int32_t user, TrSparse *out)
{
	int32_t		first = dataset->user_ptr[user];

	*out = (TrSparse) {.n = dataset->user_ptr[user + 1] - first, .index = dataset->post_item + first, .value = n->ones};
}
