/*
 * pitf: batches and steps. Legend: see pitf.h.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "models/pitf.h"
#include "models/rows.h"

/* Draws of a tag that the post lacks, before the tags are tried in turn. */
#define TRIES 64

/* Floats gathered between two polls: 0.1 s of one slow core. */
#define POLL_FLOATS 20000000

/* ------------------------------------------------------------------ batches */

size_t
pitf_batch_ints(int P, int N)
{
	return 8 * (size_t) P + 5 * pitf_tags_of_batch(P, N);
}

static int32_t *
carve_rows(PitfRows *rows, int32_t *memory, size_t n)
{
	*rows = (PitfRows) {memory, memory + n, memory + 2 * n, memory + 3 * n};
	return memory + 4 * n;
}

PitfBatch
pitf_carve_batch(int32_t *memory, int P, int N)
{
	PitfBatch	batch;

	memory = carve_rows(&batch.rows[PITF_ENTITIES], memory, 2 * (size_t) P);
	batch.post = carve_rows(&batch.rows[PITF_TAGS], memory, pitf_tags_of_batch(P, N));
	return batch;
}

static int
compare_pairs(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return (x > y) - (x < y);
}

static int
compare_places(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static bool
has_tag(const TrDataset *d, int32_t post, int32_t tag)
{
	int64_t		low = d->post_ptr[post];
	int64_t		high = d->post_ptr[post + 1];

	while (low < high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (d->post_tag[middle] < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low < d->post_ptr[post + 1] && d->post_tag[low] == tag;
}

/* A tag that the post lacks; the n-th for this assignment in this epoch. */
static int32_t
draw_negative(const Pitf *m, int epoch, int32_t assignment, int n)
{
	const TrDataset *d = m->dataset;
	int32_t		post = m->post_of[assignment];
	uint64_t	first = ((uint64_t) assignment * (uint64_t) m->options.negatives + (uint64_t) n) * TRIES;
	bool		alike = m->options.sampling == PITF_UNIFORM;
	uint64_t	choices = (uint64_t) (alike ? d->n_tags : d->n_assignments);
	int32_t		tag = 0;

	for (uint64_t i = 0; i < TRIES; i++)
	{
		tag = (int32_t) tr_below(m->options.seed, TR_STREAM_NEGATIVE, (uint64_t) epoch, first + i, choices);
		tag = alike ? tag : d->post_tag[tag];
		if (!has_tag(d, post, tag))
			return tag;
	}
	while (has_tag(d, post, tag))
		tag = (tag + 1) % d->n_tags;
	return tag;
}

/* The n assignments from `first` of the order on, sorted: pairs, by post; and the tags drawn for them. */
static void
list_pairs(Pitf *m, int epoch, int32_t first, int n)
{
	const TrDataset *d = m->dataset;
	int			N = m->options.negatives;
	int32_t    *entity = m->host.rows[PITF_ENTITIES].index;
	int32_t    *tag = m->host.rows[PITF_TAGS].index;
	int32_t		last = -1;
	int32_t		posts = 0;

	qsort(m->order + first, (size_t) n, sizeof(int32_t), compare_pairs);
	for (int p = 0; p < n; p++)
	{
		int32_t		assignment = m->order[first + p];
		int32_t		post = m->post_of[assignment];

		if (post != last)
		{
			entity[2 * posts] = d->post_user[post];
			entity[2 * posts + 1] = d->n_users + d->post_item[post];
			posts++;
			last = post;
		}
		m->host.post[p] = posts - 1;
		tag[p] = d->post_tag[assignment];
		for (int k = 0; k < N; k++)
		{
			m->host.post[n + p * N + k] = posts - 1;
			tag[n + p * N + k] = draw_negative(m, epoch, assignment, k);
		}
	}
	m->table[PITF_ENTITIES].n_gathered = 2 * posts;
	m->table[PITF_TAGS].n_gathered = n * (1 + N);
}

/* The rows that a table gathers, in their own order. */
static void
sort_rows(Pitf *m, int which)
{
	PitfTable  *t = &m->table[which];
	PitfRows   *rows = &m->host.rows[which];
	int			distinct = 0;

	for (int i = 0; i < t->n_gathered; i++)
		m->sort[i] = (uint64_t) rows->index[i] << 32 | (uint64_t) i;
	qsort(m->sort, (size_t) t->n_gathered, sizeof(uint64_t), compare_places);
	for (int i = 0; i < t->n_gathered; i++)
	{
		int32_t		row = (int32_t) (m->sort[i] >> 32);

		if (distinct == 0 || rows->distinct[distinct - 1] != row)
			rows->distinct[distinct++] = row;
		rows->slot[i] = distinct - 1;
		rows->from[i] = (int32_t) (m->sort[i] & UINT32_MAX);
	}
	t->n_distinct = distinct;
}

/* ------------------------------------------------------------------ a step */

static void
gather(Pitf *m, int which)
{
	TrBackend  *b = m->model.backend;
	PitfTable  *t = &m->table[which];

	b->ops->gather_rows(b, t->gathered, t->rows, m->batch.rows[which].index, t->n_gathered, t->width);
}

/* score (n) of pairs first … first+n-1 of what was gathered */
static void
score_pairs(Pitf *m, int first, int n)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const float *posts = m->table[PITF_ENTITIES].gathered;
	const float *tags = m->table[PITF_TAGS].gathered + (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores(b, m->score + first, posts, tags, m->batch.post + first, n, 2, m->D, pitf_gamma(o),
								(float) o->scale);
	else
		b->ops->pair_scores(b, m->score + first, posts, tags, m->batch.post + first, n, 2 * m->D);
}

static void
score_pairs_backward(Pitf *m, int first, int n, const float *dscore)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const PitfTable *posts = &m->table[PITF_ENTITIES];
	const PitfTable *tags = &m->table[PITF_TAGS];
	size_t		at = (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
										 tags->gathered + at, m->batch.post + first, n, 2, m->D, pitf_gamma(o),
										 (float) o->scale);
	else
		b->ops->pair_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
									 tags->gathered + at, m->batch.post + first, n, 2 * m->D);
}

/* score (n + nN): the loss of a pair is that of a softmax over it and the tags drawn for it */
static void
rank_loss(Pitf *m, int n)
{
	TrBackend  *b = m->model.backend;
	int			N = m->options.negatives;
	TrSoftmax	softmax = {.users = n, .columns = N, .logits = m->score + n, .pair_ptr = m->pair_ptr,
		.pair_column = m->no_column, .pair_weight = m->ones, .pair_logit = m->score, .pair_dlogit = m->dscore,
	.include_positive = true, .scale = 1, .loss = m->loss};

	score_pairs(m, 0, n);
	score_pairs(m, n, n * N);
	b->ops->softmax_loss(b, &softmax);
}

/* The gradients of all that was gathered. */
static void
backward(Pitf *m, int n)
{
	TrBackend  *b = m->model.backend;
	PitfTable  *posts = &m->table[PITF_ENTITIES];

	b->ops->zero(b, posts->dgathered, (size_t) posts->n_gathered * (size_t) m->D * sizeof(float));
	score_pairs_backward(m, 0, n, m->dscore);
	score_pairs_backward(m, n, n * m->options.negatives, m->score + n);
}

/* The rows of a table learn from what was gathered of them, the penalty among it. */
static void
learn(Pitf *m, int which, int64_t number)
{
	TrBackend  *b = m->model.backend;
	PitfTable  *t = &m->table[which];
	const PitfRows *rows = &m->batch.rows[which];
	float		penalty = (float) (2 * m->options.regularization);
	TrOptimizer o = {.kind = (TrOptimizerKind) m->options.optimizer, .rate = (float) m->options.learning_rate,
	.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .step = number};

	b->ops->zero(b, t->gradient, (size_t) t->n_distinct * (size_t) t->width * sizeof(float));
	b->ops->scatter_rows(b, t->gradient, rows->slot, t->dgathered, rows->from, t->n_gathered, t->width, 1);
	b->ops->scatter_rows(b, t->gradient, rows->slot, t->gathered, rows->from, t->n_gathered, t->width, penalty);
	b->ops->update_rows(b, &o, t->rows, t->gradient, t->m, t->v, rows->distinct, t->n_distinct, t->width);
}

static void
step(Pitf *m, int n, int64_t number)
{
	TrBackend  *b = m->model.backend;

	b->ops->upload(b, m->backend_memory, m->host_memory, pitf_batch_ints(m->P, m->options.negatives) * sizeof(int32_t));
	gather(m, PITF_ENTITIES);
	gather(m, PITF_TAGS);
	rank_loss(m, n);
	backward(m, n);
	learn(m, PITF_ENTITIES, number);
	learn(m, PITF_TAGS, number);
}

TrStatus
pitf_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Pitf	   *m = (Pitf *) model;
	TrBackend  *b = model->backend;
	int64_t		batches = (m->n_pairs + m->P - 1) / m->P;
	int64_t		between = 1 + POLL_FLOATS / ((int64_t) pitf_tags_of_batch(m->P, m->options.negatives) * 2 * m->D);
	double		loss;

	tr_shuffle(m->order, m->n_pairs, m->options.seed, epoch);
	b->ops->zero(b, m->loss, sizeof(double));
	for (int64_t i = 0; i < batches; i++)
	{
		int32_t		first = (int32_t) (i * m->P);
		int			n = m->n_pairs - first < m->P ? m->n_pairs - first : m->P;

		if (i % between == 0 && tr_poll(poll))
			return TR_CANCELLED;
		list_pairs(m, epoch, first, n);
		sort_rows(m, PITF_ENTITIES);
		sort_rows(m, PITF_TAGS);
		tr_begin_step(b);
		step(m, n, (epoch - 1) * batches + i + 1);
		tr_end_step(b);
	}
	b->ops->download(b, &loss, m->loss, sizeof(double));
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->n_pairs;
	stats->loss = loss / m->n_pairs;
	return TR_OK;
}
