/*
 * What a session keeps of the versions it has asked: the item matrix, the user matrix, the weights between neighbours, the
 * network that encodes tags, and the plans of the row look-ups.
 *
 * A version's content never changes, so an entry stays true as long as the relations are the ones it was read from: the
 * registry says on every call which version is deployed, and a look-up compares name, oid and file of the relations.
 *
 * The least recently used entries go when the parts grow beyond tagrec.cache_size. The version being asked is always kept,
 * whatever its size: a call pins its entry (call.c), and what is pinned stays where it is.
 */
#ifndef TAGREC_CACHE_H
#define TAGREC_CACHE_H

#include "postgres.h"

#include "executor/spi.h"
#include "lib/ilist.h"

#include "encoder.h"
#include "matrix.h"
#include "neighbours.h"
#include "store.h"

typedef enum TagrecPlan
{
	TAGREC_PLAN_USER,			/* the user of key $1: embedding, seen, tags, counts, features, feature_values */
	TAGREC_PLAN_ITEM,			/* the item of key $1: position, embedding, tags, counts, posts */
	TAGREC_PLAN_POSITIONS,		/* the items of keys $1[]: position */
	TAGREC_PLAN_POST_USER,		/* the user of key $1: TAGREC_POST_USER_COLUMNS */
	TAGREC_PLAN_SIMILAR,		/* the neighbour row of item $1 (its position): TAGREC_SIMILAR_COLUMNS */
	TAGREC_PLANS
} TagrecPlan;

/* A relation that an entry was read from. */
typedef struct TagrecStored
{
	char	   *name;			/* quoted, for SQL text */
	Oid			relation;
	Oid			file;
	Oid			key_type;
	Oid			collation;
} TagrecStored;

typedef struct TagrecServed
{
	dlist_node	node;			/* most recently used first */
	MemoryContext context;
	int32		model_id;
	int32		version;
	int			width;			/* as the registry said, like the next four */
	int			unit_width;
	int			features;
	int32		n_users;
	int32		n_items;
	TagrecStored users;
	TagrecStored items;
	TagrecStored weights;		/* of the neighbours, when there are features */
	int			pins;
	SPIPlanPtr	plan[TAGREC_PLANS];
	TagrecMatrix *item_matrix;	/* NULL until asked for, as are the next three */
	TagrecMatrix *user_matrix;
	TagrecNeighbours *neighbours;
	TagrecEncoder *encoder;
} TagrecServed;

/* The entry of a version, pinned. As the model's owner, inside SPI, like the functions below. */
extern TagrecServed *tagrec_served(const TagrecVersion *version);

extern SPIPlanPtr tagrec_served_plan(TagrecServed *served, TagrecPlan plan);

/* The equality operator of a type's default order, which the primary key's index uses, as SQL. */
extern char *tagrec_equality_operator(Oid type);

/* The parts, read when this session has none; good for as long as the entry is pinned. */
extern TagrecMatrix *tagrec_served_items(TagrecServed *served, const TagrecVersion *version);
extern TagrecMatrix *tagrec_served_users(TagrecServed *served, const TagrecVersion *version);
extern TagrecNeighbours *tagrec_served_neighbours(TagrecServed *served, const TagrecVersion *version);
extern TagrecEncoder *tagrec_served_encoder(TagrecServed *served, const TagrecVersion *version);

extern void tagrec_served_unpin(TagrecServed *served);

#endif
