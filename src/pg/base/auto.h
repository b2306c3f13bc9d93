/*
 * auto and auto_tags: algorithms that are not trained but choose one of the others, by trials on held-out data. They are
 * described, and given options, like any other; pg/train/auto.h does what they do.
 */
#ifndef TAGREC_AUTO_H
#define TAGREC_AUTO_H

#include "postgres.h"

#include "core/model.h"

typedef struct TagrecAutoOptions
{
	double		max_seconds;	/* of all trials */
	int			sample;			/* pairs, at most, that trials are trained on */
	TrText		candidates;		/* names of algorithms; empty = the list below */
} TagrecAutoOptions;

/* One that may be chosen. */
typedef struct TagrecCandidate
{
	const char *algorithm;
	const char *options;		/* a JSON object, or NULL */
	/* not tried where the first of these two, tried before, is no better than the second; NULL = always tried */
	const char *better,
			   *than;
} TagrecCandidate;

/* Ends with NULL. */
extern const TrAlgorithm *const tagrec_autos[];

/* NULL when it is none of them. */
extern const TrAlgorithm *tagrec_auto_find(const char *name);

/* What is trained where there is too little to choose by. */
extern const char *tagrec_auto_fallback(const TrTask *task, bool tags);

/* The candidates for a task, in the order in which they are tried; the list ends with a NULL name. */
extern const TagrecCandidate *tagrec_auto_candidates(const TrTask *task);

#endif
