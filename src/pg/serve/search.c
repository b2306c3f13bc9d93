/*
 * Searching. See search.h.
 */
#include "pg/serve/search.h"

#include "core/scan.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "utils/memutils.h"

/* A search for more than one in so many rows reads them all. */
#define LIMIT_SHARE 16

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

/* A search under way, as core/scan.h sees it. */
typedef struct Searching
{
	const TagrecSearch *search;
	Direction	direction;		/* without a scorer */
} Searching;

static void
score_rows(void *argument, float *score, int32 first, int32 n)
{
	const Searching *s = argument;

	CHECK_FOR_INTERRUPTS();
	if (s->search->scorer)
		tagrec_score_tile(s->search->scorer, score, n, first, n);
	else
		cosine_tile(&s->direction, score, first, n);
}

static void
finish_rows(void *argument, float *score, int32 first, int32 n)
{
	const Searching *s = argument;

	CHECK_FOR_INTERRUPTS();
	if (s->search->scorer)
		tagrec_score_finish(s->search->scorer, score, first, n);
	else
		divide_by_norms(score, s->direction.matrix->unit_norm + first, n, s->direction.norm);
}

/* Its pages are touched as far as they are used. */
static TrScanRoom room;

static TagrecSearchCounts counts;

const TagrecSearchCounts *
tagrec_searches(void)
{
	return &counts;
}

/* Can the search go by bounds? Not when a network scores, nor when most rows are wanted. */
static bool
bounds_of(Searching *s, TagrecMatrix *matrix, int32 limit, TrCodeQuery *query)
{
	const TagrecScorer *scorer = s->search->scorer;
	const TrCodes *codes;

	if (!tagrec_fast_scan || limit > matrix->rows / LIMIT_SHARE || (scorer && scorer->network))
		return false;
	codes = tagrec_matrix_codes(matrix);
	return codes && tr_codes_query(query, codes, scorer ? scorer->vector : s->direction.unit);
}

static void
search_all(Searching *s, TagrecMatrix *matrix, TrTopN *top)
{
	TrCodeQuery query;
	TrScan		scan = {
		.rows = matrix->rows,
		.score = score_rows,
		.finish = finish_rows,
		.arg = s,
		.skip = s->search->skip,
		.n_skip = s->search->n_skip,
		.out = s->search->out,
		.matrix = matrix->value,
		.stride = matrix->stride
	};

	if (bounds_of(s, matrix, top->limit, &query))
	{
		tr_scan_by_bounds(&scan, &query, top, &room);
		counts.by_bounds++;
	}
	else
		tr_scan_plain(&scan, top, &room);
	counts.searches++;
	counts.rows += scan.rows;
	counts.scored += scan.scored;
}

static void
search_some(Searching *s, TrTopN *top)
{
	const TagrecSearch *search = s->search;
	int			skipped = 0;

	for (int i = 0; i < search->n_only; i++)
	{
		int32		row = search->only[i];
		float		score;

		while (skipped < search->n_skip && search->skip[skipped] < row)
			skipped++;
		if (skipped < search->n_skip && search->skip[skipped] == row)
			continue;
		score_rows(s, &score, row, 1);
		tr_topn_offer(top, score, row);
	}
}

TrTopN
tagrec_search(const TagrecSearch *search)
{
	TagrecMatrix *matrix = search->scorer ? search->scorer->items : search->matrix;
	int32		limit = Min(search->n, search->only ? search->n_only : matrix->rows);
	Searching	s = {.search = search};
	TrTopN		top;

	if (!search->scorer)
		s.direction = direction_of(matrix, search->query);
	tr_topn_init(&top, MemoryContextAllocHuge(CurrentMemoryContext, Max(limit, 1) * sizeof(TrScored)), limit);
	if (limit > 0 && search->only)
		search_some(&s, &top);
	else if (limit > 0)
		search_all(&s, matrix, &top);
	tr_topn_sort(&top);
	return top;
}
