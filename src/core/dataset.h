/*
 * The training data: assignments (user, item, tag) as posts, CSR both ways, and the two profile tables.
 * All indices are 0-based and dense; users, items and tags are numbered in the order of their keys, so that a tie broken
 * by index is a tie broken by key.
 */
#ifndef TR_DATASET_H
#define TR_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/profile.h"
#include "core/status.h"

/* Growing list of raw assignments, in the order they were read. */
typedef struct TrAssignments
{
	TrMemory   *memory;
	int64_t		count;
	int64_t		capacity;
	int32_t    *user;
	int32_t    *item;
	int32_t    *tag;
	float	   *weight;			/* NULL = all 1 */
} TrAssignments;

extern void tr_assignments_init(TrAssignments *a, TrMemory *memory);
/* With weighted = false every call is, and weights stay unallocated. */
extern TrStatus tr_assignments_add(TrAssignments *a, int32_t user, int32_t item, int32_t tag, bool weighted, float weight);

/*
 * Sorts by (user, item, tag) and merges duplicates: an assignment is a member of a set, so a repeated row counts once;
 * with weights, the repeated rows' weights are added.
 */
extern TrStatus tr_assignments_distinct(TrAssignments *a, TrError *err);

/* Drops, once, the assignments of tags that fewer than min_count (distinct) assignments use. */
extern TrStatus tr_assignments_drop_rare_tags(TrAssignments *a, int32_t n_tags, int32_t min_count);

/*
 * The p-core of the (distinct) assignments: drops those of users, items and tags that fewer than min_count assignments are
 * left of, again and again until none goes. What stays is the same in whatever order they are dropped. left
 * (TR_CORE_ROUNDS) = how many assignments each round left, *rounds of them; a last one without change is not counted, and
 * what happens after the last of TR_CORE_ROUNDS is told there.
 */
#define TR_CORE_ROUNDS 20
extern TrStatus tr_assignments_core(TrAssignments *a, int32_t n_users, int32_t n_items, int32_t n_tags, int32_t min_count,
									int64_t *left, int *rounds);

/* Renumbers: new index = map[old index]; rows mapped to -1 in any of the three are dropped. A NULL map keeps. */
extern TrStatus tr_assignments_renumber(TrAssignments *a, const int32_t *user_map, const int32_t *item_map,
										const int32_t *tag_map);

typedef struct TrDataset
{
	TrMemory   *memory;
	int32_t		n_users,
				n_items,
				n_tags;
	int32_t		n_posts;		/* distinct (user, item) pairs */
	int64_t		n_assignments;
	int32_t    *post_user;		/* (posts), sorted by (user, item) */
	int32_t    *post_item;		/* (posts) */
	int64_t    *post_ptr;		/* (posts+1) into post_tag */
	int32_t    *post_tag;		/* (assignments) tags of each post, ascending */
	int32_t    *user_ptr;		/* (users+1) posts of each user: contiguous */
	int32_t    *item_ptr;		/* (items+1) into item_post */
	int32_t    *item_post;		/* (posts) posts of each item, ascending */
	TrProfileTable user;		/* host memory */
	TrProfileTable item;
} TrDataset;

/* Builds the dataset from distinct assignments with dense indices (every count taken from the arguments). */
extern TrStatus tr_dataset_build(TrDataset *dataset, const TrAssignments *a, int32_t n_users, int32_t n_items,
								 int32_t n_tags, TrError *err);
extern void tr_dataset_free(TrDataset *dataset);

/* The post of a pair; -1 when there is none. */
extern int32_t tr_dataset_post(const TrDataset *dataset, int32_t user, int32_t item);

/* count (tags) = assignments of each tag, with their weights; in doubles, as a float stops counting at 2^24 */
extern void tr_dataset_count_tags(double *count, const TrDataset *dataset);

/* idf (tags) = ln(items / items with the tag); 0 for a tag that no item has. */
extern void tr_dataset_idf(float *idf, const TrDataset *dataset);

/* Validation or test pairs, sorted by (user, item); for the task tag, triples sorted by (user, item, tag). */
typedef struct TrPairs
{
	int32_t		count;
	int32_t    *user;
	int32_t    *item;
	int32_t    *tag;			/* (count), NULL = pairs */
	bool		with_seen;		/* pairs that the training data has too may be among them: they stay candidates */
} TrPairs;

#endif
