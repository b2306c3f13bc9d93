/*
 * auto, auto_tags and auto_ratings: algorithms that are not trained but choose one of the others by trials on held-out
 * data. They are described, and given options, like any other; pg/train/auto.h does what they do.
 */
#ifndef TAGREC_AUTO_H
#define TAGREC_AUTO_H

#include "postgres.h"

#include "core/model.h"

typedef struct TagrecAutoOptions
{
	double		budget;			/* of trials and training, as estimated */
	double		max_seconds;	/* of all trials; 0 = any number */
	int			sample;			/* pairs, at most, that trials are trained on */
	TrText		candidates;		/* names of algorithms; empty = the lists of auto.c */
} TagrecAutoOptions;

/* By what the data, and the trials before, have shown. */
typedef enum TagrecWhen
{
	TAGREC_ALWAYS,
	TAGREC_WHEN_ITEMS_ARE_KNOWN,	/* of most held-out pairs; so it is for the two last ones, too */
	TAGREC_WHEN_ITEMS_ARE_NEW,	/* and have nothing but their tags */
	TAGREC_WHEN_TAGS_HELP,		/* ease_tags is better than ease */
	TAGREC_WHEN_TAGS_DO_NOT_HELP
} TagrecWhen;

/* One that may be chosen. */
typedef struct TagrecCandidate
{
	const char *algorithm;
	const char *options;		/* a JSON object, or NULL */
	TagrecWhen	when;			/* it is tried */
} TagrecCandidate;

/* Ends with NULL. */
extern const TrAlgorithm *const tagrec_autos[];

/* NULL when it is none of them. */
extern const TrAlgorithm *tagrec_auto_find(const char *name);

/* What is trained where there is too little to choose by. */
extern const char *tagrec_auto_fallback(const TrTask *task, bool tags);

/* The candidates for a task, in the order in which they are tried; the list ends with a NULL name. */
extern const TagrecCandidate *tagrec_auto_candidates(const TrTask *task);

/*
 * auto_work.c: seconds of one core that training takes with the default options, from the size of the data alone, so that
 * the same data give the same choice on any machine; members (of a blend, NULL = the default ones) as its option says. 0
 * for those that nothing is known of.
 */
extern double tagrec_auto_work(const TrAlgorithm *algorithm, const TrShape *shape, const char *members);

#endif
