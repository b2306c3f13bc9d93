/*
 * The parameters of abnt: where they lie, and what they are before the first step. Legend: see abnt.h.
 */
#include "models/abnt/abnt.h"

/* Vectors and weights at random, these by Glorot & Bengio 2010; biases 0. */
void
abnt_layout(AbntLayout *l, TrParameters *p, const AbntOptions *o, int32_t n_users, int32_t n_items, int32_t n_tags)
{
	int			D = o->dimensions;
	int			H;

	*l = (AbntLayout) {.U = n_users, .I = n_items, .T = n_tags, .D = D, .given = n_tags, .layers = o->layers.count};
	l->users = l->given + (o->given == ABNT_NONE ? 0 : n_tags);
	l->items = l->users + n_users;
	l->rows = l->items + n_items;
	(void) tr_parameter(p, n_tags, D, o->init_std, 1, "tags");
	(void) tr_parameter(p, l->users - l->given, D, o->init_std, 1, "tags_given");
	(void) tr_training_parameter(p, n_users, D, o->init_std, 1, "users");
	(void) tr_training_parameter(p, n_items, D, o->init_std, 1, "items");
	tr_parameters_begin_dense(p);
	l->query = tr_parameter(p, 2 * D, D, sqrt(2.0 / (3.0 * D)), 2, "W_query");
	l->query_bias = tr_parameter(p, 1, D, 0, 0, "b_query");
	l->width[0] = ABNT_PARTS * D;
	for (int i = 0; i < l->layers; i++)
	{
		int			O = l->width[i + 1] = o->layers.value[i];

		l->layer[i] = tr_parameter(p, l->width[i], O, sqrt(2.0 / ((double) l->width[i] + O)), 4 + (uint64_t) i, "W_%d",
								   i + 1);
		l->layer_bias[i] = tr_parameter(p, 1, O, 0, 0, "b_%d", i + 1);
	}
	H = abnt_last_width(l);
	l->decoder = tr_parameter(p, n_tags, H, sqrt(2.0 / ((double) n_tags + H)), 3, "W_out");
	l->tag_bias = tr_parameter(p, 1, n_tags, 0, 0, "b_out");
}

TrActivation
abnt_activation(const AbntOptions *o)
{
	static const TrActivation of[] = {[ABNT_RELU] = TR_RELU, [ABNT_TANH] = TR_TANH, [ABNT_SIGMOID] = TR_SIGMOID};

	return of[o->activation];
}
