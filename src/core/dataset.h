/*
 * The training data: assignments (user, item, tag) as posts, CSR both ways, and the two profile tables. An assignment may
 * have no tag, and then says of its post only that there is one, or no user: then it is a tag of the item's profile, and of
 * no post; a post may have a value (a rating, or how much it counts) and a time; users and items may have further profiles
 * beside their tags. All indices are 0-based and dense; users, items
 * and tags are numbered in the order of their keys, so that a tie broken by index is a tie broken by key.
 */
#ifndef TR_DATASET_H
#define TR_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/profile.h"
#include "core/status.h"

/* What assignments have beside user, item and tag. */
typedef enum TrColumns
{
	TR_COLUMN_WEIGHT = 1,
	TR_COLUMN_VALUE = 2,
	TR_COLUMN_TIME = 4
} TrColumns;

/* What becomes of the values of a pair that has several rows. */
typedef enum TrMerge
{
	TR_MERGE_MEAN,
	TR_MERGE_SUM,
	TR_MERGE_MAX,
	TR_MERGE_LAST				/* by time, then by the order of the rows */
} TrMerge;

#define TR_NO_TAG (-1)
#define TR_NO_USER (-1)

/* One row. */
typedef struct TrAssignment
{
	int32_t		user,			/* TR_NO_USER = none: it has a tag then */
				item,
				tag;			/* TR_NO_TAG = none */
	float		weight;			/* of the tag in profiles */
	float		value;			/* of the pair */
	int64_t		time;			/* of the pair, in any unit; larger is later */
} TrAssignment;

/* Growing list of raw assignments, in the order they were read. */
typedef struct TrAssignments
{
	TrMemory   *memory;
	int			columns;		/* set of TrColumns; those that it lacks stay NULL */
	TrMerge		merge;
	int64_t		count;
	int64_t		capacity;
	int32_t    *user;
	int32_t    *item;
	int32_t    *tag;
	float	   *weight;			/* NULL = all 1 */
	float	   *value;
	int32_t    *rows;			/* with value: how many rows it is the merged value of */
	int64_t    *time;
} TrAssignments;

extern void tr_assignments_init(TrAssignments *a, TrMemory *memory);

/* Before the first row: which columns the rows have. */
static inline void
tr_assignments_set_columns(TrAssignments *a, int columns, TrMerge merge)
{
	a->columns = columns;
	a->merge = merge;
}

extern void tr_assignments_free(TrAssignments *a);

extern TrStatus tr_assignments_add_row(TrAssignments *a, const TrAssignment *row);

/* A row of other assignments, which have the same columns, with as many rows as it is made of. */
extern TrStatus tr_assignments_add_from(TrAssignments *a, const TrAssignments *other, int64_t row);

/*
 * A row of a tag, perhaps with a weight, and nothing else. With weighted = false every call is, and weights stay
 * unallocated.
 */
extern TrStatus tr_assignments_add(TrAssignments *a, int32_t user, int32_t item, int32_t tag, bool weighted, float weight);

/*
 * Sorts by (user, item, tag) and merges duplicates: an assignment is a member of a set, so a repeated row counts once; with
 * weights, the repeated rows' weights are added; values are merged as a->merge says; the latest time stays. A pair's row
 * without a tag goes when the pair has rows with one; its value and time join theirs.
 */
extern TrStatus tr_assignments_distinct(TrAssignments *a, TrError *err);

/* The merged value of `rows` rows, whose own is value, and other_rows others; later: the others come last. */
extern float tr_merge_values(TrMerge merge, float value, int32_t rows, float other, int32_t other_rows, bool later);

/* Drops, once, the assignments of tags that fewer than min_count (distinct) assignments use; rows without a tag stay. */
extern TrStatus tr_assignments_drop_rare_tags(TrAssignments *a, int32_t n_tags, int32_t min_count);

/*
 * The p-core of the (distinct) assignments: drops those of users, items and tags with fewer than min_count remaining
 * assignments, repeatedly until none is dropped. The result does not depend on the order. left (TR_CORE_ROUNDS) = how many
 * assignments each round left, *rounds of them; a last one without change is not counted, and what happens after the last
 * of TR_CORE_ROUNDS is told there.
 */
#define TR_CORE_ROUNDS 20
extern TrStatus tr_assignments_core(TrAssignments *a, int32_t n_users, int32_t n_items, int32_t n_tags, int32_t min_count,
									int64_t *left, int *rounds);

