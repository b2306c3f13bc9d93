/*
 * The layers of every backend against the plain one, at ordinary, odd and degenerate shapes, with a bound of its own; and
 * one backend with different numbers of threads against itself, to the bit. The losses and the profiles have files of their
 * own. A new operation is a function that runs it on random inputs and collects its outputs, and a line per shape in
 * main().
 */
#include "backends.h"

/* d = m, n, k, what is added to each leading dimension; flags: trans_x, trans_y, beta, alpha */
static void
run_gemm(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			m = c->d[0];
	int			n = c->d[1];
	int			k = c->d[2];
	int			pad = c->d[3];
	bool		tx = c->flags & 1;
	bool		ty = c->flags & 2;
	int			ldx = (tx ? m : k) + pad;
	int			ldy = (ty ? k : n) + pad;
	int			ldc = n + pad;
	float	   *x = random_floats(b, draw, (size_t) (tx ? k : m) * ldx, -1, 1);
	float	   *y = random_floats(b, draw, (size_t) (ty ? n : k) * ldy, -1, 1);
	float	   *z = random_floats(b, draw, (size_t) m * ldc, -1, 1);

	b->ops->gemm(b, z, ldc, x, ldx, tx, y, ldy, ty, m, n, k, c->flags & 8 ? -0.5f : 1, c->flags & 4 ? 0.75f : 0);
	collect_floats(out, b, z, (size_t) m * ldc);
}

/* Flags that tell activations apart: four of them from bit `bit` on, and another one. */
static TrActivation
activation_of(const Case *c, int bit, int selu)
{
	static const TrActivation acts[] = {TR_LINEAR, TR_TANH, TR_SIGMOID, TR_RELU};

	return c->flags & selu ? TR_SELU : acts[c->flags >> bit & 3];
}

/* d = R, T, H, sparsity; flags: activation, activation, bias, selu */
static void
run_sparse(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	int			H = c->d[2];
	TrCsr		x = random_csr(b, draw, R, T, c->d[3], -1, 1);
	float	   *w = random_floats(b, draw, (size_t) T * H, -0.3f, 0.3f);
	float	   *bias = random_floats(b, draw, H, -1, 1);
	float	   *z = random_floats(b, draw, (size_t) R * H, -1, 1);
	float	   *dw = random_floats(b, draw, (size_t) T * H, -1, 1);

	b->ops->sparse_backward(b, dw, &x, z, H);
	collect_floats(out, b, dw, (size_t) T * H);
	b->ops->sparse_forward(b, z, &x, w, c->flags & 4 ? bias : NULL, H, activation_of(c, 0, 8));
	collect_floats(out, b, z, (size_t) R * H);
}

/* d = R, I, O; flags: stored (O,I), activation, activation, bias, selu */
static void
run_dense_forward(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			I = c->d[1];
	int			O = c->d[2];
	float	   *x = random_floats(b, draw, (size_t) R * I, -1, 1);
	float	   *w = random_floats(b, draw, (size_t) I * O, -0.1f, 0.1f);
	float	   *bias = random_floats(b, draw, O, -1, 1);
	float	   *y = random_floats(b, draw, (size_t) R * O, -1, 1);

	b->ops->dense_forward(b, y, x, w, c->flags & 8 ? bias : NULL, R, I, O, c->flags & 1 ? TR_STORED_OI : TR_STORED_IO,
						  activation_of(c, 1, 16));
	collect_floats(out, b, y, (size_t) R * O);
}

/* d = R, I, O; flags: stored (O,I), no dx, no dw */
static void
run_dense_backward(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			I = c->d[1];
	int			O = c->d[2];
	float	   *x = random_floats(b, draw, (size_t) R * I, -1, 1);
	float	   *w = random_floats(b, draw, (size_t) I * O, -0.1f, 0.1f);
	float	   *dz = random_floats(b, draw, (size_t) R * O, -1, 1);
	float	   *dx = random_floats(b, draw, (size_t) R * I, -1, 1);
	float	   *dw = random_floats(b, draw, (size_t) I * O, -1, 1);

	b->ops->dense_backward(b, c->flags & 2 ? NULL : dx, c->flags & 4 ? NULL : dw, dz, x, w, R, I, O,
						   c->flags & 1 ? TR_STORED_OI : TR_STORED_IO);
	collect_floats(out, b, dx, (size_t) R * I);
	collect_floats(out, b, dw, (size_t) I * O);
}

