/*
 * What counting alone says of the tags of a post. See tag_prior.h.
 */
#include <math.h>
#include <string.h>

#include "core/tag_post.h"
#include "models/tag_prior.h"

void
tr_tag_log_shares(float *log_share, const TrDataset *dataset)
{
	double		total = 0.5 * dataset->n_tags;

	memset(log_share, 0, (size_t) dataset->n_tags * sizeof(float));
	for (int64_t e = 0; e < dataset->user.n_entries; e++)
	{
		log_share[dataset->user.tag[e]] += dataset->user.count[e];
		total += dataset->user.count[e];
	}
	for (int32_t t = 0; t < dataset->n_tags; t++)
		log_share[t] = (float) log((log_share[t] + 0.5) / total);
}

/* extra (T) += similar * cosine for each tag of the user's posts on similar items: a merge of two ascending lists of items */
static void
add_similar(const TrTagPrior *prior, const TrPost *post)
{
	const TrSparse *similar = &post->similar;
	int32_t		p = 0;

	for (int32_t i = 0; i < similar->n && p < post->n_posts;)
	{
		if (similar->index[i] < post->post_item[p])
			i++;
		else if (similar->index[i] > post->post_item[p])
			p++;
		else
		{
			if (p != post->own)
				for (int32_t at = p > 0 ? post->post_end[p - 1] : 0; at < post->post_end[p]; at++)
					prior->extra[post->post_tag[at]] += (float) prior->similar * similar->value[i];
			i++;
			p++;
		}
	}
}

/* log(1 + count / (smoothing share)) for the tags of a profile, the post's own tags counted once less, extra (or NULL) added */
static int32_t
add_part(const TrTagPrior *prior, const TrSparse *profile, const TrPost *post, double smoothing, float *extra, int32_t *tag,
		 float *value)
{
	int32_t		n_own;
	const int32_t *own = tr_post_own_tags(post, &n_own);
	int32_t		at = 0;
	int32_t		n = 0;

	for (int32_t e = 0; e < profile->n; e++)
	{
		int32_t		t = profile->index[e];
		double		count = profile->value[e];

		while (at < n_own && own[at] < t)
			at++;
		if (at < n_own && own[at] == t)
			count -= 1;
		if (extra)
		{
			count += extra[t];
			extra[t] = 0;
		}
		if (count <= 0)
			continue;
		tag[n] = t;
		value[n++] = (float) log1p(count / (smoothing * exp(prior->log_share[t])));
	}
	return n;
}

int32_t
tr_tag_prior_user(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value)
{
	bool		similar = prior->similar > 0 && post->similar.n > 0;

	if (similar)
		add_similar(prior, post);
	return add_part(prior, &post->user_tags, post, prior->user_smoothing, similar ? prior->extra : NULL, tag, value);
}

int32_t
tr_tag_prior_item(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value)
{
	return add_part(prior, &post->item_tags, post, prior->item_smoothing, NULL, tag, value);
}

void
tr_tag_prior_scores(const TrTagPrior *prior, const TrPost *post, int32_t *tag, float *value, float *score)
{
	int32_t		n = tr_tag_prior_user(prior, post, tag, value);

	n += tr_tag_prior_item(prior, post, tag + n, value + n);
	for (int32_t t = 0; t < prior->n_tags; t++)
		score[t] = (float) ((2 - prior->popularity) * prior->log_share[t]);
	for (int32_t i = 0; i < n; i++)
		score[tag[i]] += value[i];
}
