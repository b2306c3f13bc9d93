/*
 * Posts that tags are wanted for, from the rows of a version: what is stored of a user, of an item, and of items like it,
 * and the TrPost that it makes. Everything is a copy in the current memory context.
 */
#ifndef TAGREC_POST_H
#define TAGREC_POST_H

#include "core/model.h"
#include "pg/serve/call.h"

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

/* False when the version does not know the key, which is of the type of the table's keys. */
extern bool tagrec_read_post_user(TagrecPostUser *user, const TagrecCall *call, Datum key);
extern bool tagrec_read_post_item(TagrecPostItem *item, const TagrecCall *call, Datum key);

/* The same for an id. */
extern bool tagrec_find_post_user(TagrecPostUser *user, TagrecCall *call, const TagrecId *id);
extern bool tagrec_find_post_item(TagrecPostItem *item, TagrecCall *call, const TagrecId *id);

/* The post of the two, NULL = unknown; given are the tags that it was trained on with, none if it was not. */
extern TrPost tagrec_post(const TagrecPostUser *user, const TagrecPostItem *item);

#endif
