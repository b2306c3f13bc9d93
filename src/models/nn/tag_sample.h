/*
 * The tags of a step's softmax, where there are too many for all. Given the step's targets A and a sample of the others,
 * each drawn by itself with probability pi,
 *
 *     sum over k in A of exp(z_k) + sum over sampled k of exp(z_k - log pi_k)
 *
 * is the sum over all tags on average. pi is half the same for all, and half as a power of how often a tag was given, so
 * that neither a frequent tag nor a rare one has a large weight.
 *
 * The last layer's rows of these tags are gathered, and moved by themselves. Legend: T tags, C candidates, K inputs of the
 * last layer.
 */
#ifndef TR_TAG_SAMPLE_H
#define TR_TAG_SAMPLE_H

#include "models/nn/parameters.h"
#include "models/nn/rows.h"

/* What an option `samples` of 0 says: all tags up to so many, beyond it a sample of so many. */
#define TR_MOST_EXACT_TAGS 20000
#define TR_TAG_SAMPLES 512

/* The text of that option, behind what it goes with. */
#define TR_TAG_SAMPLES_TEXT \
	"number of tags sampled for each mini-batch, in place of all that no post of it has; 0 = all tags if there are at " \
	"most 20,000, else 512"

static inline bool
tr_tags_are_sampled(int32_t tags, int samples)
{
	return samples > 0 || tags > TR_MOST_EXACT_TAGS;
}

typedef struct TrTagSample
{
	int32_t		T;
	int32_t		n;				/* C, of this step */
	int32_t    *tag;			/* (C) ascending; NULL = all tags are in the sum */
	float	   *offset;			/* (C) -log pi; 0 for the targets */
	int32_t    *count;			/* (T) 0, 1, ... */
	int32_t    *place;			/* (T) of a tag among the candidates, -1 = it is none */
	uint32_t   *limit;			/* (T) a tag is drawn when 24 random bits are below it: 2^24 pi */
	float	   *minus_log;		/* (T) -log pi */

	/* in backend memory: the arrays above of this step; the last layer's rows, and biases with their offsets */
	int32_t    *device_tag,
			   *device_count;
	float	   *device_offset;
	TrBuffer	rows;			/* (C,K) */
	TrBuffer	rows_grad;
	TrBuffer	bias;			/* (2,C) and its gradient */
} TrTagSample;

/* In the model's memory, of its dataset's tags; samples is the option's value. */
extern TrStatus tr_tag_sample_create(TrTagSample *s, TrModel *model, int samples, TrError *err);

static inline bool
tr_tag_sampled(const TrTagSample *s)
{
	return s->tag != NULL;
}

/* The candidates of a step: what is drawn, then its targets, one by one; then they are numbered. */
extern void tr_tag_sample_draw(TrTagSample *s, uint64_t seed, uint64_t step);

static inline void
tr_tag_sample_target(TrTagSample *s, int32_t tag)
{
	s->place[tag] = 0;
}

extern void tr_tag_sample_number(TrTagSample *s);

/* Once they are: may a row of the step have this tag? */
static inline bool
tr_tag_sample_has(const TrTagSample *s, int32_t tag)
{
	return !s->place || s->place[tag] >= 0;
}

/* The columns of rows, which are tags, by the candidates; entries of other tags go. */
extern void tr_tag_sample_renumber(const TrTagSample *s, TrRows *rows);

#define TR_TAG_SAMPLE_PIECES 3
extern int	tr_tag_sample_pieces(TrPiece *piece, TrTagSample *s);

extern TrStatus tr_tag_sample_reserve(TrTagSample *s, TrModel *model, int K, TrError *err);

/* rows, bias = those of the parameters that start at `rows` and `biases`; their gradients = 0 */
extern void tr_tag_sample_gather(TrTagSample *s, const TrParameters *p, TrBackend *b, int64_t rows, int64_t biases, int K);

static inline float *
tr_tag_sample_bias_grad(const TrTagSample *s)
{
	return (float *) s->bias.data + s->n;
}

/* The gradient of the biases goes to that of the parameters, which p->gradient has. */
extern void tr_tag_sample_scatter(TrTagSample *s, const TrParameters *p, TrBackend *b, int64_t biases);

/* A step of the rows, which start at `rows` */
extern void tr_tag_sample_update(TrTagSample *s, const TrParameters *p, TrBackend *b, const TrOptimizer *optimizer,
								 int64_t rows, int K);

#endif
