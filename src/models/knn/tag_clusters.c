/*
 * Hierarchical agglomerative clustering with average linkage, in T^2 steps by chains of nearest neighbours (Murtagh 1983):
 * a chain goes from a cluster to the one most like it, and so on, until two are each other's nearest; these merge. Merges
 * come out in another order than by how alike the clusters are, and are sorted afterwards.
 *
 * It works because a union is never more like a third cluster than both its parts are. The mean is rounded once, from
 * double to float, so that this holds to the bit.
 * Legend: T tags; a cluster is known by its smallest tag.
 */
#include "models/knn/tag_clusters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of the matrix read between two polls, about. */
#define POLL_NUMBERS 20000000

typedef struct Merge
{
	float		similarity;
	int32_t		a,
				b;
	int32_t		number;
} Merge;

typedef struct Clustering
{
	float	   *matrix;			/* (T,T) */
	int32_t		T;
	int32_t    *size;			/* (T) tags of a cluster */
	int32_t    *alive;			/* clusters that are left, ascending */
	int32_t		n_alive;
	int32_t    *chain;			/* (T) */
	int32_t		length;
	Merge	   *merge;			/* (T-1) */
	int32_t		merges;
} Clustering;

static size_t
scratch_bytes(int32_t n_tags)
{
	return (size_t) n_tags * (3 * sizeof(int32_t) + sizeof(Merge));
}

size_t
tr_cluster_tags_estimate(int32_t n_tags)
{
	return (size_t) n_tags * ((size_t) n_tags + 1) * sizeof(float) + scratch_bytes(n_tags);
}

static float *
row_of(const Clustering *c, int32_t a)
{
	return c->matrix + (size_t) a * (size_t) c->T;
}

/* ------------------------------------------------------------------ merging */

/* The cluster most like a, the one before it in the chain first of all, then the smallest. */
static int32_t
nearest(const Clustering *c, int32_t a)
{
	const float *row = row_of(c, a);
	int32_t		best = c->length > 1 ? c->chain[c->length - 2] : -1;

	for (int32_t i = 0; i < c->n_alive; i++)
	{
		int32_t		b = c->alive[i];

		if (b != a && (best < 0 || row[b] > row[best]))
			best = b;
	}
	return best;
}

static void
remove_cluster(Clustering *c, int32_t a)
{
	int32_t		i = 0;

	while (c->alive[i] != a)
		i++;
	c->n_alive--;
	memmove(c->alive + i, c->alive + i + 1, (size_t) (c->n_alive - i) * sizeof(int32_t));
}

/* The smaller one becomes the union. */
static void
merge(Clustering *c, int32_t a, int32_t b)
{
	int32_t		keep = a < b ? a : b;
	int32_t		gone = a < b ? b : a;
	float	   *row = row_of(c, keep);
	const float *other = row_of(c, gone);
	double		weight = c->size[keep];
	double		other_weight = c->size[gone];

	c->merge[c->merges] = (Merge) {row[gone], keep, gone, c->merges};
	c->merges++;
	remove_cluster(c, gone);
	for (int32_t i = 0; i < c->n_alive; i++)
	{
		int32_t		k = c->alive[i];

		row[k] = (float) ((weight * row[k] + other_weight * other[k]) / (weight + other_weight));
		row_of(c, k)[keep] = row[k];
	}
	c->size[keep] += c->size[gone];
}

