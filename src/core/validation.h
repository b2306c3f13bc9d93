/*
 * Measuring a model on held-out pairs, between epochs.
 */
#ifndef TR_VALIDATION_H
#define TR_VALIDATION_H

#include "core/metrics.h"
#include "core/model.h"

/* What is ranked for whom. */
typedef struct TrRanking
{
	const TrDataset *dataset;	/* whose users and items are embedded, with the profiles they have there */
	const TrPairs *held_out;	/* unless with_seen, what its users have in dataset are no candidates */
	const uint64_t *candidates; /* TR_BIT_WORDS(items): these items alone are ranked; NULL = all */
} TrRanking;

/* A user's n held-out items have these ranks, 1 = the best; the visitor may sort them. */
typedef void (*TrRankVisit) (void *argument, int32_t user, int32_t *rank, int32_t n);

/* Bytes that tr_rank() takes, host and backend memory together, in addition to a model with arrays of this width. */
extern size_t tr_rank_bytes(int width, int32_t n_items);

/* Visits the users with held-out pairs, in order. */
extern TrStatus tr_rank(TrModel *model, const TrRanking *ranking, TrRankVisit visit, void *argument, const TrPoll *poll,
						TrError *err);

/*
 * Mean of the metric over the users with at least one held-out pair. The users' items in dataset are not candidates, unless
 * the pairs are with_seen; the pairs may name the candidates. TR_METRIC_MRR_PAIR averages over the pairs instead. For a
 * model of the task tag it is tr_validate_tags(), over posts; of the task rating tr_validate_ratings().
 */
extern TrStatus tr_validate_mean(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
								 const TrPoll *poll, TrMean *mean, TrError *err);

/* Its value; 0 without held-out pairs. */
extern TrStatus tr_validate(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
							const TrPoll *poll, double *value, TrError *err);

#endif