/* d = R, O; flags: activation, activation, dbias, in place, selu */
static void
run_activation_backward(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			O = c->d[1];
	float	   *dy = random_floats(b, draw, (size_t) R * O, -1, 1);
	float	   *y = random_floats(b, draw, (size_t) R * O, -1, 1);
	float	   *dz = random_floats(b, draw, (size_t) R * O, -1, 1);
	float	   *dbias = random_floats(b, draw, O, -1, 1);

	if (c->flags & 8)
		dz = dy;
	b->ops->activation_backward(b, dz, c->flags & 4 ? dbias : NULL, dy, y, R, O, activation_of(c, 0, 16));
	collect_floats(out, b, dz, (size_t) R * O);
	collect_floats(out, b, dbias, O);
}

/* d = R, D, ld - D; flags: a row of zeroes */
static void
run_normalize(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			D = c->d[1];
	int			ld = D + c->d[2];
	float	   *x = random_floats(b, draw, (size_t) R * D, -1, 1);
	float	   *y = random_floats(b, draw, (size_t) R * ld, -1, 1);
	float	   *dy = random_floats(b, draw, (size_t) R * ld, -1, 1);
	float	   *norm = random_floats(b, draw, R, -1, 1);
	float	   *dx = random_floats(b, draw, (size_t) R * D, -1, 1);

	if (R > 0 && c->flags & 1)
		b->ops->zero(b, x, sizeof(float) * D);
	b->ops->normalize(b, y, ld, norm, x, R, D, 3);
	b->ops->normalize_backward(b, dx, dy, y, ld, norm, R, D, 3);
	collect_floats(out, b, y, (size_t) R * ld);
	collect_floats(out, b, norm, R);
	collect_floats(out, b, dx, (size_t) R * D);
}

/* d = R, ld; flags: weight, feature */
static void
run_fill_column(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			ld = c->d[1];
	float	   *y = random_floats(b, draw, (size_t) R * ld, -1, 1);
	float	   *feature = random_floats(b, draw, R, 0, 5);
	float	   *weight = random_floats(b, draw, 1, -1, 1);
	float	   *dweight = random_floats(b, draw, 1, -1, 1);

	b->ops->fill_column_backward(b, dweight, y, ld, c->flags & 2 ? feature : NULL, R);
	b->ops->fill_column(b, y, ld, c->flags & 1 ? weight : NULL, c->flags & 2 ? feature : NULL, R);
	collect_floats(out, b, y, (size_t) R * ld);
	collect_floats(out, b, dweight, 1);
}

/* P pairs over U rows, ascending, some rows without any */
static int32_t *
rows_of_pairs(TrBackend *b, int U, int P)
{
	int32_t    *host = malloc(sizeof(int32_t) * P + 1);
	int32_t    *row;

	for (int p = 0; p < P; p++)
		host[p] = (int32_t) ((int64_t) p * U / P) & ~1;
	row = to_backend(b, host, sizeof(int32_t) * P);
	free(host);
	return row;
}

/* d = U, P, D */
static void
run_pairs(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			U = c->d[0];
	int			P = c->d[1];
	int			D = c->d[2];
	int32_t    *row = rows_of_pairs(b, U, P);
	float	   *u = random_floats(b, draw, (size_t) U * D, -1, 1);
	float	   *v = random_floats(b, draw, (size_t) P * D, -1, 1);
	float	   *score = random_floats(b, draw, P, -1, 1);
	float	   *du = random_floats(b, draw, (size_t) U * D, -1, 1);
	float	   *dv = random_floats(b, draw, (size_t) P * D, -1, 1);

	b->ops->pair_scores_backward(b, du, dv, score, u, v, row, P, D);
	collect_floats(out, b, du, (size_t) U * D);
	collect_floats(out, b, dv, (size_t) P * D);
	b->ops->pair_scores(b, score, u, v, row, P, D);
	collect_floats(out, b, score, P);
}

/* d = U, P, D; flags: three parts */
static void
run_gaussian(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			U = c->d[0];
	int			P = c->d[1];
	int			D = c->d[2];
	int			B = c->flags & 1 ? 3 : 1;
	float		gamma = 1.5f / (float) D;
	int32_t    *row = rows_of_pairs(b, U, P);
	float	   *u = random_floats(b, draw, (size_t) U * B * D, -1, 1);
	float	   *v = random_floats(b, draw, (size_t) P * B * D, -1, 1);
	float	   *score = random_floats(b, draw, P, -1, 1);
	float	   *du = random_floats(b, draw, (size_t) U * B * D, -1, 1);
	float	   *dv = random_floats(b, draw, (size_t) P * B * D, -1, 1);

	b->ops->gaussian_scores_backward(b, du, dv, score, u, v, row, P, B, D, gamma, 3);
	collect_floats(out, b, du, (size_t) U * B * D);
	collect_floats(out, b, dv, (size_t) P * B * D);
	b->ops->gaussian_scores(b, score, u, v, row, P, B, D, gamma, 3);
	collect_floats(out, b, score, P);
}

