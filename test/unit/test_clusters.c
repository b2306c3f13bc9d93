/*
 * Clusters of tags against agglomeration as it is defined, which looks through all pairs of clusters before each merge; and
 * neighbours of dense vectors against all cosines, sorted.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "models/knn/tag_clusters.h"
#include "models/knn/user_neighbours.h"

#define MOST 60

static TrMemory memory;

static float
draw(uint64_t seed, uint64_t i)
{
	return tr_uniform(seed, TR_STREAM_INIT, 0, i);
}

/* The mean of a matrix over the pairs of tags of two clusters. */
static double
mean_similarity(const float *matrix, int T, const int32_t *cluster, int32_t a, int32_t b)
{
	double		sum = 0;
	int			pairs = 0;

	for (int s = 0; s < T; s++)
		for (int t = 0; t < T; t++)
			if (cluster[s] == a && cluster[t] == b)
			{
				sum += matrix[s * T + t];
				pairs++;
			}
	return sum / pairs;
}

/* Numbers clusters by their smallest tags; returns how many there are. */
static int32_t
renumber(int32_t *cluster, int T)
{
	int32_t		number[MOST];
	int32_t		n = 0;

	for (int t = 0; t < T; t++)
		number[t] = -1;
	for (int t = 0; t < T; t++)
	{
		if (number[cluster[t]] < 0)
			number[cluster[t]] = n++;
		cluster[t] = number[cluster[t]];
	}
	return n;
}

static int32_t
naive(const float *matrix, int T, int32_t clusters, double similarity, int32_t *cluster)
{
	int32_t		n = T;

	for (int t = 0; t < T; t++)
		cluster[t] = t;
	while (n > clusters)
	{
		double		best = -2;
		int32_t		best_a = 0;
		int32_t		best_b = 0;

		for (int32_t a = 0; a < n; a++)
			for (int32_t b = a + 1; b < n; b++)
			{
				double		s = mean_similarity(matrix, T, cluster, a, b);

				if (s > best)
				{
					best = s;
					best_a = a;
					best_b = b;
				}
			}
		if (best < similarity)
			break;
		for (int t = 0; t < T; t++)
			if (cluster[t] == best_b)
				cluster[t] = best_a;
		n = renumber(cluster, T);
	}
	return n;
}

static TrStatus
cluster_matrix(float *matrix, int32_t n_tags, int32_t clusters, double similarity, const TrPoll *poll, int32_t *cluster,
			   int32_t *n, TrError *err)
{
	TrModel		work;
	TrStatus	status;

	tr_start_work(&work, &(TrModel) {.memory = &memory});
	status = tr_cluster_matrix(&work, matrix, n_tags, clusters, similarity, poll, cluster, n, err);
	tr_end_work(&work);
	return status;
}

static void
test_matrix(uint64_t seed, int T, int32_t clusters, double similarity)
{
	float		matrix[MOST * MOST];
	int32_t		expected[MOST];
	int32_t		got[MOST];
	int32_t		n = -1;
	int32_t		expected_n;

	for (int s = 0; s < T; s++)
		for (int t = 0; t <= s; t++)
			matrix[s * T + t] = matrix[t * T + s] = draw(seed, (uint64_t) (s * T + t));
	expected_n = naive(matrix, T, clusters, similarity, expected);
	CHECK_EQUAL(cluster_matrix(matrix, T, clusters, similarity, NULL, got, &n, NULL), TR_OK, "clusters %d tags",
				T);
	CHECK_EQUAL(n, expected_n, "%d tags, %d clusters, similarity %g: number", T, clusters, similarity);
	CHECK(memcmp(got, expected, sizeof(int32_t) * (size_t) T) == 0, "%d tags, %d clusters, similarity %g: the same", T,
		  clusters, similarity);
}

/* Every pair equally alike, or not at all: any order of merges will do, and it ends. */
static void
test_ties(float value)
{
	float		matrix[MOST * MOST];
	int32_t		cluster[MOST];
	int32_t		n = -1;

	for (int i = 0; i < MOST * MOST; i++)
		matrix[i] = value;
	cluster_matrix(matrix, MOST, 7, -1, NULL, cluster, &n, NULL);
	CHECK_EQUAL(n, 7, "all alike by %g: as many clusters as asked for", value);
	for (int i = 0; i < MOST * MOST; i++)
		matrix[i] = value;
	cluster_matrix(matrix, MOST, 1, 0.5, NULL, cluster, &n, NULL);
	CHECK_EQUAL(n, value >= 0.5f ? 1 : MOST, "all alike by %g: cut at .5", value);
}

/*
 * Items 0 and 1 have tags 0 and 2; item 2 has tags 1 and 3; item 3 tag 3 alone. So cos(0,2) = 1, cos(1,3) = 1/sqrt(2),
 * others 0.
 */
