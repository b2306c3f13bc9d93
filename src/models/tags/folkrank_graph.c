/*
 * The graph of FolkRank, and walks on it: a step of B walks at once is one product of a sparse and a dense matrix.
 * Legend: see folkrank.h.
 */
#include <string.h>

#include "models/tags/folkrank.h"

static size_t
edges_of(int64_t assignments, int64_t posts, int64_t nodes)
{
	return (size_t) (4 * assignments + 2 * posts + nodes);
}

size_t
folk_graph_estimate(const TrShape *shape)
{
	int64_t		nodes = (int64_t) shape->n_tags + shape->n_users + shape->n_items;
	size_t		edges = edges_of(shape->n_assignments, shape->n_posts, nodes);

	/* the matrix on both sides, the edges of the tags, two states and the block */
	return 2 * (edges * (sizeof(int32_t) + sizeof(float)) + (size_t) nodes * sizeof(int64_t))
		+ (size_t) nodes * (5 * FOLK_BLOCK + 1) * sizeof(float);
}

/* ------------------------------------------------------------------ edges */

/* Sparse rows in host memory that are being filled, all at once: next (V) is where the next edge of each row goes. */
typedef struct Edges
{
	int64_t    *ptr;			/* (V+1) */
	int32_t    *col;
	float	   *val;
	int64_t    *next;			/* (V) */
} Edges;

static void
count_edges(const TrProfileTable *table, int32_t first, int64_t *degree)
{
	for (int32_t n = 0; n < table->n_entities; n++)
		for (int64_t e = table->entry_ptr[n]; e < table->entry_ptr[n + 1]; e++)
		{
			degree[first + n]++;
			degree[table->tag[e]]++;
		}
}

static void
add_edge(Edges *edges, int32_t row, int32_t col, float weight)
{
	int64_t		at = edges->next[row]++;

	edges->col[at] = col;
	edges->val[at] = weight;
}

/* Edges between tags and one side. Sides come in the order of their nodes, so that every row ascends. */
static void
add_tag_edges(Edges *edges, const TrProfileTable *table, int32_t first)
{
	for (int32_t n = 0; n < table->n_entities; n++)
		for (int64_t e = table->entry_ptr[n]; e < table->entry_ptr[n + 1]; e++)
		{
			add_edge(edges, first + n, table->tag[e], table->count[e]);
			add_edge(edges, table->tag[e], first + n, table->count[e]);
		}
}

/* Edges between users and items: as many as the post has tags. */
static void
add_post_edges(Edges *edges, const TrDataset *d)
{
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		int32_t		user = d->n_tags + d->post_user[p];
		int32_t		item = d->n_tags + d->n_users + d->post_item[p];
		float		weight = (float) (d->post_ptr[p + 1] - d->post_ptr[p]);

		add_edge(edges, user, item, weight);
		add_edge(edges, item, user, weight);
	}
}

/* The symmetric weights become d A^T, and each row gets the entry that adds the preference. */
static void
finish_edges(Edges *edges, FolkGraph *g, double damping)
{
	for (int32_t v = 0; v < g->nodes; v++)
	{
		double		degree = 0;

		for (int64_t e = edges->ptr[v]; e < edges->next[v]; e++)
			degree += edges->val[e];
		g->degree[v] = (float) degree;
	}
	for (int32_t v = 0; v < g->nodes; v++)
	{
		for (int64_t e = edges->ptr[v]; e < edges->next[v]; e++)
			edges->val[e] *= (float) (damping / g->degree[edges->col[e]]);
		add_edge(edges, v, g->nodes + v, 1);
	}
}

static void
fill_edges(Edges *edges, FolkGraph *g, const TrDataset *d, double damping)
{
	memset(edges->ptr, 0, ((size_t) g->nodes + 1) * sizeof(int64_t));
	count_edges(&d->user, d->n_tags, edges->ptr + 1);
	count_edges(&d->item, d->n_tags + d->n_users, edges->ptr + 1);
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		edges->ptr[1 + d->n_tags + d->post_user[p]]++;
		edges->ptr[1 + d->n_tags + d->n_users + d->post_item[p]]++;
	}
	for (int32_t v = 0; v < g->nodes; v++)
		edges->ptr[v + 1] += edges->ptr[v] + 1;
	memcpy(edges->next, edges->ptr, (size_t) g->nodes * sizeof(int64_t));
	add_tag_edges(edges, &d->user, d->n_tags);
	add_tag_edges(edges, &d->item, d->n_tags + d->n_users);
	add_post_edges(edges, d);
	finish_edges(edges, g, damping);
}

