/*
 * The space that tagrec_tune() searches, a jsonb object: the options it may set, each with a list of choices or with an
 * object {"min": …, "max": …, "scale": "linear" or "log"}. And the trials drawn from it.
 */
#ifndef TAGREC_TUNE_SPACE_H
#define TAGREC_TUNE_SPACE_H

#include "postgres.h"

#include "pg/base/auto.h"
#include "pg/base/options.h"

#define TAGREC_MAX_TRIALS 1000

/* Reads and checks a space; ereport(ERROR) says what is wrong with it and what would be right. */
typedef struct TagrecSpace TagrecSpace;
extern TagrecSpace *tagrec_space_read(const TrAlgorithm *algorithm, Jsonb *object);

typedef struct TagrecTrial
{
	const TagrecCandidate *candidate;	/* auto: of which it is; NULL = a tuning */
	Jsonb	   *settings;		/* what the space says: {"keep": 0.4} */
	Jsonb	   *asked;			/* the fixed options, and these over them */
	TagrecOptions *options;		/* all of them, set */
	Jsonb	   *effective;		/* all of them, as an object */
} TagrecTrial;

/*
 * At most `most` trials, *count of them, no two with the same options. The first is the fixed options alone; the others are
 * pure functions of space, fixed options and seed, and do not depend on `most`. Incompatible settings are not drawn:
 * *refused is the error of the last ones, if any. There are fewer if the space contains no others.
 */
extern TagrecTrial *tagrec_space_draw(const TagrecSpace *space, const TrAlgorithm *algorithm, Jsonb *fixed, uint64 seed,
									  int most, int *count, TrError *refused);

/* a with the members of b added, or put in place of its own. */
extern Jsonb *tagrec_jsonb_with(Jsonb *a, Jsonb *b);

#endif
