/*
 * Scores of held-out users in blocks: one GEMM a block, the sparse part and ranks on the host.
 * Legend: U users of a block, N items, W width of the arrays.
 */
#include <math.h>
#include <string.h>

#include "core/rating_validation.h"
#include "core/tag_validation.h"
#include "core/topn.h"
#include "core/validation.h"

#define BLOCK_USERS 256

typedef struct Validation
{
	TrModel    *model;
	const TrRanking *ranking;
	const TrDataset *dataset;	/* of the ranking, */
	const TrPairs *held_out;	/* as this */
	TrRankVisit visit;
	void	   *argument;
	int			width;
	float	   *items;			/* (N,W) backend memory; a network that scores pairs reads */
	float	   *host_items;		/* (N,W) these instead */
	float	   *users;			/* (U,W) backend memory */
	float	   *scores;			/* (U,N) backend memory */
	float	   *host_users;		/* (U,W) */
	float	   *host_scores;	/* (U,N) */
	int32_t    *rank;			/* (largest number of a user's held-out items) */
	float	   *bar;			/* (the same) their scores */
} Validation;

/* score (N) += the sparse part of the user's scores */
static TrStatus
add_sparse_part(Validation *v, int32_t user, float *score, TrError *err)
{
	const TrAlgorithm *algorithm = v->model->algorithm;
	TrSparse	features;

	if (!algorithm->user_features)
		return TR_OK;
	TR_TRY(algorithm->user_features(v->model, v->dataset, user, &features, err));
	for (int32_t f = 0; f < features.n; f++)
	{
		TrSparse	weights;

		TR_TRY(algorithm->feature_weights(v->model, features.index[f], &weights, err));
		for (int32_t i = 0; i < weights.n; i++)
			score[weights.index[i]] += features.value[f] * weights.value[i];
	}
	return TR_OK;
}

/* Removes the scores of items that are not candidates. */
static void
leave_out(const Validation *v, int32_t user, float *score)
{
	const TrDataset *d = v->dataset;

	for (int32_t i = d->dislikes ? d->dislikes->ptr[user] : 0; d->dislikes && i < d->dislikes->ptr[user + 1]; i++)
		score[d->dislikes->item[i]] = NAN;
	if (!v->held_out->with_seen)
		for (int32_t p = d->user_ptr[user]; p < d->user_ptr[user + 1]; p++)
			score[d->post_item[p]] = NAN;
	if (v->ranking->candidates)
		for (int32_t i = 0; i < d->n_items; i++)
			if (!tr_bit_test(v->ranking->candidates, i))
				score[i] = NAN;
}

/* Ranks one user's held-out items first..end-1. */
static void
rank_user(Validation *v, float *score, int32_t first, int32_t end)
{
	const int32_t *item = v->held_out->item + first;
	int32_t		user = v->held_out->user[first];
	int32_t		n = end - first;

	leave_out(v, user, score);
	for (int32_t r = 0; r < n; r++)
	{
		v->bar[r] = score[item[r]];
		v->rank[r] = 0;
	}
	tr_ranks_tile(v->rank, item, v->bar, n, score, 0, v->dataset->n_items);
	for (int32_t r = 0; r < n; r++)
		v->rank[r] = isnan(v->bar[r]) ? TR_UNRANKED : v->rank[r] + 1;
	v->visit(v->argument, user, v->rank, n);
}

static int32_t
end_of_user(const TrPairs *pairs, int32_t first)
{
	int32_t		end = first;

	while (end < pairs->count && pairs->user[end] == pairs->user[first])
		end++;
	return end;
}

/* host_scores (U,N) = what a network says of the users' arrays and the items' */
static TrStatus
score_by_network(Validation *v, int users, const TrPoll *poll, TrError *err)
{
	size_t		width = (size_t) v->width;

	for (int user = 0; user < users; user++)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		TR_TRY(v->model->algorithm->score_items(v->model, v->host_users + user * width, v->host_items, width,
												v->dataset->n_items, v->host_scores + (size_t) user * v->dataset->n_items,
												err));
	}
	return TR_OK;
}

/* host_scores (U,N) = host_users (U,W) items^T, or what the network says */
static TrStatus
score_block(Validation *v, int users, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = v->model->backend;

	if (v->width == 0)
	{
		memset(v->host_scores, 0, (size_t) users * v->dataset->n_items * sizeof(float));
		return TR_OK;
	}
	if (v->model->algorithm->score_items)
		return score_by_network(v, users, poll, err);
	b->ops->upload(b, v->users, v->host_users, (size_t) users * v->width * sizeof(float));
	b->ops->gemm(b, v->scores, v->dataset->n_items, v->users, v->width, false, v->items, v->width, true, users,
				 v->dataset->n_items, v->width, 1.0f, 0.0f);
	b->ops->download(b, v->host_scores, v->scores, (size_t) users * v->dataset->n_items * sizeof(float));
	return b->ops->finish(b, err);
}

/* Ranks one block of users, starting with the pair at *next. */
static TrStatus
rank_block(Validation *v, int32_t *next, const TrPoll *poll, TrError *err)
{
	const TrPairs *pairs = v->held_out;
	int			users = 0;
	int32_t		end = *next;

	for (; users < BLOCK_USERS && end < pairs->count; end = end_of_user(pairs, end), users++)
		if (v->width > 0)
			TR_TRY(v->model->algorithm->embed(v->model, TR_USER, v->dataset, pairs->user[end], 1,
											  v->host_users + (size_t) users * v->width, err));
	TR_TRY(score_block(v, users, poll, err));
	for (int user = 0; user < users; user++)
	{
		float	   *score = v->host_scores + (size_t) user * v->dataset->n_items;

		if (tr_poll_at(poll, "held-out pairs", *next, pairs->count))
			return TR_CANCELLED;
		TR_TRY(add_sparse_part(v, pairs->user[*next], score, err));
		end = end_of_user(pairs, *next);
		rank_user(v, score, *next, end);
		*next = end;
	}
	return TR_OK;
}

