/*
 * pitf: batches and steps. Legend: see pitf.h.
 */
#include "core/rng.h"
#include "models/pitf/pitf.h"
#include "models/nn/rows.h"

/* Draws of a tag that the post lacks, before the tags are tried in turn. */
#define TRIES 64

/* Floats gathered between two polls: 0.1 s of one slow core. */
#define POLL_FLOATS 20000000

/* ------------------------------------------------------------------ batches */

TrStatus
pitf_create_batch(Pitf *m, TrError *err)
{
	TrModel    *model = &m->model;
	size_t		P = (size_t) m->P;
	size_t		M = pitf_tags_of_batch(m->P, m->options.negatives);

	m->sort = TR_NEW(model, uint64_t, M > 2 * P ? M : 2 * P);
	tr_batch_ints(&m->ints, model, 8 * P + 5 * M);
	TR_TRY(tr_enough_memory(model, err, "the factors of users, items and tags"));
	tr_carve_gathered(&m->ints, &m->table[PITF_ENTITIES], 2 * P);
	tr_carve_gathered(&m->ints, &m->table[PITF_TAGS], M);
	tr_carve(&m->ints, &m->post, &m->batch_post, M);
	return tr_rank_loss_create(&m->loss, model, m->P, m->options.negatives, err);
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
	const TrDataset *d = m->model.dataset;
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
	const TrDataset *d = m->model.dataset;
	int			N = m->options.negatives;
	int32_t    *entity = m->table[PITF_ENTITIES].host.index;
	int32_t    *tag = m->table[PITF_TAGS].host.index;
	int32_t		last = -1;
	int32_t		posts = 0;

	tr_sort_ints(m->order + first, (size_t) n);
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
		m->post[p] = posts - 1;
		tag[p] = d->post_tag[assignment];
		for (int k = 0; k < N; k++)
		{
			m->post[n + p * N + k] = posts - 1;
			tag[n + p * N + k] = draw_negative(m, epoch, assignment, k);
		}
	}
	m->table[PITF_ENTITIES].n_gathered = 2 * posts;
	m->table[PITF_TAGS].n_gathered = n * (1 + N);
	tr_factors_sort(&m->table[PITF_ENTITIES], m->sort);
	tr_factors_sort(&m->table[PITF_TAGS], m->sort);
}

/* ------------------------------------------------------------------ a step */

/* score (n) of pairs first … first+n-1 of what was gathered */
static void
score_pairs(Pitf *m, int first, int n)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const float *posts = m->table[PITF_ENTITIES].gathered;
	const float *tags = m->table[PITF_TAGS].gathered + (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores(b, m->loss.score + first, posts, tags, m->batch_post + first, n, 2, m->D, pitf_gamma(o),
								(float) o->scale);
	else
		b->ops->pair_scores(b, m->loss.score + first, posts, tags, m->batch_post + first, n, 2 * m->D);
}

static void
score_pairs_backward(Pitf *m, int first, int n, const float *dscore)
{
	TrBackend  *b = m->model.backend;
	const PitfOptions *o = &m->options;
	const TrFactors *posts = &m->table[PITF_ENTITIES];
	const TrFactors *tags = &m->table[PITF_TAGS];
	size_t		at = (size_t) first * 2 * (size_t) m->D;

	if (o->sigma > 0)
		b->ops->gaussian_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
										 tags->gathered + at, m->batch_post + first, n, 2, m->D, pitf_gamma(o),
										 (float) o->scale);
	else
		b->ops->pair_scores_backward(b, posts->dgathered, tags->dgathered + at, dscore, posts->gathered,
									 tags->gathered + at, m->batch_post + first, n, 2 * m->D);
}

/* The gradients of all that was gathered. */
static void
backward(Pitf *m, int n)
{
	TrBackend  *b = m->model.backend;
	TrFactors  *posts = &m->table[PITF_ENTITIES];

	b->ops->zero(b, posts->dgathered, (size_t) posts->n_gathered * (size_t) m->D * sizeof(float));
	score_pairs_backward(m, 0, n, m->loss.dscore);
	score_pairs_backward(m, n, n * m->options.negatives, m->loss.score + n);
}

static void
step(Pitf *m, int n, int64_t number)
{
	const PitfOptions *o = &m->options;
	TrBackend  *b = m->model.backend;
	TrOptimizer optimizer = tr_optimizer(o->optimizer, o->learning_rate, number, 0);

	b->ops->upload(b, m->ints.device, m->ints.host, m->ints.n * sizeof(int32_t));
	for (int t = PITF_ENTITIES; t <= PITF_TAGS; t++)
		tr_factors_gather(b, &m->table[t]);
	score_pairs(m, 0, n);
	score_pairs(m, n, n * o->negatives);
	tr_rank_loss(b, &m->loss, n, o->negatives);
	backward(m, n);
	for (int t = PITF_ENTITIES; t <= PITF_TAGS; t++)
		tr_factors_learn(b, &m->table[t], &optimizer, o->regularization);
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
	b->ops->zero(b, m->loss.loss, sizeof(double));
	for (int64_t i = 0; i < batches; i++)
	{
		int32_t		first = (int32_t) (i * m->P);
		int			n = m->n_pairs - first < m->P ? m->n_pairs - first : m->P;

		if (i % between == 0 && tr_poll(poll))
			return TR_CANCELLED;
		list_pairs(m, epoch, first, n);
		tr_begin_step(b);
		step(m, n, (epoch - 1) * batches + i + 1);
		tr_end_step(b);
	}
	b->ops->download(b, &loss, m->loss.loss, sizeof(double));
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = m->n_pairs;
	stats->loss = loss / m->n_pairs;
	return TR_OK;
}
