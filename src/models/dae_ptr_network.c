/*
 * The parameters of dae_ptr: where they lie, and what they are before the first step. Legend: see dae_ptr.h.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/dae_ptr.h"

void
dae_layout(DaeLayout *l, const DaeOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int64_t		at;

	memset(l, 0, sizeof(*l));
	l->U = n_users;
	l->I = n_items;
	l->T = n_tags;
	l->K = o->hidden;
	l->parts = o->prior == DAE_NO_PRIOR ? 0 : DAE_PARTS;
	l->users = l->T;
	l->items = l->users + l->U;
	l->user_profile = l->items + l->I;
	l->item_profile = l->user_profile + (o->profiles ? l->T : 0);
	l->rows = l->item_profile + (o->profiles ? l->T : 0);
	l->hidden_bias = at = (int64_t) l->rows * l->K;
	l->decoder = at += l->K;
	l->tag_bias = at += (int64_t) l->T * l->K;
	l->prior = at += l->T;
	l->size = at + l->parts;
}

TrActivation
dae_activation(const Dae *m)
{
	static const TrActivation of[] = {[DAE_SIGMOID] = TR_SIGMOID, [DAE_TANH] = TR_TANH, [DAE_RELU] = TR_RELU};

	return of[m->options.activation];
}

/* Weights at random, biases 0. With a prior, training starts from what tag_product scores (tag_prior.h, a = 1). */
void
dae_initialize(const Dae *m, float *host)
{
	const DaeLayout *l = &m->layout;
	const DaeOptions *o = &m->options;
	double		std = o->init == DAE_NORMAL ? o->init_std : sqrt(2.0 / ((double) l->T + l->K));

	memset(host, 0, (size_t) l->size * sizeof(float));
	for (int64_t i = 0; i < l->hidden_bias; i++)
		host[i] = (float) (std * tr_normal(o->seed, TR_STREAM_INIT, 1, (uint64_t) i));
	for (int64_t i = l->decoder; i < l->tag_bias; i++)
		host[i] = (float) (std * tr_normal(o->seed, TR_STREAM_INIT, 2, (uint64_t) (i - l->decoder)));
	for (int32_t t = 0; t < l->T && l->parts > 0; t++)
		host[l->tag_bias + t] = m->prior.log_share[t];
	for (int j = 0; j < l->parts; j++)
		host[l->prior + j] = 1;
}