/* d = R, width, rows of the table */
static void
run_gather(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			width = c->d[1];
	int32_t    *host = malloc(sizeof(int32_t) * R + 1);
	int32_t    *index;
	float	   *table = random_floats(b, draw, (size_t) c->d[2] * width, -1, 1);
	float	   *y = random_floats(b, draw, (size_t) R * width, -1, 1);

	for (int r = 0; r < R; r++)
		host[r] = draw_below(draw, c->d[2]);
	index = to_backend(b, host, sizeof(int32_t) * R);
	free(host);
	b->ops->gather_rows(b, y, table, index, R, width);
	collect_floats(out, b, y, (size_t) R * width);
}

/* n ascending numbers below `below`, spread evenly: distinct where n <= below */
static int32_t *
ascending(TrBackend *b, int n, int below)
{
	int32_t    *host = malloc(sizeof(int32_t) * n + 1);
	int32_t    *index;

	for (int r = 0; r < n; r++)
		host[r] = (int32_t) ((int64_t) r * below / n);
	index = to_backend(b, host, sizeof(int32_t) * n);
	free(host);
	return index;
}

/* d = R, width, rows of the table; flags: in another order, scale */
static void
run_scatter(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			width = c->d[1];
	int32_t    *host = malloc(sizeof(int32_t) * R + 1);
	int32_t    *index = ascending(b, R, c->d[2]);
	int32_t    *row;
	float	   *table = random_floats(b, draw, (size_t) c->d[2] * width, -1, 1);
	float	   *x = random_floats(b, draw, (size_t) R * width, -1, 1);

	for (int r = 0; r < R; r++)
		host[r] = draw_below(draw, R);
	row = to_backend(b, host, sizeof(int32_t) * R);
	free(host);
	b->ops->scatter_rows(b, table, index, x, c->flags & 1 ? row : NULL, R, width, c->flags & 2 ? -0.5f : 1);
	collect_floats(out, b, table, (size_t) c->d[2] * width);
}

/* d = R, T, D, sparsity; flags: scale */
static void
run_attention(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	int			D = c->d[2];
	TrCsr		x = random_csr(b, draw, R, T, c->d[3], 0, 3);
	float	   *q = random_floats(b, draw, (size_t) R * D, -2, 2);
	float	   *k = random_floats(b, draw, (size_t) T * D, -2, 2);
	float	   *dout = random_floats(b, draw, (size_t) R * D, -1, 1);
	float	   *weight = random_floats(b, draw, (size_t) R * T, -1, 1);
	float	   *dscore = random_floats(b, draw, (size_t) R * T, -1, 1);

	b->ops->attention_weights(b, weight, &x, q, k, D, c->flags & 1 ? 0.1f : 1);
	b->ops->attention_backward(b, dscore, &x, weight, dout, k, D, c->flags & 1 ? 0.1f : 1);
	collect_floats(out, b, weight, (size_t) R * T);
	collect_floats(out, b, dscore, (size_t) R * T);
}

/* d = R, T, D, sparsity; flags: no gram, only rows from the third on */
static void
run_regress(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	int			D = c->d[2];
	int			first = c->flags & 2 ? (R < 2 ? R : 2) : 0;
	TrCsr		x = random_csr(b, draw, R, T, c->d[3], 0, 2);
	float	   *v = random_floats(b, draw, (size_t) T * D, -1, 1);
	float	   *gram = random_floats(b, draw, (size_t) D * D, -1, 1);
	float	   *ridge = random_floats(b, draw, R, 0.5f, 3);
	float	   *w = random_floats(b, draw, (size_t) R * D, -1, 1);
	double	   *loss = to_backend(b, &(double) {0.5}, sizeof(double));

	if (!b->ops->regress_rows)
		return;
	b->ops->gemm(b, gram, D, v, D, true, v, D, false, D, D, T, c->flags & 1 ? 0 : 0.1f, 0);
	x.rows -= first;
	x.ptr += first;
	b->ops->regress_rows(b, w + (size_t) first * D, &x, v, gram, ridge + first, D, loss);
	collect_floats(out, b, w, (size_t) R * D);
	collect_double(out, b, loss);
}

/* d = n, rank; flags: large numbers. The eigenvectors are compared by what they multiply to: there are several. */
static void
run_eigen(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			n = c->d[0];
	int			rank = c->d[1];
	float	   *x = random_floats(b, draw, (size_t) n * rank, -1, 1);
	float	   *a = random_floats(b, draw, (size_t) n * n, -1, 1);
	float	   *product = random_floats(b, draw, (size_t) n * (size_t) (n > rank ? n : rank), -1, 1);
	float	   *values = random_floats(b, draw, n, -1, 1);

	b->ops->gemm(b, a, n, x, rank, false, x, rank, true, n, n, rank, c->flags & 1 ? 1e4f : 1, 0);
	b->ops->symmetric_eigen(b, a, values, n);
	collect_floats(out, b, values, n);
	b->ops->gemm(b, product, n, a, n, false, a, n, true, n, n, n, 1, 0);
	collect_floats(out, b, product, (size_t) n * n);
	b->ops->gemm(b, product, rank, a, n, false, x, rank, false, n, rank, n, 1, 0);
	b->ops->gemm(b, x, rank, a, n, true, product, rank, false, n, rank, n, 1, 0);
	collect_floats(out, b, x, (size_t) n * rank);
}

