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

/* A step of the training may update several tensors; an update by an optimizer of its own starts from 1 again. */
static void
count_step(const TrOptimizer *o)
{
	static int64_t last;

	counted.steps += o->step > last;
	last = o->step > last ? o->step : last;
}

/* The floats that a step reads and writes per parameter: itself and the state twice, the gradient once. */
static double
step_floats(const TrOptimizer *o)
{
	return o->kind == TR_ADAM ? 7 : o->momentum != 0 ? 5 : 3;
}

static void
upload(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	counted.copies++;
	counted.copied += (double) bytes;
	inner->upload(b, dst, src, bytes);
}

static void
download(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	counted.copies++;
	counted.copied += (double) bytes;
	inner->download(b, dst, src, bytes);
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

/* A gradient that nobody keeps, row by row of w, and the step */
static void
sparse_update(TrBackend *b, const TrOptimizer *o, float *w, float *m, float *v, const TrCsr *groups, int n,
			  const float *dz, int H, float *room)
{
	count_step(o);
	count(0, (step_floats(o) - 1) * groups[0].cols * H);
	for (int g = 0; g < n; g++)
	{
		counted.flops += 2.0 * groups[g].capacity * H;
		counted.bytes += 4 * (2.0 * groups[g].capacity + (double) groups[g].rows * H);
	}
	inner->sparse_update(b, o, w, m, v, groups, n, dz, H, room);
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
fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R)
{
	count(0, 2.0 * R);
	inner->fill_column(b, out, ld, weight, feature, R);
}

static void
fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R)
{
	count(0, 2.0 * R);
	inner->fill_column_backward(b, dweight, dy, ld, feature, R);
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

/* A difference, its square, its sum */
static void
gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D,
				float gamma, float scale)
{
	count(3.0 * P * B * D, 1.0 * P * B * D);
	inner->gaussian_scores(b, score, u, v, row, P, B, D, gamma, scale);
}

static void
gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
						 const int32_t *row, int P, int B, int D, float gamma, float scale)
{
	count(6.0 * P * B * D, 2.0 * P * B * D);
	inner->gaussian_scores_backward(b, du, dv, dscore, u, v, row, P, B, D, gamma, scale);
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
tag_loss(TrBackend *b, const TrTagLoss *t)
{
	double		entries = (double) t->targets->capacity;

	for (int j = 0; j < t->parts; j++)
		entries += (double) t->part[j].capacity;
	count(0, 2.0 * t->targets->rows * t->targets->cols + 2 * entries);
	inner->tag_loss(b, t);
}

static void
squared_loss(TrBackend *b, float *z, const TrCsr *x, float scale, double *loss)
{
	count(3.0 * (double) x->capacity, 1.0 * x->rows * x->cols + 2.0 * (double) x->capacity);
	inner->squared_loss(b, z, x, scale, loss);
}

static void
latent(TrBackend *b, float *z, const float *x, int R, int D, uint64_t seed, uint64_t step)
{
	count(0, 3.0 * R * D);
	inner->latent(b, z, x, R, D, seed, step);
}

static void
latent_backward(TrBackend *b, float *dx, const float *dz, const float *x, int R, int D, uint64_t seed, uint64_t step,
				float scale, double *loss)
{
	count(0, 5.0 * R * D);
	inner->latent_backward(b, dx, dz, x, R, D, seed, step, scale, loss);
}

static void
dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
	count(0, 2.0 * (double) n);
	inner->dropout(b, out, x, n, p, seed, step);
}

static void
update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	count_step(o);
	count(0, step_floats(o) * (double) n);
	inner->update(b, o, w, g, m, v, n);
}

static void
update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index, int R,
			int width)
{
	count_step(o);
	count(0, step_floats(o) * R * width + R);
	inner->update_rows(b, o, w, g, m, v, index, R, width);
}

static void
sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
	count(0, (double) n);
	inner->sum_squares(b, loss, w, n, decay);
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

