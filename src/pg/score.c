/*
 * Searching a matrix, and returning what was found. See score.h.
 */
#include "score.h"

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

/* Inner products of the unit parts become cosines; what has no direction is like nothing. */
static void
divide_by_norms(float *score, const float *norm, int n, float query_norm)
{
	for (int i = 0; i < n; i++)
	{
		float		product = norm[i] * query_norm;

		score[i] = product > 0 ? score[i] / product : 0;
	}
}

void
tagrec_add(float *score, const float *sparse, int n)
{
	for (int i = 0; i < n; i++)
		score[i] += sparse[i];
}

/* The query, without what similarity does not look at. */
static const float *
effective_query(const TagrecSearch *search)
{
	float	   *unit;

	if (!search->cosine)
		return search->query;
	unit = tagrec_padded_vectors(1, search->matrix->width);
	memcpy(unit, search->query, search->matrix->unit_width * sizeof(float));
	return unit;
}

static void
search_all(const TagrecSearch *search, const float *query, float query_norm, TrTopN *top)
{
	const TagrecMatrix *m = search->matrix;
	float	   *score = palloc(BLOCK_ROWS * sizeof(float));

	for (int32 first = 0; first < m->rows; first += BLOCK_ROWS)
	{
		int			n = Min(BLOCK_ROWS, m->rows - first);

		CHECK_FOR_INTERRUPTS();
		tr_dot_block(score, n, query, 1, tagrec_matrix_row(m, first), n, m->stride);
		if (search->cosine)
			divide_by_norms(score, m->unit_norm + first, n, query_norm);
		if (search->sparse)
			tagrec_add(score, search->sparse + first, n);
		tr_topn_scan(top, score, first, n, search->skip);
	}
}

static void
search_some(const TagrecSearch *search, const float *query, float query_norm, TrTopN *top)
{
	const TagrecMatrix *m = search->matrix;

	for (int i = 0; i < search->n_only; i++)
	{
		int32		row = search->only[i];
		float		score;

		if (i % BLOCK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (search->skip && tr_bit_test(search->skip, row))
			continue;
		score = tr_dot(query, tagrec_matrix_row(m, row), m->stride);
		if (search->cosine)
			divide_by_norms(&score, m->unit_norm + row, 1, query_norm);
		if (search->sparse)
			tagrec_add(&score, search->sparse + row, 1);
		tr_topn_offer(top, score, row);
	}
}

TrTopN
tagrec_search(const TagrecSearch *search)
{
	TrTopN		top;
	const float *query = effective_query(search);
	float		query_norm = search->cosine ? tagrec_norm(query, search->matrix->unit_width) : 0;
	int32		choice = search->only ? search->n_only : search->matrix->rows;
	int32		limit = Min(search->n, choice);

	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(limit, 1) * sizeof(TrScored)), limit);
	if (limit > 0 && search->only)
		search_some(search, query, query_norm, &top);
	else if (limit > 0)
		search_all(search, query, query_norm, &top);
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
	TagrecSearch search = {.query = query, .n = n};
	TrTopN		top;

	if (candidates)
		search.only = tagrec_find_positions(call, candidates, &search.n_only);
	if (seen)
		search.skip = tagrec_seen_set(seen, call->version->items);
	search.matrix = tagrec_call_items(call);
	search.sparse = tagrec_sparse_scores(call, features);
	top = tagrec_search(&search);
	tagrec_return_ranking(fcinfo, call, search.matrix, &top, item_type);
}
