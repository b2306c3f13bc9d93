/*
 * What a query that ranks may return, and in what order: filters, boosts, diversity, groups, pages, the version.
 *
 * These arguments are the same in every such function, in this order (sql/rules.sql). Defaults cost nothing: they are
 * told apart before anything is read.
 *
 *     TagrecRules rules;
 *     tagrec_rules_arguments(fcinfo, first, &rules);     before the call begins: rules.version says which version
 *     …
 *     tagrec_choose(&choice, call, &rules, matrix, users);    looks up what the arguments name, in the call's memory
 *
 * NULL as candidates is nobody, NULL as exclude or boost nothing; NULL as a relation is an error, because it is what
 * to_regclass() makes of a name that does not exist. NULLs among ids, and ids that the model does not know, count for
 * nothing.
 */
#ifndef TAGREC_RULES_H
#define TAGREC_RULES_H

#include "postgres.h"

#include "pg/serve/call.h"

typedef struct TagrecRules
{
	bool		all;			/* candidates => 'all' */
	ArrayType  *candidates;		/* NULL = nobody, unless all */
	Oid			candidates_from;	/* InvalidOid = no relation, here and below */
	ArrayType  *exclude;		/* NULL = nobody */
	Oid			exclude_from;
	ArrayType  *boost;			/* NULL = nobody */
	ArrayType  *factor;			/* of those in boost, */
	ArrayType  *addend;			/* or one for all of them */
	Oid			boost_from;
	double		diversity;		/* 0 = by score alone */
	int			pool;			/* rows that diversity chooses from */
	Oid			group_from;
	char	   *group_by;		/* NULL = the only column beside that of the keys */
	int			max_per_group;	/* 0 = any number */
	int64		after;			/* rows left out at the head of the list */
	int32		version;		/* 0 = the deployed one */
} TagrecRules;

/* How many arguments tagrec_rules_arguments() takes. */
#define TAGREC_RULES_ARGUMENTS 15

/* From argument `first` on: candidates to version. */
extern void tagrec_rules_arguments(FunctionCallInfo fcinfo, int first, TagrecRules *rules);

/* Argument n, the number of a version: 0 when it is NULL. */
extern int32 tagrec_version_argument(FunctionCallInfo fcinfo, int n);

/* A row whose score becomes score * factor + addend; a negative score is divided by the factor, so that more is more. */
typedef struct TagrecBoost
{
	int32		row;
	double		factor;
	double		addend;
} TagrecBoost;

/* A row that belongs to a group. It may belong to several. */
typedef struct TagrecMember
{
	int32		row;
	int32		group;
} TagrecMember;

/* The rules about the rows of one matrix. */
typedef struct TagrecChoice
{
	const TagrecRules *rules;
	const TagrecMatrix *matrix;
	const char *column;			/* of its keys in the model's source */
	uint64	   *out;			/* the set of rows left out; NULL = none */
	int			n_boosts;
	TagrecBoost *boost;			/* ascending by row, each once */
	int			n_members;		/* filled by groups.h */
	TagrecMember *member;		/* ascending by row */
	bool		whole;			/* of all rows, not only of a list's */
	int32		groups;
} TagrecChoice;

/* users: the matrix is of users, and so are the ids */
extern void tagrec_choose(TagrecChoice *choice, TagrecCall *call, const TagrecRules *rules, const TagrecMatrix *matrix,
						  bool users);

static inline float
tagrec_boosted(const TagrecBoost *boost, float score)
{
	return (float) ((score < 0 ? score / boost->factor : score * boost->factor) + boost->addend);
}

#endif
