/*
 * The reference backend, which the other tests hold the fast ones against, at values worked out by hand.
 */
#include "backends.h"

#define NEAR(got, expected, ...) CHECK_NEAR(got, expected, 1e-6, __VA_ARGS__)

static const TrBackendOps *const ops = &tr_plain_ops;
static TrBackend *b;

static void
test_gemm(void)
{
	float		x[6] = {1, 2, 3, 4, 5, 6};	/* (2,3), or transposed (3,2) */
	float		y[6] = {1, 0, 2, 1, 0, 3};	/* (3,2), or transposed (2,3) */
	float		c[4] = {NAN, NAN, NAN, NAN};

	ops->gemm(b, c, 2, x, 3, false, y, 2, false, 2, 2, 3, 1, 0);
	CHECK(c[0] == 5 && c[1] == 11 && c[2] == 14 && c[3] == 23, "gemm, over what was NaN");
	ops->gemm(b, c, 2, x, 2, true, y, 3, true, 2, 2, 3, 2, -1);
	CHECK(c[0] == 2 * 11 - 5 && c[1] == 2 * 16 - 11 && c[2] == 2 * 14 - 14 && c[3] == 2 * 20 - 23,
		  "gemm of transposed matrices, added");
}

static void
test_layers(void)
{
	int64_t		ptr[3] = {0, 2, 2};
	int32_t		col[2] = {0, 2};
	float		val[2] = {2, -1};
	TrCsr		x = {2, 3, 2, ptr, col, val};
	float		w[6] = {1, 2, 3, 4, 5, 6};	/* (3,2) */
	float		bias[2] = {0.5f, -1};
	float		out[4];
	float		dw[6] = {0};
	float		dx[6];
	float		dense[6] = {1, 0, -1, 0, 2, 0}; /* (2,3) */

	ops->sparse_forward(b, out, &x, w, bias, 2, TR_LINEAR);
	CHECK(out[0] == -2.5f && out[1] == -3 && out[2] == 0.5f && out[3] == -1, "sparse_forward");
	ops->sparse_forward(b, out, &x, w, NULL, 2, TR_TANH);
	NEAR(out[0], tanh(-3), "sparse_forward with tanh");
	CHECK(out[2] == 0, "an empty row without bias");
	ops->sparse_backward(b, dw, &x, (float[]) {1, 10, 7, 7}, 2);
	CHECK(dw[0] == 2 && dw[1] == 20 && dw[2] == 0 && dw[4] == -1 && dw[5] == -10, "sparse_backward");
	ops->dense_forward(b, out, dense, w, bias, 2, 3, 2, TR_STORED_IO, TR_LINEAR);
	CHECK(out[0] == -3.5f && out[1] == -5 && out[2] == 6.5f && out[3] == 7, "dense_forward of weights (I,O)");
	ops->dense_forward(b, out, dense, w, NULL, 2, 3, 2, TR_STORED_OI, TR_LINEAR);
	CHECK(out[0] == -2 && out[1] == -2 && out[2] == 4 && out[3] == 10, "dense_forward of weights (O,I)");
	memset(dw, 0, sizeof(dw));
	ops->dense_backward(b, dx, dw, (float[]) {1, 2, 0, 1}, dense, w, 2, 3, 2, TR_STORED_OI);
	CHECK(dx[0] == 9 && dx[1] == 12 && dx[2] == 15 && dx[3] == 4, "dense_backward to the input");
	CHECK(dw[0] == 1 && dw[2] == -1 && dw[3] == 2 && dw[4] == 2 && dw[5] == -2, "dense_backward to the weights");
}

static void
test_rows(void)
{
	float		x[4] = {3, 4, 0, 0};
	float		out[6] = {0};
	float		norm[2];
	float		dx[4];
	float		score[2];
	float		dbias[1] = {1};
	float		dz[2];

	ops->normalize(b, out, 3, norm, x, 2, 2, 10);
	CHECK(norm[0] == 5 && norm[1] == INFINITY, "norms");
	CHECK(out[0] == 6 && out[1] == 8 && out[3] == 0 && out[4] == 0, "normalize");
	ops->normalize_backward(b, dx, (float[]) {1, 0, 0}, out, 3, norm, 1, 2, 10);
	NEAR(dx[0], 10 * (1 - 0.36) / 5, "normalize_backward along");
	NEAR(dx[1], -10 * 0.48 / 5, "normalize_backward across");
	ops->fill_column(b, out + 2, 3, (float[]) {2}, (float[]) {1, 3}, 2);
	CHECK(out[2] == 2 && out[5] == 6, "fill_column");
	ops->fill_column_backward(b, dbias, out + 2, 3, (float[]) {1, 3}, 2);
	CHECK(dbias[0] == 1 + 2 + 18, "fill_column_backward");
	ops->pair_scores(b, score, x, (float[]) {1, 1, 2, 0}, (int32_t[]) {0, 0}, 2, 2);
	CHECK(score[0] == 7 && score[1] == 6, "pair_scores");
	dbias[0] = 1;
	ops->activation_backward(b, dz, dbias, (float[]) {2, 4}, (float[]) {0.5f, 0}, 2, 1, TR_TANH);
	CHECK(dz[0] == 1.5f && dz[1] == 4 && dbias[0] == 6.5f, "activation_backward");
}

