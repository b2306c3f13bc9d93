/*
 * Plain matrix product, sparse and dense layers, the gradient through an activation, and dropout.
 * Legend: R rows, I inputs, O outputs, T tags, H hidden units.
 */
#include "core/plain.h"
#include "core/rng.h"

#include <math.h>
#include <string.h>

/* y (n) += a x (n) */
static void
add_scaled(float *restrict y, float a, const float *restrict x, int n)
{
	for (int j = 0; j < n; j++)
		y[j] += a * x[j];
}

/* x (n) . y (n), x `stride` apart */
static float
dot(const float *x, size_t stride, const float *y, int n)
{
	double		sum = 0;

	for (int l = 0; l < n; l++)
		sum += (double) x[l * stride] * y[l];
	return (float) sum;
}

static void
scale_row(float *c, int n, float beta)
{
	for (int j = 0; j < n; j++)
		c[j] = beta == 0 ? 0 : beta * c[j];
}

/* Row by row of c, adding rows of y, or taking inner products with them. */
void
tr_plain_gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy,
			  bool trans_y, int m, int n, int k, float alpha, float beta)
{
	(void) b;
	for (int i = 0; i < m; i++)
	{
		const float *xi = trans_x ? x + i : x + (size_t) i * ldx;
		size_t		stride = trans_x ? (size_t) ldx : 1;
		float	   *ci = c + (size_t) i * ldc;

		scale_row(ci, n, beta);
		if (trans_y)
			for (int j = 0; j < n; j++)
				ci[j] += alpha * dot(xi, stride, y + (size_t) j * ldy, k);
		else
			for (int l = 0; l < k; l++)
				add_scaled(ci, alpha * xi[l * stride], y + (size_t) l * ldy, n);
	}
}

static void
start_row(float *out, const float *bias, int n)
{
	if (bias)
		memcpy(out, bias, sizeof(float) * n);
	else
		memset(out, 0, sizeof(float) * n);
}

static void
activate(float *z, int n, TrActivation act)
{
	for (int j = 0; j < n; j++)
		switch (act)
		{
			case TR_LINEAR:
				break;
			case TR_TANH:
				z[j] = tanhf(z[j]);
				break;
			case TR_SIGMOID:
				z[j] = 1 / (1 + expf(-z[j]));
				break;
			case TR_RELU:
				z[j] = z[j] < 0 ? 0 : z[j];
				break;
			case TR_SELU:
				z[j] = z[j] < 0 ? TR_SELU_LEAST * (expf(z[j]) - 1) : TR_SELU_SCALE * z[j];
				break;
		}
}

/* act'(z), from y = act(z) */
static float
slope(float y, TrActivation act)
{
	switch (act)
	{
		case TR_TANH:
			return 1 - y * y;
		case TR_SIGMOID:
			return y * (1 - y);
		case TR_RELU:
			return y > 0 ? 1 : 0;
		case TR_SELU:
			return y < 0 ? y + TR_SELU_LEAST : TR_SELU_SCALE;
		default:
			return 1;
	}
}

/* out (R,H) = act(x (R,T) w (T,H) + bias) */
void
tr_plain_sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H,
						TrActivation act)
{
	(void) b;
	for (int r = 0; r < x->rows; r++)
	{
		float	   *row = out + (size_t) r * H;

		start_row(row, bias, H);
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			add_scaled(row, x->val[e], w + (size_t) x->col[e] * H, H);
		activate(row, H, act);
	}
}

/* dw (T,H) += x^T dz (R,H) */
void
tr_plain_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
	(void) b;
	for (int r = 0; r < x->rows; r++)
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			add_scaled(dw + (size_t) x->col[e] * H, x->val[e], dz + (size_t) r * H, H);
}

/* The gradient is put together in room (T,H). */
void
tr_plain_sparse_update(TrBackend *b, const TrOptimizer *o, float *w, float *m, float *v, const TrCsr *groups, int n,
					   const float *dz, int H, float *room)
{
	size_t		size = (size_t) groups[0].cols * H;

	memset(room, 0, size * sizeof(float));
	for (int g = 0; g < n; dz += (size_t) groups[g++].rows * H)
		tr_plain_sparse_backward(b, room, &groups[g], dz, H);
	tr_plain_update(b, o, w, room, m, v, (int64_t) size);
}

/* out (R,O) = act(x (R,I) W + bias) */
void
tr_plain_dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
					   TrLayout layout, TrActivation act)
{
	bool		transposed = layout == TR_STORED_OI;

	for (int r = 0; r < R; r++)
	{
		float	   *row = out + (size_t) r * O;

		start_row(row, bias, O);
		tr_plain_gemm(b, row, O, x + (size_t) r * I, I, false, w, transposed ? I : O, transposed, 1, O, I, 1, 1);
		activate(row, O, act);
	}
}

/* dx (R,I) = dz (R,O) W^T; dw += x^T dz as (I,O), or dz^T x as (O,I) */
void
tr_plain_dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I,
						int O, TrLayout layout)
{
	if (layout == TR_STORED_IO)
	{
		if (dx)
			tr_plain_gemm(b, dx, I, dz, O, false, w, O, true, R, I, O, 1, 0);
		if (dw)
			tr_plain_gemm(b, dw, O, x, I, true, dz, O, false, I, O, R, 1, 1);
	}
	else
	{
		if (dx)
			tr_plain_gemm(b, dx, I, dz, O, false, w, I, false, R, I, O, 1, 0);
		if (dw)
			tr_plain_gemm(b, dw, I, dz, O, true, x, I, false, O, I, R, 1, 1);
	}
}

/* dz (R,O) = dy act'(y); dbias (O) += its column sums */
void
tr_plain_activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O,
							 TrActivation act)
{
	(void) b;
	for (int r = 0; r < R; r++)
		for (int j = 0; j < O; j++)
		{
			size_t		at = (size_t) r * O + j;
			float		d = act == TR_LINEAR ? dy[at] : dy[at] * slope(y[at], act);

			dz[at] = d;
			if (dbias)
				dbias[j] += d;
		}
}

void
tr_plain_dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
	(void) b;
	for (int64_t i = 0; i < n; i++)
		out[i] = tr_stays(seed, step, i, p) ? x[i] / (1 - p) : 0;
}
