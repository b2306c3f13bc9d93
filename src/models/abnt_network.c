/*
 * The parameters of abnt: where they lie, and what they are before the first step. Legend: see abnt.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/abnt.h"
#include "models/tag_prior.h"

static int64_t
take(int64_t *at, int64_t rows, int64_t cols)
{
	int64_t		first = *at;

	*at += rows * cols;
	return first;
}

void
abnt_layout(AbntLayout *l, const AbntOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int64_t		at;

	memset(l, 0, sizeof(*l));
	l->U = n_users;
	l->I = n_items;
	l->T = n_tags;
	l->D = o->dimensions;
	l->given = l->T;
	l->users = l->given + (o->given == ABNT_NONE ? 0 : l->T);
	l->items = l->users + l->U;
	l->rows = l->items + l->I;
	at = (int64_t) l->rows * l->D;
	l->query = take(&at, 2 * l->D, l->D);
	l->query_bias = take(&at, 1, l->D);
	l->layers = o->layers.count;
	l->width[0] = ABNT_PARTS * l->D;
	for (int i = 0; i < l->layers; i++)
	{
		l->width[i + 1] = o->layers.value[i];
		l->layer[i] = take(&at, l->width[i], l->width[i + 1]);
		l->layer_bias[i] = take(&at, 1, l->width[i + 1]);
	}
	l->decoder = take(&at, l->T, abnt_last_width(l));
	l->tag_bias = take(&at, 1, l->T);
	l->size = at;
}

TrActivation
abnt_activation(const AbntOptions *o)
{
	static const TrActivation of[] = {[ABNT_RELU] = TR_RELU, [ABNT_TANH] = TR_TANH, [ABNT_SIGMOID] = TR_SIGMOID};

	return of[o->activation];
}

/* tensor tells the matrices apart, for the random numbers */
static void
fill(const Abnt *m, float *w, int64_t n, double std, uint64_t tensor)
{
	for (int64_t i = 0; i < n; i++)
		w[i] = (float) (std * tr_normal(m->options.seed, TR_STREAM_INIT, tensor, (uint64_t) i));
}

/* Vectors and weights at random, these by Glorot & Bengio 2010; biases 0, the tags' the logarithms of their shares. */
TrStatus
abnt_initialize(const Abnt *m, float *host, TrError *err)
{
	const AbntLayout *l = &m->layout;
	int			H = abnt_last_width(l);

	if (l->T < 1)
		return tr_fail(err, TR_BAD_DATA, "there are no tags to learn from");
	memset(host, 0, (size_t) l->size * sizeof(float));
	fill(m, host, (int64_t) l->rows * l->D, m->options.init_std, 1);
	fill(m, host + l->query, 2 * (int64_t) l->D * l->D, sqrt(2.0 / (3.0 * l->D)), 2);
	for (int i = 0; i < l->layers; i++)
		fill(m, host + l->layer[i], (int64_t) l->width[i] * l->width[i + 1],
			 sqrt(2.0 / ((double) l->width[i] + l->width[i + 1])), 4 + (uint64_t) i);
	fill(m, host + l->decoder, (int64_t) l->T * H, sqrt(2.0 / ((double) l->T + H)), 3);
	return tr_tag_log_shares(host + l->tag_bias, m->model.memory, m->dataset, err);
}
