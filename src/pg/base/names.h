/*
 * The names of a model's relations, from the model's name; what they are: store.h.
 */
#ifndef TAGREC_NAMES_H
#define TAGREC_NAMES_H

#include "postgres.h"

typedef enum TagrecRelation
{
	TAGREC_USERS,
	TAGREC_ITEMS,
	TAGREC_TAGS,
	TAGREC_WEIGHTS,
	TAGREC_NEIGHBOURS			/* the last one */
} TagrecRelation;

/* ereport(ERROR) unless the name is one for a model. */
extern void tagrec_check_model_name(const char *model);

/* Longest model name that leaves room for "_neighbour_versions" in a NAMEDATALEN identifier. */
#define TAGREC_MODEL_NAME_MAX 44

/* Plain names: the partitioned table, a version's partition, the view (of users, items, neighbours). */
extern char *tagrec_parent_relname(const char *model, TagrecRelation relation);
extern char *tagrec_partition_relname(const char *model, TagrecRelation relation, int32 version);
extern char *tagrec_view_relname(const char *model, TagrecRelation relation);

#endif