static int32_t
most_pairs(const TrPairs *pairs)
{
	int32_t		most = 1;

	for (int32_t first = 0, end; first < pairs->count; first = end)
	{
		end = end_of_user(pairs, first);
		if (end - first > most)
			most = end - first;
	}
	return most;
}

/* Scores and users on both sides, and the items', which are on the host only until they are uploaded. */
size_t
tr_rank_bytes(int width, int32_t n_items)
{
	size_t		N = (size_t) n_items;

	return 2 * sizeof(float) * (BLOCK_USERS * N + (BLOCK_USERS + N) * (size_t) width);
}

static TrStatus
allocate(Validation *v, TrError *err)
{
	TrBackend  *b = v->model->backend;
	TrMemory   *memory = v->model->memory;
	size_t		n_items = (size_t) v->dataset->n_items;
	size_t		width = v->width > 0 ? (size_t) v->width : 1;

	v->items = b->ops->alloc(b, n_items * width * sizeof(float));
	v->users = b->ops->alloc(b, BLOCK_USERS * width * sizeof(float));
	v->scores = b->ops->alloc(b, BLOCK_USERS * n_items * sizeof(float));
	v->host_users = tr_alloc(memory, BLOCK_USERS * width * sizeof(float));
	v->host_scores = tr_alloc(memory, BLOCK_USERS * n_items * sizeof(float));
	v->rank = tr_alloc(memory, (size_t) most_pairs(v->held_out) * sizeof(int32_t));
	v->bar = tr_alloc(memory, (size_t) most_pairs(v->held_out) * sizeof(float));
	if (!v->items || !v->users || !v->scores || !v->host_users || !v->host_scores || !v->rank || !v->bar)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while validating");
	return TR_OK;
}

static void
release(Validation *v)
{
	TrBackend  *b = v->model->backend;
	TrMemory   *memory = v->model->memory;

	b->ops->release(b, v->items);
	b->ops->release(b, v->users);
	b->ops->release(b, v->scores);
	tr_free(memory, v->host_items);
	tr_free(memory, v->host_users);
	tr_free(memory, v->host_scores);
	tr_free(memory, v->rank);
	tr_free(memory, v->bar);
}

/* score_items() reads what save() copied last. */
static TrStatus
copy_network(TrModel *model, TrError *err)
{
	TrTensor   *tensors;
	int			count;

	return tr_model_save(model, &tensors, &count, err);
}

static TrStatus
embed_items(Validation *v, TrError *err)
{
	TrBackend  *b = v->model->backend;
	size_t		bytes = (size_t) v->dataset->n_items * v->width * sizeof(float);
	float	   *host = tr_alloc(v->model->memory, bytes);
	TrStatus	status;

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while validating");
	status = v->model->algorithm->embed(v->model, TR_ITEM, v->dataset, 0, v->dataset->n_items, host, err);
	if (status == TR_OK)
		b->ops->upload(b, v->items, host, bytes);
	if (v->model->algorithm->score_items)
		v->host_items = host;
	else
		tr_free(v->model->memory, host);
	return status;
}

TrStatus
tr_rank(TrModel *model, const TrRanking *ranking, TrRankVisit visit, void *argument, const TrPoll *poll, TrError *err)
{
	Validation	v = {.model = model, .ranking = ranking, .dataset = ranking->dataset, .held_out = ranking->held_out,
	.visit = visit, .argument = argument};
	TrStatus	status;
	int32_t		next = 0;

	v.width = model->width;
	status = allocate(&v, err);
	if (status == TR_OK && model->algorithm->score_items)
		status = copy_network(model, err);
	if (status == TR_OK && v.width > 0)
		status = embed_items(&v, err);
	while (status == TR_OK && next < v.held_out->count)
		status = rank_block(&v, &next, poll, err);
	release(&v);
	return status;
}

typedef struct MetricMean
{
	TrMetric	metric;
	int			k;
	TrMean		mean;
} MetricMean;

static void
add_user(void *argument, int32_t user, int32_t *rank, int32_t n)
{
	MetricMean *m = argument;

	(void) user;
	tr_mean_add(&m->mean, tr_metric(m->metric, m->k, rank, n), tr_metric_weight(m->metric, n));
}

TrStatus
tr_validate_mean(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
				 const TrPoll *poll, TrMean *mean, TrError *err)
{
	TrRanking	ranking = {.dataset = dataset, .held_out = held_out, .candidates = held_out->candidates};
	MetricMean	all = {.metric = metric, .k = k};
	TrStatus	status;

	if (model->algorithm->task->tags)
		return tr_validate_tags(model, dataset, held_out, metric, k, poll, mean, err);
	if (model->algorithm->task->values)
		return tr_validate_ratings(model, dataset, held_out, metric, poll, mean, err);
	status = tr_rank(model, &ranking, add_user, &all, poll, err);
	*mean = all.mean;
	return status;
}

TrStatus
tr_validate(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
			const TrPoll *poll, double *value, TrError *err)
{
	TrMean		mean = {0};
	TrStatus	status = tr_validate_mean(model, dataset, held_out, metric, k, poll, &mean, err);

	*value = mean.count > 0 ? tr_metric_value(metric, &mean) : 0;
	return status;
}
