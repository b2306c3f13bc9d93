/*
 * Posts of a dataset in the form that score_tags() reads.
 */
#include <string.h>

#include "core/tag_post.h"

void
tr_post_block_free(TrPostBlock *block)
{
	for (int32_t row = 0; block->similar && row < block->limit; row++)
	{
		tr_free(block->memory, block->similar[row].index);
		tr_free(block->memory, block->similar[row].value);
	}
	tr_free(block->memory, block->similar);
	tr_free(block->memory, block->post);
	tr_free(block->memory, block->user);
	tr_free(block->memory, block->item);
	tr_free(block->memory, block->post_end);
	memset(block, 0, sizeof(*block));
}

static void
fill_post_ends(TrPostBlock *block)
{
	const TrDataset *d = block->dataset;

	for (int32_t u = 0; u < d->n_users; u++)
		for (int32_t p = d->user_ptr[u]; p < d->user_ptr[u + 1]; p++)
			block->post_end[p] = (int32_t) (d->post_ptr[p + 1] - d->post_ptr[d->user_ptr[u]]);
}

TrStatus
tr_post_block_init(TrPostBlock *block, TrMemory *memory, TrModel *model, const TrDataset *dataset, int32_t limit,
				   TrError *err)
{
	size_t		floats;

	*block = (TrPostBlock) {.memory = memory, .model = model, .dataset = dataset, .limit = limit};
	block->width = model ? model->width : 0;
	floats = (size_t) limit * (size_t) block->width + 1;
	block->post = tr_calloc(memory, (size_t) limit, sizeof(TrPost));
	block->similar = tr_calloc(memory, (size_t) limit, sizeof(TrPostSimilar));
	block->user = tr_alloc(memory, floats * sizeof(float));
	block->item = tr_alloc(memory, floats * sizeof(float));
	block->post_end = tr_alloc(memory, ((size_t) dataset->n_posts + 1) * sizeof(int32_t));
	if (!block->post || !block->similar || !block->user || !block->item || !block->post_end)
	{
		tr_post_block_free(block);
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d posts at a time", limit);
	}
	fill_post_ends(block);
	return TR_OK;
}

static TrSparse
profile_of(const TrProfileTable *table, int32_t entity)
{
	int64_t		first = table->entry_ptr[entity];

	return (TrSparse) {.n = (int32_t) (table->entry_ptr[entity + 1] - first), .index = table->tag + first,
	.value = table->count + first};
}

static bool
reserve_similar(TrPostBlock *block, TrPostSimilar *similar, int32_t n)
{
	int32_t    *index;
	float	   *value;

	if (n <= similar->capacity)
		return true;
	index = tr_realloc(block->memory, similar->index, (size_t) n * sizeof(int32_t));
	if (!index)
		return false;
	similar->index = index;
	value = tr_realloc(block->memory, similar->value, (size_t) n * sizeof(float));
	if (!value)
		return false;
	similar->value = value;
	similar->capacity = n;
	return true;
}

static TrStatus
set_similar(TrPostBlock *block, int32_t row, int32_t item, TrError *err)
{
	TrPostSimilar *similar = &block->similar[row];
	TrSparse	weights = {0};

	TR_TRY(block->model->algorithm->feature_weights(block->model, item, &weights, err));
	if (!reserve_similar(block, similar, weights.n))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d similar items", weights.n);
	if (weights.n > 0)
	{
		memcpy(similar->index, weights.index, (size_t) weights.n * sizeof(int32_t));
		memcpy(similar->value, weights.value, (size_t) weights.n * sizeof(float));
	}
	block->post[row].similar = (TrSparse) {.n = weights.n, .index = similar->index, .value = similar->value};
	return TR_OK;
}

static TrStatus
set_user(TrPostBlock *block, int32_t row, int32_t user, TrError *err)
{
	const TrDataset *d = block->dataset;
	TrPost	   *post = &block->post[row];
	float	   *array = block->user + (size_t) row * (size_t) block->width;
	int32_t		first = d->user_ptr[user];

	post->user_tags = profile_of(&d->user, user);
	post->n_posts = d->user_ptr[user + 1] - first;
	post->post_item = d->post_item + first;
	post->post_end = block->post_end + first;
	post->post_tag = d->post_tag + d->post_ptr[first];
	if (block->width == 0)
		return TR_OK;
	post->user = array;
	return block->model->algorithm->embed(block->model, TR_USER, d, user, 1, array, err);
}

static TrStatus
set_item(TrPostBlock *block, int32_t row, int32_t item, TrError *err)
{
	const TrDataset *d = block->dataset;
	TrPost	   *post = &block->post[row];
	float	   *array = block->item + (size_t) row * (size_t) block->width;

	post->item_tags = profile_of(&d->item, item);
	post->item_posts = d->item_ptr[item + 1] - d->item_ptr[item];
	if (block->model && block->model->algorithm->feature_weights)
		TR_TRY(set_similar(block, row, item, err));
	if (block->width == 0)
		return TR_OK;
	post->item = array;
	return block->model->algorithm->embed(block->model, TR_ITEM, d, item, 1, array, err);
}

TrStatus
tr_post_block_set(TrPostBlock *block, int32_t row, int32_t user, int32_t item, TrError *err)
{
	const TrDataset *d = block->dataset;
	TrPost	   *post = &block->post[row];
	bool		known_user = user >= 0 && d->user_ptr[user + 1] > d->user_ptr[user];
	bool		known_item = item >= 0 && d->item_ptr[item + 1] > d->item_ptr[item];
	int32_t		own = known_user && known_item ? tr_dataset_post(d, user, item) : -1;

	*post = (TrPost) {.own = -1};
	if (known_user)
		TR_TRY(set_user(block, row, user, err));
	if (known_item)
		TR_TRY(set_item(block, row, item, err));
	if (own >= 0)
	{
		post->own = own - d->user_ptr[user];
		post->given = tr_post_own_tags(post, &post->n_given);
	}
	return TR_OK;
}
