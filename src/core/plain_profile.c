/*
 * Plain profiles of a batch: the rows of tag weights a network reads.
 */
#include "core/plain.h"
#include "core/rng.h"

#include <math.h>

/* Which posts a row may use. */
typedef struct Filter
{
	const TrProfileRule *rule;
	int32_t		without;		/* -1 = none */
} Filter;

static bool
keeps_post(const Filter *filter, int32_t post)
{
	const TrProfileRule *rule = filter->rule;

	return post != filter->without
		&& (rule->keep >= 1 || tr_uniform(rule->seed, TR_STREAM_KEEP, rule->step, (uint64_t) post) < rule->keep);
}

static bool
drops_tag(const TrProfileRule *rule, int row, int32_t tag)
{
	return rule->tag_dropout > 0
		&& tr_uniform(rule->seed, TR_STREAM_TAG_DROPOUT, rule->step,
					  (uint64_t) row << 32 | (uint32_t) tag) < rule->tag_dropout;
}

/* The rest of entry e. */
static float
kept_count(const TrProfileTable *table, int64_t e, const Filter *filter)
{
	float		count = 0;

	if (filter->rule->keep >= 1 && filter->without < 0)
		return table->count[e];
	for (int64_t o = table->occurrence_ptr[e]; o < table->occurrence_ptr[e + 1]; o++)
		if (keeps_post(filter, table->post[o]))
			count += table->weight ? table->weight[o] : 1;
	return count;
}

/* val (n) /= its norm, unless that is 0 */
static void
normalise(float *val, int64_t n, TrNorm kind)
{
	double		squares = 0;
	float		largest = 0;
	float		norm;

	for (int64_t e = 0; e < n; e++)
	{
		squares += (double) val[e] * val[e];
		largest = val[e] > largest ? val[e] : largest;
	}
	norm = kind == TR_NORM_L2 ? (float) sqrt(squares) : largest;
	if (kind != TR_NORM_NONE && norm > 0)
		for (int64_t e = 0; e < n; e++)
			val[e] /= norm;
}

/* Appends row r at entry `at`: first the counts, whose sum is the length, then the weights in their place. */
static int64_t
add_row(TrCsr *out, int64_t at, int r, const TrProfileTable *table, int32_t entity, const Filter *filter,
		const TrProfileWeights *weights)
{
	int64_t		end = at;
	int64_t		left = at;
	float		length = 0;

	for (int64_t e = table->entry_ptr[entity]; e < table->entry_ptr[entity + 1]; e++)
	{
		float		count = kept_count(table, e, filter);

		length += count;
		out->col[end] = table->tag[e];
		out->val[end] = count;
		end += count != 0;
	}
	for (int64_t e = at; e < end; e++)
		if (!drops_tag(filter->rule, r, out->col[e]))
		{
			out->col[left] = out->col[e];
			out->val[left++] = tr_tag_weight(weights, out->col[e], out->val[e], length);
		}
	normalise(out->val + at, left - at, weights->norm);
	return left;
}

void
tr_plain_profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
					  const int32_t *without_post, int R, const TrProfileWeights *weights, const TrProfileRule *rule)
{
	(void) b;
	out->rows = R;
	out->ptr[0] = 0;
	for (int r = 0; r < R; r++)
	{
		Filter		filter = {rule, without_post ? without_post[r] : -1};

		out->ptr[r + 1] = add_row(out, out->ptr[r], r, table, entity[r], &filter, weights);
	}
}