/* d = R, T, first, sparsity; flags: squared */
static void
run_reconstruction(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	TrCsr		x = random_csr(b, draw, R + c->d[2] + 2, T, c->d[3], 0, 2);
	float	   *z = random_floats(b, draw, (size_t) R * T, -2, 2);
	float	   *bias = random_floats(b, draw, T, -1, 1);
	float	   *dbias = random_floats(b, draw, T, -1, 1);
	float	   *multiplicity = random_floats(b, draw, x.rows, 0, 4);
	double	   *loss = to_backend(b, &(double) {0.5}, sizeof(double));

	b->ops->reconstruction_loss(b, z, bias, dbias, &x, c->d[2], R, multiplicity, c->flags & 1, 0.3f, loss);
	collect_floats(out, b, z, (size_t) R * T);
	collect_floats(out, b, dbias, T);
	collect_double(out, b, loss);
}

/* d = R, T, parts, sparsity; flags: softmax, columns left out */
static void
run_tag_loss(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	TrCsr		targets = random_csr(b, draw, R, T, c->d[3], c->flags & 2 ? 0 : 0.5f, 2);
	float	   *z = random_floats(b, draw, (size_t) R * T, -9, 9);
	float	   *bias = random_floats(b, draw, T, -1, 1);
	float	   *dbias = random_floats(b, draw, T, -1, 1);
	float	   *weight = random_floats(b, draw, TR_MOST_PARTS, -1, 1);
	float	   *dweight = random_floats(b, draw, TR_MOST_PARTS, -1, 1);
	double	   *loss = to_backend(b, &(double) {0.5}, sizeof(double));
	TrTagLoss	t = {
		.softmax = c->flags & 1, .logits = z, .targets = &targets, .bias = bias, .dbias = dbias, .parts = c->d[2],
		.part_weight = weight, .dpart_weight = dweight, .scale = 0.3f, .loss = loss
	};

	for (int j = 0; j < t.parts; j++)
		t.part[j] = random_csr(b, draw, R, T, 2 + j, -3, 3);
	b->ops->tag_loss(b, &t);
	collect_floats(out, b, z, (size_t) R * T);
	collect_floats(out, b, dbias, T);
	collect_floats(out, b, dweight, TR_MOST_PARTS);
	collect_double(out, b, loss);
}

/* d = R, T, sparsity */
static void
run_squares(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	TrCsr		targets = random_csr(b, draw, R, T, c->d[2], -1, 5);
	float	   *z = random_floats(b, draw, (size_t) R * T, -9, 9);
	double	   *loss = to_backend(b, &(double) {0.5}, sizeof(double));

	b->ops->squared_loss(b, z, &targets, 0.3f, loss);
	collect_floats(out, b, z, (size_t) R * T);
	collect_double(out, b, loss);
}

/* d = R, D; flags: means alone */
static void
run_latent(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			D = c->d[1];
	uint64_t	step = c->flags & 1 ? 0 : 7;
	float	   *x = random_floats(b, draw, 2 * (size_t) R * D, -2, 2);
	float	   *dz = random_floats(b, draw, (size_t) R * D, -1, 1);
	float	   *z = random_floats(b, draw, (size_t) R * D, 0, 0);
	float	   *dx = random_floats(b, draw, 2 * (size_t) R * D, 0, 0);
	double	   *loss = to_backend(b, &(double) {0.5}, sizeof(double));

	b->ops->latent(b, z, x, R, D, 3, step);
	b->ops->latent_backward(b, dx, dz, x, R, D, 3, step, 0.3f, loss);
	collect_floats(out, b, z, (size_t) R * D);
	collect_floats(out, b, dx, 2 * (size_t) R * D);
	collect_double(out, b, loss);
}

/* d = n; flags: in place, nothing dropped */
static void
run_dropout(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			n = c->d[0];
	float	   *x = random_floats(b, draw, n, -1, 1);
	float	   *y = c->flags & 1 ? x : random_floats(b, draw, n, -1, 1);

	b->ops->dropout(b, y, x, n, c->flags & 2 ? 0 : 0.3f, 7, 123456789012);
	collect_floats(out, b, y, n);
}

