/*
 * Tags for a post, on the host. Legend: see abnt.h.
 */
#include <math.h>
#include <string.h>

#include "core/dot.h"
#include "core/simd.h"
#include "core/tag_post.h"
#include "models/abnt/abnt.h"

/* Posts scored together. */
#define BLOCK 64

TrStatus
abnt_pad_decoder(TrModel *model, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	int			H = abnt_last_width(&m->layout);
	size_t		stride = tr_dot_stride(H);

	(void) err;
	for (int32_t t = 0; t < m->layout.T; t++)
		memcpy(m->decoder + (size_t) t * stride, m->p.host + m->layout.decoder + (size_t) t * H, (size_t) H * sizeof(float));
	return TR_OK;
}

/* Work space of one post; every vector is padded for tr_dot(). */
typedef struct Room
{
	float	   *last;			/* (posts of a block, stride of H) */
	float	   *query;			/* (D) */
	float	   *vector;			/* (D) a tag's */
	float	   *from;			/* (widest layer) */
	float	   *to;
	float	   *val;			/* of the sequence, at most `entries` */
	int32_t    *col;
	uint64_t   *keys;
} Room;

/* y (n) += a x (n) */
TR_CLONES static void
add_scaled(float *restrict y, float a, const float *restrict x, int n)
{
	for (int j = 0; j < n; j++)
		y[j] += a * x[j];
}

static void
add_row_product(float *out, const float *x, const float *w, int I, int O)
{
	for (int i = 0; i < I; i++)
		if (x[i] != 0)
			add_scaled(out, x[i], w + (size_t) i * O, O);
}

static float
activate(float z, TrActivation act)
{
	switch (act)
	{
		case TR_TANH:
			return tanhf(z);
		case TR_SIGMOID:
			return 1 / (1 + expf(-z));
		default:
			return z < 0 ? 0 : z;
	}
}

/* out (O) = act(x (I) W + bias) */
static void
layer(float *out, const float *x, const float *w, const float *bias, int I, int O, TrActivation act)
{
	memcpy(out, bias, (size_t) O * sizeof(float));
	add_row_product(out, x, w, I, O);
	for (int j = 0; j < O; j++)
		out[j] = activate(out[j], act);
}

/* What attention looks at, into room->col and room->val; returns how many */
static int32_t
sequence_of(const Abnt *m, const TrPost *post, Room *room)
{
	int32_t		n_own;
	const int32_t *own = tr_post_own_tags(post, &n_own);
	int32_t		n = abnt_sequence(&post->user_tags, own, n_own, m->options.sequence, room->col, room->val, room->keys);

	for (int32_t i = 0; i < post->n_given && m->options.given != ABNT_NONE; i++)
	{
		room->col[n] = m->layout.given + post->given[i];
		room->val[n++] = 1;
	}
	return n;
}

/* context (D) += the vectors of the sequence, mixed as the query says; a padded copy of each meets it in tr_dot() */
static void
attend(const Abnt *m, const TrPost *post, float *context, Room *room)
{
	const AbntLayout *l = &m->layout;
	size_t		stride = tr_dot_stride(l->D);
	int32_t		n = sequence_of(m, post, room);
	float		top = -INFINITY;
	float		sum = 0;
	float	   *score = (float *) room->keys;	/* not needed any more */

	for (int32_t e = 0; e < n; e++)
	{
		memcpy(room->vector, m->p.host + (size_t) room->col[e] * l->D, (size_t) l->D * sizeof(float));
		score[e] = abnt_scale(l) * tr_dot(room->query, room->vector, stride);
		top = fmaxf(top, score[e]);
	}
	for (int32_t e = 0; e < n; e++)
		sum += score[e] = room->val[e] * expf(score[e] - top);
	for (int32_t e = 0; e < n; e++)
		add_scaled(context, score[e] / sum, m->p.host + (size_t) room->col[e] * l->D, l->D);
}

