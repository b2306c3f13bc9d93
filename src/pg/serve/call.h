/*
 * One call of a serving function: which version answers it, its tables, and the rows it starts from.
 *
 *     TagrecCall *call = tagrec_call_begin(model);      version looked up, right checked, tables open
 *     …                                                  read rows, ask the cache, compute, hand out results
 *     tagrec_call_end(call);
 *
 * The whole call runs with the caller's privileges, and no code of the model's owner runs (read.h). After an
 * error the transaction's end closes the tables, and the call's memory context unpins the cache entry.
 */
#ifndef TAGREC_CALL_H
#define TAGREC_CALL_H

#include "postgres.h"

#include "fmgr.h"

#include "pg/base/id.h"
#include "pg/serve/cache.h"

typedef struct TagrecCall
{
	MemoryContext context;		/* of everything below, gone with tagrec_call_end() */
	MemoryContext outside;		/* current before the call */
	MemoryContextCallback unpin;
	bool		renewed;		/* a snapshot of our own is the active one */
	TagrecVersion *version;
	TagrecTables tables;
	TagrecServed *served;
} TagrecCall;

/* The task that a function requires; ERROR, with a hint at the right functions, if the model is for another one. */
typedef enum TagrecAsks
{
	TAGREC_ASKS_ITEMS,
	TAGREC_ASKS_TAGS,
	TAGREC_ASKS_VALUES,
	TAGREC_ASKS_ANY
} TagrecAsks;

/* Checks the right to use a version, and keeps it until the transaction ends; false when it is gone. */
extern bool tagrec_hold(const TagrecVersion *version);

extern TagrecCall *tagrec_call_begin(const char *model);	/* asks for items */
extern TagrecCall *tagrec_call_begin_for(const char *model, TagrecAsks asks);
extern TagrecCall *tagrec_call_begin_at(const char *model, int32 version, TagrecAsks asks);	/* 0 = the deployed one */
extern TagrecCall *tagrec_call_begin_version(const char *model, int32 version);	/* need not be the deployed one */
extern void tagrec_call_end(TagrecCall *call);

/* The parts of the version, as cache.h has them. */
extern TagrecMatrix *tagrec_call_items(TagrecCall *call);
extern TagrecMatrix *tagrec_call_users(TagrecCall *call);
extern TagrecNeighbours *tagrec_call_neighbours(TagrecCall *call);
extern const TrScored *tagrec_call_popularity(TagrecCall *call);
extern const float *tagrec_call_caution(TagrecCall *call);
extern void tagrec_check_embeddings(const TagrecVersion *version);	/* ERROR if there are none */
extern TagrecEncoder *tagrec_call_encoder(TagrecCall *call);	/* ERROR if it cannot encode, or score tags */
extern TagrecEncoder *tagrec_call_folder(TagrecCall *call);	/* of an algorithm that folds users in */
extern TagrecEncoder *tagrec_call_network(TagrecCall *call);	/* that scores pairs; NULL when the algorithm has none */

/* A stored user or item. */
typedef struct TagrecRow
{
	int32		position;		/* items */
	float	   *embedding;		/* padded, as core/dot.h says */
	TrSparse	sparse;			/* users: features and their values */
	int32		n_seen;
	int32	   *seen;			/* (n_seen) users: positions of their items, ascending */
	int32		n_disliked;
	int32	   *disliked;		/* (n_disliked) users: those of what they dislike */
	int32		n_out;
	int32	   *out;			/* (n_out) both */
	int			n_tags;
	const int32 *tag;			/* (n_tags) ascending */
	const float *count;			/* (n_tags) */
	int32		posts;			/* items */
} TagrecRow;

/* Fills out from seen and disliked. */
extern void tagrec_row_join(TagrecRow *user);

/* What is not recommended to a user: what is disliked, and unless the user's own items may be, these. */
static inline int32 *
tagrec_row_out(const TagrecRow *user, bool exclude_seen, int32 *n)
{
	*n = exclude_seen ? user->n_out : user->n_disliked;
	return exclude_seen ? user->out : user->disliked;
}

/* The user whose row a scan of the users is at. */
extern void tagrec_get_user(TagrecRow *row, const TagrecScan *scan);

/* False when the version does not know the id. */
extern bool tagrec_find_user(TagrecCall *call, const TagrecId *id, TagrecRow *row);
extern bool tagrec_find_user_key(TagrecCall *call, Datum key, TagrecRow *row);	/* of the type of the users' keys */
extern bool tagrec_find_item(TagrecCall *call, const TagrecId *id, TagrecRow *row);
extern bool tagrec_find_item_key(TagrecCall *call, Datum key, TagrecRow *row);	/* likewise */

/* ERROR unless the SQL function has so many arguments: another version of the extension may have declared it. */
extern void tagrec_check_arguments(FunctionCallInfo fcinfo, int n);

/* Arguments that must not be NULL. n, a bigint, must not be negative; more than there can be is as good as all. */
extern char *tagrec_model_argument(FunctionCallInfo fcinfo, int n);
extern int	tagrec_limit_argument(FunctionCallInfo fcinfo, int n);
extern bool tagrec_flag_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* A text[] without NULLs, *count of them; NULL, and none, when the argument is. */
extern char **tagrec_texts_argument(FunctionCallInfo fcinfo, int n, const char *name, int *count);

#endif
