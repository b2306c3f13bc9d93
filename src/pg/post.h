/*
 * Posts that tags are wanted for, from the rows of a version: what is stored of a user, of an item, and of items like it,
 * and the TrPost that it makes. Everything is a copy in the current memory context.
 */
#ifndef TAGREC_POST_H
#define TAGREC_POST_H

#include "call.h"
#include "core/model.h"

/* What is selected, of a relation r of users, of items, of neighbours. */
#define TAGREC_POST_USER_COLUMNS "r.embedding, r.seen, r.tags, r.counts, r.post_ends, r.post_tags"
#define TAGREC_POST_ITEM_COLUMNS "r.\"position\", r.embedding, r.tags, r.counts, r.posts"
#define TAGREC_SIMILAR_COLUMNS "r.items, r.weights"

typedef struct TagrecPostUser
{
	float	   *embedding;		/* NULL when the model has none */
	TrSparse	tags;
	int32		n_posts;
	int32	   *post_item,
			   *post_end,
			   *post_tag;
} TagrecPostUser;

typedef struct TagrecPostItem
{
	int32		position;
	float	   *embedding;
	TrSparse	tags;
	int32		posts;
	TrSparse	similar;
} TagrecPostItem;

/* Row `row` of SPI_tuptable, with the columns above from number `first` on; ERROR when it is not what was stored. */
extern void tagrec_read_post_user(TagrecPostUser *user, const TagrecCall *call, uint64 row, int first);
extern void tagrec_read_post_item(TagrecPostItem *item, const TagrecCall *call, uint64 row, int first);
extern void tagrec_read_similar(TagrecPostItem *item, const TagrecCall *call, uint64 row, int first);

/* False when the version does not know the id. One look-up for a user, two at most for an item. */
extern bool tagrec_find_post_user(TagrecPostUser *user, TagrecCall *call, const TagrecId *id);
extern bool tagrec_find_post_item(TagrecPostItem *item, TagrecCall *call, const TagrecId *id);

/* The post of the two, NULL = unknown; given are the tags that it was trained on with, none if it was not. */
extern TrPost tagrec_post(const TagrecPostUser *user, const TagrecPostItem *item);

#endif
