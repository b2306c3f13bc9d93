/*
 * folkrank: PageRank on the graph of users, items and tags, and what preferring the post's user and item changes in it
 * (Hotho et al. 2006, Jaeschke et al. 2007). With A the row-stochastic matrix of the graph and a preference p of sum |p|,
 *
 *     w(p) = (1 - d) sum over k of (d A^T)^k p                     the fixed point of w <- d A^T w + (1 - d) p
 *     score(t) = w(p)[t] / |p| - share(t)
 *     p = 1 for every node, 1 + U for the post's user, 1 + I for its item: the paper's; or 1 + preference V for both
 *     share(t) = degree of t / sum of the degrees                  what w is for d = 1, without a preference
 *
 * w is linear in p, so that what a user, or an item, does to the tags is computed once, at training, and kept as its array:
 *
 *     w(p)[t] = sum over all nodes v of G[v,t] + (p[user] - 1) G[user,t] + (p[item] - 1) G[item,t],    G[v,t] = w(only
 *     v)[t]
 *
 * The graph has no directions: degree(v) A^k[v,t] = degree(t) A^k[t,v], so G comes from the walks that start at tags, of
 * which there are fewer: G[v,t] = w(only t)[v] degree(t) / degree(v). The sum over k ends where what is left is below
 * `tolerance`.
 *
 * An array has all of G[v,·], T wide, or the `tags` numbers that differ most from the mean over the users (the items), each
 * as a difference and a tag; where an array is silent, the mean holds.
 * Legend: see folkrank.h; m = tags kept, W width of the arrays: T, or 2m.
 */
#include <math.h>
#include <string.h>

#include "core/topn.h"
#include "models/tags/folkrank.h"

/* A tag's number as a float is exact below. */
#define MOST_TAGS (1 << 24)

typedef struct FolkOptions
{
	double		damping;
	double		tolerance;
	double		preference;
	int			tags;
} FolkOptions;

#define OPTION(field) offsetof(FolkOptions, field)

static const TrOption option_rows[] = {
	{"damping", TR_OPTION_REAL, OPTION(damping), "0.7", 0.01, 0.99, NULL,
	"damping factor: share of a node's weight spread to its neighbours in each iteration; the rest is the preference (d "
	"in the paper)"},
	{"tolerance", TR_OPTION_REAL, OPTION(tolerance), "0.03", 1e-9, 0.5, NULL,
	"convergence tolerance: total distance of all node weights from their limits at which iteration stops"},
	{"preference", TR_OPTION_REAL, OPTION(preference), "10", 0, 1e6, NULL,
	"preference weight of the post's user and item, relative to 1 for all nodes together; 0 = as in the paper, the "
	"number of users and of items"},
	{"tags", TR_OPTION_INT, OPTION(tags), "200", 0, 1000000, NULL,
	"number of tags stored per user and item, those that differ most from the mean; 0 = all"},
};

