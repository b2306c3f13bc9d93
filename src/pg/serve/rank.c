/*
 * Lists of rows by score, by rules, and returning them. See rank.h.
 */
#include "pg/serve/rank.h"

#include "catalog/pg_type.h"
#include "core/ascending.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "pg/serve/diversity.h"
#include "pg/serve/groups.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* When no more than one row in so many is left, these are scored alone; else all are scanned but for the others. */
#define LIST_SHARE 16

/* Rows looked at first for each one wanted when groups are limited */
#define GROUP_SHARE 4

typedef struct Ranked
{
	const TagrecRanking *ranking;
	TagrecChoice choice;
	TagrecSearch search;		/* of the rows that have no boost */
	TrScored   *other;			/* (n_other) rows with their scores: those that have one, or all that are listed */
	int32		n_other;
} Ranked;

static TrTopN
room_for(int32 n)
{
	TrTopN		top;

	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(TrScored)), n);
	return top;
}

/* ------------------------------------------------------------------ filters and boosts */

static int32
size_of(const uint64 *set, int32 rows)
{
	int32		size = 0;

	for (Size w = 0; w < TR_BIT_WORDS(rows); w++)
		size += pg_popcount64(set[w]);
	return size;
}

/* The rows that are not in a set, ascending; there are so many. */
static int32 *
rows_not_in(const uint64 *set, int32 rows, int32 size)
{
	int32	   *list = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1) * sizeof(int32));
	int32		n = 0;

	for (Size w = 0; w < TR_BIT_WORDS(rows); w++)
		for (uint64 word = ~set[w]; word && n < size; word &= word - 1)
			list[n++] = (int32) (w * 64) + pg_rightmost_one_pos64(word);
	return list;
}

static void
leave_out(TagrecSearch *search, const uint64 *out, int32 rows)
{
	int32		left = rows - size_of(out, rows);

	search->skip = NULL;
	search->n_skip = 0;
	if (left <= rows / LIST_SHARE)
	{
		search->only = rows_not_in(out, rows, left);
		search->n_only = left;
	}
	else
		search->out = out;
}

