/*
 * The graph of FolkRank, and walks on it: a step of B walks at once is one product of a sparse and a dense matrix.
 * Legend: see folkrank.h.
 */
#include <string.h>

#include "models/folkrank.h"

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

void
folk_graph_free(FolkGraph *g)
{
	TrBackend  *b = g->backend;

	if (!b)
		return;
	b->ops->release(b, g->walk.ptr);
	b->ops->release(b, g->walk.col);
	b->ops->release(b, g->walk.val);
	b->ops->release(b, g->state[0]);
	b->ops->release(b, g->state[1]);
	tr_free(g->memory, g->degree);
	tr_free(g->memory, g->host);
	memset(g, 0, sizeof(*g));
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

static bool
upload_edges(FolkGraph *g, const Edges *edges)
{
	TrBackend  *b = g->backend;
	size_t		n = (size_t) edges->ptr[g->nodes];
	size_t		rows = (size_t) g->nodes + 1;

	g->walk = (TrCsr) {.rows = g->nodes, .cols = 2 * g->nodes, .capacity = (int64_t) n,
	.ptr = b->ops->alloc(b, rows * sizeof(int64_t)), .col = b->ops->alloc(b, n * sizeof(int32_t)),
	.val = b->ops->alloc(b, n * sizeof(float))};
	if (!g->walk.ptr || !g->walk.col || !g->walk.val)
		return false;
	b->ops->upload(b, g->walk.ptr, edges->ptr, rows * sizeof(int64_t));
	b->ops->upload(b, g->walk.col, edges->col, n * sizeof(int32_t));
	b->ops->upload(b, g->walk.val, edges->val, n * sizeof(float));
	return true;
}

static bool
build_edges(FolkGraph *g, const TrDataset *d, double damping)
{
	TrMemory   *memory = g->memory;
	size_t		nodes = (size_t) g->nodes;
	size_t		most = edges_of(d->n_assignments, d->n_posts, g->nodes);
	Edges		edges = {.ptr = tr_alloc(memory, (nodes + 1) * sizeof(int64_t)),
	.col = tr_alloc(memory, most * sizeof(int32_t)), .val = tr_alloc(memory, most * sizeof(float)),
	.next = tr_alloc(memory, nodes * sizeof(int64_t))};
	bool		done = edges.ptr && edges.col && edges.val && edges.next;

	if (done)
	{
		fill_edges(&edges, g, d, damping);
		done = upload_edges(g, &edges);
	}
	tr_free(memory, edges.ptr);
	tr_free(memory, edges.col);
	tr_free(memory, edges.val);
	tr_free(memory, edges.next);
	return done;
}

TrStatus
folk_graph_create(FolkGraph *g, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, double damping,
				  TrError *err)
{
	size_t		floats;

	*g = (FolkGraph) {.memory = memory, .backend = backend};
	g->nodes = dataset->n_tags + dataset->n_users + dataset->n_items;
	floats = (size_t) g->nodes * FOLK_BLOCK;
	g->degree = tr_alloc(memory, (size_t) g->nodes * sizeof(float));
	g->host = tr_alloc(memory, floats * sizeof(float));
	g->state[0] = backend->ops->alloc(backend, 2 * floats * sizeof(float));
	g->state[1] = backend->ops->alloc(backend, 2 * floats * sizeof(float));
	if (!g->degree || !g->host || !g->state[0] || !g->state[1] || !build_edges(g, dataset, damping))
		return tr_fail(err, TR_NO_MEMORY, "out of memory for a graph of %d nodes", g->nodes);
	return backend->ops->finish(backend, err);
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
	g->backend->ops->upload(g->backend, where, g->host, bytes);
}

TrStatus
folk_graph_walk(FolkGraph *g, int32_t first, int n, double damping, int steps, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = g->backend;
	size_t		floats = (size_t) g->nodes * FOLK_BLOCK;

	upload_preference(g, g->state[0], first, n, 1);
	upload_preference(g, g->state[0] + floats, first, n, (float) (1 - damping));
	upload_preference(g, g->state[1] + floats, first, n, (float) (1 - damping));
	for (int step = 0; step < steps; step++)
	{
		if (tr_poll(poll))
			return TR_CANCELLED;
		b->ops->sparse_forward(b, g->state[(step + 1) % 2], &g->walk, g->state[step % 2], NULL, FOLK_BLOCK, TR_LINEAR);
		TR_TRY(b->ops->finish(b, err));
	}
	b->ops->download(b, g->host, g->state[steps % 2], floats * sizeof(float));
	return b->ops->finish(b, err);
}
