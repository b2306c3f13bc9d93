/*
 * Ranks of held-out tags, in blocks of posts.
 * Legend: P posts of a block, T tags.
 */
#include <math.h>
#include <string.h>

#include "core/tag_post.h"
#include "core/tag_validation.h"

/* A block is as many posts as have this many scores, at most so many. */
#define BLOCK_SCORES (4 * 1024 * 1024)
#define BLOCK_POSTS 256

typedef struct Ranking
{
	TrModel    *model;
	const TrDataset *dataset;
	const TrPairs *held_out;
	TrTagRanks	told;
	void	   *argument;
	TrPostBlock block;
	float	   *scores;			/* (P,T) */
	int32_t    *rank;			/* (largest number of a post's held-out tags) */
	float	   *bar;			/* (the same) their scores */
} Ranking;

static int32_t
end_of_post(const TrPairs *p, int32_t first)
{
	int32_t		end = first;

	while (end < p->count && p->user[end] == p->user[first] && p->item[end] == p->item[first])
		end++;
	return end;
}

static size_t
most_tags(const TrPairs *pairs)
{
	int32_t		most = 1;

	for (int32_t first = 0, end; first < pairs->count; first = end)
	{
		end = end_of_post(pairs, first);
		if (end - first > most)
			most = end - first;
	}
	return (size_t) most;
}

static TrStatus
allocate(Ranking *r, TrError *err)
{
	TrMemory   *memory = r->model->memory;
	int32_t		n_tags = r->dataset->n_tags > 0 ? r->dataset->n_tags : 1;
	int32_t		posts = BLOCK_SCORES / n_tags;
	size_t		most = most_tags(r->held_out);

	posts = posts < 1 ? 1 : posts > BLOCK_POSTS ? BLOCK_POSTS : posts;
	TR_TRY(tr_post_block_init(&r->block, memory, r->model, r->dataset, posts, err));
	r->scores = tr_alloc(memory, (size_t) posts * (size_t) n_tags * sizeof(float));
	r->rank = tr_alloc(memory, most * sizeof(int32_t));
	r->bar = tr_alloc(memory, most * sizeof(float));
	if (!r->scores || !r->rank || !r->bar)
		return tr_fail(err, TR_NO_MEMORY, "out of memory while validating");
	return TR_OK;
}

static void
release(Ranking *r)
{
	if (r->block.memory)
		tr_post_block_free(&r->block);
	tr_free(r->model->memory, r->scores);
	tr_free(r->model->memory, r->rank);
	tr_free(r->model->memory, r->bar);
}

/* Ranks the held-out tags first..end-1 of one post. Tags that the post has lose their score. */
static void
rank_post(Ranking *r, const TrPost *post, float *score, int32_t first, int32_t end)
{
	const int32_t *tag = r->held_out->tag + first;
	int32_t		n = end - first;

	for (int32_t t = 0; t < post->n_given && !r->held_out->with_seen; t++)
		score[post->given[t]] = NAN;
	for (int32_t i = 0; i < n; i++)
	{
		r->bar[i] = score[tag[i]];
		r->rank[i] = 0;
	}
	tr_ranks_tile(r->rank, tag, r->bar, n, score, 0, r->dataset->n_tags);
	for (int32_t i = 0; i < n; i++)
		r->rank[i] = isnan(r->bar[i]) ? TR_UNRANKED : r->rank[i] + 1;
	r->told(r->argument, post->n_given, r->rank, n);
}

/* Scores and ranks one block of posts, starting with the assignment at *next. */
static TrStatus
rank_block(Ranking *r, int32_t *next, TrError *err)
{
	const TrPairs *h = r->held_out;
	int32_t		posts = 0;

	for (int32_t at = *next; posts < r->block.limit && at < h->count; at = end_of_post(h, at))
		TR_TRY(tr_post_block_set(&r->block, posts++, h->user[at], h->item[at], err));
	TR_TRY(r->model->algorithm->score_tags(r->model, r->block.post, posts, r->scores, err));
	for (int32_t p = 0; p < posts; p++)
	{
		int32_t		end = end_of_post(h, *next);

		rank_post(r, &r->block.post[p], r->scores + (size_t) p * (size_t) r->dataset->n_tags, *next, end);
		*next = end;
	}
	return TR_OK;
}

/* score_tags() reads what save() copied last. */
static TrStatus
save(TrModel *model, TrError *err)
{
	TrTensor   *tensors;
	int			count;

	return tr_model_save(model, &tensors, &count, err);
}

TrStatus
tr_rank_tags(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrTagRanks told, void *argument,
			 const TrPoll *poll, TrError *err)
{
	Ranking		r = {.model = model, .dataset = dataset, .held_out = held_out, .told = told, .argument = argument};
	TrStatus	status;
	int32_t		next = 0;

	if (held_out->count > 0 && !held_out->tag)
		return tr_fail(err, TR_BAD_DATA,
					   "algorithm \"%s\" recommends tags and is evaluated on (user, item, tag) rows, not on pairs",
					   model->algorithm->name);
	status = save(model, err);
	if (status == TR_OK)
		status = allocate(&r, err);
	while (status == TR_OK && next < held_out->count)
		status = tr_poll_at(poll, "held-out tags", next, held_out->count) ? TR_CANCELLED : rank_block(&r, &next, err);
	release(&r);
	return status;
}

typedef struct PostMean
{
	TrMetric	metric;
	int			k;
	TrMean		mean;
} PostMean;

static void
add_post(void *argument, int32_t n_given, int32_t *rank, int32_t n)
{
	PostMean   *m = argument;

	(void) n_given;
	tr_mean_add(&m->mean, tr_metric(m->metric, m->k, rank, n), tr_metric_weight(m->metric, n));
}

TrStatus
tr_validate_tags(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
				 const TrPoll *poll, TrMean *mean, TrError *err)
{
	PostMean	all = {.metric = metric, .k = k};
	TrStatus	status = tr_rank_tags(model, dataset, held_out, add_post, &all, poll, err);

	*mean = all.mean;
	return status;
}
