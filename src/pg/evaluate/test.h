/*
 * Measuring how well versions rank held-out data: what tagrec_evaluate() and tagrec_compare() share.
 *
 * Rules, task item. A test pair is a distinct (user, item) of the test relation; it counts when the version knows its user,
 * and its user is measured when at least one pair counts. Every item of the version is a candidate, but for those that the
 * user had in training when these are excluded; then test pairs that are in the training data do not count, since they
 * cannot be recommended. An item that the version does not know is relevant, though it can never be found: it is in the
 * denominator of recall and in the ideal list of ndcg, and 1 / rank is 0. Ties go to the smaller key. An item whose score
 * is NaN is never recommended, so it is not ranked either. Where candidates are given, these alone are ranked, and test
 * pairs of other items do not count, nor do their users.
 *
 * Task tag. A test assignment is a distinct (user, item, tag), and what is measured are the posts, (user, item), as
 * tagrec_recommend_tags() answers for them: of unknown users and items, too. A post's input is the tags that it has in
 * training; every tag of the version is a candidate, but for these when they are excluded, and the rest is as above.
 *
 * Task rating. As the task item, and the values of all test pairs are predicted, but for those that are in the training
 * data when these are excluded; of repeated pairs, the mean counts.
 *
 * Below, a group is what is measured (a user, a post), and an answer is what is to be found (an item, a tag); a test holds
 * pairs of a group and an answer.
 */
#ifndef TAGREC_TEST_H
#define TAGREC_TEST_H

#include "postgres.h"

#include "core/dataset.h"
#include "core/metrics.h"
#include "core/model.h"
#include "fmgr.h"
#include "pg/serve/call.h"
#include "pg/source/held_out.h"

/* The pairs of a test relation. */
typedef struct TagrecTest
{
	TrMemory	memory;			/* of keys and pairs; gone with the context the test was read in */
	MemoryContextCallback release;
	TagrecHeldOut source;
	const TrTask *task;
	ArrayType  *candidates;		/* text[]; NULL = every item */
	bool		settled;
	TagrecKeys	users,
				items,
				tags;			/* task tag */
	TrAssignments pairs;		/* once settled: distinct, by (user, item, tag) */
	int32		groups;
	int64	   *group_ptr;		/* (groups+1) each group's pairs; a user's group has the user's number */
} TagrecTest;

/* How a version ranks them. */
typedef struct TagrecRanking
{
	bool	   *known;			/* (groups) measured, if a pair counts */
	int32	   *candidates;		/* (groups) how many the answers are among */
	bool	   *given;			/* (groups) task tag: the version was given a tag of the post, or more */
	int32		known_users;
	int32		known_items;
	int32		known_tags;
	bool	   *unknown;		/* (answers) */
	bool	   *seen;			/* (pairs) is in the training data; false when the user is unknown */
	float	   *predicted;		/* (pairs) task rating: values; NULL = none are predicted */
	int32	   *rank;			/* (pairs) among the candidates, or TR_UNRANKED */
} TagrecRanking;

static inline const TagrecKeys *
tagrec_test_answers(const TagrecTest *test)
{
	return test->task->tags ? &test->tags : &test->items;
}

static inline int32
tagrec_test_answer(const TagrecTest *test, int64 pair)
{
	return test->task->tags ? test->pairs.tag[pair] : test->pairs.item[pair];
}

/* test.c */

/* The version (NULL = the deployed one) of a model that the caller may use. */
extern TagrecVersion *tagrec_evaluated_version(const char *model, const int32 *version);

/* Arguments: the test relation; candidates, a tagrec_ids, as a text[] without NULLs, or NULL = all. */
extern Oid	tagrec_test_argument(FunctionCallInfo fcinfo, int n);
extern ArrayType *tagrec_candidates_argument(FunctionCallInfo fcinfo, int n);

/* An argument that is a list of lengths: ascending, each once. */
extern int *tagrec_lengths_argument(FunctionCallInfo fcinfo, int n, int *count);

/* WARNING when test pairs are in the training data: `seen` of `pairs`. */
extern void tagrec_warn_of_seen(int64 seen, int64 pairs, const TrTask *task, bool excluded);

/*
 * NOTICE when the version does not know everything: `unmeasured` pairs are of unknown groups, `unknown` have an unknown
 * answer.
 */
extern void tagrec_tell_unknown(const TagrecTest *test, const TagrecRanking *ranking, const char *model, int64 unmeasured,
								int64 unknown);

/* ereport(ERROR) unless the version knows enough of the test's users, items and tags to rank something. */
extern void tagrec_check_overlap(const TagrecTest *test, const TagrecRanking *ranking, const char *model);

/* test_relation.c */

/*
 * What a test relation is read with. NULL: the columns' names that the version was trained with; every item is a candidate.
 */
typedef struct TagrecTestArguments
{
	TagrecColumns columns;		/* tag, value: ERROR when the version is of a task without them */
	ArrayType  *candidates;		/* text[]; ERROR when it is for the task tag */
} TagrecTestArguments;

/* A test without pairs, in the current memory context. */
extern TagrecTest *tagrec_test_make(const TagrecVersion *version);

/* Reads the test relation as the current user, into the current memory context. */
extern TagrecTest *tagrec_test_read(Oid relation, const TagrecTestArguments *arguments, const TagrecVersion *version);

/*
 * Puts it in the version's terms, once: keys that its types hold equal become one, each pair is there once, and what counts
 * of it is left.
 */
extern void tagrec_test_settle(TagrecTest *test, const TagrecTables *tables);

/* The most pairs of a group. */
extern int64 tagrec_test_most(const TagrecTest *test);

/* Initializes: nothing known, seen or ranked. */
extern TagrecRanking *tagrec_ranking_make(const TagrecTest *test);

/* Ranks all test pairs of known groups; in the current memory context. */
extern TagrecRanking *tagrec_rank_test(const TagrecVersion *version, TagrecTest *test, bool exclude_seen);

/* item_ranking.c, tag_ranking.c: the same for a task */
extern TagrecRanking *tagrec_rank_items(const TagrecVersion *version, TagrecTest *test, bool exclude_seen);
/* prediction.c: fills predicted, of unknown users and items, too */
extern void tagrec_predict_test(const TagrecVersion *version, const TagrecTest *test, TagrecRanking *ranking);

extern TagrecRanking *tagrec_rank_tags(const TagrecVersion *version, TagrecTest *test, bool exclude_seen);

#endif
