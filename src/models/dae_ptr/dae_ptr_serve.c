/*
 * Tags for a post, on the host: one pass over the decoder a post, or over many posts at once. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "core/simd.h"
#include "core/tag_post.h"
#include "models/dae_ptr/dae_ptr.h"

/* Posts scored together. */
#define BLOCK 64

TrStatus
dae_pad_decoder(TrModel *model, TrError *err)
{
	Dae		   *m = (Dae *) model;
	const DaeLayout *l = &m->layout;
	size_t		stride = tr_dot_stride(l->K);
	const float *from = m->p.host + l->decoder;

	(void) err;
	for (int32_t t = 0; t < l->T && m->decoder != from; t++)
		memcpy(m->decoder + (size_t) t * stride, from + (size_t) t * l->K, (size_t) l->K * sizeof(float));
	return TR_OK;
}

/* y (n) += a x (n) */
TR_CLONES static void
add_scaled(float *restrict y, float a, const float *restrict x, int n)
{
	for (int j = 0; j < n; j++)
		y[j] += a * x[j];
}

static float
activate(float z, int activation)
{
	switch (activation)
	{
		case DAE_SIGMOID:
			return 1 / (1 + expf(-z));
		case DAE_TANH:
			return tanhf(z);
		default:
			return z < 0 ? 0 : z;
	}
}

/*
 * z (K) += the rows of the table that a profile without the own tags names; room for it four times, and for the most read
 */
static void
add_profile(const Dae *m, float *z, const TrSparse *profile, const int32_t *own, int32_t n_own, int32_t first, float *room)
{
	TrSparse	counts = {.n = profile->n, .index = profile->index, .value = room};
	int32_t    *col = (int32_t *) room + profile->n;
	float	   *val = room + 2 * (size_t) profile->n;
	uint8_t    *read = (uint8_t *) (room + 3 * (size_t) profile->n);
	int32_t		n;

	tr_counts_without(profile, own, n_own, room);
	dae_most_used(room, profile->n, m->most_read, read, (TrScored *) (room + 4 * (size_t) profile->n));
	n = dae_profile_row(m, &counts, read, first, col, val);
	for (int32_t e = 0; e < n; e++)
		add_scaled(z, val[e], m->p.host + (size_t) col[e] * m->layout.K, m->layout.K);
}

/* z (K) = g(W y~ + p_u + q_i + b), without what is unknown */
static void
encode(const Dae *m, const TrPost *post, float *z, float *room)
{
	const DaeLayout *l = &m->layout;
	int32_t		n_own;
	const int32_t *own = tr_post_own_tags(post, &n_own);

	memcpy(z, m->p.host + l->hidden_bias, (size_t) l->K * sizeof(float));
	for (int32_t i = 0; i < post->n_given; i++)
		add_scaled(z, 1, m->p.host + (size_t) post->given[i] * l->K, l->K);
	if (post->user)
		add_scaled(z, 1, post->user, l->K);
	if (post->item)
		add_scaled(z, 1, post->item, l->K);
	if (m->options.profiles)
	{
		add_profile(m, z, &post->user_tags, own, n_own, l->user_profile, room);
		add_profile(m, z, &post->item_tags, own, n_own, l->item_profile, room);
	}
	for (int j = 0; j < l->K; j++)
		z[j] = activate(z[j], m->options.activation);
}

static void
add_part(const Dae *m, float *score, int part, int32_t n)
{
	float		weight = m->p.host[m->layout.prior + part];

	for (int32_t i = 0; i < n; i++)
		score[m->part_tag[i]] += weight * m->part_value[i];
}

static void
finish(const Dae *m, const TrPost *post, float *score)
{
	const DaeLayout *l = &m->layout;

	add_scaled(score, 1, m->p.host + l->tag_bias, l->T);
	if (l->parts == 0)
		return;
	add_part(m, score, DAE_USER_PART, tr_tag_prior_user(&m->prior, post, m->part_tag, m->part_value));
	add_part(m, score, DAE_ITEM_PART, tr_tag_prior_item(&m->prior, post, m->part_tag, m->part_value));
}

/* Room for the hidden layers of a block, for the longest profile four times, and for its most used tags. */
static TrStatus
reserve(Dae *m, const TrPost *posts, int32_t n, TrError *err)
{
	int32_t		longest = 0;
	size_t		wanted;

	for (int32_t p = 0; p < n && m->options.profiles; p++)
	{
		longest = posts[p].user_tags.n > longest ? posts[p].user_tags.n : longest;
		longest = posts[p].item_tags.n > longest ? posts[p].item_tags.n : longest;
	}
	wanted = (size_t) (n < BLOCK ? n : BLOCK) * tr_dot_stride(m->layout.K) + 6 * (size_t) longest;
	if (wanted <= m->scratch_floats)
		return TR_OK;
	tr_free(m->model.memory, m->scratch);
	m->scratch = tr_calloc(m->model.memory, wanted, sizeof(float));
	m->scratch_floats = m->scratch ? wanted : 0;
	return m->scratch ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for scoring %d posts", n);
}

TrStatus
dae_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	Dae		   *m = (Dae *) model;
	size_t		stride = tr_dot_stride(m->layout.K);
	size_t		T = (size_t) m->layout.T;

	TR_TRY(reserve(m, posts, n, err));
	for (int32_t first = 0; first < n; first += BLOCK)
	{
		int32_t		some = n - first < BLOCK ? n - first : BLOCK;
		float	   *room = m->scratch + (size_t) some * stride;

		for (int32_t p = 0; p < some; p++)
		{
			float	   *z = m->scratch + (size_t) p * stride;

			memset(z + m->layout.K, 0, (stride - (size_t) m->layout.K) * sizeof(float));
			encode(m, &posts[first + p], z, room);
		}
		tr_dot_block(out + (size_t) first * T, T, m->scratch, some, m->decoder, m->layout.T, stride);
		for (int32_t p = 0; p < some; p++)
			finish(m, &posts[first + p], out + (size_t) (first + p) * T);
	}
	return TR_OK;
}