static void
test_reconstruction(void)
{
	int64_t		ptr[3] = {0, 0, 1};
	int32_t		col[1] = {1};
	float		val[1] = {2};
	TrCsr		x = {2, 2, 1, ptr, col, val};
	float		z[2] = {0.5f, -1};
	float		dbias[2] = {0};
	double		y0 = tanh(1.5);
	double		loss = 1;
	double		norm = sqrt(y0 * y0 + 4);

	/* the second row alone: y = (tanh(0.5 + 1), tanh(-1 + 1)), x = (0, 2) */
	ops->reconstruction_loss(b, z, (float[]) {1, 1}, dbias, &x, 1, 1, (float[]) {9, 3}, false, 0.5f, &loss);
	NEAR(loss, 1 + 1.5 * norm, "reconstruction_loss");
	NEAR(z[0], 1.5 * y0 * (1 - y0 * y0) / norm, "its gradient where the target is 0");
	NEAR(z[1], 1.5 * -2 / norm, "its gradient where the target is not");
	CHECK(dbias[0] == z[0] && dbias[1] == z[1], "its bias's gradient");
}

static void
test_update(void)
{
	TrOptimizer o = {.kind = TR_SGD, .rate = 0.1f, .momentum = 0.5f, .decay = 0.25f, .step = 1};
	float		w[1] = {2};
	float		m[1] = {1};
	float		v[1] = {0};
	double		loss = 1;

	/* v = 0.5 * 1 + (3 + 2 * 0.25 * 2) */
	ops->update(b, &o, w, (float[]) {3}, m, NULL, 1);
	NEAR(m[0], 4.5, "momentum");
	NEAR(w[0], 2 - 0.45, "a step of SGD");
	o = (TrOptimizer) {.kind = TR_ADAM, .rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .step = 1};
	w[0] = 2;
	m[0] = 0;
	ops->update(b, &o, w, (float[]) {-3}, m, v, 1);
	NEAR(m[0], -0.3, "Adam's first moment");
	NEAR(v[0], 0.009, "Adam's second moment");
	NEAR(w[0], 2.1, "the first step of Adam is the rate, against the gradient");
	ops->sum_squares(b, &loss, (float[]) {1, 2, 3}, 3, 0.5f);
	NEAR(loss, 8, "sum_squares");
}

/* The function that regress_rows minimises, for the row of the given entries. */
static double
regression_loss(const float *w, int n, const int32_t *col, const float *val, const float *v, const float *gram, float ridge,
				int D)
{
	double		loss = 0;

	for (int e = 0; e < n; e++)
	{
		double		score = 0;

		for (int j = 0; j < D; j++)
			score += (double) w[j] * v[col[e] * D + j];
		loss += val[e] * (1 - score) * (1 - score);
	}
	for (int i = 0; i < D; i++)
	{
		loss += (double) ridge * w[i] * w[i];
		for (int j = 0; j < D; j++)
			loss += (double) w[i] * gram[i * D + j] * w[j];
	}
	return loss;
}

static void
test_regression(void)
{
	int64_t		ptr[4] = {0, 3, 3, 5};
	int32_t		col[5] = {0, 1, 3, 1, 2};
	float		val[5] = {1, 0.5f, 2, 1, 0};
	TrCsr		x = {3, 4, 5, ptr, col, val};
	float		v[12] = {1, 0, 2, -1, 0.5f, 0, 0, 3, 1, 0.25f, -2, 1};	/* (4,3) */
	float		gram[9] = {2, 0.5f, 0, 0.5f, 1, -0.25f, 0, -0.25f, 1.5f};
	float		ridge[3] = {0.5f, 1, 2};
	float		w[9];
	double		loss = 1;
	double		least = 1;

	ops->regress_rows(b, w, &x, v, gram, ridge, 3, &loss);
	CHECK(w[3] == 0 && w[4] == 0 && w[5] == 0, "regression of a row without entries");
	for (int r = 0; r < 3; r++)
	{
		int			n = (int) (ptr[r + 1] - ptr[r]);
		double		here = regression_loss(w + 3 * r, n, col + ptr[r], val + ptr[r], v, gram, ridge[r], 3);
		bool		minimum = true;

		least += here;
		for (int j = 0; j < 6; j++)
		{
			w[3 * r + j / 2] += j % 2 ? 0.01f : -0.01f;
			minimum &= regression_loss(w + 3 * r, n, col + ptr[r], val + ptr[r], v, gram, ridge[r], 3) > here;
			w[3 * r + j / 2] -= j % 2 ? 0.01f : -0.01f;
		}
		CHECK(minimum, "regression finds the minimum of row %d", r);
	}
	NEAR(loss, least, "the loss of the regression, added");
	ops->regress_rows(b, w, &x, v, (float[9]) {-9, 0, 0, 0, -9, 0, 0, 0, -9}, ridge, 3, &loss);
	CHECK_EQUAL(ops->finish(b, NULL), TR_NOT_FINITE, "equations without a solution are an error");
}

int
main(void)
{
	b = open_backend(ops, 1);
	test_gemm();
	test_layers();
	test_rows();
	test_reconstruction();
	test_update();
	test_regression();
	ops->close(b);
	return check_done();
}
