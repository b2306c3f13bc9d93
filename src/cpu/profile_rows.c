/*
 * Profiles of a batch. Any thread writes a row to where it would be if all its entity's entries were kept; then the rows
 * are compacted in order.
 */
#include "core/rng.h"
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <math.h>

#define ROWS 32					/* per task */
#define DRAWN 512				/* tags whose random numbers are drawn at a time */

typedef struct Profiles
{
	TrCsr	   *out;			/* ptr[r] = where row r is written */
	int32_t    *kept;			/* (R) entries of each row */
	const TrProfileTable *table;
	const int32_t *entity;
	const int32_t *without_post;
	int			R;
	const TrProfileWeights *weights;
	const TrProfileRule *rule;
	const float *logs;
} Profiles;

/* Is the post among those first..end-1 of an entry, which ascend? */
TR_INLINE bool
has_post(const int32_t *post, int64_t first, int64_t end, int32_t wanted)
{
	while (first < end)
	{
		int64_t		middle = first + (end - first) / 2;

		if (post[middle] < wanted)
			first = middle + 1;
		else
			end = middle;
	}
	return post[first] == wanted;
}

/* The count of entry e without one post, where each counts 1: that is exact, however long the entry is */
TR_INLINE float
count_without(const TrProfileTable *table, int64_t e, int32_t without)
{
	int64_t		first = table->occurrence_ptr[e];
	int64_t		last = table->occurrence_ptr[e + 1] - 1;

	return table->count[e] - (last >= first && has_post(table->post, first, last, without));
}

/* The rest of entry e over the posts that the rule keeps and that are not `without`; key is that of the rule's draws */
TR_INLINE float
kept_count(const TrProfileTable *table, int64_t e, const TrProfileRule *rule, uint64_t key, int32_t without)
{
	float		count = 0;

	for (int64_t o = table->occurrence_ptr[e]; o < table->occurrence_ptr[e + 1]; o++)
	{
		int32_t		post = table->post[o];

		if (post == without)
			continue;
		if (rule->keep < 1 && !(tr_uniform_of(key, (uint64_t) post) < rule->keep))
			continue;
		count += table->weight ? table->weight[o] : 1;
	}
	return count;
}

/* Counts of the row to col and val; returns how many are not 0, and their sum. */
static int
count_row(const Profiles *w, int r, int32_t *col, float *val, float *length)
{
	const TrProfileTable *table = w->table;
	int32_t		without = w->without_post ? w->without_post[r] : -1;
	bool		all = w->rule->keep >= 1;
	bool		whole = all && without < 0;
	bool		but_one = all && !whole && !table->weight;
	uint64_t	key = tr_random_key(w->rule->seed, TR_STREAM_KEEP, w->rule->step);
	int64_t		first = table->entry_ptr[w->entity[r]];
	int64_t		end = table->entry_ptr[w->entity[r] + 1];
	int			n = 0;

	*length = 0;
	for (int64_t e = first; e < end; e++)
	{
		float		count = whole ? table->count[e] : but_one ? count_without(table, e, without)
			: kept_count(table, e, w->rule, key, without);

		*length += count;
		col[n] = table->tag[e];
		val[n] = count;
		n += count != 0;
	}
	return n;
}

/* stays[e] = does the tag outlive the dropout in this row? */
TR_SIMD static void
draw_tags(int32_t *stays, const int32_t *tag, int n, uint64_t key, uint64_t row, float dropout)
{
	for (int e = 0; e < n; e++)
	{
		uint64_t	random = tr_random_of(key, row << 32 | (uint32_t) tag[e]);

		/* tr_uniform_of(), by way of 32 bits, which more processors convert side by side */
		stays[e] = !((float) (int32_t) (random >> 40) * (1.0f / 16777216.0f) < dropout);
	}
}

/*
 * Those of n tags that have a count and outlive the dropout, in their order; returns how many. col and val may be tag and
 * count.
 */
static int
take_tags(const TrProfileRule *rule, int r, const int32_t *tag, const float *count, int64_t n, int32_t *col, float *val)
{
	uint64_t	key = tr_random_key(rule->seed, TR_STREAM_TAG_DROPOUT, rule->step);
	bool		drops = rule->tag_dropout > 0;
	int			left = 0;

	for (int64_t first = 0; first < n; first += DRAWN)
	{
		int			m = n - first < DRAWN ? (int) (n - first) : DRAWN;
		int32_t		stays[DRAWN];

		if (drops)
			draw_tags(stays, tag + first, m, key, (uint64_t) r, rule->tag_dropout);
		for (int e = 0; e < m; e++)
		{
			float		c = count[first + e];

			col[left] = tag[first + e];
			val[left] = c;
			left += c != 0 && (!drops || stays[e]);
		}
	}
	return left;
}

/* One less of each tag that the post gave, where it is in the row; what has nothing left is left out. */
static int
take_post_away(const TrProfileTable *table, int32_t without, int32_t *col, float *val, int n)
{
	int64_t		last = table->post_ptr[without + 1];
	bool		gone = false;
	int			left = 0;

	for (int64_t t = table->post_ptr[without], e = 0; t < last; t++)
	{
		while (e < n && col[e] < table->post_tag[t])
			e++;
		if (e < n && col[e] == table->post_tag[t])
			gone |= --val[e] == 0;
	}
	if (!gone)
		return n;
	for (int e = 0; e < n; e++)
	{
		col[left] = col[e];
		val[left] = val[e];
		left += val[e] != 0;
	}
	return left;
}

/*
 * The counts of a row after dropout, col and val; returns how many, and the sum of all counts before it, which BM25 alone
 * asks for: without it, what is dropped is not counted.
 */