static const TrSetting paper[] = {
	{"damping", "0.7"}, {"tolerance", "0.000001"}, {"preference", "0"}, {"tags", "0"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = TR_OPTION_SET(option_rows, FolkOptions, .presets = presets);

typedef struct Folk
{
	TrModel		model;
	FolkOptions options;
	int			kept;			/* m; 0 = all */
	FolkGraph	graph;
	TrScored   *best;			/* (U+I,m) while training; index is the tag, or ~tag where the difference is negative */
	TrTopN	   *top;			/* (U+I) */

	/* tensors */
	float	   *nodes;			/* (2) U, I; more than 2^24 are stored as about so many, good enough for a weight */
	float	   *base;			/* (T) sum over all nodes v of G[v,t] */
	float	   *share;			/* (T) */
	float	   *mean[2];		/* (T) by TrSide: mean over the users of G[user,t]; 0 when arrays are T wide */
	float	   *array[2];		/* (U,W), (I,W), of a model in training alone */
} Folk;

/* As many as T / 2 tags with their numbers are no shorter than all of them. */
static int
kept_tags(const FolkOptions *o, int32_t n_tags)
{
	return o->tags > 0 && 2 * (int64_t) o->tags < n_tags ? o->tags : 0;
}

static size_t
estimate(const TrShape *shape, const void *values)
{
	const FolkOptions *o = values;
	size_t		entities = (size_t) shape->n_users + (size_t) shape->n_items;
	size_t		kept = (size_t) kept_tags(o, shape->n_tags);
	size_t		width = kept > 0 ? 2 * kept : (size_t) shape->n_tags;

	/* arrays, a second time where the best epoch is kept; or what they are made from */
	return folk_graph_estimate(shape) + 2 * entities * width * sizeof(float) + (kept > 0 ? entities * sizeof(TrTopN) : 0)
		+ 4 * ((size_t) shape->n_tags + 1) * sizeof(float);
}

/* ------------------------------------------------------------------ life */

static TrStatus
check_dataset(const TrDataset *d, TrError *err)
{
	if (d->n_tags > MOST_TAGS)
		return tr_fail(err, TR_BAD_DATA, "%d tags exceed the maximum for folkrank, %d", d->n_tags, MOST_TAGS);
	if ((int64_t) d->n_tags + d->n_users + d->n_items > INT32_MAX / 2)
		return tr_fail(err, TR_BAD_DATA, "more than %d users, items and tags", INT32_MAX / 2);
	return TR_OK;
}

static TrStatus
create(TrModel *model, TrError *err)
{
	Folk	   *m = (Folk *) model;
	const TrDataset *d = model->dataset;
	int32_t		T = model->n_tags;

	m->options = *(const FolkOptions *) model->options;
	m->kept = kept_tags(&m->options, T);
	model->width = m->kept > 0 ? 2 * m->kept : T;
	if (d)
		TR_TRY(check_dataset(d, err));
	TR_TRY(tr_tensor(model, "nodes", 1, 2, (TrRange) {1, 2147483648.0f, true}, &m->nodes, err));
	TR_TRY(tr_tensor(model, "base", 1, T, TR_FINITE, &m->base, err));
	TR_TRY(tr_tensor(model, "share", 1, T, TR_FINITE, &m->share, err));
	TR_TRY(tr_tensor(model, "user_mean", 1, T, TR_FINITE, &m->mean[TR_USER], err));
	TR_TRY(tr_tensor(model, "item_mean", 1, T, TR_FINITE, &m->mean[TR_ITEM], err));
	if (!d)
		return TR_OK;
	m->nodes[0] = (float) d->n_users;
	m->nodes[1] = (float) d->n_items;
	TR_TRY(tr_training_tensor(model, "users", d->n_users, model->width, &m->array[TR_USER], err));
	return tr_training_tensor(model, "items", d->n_items, model->width, &m->array[TR_ITEM], err);
}

/* ------------------------------------------------------------------ training */

/* What is left of the sum after n steps weighs at most 2 d^n. */
static int
steps_for(const FolkOptions *o)
{
	return (int) ceil(log(o->tolerance / 2) / log(o->damping));
}

/* share (T) */
static void
set_shares(Folk *m)
{
	const FolkGraph *g = &m->graph;
	double		total = 0;

	for (int32_t v = 0; v < g->nodes; v++)
		total += g->degree[v];
	for (int32_t t = 0; t < m->model.n_tags; t++)
		m->share[t] = (float) (g->degree[t] / total);
}

static void
start_lists(Folk *m)
{
	int32_t		entities = m->model.dataset->n_users + m->model.dataset->n_items;

	for (int32_t e = 0; e < entities; e++)
		tr_topn_init(&m->top[e], m->best + (size_t) e * (size_t) m->kept, m->kept);
}

/*
 * Column j of the block, the walks from one tag, becomes G[·,tag]: part of base, and of the arrays of one side. first is
 * that side's first node.
 */
static void
take_side(Folk *m, int j, int32_t tag, TrSide side)
{
	const FolkGraph *g = &m->graph;
	int32_t		first = m->model.n_tags + (side == TR_USER ? 0 : m->model.dataset->n_users);
	int32_t		n = side == TR_USER ? m->model.dataset->n_users : m->model.dataset->n_items;
	float	   *array = m->array[side];
	TrTopN	   *top = m->kept > 0 ? m->top + (side == TR_USER ? 0 : m->model.dataset->n_users) : NULL;
	double		sum = 0;
	int32_t		known = 0;
	float		mean;

	for (int32_t e = 0; e < n; e++)
	{
		float	   *weight = &g->host[(size_t) (first + e) * FOLK_BLOCK + (size_t) j];

		if (g->degree[first + e] > 0)
			*weight *= g->degree[tag] / g->degree[first + e];
		known += g->degree[first + e] > 0;
		sum += *weight;
		if (m->kept == 0)
			array[(size_t) e * (size_t) m->model.n_tags + (size_t) tag] = *weight;
	}
	m->base[tag] += (float) sum;
	if (m->kept == 0)
		return;
	mean = known > 0 ? (float) (sum / known) : 0;
	m->mean[side][tag] = mean;
	for (int32_t e = 0; e < n; e++)
	{
		float		apart = g->host[(size_t) (first + e) * FOLK_BLOCK + (size_t) j] - mean;

		tr_topn_offer(&top[e], fabsf(apart), apart < 0 ? ~tag : tag);
	}
}

static void
take_tag(Folk *m, int j, int32_t tag)
{
	const FolkGraph *g = &m->graph;
	double		sum = 0;

	for (int32_t t = 0; t < m->model.n_tags; t++)
		if (t == tag || g->degree[t] > 0)
			sum += g->host[(size_t) t * FOLK_BLOCK + (size_t) j] * (t == tag ? 1 : g->degree[tag] / g->degree[t]);
	m->base[tag] = (float) sum;
	take_side(m, j, tag, TR_USER);
	take_side(m, j, tag, TR_ITEM);
}

/* The lists become arrays: m pairs (difference, tag); one that is short ends with differences of 0. */
static void
write_arrays(Folk *m)
{
	int32_t		entities = m->model.dataset->n_users + m->model.dataset->n_items;

	for (int32_t e = 0; e < entities; e++)
	{
		bool		user = e < m->model.dataset->n_users;
		size_t		row = (size_t) (user ? e : e - m->model.dataset->n_users);
		float	   *pair = m->array[user ? TR_USER : TR_ITEM] + row * 2 * (size_t) m->kept;

		tr_topn_sort(&m->top[e]);
		for (int32_t i = 0; i < m->top[e].count; i++)
		{
			TrScored	best = m->top[e].best[i];

			pair[2 * i] = best.index < 0 ? -best.score : best.score;
			pair[2 * i + 1] = (float) (best.index < 0 ? ~best.index : best.index);
		}
	}
}

static TrStatus
walk_all(Folk *m, const TrPoll *poll, TrError *err)
{
	int			steps = steps_for(&m->options);

	for (int32_t first = 0; first < m->model.n_tags; first += FOLK_BLOCK)
	{
		int			n = m->model.n_tags - first < FOLK_BLOCK ? m->model.n_tags - first : FOLK_BLOCK;

		if (tr_poll_at(poll, "tags", first, m->model.n_tags))
			return TR_CANCELLED;
		TR_TRY(folk_graph_walk(&m->graph, first, n, m->options.damping, steps, poll, err));
		for (int j = 0; j < n; j++)
		{
			if (tr_poll(poll))
				return TR_CANCELLED;
			take_tag(m, j, first + j);
		}
	}
	return TR_OK;
}

static TrStatus
walk(Folk *m, const TrPoll *poll, TrError *err)
{
	TrModel    *work = &m->graph.work;
	size_t		entities = (size_t) m->model.dataset->n_users + (size_t) m->model.dataset->n_items;

	if (m->kept > 0)
	{
		m->best = TR_NEW(work, TrScored, entities * (size_t) m->kept);
		m->top = TR_NEW(work, TrTopN, entities);
		TR_TRY(tr_enough_memory(work, err, "%d tags of every user and item", m->kept));
		start_lists(m);
	}
	set_shares(m);
	TR_TRY(walk_all(m, poll, err));
	if (m->kept > 0)
		write_arrays(m);
	return TR_OK;
}

/* All there is to do. The loss is left at 0. What training alone needs goes again. */
static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Folk	   *m = (Folk *) model;
	TrStatus	status = folk_graph_create(&m->graph, model, m->options.damping, err);

	(void) epoch;
	if (status == TR_OK)
		status = walk(m, poll, err);
	tr_end_work(&m->graph.work);
	stats->last = true;
	return status;
}

/* ------------------------------------------------------------------ result */

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	const Folk *m = (const Folk *) model;
	size_t		W = (size_t) model->width;

	(void) dataset, (void) err;
	memcpy(out, m->array[side] + (size_t) first * W, (size_t) n * W * sizeof(float));
	return TR_OK;
}

