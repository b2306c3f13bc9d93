/*
 * The tasks. See task.h.
 */
#include <stddef.h>
#include <string.h>

#include "core/task.h"

const TrTask tr_task_item = {
	.name = "item",
	.answer = "item",
	.group = "user",
	.pair = "pair",
	.source = "pairs",
	.keys = "user or an item"
};

const TrTask tr_task_tag = {
	.name = "tag",
	.answer = "tag",
	.group = "post",
	.pair = "assignment",
	.source = "posts with two tags or more",
	.keys = "user, an item or a tag",
	.tags = true
};

const TrTask tr_task_rating = {
	.name = "rating",
	.answer = "item",
	.group = "user",
	.pair = "rating",
	.source = "ratings",
	.keys = "user or an item",
	.values = true
};

const TrTask *const tr_tasks[] = {&tr_task_item, &tr_task_tag, &tr_task_rating, NULL};

const TrTask *
tr_task_find(const char *name)
{
	for (const TrTask *const *task = tr_tasks; *task; task++)
		if (strcmp((*task)->name, name) == 0)
			return *task;
	return NULL;
}
