/*
 * The arguments that say what a query may return, and looking up what they name. See rules.h.
 */
#include "pg/serve/rules.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/topn.h"
#include "miscadmin.h"
#include "pg/base/source_columns.h"
#include "pg/serve/caller_relation.h"
#include "pg/serve/ids.h"
#include "pg/serve/relation_sets.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Scores stay finite in a float. */
#define MOST_FACTOR 1e6
#define LEAST_FACTOR 1e-6
#define MOST_ADDEND 1e6

#define MOST_POOL 1000

/* ------------------------------------------------------------------ arguments */

/* Arguments, counted from the first of them, as sql/rules.sql declares them */
enum
{
	Arg_candidates,
	Arg_candidates_from,
	Arg_exclude,
	Arg_exclude_from,
	Arg_boost,
	Arg_boost_factor,
	Arg_boost_addend,
	Arg_boost_from,
	Arg_diversity,
	Arg_diversity_pool,
	Arg_group_from,
	Arg_group_by,
	Arg_max_per_group,
	Arg_after,
	Arg_version
};

StaticAssertDecl(Arg_version + 1 == TAGREC_RULES_ARGUMENTS, "the number of arguments");

/* Is the argument there? ERROR when it is NULL. */
static int
required(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return n;
}

static void
filter_arguments(FunctionCallInfo fcinfo, int first, TagrecRules *rules)
{
	rules->candidates = tagrec_ids_argument(fcinfo, first + Arg_candidates, &rules->all);
	rules->candidates_from = tagrec_relation_argument(fcinfo, first + Arg_candidates_from, "candidates_from");
	rules->exclude = tagrec_some_ids_argument(fcinfo, first + Arg_exclude, "exclude");
	rules->exclude_from = tagrec_relation_argument(fcinfo, first + Arg_exclude_from, "exclude_from");
	rules->boost = tagrec_some_ids_argument(fcinfo, first + Arg_boost, "boost");
	rules->boost_from = tagrec_relation_argument(fcinfo, first + Arg_boost_from, "boost_from");
	if (!rules->boost)
		return;
	rules->factor = PG_GETARG_ARRAYTYPE_P(required(fcinfo, first + Arg_boost_factor, "boost_factor"));
	rules->addend = PG_GETARG_ARRAYTYPE_P(required(fcinfo, first + Arg_boost_addend, "boost_addend"));
}

int32
tagrec_version_argument(FunctionCallInfo fcinfo, int n)
{
	int32		version;

	tagrec_check_arguments(fcinfo, n + 1);
	if (PG_ARGISNULL(n))
		return 0;
	version = PG_GETARG_INT32(n);
	if (version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version must be greater than 0: %d", version)));
	return version;
}

static void
diversity_arguments(FunctionCallInfo fcinfo, int first, TagrecRules *rules)
{
	rules->diversity = PG_GETARG_FLOAT8(required(fcinfo, first + Arg_diversity, "diversity"));
	rules->pool = PG_GETARG_INT32(required(fcinfo, first + Arg_diversity_pool, "diversity_pool"));
	if (!(rules->diversity >= 0 && rules->diversity <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("diversity must be between 0 and 1: %g", rules->diversity)));
	if (rules->pool < 1 || rules->pool > MOST_POOL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("diversity_pool must be between 1 and %d: %d", MOST_POOL, rules->pool)));
}

static void
group_arguments(FunctionCallInfo fcinfo, int first, TagrecRules *rules)
{
	rules->group_from = tagrec_relation_argument(fcinfo, first + Arg_group_from, "group_from");
	rules->group_by = tagrec_name_argument(fcinfo, first + Arg_group_by);
	if (!PG_ARGISNULL(first + Arg_max_per_group))
	{
		rules->max_per_group = PG_GETARG_INT32(first + Arg_max_per_group);
		if (rules->max_per_group < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_per_group must be greater than 0: %d", rules->max_per_group)));
	}
	if (OidIsValid(rules->group_from) == (rules->max_per_group > 0) && (rules->max_per_group > 0 || !rules->group_by))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("group_from and max_per_group must be specified together"),
			 errdetail("group_from is a relation of items and their groups, max_per_group the most items of a group.")));
}

void
tagrec_rules_arguments(FunctionCallInfo fcinfo, int first, TagrecRules *rules)
{
	tagrec_check_arguments(fcinfo, first + TAGREC_RULES_ARGUMENTS);
	memset(rules, 0, sizeof(*rules));
	filter_arguments(fcinfo, first, rules);
	diversity_arguments(fcinfo, first, rules);
	group_arguments(fcinfo, first, rules);
	rules->after = PG_GETARG_INT64(required(fcinfo, first + Arg_after, "after"));
	if (rules->after < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("after must not be negative: %lld", (long long) rules->after)));
	rules->version = tagrec_version_argument(fcinfo, first + Arg_version);
}

