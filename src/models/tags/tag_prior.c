/*
 * What counting alone says of the tags of a post. See tag_prior.h.
 */
#include <math.h>
#include <string.h>

#include "core/tag_post.h"
#include "models/tags/tag_prior.h"

TrStatus
tr_tag_log_shares(float *log_share, TrMemory *memory, const TrDataset *dataset, TrError *err)
{
	double	   *count = tr_alloc(memory, ((size_t) dataset->n_tags + 1) * sizeof(double));
	double		total = 0.5 * dataset->n_tags;

	if (!count)
		return tr_fail(err, TR_NO_MEMORY, "out of memory for %d tags", dataset->n_tags);
	tr_dataset_count_tags(count, dataset);
	for (int32_t t = 0; t < dataset->n_tags; t++)
		total += count[t];
	for (int32_t t = 0; t < dataset->n_tags; t++)
		log_share[t] = (float) log((count[t] + 0.5) / total);
	tr_free(memory, count);
	return TR_OK;
}

/*
 * extra (T) += similar * cosine for each tag of the user's posts on similar items: a merge of two ascending lists of items
 */
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

/*
 * log(1 + count / (smoothing share)) for the tags of a profile, the post's own tags counted once less, extra (or NULL)
 * added
 */
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

/* ------------------------------------------------------------------ kept logarithms */

void
tr_counts_without(const TrSparse *profile, const int32_t *own, int32_t n_own, float *out)
{
	int32_t		e = 0;

	if (profile->n > 0)
		memcpy(out, profile->value, (size_t) profile->n * sizeof(float));
	for (int32_t i = 0; i < n_own; i++)
	{
		while (e < profile->n && profile->index[e] < own[i])
			e++;
		if (e < profile->n && profile->index[e] == own[i])
			out[e] -= 1;
	}
}

/* Larger counts than this are rare, and get their logarithm when it is asked for. */
#define MOST_KEPT 256

size_t
tr_tag_logs_estimate(const TrShape *shape)
{
	size_t		tags = (size_t) shape->n_tags;
	size_t		entries = (size_t) shape->n_assignments;

	return tags * sizeof(TrTagLog)
		+ (entries < tags * MOST_KEPT ? entries : tags * MOST_KEPT) * sizeof(float);
}

/* How many logarithms each tag gets, and where; returns how many in all. */
static int64_t
count_logs(TrTagLog *log, int32_t n_tags, const TrProfileTable *table)
{
	int64_t		all = 0;

	for (int64_t e = 0; e < table->n_entries; e++)
	{
		int32_t		most = (int32_t) fminf(table->count[e], MOST_KEPT);

		log[table->tag[e]].most = most > log[table->tag[e]].most ? most : log[table->tag[e]].most;
	}
	for (int32_t t = 0; t < n_tags; t++)
	{
		log[t].first = all - 1;
		all += log[t].most;
	}
	return all;
}

void
tr_tag_logs_init(TrTagLogs *logs, TrModel *model, const float *log_share, double smoothing, const TrProfileTable *table)
{
	*logs = (TrTagLogs) {.tag = TR_NEW(model, TrTagLog, model->n_tags)};
	if (logs->tag)
		logs->value = TR_NEW(model, float, count_logs(logs->tag, model->n_tags, table));
	for (int32_t t = 0; logs->value && t < model->n_tags; t++)
	{
		logs->tag[t].scale = smoothing * exp(log_share[t]);
		for (int32_t c = 1; c <= logs->tag[t].most; c++)
			logs->value[logs->tag[t].first + c] = (float) log1p((double) c / logs->tag[t].scale);
	}
}

/* count > 0 */
static inline float
log_of(const TrTagLogs *logs, int32_t tag, double count)
{
	const TrTagLog *log = &logs->tag[tag];

	if (count <= log->most && count == (double) (int32_t) count)
		return logs->value[log->first + (int32_t) count];
	return (float) log1p(count / log->scale);
}

int32_t
tr_tag_logs_part(const TrTagLogs *logs, const TrSparse *counts, float *extra, int32_t *tag, float *value)
{
	int32_t		n = 0;

	for (int32_t e = 0; e < counts->n; e++)
	{
		int32_t		t = counts->index[e];
		double		count = counts->value[e];

		if (extra)
		{
			count += extra[t];
			extra[t] = 0;
		}
		if (count <= 0)
			continue;
		tag[n] = t;
		value[n++] = log_of(logs, t, count);
	}
	return n;
}
