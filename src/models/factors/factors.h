/*
 * What bpr, pitf and nltf share: rows of factors of which a batch gathers some, ranks pairs of them, and learns. A row may
 * be gathered several times; its gradient is the sum over its places.
 *
 * Legend: n rows of a table, W width, G rows gathered, P pairs of a batch.
 */
#ifndef TR_FACTORS_H
#define TR_FACTORS_H

#include "models/base.h"

/* Which rows of a table a batch gathers, and the same rows in their own order. */
typedef struct TrGathered
{
	int32_t    *index;			/* (G) */
	int32_t    *slot;			/* (G) which of the distinct ones, ascending */
	int32_t    *from;			/* (G) the place in index that has it */
	int32_t    *distinct;		/* (distinct ones) ascending */
} TrGathered;

/* Rows that are learned, all of them, and those of a batch; backend memory, but for host. */
typedef struct TrFactors
{
	int32_t		n;
	int			width;
	float	   *rows;			/* (n,W) */
	float	   *m;				/* (n,W) of Adam */
	float	   *v;
	float	   *gathered;		/* (G,W) */
	float	   *dgathered;		/* gradient of gathered */
	float	   *gradient;		/* (distinct ones,W) */
	int			n_gathered;
	int			n_distinct;
	TrGathered	host,
				batch;
} TrFactors;

/*
 * The n rows that the host has as a table of which a batch gathers so many at most. Where none is gathered twice
 * there is no dgathered: gradient is the one to write.
 */
extern TrStatus tr_factors_create(TrFactors *f, TrModel *model, float *host, int32_t n, int width, size_t most,
								  bool twice, TrOptimizerKind optimizer, TrError *err);

/* host.slot, from, distinct = the rows of host.index in their own order; sort (G) is work space */
extern void tr_factors_sort(TrFactors *f, uint64_t *sort);

extern void tr_factors_gather(TrBackend *b, TrFactors *f);

/* The rows learn from dgathered, and from their own lengths. */
extern void tr_factors_learn(TrBackend *b, TrFactors *f, const TrOptimizer *optimizer, double regularization);

/* Integers of a batch, on the host and, a copy, in the backend, carved one array after the other. */
typedef struct TrBatchInts
{
	int32_t    *host;
	int32_t    *device;
	size_t		n;
	size_t		used;
} TrBatchInts;

extern void tr_batch_ints(TrBatchInts *ints, TrModel *model, size_t n);
extern void tr_carve(TrBatchInts *ints, int32_t **host, int32_t **device, size_t n);
extern void tr_carve_gathered(TrBatchInts *ints, TrFactors *f, size_t n);

/*
 * A ranking loss: -ln of the share of each of P pairs in a softmax over its score and those of N others. Nothing is known
 * of the others but that they are not the pair's, which says a column of -1.
 */
typedef struct TrRankLoss
{
	float	   *score;			/* (P + PN) of the pairs, then of the others; these become their gradients */
	float	   *dscore;			/* (P) */
	int32_t    *pair_ptr;		/* (P+1) 0, 1, 2, … */
	int32_t    *no_column;		/* (P) -1 */
	float	   *ones;			/* (P) weights of the pairs: 1 unless others are written there */
	double	   *loss;
} TrRankLoss;

extern TrStatus tr_rank_loss_create(TrRankLoss *l, TrModel *model, int P, int N, TrError *err);
extern void tr_rank_loss(TrBackend *b, TrRankLoss *l, int pairs, int others);

/*
 * An epoch over n pairs in `order`, some of which make a batch: plan(first, count) lists it, step(count, number) learns.
 * The batch gathers so many floats.
 */
typedef struct TrRankEpoch
{
	int32_t    *order;
	int32_t		n;
	int			batch;
	int64_t		floats;
	uint64_t	seed;
	double	   *loss;
	void		(*plan) (TrModel *model, int epoch, int32_t first, int count);
	void		(*step) (TrModel *model, int count, int64_t number);
} TrRankEpoch;

extern TrStatus tr_rank_epoch(const TrRankEpoch *e, TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats,
							  TrError *err);

#endif