/* Renumbers: new index = map[old index]; rows mapped to -1 in any of the three are dropped. A NULL map keeps. */
extern TrStatus tr_assignments_renumber(TrAssignments *a, const int32_t *user_map, const int32_t *item_map,
										const int32_t *tag_map);

/* Pairs that are no rows of a dataset: what users dislike, which is never a candidate for them. */
typedef struct TrDislikes
{
	int32_t    *ptr;			/* (users+1) into item */
	int32_t    *item;			/* ascending of each user */
} TrDislikes;

typedef struct TrDataset
{
	TrMemory   *memory;
	int32_t		n_users,
				n_items,
				n_tags;
	int32_t		n_posts;		/* distinct (user, item) pairs */
	int64_t		n_assignments;	/* of a user, with a tag */
	int64_t		n_described;	/* without a user: they are in the items' profiles alone */
	int32_t    *post_user;		/* (posts), sorted by (user, item) */
	int32_t    *post_item;		/* (posts) */
	int64_t    *post_ptr;		/* (posts+1) into post_tag */
	int32_t    *post_tag;		/* (assignments) tags of each post, ascending */
	int32_t    *user_ptr;		/* (users+1) posts of each user: contiguous */
	int32_t    *item_ptr;		/* (items+1) into item_post */
	int32_t    *item_post;		/* (posts) posts of each item, ascending */
	float	   *post_value;		/* (posts), NULL = the rows had no values */
	int64_t    *post_time;		/* (posts), NULL = the rows had no times */
	TrProfileTable user;		/* tags; host memory */
	TrProfileTable item;

	/*
	 * (optional) The set of items that have had no chance yet: a model was not trained on them, or nobody has them. It is
	 * not the dataset's own.
	 */
	const uint64_t *new_items;
	const TrDislikes *dislikes; /* not the dataset's own; NULL = none */
	int			n_profiles;
	struct TrNamedProfiles *profiles;	/* (n_profiles) */
} TrDataset;

/* Further features of all users, or of all items: a category, an age. Values are counts as those of tags are. */
typedef struct TrNamedProfiles
{
	char		name[64];
	bool		of_items;		/* else of users */
	int32_t		n_features;
	TrProfileTable table;		/* its tags are features, its posts the rows they came from */
} TrNamedProfiles;

/* Rows (entity, feature, value) of a profile, in any order; a repeated feature is added up. value NULL = all 1. */
typedef struct TrFeatureRows
{
	int64_t		count;
	const int32_t *entity;
	const int32_t *feature;
	const float *value;
} TrFeatureRows;

extern TrStatus tr_dataset_add_profiles(TrDataset *dataset, const char *name, bool of_items, int32_t n_features,
										const TrFeatureRows *rows, TrError *err);
extern const TrNamedProfiles *tr_dataset_profiles(const TrDataset *dataset, const char *name);	/* NULL = none */

/* Of distinct pairs, numbered as the dataset's; one that is a post of the dataset is none. In its memory. */
extern TrStatus tr_dislikes_build(TrDislikes *dislikes, const TrAssignments *pairs, const TrDataset *dataset);

/* Builds the dataset from distinct assignments with dense indices (every count taken from the arguments). */
extern TrStatus tr_dataset_build(TrDataset *dataset, const TrAssignments *a, int32_t n_users, int32_t n_items,
								 int32_t n_tags, TrError *err);
extern void tr_dataset_free(TrDataset *dataset);

/* The post of a pair; -1 when there is none. */
extern int32_t tr_dataset_post(const TrDataset *dataset, int32_t user, int32_t item);

/* Of the posts' values, where there are some. */
typedef struct TrValueRange
{
	float		least,
				most;
	double		mean;
} TrValueRange;

extern TrValueRange tr_dataset_values(const TrDataset *dataset);

static inline float
tr_clip(const TrValueRange *range, float value)
{
	return value < range->least ? range->least : value > range->most ? range->most : value;
}

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
	float	   *value;			/* (count), NULL = none; needed by the task rating */
	bool		with_seen;		/* may contain pairs of the training data, too: they stay candidates */
	const uint64_t *candidates; /* the set of items that are ranked for them; NULL = all; not the pairs' own */
} TrPairs;

#endif
