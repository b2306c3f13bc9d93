/*
 * Scanning for the best rows. See scan.h.
 *
 * The bar is the worst of the n best scores so far. A row whose bound is below it is not among the n best, in the end
 * neither: the bar only rises. A row whose bound is the bar may be, as ties go by the index, and is scored. What is left
 * out, or done, has NaN for a bound, which reaches no bar, and for a score, which the heap refuses.
 */
#include "core/scan.h"

#include <math.h>
#include <string.h>

/* Rows scored together */
#define TILE 256

/* When more than a quarter of a tile's rows is to be scored, all of it is: neighbours cost less than rows alone. */
#define DENSE (TILE / 4)

/* Rows alone are asked for so many ahead. */
#define AHEAD 4

static float
bar_of(const TrTopN *top)
{
	return top->count < top->limit ? -INFINITY : top->best[0].score;
}

/* NaN for the rows of a set; first is a multiple of 64, and there is room for n rounded up to 4. */
static void
leave_out_set(const uint64_t *out, float *value, int32_t first, int32_t n)
{
	/* a number with all bits set is NaN */
	static const uint32_t mask[16][4] = {
		{0, 0, 0, 0}, {~0u, 0, 0, 0}, {0, ~0u, 0, 0}, {~0u, ~0u, 0, 0},
		{0, 0, ~0u, 0}, {~0u, 0, ~0u, 0}, {0, ~0u, ~0u, 0}, {~0u, ~0u, ~0u, 0},
		{0, 0, 0, ~0u}, {~0u, 0, 0, ~0u}, {0, ~0u, 0, ~0u}, {~0u, ~0u, 0, ~0u},
		{0, 0, ~0u, ~0u}, {~0u, 0, ~0u, ~0u}, {0, ~0u, ~0u, ~0u}, {~0u, ~0u, ~0u, ~0u}
	};

	for (int32_t i = 0; i < n; i += 4)
	{
		uint64_t	word = out[(first + i) >> 6];
		const uint32_t *four = mask[word >> (i & 63) & 15];
		uint32_t	bits[4];

		if (word == 0)
		{
			i |= 60;			/* to the end of the word */
			continue;
		}

		memcpy(bits, value + i, sizeof(bits));
		for (int k = 0; k < 4; k++)
			bits[k] |= four[k];
		memcpy(value + i, bits, sizeof(bits));
	}
}

/* NaN for the rows of skip that are among first .. first+n-1; *next = the first of skip that is not before them. */
static void
leave_out(const TrScan *scan, int *next, float *value, int32_t first, int32_t n)
{
	for (; *next < scan->n_skip && scan->skip[*next] < first + n; ++*next)
		value[scan->skip[*next] - first] = NAN;
	if (scan->out)
		leave_out_set(scan->out, value, first, n);
}

/* ------------------------------------------------------------------ all rows */

void
tr_scan_plain(TrScan *scan, TrTopN *top, TrScanRoom *room)
{
	float	   *score = room->bound;
	int			next = 0;

	for (int32_t first = 0; first < scan->rows; first += 4 * TILE)
	{
		int32_t		n = scan->rows - first < 4 * TILE ? scan->rows - first : 4 * TILE;

		scan->score(scan->arg, score, first, n);
		leave_out(scan, &next, score, first, n);
		tr_topn_scan(top, score, first, n, NULL);
	}
	scan->scored += scan->rows;
}

/* ------------------------------------------------------------------ by bounds */

static void
look_ahead(const TrScan *scan, int32_t row)
{
	const float *x = scan->matrix + (size_t) row * scan->stride;

	for (size_t k = 0; k < scan->stride; k += TR_DOT_PAD)
		__builtin_prefetch(x + k);
}

static void
score_alone(TrScan *scan, TrTopN *top, int32_t row)
{
	float		score;

	scan->score(scan->arg, &score, row, 1);
	tr_topn_offer(top, score, row);
	scan->scored++;
}

