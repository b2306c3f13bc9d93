/*
 * Batches of a network over both sides: their ratings, users and items, and the rows of the sources. See direct.h.
 */
#include "models/direct/direct.h"

#include <math.h>
#include <stdlib.h>

#include "core/rng.h"

/* ------------------------------------------------------------------ rows of sources */

static bool
is_dropped(const Direct *m, int32_t post, int epoch)
{
	return m->s.input_dropout > 0
		&& tr_uniform(m->s.seed, TR_STREAM_TAG_DROPOUT, (uint64_t) epoch, (uint64_t) post) < m->s.input_dropout;
}

/* What an entity was rated with, less the mean; in an input, none of the batch's ratings, nor what is dropped. */
static int64_t
add_ratings(Direct *m, TrSide side, int32_t r, int epoch, bool input, TrRows *rows)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;
	int64_t		first = rows->ptr[rows->rows];

	for (int32_t k = from[r]; k < from[r + 1]; k++)
	{
		int32_t		post = side == TR_USER ? k : d->item_post[k];

		if (input && (m->hidden_post[post] || (epoch > 0 && is_dropped(m, post, epoch))))
			continue;
		tr_rows_add(rows, side == TR_USER ? d->post_item[post] : d->post_user[post], d->post_value[post] - *m->mean);
	}
	return rows->ptr[rows->rows + 1] - first;
}

/* Ratings over the root of their number. */
static void
add_rating_input(Direct *m, TrSide side, int32_t r, int epoch, TrRows *rows)
{
	int64_t		first = rows->ptr[rows->rows];
	int64_t		n = add_ratings(m, side, r, epoch, true, rows);

	for (int64_t i = first; i < first + n; i++)
		rows->val[i] /= sqrtf((float) n);
}

static int64_t
n_ratings(const Direct *m, TrSide side, int32_t r)
{
	const TrDataset *d = m->model.dataset;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;

	return from[r + 1] - from[r];
}

/* A profile, of length 1 or 0, whose columns begin at `shift`. */
static void
add_profile(const TrProfileTable *table, int32_t r, int32_t shift, TrRows *rows)
{
	int64_t		first = rows->ptr[rows->rows + 1];
	double		squares = 0;

	for (int64_t i = table->entry_ptr[r]; i < table->entry_ptr[r + 1]; i++)
	{
		squares += (double) table->count[i] * table->count[i];
		tr_rows_add(rows, table->tag[i] + shift, table->count[i]);
	}
	for (int64_t i = first; i < rows->ptr[rows->rows + 1] && squares > 0; i++)
		rows->val[i] = (float) (rows->val[i] / sqrt(squares));
}

/* All the attributes of an entity, where they are an input of every layer; whether there are any. */
static bool
add_injected(const DirectSide *s, int32_t r, int32_t shift, TrRows *rows)
{
	int64_t		first = rows->ptr[rows->rows + 1];

	for (int i = 0; i < s->n_profiles; i++)
	{
		add_profile(s->profile[i], r, shift, rows);
		shift += s->features[i];
	}
	return rows->ptr[rows->rows + 1] > first;
}

static int64_t
n_attributes(const DirectSide *s, int32_t r)
{
	int64_t		n = 0;

	for (int i = 0; i < s->n_profiles; i++)
		n += s->profile[i]->entry_ptr[r + 1] - s->profile[i]->entry_ptr[r];
	return n;
}

static bool
start_row(Direct *m, TrSide side, int32_t r, TrRows *rows)
{
	if (!tr_rows_reserve(m->model.memory, rows, n_ratings(m, side, r) + n_attributes(&m->side[side], r) + 2))
		return false;
	tr_rows_start(rows);
	return true;
}

static bool
add_row(Direct *m, TrSide side, DirectSource *source, int32_t r, int epoch)
{
	DirectSide *s = &m->side[side];
	TrRows	   *rows = &source->list;

	if (!start_row(m, side, r, rows))
		return false;
	if (source->table)
		add_profile(source->table, r, 0, rows);
	else
	{
		add_rating_input(m, side, r, epoch, rows);
		if (s->X > 0)
			add_injected(s, r, source->F - s->X, rows);
	}
	rows->rows++;
	return true;
}