/* flags: Adam, momentum, decay, a later step */
static TrOptimizer
optimizer_of(int flags)
{
	return (TrOptimizer) {
		.kind = flags & 1 ? TR_ADAM : TR_SGD, .rate = 0.01f, .momentum = flags & 2 ? 0.9f : 0, .beta1 = 0.9f,
		.beta2 = 0.999f, .epsilon = 1e-8f, .step = flags & 8 ? 1000 : 1, .decay = flags & 4 ? 0.1f : 0
	};
}

/* Adam's v is never below a tenth of m^2; with less, the rounding of m would be all that is left of a step. */
#define LEAST_V 0.001f

/* d = n; flags: the optimizer's */
static void
run_update(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			n = c->d[0];
	TrOptimizer o = optimizer_of(c->flags);
	float	   *w = random_floats(b, draw, n, -1, 1);
	float	   *g = random_floats(b, draw, n, -1, 1);
	float	   *m = random_floats(b, draw, n, -0.1f, 0.1f);
	float	   *v = random_floats(b, draw, n, LEAST_V, 0.1f);
	double	   *loss = to_backend(b, &(double) {0.25}, sizeof(double));

	b->ops->update(b, &o, w, g, m, v, n);
	collect_floats(out, b, w, n);
	collect_floats(out, b, m, n);
	collect_floats(out, b, v, n);
	b->ops->sum_squares(b, loss, w, n, 0.01f);
	collect_double(out, b, loss);
}

/* d = R, width, more rows of the table; flags: the optimizer's */
static void
run_update_rows(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			width = c->d[1];
	size_t		n = (size_t) (R + c->d[2]) * width;
	TrOptimizer o = optimizer_of(c->flags);
	int32_t    *index = ascending(b, R, R + c->d[2]);
	float	   *w = random_floats(b, draw, n, -1, 1);
	float	   *g = random_floats(b, draw, (size_t) R * width, -1, 1);
	float	   *m = random_floats(b, draw, n, -0.1f, 0.1f);
	float	   *v = random_floats(b, draw, n, LEAST_V, 0.1f);
	bool		adam = o.kind == TR_ADAM;

	b->ops->update_rows(b, &o, w, g, adam || o.momentum != 0 ? m : NULL, adam ? v : NULL, index, R, width);
	collect_floats(out, b, w, n);
	collect_floats(out, b, m, n);
	collect_floats(out, b, v, n);
}

/* d = R, T, H, sparsity; flags: the optimizer's. Three groups of rows, of which one may be empty. */
static void
run_sparse_update(TrBackend *b, Draw *draw, const Case *c, Output *out)
{
	int			R = c->d[0];
	int			T = c->d[1];
	int			H = c->d[2];
	size_t		n = (size_t) T * H;
	TrOptimizer o = optimizer_of(c->flags);
	TrCsr		groups[] = {random_csr(b, draw, R, T, c->d[3], -1, 1), random_csr(b, draw, R / 2, T, c->d[3], -1, 1),
		random_csr(b, draw, 5, T, c->d[3], -1, 1)};
	float	   *dz = random_floats(b, draw, (size_t) (R + R / 2 + 5) * H, -1, 1);
	float	   *w = random_floats(b, draw, n, -1, 1);
	float	   *m = random_floats(b, draw, n, -0.1f, 0.1f);
	float	   *v = random_floats(b, draw, n, LEAST_V, 0.1f);
	float	   *room = random_floats(b, draw, n, -1, 1);
	bool		adam = o.kind == TR_ADAM;

	b->ops->sparse_update(b, &o, w, adam || o.momentum != 0 ? m : NULL, adam ? v : NULL, groups, 3, dz, H, room);
	collect_floats(out, b, w, n);
	collect_floats(out, b, m, n);
	collect_floats(out, b, v, n);
}