/* While the heap is not full, the rows with the best bounds go first: then there is a bar worth its name. */
static void
sow(TrScan *scan, TrTopN *top, TrScanRoom *room, int32_t first, int32_t n)
{
	TrTopN		seeds;

	tr_topn_init(&seeds, room->seed, top->limit < TR_SCAN_SEEDS ? top->limit : TR_SCAN_SEEDS);
	tr_topn_scan(&seeds, room->bound, first, n, NULL);
	for (int32_t i = 0; i < seeds.count; i++)
		look_ahead(scan, seeds.best[i].index);
	for (int32_t i = 0; i < seeds.count; i++)
	{
		score_alone(scan, top, seeds.best[i].index);
		room->bound[seeds.best[i].index - first] = NAN;
	}
}

/* row = those whose bounds reach the bar; returns how many */
static int32_t
reaching(int32_t *row, const float *bound, float bar, int32_t first, int32_t n)
{
	int32_t		count = 0;

	for (int32_t start = 0; start < n; start += 16)
	{
		int32_t		end = start + 16 < n ? start + 16 : n;
		int			any = 0;

		if (end - start == 16)
		{
			for (int32_t i = 0; i < 16; i++)
				any |= bound[start + i] >= bar;
			if (!any)
				continue;
		}
		for (int32_t i = start; i < end; i++)
		{
			row[count] = first + i;
			count += bound[i] >= bar;
		}
	}
	return count;
}

static void
score_sparse(TrScan *scan, TrTopN *top, const TrScanRoom *room, int32_t first, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
	{
		if (i + AHEAD < count)
			look_ahead(scan, room->row[i + AHEAD]);
		if (room->bound[room->row[i] - first] >= bar_of(top))
			score_alone(scan, top, room->row[i]);
	}
}

/* A tile of which many rows are to be scored. */
static void
score_tile(TrScan *scan, TrTopN *top, const float *bound, int32_t first, int32_t n)
{
	float		score[TILE];

	scan->score(scan->arg, score, first, n);
	for (int32_t i = 0; i < n; i++)
		score[i] = isnan(bound[i]) ? NAN : score[i];
	tr_topn_scan(top, score, first, n, NULL);
	scan->scored += n;
}

static void
score_dense(TrScan *scan, TrTopN *top, TrScanRoom *room, int32_t first, int32_t n)
{
	for (int32_t start = 0; start < n; start += TILE)
	{
		int32_t		tile = n - start < TILE ? n - start : TILE;
		int32_t		count = reaching(room->row, room->bound + start, bar_of(top), first + start, tile);

		if (count > DENSE)
			score_tile(scan, top, room->bound + start, first + start, tile);
		else
			score_sparse(scan, top, room, first, count);
	}
}

void
tr_scan_part(TrScan *scan, const TrCodeQuery *query, TrTopN *top, TrScanRoom *room, int32_t first)
{
	int32_t		n = scan->rows - first < TR_SCAN_CHUNK ? scan->rows - first : TR_SCAN_CHUNK;
	int32_t		count;

	if (top->limit <= 0)
		return;
	tr_codes_bounds(query, room->bound, first, n);
	if (scan->finish)
		scan->finish(scan->arg, room->bound, first, n);
	leave_out(scan, &scan->next, room->bound, first, n);
	if (top->count < top->limit)
		sow(scan, top, room, first, n);
	count = reaching(room->row, room->bound, bar_of(top), first, n);
	if (count > n / 4)
		score_dense(scan, top, room, first, n);
	else
		score_sparse(scan, top, room, first, count);
}

void
tr_scan_by_bounds(TrScan *scan, const TrCodeQuery *query, TrTopN *top, TrScanRoom *room)
{
	scan->next = 0;
	for (int32_t first = 0; first < scan->rows; first += TR_SCAN_CHUNK)
		tr_scan_part(scan, query, top, room, first);
}
