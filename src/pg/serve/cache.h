/*
 * What a session caches of the versions it has used: the item matrix, the user matrix, the weights between neighbours, and
 * the network that encodes tags.
 *
 * A version's content never changes, so an entry stays true as long as the relations are the ones it was read from: the
 * registry says on every call which version is deployed, and a look-up compares oid and file of the relations.
 *
 * The least recently used entries go when the parts grow beyond tagrec.cache_size. The version in use is always kept,
 * regardless of its size: a call pins its entry (call.c), and pinned entries do not move.
 */
#ifndef TAGREC_CACHE_H
#define TAGREC_CACHE_H

#include "postgres.h"

#include "lib/ilist.h"

#include "core/topn.h"
#include "pg/serve/encoder.h"
#include "pg/serve/matrix.h"
#include "pg/serve/neighbours.h"
#include "pg/store/read.h"

/* A relation that an entry was read from. */
typedef struct TagrecStored
{
	Oid			relation;
	Oid			file;
} TagrecStored;

/* The open partitions of a version. */
typedef struct TagrecTables
{
	TagrecTable *users;
	TagrecTable *items;
	TagrecTable *neighbours;	/* NULL when the version has no features */
} TagrecTables;

typedef struct TagrecServed
{
	dlist_node	node;			/* most recently used first */
	MemoryContext context;
	int32		model_id;
	int32		version;
	char	   *algorithm;		/* as the registry said, like the next six */
	char	   *task;
	int			width;
	int			unit_width;
	int			features;
	int32		n_users;
	int32		n_items;
	TagrecStored users_from;
	TagrecStored items_from;
	TagrecStored neighbours_from;	/* when there are features */
	int			pins;
	TagrecMatrix *item_matrix;	/* NULL until asked for, as are the next three */
	TagrecMatrix *user_matrix;
	TagrecNeighbours *neighbours;
	TagrecEncoder *encoder;
	TrScored   *popularity;		/* (items) in the order of their positions */
	float	   *caution;		/* (items) what is taken off their scores */
} TagrecServed;

/* The entry of the version that these tables are of, pinned. */
extern TagrecServed *tagrec_served(const TagrecTables *tables);

/* The parts, read when this session has none; good for as long as the entry is pinned. */
extern TagrecMatrix *tagrec_served_items(TagrecServed *served, const TagrecTables *tables);
extern TagrecMatrix *tagrec_served_users(TagrecServed *served, const TagrecTables *tables);
extern TagrecNeighbours *tagrec_served_neighbours(TagrecServed *served, const TagrecTables *tables);
extern TagrecEncoder *tagrec_served_encoder(TagrecServed *served, const TagrecTables *tables);
extern const TrScored *tagrec_served_popularity(TagrecServed *served, const TagrecTables *tables);

/* What the version's option "caution" takes off the scores of all items, or of one with so many ratings; NULL = nothing. */
extern const float *tagrec_served_caution(TagrecServed *served, const TagrecTables *tables);
extern float tagrec_caution(const TagrecVersion *version, int32 ratings);

/* Lets go of what was mapped from files that were unlinked, as far as no call is using it. */
extern void tagrec_served_let_go(void);

extern void tagrec_served_unpin(TagrecServed *served);

#endif