static void
test_tags(void)
{
	static const int has[][2] = {{0, 0}, {0, 2}, {1, 0}, {1, 2}, {2, 1}, {2, 3}, {3, 3}};
	TrAssignments a;
	TrDataset	d;
	int32_t		cluster[4];
	int32_t		n;

	tr_assignments_init(&a, &memory);
	for (int i = 0; i < 7; i++)
		tr_assignments_add(&a, 0, has[i][0], has[i][1], false, 0);
	tr_assignments_distinct(&a, NULL);
	tr_dataset_build(&d, &a, 1, 4, 4, NULL);
	tr_cluster_tags(&(TrModel) {.memory = &memory, .dataset = &d}, 1, 0.75, NULL, cluster, &n, NULL);
	CHECK(n == 3 && cluster[0] == 0 && cluster[1] == 1 && cluster[2] == 0 && cluster[3] == 2, "tags alike by .75");
	tr_cluster_tags(&(TrModel) {.memory = &memory, .dataset = &d}, 1, 0.7, NULL, cluster, &n, NULL);
	CHECK(n == 2 && cluster[0] == 0 && cluster[1] == 1 && cluster[2] == 0 && cluster[3] == 1, "tags alike by .7");
	tr_cluster_tags(&(TrModel) {.memory = &memory, .dataset = &d}, 1, -1, NULL, cluster, &n, NULL);
	CHECK_EQUAL(n, 1, "in the end, one cluster");
	tr_dataset_free(&d);
}

/* ------------------------------------------------------------------ neighbours */

#define USERS 40
#define WIDTH 5

static double
cosine(const float *x, const float *y)
{
	double		xy = 0,
				xx = 0,
				yy = 0;

	for (int j = 0; j < WIDTH; j++)
	{
		xy += (double) x[j] * y[j];
		xx += (double) x[j] * x[j];
		yy += (double) y[j] * y[j];
	}
	return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

/* How many users are nearer to `user` than `other` is. */
static int
rank_of(float vector[USERS][WIDTH], int user, int other)
{
	int			rank = 0;

	for (int v = 0; v < USERS; v++)
		rank += v != user && cosine(vector[user], vector[v]) > cosine(vector[user], vector[other]);
	return rank;
}

static void
test_neighbours(int most)
{
	TrModel		model = {.memory = &memory};
	TrUserNeighbours n = {0};
	float		vector[USERS][WIDTH];
	TrSparse	found;
	int			wrong = 0;

	tr_user_neighbours_create(&n, &model, USERS, WIDTH, most, NULL);
	for (int u = 0; u < USERS; u++)
	{
		for (int j = 0; j < WIDTH; j++)
			vector[u][j] = u == 3 ? 0 : (float) (u + 1) * (draw(9, (uint64_t) (u * WIDTH + j)) - 0.5f);
		tr_user_neighbours_set(&n, u, vector[u]);
	}
	for (int u = 0; u < USERS; u++)
	{
		int			expected = 0;

		tr_user_neighbours_find(&n, vector[u], u, &found);
		for (int v = 0; v < USERS; v++)
			expected += v != u && cosine(vector[u], vector[v]) > 0 && (most == 0 || rank_of(vector, u, v) < most);
		wrong += found.n != expected;
		for (int i = 0; i < found.n; i++)
			wrong += (i > 0 && found.index[i] <= found.index[i - 1]) || found.index[i] == u
				|| fabs(found.value[i] - cosine(vector[u], vector[found.index[i]])) > 1e-6
				|| (most > 0 && rank_of(vector, u, found.index[i]) >= most);
	}
	CHECK_EQUAL(wrong, 0, "the %d nearest users", most);
	tr_user_neighbours_find(&n, vector[5], -1, &found);
	CHECK(found.n > 0 && (most == 0 || found.n <= most), "a vector of nobody: its nearest users");
	tr_memory_end_child(n.memory);
}

int
main(void)
{
	static const int sizes[] = {1, 2, 3, 12, MOST};
	size_t		used;

	tr_memory_init(&memory, 0);
	used = memory.used;
	for (uint64_t seed = 1; seed <= 5; seed++)
		for (int i = 0; i < 5; i++)
		{
			test_matrix(seed, sizes[i], 1, 0.55);
			test_matrix(seed, sizes[i], 1, 0.8);
			test_matrix(seed, sizes[i], 4, -1);
			test_matrix(seed, sizes[i], 20, 0.6);
		}
	test_ties(0);
	test_ties(0.5f);
	test_ties(1);
	test_neighbours(0);
	test_neighbours(1);
	test_neighbours(7);
	CHECK(memory.used == used, "all memory comes back");
	test_tags();
	tr_memory_release(&memory);
	return check_done();
}
