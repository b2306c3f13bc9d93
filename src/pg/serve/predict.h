/*
 * Predicted values of pairs, of the task rating. A prediction is the score of the pair's arrays, clipped to the range of
 * the values that the version was trained on. In place of a user, or an item, that the version does not know there is an
 * array that says nothing of it (core/model.h): what is known of the other one remains, and the mean where neither is
 * known.
 */
#ifndef TAGREC_PREDICT_H
#define TAGREC_PREDICT_H

#include "postgres.h"

#include "pg/serve/call.h"

typedef struct TagrecPredictor
{
	TagrecCall *call;
	TagrecEncoder *network;		/* NULL = inner products */
	float	   *unknown[2];		/* by TrSide, padded; NULL until one is needed */
} TagrecPredictor;

/* In the current memory context, of a call for a version of the task rating. */
extern TagrecPredictor *tagrec_predictor(TagrecCall *call);

/* NULL = unknown to the version. */
extern float tagrec_predict_rows(TagrecPredictor *predictor, const TagrecRow *user, const TagrecRow *item);

#endif
