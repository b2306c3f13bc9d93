/*
 * Scores of items for users. See scorer.h.
 */
#include "pg/serve/scorer.h"

TagrecScorer *
tagrec_scorer(TagrecCall *call, int users)
{
	TagrecScorer *scorer = palloc0(sizeof(TagrecScorer));

	scorer->network = tagrec_call_network(call);
	scorer->items = tagrec_call_items(call);
	scorer->caution = tagrec_call_caution(call);
	scorer->width = call->version->width;
	scorer->stride = scorer->items->stride;
	scorer->limit = users;
	if (call->version->features)
	{
		scorer->neighbours = tagrec_call_neighbours(call);
		scorer->limit = tagrec_neighbours_block(scorer->neighbours, users);
		scorer->sparse = MemoryContextAllocHuge(CurrentMemoryContext,
												(Size) scorer->limit * (scorer->items->rows + 1) * sizeof(float));
	}
	scorer->vector = tagrec_padded_vectors(scorer->limit, scorer->width);
	return scorer;
}

static float *
sparse_part(const TagrecScorer *scorer, int u)
{
	return scorer->sparse + (Size) u * scorer->items->rows;
}

void
tagrec_scorer_add(TagrecScorer *scorer, const float *embedding, const TrSparse *features)
{
	int			u = scorer->users++;

	Assert(u < scorer->limit);
	memcpy(scorer->vector + u * scorer->stride, embedding, scorer->width * sizeof(float));
	if (!scorer->neighbours)
		return;
	memset(sparse_part(scorer, u), 0, (Size) scorer->items->rows * sizeof(float));
	tagrec_neighbours_scatter(scorer->neighbours, features, sparse_part(scorer, u));
}

TagrecScorer
tagrec_scorer_of(const TagrecScorer *scorer, int u)
{
	TagrecScorer one = *scorer;

	one.vector += u * one.stride;
	if (one.neighbours)
		one.sparse = sparse_part(scorer, u);
	one.users = one.limit = 1;
	return one;
}

static void
score_by_network(const TagrecScorer *scorer, float *score, size_t ld, int32 first, int32 n)
{
	for (int u = 0; u < scorer->users; u++)
		tagrec_score_items(scorer->network, scorer->vector + u * scorer->stride, tagrec_matrix_row(scorer->items, first),
						   scorer->stride, n, score + u * ld);
}

/* What a score has beside that of the arrays. */
static void
add_others(const TagrecScorer *scorer, int u, float *score, int32 first, int32 n)
{
	const float *sparse = scorer->neighbours ? sparse_part(scorer, u) + first : NULL;

	for (int32 i = 0; sparse && i < n; i++)
		score[i] += sparse[i];
	for (int32 i = 0; scorer->caution && i < n; i++)
		score[i] -= scorer->caution[first + i];
}

void
tagrec_score_tile(const TagrecScorer *scorer, float *score, size_t ld, int32 first, int32 n)
{
	if (scorer->network)
		score_by_network(scorer, score, ld, first, n);
	else
		tr_dot_block(score, ld, scorer->vector, scorer->users, tagrec_matrix_row(scorer->items, first), n, scorer->stride);
	for (int u = 0; u < scorer->users && (scorer->neighbours || scorer->caution); u++)
		add_others(scorer, u, score + u * ld, first, n);
}

void
tagrec_score_finish(const TagrecScorer *scorer, float *score, int32 first, int32 n)
{
	Assert(!scorer->network);
	add_others(scorer, 0, score, first, n);
}

float
tagrec_score_arrays(TagrecEncoder *network, const float *user, const float *item, int width)
{
	size_t		stride = tr_dot_stride(width);
	float		score;

	if (!network)
		return tr_dot(user, item, stride);
	tagrec_score_items(network, user, item, stride, 1, &score);
	return score;
}

float
tagrec_score_pair(const TagrecScorer *scorer, int u, int32 item)
{
	float		score = tagrec_score_arrays(scorer->network, scorer->vector + u * scorer->stride,
											tagrec_matrix_row(scorer->items, item), scorer->width);

	if (scorer->neighbours)
		score += sparse_part(scorer, u)[item];
	return scorer->caution ? score - scorer->caution[item] : score;
}