static void
gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width)
{
	count(0, 2.0 * R * width + R);
	inner->gather_rows(b, out, table, index, R, width);
}

/* Every index a row of its own, at most */
static void
scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width,
			 float scale)
{
	count(0, 3.0 * R * width + R);
	inner->scatter_rows(b, table, index, x, row, R, width, scale);
}

static void
attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale)
{
	count(2.0 * x->capacity * D, 3.0 * x->capacity + (touched(x) + x->rows) * D);
	inner->attention_weights(b, weight, x, q, k, D, scale);
}

static void
attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout, const float *v, int D,
				   float scale)
{
	count(2.0 * x->capacity * D, 3.0 * x->capacity + (touched(x) + x->rows) * D);
	inner->attention_backward(b, dscore, x, weight, dout, v, D, scale);
}

/* The lower triangles of a row's sum of products, and its Cholesky factor */
static void
regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge, int D,
			 double *loss)
{
	double		width = D;

	count((double) x->capacity * width * (width + 1) + x->rows * width * width * width / 3,
		  2.0 * x->capacity + (touched(x) + x->rows + width) * width + x->rows);
	inner->regress_rows(b, out, x, v, gram, ridge, D, loss);
}

/* To a tridiagonal matrix and back, and the rotations of the eigenvectors in between */
static void
symmetric_eigen(TrBackend *b, float *a, float *values, int n)
{
	count(9.0 * n * n * n, 2.0 * n * n + n);
	inner->symmetric_eigen(b, a, values, n);
}

void
count_operations(TrBackend *b)
{
	inner = b->ops;
	outer = *inner;
	outer.upload = upload;
	outer.download = download;
#define OPERATION(name, parameters) outer.name = inner->name ? name : NULL;
#include "core/operations.h"
	outer.zero = zero;
	b->ops = &outer;
}

/* ------------------------------------------------------------------ ceilings */

/* Factors of the largest product have so many rows and columns. */
#define MOST_N 8192

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* The best of several runs of either; x holds 3 n^2 numbers that are not zero. */
static double
best_of(TrBackend *b, float *x, int n, bool product, int runs)
{
	static const TrOptimizer step = {.kind = TR_SGD, .rate = 1e-3f, .step = 1};
	double		best = INFINITY;
	size_t		square = (size_t) n * n;

	for (int i = 0; i < runs; i++)
	{
		double		start = now();

		if (product)
			b->ops->gemm(b, x, n, x + square, n, false, x + 2 * square, n, false, n, n, n, 1, 0);
		else
			b->ops->update(b, &step, x, x + square, NULL, NULL, (int64_t) square);
		b->ops->finish(b, NULL);
		best = fmin(best, now() - start);
	}
	return best;
}

/* Three squares of small numbers, none of them zero; NULL when there is no memory. */
static float *
squares(TrBackend *b, int n)
{
	static float row[MOST_N];
	float	   *x = b->ops->alloc(b, 3 * (size_t) n * n * sizeof(float));

	for (int i = 0; i < n; i++)
		row[i] = 1e-2f * (float) (i * 7919 % 1013) / 1013 - 5e-3f;
	for (int r = 0; x && r < 3 * n; r++)
		b->ops->upload(b, x + (size_t) r * n, row, (size_t) n * sizeof(float));
	return x;
}

/* Grows the product until it takes a twentieth of a second. */
void
measure_ceilings(TrBackend *b, double *flops, double *bytes)
{
	int			n = 128;
	float	   *x = squares(b, n);

	while (x && n < MOST_N && best_of(b, x, n, true, 2) < 0.05)
	{
		b->ops->release(b, x);
		n *= 2;
		x = squares(b, n);
	}
	*flops = *bytes = NAN;
	if (!x)
		return;
	*flops = 2.0 * n * n * n / best_of(b, x, n, true, 6);
	*bytes = 12.0 * n * n / best_of(b, x, n, false, 6);
	b->ops->release(b, x);
}
