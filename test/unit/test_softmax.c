/*
 * softmax_loss: values worked out by hand, every backend against the plain one under every combination of its arguments,
 * gradients against finite differences, and what happens to NaN.
 */
#include "backends.h"

/* Flags of a case. */
enum
{
	PAIR_LOGIT = 1,
	MASK_PAIRS = 2,
	INCLUDE_POSITIVE = 4,
	SKIP_LISTS = 8,
	OFFSETS = 16,
	FLAGS = 5
};

/* A case in host memory. */
typedef struct Problem
{
	int			U,
				C,
				P;
	float	   *logits;
	float	   *offset;
	int32_t    *pair_ptr;
	int32_t    *pair_column;
	float	   *pair_weight;
	float	   *pair_logit;
	int32_t    *skip_ptr;
	int32_t    *skip_column;
	int			flags;
	float		scale;
} Problem;

/* Distinct columns for a row's pairs and, ascending, for its skip list: each column is one, the other or neither. */
static void
draw_columns(Problem *p, Draw *draw, int u)
{
	int			skips = p->skip_ptr[u];

	for (int k = 0; k < p->C; k++)
	{
		int			what = u % 4 == 3 ? 9 : draw_below(draw, u % 4 == 2 ? 2 : 8);

		if (what == 0)
			p->pair_column[p->P++] = k;
		else if (what == 1)
			p->skip_column[skips++] = k;
	}
	if (p->flags & PAIR_LOGIT && u % 2 == 0)
		p->pair_column[p->P++] = -1;
	p->pair_ptr[u + 1] = p->P;
	p->skip_ptr[u + 1] = skips;
}

static Problem
draw_problem(Draw *draw, int U, int C, int flags, float range)
{
	Problem		p = {.U = U, .C = C, .flags = flags, .scale = 0.7f};
	size_t		most = (size_t) U * (C + 1) + 1;

	p.logits = malloc(sizeof(float) * most);
	p.offset = malloc(sizeof(float) * (C + 1));
	p.pair_ptr = calloc(U + 1, sizeof(int32_t));
	p.skip_ptr = calloc(U + 1, sizeof(int32_t));
	p.pair_column = malloc(sizeof(int32_t) * most);
	p.skip_column = malloc(sizeof(int32_t) * most);
	p.pair_weight = malloc(sizeof(float) * most);
	p.pair_logit = malloc(sizeof(float) * most);
	for (int i = 0; i < U * C; i++)
		p.logits[i] = draw_in(draw, -range, range);
	for (int k = 0; k < C; k++)
		p.offset[k] = k % 4 == 1 || C == 2 ? INFINITY : draw_in(draw, -2, 2);
	for (int u = 0; u < U; u++)
		draw_columns(&p, draw, u);
	for (int i = 0; i < p.P; i++)
	{
		p.pair_weight[i] = i % 7 == 0 ? 0 : draw_in(draw, 0.1f, 3);
		p.pair_logit[i] = draw_in(draw, -range, range);
	}
	return p;
}

static void
free_problem(Problem *p)
{
	free(p->logits);
	free(p->offset);
	free(p->pair_ptr);
	free(p->skip_ptr);
	free(p->pair_column);
	free(p->skip_column);
	free(p->pair_weight);
	free(p->pair_logit);
}

