/*
 * profile_rows: a profile worked out by hand, and every backend against the plain one under every weighting,
 * normalisation and rule.
 */
#include "backends.h"

/* Flags of a case, above the weighting and the norm. */
enum
{
	KEEP_HALF = 1,
	WITHOUT_POST = 2,
	DROP_TAGS = 4,
	WEIGHTS = 8
};

static TrCsr
empty_csr(TrBackend *b, int rows, int cols, int64_t capacity)
{
	TrCsr		x = {.cols = cols, .capacity = capacity};

	x.ptr = b->ops->alloc(b, sizeof(int64_t) * (rows + 1));
	x.col = b->ops->alloc(b, sizeof(int32_t) * capacity);
	x.val = b->ops->alloc(b, sizeof(float) * capacity);
	return x;
}

static void
collect_csr(Output *out, TrBackend *b, const TrCsr *x)
{
	int64_t    *ptr = malloc(sizeof(int64_t) * (x->rows + 1));
	int32_t    *col;
	double	   *data;

	b->ops->download(b, ptr, x->ptr, sizeof(int64_t) * (x->rows + 1));
	data = add_tensor(out, x->rows + 1);
	for (int r = 0; r <= x->rows; r++)
		data[r] = (double) ptr[r];
	col = malloc(sizeof(int32_t) * ptr[x->rows] + 1);
	b->ops->download(b, col, x->col, sizeof(int32_t) * ptr[x->rows]);
	data = add_tensor(out, ptr[x->rows]);
	for (int64_t e = 0; e < ptr[x->rows]; e++)
		data[e] = col[e];
	collect_floats(out, b, x->val, ptr[x->rows]);
	free(ptr);
	free(col);
}

/* Random profiles of N entities over T tags and 50 posts */
static TrProfileTable
draw_table(TrBackend *b, Draw *draw, int N, int T, bool weighted)
{
	TrProfileTable t = {.n_entities = N};
	int64_t		most = (int64_t) N * T;
	int64_t    *entry_ptr = calloc(N + 1, sizeof(int64_t));
	int64_t    *occurrence_ptr = calloc(most + 1, sizeof(int64_t));
	int32_t    *tag = malloc(sizeof(int32_t) * most);
	int32_t    *post = malloc(sizeof(int32_t) * most * 4);
	float	   *weight = malloc(sizeof(float) * most * 4);
	float	   *count = calloc(most, sizeof(float));

	for (int n = 0; n < N; n++)
	{
		for (int k = 0; k < T; k++)
		{
			int			times = n % 7 == 5 ? 0 : draw_below(draw, 5);

			for (int i = 0; i < times; i++)
			{
				float		w = weighted ? draw_in(draw, 0.5f, 3) : 1;

				post[t.n_occurrences] = 12 * i + draw_below(draw, 12);
				weight[t.n_occurrences++] = w;
				count[t.n_entries] += w;
			}
			if (times > 0)
			{
				tag[t.n_entries++] = k;
				occurrence_ptr[t.n_entries] = t.n_occurrences;
			}
		}
		entry_ptr[n + 1] = t.n_entries;
	}
	t.entry_ptr = to_backend(b, entry_ptr, sizeof(int64_t) * (N + 1));
	t.occurrence_ptr = to_backend(b, occurrence_ptr, sizeof(int64_t) * (t.n_entries + 1));
	t.tag = to_backend(b, tag, sizeof(int32_t) * t.n_entries);
	t.count = to_backend(b, count, sizeof(float) * t.n_entries);
	t.post = to_backend(b, post, sizeof(int32_t) * t.n_occurrences);
	t.weight = weighted ? to_backend(b, weight, sizeof(float) * t.n_occurrences) : NULL;
	free(entry_ptr);
	free(occurrence_ptr);
	free(tag);
	free(count);
	free(post);
	free(weight);
	return t;
}

