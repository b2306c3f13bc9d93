/*
 * From scores to a list: the rules of a query applied to a search, and the rows returned.
 *
 * The list is: the rows that the filters leave, by their boosted scores, ties in the order of the keys; of each group the
 * first ones; the head of that list in the order that diversity makes. A page of it is what comes after `after` rows. All
 * of it is exact: no row is missed because it was not among the best before a rule applied.
 */
#ifndef TAGREC_RANK_H
#define TAGREC_RANK_H

#include "postgres.h"

#include "core/topn.h"
#include "pg/serve/rules.h"
#include "pg/serve/scorer.h"
#include "pg/serve/search.h"

typedef struct TagrecRanking
{
	TagrecCall *call;
	TagrecMatrix *matrix;		/* of items, or of users */
	const TagrecRules *rules;
	const TagrecChoice *choice; /* what tagrec_choose() made of them, for many lists; NULL = it is looked up */
	const TagrecScorer *scorer; /* as TagrecSearch has them: the score for its first user, */
	const float *query;			/* or the cosine to this, */
	const TrScored *listed;		/* (n_listed) or these rows alone, with their scores, when it is not NULL */
	int32		n_listed;
	const int32 *skip;			/* (n_skip) rows left out besides, ascending */
	int			n_skip;
	bool		users;			/* the matrix is of users */
	bool		unscored;		/* the score is NULL in the result */
	int			n;				/* rows wanted */
	Oid			key_type;		/* of the result: TEXTOID, or what tagrec_result_type() gave */
} TagrecRanking;

/* The rows of the list that are asked for; *before = the number of those that are not, ahead of them. */
extern TrTopN tagrec_ranked(const TagrecRanking *ranking, int32 *before);

/* The same into the tuplestore of the set-returning function, as (rank, key, score); ends the call. */
extern void tagrec_rank(FunctionCallInfo fcinfo, const TagrecRanking *ranking);

/* The best items for an array and features; user: whose, if there is a user, who is not shown some. Ends the call. */
extern void tagrec_recommend_items(FunctionCallInfo fcinfo, TagrecCall *call, const float *query, const TrSparse *features,
								   const TagrecRow *user, bool exclude_seen, const TagrecRules *rules, int n,
								   Oid item_type);

/*
 * The type of argument n, which says what type the keys in the result have; ereport(ERROR) when the keys of items (or of
 * users) cannot be assigned to it.
 */
extern Oid	tagrec_result_type(FunctionCallInfo fcinfo, int n, const TagrecCall *call, bool users);

/* Keys as values of a type. */
typedef struct TagrecKeyWriter
{
	Oid			type;
	bool		same;			/* as the keys are */
	FmgrInfo	output;
	FmgrInfo	input;
	Oid			parameter;
} TagrecKeyWriter;

extern void tagrec_key_writer(TagrecKeyWriter *writer, Oid key_type, Oid type);
extern Datum tagrec_write_key(TagrecKeyWriter *writer, Datum key);	/* may be the key itself */
extern Datum tagrec_copy_key(TagrecKeyWriter *writer, Datum key);	/* never is, but when it is not a pointer */

#endif
