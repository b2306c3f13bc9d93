/*
 * A stack of tanh layers over sparse rows, and its mirror image, a decoder with the same weights transposed (Xu et al.,
 * IJCAI 2017, Eq. 1-5 and 9-13). A step encodes rows of some groups, one behind the other; decodes some of them; and goes
 * back.
 *
 * Legend: T inputs, K layers, R rows of all groups.
 */
#ifndef TR_STACK_H
#define TR_STACK_H

#include "models/nn/parameters.h"
#include "models/nn/upload.h"

typedef struct TrStack
{
	int			K;
	int			dim[TR_MAX_INTS + 1];	/* dim[0] = T, dim[1..K] */
	int64_t		weight[TR_MAX_INTS + 1];	/* [1..K]: W_k (dim[k-1],dim[k]) */
	int64_t		bias[2 * TR_MAX_INTS + 1];	/* [1..K] encoder, [K+1..2K] decoder, when there is one */

	/* step buffers */
	TrBuffer	hidden[TR_MAX_INTS + 1];	/* [k] (R,dim[k]) */
	TrBuffer	hidden_grad[TR_MAX_INTS + 1];
	TrBuffer	decoded[TR_MAX_INTS + 1];	/* [k] (decoded rows,dim[k]), k = K-1..1 */
	TrBuffer	decoded_grad[TR_MAX_INTS + 1];
	TrBuffer	output;			/* a block of the decoder's output layer */
} TrStack;

/* Parameters W1..WK at random: Glorot & Bengio (2010), or std, the first `gain` times as large; and biases b1..., zeros. */
extern void tr_stack_layout(TrStack *s, TrParameters *p, const TrIntList *layers, int32_t inputs, double std, double gain,
							bool decoder);

/* hidden[1..K] of these rows; returns R. */
extern TrStatus tr_stack_encode(TrStack *s, TrParameters *p, TrModel *model, const TrCsr *groups, int n_groups,
								TrError *err);

/* The gradient of the encoder's parameters from that of hidden[K]: top (R,dim[K]). */
extern TrStatus tr_stack_reserve_grad(TrStack *s, TrModel *model, int R, TrError *err);
extern void tr_stack_encode_backward(TrStack *s, TrParameters *p, TrModel *model, const TrCsr *groups, int n_groups,
									 const float *top);

/*
 * The same of all but W1, for which hidden_grad[1] is left; and the step of W1 by what is left there, where nothing else
 * adds to its gradient: neither is it made, then, nor need it be zeros before.
 */
extern void tr_stack_layers_backward(TrStack *s, TrParameters *p, TrBackend *b, int R, const float *top);
extern void tr_stack_update_first(TrStack *s, TrParameters *p, TrBackend *b, const TrOptimizer *optimizer,
								  const TrCsr *groups, int n_groups);

/* Floats of W1, the first of the parameters */
static inline int64_t
tr_stack_first_size(const TrStack *s)
{
	return (int64_t) s->dim[0] * s->dim[1];
}

/* Decodes the first R rows up to the output layer, of which there is room for `block` rows at a time. */
extern TrStatus tr_stack_decode(TrStack *s, TrParameters *p, TrModel *model, int R, int block, TrError *err);

/*
 * Output layer, loss and its gradient of the first n rows of x, which are rows first.. of what was decoded; the weight of
 * each of these is in multiplicity.
 */
extern void tr_stack_output(TrStack *s, TrParameters *p, TrBackend *b, int first, const TrCsr *x, int n,
							const float *multiplicity, bool squared, float scale, int block);

/* The gradient of the decoder's parameters, and decoded_grad[K] (R,dim[K]) of hidden[K]. */
extern void tr_stack_decode_backward(TrStack *s, TrParameters *p, TrBackend *b, int R);

static inline float *
tr_row(const TrBuffer *buffer, int64_t index, int width)
{
	return (float *) buffer->data + index * width;
}

static inline int
tr_count_rows(const TrCsr *groups, int n_groups)
{
	int			rows = 0;

	for (int g = 0; g < n_groups; g++)
		rows += groups[g].rows;
	return rows;
}

#endif