/* last (H): the perceptron's last layer; an unknown user or item is a vector of zeros */
static void
climb(const Abnt *m, const TrPost *post, float *last, Room *room)
{
	const AbntLayout *l = &m->layout;
	size_t		D = (size_t) l->D;

	memset(room->from, 0, ABNT_PARTS * D * sizeof(float));
	if (post->user)
		memcpy(room->from + ABNT_USER * D, post->user, D * sizeof(float));
	if (post->item)
		memcpy(room->from + ABNT_ITEM * D, post->item, D * sizeof(float));
	layer(room->query, room->from + ABNT_USER * D, m->p.host + l->query, m->p.host + l->query_bias, 2 * l->D, l->D, TR_TANH);
	attend(m, post, room->from + ABNT_CONTEXT * D, room);
	for (int i = 0; i < l->layers; i++)
	{
		float	   *read = room->from;

		layer(room->to, read, m->p.host + l->layer[i], m->p.host + l->layer_bias[i], l->width[i], l->width[i + 1],
			  abnt_activation(&m->options));
		room->from = room->to;
		room->to = read;
	}
	memcpy(last, room->from, (size_t) abnt_last_width(l) * sizeof(float));
}

/* Memory handed out in pieces, each on a 64-byte boundary of its own; without memory, their size alone. */
typedef struct Carver
{
	float	   *memory;
	size_t		used;
} Carver;

static void *
carve(Carver *c, size_t floats)
{
	float	   *piece = c->memory ? c->memory + c->used : NULL;

	c->used += (floats + TR_DOT_PAD - 1) / TR_DOT_PAD * TR_DOT_PAD;
	return piece;
}

static size_t
lay_out(Room *room, float *memory, const Abnt *m, size_t entries)
{
	Carver		c = {.memory = memory};
	size_t		widest = 0;

	for (int i = 0; i <= m->layout.layers; i++)
		widest = (size_t) m->layout.width[i] > widest ? (size_t) m->layout.width[i] : widest;
	room->last = carve(&c, BLOCK * tr_dot_stride(abnt_last_width(&m->layout)));
	room->query = carve(&c, (size_t) m->layout.D);
	room->vector = carve(&c, (size_t) m->layout.D);
	room->from = carve(&c, widest);
	room->to = carve(&c, widest);
	room->val = carve(&c, entries);
	room->col = carve(&c, entries);
	room->keys = carve(&c, 2 * entries);
	return c.used;
}

/* Room for a block of posts, and for the longest sequence; what pads vectors is zero. */
static TrStatus
reserve(Abnt *m, const TrPost *posts, int32_t n, Room *room, TrError *err)
{
	size_t		longest = 0;
	size_t		wanted;

	for (int32_t p = 0; p < n; p++)
	{
		size_t		entries = (size_t) posts[p].user_tags.n + (size_t) posts[p].n_given;

		longest = entries > longest ? entries : longest;
	}
	wanted = lay_out(room, NULL, m, longest);
	if (wanted > m->scratch_floats)
	{
		tr_free(m->model.memory, m->scratch);
		m->scratch = tr_alloc(m->model.memory, wanted * sizeof(float));
		m->scratch_floats = m->scratch ? wanted : 0;
		if (!m->scratch)
			return tr_fail(err, TR_NO_MEMORY, "out of memory for scoring %d posts", n);
	}
	memset(m->scratch, 0, wanted * sizeof(float));
	lay_out(room, m->scratch, m, longest);
	return TR_OK;
}

TrStatus
abnt_score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	Abnt	   *m = (Abnt *) model;
	size_t		stride = tr_dot_stride(abnt_last_width(&m->layout));
	size_t		T = (size_t) m->layout.T;
	Room		room;

	TR_TRY(reserve(m, posts, n, &room, err));
	for (int32_t first = 0; first < n; first += BLOCK)
	{
		int32_t		some = n - first < BLOCK ? n - first : BLOCK;

		for (int32_t p = 0; p < some; p++)
			climb(m, &posts[first + p], room.last + (size_t) p * stride, &room);
		tr_dot_block(out + (size_t) first * T, T, room.last, some, m->decoder, m->layout.T, stride);
		for (int32_t p = 0; p < some; p++)
			add_scaled(out + (size_t) (first + p) * T, 1, m->p.host + m->layout.tag_bias, m->layout.T);
	}
	return TR_OK;
}