/* NULL when the row has none */
static const TagrecBoost *
boost_of(const TagrecChoice *choice, int32 row)
{
	int			low = 0;
	int			high = choice->n_boosts;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (choice->boost[middle].row < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low < choice->n_boosts && choice->boost[low].row == row ? &choice->boost[low] : NULL;
}

/* Scores the rows that have a boost and are not left out, which they then are. */
static void
score_boosted(Ranked *r, uint64 *out)
{
	TagrecSearch search = r->search;
	int32	   *only = palloc_extended(r->choice.n_boosts * sizeof(int32), MCXT_ALLOC_HUGE);
	TrTopN		top;

	search.only = only;
	search.n_only = 0;
	search.n_skip = 0;
	for (int i = 0; i < r->choice.n_boosts; i++)
		if (!tr_bit_test(out, r->choice.boost[i].row))
			only[search.n_only++] = r->choice.boost[i].row;
	search.n = search.n_only;
	top = tagrec_search(&search);
	for (int i = 0; i < top.count; i++)
		top.best[i].score = tagrec_boosted(boost_of(&r->choice, top.best[i].index), top.best[i].score);
	for (int i = 0; i < search.n_only; i++)
		tr_bit_set(out, only[i]);
	r->other = top.best;
	r->n_other = top.count;
}

/* The rows left out, to which others can be added. */
static uint64 *
own_set(const Ranked *r)
{
	Size		bytes = (TR_BIT_WORDS(r->ranking->matrix->rows) + 1) * sizeof(uint64);
	uint64	   *set;

	if (r->choice.out && !r->ranking->choice)
		return r->choice.out;
	set = palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (r->choice.out)
		memcpy(set, r->choice.out, bytes);
	return set;
}

static void
prepare_search(Ranked *r)
{
	const TagrecRanking *ranking = r->ranking;
	uint64	   *out;

	r->search = (TagrecSearch) {
		.scorer = ranking->scorer, .matrix = ranking->matrix, .query = ranking->query,
		.skip = ranking->skip, .n_skip = ranking->n_skip
	};
	if (!r->choice.out && r->choice.n_boosts == 0)
		return;
	out = own_set(r);
	for (int i = 0; i < ranking->n_skip; i++)
		tr_bit_set(out, ranking->skip[i]);
	if (r->choice.n_boosts > 0)
		score_boosted(r, out);
	leave_out(&r->search, out, ranking->matrix->rows);
}

static void
prepare_list(Ranked *r)
{
	const TagrecRanking *ranking = r->ranking;

	r->other = MemoryContextAllocHuge(CurrentMemoryContext, Max(ranking->n_listed, 1) * sizeof(TrScored));
	for (int32 i = 0; i < ranking->n_listed; i++)
	{
		TrScored	entry = ranking->listed[i];
		const TagrecBoost *boost = boost_of(&r->choice, entry.index);

		if ((r->choice.out && tr_bit_test(r->choice.out, entry.index)) ||
			tr_find_ascending(ranking->skip, ranking->n_skip, entry.index) >= 0)
			continue;
		if (boost)
			entry.score = tagrec_boosted(boost, entry.score);
		r->other[r->n_other++] = entry;
	}
}

/* The best rows by their boosted scores */
static TrTopN
best_rows(Ranked *r, int32 limit)
{
	TrTopN		found = {0};
	TrTopN		top;

	if (!r->ranking->listed)
	{
		r->search.n = limit;
		found = tagrec_search(&r->search);
		if (r->n_other == 0)
			return found;
	}
	top = room_for(Min(limit, found.count + r->n_other));
	for (int32 i = 0; i < found.count; i++)
		tr_topn_offer(&top, found.best[i].score, found.best[i].index);
	for (int32 i = 0; i < r->n_other; i++)
		tr_topn_offer(&top, r->other[i].score, r->other[i].index);
	tr_topn_sort(&top);
	return top;
}

/* ------------------------------------------------------------------ the list */

/* The first `depth` rows of the list in which no group has more than it may. */
static TrTopN
best_of_groups(Ranked *r, int32 depth)
{
	int32		rows = r->ranking->matrix->rows;
	int64		asked = depth;

	for (;;)
	{
		TrTopN		top;
		bool		all;

		asked = Min(asked * GROUP_SHARE, rows);
		top = best_rows(r, (int32) asked);
		all = top.count < asked || asked == rows;
		if (!r->choice.whole)
			tagrec_find_groups(&r->choice, &top);
		tagrec_cap_groups(&r->choice, &top);
		if (all || top.count >= depth)
			return top;
		pfree(top.best);
	}
}

static void
check_diversity(const TagrecRanking *ranking)
{
	const TagrecVersion *version = ranking->call->version;

	if (ranking->matrix->unit_width > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" does not support diversity", version->model),
			 errdetail("Its algorithm, %s, has no embeddings to compare.", version->algorithm),
			 errhint("Use max_per_group.")));
}

TrTopN
tagrec_ranked(const TagrecRanking *ranking, int32 *before)
{
	const TagrecRules *rules = ranking->rules;
	int32		rows = ranking->matrix->rows;
	int64		wanted = Min(Min(rules->after, rows) + ranking->n, rows);
	int64		depth = wanted;
	Ranked		r = {.ranking = ranking};
	TrTopN		top = {0};

	*before = (int32) Min(rules->after, wanted);
	if (ranking->choice)
		r.choice = *ranking->choice;
	else
		tagrec_choose(&r.choice, ranking->call, rules, ranking->matrix, ranking->users);
	if (rules->diversity > 0)
	{
		check_diversity(ranking);
		depth = Min(Max(depth, rules->pool), rows);
	}
	if (ranking->n == 0 || wanted == *before)
		return top;
	if (ranking->listed)
		prepare_list(&r);
	else
		prepare_search(&r);
	top = rules->max_per_group > 0 ? best_of_groups(&r, (int32) depth) : best_rows(&r, (int32) depth);
	if (rules->diversity > 0)
		tagrec_diversify(ranking->matrix, rules->diversity, rules->pool, (int32) wanted, &top);
	top.count = (int32) Min(top.count, wanted);
	*before = Min(*before, top.count);
	top.best += *before;
	top.count -= *before;
	return top;
}