/* Outputs: d logits, d pair_logit, loss. */
static void
solve(TrBackend *b, const Problem *p, Output *out)
{
	TrSoftmax	s = {.users = p->U, .columns = p->C, .scale = p->scale};
	size_t		pairs = sizeof(float) * p->P;
	float	   *dlogit = to_backend(b, p->pair_logit, pairs);

	s.logits = to_backend(b, p->logits, sizeof(float) * p->U * p->C);
	s.pair_ptr = to_backend(b, p->pair_ptr, sizeof(int32_t) * (p->U + 1));
	s.pair_column = to_backend(b, p->pair_column, pairs);
	s.pair_weight = to_backend(b, p->pair_weight, pairs);
	if (p->flags & PAIR_LOGIT)
	{
		s.pair_logit = to_backend(b, p->pair_logit, pairs);
		s.pair_dlogit = dlogit;
	}
	if (p->flags & SKIP_LISTS)
	{
		s.skip_ptr = to_backend(b, p->skip_ptr, sizeof(int32_t) * (p->U + 1));
		s.skip_column = to_backend(b, p->skip_column, sizeof(int32_t) * p->skip_ptr[p->U]);
	}
	if (p->flags & OFFSETS)
		s.column_offset = to_backend(b, p->offset, sizeof(float) * p->C);
	s.include_positive = p->flags & INCLUDE_POSITIVE;
	s.mask_pairs = p->flags & MASK_PAIRS;
	s.loss = to_backend(b, &(double) {0.5}, sizeof(double));
	b->ops->softmax_loss(b, &s);
	collect_floats(out, b, s.logits, (size_t) p->U * p->C);
	collect_floats(out, b, dlogit, p->P);
	collect_double(out, b, s.loss);
}

/* d = U, C, range of the logits */
static void
run_softmax(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	Problem		p = draw_problem(draw, c->d[0], c->d[1], c->flags, (float) c->d[2]);

	solve(b, &p, out);
	free_problem(&p);
}

static double
loss_on(TrBackend *b, const Problem *p)
{
	Output		out = {0};
	double		loss;

	solve(b, p, &out);
	loss = out.data[out.count - 1];
	free(out.data);
	return loss;
}

static double
loss_of(const TrBackendOps *ops, const Problem *p)
{
	TrBackend  *b = open_backend(ops, 2);
	double		loss = loss_on(b, p);

	ops->close(b);
	return loss;
}

/* Central differences for every logit and every pair's logit: the largest distance from the gradient. */
static double
gradient_error(const TrBackendOps *ops, Problem *p)
{
	TrBackend  *b = open_backend(ops, 2);
	Output		out = {0};
	double		most = 0;
	int			logits = p->U * p->C;

	solve(b, p, &out);
	for (int i = 0; i < logits + (p->flags & PAIR_LOGIT ? p->P : 0); i++)
	{
		float	   *x = i < logits ? &p->logits[i] : &p->pair_logit[i - logits];
		float		old = *x;
		double		difference;

		*x = old + 0.01f;
		difference = loss_on(b, p);
		*x = old - 0.01f;
		difference -= loss_on(b, p);
		*x = old;
		most = fmax(most, fabs(difference / 0.02 - out.data[i]));
	}
	ops->close(b);
	free(out.data);
	return most;
}

static void
test_gradients(const TrBackendOps *ops)
{
	for (int flags = 0; flags < 1 << FLAGS; flags++)
	{
		Draw		draw = {.seed = 40 + (uint64_t) flags};
		Problem		p;

		if (!check_share())
			continue;
		p = draw_problem(&draw, 5, 7, flags, 2);
		CHECK_NEAR(gradient_error(ops, &p), 0, 2e-3, "%s: gradient of softmax_loss, flags %d", ops->name, flags);
		free_problem(&p);
	}
}

