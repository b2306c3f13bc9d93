/*
 * Tag profiles (DSPR paper, section 3): how often a user, or an item, was given each tag; how a count becomes a weight.
 * Legend: T tags, N entities (users or items), E (entity, tag) entries, R rows of a batch.
 */
#ifndef TR_PROFILE_H
#define TR_PROFILE_H

#include <math.h>
#include <stdint.h>

/* The most that an assignment may weigh: sums of squares of such numbers are still finite floats. */
#define TR_MOST_WEIGHT 1e12

typedef enum TrWeighting
{
	TR_WEIGHT_COUNT,			/* c: the paper */
	TR_WEIGHT_BINARY,			/* 1 */
	TR_WEIGHT_LOG,				/* ln(1 + c) */
	TR_WEIGHT_TFIDF,			/* c idf */
	TR_WEIGHT_LOG_TFIDF,		/* ln(1 + c) idf */
	TR_WEIGHT_BM25				/* c (k1 + 1) / (c + k1 (1 - b + b len / mean len)) idf */
} TrWeighting;

typedef enum TrNorm
{
	TR_NORM_NONE,
	TR_NORM_L2,
	TR_NORM_MAX
} TrNorm;

/*
 * How counts become weights. idf (T) may be NULL for the weightings without it; it is in the memory that the struct is used
 * in (host or backend). length and mean length count assignments of a profile.
 */
typedef struct TrProfileWeights
{
	TrWeighting weighting;
	TrNorm		norm;
	float		k1,
				b,
				mean_length;
	const float *idf;
} TrProfileWeights;

#ifndef TR_PROFILE_DEVICE
#define TR_PROFILE_DEVICE static inline
#endif

/* The weight of a tag counted `count` times in a profile of `length` assignments, before normalisation. */
TR_PROFILE_DEVICE float
tr_tag_weight(const TrProfileWeights *p, int32_t tag, float count, float length)
{
	switch (p->weighting)
	{
		case TR_WEIGHT_COUNT:
			return count;
		case TR_WEIGHT_BINARY:
			return count > 0 ? 1.0f : 0.0f;
		case TR_WEIGHT_LOG:
			return log1pf(count);
		case TR_WEIGHT_TFIDF:
			return count * p->idf[tag];
		case TR_WEIGHT_LOG_TFIDF:
			return log1pf(count) * p->idf[tag];
		case TR_WEIGHT_BM25:
			return count * (p->k1 + 1.0f)
				/ (count + p->k1 * (1.0f - p->b + p->b * length / p->mean_length)) * p->idf[tag];
	}
	return 0.0f;
}

/*
 * Every profile of one side (users, or items), by distinct tag and, below each tag, by the posts that gave it. A profile
 * restricted to some posts (a random half; all but the user's own) is then the same walk with a predicate on the post.
 * In host memory as part of a TrDataset, in backend memory as an argument of profile_rows.
 */
typedef struct TrProfileTable
{
	int32_t		n_entities;		/* N */
	int64_t		n_entries;		/* E */
	int64_t		n_occurrences;	/* assignments */
	const int64_t *entry_ptr;	/* (N+1) entries of each entity, tags ascending */
	const int32_t *tag;			/* (E) */
	const float *count;			/* (E) sum of the entry's occurrence weights */
	const int64_t *occurrence_ptr;	/* (E+1) */
	const int32_t *post;		/* (assignments) ascending within an entry, distinct; -1 = of no post */
	const float *weight;		/* (assignments), NULL = every assignment weighs 1 */

	/*
	 * (optional, without weights) The other way: post p gave the tags post_tag[post_ptr[p] .. post_ptr[p + 1]), ascending
	 */
	const int64_t *post_ptr;
	const int32_t *post_tag;
} TrProfileTable;

#endif