/* What is to be decoded, and the attributes of every layer. */
static bool
add_targets(Direct *m, TrSide side, int32_t r)
{
	DirectSide *s = &m->side[side];

	if (!start_row(m, side, r, &s->ratings_list) || !start_row(m, side, r, &s->injected_list))
		return false;
	if (m->kind.decoded)
		add_ratings(m, side, r, 0, false, &s->ratings_list);
	if (s->X > 0)
		add_injected(s, r, 0, &s->injected_list);
	s->ratings_list.rows++;
	s->injected_list.rows++;
	return true;
}

/*
 * Of the vector and of what the attributes are encoded as, what an entity e of the batch has: a vector if it has ratings,
 * which is dropped now and then where there are attributes.
 */
static bool
add_mixture(Direct *m, TrSide side, int e, int epoch)
{
	DirectSide *s = &m->side[side];
	int32_t		r = s->entity[e];
	bool		attributes = n_attributes(s, r) > 0;
	bool		vector = n_ratings(m, side, r) > 0;

	if (attributes && epoch > 0
		&& tr_uniform(m->s.seed, TR_STREAM_TAG_DROPOUT, (uint64_t) m->p.steps, (uint64_t) r << 1 | side) < m->s.vector_dropout)
		vector = false;
	if (!start_row(m, side, r, &s->mixture_list))
		return false;
	tr_rows_add(&s->mixture_list, e, vector);
	tr_rows_add(&s->mixture_list, s->n + e, attributes);
	s->mixture_list.rows++;
	return true;
}

static TrStatus
fill_sources(Direct *m, TrSide side, int epoch, TrError *err)
{
	DirectSide *s = &m->side[side];
	bool		enough = true;

	tr_rows_clear(&s->ratings_list);
	tr_rows_clear(&s->injected_list);
	tr_rows_clear(&s->mixture_list);
	for (int i = 0; i < s->S; i++)
		tr_rows_clear(&s->source[i].list);
	for (int32_t e = 0; e < s->n && enough; e++)
	{
		for (int i = 0; i < s->S; i++)
			enough = enough && add_row(m, side, &s->source[i], s->entity[e], epoch);
		enough = enough && add_targets(m, side, s->entity[e]) && (!m->kind.mixed || add_mixture(m, side, e, epoch));
	}
	if (m->kind.grouped)
		enough = enough && tr_direct_list_groups(m, side, epoch);
	return enough ? TR_OK : tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
}

TrStatus
tr_direct_create_rows(Direct *m, DirectSide *s, TrError *err)
{
	TrModel    *model = &m->model;
	TrRows	   *more[] = {&s->ratings_list, &s->injected_list, &s->mixture_list};

	for (int i = 0; i < s->S; i++)
		model->host_is_full |= !tr_rows_init(model->memory, &s->source[i].list, s->n_all, false);
	for (int i = 0; i < 3; i++)
		model->host_is_full |= !tr_rows_init(model->memory, more[i], s->n_all, false);
	return tr_enough_memory(model, err, "a network");
}

/* ------------------------------------------------------------------ ratings */

