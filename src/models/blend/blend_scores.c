/*
 * A member's scores: one matrix product a block, and the sparse part on the host. See blend_scores.h.
 */
#include <string.h>

#include "models/blend/blend_scores.h"

static TrStatus
embed_items(BlendScorer *s, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	TrBackend  *b = s->blend->model.backend;
	size_t		floats = (size_t) d->n_items * (size_t) s->member->width;
	float	   *host = TR_NEW(&s->work, float, floats);

	TR_TRY(tr_enough_memory(&s->work, err, "the embeddings of %d items", d->n_items));
	TR_TRY(s->member->algorithm->embed(s->member->model, TR_ITEM, d, 0, d->n_items, host, err));
	b->ops->upload(b, s->items, host, floats * sizeof(float));
	TR_TRY(b->ops->finish(b, err));
	tr_free(s->work.memory, host);
	return TR_OK;
}

TrStatus
blend_scorer_open(BlendScorer *s, const Blend *blend, BlendMember *member, TrError *err)
{
	TrModel    *work = &s->work;
	size_t		N = (size_t) blend->model.dataset->n_items;
	size_t		W = (size_t) member->width;

	*s = (BlendScorer) {.blend = blend, .member = member};
	tr_start_work(work, &blend->model);
	s->host_scores = TR_NEW(work, float, BLEND_BLOCK * N);
	s->host_users = TR_NEW(work, float, BLEND_BLOCK * W);
	if (W > 0)
	{
		s->items = tr_device_floats(work, N * W);
		s->users = tr_device_floats(work, BLEND_BLOCK * W);
		s->scores = tr_device_floats(work, BLEND_BLOCK * N);
	}
	TR_TRY(tr_enough_memory(work, err, "the scores of %d users", BLEND_BLOCK));
	return W > 0 ? embed_items(s, err) : TR_OK;
}

void
blend_scorer_close(BlendScorer *s)
{
	tr_end_work(&s->work);
}

/* host_scores (n,N) = host_users (n,W) items^T, or zeros */
static TrStatus
multiply(BlendScorer *s, int n, TrError *err)
{
	TrBackend  *b = s->blend->model.backend;
	int			N = s->blend->model.dataset->n_items;
	int			W = s->member->width;

	if (W == 0)
	{
		memset(s->host_scores, 0, (size_t) n * (size_t) N * sizeof(float));
		return TR_OK;
	}
	b->ops->upload(b, s->users, s->host_users, (size_t) n * (size_t) W * sizeof(float));
	b->ops->gemm(b, s->scores, N, s->users, W, false, s->items, W, true, n, N, W, 1, 0);
	b->ops->download(b, s->host_scores, s->scores, (size_t) n * (size_t) N * sizeof(float));
	return b->ops->finish(b, err);
}

static TrStatus
add_features(const BlendScorer *s, const TrSparse *features, float *score, TrError *err)
{
	for (int32_t f = 0; f < features->n; f++)
	{
		TrSparse	weights;

		TR_TRY(s->member->algorithm->feature_weights(s->member->model, features->index[f], &weights, err));
		for (int32_t i = 0; i < weights.n; i++)
			score[weights.index[i]] += features->value[f] * weights.value[i];
	}
	return TR_OK;
}

/* host_users (n,W); users one after the other are embedded together */
static TrStatus
embed_users(BlendScorer *s, const int32_t *user, int n, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	size_t		W = (size_t) s->member->width;

	for (int first = 0, end; W > 0 && first < n; first = end)
	{
		for (end = first + 1; end < n && user[end] == user[end - 1] + 1;)
			end++;
		TR_TRY(a->embed(s->member->model, TR_USER, s->blend->model.dataset, user[first], end - first,
						s->host_users + (size_t) first * W, err));
	}
	return TR_OK;
}

TrStatus
blend_score_users(BlendScorer *s, const int32_t *user, int n, const TrPoll *poll, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	const TrDataset *d = s->blend->model.dataset;

	TR_TRY(embed_users(s, user, n, err));
	TR_TRY(multiply(s, n, err));
	for (int u = 0; s->member->features && u < n; u++)
	{
		TrSparse	features;

		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(a->user_features(s->member->model, d, user[u], &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) u * (size_t) d->n_items, err));
	}
	return TR_OK;
}

TrStatus
blend_score_profiles(BlendScorer *s, const TrProfiles *profiles, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	size_t		N = (size_t) s->blend->model.dataset->n_items;

	memset(s->host_users, 0, (size_t) profiles->rows * (size_t) s->member->width * sizeof(float));
	if (a->encode)
		TR_TRY(a->encode(s->member->model, TR_USER, profiles, s->host_users, err));
	TR_TRY(multiply(s, profiles->rows, err));
	for (int32_t r = 0; a->encode_features && r < profiles->rows; r++)
	{
		TrSparse	features;

		TR_TRY(a->encode_features(s->member->model, profiles, r, &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) r * N, err));
	}
	return TR_OK;
}
