/*
 * Posts of a dataset in the form that score_tags() reads, some at a time. What the dataset holds is pointed at; the arrays
 * and the similar items are the block's own, and its memory is used again for the next posts.
 */
#ifndef TR_TAG_POST_H
#define TR_TAG_POST_H

#include "core/model.h"

/* Similar items of one post, copied from the model. */
typedef struct TrPostSimilar
{
	int32_t		capacity;
	int32_t    *index;
	float	   *value;
} TrPostSimilar;

typedef struct TrPostBlock
{
	TrMemory   *memory;
	TrModel    *model;			/* NULL: posts get neither arrays nor similar items */
	const TrDataset *dataset;
	int32_t		limit;			/* posts at a time */
	int			width;			/* of the model's arrays */
	TrPost	   *post;			/* (limit) */
	float	   *user,			/* (limit,width) */
			   *item;
	TrPostSimilar *similar;		/* (limit) */
	int32_t    *post_end;		/* (posts of the dataset) TrPost.post_end of each user, one after the other */
} TrPostBlock;

/*
 * The model, when there is one, was trained on the dataset, and its embed() and feature_weights() are called. After a
 * failure there is nothing to free.
 */
extern TrStatus tr_post_block_init(TrPostBlock *block, TrMemory *memory, TrModel *model, const TrDataset *dataset,
								   int32_t limit, TrError *err);
extern void tr_post_block_free(TrPostBlock *block);

/*
 * block->post[row] = what the dataset knows of (user, item), either of which may be -1: unknown, as is one without posts.
 * The tags given are those the post has in the dataset, none if it is not there; the caller may set others.
 */
extern TrStatus tr_post_block_set(TrPostBlock *block, int32_t row, int32_t user, int32_t item, TrError *err);

/* The tags the post itself has in what is known of its user, *n of them, ascending: what to subtract from the profiles. */
static inline const int32_t *
tr_post_own_tags(const TrPost *post, int32_t *n)
{
	int32_t		first = post->own > 0 ? post->post_end[post->own - 1] : 0;

	*n = post->own < 0 ? 0 : post->post_end[post->own] - first;
	return post->own < 0 ? NULL : post->post_tag + first;
}

#endif