static void
test_layers(void)
{
	static const int gemm[][4] = {
		{1, 1, 1, 0}, {5, 7, 3, 2}, {3, 4, 0, 1}, {130, 70, 33, 0}, {100, 300, 257, 5}, {30, 20, 3000, 0}, {0, 4, 4, 0},
		{500, 700, 90, 0}, {4, 0, 4, 1}
	};
	static const int sparse[][4] = {
		{1, 1, 1, 1}, {0, 5, 4, 2}, {13, 40, 16, 3}, {70, 90, 33, 10}, {600, 50, 150, 8}, {40, 100, 700, 20}, {9, 30, 64, 2},
		{700, 60, 20, 1}, {20, 8300, 131, 300}
	};
	static const int dense[][4] = {
		{0, 3, 4, 0}, {1, 1, 1, 0}, {7, 5, 3, 0}, {129, 65, 200, 0}, {100, 2000, 30, 0}, {700, 30, 260, 0}
	};

	for (size_t i = 0; i < sizeof(gemm) / sizeof(gemm[0]); i++)
	{
		Case		c = {.d = {gemm[i][0], gemm[i][1], gemm[i][2], gemm[i][3]}};

		compare_flags("gemm", run_gemm, c, 4, 1e-5);
	}
	for (size_t i = 0; i < sizeof(sparse) / sizeof(sparse[0]); i++)
	{
		Case		c = {.d = {sparse[i][0], sparse[i][1], sparse[i][2], sparse[i][3]}};

		compare_flags("sparse", run_sparse, c, 4, 2e-6);
		/* Adam divides by the root of the second moment: where many terms cancel, their rounding counts more */
		for (c.flags = 0; c.flags < 16; c.flags++)
			compare("sparse_update", run_sparse_update, &c, (c.flags & 1) && c.d[0] >= 600 ? 1e-4 : 1e-5);
	}
	for (size_t i = 0; i < sizeof(dense) / sizeof(dense[0]); i++)
	{
		Case		c = {.d = {dense[i][0], dense[i][1], dense[i][2]}};

		compare_flags("dense_forward", run_dense_forward, c, 5, 2e-5);
		compare_flags("dense_backward", run_dense_backward, c, 3, 1e-5);
	}
}

static void
test_rows(void)
{
	static const int shape[][2] = {{0, 3}, {1, 1}, {5, 17}, {33, 128}, {300, 40}, {5000, 3}};

	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
	{
		int			R = shape[i][0];
		int			D = shape[i][1];

		compare_flags("activation_backward", run_activation_backward, (Case) {.d = {R, D}}, 5, 6e-6);
		compare_flags("normalize", run_normalize, (Case) {.d = {R, D}}, 0, 5e-6);
		compare_flags("normalize", run_normalize, (Case) {.d = {R, D, 2}}, D > 1, 5e-6);
		compare_flags("fill_column", run_fill_column, (Case) {.d = {R, D}}, 2, 1e-6);
		compare("gather_rows", run_gather, &(Case) {.d = {R, D, 9}}, 0);
		compare_flags("scatter_rows", run_scatter, (Case) {.d = {R, D, 9}}, 2, 1e-6);
		compare_flags("scatter_rows", run_scatter, (Case) {.d = {R, D, 3 * R + 1}}, 2, 1e-6);
		compare("pair_scores", run_pairs, &(Case) {.d = {5, R, D}}, 2e-6);
		compare("pair_scores", run_pairs, &(Case) {.d = {R + 1, R, D}}, 2e-6);
		compare_flags("gaussian_scores", run_gaussian, (Case) {.d = {R + 1, R, D}}, 1, 5e-6);
		compare_flags("gaussian_scores", run_gaussian, (Case) {.d = {5, R, D}}, 1, 5e-6);
		compare_flags("update", run_update, (Case) {.d = {R * D}}, 4, 2e-6);
		compare_flags("update_rows", run_update_rows, (Case) {.d = {R, D, R % 7}}, 4, 2e-6);
	}
	compare_flags("update", run_update, (Case) {.d = {50001}}, 4, 2e-6);
}

static void
test_reconstruction(void)
{
	static const int shape[][4] = {{0, 5, 0, 2}, {1, 1, 0, 1}, {7, 33, 2, 3}, {70, 130, 5, 10}, {200, 601, 0, 30}};

	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
	{
		Case		c = {.d = {shape[i][0], shape[i][1], shape[i][2], shape[i][3]}};

		compare_flags("reconstruction_loss", run_reconstruction, c, 1, 3e-6);
	}
}

static void
test_tag_loss(void)
{
	static const int shape[][4] = {
		{0, 5, 1, 2}, {1, 1, 0, 1}, {7, 33, 2, 3}, {4, 3, 1, 1}, {70, 130, 4, 10}, {200, 601, 3, 200}, {9, 2132, 2, 500}
	};

	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
	{
		Case		c = {.d = {shape[i][0], shape[i][1], shape[i][2], shape[i][3]}};

		compare_flags("tag_loss", run_tag_loss, c, 2, 5e-6);
	}
	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
		compare("squared_loss", run_squares, &(Case) {.d = {shape[i][0], shape[i][1], shape[i][3]}}, 1e-6);
	compare("squared_loss", run_squares, &(Case) {.d = {70000, 1, 1}}, 1e-6);
	for (int n = 0; n < 500; n = 3 * n + 1)
		compare_flags("latent", run_latent, (Case) {.d = {n, 1 + n % 33}}, 1, 3e-6);
	for (int n = 0; n < 70000; n = 3 * n + 1)
		compare_flags("dropout", run_dropout, (Case) {.d = {n}}, 2, 1e-6);
}

