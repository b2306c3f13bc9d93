/*
 * Searching, and returning what was found. See search.h.
 */
#include "pg/serve/search.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* Rows scored between two looks at the interrupts. */
#define BLOCK_ROWS 1024

/* ------------------------------------------------------------------ searching */

/* Inner products of the unit parts become cosines; a zero vector is similar to nothing. */
static void
divide_by_norms(float *score, const float *norm, int n, float query_norm)
{
	for (int i = 0; i < n; i++)
	{
		float		product = norm[i] * query_norm;

		score[i] = product > 0 ? score[i] / product : 0;
	}
}

/* The unit part of a vector, and its length. */
typedef struct Direction
{
	const TagrecMatrix *matrix;
	float	   *unit;			/* padded */
	float		norm;
} Direction;

static Direction
direction_of(const TagrecMatrix *matrix, const float *query)
{
	Direction	direction = {.matrix = matrix, .unit = tagrec_padded_vectors(1, matrix->width)};

	memcpy(direction.unit, query, matrix->unit_width * sizeof(float));
	direction.norm = tagrec_norm(query, matrix->unit_width);
	return direction;
}

/* score (n) = the cosines of rows first .. first+n-1 */
static void
cosine_tile(const Direction *direction, float *score, int32 first, int32 n)
{
	const TagrecMatrix *m = direction->matrix;

	tr_dot_block(score, n, direction->unit, 1, tagrec_matrix_row(m, first), n, m->stride);
	divide_by_norms(score, m->unit_norm + first, n, direction->norm);
}

static void
score_rows(const TagrecSearch *search, const Direction *direction, float *score, int32 first, int32 n)
{
	if (search->scorer)
		tagrec_score_tile(search->scorer, score, n, first, n);
	else
		cosine_tile(direction, score, first, n);
}

static void
search_all(const TagrecSearch *search, const Direction *direction, int32 rows, TrTopN *top)
{
	float	   *score = palloc(BLOCK_ROWS * sizeof(float));

	for (int32 first = 0; first < rows; first += BLOCK_ROWS)
	{
		int32		n = Min(BLOCK_ROWS, rows - first);

		CHECK_FOR_INTERRUPTS();
		score_rows(search, direction, score, first, n);
		tr_topn_scan(top, score, first, n, search->skip);
	}
}

static void
search_some(const TagrecSearch *search, const Direction *direction, TrTopN *top)
{
	for (int i = 0; i < search->n_only; i++)
	{
		int32		row = search->only[i];
		float		score;

		if (i % BLOCK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (search->skip && tr_bit_test(search->skip, row))
			continue;
		score_rows(search, direction, &score, row, 1);
		tr_topn_offer(top, score, row);
	}
}

TrTopN
tagrec_search(const TagrecSearch *search)
{
	int32		rows = search->scorer ? search->scorer->items->rows : search->matrix->rows;
	int32		limit = Min(search->n, search->only ? search->n_only : rows);
	Direction	direction = {0};
	TrTopN		top;

	if (!search->scorer)
		direction = direction_of(search->matrix, search->query);
	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(limit, 1) * sizeof(TrScored)), limit);
	if (limit > 0 && search->only)
		search_some(search, &direction, &top);
	else if (limit > 0)
		search_all(search, &direction, rows, &top);
	tr_topn_sort(&top);
	return top;
}

uint64 *
tagrec_seen_set(const TagrecRow *row, int32 items)
{
	uint64	   *set = palloc0((TR_BIT_WORDS(items) + 1) * sizeof(uint64));

	for (int i = 0; i < row->n_seen; i++)
		tr_bit_set(set, row->seen[i]);
	return set;
}

/* ------------------------------------------------------------------ returning */

void
tagrec_return_ranking(FunctionCallInfo fcinfo, TagrecCall *call, const TagrecMatrix *matrix, const TrTopN *top,
					  Oid key_type)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			input;
	Oid			parameter;
	FmgrInfo	function;
	FmgrInfo	output;

	tagrec_key_output(matrix->key_type, &output);
	getTypeInputInfo(key_type, &input, &parameter);
	fmgr_info(input, &function);
	for (int i = 0; i < top->count; i++)
	{
		char	   *key = OutputFunctionCall(&output, matrix->key[top->best[i].index]);
		Datum		values[3] = {Int32GetDatum(i + 1), 0, Float4GetDatum(top->best[i].score)};
		bool		nulls[3] = {false, false, false};

		CHECK_FOR_INTERRUPTS();
		if (key_type == TEXTOID)
			values[1] = CStringGetTextDatum(key);
		else
			values[1] = InputFunctionCall(&function, key, parameter, -1);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(key);
	}
	tagrec_call_end(call);
}

void
tagrec_recommend_items(FunctionCallInfo fcinfo, TagrecCall *call, const float *query, const TrSparse *features,
					   const TagrecRow *seen, ArrayType *candidates, int n, Oid item_type)
{
	TagrecScorer *scorer = tagrec_scorer(call, 1);
	TagrecSearch search = {.scorer = scorer, .n = n};
	TrTopN		top;

	tagrec_scorer_add(scorer, query, features);
	if (candidates)
		search.only = tagrec_find_positions(call, candidates, &search.n_only);
	if (seen)
		search.skip = tagrec_seen_set(seen, call->version->items);
	top = tagrec_search(&search);
	tagrec_return_ranking(fcinfo, call, scorer->items, &top, item_type);
}
