/*
 * A member's scores: one matrix product a block, and the sparse part on the host. See blend_scores.h.
 */
#include "models/blend/blend_scores.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

/* Items embedded between two polls */
#define EMBEDDED 32768

static TrStatus
embed_items(BlendScorer *s, const TrPoll *poll, TrError *err)
{
	const TrDataset *d = s->blend->model.dataset;
	TrBackend  *b = s->blend->model.backend;
	size_t		W = (size_t) s->member->width;
	int32_t		most = d->n_items < EMBEDDED ? d->n_items : EMBEDDED;
	float	   *host = TR_NEW(&s->work, float, (size_t) most * W);

	TR_TRY(tr_enough_memory(&s->work, err, "the embeddings of %d items", d->n_items));
	for (int32_t first = 0; first < d->n_items; first += most)
	{
		int32_t		n = d->n_items - first < most ? d->n_items - first : most;

		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(s->member->algorithm->embed(s->member->model, TR_ITEM, d, first, n, host, err));
		b->ops->upload(b, s->items + (size_t) first * W, host, (size_t) n * W * sizeof(float));
		TR_TRY(b->ops->finish(b, err));
	}
	tr_free(s->work.memory, host);
	return TR_OK;
}

/* Items of a sample: the deviation of so many scores is that of all within some hundredths. */
#define SAMPLE 4096

/* Users whose scores for so many items are found together */
static int
rows_of(const BlendScorer *s, int32_t columns)
{
	double		work = fmax(2.0 * columns * s->member->width, 1);
	double		rows = fmin(4 * tr_step_work(s->blend->model.backend) / work, BLEND_MOST_SCORES / columns);

	return (int) fmin(fmax(rows, 1), BLEND_BLOCK);
}

int
blend_scorer_rows(const BlendScorer *s)
{
	return rows_of(s, s->columns);
}

/* Scores of all items, or of a sample: more users of it go together */
static size_t
most_scores(const BlendScorer *s)
{
	int32_t		N = s->columns;
	int32_t		C = N < SAMPLE ? N : SAMPLE;
	size_t		all = (size_t) rows_of(s, N) * (size_t) N;
	size_t		some = (size_t) rows_of(s, C) * (size_t) C;

	return all > some ? all : some;
}

TrStatus
blend_scorer_open(BlendScorer *s, const Blend *blend, BlendMember *member, const TrPoll *poll, TrError *err)
{
	TrModel    *work = &s->work;
	size_t		N = (size_t) blend->model.dataset->n_items;
	size_t		W = (size_t) member->width;

	*s = (BlendScorer) {.blend = blend, .member = member, .columns = (int32_t) N};
	tr_start_work(work, &blend->model);
	s->host_scores = TR_NEW(work, float, most_scores(s));
	s->host_users = TR_NEW(work, float, BLEND_BLOCK * W);
	if (W > 0)
	{
		s->items = tr_device_floats(work, N * W);
		s->users = tr_device_floats(work, BLEND_BLOCK * W);
		s->scores = tr_device_floats(work, most_scores(s));
	}
	TR_TRY(tr_enough_memory(work, err, "the scores of %d users", blend_scorer_rows(s)));
	return W > 0 ? embed_items(s, poll, err) : TR_OK;
}

/* One item of each of C ranges of the catalogue */
TrStatus
blend_scorer_sample(BlendScorer *s, TrError *err)
{
	TrModel    *work = &s->work;
	TrBackend  *b = s->blend->model.backend;
	int32_t		N = s->blend->model.dataset->n_items;
	int32_t		C = N < SAMPLE ? N : SAMPLE;
	int32_t    *item = TR_NEW(work, int32_t, C);
	int32_t    *device_item;

	s->place = TR_NEW(work, int32_t, N);
	TR_TRY(tr_enough_memory(work, err, "a sample of %d items", C));
	memset(s->place, 0xff, (size_t) N * sizeof(int32_t));
	for (int32_t c = 0; c < C; c++)
	{
		int64_t		first = (int64_t) N * c / C;
		int64_t		end = (int64_t) N * (c + 1) / C;

		item[c] = (int32_t) first + (int32_t) tr_below(1, TR_STREAM_CHOICE, 2, (uint64_t) c, (uint64_t) (end - first));
		s->place[item[c]] = c;
	}
	s->columns = C;
	if (s->member->width == 0)
		return TR_OK;
	device_item = tr_to_device(work, item, (size_t) C * sizeof(int32_t));
	s->sampled = tr_device_floats(work, (size_t) C * (size_t) s->member->width);
	TR_TRY(tr_enough_memory(work, err, "a sample of %d items", C));
	b->ops->gather_rows(b, s->sampled, s->items, device_item, C, s->member->width);
	return b->ops->finish(b, err);
}

void
blend_scorer_close(BlendScorer *s)
{
	tr_end_work(&s->work);
}

/* host_scores (n,C) = host_users (n,W) items^T, or zeros */
static TrStatus
multiply(BlendScorer *s, int n, TrError *err)
{
	TrBackend  *b = s->blend->model.backend;
	int			C = s->columns;
	int			W = s->member->width;
	const float *items = s->sampled ? s->sampled : s->items;

	if (W == 0)
	{
		memset(s->host_scores, 0, (size_t) n * (size_t) C * sizeof(float));
		return TR_OK;
	}
	b->ops->upload(b, s->users, s->host_users, (size_t) n * (size_t) W * sizeof(float));
	b->ops->gemm(b, s->scores, C, s->users, W, false, items, W, true, n, C, W, 1, 0);
	b->ops->download(b, s->host_scores, s->scores, (size_t) n * (size_t) C * sizeof(float));
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
		{
			int32_t		place = s->place ? s->place[weights.index[i]] : weights.index[i];

			if (place >= 0)
				score[place] += features->value[f] * weights.value[i];
		}
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
	size_t		C = (size_t) s->columns;

	TR_TRY(embed_users(s, user, n, err));
	TR_TRY(multiply(s, n, err));
	for (int u = 0; s->member->features && u < n; u++)
	{
		TrSparse	features;

		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(a->user_features(s->member->model, d, user[u], &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) u * C, err));
	}
	return TR_OK;
}

TrStatus
blend_score_profiles(BlendScorer *s, const TrProfiles *profiles, TrError *err)
{
	const TrAlgorithm *a = s->member->algorithm;
	size_t		C = (size_t) s->columns;

	memset(s->host_users, 0, (size_t) profiles->rows * (size_t) s->member->width * sizeof(float));
	if (a->encode)
		TR_TRY(a->encode(s->member->model, TR_USER, profiles, s->host_users, err));
	TR_TRY(multiply(s, profiles->rows, err));
	for (int32_t r = 0; a->encode_features && r < profiles->rows; r++)
	{
		TrSparse	features;

		TR_TRY(a->encode_features(s->member->model, profiles, r, &features, err));
		TR_TRY(add_features(s, &features, s->host_scores + (size_t) r * C, err));
	}
	return TR_OK;
}
