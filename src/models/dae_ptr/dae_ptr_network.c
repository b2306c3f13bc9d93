/*
 * The parameters of dae_ptr: where they lie, and what they are before the first step. Legend: see dae_ptr.h.
 */
#include <math.h>

#include "models/dae_ptr/dae_ptr.h"

/* Weights at random, biases 0. */
void
dae_layout(DaeLayout *l, TrParameters *p, const DaeOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int			K = o->hidden;
	int32_t		profiles = o->profiles ? n_tags : 0;
	double		std = o->init == DAE_NORMAL ? o->init_std : sqrt(2.0 / ((double) n_tags + K));

	*l = (DaeLayout) {.U = n_users, .I = n_items, .T = n_tags, .K = K, .users = n_tags, .items = n_tags + n_users,
	.parts = o->prior == DAE_NO_PRIOR ? 0 : DAE_PARTS};
	l->user_profile = l->items + n_items;
	l->item_profile = l->user_profile + profiles;
	l->rows = l->item_profile + profiles;
	(void) tr_parameter(p, n_tags, K, std, 1, "W");
	(void) tr_training_parameter(p, n_users, K, std, 1, "P");
	(void) tr_training_parameter(p, n_items, K, std, 1, "Q");
	(void) tr_parameter(p, profiles, K, std, 1, "W_user");
	(void) tr_parameter(p, profiles, K, std, 1, "W_item");
	tr_parameters_begin_dense(p);
	l->hidden_bias = tr_parameter(p, 1, K, 0, 0, "b");
	l->decoder = tr_parameter(p, n_tags, K, std, 2, "W_out");
	l->tag_bias = tr_parameter(p, 1, n_tags, 0, 0, "b_out");
	l->prior = tr_parameter(p, l->parts > 0 ? 1 : 0, l->parts, 0, 0, "prior");
	p->regularized = l->prior;
}

TrActivation
dae_activation(const Dae *m)
{
	static const TrActivation of[] = {[DAE_SIGMOID] = TR_SIGMOID, [DAE_TANH] = TR_TANH, [DAE_RELU] = TR_RELU};

	return of[m->options.activation];
}
