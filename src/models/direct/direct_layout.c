/*
 * What a network over both sides is made of: the sources of each side, and the parameters. See direct.h.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <stdio.h>

/* The next number of a stream of initial values goes on over all sources. */
typedef struct Naming
{
	Direct	   *m;
	const char *of;				/* "user", "item" */
	uint64_t	stream;
} Naming;

static int64_t
add(Naming *n, int rows, int cols, double std, const char *what, int number)
{
	char		name[32];

	snprintf(name, sizeof(name), number > 0 ? "%s%s%d" : "%s%s", n->of, what, number);
	return tr_training_parameter(&n->m->p, rows, cols, std, std > 0 ? n->stream++ : 0, name);
}

static double
glorot(double in, double out)
{
	return sqrt(2.0 / (in + out));
}

/* Rows of inputs have length 1 or so, whatever their number of columns. */
static void
lay_out_layer(Naming *n, DirectLayer *layer, bool first, int in, int out, int X, const char *what, int number)
{
	char		name[16];

	layer->in = in;
	layer->out = out;
	snprintf(name, sizeof(name), "%s W", what);
	layer->weight = add(n, in, out, glorot(first ? 1 : in, out), name, number);
	snprintf(name, sizeof(name), "%s V", what);
	layer->injected = X > 0 ? add(n, X, out, glorot(1, out), name, number) : 0;
	snprintf(name, sizeof(name), "%s b", what);
	layer->bias = add(n, 1, out, 0, name, number);
}

/* ------------------------------------------------------------------ sources */

static void
add_source(DirectSide *s, const TrProfileTable *table, int32_t columns)
{
	if (s->S < DIRECT_SOURCES && columns > 0)
		s->source[s->S++] = (DirectSource) {.table = table, .F = columns};
}

/* Which profiles and sources a side has. */
static void
list_sources(Direct *m, TrSide side)
{
	const TrDataset *d = m->model.dataset;
	DirectSide *s = &m->side[side];
	int32_t		others = side == TR_USER ? d->n_items : d->n_users;
	int			most = DIRECT_SOURCES - m->kind.ratings;

	s->n_all = side == TR_USER ? d->n_users : d->n_items;
	for (int i = 0; i < d->n_profiles && m->s.attributes && s->n_profiles < most; i++)
		if (d->profiles[i].of_items == (side == TR_ITEM) && d->profiles[i].n_features > 0)
		{
			s->profile[s->n_profiles] = &d->profiles[i].table;
			s->features[s->n_profiles++] = d->profiles[i].n_features;
			s->X += m->kind.injected ? d->profiles[i].n_features : 0;
		}
	if (m->kind.ratings)
		add_source(s, NULL, others + s->X);
	for (int i = 0; i < s->n_profiles && !m->kind.injected && !m->kind.grouped; i++)
		add_source(s, s->profile[i], s->features[i]);
}

static void
lay_out_source(Naming *n, DirectSide *s, int i)
{
	Direct	   *m = n->m;
	DirectSource *source = &s->source[i];
	int			in = source->F;
	char		what[8];

	snprintf(what, sizeof(what), "%d", i + 1);
	for (int k = 1; k <= m->L; k++)
	{
		lay_out_layer(n, &source->layer[k], k == 1, in, m->s.encoder.value[k - 1], k == 1 ? 0 : s->X, what, k);
		in = source->layer[k].out;
	}
	snprintf(what, sizeof(what), "%d join", i + 1);
	source->join = add(n, in, m->size[1], glorot(in, m->size[1]), what, 0);
}

/* ------------------------------------------------------------------ what an inner product is of */

static void
lay_out_output(Naming *n, DirectPath *path, int32_t F, const TrCsr *target, bool ratings, int number)
{
	DirectOutput *o = &path->output[path->n_outputs++];

	o->F = F;
	o->target = target;
	o->ratings = ratings;
	o->weight = add(n, F, path->layer[1].out, glorot(F, path->layer[1].out), " output W", number);
	o->bias = add(n, 1, F, 0, " output b", number);
}

/* Back through layers as wide as those that encode a source; of what is injected, ratings and attributes come apart. */
static void
lay_out_path(Naming *n, DirectSide *s, int i)
{
	Direct	   *m = n->m;
	DirectPath *path = &s->path[s->n_paths++];
	DirectSource *source = &s->source[i];
	int			in = m->size[1];
	char		what[8];

	snprintf(what, sizeof(what), "%d back", i + 1);
	for (int k = m->L; k >= 1; k--)
	{
		lay_out_layer(n, &path->layer[k], false, in, m->s.encoder.value[k - 1], s->X, what, k);
		in = path->layer[k].out;
	}
	lay_out_output(n, path, source->F - (source->table ? 0 : s->X), source->table ? &source->x : &s->ratings, !source->table,
				   i + 1);
	if (s->X > 0)
		lay_out_output(n, path, s->X, &s->injected, false, i + 2);
}

static void
lay_out_attention(Naming *n, DirectSide *s)
{
	Direct	   *m = n->m;
	int			J = m->size[1];
	int			A = m->s.attention;

	s->attention = add(n, J, A, glorot(J, A), " attention W", 0);
	s->attention_bias = add(n, 1, A, 0, " attention b", 0);
	s->query = add(n, 1, A, glorot(1, A), " query", 0);
}

static void
lay_out_product(Naming *n, DirectSide *s)
{
	Direct	   *m = n->m;

	s->joined.out = m->size[1];
	if (s->X > 0)
		s->joined.injected = add(n, s->X, m->size[1], glorot(1, m->size[1]), " join V", 0);
	s->joined.bias = add(n, 1, m->size[1], 0, " join b", 0);
	for (int i = 0; i < s->S && m->kind.decoded; i++)
		lay_out_path(n, s, i);
	if (m->kind.mixed)
		lay_out_attention(n, s);
}

/* ------------------------------------------------------------------ all of it */

static void
lay_out_joint(Direct *m, uint64_t stream)
{
	for (int k = 1; k <= m->K; k++)
	{
		if (k > 1)
			m->weight[k] = tr_parameter(&m->p, m->size[k - 1], m->size[k], glorot(m->size[k - 1], m->size[k]),
										stream + (uint64_t) k, "C%d", k);
		m->bias[k] = tr_parameter(&m->p, 1, m->size[k], 0, 0, "c%d", k);
	}
}

static void
lay_out_side(Naming *n, TrSide side)
{
	Direct	   *m = n->m;
	DirectSide *s = &m->side[side];

	n->of = side == TR_USER ? "user" : "item";
	list_sources(m, side);
	for (int i = 0; i < s->S; i++)
		lay_out_source(n, s, i);
	if (m->kind.grouped)
		tr_direct_lay_out_groups(m, s, n->of, &n->stream);
	else if (m->kind.product)
		lay_out_product(n, s);
	else if (m->I > 0)
		s->join = add(n, m->I, m->size[1], glorot(m->I, m->size[1]), " join", 0);
}

/* Without a dataset, a side needs no sources: it is its arrays. */
void
tr_direct_lay_out(Direct *m)
{
	Naming		n = {m, "", 1};

	for (int side = TR_USER; side <= TR_ITEM && m->model.dataset; side++)
		lay_out_side(&n, (TrSide) side);
	lay_out_joint(m, n.stream < 64 ? 64 : n.stream);
}
