/*
 * The reference backend, private to src/core/plain*.c: one thread, the loops written as the operations are defined.
 */
#ifndef TR_PLAIN_H
#define TR_PLAIN_H

#include "core/backend.h"
#include "core/memory.h"

typedef struct TrPlain
{
	TrBackend	base;
	TrMemory	memory;
	TrError		error;			/* the first failure, sticky */
} TrPlain;

/* Scratch memory of an operation, freed with tr_free(); NULL after noting the failure. */
extern void *tr_plain_scratch(TrBackend *b, size_t bytes);

/* plain_layer.c */
extern void tr_plain_gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy,
						  bool trans_y, int m, int n, int k, float alpha, float beta);
extern void tr_plain_sparse_forward(TrBackend *b, float *out, const TrCsr *x, const float *w, const float *bias, int H,
									TrActivation act);
extern void tr_plain_sparse_backward(TrBackend *b, float *dw, const TrCsr *x, const float *dz, int H);
extern void tr_plain_dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R,
								   int I, int O, TrLayout layout, TrActivation act);
extern void tr_plain_dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w,
									int R, int I, int O, TrLayout layout);
extern void tr_plain_activation_backward(TrBackend *b, float *dz, float *dbias, const float *dy, const float *y, int R,
										 int O, TrActivation act);

extern void tr_plain_dropout(TrBackend *b, float *out, const float *x, int64_t n, float p, uint64_t seed, uint64_t step);

/* plain_row.c */
extern void tr_plain_normalize(TrBackend *b, float *out, int ld, float *norm, const float *x, int R, int D, float scale);
extern void tr_plain_normalize_backward(TrBackend *b, float *dx, const float *dy, const float *out, int ld,
										const float *norm, int R, int D, float scale);
extern void tr_plain_fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R);
extern void tr_plain_fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature,
										  int R);
extern void tr_plain_pair_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
								 int D);
extern void tr_plain_pair_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
										  const float *v, const int32_t *row, int P, int D);
extern void tr_plain_gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width);
extern void tr_plain_scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row,
								  int R, int width, float scale);

/* plain_attention.c */
extern void tr_plain_attention_weights(TrBackend *b, float *weight, const TrCsr *x, const float *q, const float *k, int D,
									   float scale);
extern void tr_plain_attention_backward(TrBackend *b, float *dscore, const TrCsr *x, const float *weight, const float *dout,
										const float *v, int D, float scale);

/* plain_gaussian.c */
extern void tr_plain_gaussian_scores(TrBackend *b, float *score, const float *u, const float *v, const int32_t *row, int P,
									 int B, int D, float gamma, float scale);
extern void tr_plain_gaussian_scores_backward(TrBackend *b, float *du, float *dv, const float *dscore, const float *u,
											  const float *v, const int32_t *row, int P, int B, int D, float gamma,
											  float scale);

/* plain_profile.c */
extern void tr_plain_profile_rows(TrBackend *b, TrCsr *out, const TrProfileTable *table, const int32_t *entity,
								  const int32_t *without_post, int R, const TrProfileWeights *weights,
								  const TrProfileRule *rule);

/* plain_regress.c */
extern void tr_plain_regress_rows(TrBackend *b, float *out, const TrCsr *x, const float *v, const float *gram,
								  const float *ridge, int D, double *loss);

/* plain_tag_loss.c */
extern void tr_plain_tag_loss(TrBackend *b, const TrTagLoss *t);

/* plain_loss.c */
extern void tr_plain_softmax_loss(TrBackend *b, const TrSoftmax *s);
extern void tr_plain_reconstruction_loss(TrBackend *b, float *z, const float *bias, float *dbias, const TrCsr *x,
										 int first, int R, const float *multiplicity, bool squared, float scale,
										 double *loss);
extern void tr_plain_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n);
extern void tr_plain_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v,
								 const int32_t *index, int R, int width);
extern void tr_plain_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay);

#endif
