/*
 * What somebody gets of whom the model knows nothing: the items with the most users, by the rules of the query. Their score
 * is NULL, by which a caller tells them from recommendations: it would be on no scale with other scores.
 */
#ifndef TAGREC_FALLBACK_H
#define TAGREC_FALLBACK_H

#include "postgres.h"

#include "pg/serve/rank.h"

/* Argument n, "fallback": false when it is NULL, true when it is 'popularity'. */
extern bool tagrec_fallback_argument(FunctionCallInfo fcinfo, int n);

/* Puts the popular items into the tuplestore, if they are wanted; ends the call. */
extern void tagrec_recommend_popular(FunctionCallInfo fcinfo, TagrecCall *call, bool wanted, const TagrecRow *user,
									 const TagrecRules *rules, int n, Oid item_type);

#endif