static int
take_row(const Profiles *w, int r, int32_t *col, float *val, float *length)
{
	const TrProfileTable *table = w->table;
	int32_t		without = w->without_post ? w->without_post[r] : -1;
	int64_t		first = table->entry_ptr[w->entity[r]];
	int64_t		end = table->entry_ptr[w->entity[r] + 1];
	int			n;

	if (w->rule->keep < 1 || w->weights->weighting == TR_WEIGHT_BM25
		|| (without >= 0 && (table->weight || !table->post_ptr)))
	{
		n = count_row(w, r, col, val, length);
		return w->rule->tag_dropout > 0 ? take_tags(w->rule, r, col, val, n, col, val) : n;
	}
	*length = 0;
	n = take_tags(w->rule, r, table->tag + first, table->count + first, end - first, col, val);
	return without < 0 ? n : take_post_away(table, without, col, val, n);
}

/* ln(1 + count), from the table for the counts that occur most */
TR_INLINE float
log_count(const float *logs, float count)
{
	return count >= 0 && count < TR_CPU_LOGS && count == (float) (int) count ? logs[(int) count] : log1pf(count);
}

/* val[e] = ln(1 + val[e]) idf[col[e]] where all are in the table; false where one is not */
TR_SIMD static bool
weigh_small(const float *logs, const float *idf, const int32_t *col, float *val, int n)
{
	int			others = 0;

	for (int e = 0; e < n; e++)
		others |= !(val[e] >= 0 && val[e] < TR_CPU_LOGS && val[e] == (float) (int) val[e]);
	for (int e = 0; e < n && !others; e++)
		val[e] = logs[(int) val[e]] * idf[col[e]];
	return !others;
}

static void
weigh(const Profiles *w, const int32_t *col, float *val, int n, float length)
{
	const TrProfileWeights *p = w->weights;

	if (p->weighting == TR_WEIGHT_LOG_TFIDF && weigh_small(w->logs, p->idf, col, val, n))
		return;
	for (int e = 0; e < n; e++)
	{
		if (p->weighting == TR_WEIGHT_LOG)
			val[e] = log_count(w->logs, val[e]);
		else if (p->weighting == TR_WEIGHT_LOG_TFIDF)
			val[e] = log_count(w->logs, val[e]) * p->idf[col[e]];
		else
			val[e] = tr_tag_weight(p, col[e], val[e], length);
	}
}

TR_SIMD static float
largest_or_length(const float *val, int n, TrNorm kind)
{
	float		squares = 0;
	float		top = 0;

	if (kind == TR_NORM_MAX)
	{
		for (int e = 0; e < n; e++)
			top = val[e] > top ? val[e] : top;
		return top;
	}
	for (int e = 0; e < n; e++)
		squares += val[e] * val[e];
	return sqrtf(squares);
}

/* val (n) /= its norm, unless that is 0 */
TR_SIMD static void
normalise(float *val, int n, TrNorm kind)
{
	float		norm;

	if (kind == TR_NORM_NONE)
		return;
	norm = largest_or_length(val, n, kind);
	if (norm > 0)
		for (int e = 0; e < n; e++)
			val[e] /= norm;
}

/* Profiles lie anywhere in the table: where the next ones begin is on its way while a row is being filled. */
static void
prefetch(const Profiles *w, int r, int end)
{
	const TrProfileTable *table = w->table;

	if (r + 4 < end)
		__builtin_prefetch(&table->entry_ptr[w->entity[r + 4]]);
	if (r + 2 >= end)
		return;
	for (int64_t line = 0, first = table->entry_ptr[w->entity[r + 2]]; line < 4; line++)
	{
		__builtin_prefetch(table->tag + first + line * 16);
		__builtin_prefetch(table->count + first + line * 16);
	}
}

static void
fill_rows(void *argument, int task)
{
	const Profiles *w = argument;
	int			end = (int) tr_block_end(w->R, ROWS, task);

	for (int r = task * ROWS; r < end; r++)
	{
		int32_t    *col = w->out->col + w->out->ptr[r];
		float	   *val = w->out->val + w->out->ptr[r];
		float		length;
		int			n;

		prefetch(w, r, end);
		n = take_row(w, r, col, val, &length);
		weigh(w, col, val, n, length);
		normalise(val, n, w->weights->norm);
		w->kept[r] = n;
	}
}

static void
move_together(const Profiles *w)
{
	TrCsr	   *out = w->out;
	int64_t		at = 0;

	for (int r = 0; r < w->R; r++)
	{
		int64_t		from = out->ptr[r];

		if (from != at)
		{
			memmove(out->col + at, out->col + from, sizeof(int32_t) * w->kept[r]);
			memmove(out->val + at, out->val + from, sizeof(float) * w->kept[r]);
		}
		out->ptr[r] = at;
		at += w->kept[r];
	}
	out->ptr[w->R] = at;
}

void
tr_cpu_profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
					const int32_t *without_post, int R, const TrProfileWeights *weights, const TrProfileRule *rule)
{
	Profiles	w = {
		.out = out, .table = table, .entity = entity, .without_post = without_post, .R = R, .weights = weights,
		.rule = rule, .logs = tr_cpu(b)->logs
	};

	w.kept = tr_cpu_scratch(b, sizeof(int32_t) * R);
	if (!w.kept)
		return;
	out->rows = R;
	out->ptr[0] = 0;
	for (int r = 0; r < R; r++)
		out->ptr[r + 1] = out->ptr[r] + table->entry_ptr[entity[r] + 1] - table->entry_ptr[entity[r]];
	tr_cpu_run(b, fill_rows, &w, tr_blocks(R, ROWS));
	move_together(&w);
}