static int
compare_keys(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

/* The different entities of a side, ascending, and where each rating's is. The posts are in the order of users. */
static void
list_entities(Direct *m, TrSide side, const int32_t *post)
{
	const TrDataset *d = m->model.dataset;
	DirectSide *s = &m->side[side];

	for (int p = 0; p < m->P; p++)
		m->sort[p] = (uint64_t) (side == TR_USER ? d->post_user : d->post_item)[post[p]] << 32 | (uint64_t) p;
	qsort(m->sort, (size_t) m->P, sizeof(uint64_t), compare_keys);
	s->n = 0;
	for (int k = 0; k < m->P; k++)
	{
		int32_t		r = (int32_t) (m->sort[k] >> 32);
		int32_t		p = (int32_t) (m->sort[k] & UINT32_MAX);

		if (s->n == 0 || s->entity[s->n - 1] != r)
			s->entity[s->n++] = r;
		m->row[side][p] = s->n - 1;
		if (side == TR_ITEM)
		{
			m->by_item[0][k] = s->n - 1;
			m->by_item[1][k] = p;
		}
	}
}

static TrStatus
upload(Direct *m, bool ratings, TrError *err)
{
	TrPiece		piece[16 + 2 * (3 * DIRECT_SOURCES + 22)];
	size_t		P = (size_t) m->P;
	int			n = 0;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		DirectSide *s = &m->side[side];

		piece[n++] = (TrPiece) {(void **) &s->batch_entity, s->entity, (size_t) s->n * sizeof(int32_t)};
		for (int i = 0; i < s->S; i++)
			n += tr_rows_pieces(piece + n, &s->source[i].x, NULL, &s->source[i].list, s->source[i].F);
		if (m->kind.decoded && ratings)
			n += tr_rows_pieces(piece + n, &s->ratings, NULL, &s->ratings_list, m->side[!side].n_all);
		if (s->X > 0)
			n += tr_rows_pieces(piece + n, &s->injected, NULL, &s->injected_list, s->X);
		if (m->kind.mixed)
			n += tr_rows_pieces(piece + n, &s->mixture, NULL, &s->mixture_list, 2 * s->n);
		if (m->kind.grouped)
			n += tr_direct_group_pieces(m, s, piece + n);
	}
	for (int side = TR_USER; side <= TR_ITEM && ratings; side++)
	{
		piece[n++] = (TrPiece) {(void **) &m->batch_row[side], m->row[side], P * sizeof(int32_t)};
		piece[n++] = (TrPiece) {(void **) &m->batch_by_item[side], m->by_item[side], P * sizeof(int32_t)};
	}
	if (ratings)
	{
		m->pairs = (TrCsr) {.rows = m->P, .cols = m->side[TR_USER].n + m->side[TR_ITEM].n, .capacity = 2 * m->P};
		m->target = (TrCsr) {.rows = m->P, .cols = 1, .capacity = m->P};
		piece[n++] = (TrPiece) {(void **) &m->pairs.ptr, m->pair_ptr, (P + 1) * sizeof(int64_t)};
		piece[n++] = (TrPiece) {(void **) &m->pairs.col, m->pair_col, 2 * P * sizeof(int32_t)};
		piece[n++] = (TrPiece) {(void **) &m->pairs.val, m->ones, 2 * P * sizeof(float)};
		piece[n++] = (TrPiece) {(void **) &m->target.ptr, m->count, (P + 1) * sizeof(int64_t)};
		piece[n++] = (TrPiece) {(void **) &m->target.col, m->zeros, P * sizeof(int32_t)};
		piece[n++] = (TrPiece) {(void **) &m->target.val, m->residual, P * sizeof(float)};
	}
	return tr_upload(&m->model, &m->upload, piece, n, err);
}

/* The n ratings from `first` of the order on. */
TrStatus
tr_direct_list(Direct *m, int epoch, int32_t first, int n, TrError *err)
{
	const TrDataset *d = m->model.dataset;
	int32_t    *post = m->order + first;
	TrStatus	status = TR_OK;

	m->P = n;
	tr_sort_ints(post, (size_t) n);
	for (int p = 0; p < n; p++)
	{
		m->hidden_post[post[p]] = !m->s.own_rating;
		m->residual[p] = d->post_value[post[p]] - *m->mean;
	}
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		list_entities(m, (TrSide) side, post);
		status = status == TR_OK ? fill_sources(m, (TrSide) side, epoch, err) : status;
	}
	for (int p = 0; p < n; p++)
	{
		m->pair_col[2 * p] = m->row[TR_USER][p];
		m->pair_col[2 * p + 1] = m->side[TR_USER].n + m->row[TR_ITEM][p];
		m->hidden_post[post[p]] = 0;
	}
	return status == TR_OK ? upload(m, true, err) : status;
}

/* Entities first..first+n-1 of a side with all their ratings, and nobody of the other one. */
TrStatus
tr_direct_list_all(Direct *m, TrSide side, int32_t first, int n, TrError *err)
{
	for (int other = TR_USER; other <= TR_ITEM; other++)
	{
		m->side[other].n = other == (int) side ? n : 0;
		for (int32_t e = 0; e < m->side[other].n; e++)
			m->side[other].entity[e] = first + e;
		TR_TRY(fill_sources(m, (TrSide) other, 0, err));
	}
	return upload(m, false, err);
}
