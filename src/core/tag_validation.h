/*
 * Measuring a model of the task tag on held-out assignments: per post, the held-out tags are ranked among all tags but
 * those the post has in the dataset, which the model is given; with_seen, among all tags.
 */
#ifndef TR_TAG_VALIDATION_H
#define TR_TAG_VALIDATION_H

#include "core/metrics.h"
#include "core/model.h"

/* Told of one post: how many tags it was given, and the ranks of its n held-out ones; the ranks may be reordered. */
typedef void (*TrTagRanks) (void *argument, int32_t n_given, int32_t *rank, int32_t n);

/*
 * Ranks every post of held_out, triples sorted by (user, item, tag), in that order. Ties go to the smaller tag. A held-out
 * tag that is no candidate is TR_UNRANKED.
 */
extern TrStatus tr_rank_tags(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrTagRanks told,
							 void *argument, const TrPoll *poll, TrError *err);

/* Mean of the metric over the posts; TR_METRIC_MRR_PAIR averages over the held-out assignments instead. */
extern TrStatus tr_validate_tags(TrModel *model, const TrDataset *dataset, const TrPairs *held_out, TrMetric metric, int k,
								 const TrPoll *poll, TrMean *mean, TrError *err);

#endif
