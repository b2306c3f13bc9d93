/*
 * Users and items as members of groups (Liu, Wang, Tang, Yang, Huang & Liu, "Recommender Systems with Heterogeneous Side
 * Information", 2019): what is known of an entity is how much of each group it is, e, times the groups' vectors U,
 *
 *     a = e U, and with the attributes x of it, and x' of which some are left out, the loss has beside that of ratings
 *     hierarchy / I * sum over the groups of |mean of a over the members - U|^2
 *     + 1 / n * sum over the entities of |x' W - x|^2 + flat / n * sum of |a S - x W|^2
 *
 * Groups are the attributes that most have. In the paper the means are over all entities; here over those of a mini-batch.
 * See direct.h. Legend: I groups, J size of a, n entities of a batch.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"

/* ------------------------------------------------------------------ life */

void
tr_direct_lay_out_groups(Direct *m, DirectSide *s, const char *of, uint64_t *stream)
{
	int			I = m->I;
	int			J = m->size[1];
	char		name[24];

	snprintf(name, sizeof(name), "%s groups", of);
	s->groups = tr_training_parameter(&m->p, I, J, sqrt(2.0 / (I + J)), (*stream)++, name);
	snprintf(name, sizeof(name), "%s filter", of);
	s->filter = tr_training_parameter(&m->p, I, I, sqrt(1.0 / I), (*stream)++, name);
	snprintf(name, sizeof(name), "%s projection", of);
	s->project = tr_training_parameter(&m->p, J, I, sqrt(2.0 / (I + J)), (*stream)++, name);
}

/* The attributes that most entities have become groups, in the order of their numbers where as many have them. */
static void
choose_groups(const Direct *m, DirectSide *s, int64_t *count, int32_t features)
{
	for (int32_t g = 0; g < m->I; g++)
	{
		int32_t		best = -1;

		for (int32_t f = 0; f < features; f++)
			if (s->group_of[f] < 0 && count[f] > 0 && (best < 0 || count[f] > count[best]))
				best = f;
		if (best < 0)
			return;
		s->group_of[best] = s->n_groups++;
	}
}

/* An entity without ratings, whose memberships are not learned, is of each of its groups alike. */
static void
fill_memberships(Direct *m, TrSide side)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	DirectSide *s = &m->side[side];

	for (int32_t r = 0; r < s->n_all; r++)
	{
		float	   *row = s->saved[true] + (size_t) r * (size_t) m->I;
		float		n = 0;

		for (int i = 0, shift = 0; i < s->n_profiles && from[r + 1] == from[r]; shift += s->features[i++])
			for (int64_t k = s->profile[i]->entry_ptr[r]; k < s->profile[i]->entry_ptr[r + 1]; k++)
				if (s->group_of[shift + s->profile[i]->tag[k]] >= 0)
					n += row[s->group_of[shift + s->profile[i]->tag[k]]] = 1;
		for (int g = 0; g < m->I && n > 0; g++)
			row[g] /= n;
	}
}

TrStatus
tr_direct_create_groups(Direct *m, TrSide side, TrError *err)
{
	TrModel    *model = &m->model;
	DirectSide *s = &m->side[side];
	TrRows	   *rows[] = {&s->group_list, &s->noisy_list, &s->mean_list, &s->dense_list};
	int32_t		features = 0;
	int64_t    *count;

	for (int i = 0; i < s->n_profiles; i++)
		features += s->features[i];
	s->group_of = TR_NEW(model, int32_t, features);
	s->members = TR_NEW(model, int32_t, m->I);
	count = TR_NEW(model, int64_t, features);
	for (int i = 0; i < 4; i++)
		model->host_is_full |= !tr_rows_init(model->memory, rows[i], s->n_all, false);
	TR_TRY(tr_enough_memory(model, err, "a network"));
	for (int32_t f = 0; f < features; f++)
		s->group_of[f] = -1;
	for (int i = 0, shift = 0; i < s->n_profiles; shift += s->features[i++])
		for (int64_t k = 0; k < s->profile[i]->entry_ptr[s->n_all]; k++)
			count[shift + s->profile[i]->tag[k]]++;
	choose_groups(m, s, count, features);
	fill_memberships(m, side);
	tr_free(model->memory, count);
	return TR_OK;
}