static TrStatus
merge_all(Clustering *c, const TrPoll *poll)
{
	int64_t		work = 0;

	while (c->n_alive > 1)
	{
		int32_t		a;
		int32_t		b;

		work += c->n_alive;
		if (work > POLL_NUMBERS)
		{
			if (tr_poll(poll))
				return TR_CANCELLED;
			work = 0;
		}
		if (c->length == 0)
			c->chain[c->length++] = c->alive[0];
		a = c->chain[c->length - 1];
		b = nearest(c, a);
		if (c->length > 1 && b == c->chain[c->length - 2])
		{
			merge(c, a, b);
			c->length -= 2;
		}
		else
			c->chain[c->length++] = b;
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ cutting */

/* The most alike first; of equal ones the one that was made first. */
static int
compare_merges(const void *a, const void *b)
{
	const Merge *x = a;
	const Merge *y = b;

	if (x->similarity != y->similarity)
		return x->similarity > y->similarity ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int32_t
root_of(int32_t *parent, int32_t a)
{
	while (parent[a] != a)
		a = parent[a] = parent[parent[a]];
	return a;
}

/* cluster (T), first as a forest whose roots are smallest tags, then as numbers */
static int32_t
cut(const Clustering *c, int32_t clusters, double similarity, int32_t *cluster)
{
	int32_t		left = c->T;
	int32_t		n = 0;

	for (int32_t t = 0; t < c->T; t++)
		cluster[t] = t;
	for (int32_t i = 0; i < c->merges && left > clusters && c->merge[i].similarity >= similarity; i++, left--)
	{
		int32_t		a = root_of(cluster, c->merge[i].a);
		int32_t		b = root_of(cluster, c->merge[i].b);

		cluster[a < b ? b : a] = a < b ? a : b;
	}
	for (int32_t t = 0; t < c->T; t++)
		cluster[t] = root_of(cluster, t);
	/* a root comes before its members, so that its number is there when they ask */
	for (int32_t t = 0; t < c->T; t++)
		cluster[t] = cluster[t] == t ? n++ : cluster[cluster[t]];
	return n;
}

TrStatus
tr_cluster_matrix(TrModel *work, float *matrix, int32_t n_tags, int32_t clusters, double similarity, const TrPoll *poll,
				  int32_t *cluster, int32_t *n, TrError *err)
{
	Clustering	c = {.matrix = matrix, .T = n_tags, .n_alive = n_tags, .size = TR_NEW(work, int32_t, n_tags),
	.alive = TR_NEW(work, int32_t, n_tags), .chain = TR_NEW(work, int32_t, n_tags), .merge = TR_NEW(work, Merge, n_tags)};

	TR_TRY(tr_enough_memory(work, err, "the clusters of %d tags", n_tags));
	for (int32_t t = 0; t < n_tags; t++)
	{
		c.size[t] = 1;
		c.alive[t] = t;
	}
	TR_TRY(merge_all(&c, poll));
	qsort(c.merge, (size_t) c.merges, sizeof(Merge), compare_merges);
	*n = cut(&c, clusters, similarity, cluster);
	return TR_OK;
}

/* ------------------------------------------------------------------ tags */

/* matrix (T,T) = inner products of the tags over the items */
static TrStatus
count_together(float *matrix, const TrDataset *d, const TrPoll *poll)
{
	int64_t		work = 0;

	for (int32_t i = 0; i < d->n_items; i++)
	{
		int64_t		first = d->item.entry_ptr[i];
		int64_t		end = d->item.entry_ptr[i + 1];

		for (int64_t e = first; e < end; e++)
		{
			float	   *row = matrix + (size_t) d->item.tag[e] * (size_t) d->n_tags;

			for (int64_t f = first; f < end; f++)
				row[d->item.tag[f]] += d->item.count[e] * d->item.count[f];
		}
		work += (end - first) * (end - first);
		if (work > POLL_NUMBERS)
		{
			if (tr_poll(poll))
				return TR_CANCELLED;
			work = 0;
		}
	}
	return TR_OK;
}

/* The diagonal has the squared norms; it is not read afterwards. */
static TrStatus
to_cosines(float *matrix, float *norm, int32_t n_tags, const TrPoll *poll)
{
	int32_t		between = 1 + POLL_NUMBERS / (n_tags + 1);

	for (int32_t t = 0; t < n_tags; t++)
	{
		float		squares = matrix[(size_t) t * (size_t) n_tags + (size_t) t];

		norm[t] = squares > 0 ? sqrtf(squares) : 1;
	}
	for (int32_t t = 0; t < n_tags; t++)
	{
		if (t % between == 0 && tr_poll(poll))
			return TR_CANCELLED;
		for (int32_t s = 0; s < n_tags; s++)
			matrix[(size_t) t * (size_t) n_tags + (size_t) s] /= norm[t] * norm[s];
	}
	return TR_OK;
}

static TrStatus
cluster_tags(TrModel *work, const TrDataset *d, int32_t clusters, double similarity, const TrPoll *poll, int32_t *cluster,
			 int32_t *n, TrError *err)
{
	float	   *matrix = TR_NEW(work, float, (size_t) d->n_tags * (size_t) d->n_tags);
	float	   *norm = TR_NEW(work, float, d->n_tags);

	TR_TRY(tr_enough_memory(work, err, "the likeness of %d tags", d->n_tags));
	TR_TRY(count_together(matrix, d, poll));
	TR_TRY(to_cosines(matrix, norm, d->n_tags, poll));
	return tr_cluster_matrix(work, matrix, d->n_tags, clusters, similarity, poll, cluster, n, err);
}

TrStatus
tr_cluster_tags(const TrModel *model, int32_t clusters, double similarity, const TrPoll *poll, int32_t *cluster, int32_t *n,
				TrError *err)
{
	TrModel		work;
	TrStatus	status;

	tr_start_work(&work, model);
	status = cluster_tags(&work, model->dataset, clusters, similarity, poll, cluster, n, err);
	tr_end_work(&work);
	return status;
}
