/*
 * Measuring how well versions rank held-out pairs: what tagrec_evaluate() and tagrec_compare() share.
 *
 * Rules. A test pair is a distinct (user, item) of the test relation; it counts when the version knows its user, and its user
 * is measured when at least one pair counts. Every item of the version is a candidate, but for those that the user had in
 * training when these are excluded; then test pairs that stand in training do not count, since they cannot be recommended. An
 * item that the version does not know is relevant, though it can never be found: it is in the denominator of recall and in
 * the ideal list of ndcg, and 1 / rank is 0. Ties go to the smaller key. What has a score that is not a number is never
 * recommended, so it ranks nowhere either.
 */
#ifndef TAGREC_EVALUATION_H
#define TAGREC_EVALUATION_H

#include "postgres.h"

#include "call.h"
#include "core/dataset.h"
#include "core/metrics.h"
#include "fmgr.h"
#include "held_out.h"

/* The pairs of a test relation. */
typedef struct TagrecTest
{
	TrMemory	memory;			/* of keys and pairs; gone with the context the test was read in */
	MemoryContextCallback release;
	TagrecHeldOut source;
	bool		settled;
	TagrecKeys	users,
				items;
	TrAssignments pairs;		/* once settled: distinct, by (user, item) */
	int64	   *user_ptr;		/* (users+1) each user's pairs */
} TagrecTest;

/* How a version ranks them. */
typedef struct TagrecRanking
{
	bool	   *known;			/* (users) */
	int32		known_users;
	int32		known_items;
	bool	   *unknown_item;	/* (items) */
	bool	   *seen;			/* (pairs) stands in the training data; false when the user is unknown */
	int32	   *rank;			/* (pairs) among the candidates, or TR_UNRANKED */
} TagrecRanking;

/* evaluation.c */

/* The version (NULL = the deployed one) of a model for the task "item" that the caller may use. */
extern TagrecVersion *tagrec_evaluated_version(const char *model, const int32 *version);

/*
 * Reads the test relation as the current user, into the current memory context. NULL as a column's name: the one that the
 * version was trained with.
 */
extern TagrecTest *tagrec_test_read(Oid relation, const char *user_column, const char *item_column,
									const TagrecVersion *version);

/* Arguments: the test relation; a column's name or NULL. */
extern Oid	tagrec_test_argument(FunctionCallInfo fcinfo, int n);
extern char *tagrec_name_argument(FunctionCallInfo fcinfo, int n);

/* An argument that is a list of lengths: ascending, each once. */
extern int *tagrec_lengths_argument(FunctionCallInfo fcinfo, int n, int *count);

/* WARNING when test pairs stand in training: `seen` of `pairs`. */
extern void tagrec_warn_of_seen(int64 seen, int64 pairs, bool excluded);

/* ereport(ERROR) unless the version knows one of the test's users and one of its items. */
extern void tagrec_check_overlap(const TagrecTest *test, const TagrecRanking *ranking, const char *model);

/* ranking.c: ranks all test pairs of known users; in the current memory context */
extern TagrecRanking *tagrec_rank_test(const TagrecVersion *version, TagrecTest *test, bool exclude_seen);

#endif
