/*
 * The tags of a step's softmax. See tag_sample.h.
 */
#include "models/nn/tag_sample.h"

#include <math.h>

#include "core/rng.h"
#include "core/simd.h"

#define POWER 0.75

/* limit, minus_log (T) */
static TrStatus
fill_probabilities(TrTagSample *s, TrModel *model, double samples, TrError *err)
{
	double	   *count = TR_NEW(model, double, s->T);
	double		total = 0;

	TR_TRY(tr_enough_memory(model, err, "%d tags", s->T));
	tr_dataset_count_tags(count, model->dataset);
	for (int32_t t = 0; t < s->T; t++)
		total += count[t] = pow(count[t], POWER);
	for (int32_t t = 0; t < s->T; t++)
	{
		float		pi = (float) fmin(1, samples * (0.5 / s->T + 0.5 * count[t] / fmax(total, 1e-30)));

		s->limit[t] = (uint32_t) ceil(pi * 16777216.0);
		s->minus_log[t] = -logf(pi);
		s->count[t] = t;
	}
	tr_free(model->memory, count);
	return TR_OK;
}

TrStatus
tr_tag_sample_create(TrTagSample *s, TrModel *model, int samples, TrError *err)
{
	int32_t		T = model->n_tags;

	*s = (TrTagSample) {.T = T};
	if (!tr_tags_are_sampled(T, samples))
		return TR_OK;
	s->tag = TR_NEW(model, int32_t, T);
	s->offset = TR_NEW(model, float, T);
	s->count = TR_NEW(model, int32_t, T);
	s->place = TR_NEW(model, int32_t, T);
	s->limit = TR_NEW(model, uint32_t, T);
	s->minus_log = TR_NEW(model, float, T);
	TR_TRY(tr_enough_memory(model, err, "samples of %d tags", T));
	return fill_probabilities(s, model, samples > 0 ? samples : TR_TAG_SAMPLES, err);
}

/* place (T) = 1 for sampled tags, else -1 */
TR_CLONES static void
draw(int32_t *place, const uint32_t *limit, int32_t T, uint64_t key)
{
	for (int32_t t = 0; t < T; t++)
		place[t] = tr_random_of(key, (uint64_t) t) >> 40 < limit[t] ? 1 : -1;
}

void
tr_tag_sample_draw(TrTagSample *s, uint64_t seed, uint64_t step)
{
	draw(s->place, s->limit, s->T, tr_random_key(seed, TR_STREAM_NEGATIVE, step));
}

/* place is 0 for targets, 1 for sampled tags, else -1 */
void
tr_tag_sample_number(TrTagSample *s)
{
	s->n = 0;
	for (int32_t t = 0; t < s->T; t++)
	{
		if (s->place[t] < 0)
			continue;
		s->offset[s->n] = s->place[t] == 1 ? s->minus_log[t] : 0;
		s->tag[s->n] = t;
		s->place[t] = s->n++;
	}
}

void
tr_tag_sample_renumber(const TrTagSample *s, TrRows *rows)
{
	int64_t		at = 0;
	int64_t		from = 0;

	for (int32_t r = 0; r < rows->rows; r++)
	{
		int64_t		end = rows->ptr[r + 1];

		for (; from < end; from++)
			if (s->place[rows->col[from]] >= 0)
			{
				rows->col[at] = s->place[rows->col[from]];
				rows->val[at++] = rows->val[from];
			}
		rows->ptr[r + 1] = at;
	}
}

/* ------------------------------------------------------------------ in the backend */

int
tr_tag_sample_pieces(TrPiece *piece, TrTagSample *s)
{
	size_t		bytes = (size_t) s->n * sizeof(int32_t);

	piece[0] = (TrPiece) {(void **) &s->device_tag, s->tag, bytes};
	piece[1] = (TrPiece) {(void **) &s->device_count, s->count, bytes};
	piece[2] = (TrPiece) {(void **) &s->device_offset, s->offset, bytes};
	return TR_TAG_SAMPLE_PIECES;
}

TrStatus
tr_tag_sample_reserve(TrTagSample *s, TrModel *model, int K, TrError *err)
{
	TR_TRY(tr_reserve_floats(model, &s->rows, s->n, K, err));
	TR_TRY(tr_reserve_floats(model, &s->rows_grad, s->n, K, err));
	return tr_reserve_floats(model, &s->bias, 2, s->n, err);
}

void
tr_tag_sample_gather(TrTagSample *s, const TrParameters *p, TrBackend *b, int64_t rows, int64_t biases, int K)
{
	b->ops->gather_rows(b, s->rows.data, p->value + rows, s->device_tag, s->n, K);
	b->ops->gather_rows(b, s->bias.data, p->value + biases, s->device_tag, s->n, 1);
	b->ops->scatter_rows(b, s->bias.data, s->device_count, s->device_offset, NULL, s->n, 1, 1);
	b->ops->zero(b, s->rows_grad.data, (size_t) s->n * (size_t) K * sizeof(float));
	b->ops->zero(b, tr_tag_sample_bias_grad(s), (size_t) s->n * sizeof(float));
}

void
tr_tag_sample_scatter(TrTagSample *s, const TrParameters *p, TrBackend *b, int64_t biases)
{
	b->ops->scatter_rows(b, tr_gradient(p, biases), s->device_tag, tr_tag_sample_bias_grad(s), NULL, s->n, 1, 1);
}

void
tr_tag_sample_update(TrTagSample *s, const TrParameters *p, TrBackend *b, const TrOptimizer *optimizer, int64_t rows, int K)
{
	b->ops->update_rows(b, optimizer, p->value + rows, s->rows_grad.data, p->moment1 ? p->moment1 + rows : NULL,
						p->moment2 ? p->moment2 + rows : NULL, s->device_tag, s->n, K);
}