/* ------------------------------------------------------------------ returning */

Oid
tagrec_result_type(FunctionCallInfo fcinfo, int n, const TagrecCall *call, bool users)
{
	Oid			asked = get_fn_expr_argtype(fcinfo->flinfo, n);
	Oid			stored = (users ? call->tables.users : call->tables.items)->key_type;
	Oid			function;

	/* A key becomes what an assignment to a column of that type would make of it; anything else is a mistake. */
	if (find_coercion_pathway(asked, stored, COERCION_ASSIGNMENT, &function) == COERCION_PATH_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s ids of model \"%s\" are of type %s, not %s", users ? "user" : "item", call->version->model,
						format_type_be(stored), format_type_be(asked)),
				 errhint("Use NULL::%s as the argument that says the type, or the function without _as for ids as text.",
						 format_type_be(stored))));
	return asked;
}

void
tagrec_key_writer(TagrecKeyWriter *writer, Oid key_type, Oid type)
{
	Oid			input;

	writer->type = type;
	writer->same = type == key_type;
	tagrec_key_output(key_type, &writer->output, CurrentMemoryContext);
	getTypeInputInfo(type, &input, &writer->parameter);
	fmgr_info(input, &writer->input);
}

Datum
tagrec_write_key(TagrecKeyWriter *writer, Datum key)
{
	char	   *text;
	Datum		value;

	if (writer->same)
		return key;
	text = OutputFunctionCall(&writer->output, key);
	if (writer->type == TEXTOID)
		value = CStringGetTextDatum(text);
	else
		value = InputFunctionCall(&writer->input, text, writer->parameter, -1);
	pfree(text);
	return value;
}

Datum
tagrec_copy_key(TagrecKeyWriter *writer, Datum key)
{
	int16		length;
	bool		by_value;

	if (!writer->same)
		return tagrec_write_key(writer, key);
	get_typlenbyval(writer->type, &length, &by_value);
	return datumCopy(key, by_value, length);
}

void
tagrec_rank(FunctionCallInfo fcinfo, const TagrecRanking *ranking)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		before;
	TrTopN		top = tagrec_ranked(ranking, &before);
	TagrecKeyWriter writer;

	tagrec_key_writer(&writer, ranking->matrix->key_type, ranking->key_type);
	for (int i = 0; i < top.count; i++)
	{
		Datum		values[3] = {
			Int32GetDatum(before + i + 1),
			tagrec_write_key(&writer, tagrec_matrix_key(ranking->matrix, top.best[i].index)),
			Float4GetDatum(top.best[i].score)
		};
		bool		nulls[3] = {false, false, ranking->unscored};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	tagrec_call_end(ranking->call);
}

void
tagrec_recommend_items(FunctionCallInfo fcinfo, TagrecCall *call, const float *query, const TrSparse *features,
					   const TagrecRow *user, bool exclude_seen, const TagrecRules *rules, int n, Oid item_type)
{
	TagrecScorer *scorer = tagrec_scorer(call, 1);
	TagrecRanking ranking = {
		.call = call, .matrix = scorer->items, .rules = rules, .scorer = scorer, .n = n, .key_type = item_type
	};

	tagrec_scorer_add(scorer, query, features);
	if (user)
		ranking.skip = tagrec_row_out(user, exclude_seen, &ranking.n_skip);
	tagrec_rank(fcinfo, &ranking);
}
