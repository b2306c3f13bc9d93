/*
 * See counted.h.
 */
#include "counted.h"

#include <math.h>
#include <string.h>
#include <time.h>

Counted		counted;

static const TrBackendOps *inner;
static TrBackendOps outer;

static void
count(double flops, double floats)
{
	counted.flops += flops;
	counted.bytes += 4 * floats;
	counted.operations++;
}

static void
count_gemm(double m, double n, double k)
{
	count(2 * m * n * k, m * k + k * n + m * n);
}

static void
gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy, bool trans_y, int m,
	 int n, int k, float alpha, float beta)
{
	count_gemm(m, n, k);
	inner->gemm(b, c, ldc, x, ldx, trans_x, y, ldy, trans_y, m, n, k, alpha, beta);
}

/* A row of w for each distinct column at most once: as many as there are entries, or columns */
static double
touched(const TrCsr *x)
{
	return fmin((double) x->capacity, x->cols);
}

static void
sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H, TrActivation act)
{
	count(2.0 * x->capacity * H, 2.0 * x->capacity + (touched(x) + x->rows) * H);
	inner->sparse_forward(b, out, x, w, bias, H, act);
}

static void
sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
	count(2.0 * x->capacity * H, 2.0 * x->capacity + (2 * touched(x) + x->rows) * H);
	inner->sparse_backward(b, dw, x, dz, H);
}

static void
dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
			  TrLayout layout, TrActivation act)
{
	count_gemm(R, O, I);
	inner->dense_forward(b, out, x, w, bias, R, I, O, layout, act);
}

static void
dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I, int O,
			   TrLayout layout)
{
	if (dx)
		count_gemm(R, I, O);
	if (dw)
		count_gemm(I, O, R);
	inner->dense_backward(b, dx, dw, dz, x, w, R, I, O, layout);
}

static void
activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O, TrActivation act)
{
	count(0, 3.0 * R * O);
	inner->activation_backward(b, dz, dbias, dy, y, R, O, act);
}

static void
normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
	count(0, 2.0 * R * D);
	inner->normalize(b, out, ld, norm, x, R, D, scale);
}

static void
normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R, int D,
				   float scale)
{
	count(0, 3.0 * R * D);
	inner->normalize_backward(b, dx, dy, out, ld, norm, R, D, scale);
}

static void
pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
	count(2.0 * P * D, 1.0 * P * D);
	inner->pair_scores(b, score, u, v, row, P, D);
}

static void
pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
					 const int32_t *row, int P, int D)
{
	count(4.0 * P * D, 2.0 * P * D);
	inner->pair_scores_backward(b, du, dv, dscore, u, v, row, P, D);
}

static void
softmax_loss(TrBackend *b, const TrSoftmax *s)
{
	count(0, 2.0 * s->users * s->columns);
	inner->softmax_loss(b, s);
}

static void
reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
					const float *multiplicity, bool squared, float scale, double *loss)
{
	count(0, 2.0 * R * x->cols);
	inner->reconstruction_loss(b, z, bias, dbias, x, first, R, multiplicity, squared, scale, loss);
}

static void
update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	count(0, (o->kind == TR_ADAM ? 7.0 : o->momentum != 0 ? 5.0 : 3.0) * n);
	inner->update(b, o, w, g, m, v, n);
}

static void
zero(TrBackend *b, void *dst, size_t bytes)
{
	count(0, (double) bytes / 4);
	inner->zero(b, dst, bytes);
}

static void
profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity, const int32_t *without_post,
			 int R, const TrProfileWeights *weights, const TrProfileRule *rule)
{
	count(0, 6.0 * out->capacity);
	inner->profile_rows(b, out, table, entity, without_post, R, weights, rule);
}

void
count_operations(TrBackend *b)
{
	inner = b->ops;
	outer = *inner;
	outer.gemm = gemm;
	outer.sparse_forward = sparse_forward;
	outer.sparse_backward = sparse_backward;
	outer.dense_forward = dense_forward;
	outer.dense_backward = dense_backward;
	outer.activation_backward = activation_backward;
	outer.normalize = normalize;
	outer.normalize_backward = normalize_backward;
	outer.pair_scores = pair_scores;
	outer.pair_scores_backward = pair_scores_backward;
	outer.softmax_loss = softmax_loss;
	outer.reconstruction_loss = reconstruction_loss;
	outer.update = update;
	outer.zero = zero;
	outer.profile_rows = profile_rows;
	b->ops = &outer;
}

/* ------------------------------------------------------------------ ceilings */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* The best of five runs of either; x holds 3 n^2 numbers that are not zero. */
static double
best_of(TrBackend *b, float *x, int n, bool product)
{
	static const TrOptimizer step = {.kind = TR_SGD, .rate = 1e-3f, .step = 1};
	double		best = INFINITY;
	size_t		square = (size_t) n * n;

	for (int i = 0; i < 6; i++)
	{
		double		start = now();

		if (product)
			b->ops->gemm(b, x, n, x + square, n, false, x + 2 * square, n, false, n, n, n, 1, 0);
		else
			b->ops->update(b, &step, x, x + square, NULL, NULL, (int64_t) square);
		b->ops->finish(b, NULL);
		if (i > 0)
			best = fmin(best, now() - start);
	}
	return best;
}

void
measure_ceilings(TrBackend *b, double *flops, double *bytes)
{
	int			n = strncmp(b->ops->describe(b), "cuda", 4) == 0 ? 8192 : 2048;
	size_t		square = (size_t) n * n;
	float	   *x = b->ops->alloc(b, 3 * square * sizeof(float));
	float		piece[4096];

	*flops = *bytes = NAN;
	if (!x)
		return;
	for (size_t at = 0; at < 3 * square; at += 4096)
	{
		for (int i = 0; i < 4096; i++)
			piece[i] = 1e-2f * (float) ((at + i * 7919) % 1013) / 1013 - 5e-3f;
		b->ops->upload(b, x + at, piece, sizeof(piece));
	}
	*flops = 2.0 * n * n * n / best_of(b, x, n, true);
	*bytes = 12.0 * (double) square / best_of(b, x, n, false);
	b->ops->release(b, x);
}
