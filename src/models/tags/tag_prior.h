/*
 * What counting alone says of the tags of a post: log p(t|user) + log p(t|item) - a log p(t), the post itself left out of
 * the counts. For tag_product, and for models that start from it.
 *
 *     p(t|user) ~ c_ut + m_u p(t)        c_ut = sum over the user's other posts with the tag t of (1 + s cos(item, item of
 *     that post))
 *     p(t|item) ~ c_it + m_i p(t)        c_it = assignments of the tag to the item, the post's own left out
 *
 * Smoothing by the overall shares p(t) (Zhai & Lafferty 2004) makes every logarithm that of a share plus something that is
 * 0 for tags not counted, so that up to what is the same for all tags of a post
 *
 *     score(t) = (2 - a) log p(t) + log(1 + c_ut / (m_u p(t))) + log(1 + c_it / (m_i p(t)))
 *
 * with two sparse parts. Legend: T tags.
 */
#ifndef TR_TAG_PRIOR_H
#define TR_TAG_PRIOR_H

#include "models/base.h"

typedef struct TrTagPrior
{
	int32_t		n_tags;
	const float *log_share;		/* (T) log p(t), from tr_tag_log_shares() */
	double		user_smoothing, /* m_u */
				item_smoothing, /* m_i */
				popularity,		/* a */
				similar;		/* s; 0 = the user's posts weigh the same */
	float	   *extra;			/* (T) work space, zeros between calls; may be NULL when similar is 0 */
} TrTagPrior;

/* log_share (T): p(t) = (assignments of t + 1/2) / (all of them + T/2), so that no tag is impossible */
extern TrStatus tr_tag_log_shares(float *log_share, TrMemory *memory, const TrDataset *dataset, TrError *err);

/* What is stored of them: far above what any number of assignments gives, and exp() of it is no zero. */
#define TR_LOG_SHARE ((TrRange) {-600, 1, false})

/*
 * The two sparse parts, into tag and value; returns how many: at most as many as user_tags, or item_tags, has. Tags ascend.
 */
extern int32_t tr_tag_prior_user(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value);
extern int32_t tr_tag_prior_item(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value);

/* score (T) as above; tag and value have room for both parts of the post */
extern void tr_tag_prior_scores(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value, float *score);

/* out (profile->n) = the profile's counts, those of the own tags, ascending, one less */
extern void tr_counts_without(const TrSparse *profile, const int32_t *own, int32_t n_own, float *out);

/*
 * The same parts, for training, which asks for them again and again: from counts the post is already left out of. The
 * logarithms of whole counts are kept, for every tag up to the most it is counted in any profile of a table.
 */
typedef struct TrTagLog
{
	double		scale;			/* m p(t) */
	int64_t		first;			/* value[first + c] = log(1 + c / scale), c = 1..most */
	int32_t		most;
} TrTagLog;

typedef struct TrTagLogs
{
	TrTagLog   *tag;			/* (T) */
	float	   *value;
} TrTagLogs;

extern size_t tr_tag_logs_estimate(const TrShape *shape);

/* In the model's memory: whether there is enough, tr_enough_memory() says. */
extern void tr_tag_logs_init(TrTagLogs *logs, TrModel *model, const float *log_share, double smoothing,
							 const TrProfileTable *table);

/*
 * extra (T), or NULL, is added to the counts and comes back as zeros; counts of 0 or less are left out. As
 * tr_tag_prior_user().
 */
extern int32_t tr_tag_logs_part(const TrTagLogs *logs, const TrSparse *counts, float *extra, int32_t *tag, float *value);

#endif
