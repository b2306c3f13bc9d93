/*
 * What an algorithm is for. Code asks a task for its needs and its nouns, never for its identity.
 */
#ifndef TR_TASK_H
#define TR_TASK_H

#include <stdbool.h>

typedef struct TrTask
{
	const char *name;			/* SQL name */

	/* Nouns, for messages. */
	const char *answer;			/* what is recommended, */
	const char *group;			/* to what; this is what a metric is a mean over */
	const char *pair;			/* a row of a test: a group, and an answer that is right */
	const char *source;			/* of what a split takes a share */
	const char *keys;			/* what a pair is made of */

	/*
	 * Tests and splits are of (user, item, tag): a column of tags is needed, a post keeps its other tags when one is held
	 * out, and posts of unknown users or items are answered as well. Otherwise they are of (user, item).
	 */
	bool		tags;

	/*
	 * The value of a pair is predicted: a column of values is needed, by training and by tests, and a model is measured by
	 * its errors. Otherwise answers are ranked.
	 */
	bool		values;
} TrTask;

extern const TrTask tr_task_item;	/* recommends items to a user */
extern const TrTask tr_task_tag;	/* recommends tags for a (user, item) */
extern const TrTask tr_task_rating;	/* predicts the value of a (user, item) */

#define TR_TASK_ITEM (&tr_task_item)
#define TR_TASK_TAG (&tr_task_tag)
#define TR_TASK_RATING (&tr_task_rating)

extern const TrTask *const tr_tasks[];	/* ends with NULL */
extern const TrTask *tr_task_find(const char *name);	/* NULL when there is none */

#endif