/* score (T) += boost * what this array says of the tags */
static void
add_array(const Folk *m, TrSide side, const float *array, float boost, float *score)
{
	const float *mean = m->mean[side];

	if (m->kept == 0)
		mean = array;
	for (int32_t t = 0; t < m->model.n_tags; t++)
		score[t] += boost * mean[t];
	for (int i = 0; i < m->kept; i++)
	{
		float		tag = array[2 * i + 1];

		if (tag >= 0 && tag < (float) m->model.n_tags)
			score[(int32_t) tag] += boost * array[2 * i];
	}
}

static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Folk *m = (const Folk *) model;

	(void) err;
	for (int32_t p = 0; p < n; p++, out += m->model.n_tags)
	{
		float		all = m->nodes[0] + m->nodes[1] + (float) m->model.n_tags;
		float		both = (float) m->options.preference * all;
		float		boost[2] = {!posts[p].user ? 0 : both > 0 ? both : m->nodes[0],
			!posts[p].item ? 0 : both > 0 ? both : m->nodes[1]};
		float		total = all + boost[TR_USER] + boost[TR_ITEM];

		memcpy(out, m->base, (size_t) m->model.n_tags * sizeof(float));
		if (posts[p].user)
			add_array(m, TR_USER, posts[p].user, boost[TR_USER], out);
		if (posts[p].item)
			add_array(m, TR_ITEM, posts[p].item, boost[TR_ITEM], out);
		for (int32_t t = 0; t < m->model.n_tags; t++)
			out[t] = out[t] / total - m->share[t];
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_folkrank = {
	.name = "folkrank",
	.summary = "Change in the PageRank of the tags when the post's user and item are preferred, on the graph of users, "
			   "items and tags.",
	.source = "Hotho et al. (ESWC 2006); Jaeschke et al. (PKDD 2007), section 3.2",
	.task = TR_TASK_TAG,
	.options = &options,
	.estimate = estimate,
	.size = sizeof(Folk),
	.loads = true,
	.create = create,
	.train_epoch = train_epoch,
	.embed = embed,
	.score_tags = score_tags,
};