/* ------------------------------------------------------------------ sets of rows */

static uint64 *
no_rows(const TagrecMatrix *matrix)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, (TR_BIT_WORDS(matrix->rows) + 1) * sizeof(uint64),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Rows of a relation as they come */
typedef struct Reading
{
	const TagrecCallerRelation *relation;
	const TagrecMatrix *matrix;
	MemoryContext context;
	TagrecKeyFinder finder;		/* of the type of its keys, */
	bool		begun;			/* which the first row says */
	TagrecChoice *choice;
	int			room;
	bool		has_factor;
	bool		has_addend;
} Reading;

/* The row of the matrix; -1 when there is none. */
static int32
row_of(Reading *reading, Datum key, bool isnull, Oid type)
{
	if (!reading->begun)
	{
		MemoryContext before = MemoryContextSwitchTo(reading->context);

		tagrec_key_finder(&reading->finder, reading->matrix, type);
		reading->begun = true;
		MemoryContextSwitchTo(before);
	}
	return isnull ? -1 : tagrec_find_row(&reading->finder, key);
}

/* Adds to the rows left out those of a set, or, with flip = all ones, those that are not in it. */
static void
leave_out(uint64 **out, const TagrecMatrix *matrix, const uint64 *set, uint64 flip)
{
	Size		words = TR_BIT_WORDS(matrix->rows);

	if (!*out)
		*out = no_rows(matrix);
	for (Size w = 0; w < words; w++)
		(*out)[w] |= set[w] ^ flip;
	if (matrix->rows % 64 != 0)
		(*out)[words - 1] &= (UINT64CONST(1) << (matrix->rows % 64)) - 1;
}

/* Rows left out; NULL = none. Of candidates given in two ways, those that both name are left. */
static uint64 *
left_out(const TagrecRules *rules, const TagrecMatrix *matrix, const TagrecStored *from, const char *column)
{
	uint64	   *out = NULL;

	if (!rules->all)
		leave_out(&out, matrix, rules->candidates ? tagrec_id_set(matrix, from, rules->candidates) : no_rows(matrix),
				  ~UINT64CONST(0));
	if (OidIsValid(rules->candidates_from))
		leave_out(&out, matrix, tagrec_relation_set(matrix, from, rules->candidates_from, "candidates_from", column),
				  ~UINT64CONST(0));
	if (rules->exclude)
		leave_out(&out, matrix, tagrec_id_set(matrix, from, rules->exclude), 0);
	if (OidIsValid(rules->exclude_from))
		leave_out(&out, matrix, tagrec_relation_set(matrix, from, rules->exclude_from, "exclude_from", column), 0);
	return out;
}

/* ------------------------------------------------------------------ boosts */

static void
check_boost(const char *what, const char *where, bool isnull, double value, bool good)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of %s must not be null", what, where)));
	if (good)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s of %s is out of range: %g", what, where, value),
			 errdetail("A factor must be between %g and %g, an addend between %g and %g.", LEAST_FACTOR, MOST_FACTOR, -MOST_ADDEND,
					   MOST_ADDEND)));
}

static double
factor_of(const char *where, bool isnull, Datum value)
{
	double		factor = isnull ? 1 : DatumGetFloat8(value);

	check_boost("a factor", where, isnull, factor, factor >= LEAST_FACTOR && factor <= MOST_FACTOR);
	return factor;
}

static double
addend_of(const char *where, bool isnull, Datum value)
{
	double		addend = isnull ? 0 : DatumGetFloat8(value);

	check_boost("an addend", where, isnull, addend, addend >= -MOST_ADDEND && addend <= MOST_ADDEND);
	return addend;
}

static void *
grown(void *list, int count, int *room, Size size, MemoryContext context)
{
	if (count < *room)
		return list;
	*room = *room ? *room * 2 : 64;
	return list ? repalloc_huge(list, *room * size) : MemoryContextAllocHuge(context, *room * size);
}

static void
add_boost(Reading *reading, int32 row, double factor, double addend)
{
	TagrecChoice *c = reading->choice;

	if (row < 0)
		return;
	c->boost = grown(c->boost, c->n_boosts, &reading->room, sizeof(TagrecBoost), reading->context);
	c->boost[c->n_boosts++] = (TagrecBoost) {row, factor, addend};
}

/* A number for each of n ids, or one for all of them */
static Datum *
numbers_for(ArrayType *numbers, int n, bool **nulls, int *step, const char *name)
{
	int			given;
	Datum	   *values;

	deconstruct_array(numbers, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, nulls, &given);
	if (given != 1 && given != n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("number of elements of %s does not match that of boost: %d and %d", name, given, n),
				 errhint("Give one for each id, or one for all of them.")));
	*step = given == 1 ? 0 : 1;
	return values;
}