/* d = N, T, R, weighting * 3 + norm */
static void
run_profiles(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[2];
	TrProfileTable table = draw_table(b, draw, c->d[0], c->d[1], c->flags & WEIGHTS);
	TrProfileWeights weights = {
		.weighting = (TrWeighting) (c->d[3] / 3), .norm = (TrNorm) (c->d[3] % 3), .k1 = 1.2f, .b = 0.75f, .mean_length = 9,
		.idf = random_floats(b, draw, c->d[1], 0, 3)
	};
	TrProfileRule rule = {c->flags & KEEP_HALF ? 0.5f : 1, c->flags & DROP_TAGS ? 0.3f : 0, 77, 5};
	TrCsr		x = empty_csr(b, R, c->d[1], (int64_t) R * c->d[1]);
	int32_t    *index = malloc(sizeof(int32_t) * R + 1);
	int32_t    *entity;
	int32_t    *without;

	for (int r = 0; r < R; r++)
		index[r] = draw_below(draw, c->d[0]);
	entity = to_backend(b, index, sizeof(int32_t) * R);
	for (int r = 0; r < R; r++)
		index[r] = draw_below(draw, 50) - 10 < 0 ? -1 : draw_below(draw, 50);
	without = to_backend(b, index, sizeof(int32_t) * R);
	free(index);
	b->ops->profile_rows(b, &x, &table, entity, c->flags & WITHOUT_POST ? without : NULL, R, &weights, &rule);
	collect_csr(out, b, &x);
}

/* One entity: tag 1 by posts 3 and 4, tag 2 by post 4, tag 6 by post 5; without post 4 */
static void
test_by_hand(const TrBackendOps *ops, bool both_ways)
{
	static const int64_t entry_ptr[] = {0, 3};
	static const int64_t occurrence_ptr[] = {0, 2, 3, 4};
	static const int32_t tag[] = {1, 2, 6};
	static const float count[] = {2, 1, 1};
	static const int32_t post[] = {3, 4, 4, 5};
	static const int64_t post_ptr[] = {0, 0, 0, 0, 1, 3, 4};
	static const int32_t post_tag[] = {1, 1, 2, 6};
	static const float idf[] = {1, 2, 1, 1, 1, 1, 3};
	static const int32_t without = 4;
	TrBackend  *b = open_backend(ops, 2);
	TrCsr		x = empty_csr(b, 1, 7, 3);
	TrProfileTable table = {
		1, 3, 4, to_backend(b, entry_ptr, sizeof(entry_ptr)), to_backend(b, tag, sizeof(tag)),
		to_backend(b, count, sizeof(count)), to_backend(b, occurrence_ptr, sizeof(occurrence_ptr)),
		to_backend(b, post, sizeof(post)), NULL, both_ways ? to_backend(b, post_ptr, sizeof(post_ptr)) : NULL,
		both_ways ? to_backend(b, post_tag, sizeof(post_tag)) : NULL
	};
	TrProfileWeights weights = {TR_WEIGHT_TFIDF, TR_NORM_MAX, 1, 0, 1, to_backend(b, idf, sizeof(idf))};
	TrProfileRule rule = {1, 0, 1, 1};
	int32_t    *entity = to_backend(b, &(int32_t) {0}, sizeof(int32_t));
	Output		out = {0};

	b->ops->profile_rows(b, &x, &table, entity, to_backend(b, &without, sizeof(without)), 1, &weights, &rule);
	collect_csr(&out, b, &x);
	CHECK_EQUAL(out.data[1], 2, "%s: entries of a profile without a post", ops->name);
	CHECK(out.data[2] == 1 && out.data[3] == 6, "%s: its tags", ops->name);
	CHECK_NEAR(out.data[4], 2.0 / 3, 1e-6, "%s: its first weight", ops->name);
	CHECK_NEAR(out.data[5], 1, 0, "%s: its largest weight", ops->name);
	free(out.data);
	ops->close(b);
}

int
main(void)
{
	const TrBackendOps *last = NULL;

	for (int both = 0; both < 2; both++)
		test_by_hand(&tr_plain_ops, both);
	for (int i = 0; i < N_CANDIDATES; last = candidates[i++].ops())
		if (candidates[i].ops() != last)
			for (int both = 0; both < 2; both++)
				test_by_hand(candidates[i].ops(), both);
	for (int kind = 0; kind < 18; kind++)
		compare_flags("profile_rows", run_profiles, (Case) {.d = {9, 23, 40, kind}}, 4, 3e-6);
	compare_flags("profile_rows", run_profiles, (Case) {.d = {3, 1, 2, 16}}, 4, 3e-6);
	compare_flags("profile_rows", run_profiles, (Case) {.d = {3, 4, 0, 16}}, 4, 3e-6);
	compare_flags("profile_rows", run_profiles, (Case) {.d = {100, 60, 500, 7}}, 4, 3e-6);
	return check_done();
}
