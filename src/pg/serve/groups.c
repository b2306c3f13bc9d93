/*
 * Groups of items from a relation, and lists with a number of each. See groups.h.
 */
#include "pg/serve/groups.h"

#include "parser/parse_coerce.h"
#include "pg/serve/caller_relation.h"
#include "pg/serve/ids.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Of a list longer than one row in so many of all, the relation is read as a whole. */
#define SOME_SHARE 4

/* A row of the relation */
typedef struct Named
{
	int32		row;
	char	   *group;
} Named;

typedef struct Reading
{
	const TagrecMatrix *matrix;
	MemoryContext context;
	TagrecKeyFinder finder;		/* of the type of the keys, */
	bool		begun;			/* which the first row says */
	int			count;
	int			room;
	Named	   *named;
} Reading;

static void
take_member(void *argument, const Datum *value, const bool *isnull, const Oid *type)
{
	Reading    *r = argument;
	MemoryContext before = MemoryContextSwitchTo(r->context);
	int32		row;

	if (!r->begun)
		tagrec_key_finder(&r->finder, r->matrix, type[0]);
	r->begun = true;
	row = isnull[0] || isnull[1] ? -1 : tagrec_find_row(&r->finder, value[0]);
	if (row >= 0)
	{
		if (r->count == r->room)
		{
			r->room *= 2;
			r->named = repalloc_huge(r->named, r->room * sizeof(Named));
		}
		r->named[r->count++] = (Named) {row, TextDatumGetCString(value[1])};
	}
	MemoryContextSwitchTo(before);
}

static int
by_group(const void *a, const void *b)
{
	return strcmp(((const Named *) a)->group, ((const Named *) b)->group);
}

static int
by_row(const void *a, const void *b)
{
	const TagrecMember *x = a;
	const TagrecMember *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->group > y->group) - (x->group < y->group);
}

/* Numbers the groups; a row that is named twice in a group is in it once. */
static void
number_groups(TagrecChoice *choice, Named *named, int count)
{
	TagrecMember *member = MemoryContextAllocHuge(CurrentMemoryContext, Max(count, 1) * sizeof(TagrecMember));
	int			kept = 0;

	choice->groups = 0;
	if (count > 0)
		qsort(named, count, sizeof(Named), by_group);
	for (int i = 0; i < count; i++)
	{
		choice->groups += i == 0 || strcmp(named[i - 1].group, named[i].group) != 0;
		member[i] = (TagrecMember) {named[i].row, choice->groups - 1};
	}
	if (count > 0)
		qsort(member, count, sizeof(TagrecMember), by_row);
	for (int i = 0; i < count; i++)
		if (kept == 0 || by_row(&member[kept - 1], &member[i]) != 0)
			member[kept++] = member[i];
	choice->member = member;
	choice->n_members = kept;
}

/* The column of the groups: the one that is named, or the only one beside that of the keys */
static const char *
group_column(const TagrecCallerRelation *relation, const char *named, const char *model_column)
{
	const char *group = NULL;

	if (named && !tagrec_caller_has(relation, named))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"%s\"", relation->name, named)));
	if (named)
		return named;
	for (int i = 0; i < relation->n_columns; i++)
		if (strcmp(relation->column[i], model_column) != 0)
			group = relation->column[i];
	if (relation->n_columns != 2 || !tagrec_caller_has(relation, model_column))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("could not tell which column of %s has the groups", relation->name),
				 errhint("Name it in group_by.")));
	return group;
}

/*
 * The keys of a list's rows as an array of a type; false when they are not the same in it, or too many to be worth it. Keys
 * that it has no room for are nobody's there.
 */
static bool
keys_as(const TagrecMatrix *matrix, const TrTopN *list, Oid type, Datum *array)
{
	Datum	   *key;
	int			n = 0;
	int16		length;
	bool		by_value;
	char		alignment;
	bool		integers = tagrec_is_integer(type) && tagrec_is_integer(matrix->key_type);

	if (list->count > matrix->rows / SOME_SHARE || !(integers || IsBinaryCoercible(matrix->key_type, type)))
		return false;
	key = palloc((list->count + 1) * sizeof(Datum));
	for (int i = 0; i < list->count; i++)
	{
		Datum		value = tagrec_matrix_key(matrix, list->best[i].index);

		if (!integers || tagrec_integer_as(tagrec_integer_of(value, matrix->key_type), type, &value))
			key[n++] = value;
	}
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	*array = PointerGetDatum(construct_array(key, n, type, length, by_value, alignment));
	return true;
}

void
tagrec_find_groups(TagrecChoice *choice, const TrTopN *list)
{
	const char *column = choice->column;
	const TagrecRules *rules = choice->rules;
	TagrecCallerRelation *relation = tagrec_caller_relation(rules->group_from, "group_from");
	const char *group = group_column(relation, rules->group_by, column);
	const char *key = tagrec_caller_key(relation, column, &group, 1);
	const char *expression[2] = {quote_identifier(key), psprintf("%s::pg_catalog.text", quote_identifier(group))};
	Reading		reading = {.matrix = choice->matrix, .context = CurrentMemoryContext, .room = 64};
	Datum		keys;

	reading.named = palloc(reading.room * sizeof(Named));
	choice->whole = list == NULL;
	if (list && tagrec_caller_compares(relation, key) && keys_as(choice->matrix, list, tagrec_caller_type(relation, key), &keys))
		tagrec_caller_read_some(relation, expression, 2, key, keys, take_member, &reading);
	else
		tagrec_caller_read(relation, expression, 2, take_member, &reading, NULL);
	number_groups(choice, reading.named, reading.count);
}

/* ------------------------------------------------------------------ lists */

/* The row's first member; n_members when it has none. */
static int
first_member(const TagrecChoice *choice, int32 row)
{
	int			low = 0;
	int			high = choice->n_members;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (choice->member[middle].row < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is there room for the row in all its groups? Then it takes it. */
static bool
takes_room(const TagrecChoice *choice, int32 *count, int32 row)
{
	int			first = first_member(choice, row);
	int			end = first;

	for (; end < choice->n_members && choice->member[end].row == row; end++)
		if (count[choice->member[end].group] >= choice->rules->max_per_group)
			return false;
	for (int m = first; m < end; m++)
		count[choice->member[m].group]++;
	return true;
}

void
tagrec_cap_groups(const TagrecChoice *choice, TrTopN *top)
{
	int32	   *count = palloc0_array(int32, choice->groups + 1);
	int32		kept = 0;

	for (int32 i = 0; i < top->count; i++)
		if (takes_room(choice, count, top->best[i].index))
			top->best[kept++] = top->best[i];
	top->count = kept;
	pfree(count);
}