/* As many stay as should, and what stays keeps the sum. */
static void
test_dropout_share(void)
{
	double		sum = 0;
	int			stay = 0;

	for (int i = 0; i < 100000; i++)
		stay += tr_stays(3, 5, i, 0.8f);
	CHECK_NEAR(stay / 100000.0, 0.2, 0.005, "a fifth outlives a dropout of 0.8");
	for (int i = 0; i < 1000; i++)
		sum += tr_stays(3, 5, i, 0);
	CHECK(sum == 1000, "everything outlives a dropout of 0");
}

static void
test_regression(void)
{
	static const int shape[][4] = {
		{0, 5, 3, 2}, {1, 1, 1, 1}, {7, 33, 1, 3}, {40, 30, 17, 2}, {70, 200, 64, 10}, {3, 700, 65, 2}, {100, 40, 130, 3}
	};

	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
	{
		Case		c = {.d = {shape[i][0], shape[i][1], shape[i][2], shape[i][3]}};

		compare_flags("regress_rows", run_regress, c, 2, 5e-5);
		compare_flags("attention", run_attention, c, 1, 2e-5);
	}
}

static void
test_eigen(void)
{
	static const int shape[][2] = {{1, 1}, {2, 1}, {3, 3}, {17, 5}, {64, 64}, {130, 200}, {300, 40}};

	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
		compare_flags("symmetric_eigen", run_eigen, (Case) {.d = {shape[i][0], shape[i][1]}}, 1, 1e-5);
}

/* Numbers that have no eigenvectors: an error on every backend, and no endless search. */
static void
test_no_eigen(const TrBackendOps *ops)
{
	TrBackend  *b = open_backend(ops, 2);
	TrError		err = {0};
	float	   *a = to_backend(b, (float[9]) {1, NAN, 2, NAN, 3, 4, 2, 4, 5}, sizeof(float) * 9);
	float	   *values = to_backend(b, (float[3]) {0}, sizeof(float) * 3);

	ops->symmetric_eigen(b, a, values, 3);
	CHECK(ops->finish(b, &err) == TR_NOT_FINITE
		  && strcmp(err.message, "could not compute the eigenvectors of a matrix of 3 x 3") == 0,
		  "%s: a matrix without eigenvectors: %s", ops->name, err.message);
	ops->close(b);
}