/* ------------------------------------------------------------------ a batch */

static void
start(TrRows *rows[4])
{
	for (int i = 0; i < 4; i++)
		tr_rows_start(rows[i]);
}

/* The groups of an entity, ascending: in is (I) work space. */
static void
add_entity(Direct *m, TrSide side, int32_t r, int epoch, TrRows *rows[4], uint8_t *in)
{
	DirectSide *s = &m->side[side];

	memset(in, 0, (size_t) m->I);
	for (int i = 0, shift = 0; i < s->n_profiles; shift += s->features[i++])
		for (int64_t k = s->profile[i]->entry_ptr[r]; k < s->profile[i]->entry_ptr[r + 1]; k++)
			if (s->group_of[shift + s->profile[i]->tag[k]] >= 0)
				in[s->group_of[shift + s->profile[i]->tag[k]]] = 1;
	start(rows);
	for (int32_t g = 0; g < m->I; g++)
	{
		uint64_t	key = ((uint64_t) r * (uint64_t) m->I + (uint64_t) g) << 1 | side;
		bool		kept = epoch == 0 || tr_uniform(m->s.seed, TR_STREAM_TAG_DROPOUT, (uint64_t) m->p.steps, key) >= m->s.input_dropout;

		tr_rows_add(rows[3], g, in[g]);
		if (!in[g])
			continue;
		s->members[g]++;
		tr_rows_add(rows[0], g, 1);
		tr_rows_add(rows[1], g, kept);
		tr_rows_add(rows[2], g, 1);
	}
	for (int i = 0; i < 4; i++)
		rows[i]->rows++;
}

/* False = out of memory. */
bool
tr_direct_list_groups(Direct *m, TrSide side, int epoch)
{
	DirectSide *s = &m->side[side];
	TrRows	   *rows[] = {&s->group_list, &s->noisy_list, &s->mean_list, &s->dense_list};
	uint8_t    *in = tr_calloc(m->model.memory, (size_t) m->I, 1);
	bool		enough = in != NULL;

	for (int g = 0; g < m->I; g++)
		s->members[g] = 0;
	for (int i = 0; i < 4; i++)
		tr_rows_clear(rows[i]);
	for (int32_t e = 0; e < s->n && enough; e++)
	{
		for (int i = 0; i < 4; i++)
			enough = enough && tr_rows_reserve(m->model.memory, rows[i], m->I);
		if (enough)
			add_entity(m, side, s->entity[e], epoch, rows, in);
	}
	for (int64_t k = 0; enough && k < tr_rows_entries(&s->mean_list); k++)
		s->mean_list.val[k] /= (float) s->members[s->mean_list.col[k]];
	tr_free(m->model.memory, in);
	return enough;
}

int
tr_direct_group_pieces(Direct *m, DirectSide *s, TrPiece *piece)
{
	int			n = tr_rows_pieces(piece, &s->group, NULL, &s->group_list, m->I);

	n += tr_rows_pieces(piece + n, &s->noisy, NULL, &s->noisy_list, m->I);
	n += tr_rows_pieces(piece + n, &s->mean, NULL, &s->mean_list, m->I);
	return n + tr_rows_pieces(piece + n, &s->dense, NULL, &s->dense_list, m->I);
}

/* ------------------------------------------------------------------ a step */

/* out (rows,width) += scale x */
static void
add_rows(Direct *m, float *out, const float *x, int rows, int width, double scale)
{
	TrBackend  *b = m->model.backend;

	b->ops->scatter_rows(b, out, m->unit.col, x, NULL, rows, width, (float) scale);
}

/* x (rows,width) becomes scale x, by way of work. */
static void
scale_rows(Direct *m, float *x, float *work, int rows, int width, double scale)
{
	TrBackend  *b = m->model.backend;

	b->ops->gather_rows(b, work, x, m->unit.col, rows, width);
	b->ops->zero(b, x, (size_t) rows * (size_t) width * sizeof(float));
	add_rows(m, x, work, rows, width, scale);
}