/* ------------------------------------------------------------------ life */

static void
upload_edges(FolkGraph *g, const Edges *edges)
{
	size_t		n = (size_t) edges->ptr[g->nodes];

	g->walk = (TrCsr) {.rows = g->nodes, .cols = 2 * g->nodes, .capacity = (int64_t) n,
	.ptr = tr_to_device(&g->work, edges->ptr, ((size_t) g->nodes + 1) * sizeof(int64_t)),
	.col = tr_to_device(&g->work, edges->col, n * sizeof(int32_t)),
	.val = tr_to_device(&g->work, edges->val, n * sizeof(float))};
}

/* On the host for as long as it takes. */
static void
build_edges(FolkGraph *g, const TrDataset *d, double damping)
{
	size_t		most = edges_of(d->n_assignments, d->n_posts, g->nodes);
	TrModel		work;
	Edges		edges;

	tr_start_work(&work, &g->work);
	edges = (Edges) {.ptr = TR_NEW(&work, int64_t, g->nodes + 1), .col = TR_NEW(&work, int32_t, most),
	.val = TR_NEW(&work, float, most), .next = TR_NEW(&work, int64_t, g->nodes)};
	g->work.host_is_full |= work.host_is_full;
	if (!g->work.host_is_full)
	{
		fill_edges(&edges, g, d, damping);
		upload_edges(g, &edges);
	}
	tr_end_work(&work);
}

TrStatus
folk_graph_create(FolkGraph *g, const TrModel *model, double damping, TrError *err)
{
	const TrDataset *d = model->dataset;
	size_t		floats;

	*g = (FolkGraph) {.nodes = d->n_tags + d->n_users + d->n_items};
	floats = (size_t) g->nodes * FOLK_BLOCK;
	tr_start_work(&g->work, model);
	g->degree = TR_NEW(&g->work, float, g->nodes);
	g->host = TR_NEW(&g->work, float, floats);
	g->state[0] = tr_device_floats(&g->work, 2 * floats);
	g->state[1] = tr_device_floats(&g->work, 2 * floats);
	build_edges(g, d, damping);
	TR_TRY(tr_enough_memory(&g->work, err, "a graph of %d nodes", g->nodes));
	return model->backend->ops->finish(model->backend, err);
}

/* ------------------------------------------------------------------ walks */

/* rows 0..V-1 of a block, uploaded to where: `weight` for tag first + j in column j, else 0 */
static void
upload_preference(FolkGraph *g, float *where, int32_t first, int n, float weight)
{
	size_t		bytes = (size_t) g->nodes * FOLK_BLOCK * sizeof(float);

	memset(g->host, 0, bytes);
	for (int j = 0; j < n; j++)
		g->host[(size_t) (first + j) * FOLK_BLOCK + (size_t) j] = weight;
	g->work.backend->ops->upload(g->work.backend, where, g->host, bytes);
}

/* Nodes whose weights are computed between two polls */
#define NODES 16384

/* to (V,B) = those after a step from `from` */
static TrStatus
take_step(FolkGraph *g, float *to, const float *from, const TrPoll *poll)
{
	TrBackend  *b = g->work.backend;

	for (int32_t first = 0; first < g->nodes; first += NODES)
	{
		TrCsr		piece = g->walk;

		if (tr_poll(poll))
			return TR_CANCELLED;
		piece.ptr += first;
		piece.rows = g->nodes - first < NODES ? g->nodes - first : NODES;
		b->ops->sparse_forward(b, to + (size_t) first * FOLK_BLOCK, &piece, from, NULL, FOLK_BLOCK, TR_LINEAR);
	}
	return TR_OK;
}

TrStatus
folk_graph_walk(FolkGraph *g, int32_t first, int n, double damping, int steps, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = g->work.backend;
	size_t		floats = (size_t) g->nodes * FOLK_BLOCK;

	upload_preference(g, g->state[0], first, n, 1);
	if (tr_poll(poll))
		return TR_CANCELLED;
	upload_preference(g, g->state[0] + floats, first, n, (float) (1 - damping));
	if (tr_poll(poll))
		return TR_CANCELLED;
	upload_preference(g, g->state[1] + floats, first, n, (float) (1 - damping));
	for (int step = 0; step < steps; step++)
	{
		TR_TRY(take_step(g, g->state[(step + 1) % 2], g->state[step % 2], poll));
		TR_TRY(b->ops->finish(b, err));
	}
	b->ops->download(b, g->host, g->state[steps % 2], floats * sizeof(float));
	return b->ops->finish(b, err);
}