/* What a device does in other ways: factors too wide for what it holds at once, rows too long for one block. */
static void
test_large_regression(void)
{
	static const Case cases[] = {
		{{9, 40, 144, 2}, 0}, {{6, 50, 200, 2}, 1}, {{70, 20, 225, 3}, 2}, {{4, 3000, 17, 1}, 0}, {{6, 1400, 30, 1}, 2},
		{{2, 1100, 70, 1}, 0}, {{2, 1100, 201, 1}, 1}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		compare("regress_rows", run_regress, &cases[i], 1e-4);
}

/* Rows that have no minimum: an error that names the first, on every backend. */
static void
test_unsolvable(const TrBackendOps *ops)
{
	TrBackend  *b = open_backend(ops, 2);
	TrCsr		x = {.rows = 3, .cols = 2, .capacity = 3};
	TrError		err = {0};
	float	   *out = to_backend(b, (float[6]) {0}, sizeof(float) * 6);
	float	   *v = to_backend(b, (float[4]) {1, 2, 3, 4}, sizeof(float) * 4);
	float	   *sound = to_backend(b, (float[4]) {1, 0, 0, 1}, sizeof(float) * 4);
	float	   *gram = to_backend(b, (float[4]) {1, 0, 0, -30}, sizeof(float) * 4);
	float	   *ridge = to_backend(b, (float[3]) {99, 9, 9}, sizeof(float) * 3);
	double	   *loss = to_backend(b, &(double) {0}, sizeof(double));

	x.ptr = to_backend(b, (int64_t[4]) {0, 0, 1, 3}, sizeof(int64_t) * 4);
	x.col = to_backend(b, (int32_t[3]) {0, 0, 1}, sizeof(int32_t) * 3);
	x.val = to_backend(b, (float[3]) {1, 1, 1}, sizeof(float) * 3);
	ops->regress_rows(b, out, &x, v, sound, ridge, 2, loss);
	CHECK_EQUAL(ops->finish(b, &err), TR_OK, "%s: rows that can be solved", ops->name);
	ops->regress_rows(b, out, &x, v, gram, ridge, 2, loss);
	CHECK(ops->finish(b, &err) == TR_NOT_FINITE
		  && strcmp(err.message, "the normal equations of row 1 are not positive definite") == 0,
		  "%s: a row that cannot be solved: %s", ops->name, err.message);
	CHECK_EQUAL(ops->finish(b, NULL), TR_NOT_FINITE, "%s: and the failure stays", ops->name);
	ops->close(b);
}

/* What a backend's memory promises, and its errors. */
static void
test_memory(const TrBackendOps *ops)
{
	TrBackend  *b = open_backend(ops, 2);
	size_t		before = ops->allocated(b);
	size_t		bytes = (size_t) 10 << 20;
	char	   *host = calloc(bytes, 1);
	char	   *p = ops->alloc(b, bytes);

	CHECK(ops->api_version == TR_BACKEND_API_VERSION, "%s: version of the interface", ops->name);
	CHECK(strncmp(ops->describe(b), ops->name, strlen(ops->name)) == 0, "%s: describes itself as '%s'", ops->name,
		  ops->describe(b));
	CHECK(tr_block_bytes(b) >= (size_t) 16 << 20 && tr_step_work(b) >= 2e9, "%s: blocks of %zu MB, steps of %.0f GFLOP", ops->name,
		  tr_block_bytes(b) >> 20, tr_step_work(b) / 1e9);
	CHECK(ops->allocated(b) == before + bytes, "%s: counts its memory", ops->name);
	memset(host, 7, bytes);
	ops->upload(b, p, host, bytes);
	ops->zero(b, p + bytes - 5, 4);
	memset(host, 0, bytes);
	ops->download(b, host, p, bytes);
	CHECK(host[0] == 7 && host[bytes - 6] == 7 && host[bytes - 5] == 0 && host[bytes - 2] == 0 && host[bytes - 1] == 7,
		  "%s: upload, zero, download", ops->name);
	CHECK(ops->alloc(b, SIZE_MAX / 2) == NULL, "%s: no memory is NULL", ops->name);
	CHECK_EQUAL(ops->finish(b, NULL), TR_OK, "%s: and no failure", ops->name);
	ops->release(b, p);
	CHECK(ops->allocated(b) == before, "%s: counts what is released", ops->name);
	ops->close(b);
	free(host);
}

/* Whoever asks for eigenvectors is asked in between whether they are still wanted. */
static bool
count_asked(void *argument)
{
	return --*(int *) argument == 0;
}

static void
test_asked(const TrBackendOps *ops)
{
	enum {N = 200};
	TrBackend  *b = open_backend(ops, 1);
	Draw		draw = {.seed = 1};
	float	   *x = random_floats(b, &draw, N * N, -1, 1);
	float	   *a = random_floats(b, &draw, N * N, -1, 1);
	float	   *values = random_floats(b, &draw, N, -1, 1);
	int			left = 1000;

	b->ops->gemm(b, a, N, x, N, false, x, N, true, N, N, N, 1, 0);
	b->asked = (TrAsked) {count_asked, &left, false};
	b->ops->symmetric_eigen(b, a, values, N);
	CHECK(left <= 1000 - N / 32 && !tr_give_up(b), "%s: asked %d times", ops->name, 1000 - left);
	left = 3;
	b->ops->symmetric_eigen(b, a, values, N);
	CHECK(left == 0 && tr_give_up(b), "%s: gives up when it is told so", ops->name);
	CHECK_EQUAL(ops->finish(b, NULL), TR_OK, "%s: which is no failure", ops->name);
	ops->close(b);
}

#define TASKS 1000

static void
count_task(void *argument, int task)
{
	((int *) argument)[task]++;
}

static void
test_tasks(const TrBackendOps *ops)
{
	TrBackend  *b = open_backend(ops, 3);
	int			count[TASKS] = {0};
	bool		once = true;

	tr_run_tasks(b, count_task, count, 0);
	tr_run_tasks(b, count_task, count, TASKS);
	for (int i = 0; i < TASKS; i++)
		once &= count[i] == 1;
	CHECK(once && tr_threads(b) == (ops->run_tasks ? 3 : 1), "%s: each task of a caller's runs once", ops->name);
	ops->close(b);
}

int
main(void)
{
	test_memory(&tr_plain_ops);
	test_tasks(&tr_plain_ops);
#ifndef TR_NO_BLAS
	test_asked(tagrec_backend_ops());
#endif
	for (int i = 0; i < N_CANDIDATES; i++)
		if (i == 0 || candidates[i].ops() != candidates[i - 1].ops())
		{
			test_memory(candidates[i].ops());
			test_tasks(candidates[i].ops());
		}
	test_layers();
	test_rows();
	test_reconstruction();
	test_tag_loss();
	test_dropout_share();
	test_regression();
	test_large_regression();
	test_eigen();
	test_unsolvable(&tr_plain_ops);
	test_no_eigen(&tr_plain_ops);
	for (int i = 0; i < N_CANDIDATES; i++)
		if (i == 0 || candidates[i].ops() != candidates[i - 1].ops())
		{
			test_unsolvable(candidates[i].ops());
			test_no_eigen(candidates[i].ops());
		}
	return check_done();
}