TrStatus
tr_direct_group(Direct *m, TrSide side, TrError *err)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];
	TrModel    *model = &m->model;
	int			J = m->size[1];

	TR_TRY(tr_reserve_floats(model, &s->mixed, s->n, J, err));
	TR_TRY(tr_reserve_floats(model, &s->dmixed, s->n, J, err));
	TR_TRY(tr_reserve_floats(model, &s->apart, s->n, J, err));
	TR_TRY(tr_reserve_floats(model, &s->of_group, m->I, J, err));
	TR_TRY(tr_reserve_floats(model, &s->said, s->n, m->I, err));
	TR_TRY(tr_reserve_floats(model, &s->filtered, s->n, m->I, err));
	b->ops->gemm(b, s->mixed.data, J, s->identity.gathered, m->I, false, m->p.value + s->groups, J, false, s->n, J,
				 m->I, 1, 0);
	s->a = s->mixed.data;
	s->da = s->dmixed.data;
	return TR_OK;
}

/* Groups without a member in the batch are as far as nothing from their mean: their vectors are small. */
static void
lose_hierarchy(Direct *m, DirectSide *s)
{
	TrBackend  *b = m->model.backend;
	int			J = m->size[1];
	double		weight = m->s.hierarchy / m->I;

	b->ops->zero(b, s->of_group.data, (size_t) m->I * (size_t) J * sizeof(float));
	b->ops->sparse_backward(b, s->of_group.data, &s->mean, s->a, J);
	add_rows(m, s->of_group.data, m->p.value + s->groups, m->I, J, -1);
	b->ops->sum_squares(b, m->p.loss, s->of_group.data, (int64_t) m->I * J, (float) weight);
	add_rows(m, tr_gradient(&m->p, s->groups), s->of_group.data, m->I, J, -2 * weight);
	b->ops->sparse_forward(b, s->apart.data, &s->mean, s->of_group.data, NULL, J, TR_LINEAR);
	add_rows(m, s->da, s->apart.data, s->n, J, 2 * weight);
}

static void
lose_noise(Direct *m, DirectSide *s)
{
	TrBackend  *b = m->model.backend;

	b->ops->sparse_forward(b, s->said.data, &s->noisy, m->p.value + s->filter, NULL, m->I, TR_LINEAR);
	b->ops->squared_loss(b, s->said.data, &s->dense, 1.0f / (float) s->n, m->p.loss);
	b->ops->sparse_backward(b, tr_gradient(&m->p, s->filter), &s->noisy, s->said.data, m->I);
}

/* said = a S - x W */
static void
lose_flat(Direct *m, DirectSide *s)
{
	TrBackend  *b = m->model.backend;
	TrParameters *p = &m->p;
	const float *projection = p->value + s->project;
	int			J = m->size[1];
	int			I = m->I;
	double		weight = m->s.flat / s->n;

	b->ops->sparse_forward(b, s->filtered.data, &s->group, p->value + s->filter, NULL, I, TR_LINEAR);
	b->ops->gemm(b, s->said.data, I, s->a, J, false, projection, I, false, s->n, I, J, 1, 0);
	add_rows(m, s->said.data, s->filtered.data, s->n, I, -1);
	b->ops->sum_squares(b, p->loss, s->said.data, (int64_t) s->n * I, (float) weight);
	scale_rows(m, s->said.data, s->filtered.data, s->n, I, 2 * weight);
	b->ops->dense_backward(b, s->apart.data, tr_gradient(p, s->project), s->said.data, s->a, projection, s->n, J, I,
						   TR_STORED_IO);
	add_rows(m, s->da, s->apart.data, s->n, J, 1);
	scale_rows(m, s->said.data, s->filtered.data, s->n, I, -1);
	b->ops->sparse_backward(b, tr_gradient(p, s->filter), &s->group, s->said.data, I);
}

void
tr_direct_group_backward(Direct *m, TrSide side)
{
	TrBackend  *b = m->model.backend;
	DirectSide *s = &m->side[side];

	lose_hierarchy(m, s);
	lose_noise(m, s);
	lose_flat(m, s);
	b->ops->dense_backward(b, s->identity.gradient, tr_gradient(&m->p, s->groups), s->da, s->identity.gathered,
						   m->p.value + s->groups, s->n, m->I, m->size[1], TR_STORED_IO);
}