/* One user, three columns, logits 0, ln 2, ln 3; the pairs are columns 0 and 1 */
static void
test_by_hand(const TrBackendOps *ops)
{
	float		logits[3] = {0, (float) M_LN2, logf(3)};
	float		offset[3] = {0, 0, (float) M_LN2};
	int32_t		pair_ptr[2] = {0, 2};
	int32_t		columns[2] = {0, 1};
	float		weight[2] = {1, 2};
	float		pair_logit[2] = {1, 1};
	int32_t		skip_ptr[2] = {0, 1};
	int32_t		skip[1] = {2};
	Problem		p = {
		1, 3, 2, logits, offset, pair_ptr, columns, weight, pair_logit, skip_ptr, skip, 0, 1
	};
	double		plain = log(5) + 2 * (log(4) - M_LN2);

	/* Z_0 = 2 + 3, Z_1 = 1 + 3 */
	CHECK_NEAR(loss_of(ops, &p), 0.5 + plain, 1e-6, "%s: loss without the positive", ops->name);
	p.flags = MASK_PAIRS;
	CHECK_NEAR(loss_of(ops, &p), 0.5 + log(3) + 2 * (log(3) - M_LN2), 1e-6, "%s: loss with masked pairs", ops->name);
	p.flags = INCLUDE_POSITIVE;
	CHECK_NEAR(loss_of(ops, &p), 0.5 + log(6) + 2 * (log(6) - M_LN2), 1e-6, "%s: loss with the positive", ops->name);
	p.flags = INCLUDE_POSITIVE | OFFSETS;
	CHECK_NEAR(loss_of(ops, &p), 0.5 + log(4.5) + 2 * (log(4.5) - M_LN2), 1e-6, "%s: loss with an offset", ops->name);
	p.flags = SKIP_LISTS;
	CHECK_NEAR(loss_of(ops, &p), 0.5 + M_LN2 + 2 * (0 - M_LN2), 1e-6, "%s: loss with a skipped column", ops->name);
	p.flags = SKIP_LISTS | MASK_PAIRS;
	CHECK_NEAR(loss_of(ops, &p), 0.5, 0, "%s: pairs without any column count nothing", ops->name);
	p.flags = PAIR_LOGIT | INCLUDE_POSITIVE;
	CHECK_NEAR(loss_of(ops, &p), 0.5 + log(5 + M_E) - 1 + 2 * (log(4 + M_E) - 1), 1e-6, "%s: loss with logits of pairs",
			   ops->name);
}

static void
test_extremes(const TrBackendOps *ops)
{
	static const int flags[] = {0, MASK_PAIRS, INCLUDE_POSITIVE, PAIR_LOGIT, PAIR_LOGIT | INCLUDE_POSITIVE};

	for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
	{
		float		logits[4] = {500, -500, 0, 400};
		int32_t		pair_ptr[2] = {0, 2};
		int32_t		columns[2] = {0, 2};
		float		weight[2] = {1, 1};
		float		pair_logit[2] = {300, 300};
		Problem		p = {1, 4, 2, logits, NULL, pair_ptr, columns, weight, pair_logit, NULL, NULL, flags[f], 1};

		CHECK(isfinite(loss_of(ops, &p)), "%s: loss of large logits, flags %d", ops->name, flags[f]);
		for (int k = 0; k < 4; k++)
		{
			float		old = logits[k];

			logits[k] = NAN;
			CHECK(isnan(loss_of(ops, &p)),
				  "%s: loss with logit %d NaN, flags %d", ops->name, k, flags[f]);
			logits[k] = INFINITY;
			CHECK(!isfinite(loss_of(ops, &p)), "%s: loss with logit %d infinite, flags %d", ops->name, k, flags[f]);
			logits[k] = old;
		}
		pair_logit[1] = NAN;
		CHECK(!(flags[f] & PAIR_LOGIT) || isnan(loss_of(ops, &p)), "%s: loss with a pair's logit NaN, flags %d", ops->name,
			  flags[f]);
	}
}

int
main(void)
{
	static const int shape[][3] = {{0, 5, 1}, {1, 1, 1}, {3, 2, 2}, {9, 33, 3}, {30, 400, 10}, {13, 1001, 60}};
	const TrBackendOps *last = NULL;

	test_by_hand(&tr_plain_ops);
	test_extremes(&tr_plain_ops);
	test_gradients(&tr_plain_ops);
	for (int i = 0; i < N_CANDIDATES; last = candidates[i++].ops())
		if (candidates[i].ops() != last)
		{
			test_by_hand(candidates[i].ops());
			test_extremes(candidates[i].ops());
			test_gradients(candidates[i].ops());
		}
	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
		compare_flags("softmax_loss", run_softmax, (Case) {.d = {shape[i][0], shape[i][1], shape[i][2]}}, FLAGS, 1e-5);
	return check_done();
}
