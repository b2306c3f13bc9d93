/*
 * A user who may be new, from items and tags that a caller names or the source holds: collected in any order, then folded
 * in by the version's algorithm (core/model.h), into the same form as a user who was trained on.
 */
#ifndef TAGREC_HISTORY_H
#define TAGREC_HISTORY_H

#include "postgres.h"

#include "pg/serve/call.h"

/* Positions and what they count, in any order; repeated ones are added up. */
typedef struct TagrecCounts
{
	int			n;
	int			room;
	int32	   *index;
	float	   *value;
} TagrecCounts;

typedef struct TagrecHistory
{
	TagrecCounts items;
	TagrecCounts tags;
	TagrecCounts disliked;		/* items */
	bool		items_once;		/* an item that is named repeatedly counts as named once */
} TagrecHistory;

/* In the current memory context. Counts that are not above 0 say nothing, and are left out. */
extern void tagrec_count(TagrecCounts *counts, int32 index, float value);

/* ERROR unless the version's algorithm can fold users in. */
extern void tagrec_check_folds_in(const TagrecVersion *version);

/* Does the version's algorithm read tags? Otherwise nobody need look for them. */
extern bool tagrec_wants_tags(const TagrecVersion *version);

/* What the version stores of its items. */
extern TrCatalogue tagrec_catalogue(TagrecCall *call);

/*
 * The user with this history, its items being `seen`, and what is disliked of others. False when there are neither items
 * nor tags.
 */
extern bool tagrec_fold_in(TagrecCall *call, TagrecHistory *history, TagrecRow *user);

#endif
