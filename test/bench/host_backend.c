/*
 * See host_backend.h. Operations in the order of the table.
 */
#include "host_backend.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* An operation that does nothing uses none of its arguments. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

typedef struct Host
{
	TrBackend	base;
	TrMemory	memory;
} Host;

static TrMemory *
memory_of(TrBackend *b)
{
	return &((Host *) b)->memory;
}

static TrStatus
host_open(TrBackend **backend, const TrBackendConfig *config, TrError *err)
{
	Host	   *host = calloc(1, sizeof(Host));

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	host->base.ops = &host_backend_ops;
	tr_memory_init(&host->memory, 0);
	*backend = &host->base;
	return TR_OK;
}

static void
host_close(TrBackend *b)
{
	if (!b)
		return;
	tr_memory_release(memory_of(b));
	free(b);
}

static const char *
describe(TrBackend *b)
{
	return "host, operations that do nothing";
}

static void *
alloc(TrBackend *b, size_t bytes)
{
	return tr_calloc(memory_of(b), 1, bytes);
}

static void
release(TrBackend *b, void *p)
{
	tr_free(memory_of(b), p);
}

static size_t
allocated(TrBackend *b)
{
	return memory_of(b)->used;
}

static void
copy(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	if (bytes > 0)
		memcpy(dst, src, bytes);
}

static TrStatus
finish(TrBackend *b, TrError *err)
{
	return TR_OK;
}

/* ------------------------------------------------------------------ operations */

static void
zero(TrBackend *b, void *dst, size_t bytes)
{
}

static void
gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy, bool trans_y,
	 int m, int n, int k, float alpha, float beta)
{
}

static void
sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H, TrActivation act)
{
}

static void
sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H)
{
}

static void
dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
			  TrLayout layout, TrActivation act)
{
}

static void
dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I, int O,
			   TrLayout layout)
{
}

static void
activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R, int O,
					TrActivation act)
{
}

static void
normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale)
{
}

static void
normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld, const float *norm, int R, int D,
				   float scale)
{
}

static void
fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R)
{
}

static void
fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R)
{
}

static void
pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int D)
{
}

static void
pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
					 const int32_t *row, int P, int D)
{
}

static void
gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P, int B, int D,
				float gamma, float scale)
{
}

static void
gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u, const float *v,
						 const int32_t *row, int P, int B, int D, float gamma, float scale)
{
}

static void
softmax_loss(TrBackend *b, const TrSoftmax *s)
{
}

static void
reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x, int first, int R,
					const float *multiplicity, bool squared, float scale, double *loss)
{
}

static void
tag_loss(TrBackend *b, const TrTagLoss *t)
{
}

static void
dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step)
{
}

static void
update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
}

static void
update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index,
			int R, int width)
{
}

static void
sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
}

static void
profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity, const int32_t *without_post,
			 int R, const TrProfileWeights *weights, const TrProfileRule *rule)
{
}

static void
gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width)
{
}

static void
scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width,
			 float scale)
{
}

static void
attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D, float scale)
{
}

static void
attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout, const float *v,
				   int D, float scale)
{
}

static void
regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram, const float *ridge, int D,
			 double *loss)
{
}

const TrBackendOps host_backend_ops = {
	.api_version = TR_BACKEND_API_VERSION,
	.name = "host",
	.open = host_open,
	.close = host_close,
	.describe = describe,
	.alloc = alloc,
	.release = release,
	.allocated = allocated,
	.upload = copy,
	.download = copy,
	.finish = finish,
	.zero = zero,
	.gemm = gemm,
	.sparse_forward = sparse_forward,
	.sparse_backward = sparse_backward,
	.dense_forward = dense_forward,
	.dense_backward = dense_backward,
	.activation_backward = activation_backward,
	.normalize = normalize,
	.normalize_backward = normalize_backward,
	.fill_column = fill_column,
	.fill_column_backward = fill_column_backward,
	.pair_scores = pair_scores,
	.pair_scores_backward = pair_scores_backward,
	.gaussian_scores = gaussian_scores,
	.gaussian_scores_backward = gaussian_scores_backward,
	.softmax_loss = softmax_loss,
	.reconstruction_loss = reconstruction_loss,
	.tag_loss = tag_loss,
	.dropout = dropout,
	.update = update,
	.update_rows = update_rows,
	.sum_squares = sum_squares,
	.profile_rows = profile_rows,
	.gather_rows = gather_rows,
	.scatter_rows = scatter_rows,
	.attention_weights = attention_weights,
	.attention_backward = attention_backward,
	.regress_rows = regress_rows,
};