static void
boost_ids(Reading *reading, const TagrecRules *rules)
{
	int			n;
	int			factor_step;
	int			addend_step;
	bool	   *nulls;
	bool	   *no_factor;
	bool	   *no_addend;
	Datum	   *id = tagrec_ids_values(rules->boost, &nulls, &n);
	Datum	   *factor = numbers_for(rules->factor, n, &no_factor, &factor_step, "boost_factor");
	Datum	   *addend = numbers_for(rules->addend, n, &no_addend, &addend_step, "boost_addend");

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_boost(reading, row_of(reading, id[i], nulls[i], ARR_ELEMTYPE(rules->boost)),
				  factor_of("boost", no_factor[i * factor_step], factor[i * factor_step]),
				  addend_of("boost", no_addend[i * addend_step], addend[i * addend_step]));
	}
}

static void
take_boost(void *argument, const Datum *value, const bool *isnull, const Oid *type)
{
	Reading    *reading = argument;
	const char *where = reading->relation->name;
	double		factor = reading->has_factor ? factor_of(where, isnull[1], value[1]) : 1;
	int			last = 1 + reading->has_factor;

	add_boost(reading, row_of(reading, value[0], isnull[0], type[0]), factor,
			  reading->has_addend ? addend_of(where, isnull[last], value[last]) : 0);
}

static void
boost_relation(Reading *reading, Oid id, const char *column)
{
	static const char *const names[] = {"factor", "addend"};
	TagrecCallerRelation *relation = tagrec_caller_relation(id, "boost_from");
	const char *expression[TAGREC_CALLER_COLUMNS] = {quote_identifier(tagrec_caller_key(relation, column, names, 2))};
	int			n = 1;

	reading->relation = relation;
	reading->has_factor = tagrec_caller_has(relation, "factor");
	reading->has_addend = tagrec_caller_has(relation, "addend");
	if (!reading->has_factor && !reading->has_addend)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"factor\" or \"addend\"", relation->name),
				 errhint("Its column \"factor\" multiplies the scores of its items, \"addend\" is added.")));
	if (reading->has_factor)
		expression[n++] = "factor::pg_catalog.float8";
	if (reading->has_addend)
		expression[n++] = "addend::pg_catalog.float8";
	tagrec_caller_read(relation, expression, n, take_boost, reading, NULL);
}

static int
compare_boosts(const void *a, const void *b)
{
	int32		x = ((const TagrecBoost *) a)->row;
	int32		y = ((const TagrecBoost *) b)->row;

	return (x > y) - (x < y);
}

/* Factors of the same row are multiplied, addends added. */
static void
merge_boosts(TagrecChoice *c)
{
	int			kept = 0;

	if (c->n_boosts > 0)
		qsort(c->boost, c->n_boosts, sizeof(TagrecBoost), compare_boosts);
	for (int i = 0; i < c->n_boosts; i++)
	{
		if (kept == 0 || c->boost[kept - 1].row != c->boost[i].row)
		{
			c->boost[kept++] = c->boost[i];
			continue;
		}
		c->boost[kept - 1].factor = Max(Min(c->boost[kept - 1].factor * c->boost[i].factor, MOST_FACTOR), LEAST_FACTOR);
		c->boost[kept - 1].addend += c->boost[i].addend;
	}
	c->n_boosts = kept;
}

static void
find_boosts(TagrecChoice *choice, const TagrecRules *rules, const char *column)
{
	Reading		reading = {.matrix = choice->matrix, .choice = choice, .context = CurrentMemoryContext};

	if (rules->boost)
		boost_ids(&reading, rules);
	reading.begun = false;
	if (OidIsValid(rules->boost_from))
		boost_relation(&reading, rules->boost_from, column);
	merge_boosts(choice);
}

/* ------------------------------------------------------------------ choosing */

void
tagrec_choose(TagrecChoice *choice, TagrecCall *call, const TagrecRules *rules, const TagrecMatrix *matrix, bool users)
{
	MemoryContext before = MemoryContextSwitchTo(call->context);
	const char *column = users ? call->version->columns.user : call->version->columns.item;

	memset(choice, 0, sizeof(*choice));
	choice->rules = rules;
	choice->matrix = matrix;
	choice->out = left_out(rules, matrix, users ? &call->served->users_from : &call->served->items_from, column);
	if (rules->boost || OidIsValid(rules->boost_from))
		find_boosts(choice, rules, column);
	choice->column = column;
	MemoryContextSwitchTo(before);
}
