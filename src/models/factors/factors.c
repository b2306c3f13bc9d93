/*
 * Rows of factors. See factors.h.
 */
#include "models/factors/factors.h"

#include "core/sort.h"
#include "models/nn/rows.h"

/* Floats gathered between two polls: 0.1 s of one slow core. */
#define POLL_FLOATS 20000000

TrStatus
tr_factors_create(TrFactors *f, TrModel *model, float *host, int32_t n, int width, size_t most, bool twice,
				  TrOptimizerKind optimizer, TrError *err)
{
	size_t		floats = (size_t) n * (size_t) width;
	size_t		batch = most * (size_t) width;

	*f = (TrFactors) {
		.n = n, .width = width, .rows = tr_device_floats(model, floats),
		.m = optimizer == TR_ADAM ? tr_device_zeros(model, floats) : NULL,
		.v = optimizer == TR_ADAM ? tr_device_zeros(model, floats) : NULL,
		.gathered = tr_device_floats(model, batch), .gradient = tr_device_floats(model, batch),
		.dgathered = twice ? tr_device_floats(model, batch) : NULL
	};
	return tr_mirror(model, host, f->rows, floats, err);
}

TR_SORT_FUNCTIONS(sort_places, uint64_t)

void
tr_factors_sort(TrFactors *f, uint64_t *sort)
{
	TrGathered *rows = &f->host;
	int			distinct = 0;

	for (int i = 0; i < f->n_gathered; i++)
		sort[i] = (uint64_t) rows->index[i] << 32 | (uint64_t) i;
	sort_places(sort, (size_t) f->n_gathered);
	for (int i = 0; i < f->n_gathered; i++)
	{
		int32_t		row = (int32_t) (sort[i] >> 32);

		if (distinct == 0 || rows->distinct[distinct - 1] != row)
			rows->distinct[distinct++] = row;
		rows->slot[i] = distinct - 1;
		rows->from[i] = (int32_t) (sort[i] & UINT32_MAX);
	}
	f->n_distinct = distinct;
}

void
tr_factors_gather(TrBackend *b, TrFactors *f)
{
	b->ops->gather_rows(b, f->gathered, f->rows, f->batch.index, f->n_gathered, f->width);
}

void
tr_factors_learn(TrBackend *b, TrFactors *f, const TrOptimizer *optimizer, double regularization)
{
	const TrGathered *rows = &f->batch;

	b->ops->zero(b, f->gradient, (size_t) f->n_distinct * (size_t) f->width * sizeof(float));
	b->ops->scatter_rows(b, f->gradient, rows->slot, f->dgathered, rows->from, f->n_gathered, f->width, 1);
	b->ops->scatter_rows(b, f->gradient, rows->slot, f->gathered, rows->from, f->n_gathered, f->width,
						 (float) (2 * regularization));
	b->ops->update_rows(b, optimizer, f->rows, f->gradient, f->m, f->v, rows->distinct, f->n_distinct, f->width);
}

/* ------------------------------------------------------------------ batches */

void
tr_batch_ints(TrBatchInts *ints, TrModel *model, size_t n)
{
	*ints = (TrBatchInts) {.host = TR_NEW(model, int32_t, n), .device = tr_device_new(model, n * sizeof(int32_t)), .n = n};
}

void
tr_carve(TrBatchInts *ints, int32_t **host, int32_t **device, size_t n)
{
	*host = ints->host + ints->used;
	*device = ints->device + ints->used;
	ints->used += n;
}

void
tr_carve_gathered(TrBatchInts *ints, TrFactors *f, size_t n)
{
	tr_carve(ints, &f->host.index, &f->batch.index, n);
	tr_carve(ints, &f->host.slot, &f->batch.slot, n);
	tr_carve(ints, &f->host.from, &f->batch.from, n);
	tr_carve(ints, &f->host.distinct, &f->batch.distinct, n);
}

TrStatus
tr_rank_loss_create(TrRankLoss *l, TrModel *model, int P, int N, TrError *err)
{
	TrBackend  *b = model->backend;
	int32_t    *count = TR_NEW(model, int32_t, 2 * (size_t) P);

	*l = (TrRankLoss) {
		.score = tr_device_floats(model, (size_t) P * (1 + (size_t) N)), .dscore = tr_device_floats(model, (size_t) P),
		.ones = tr_device_floats(model, (size_t) P), .loss = tr_device_new(model, sizeof(double))
	};
	TR_TRY(tr_enough_memory(model, err, "the factors of a batch"));
	for (int32_t i = 0; i <= P; i++)
		count[i] = i;
	l->pair_ptr = tr_to_device(model, count, ((size_t) P + 1) * sizeof(int32_t));
	for (int32_t i = 0; i < P; i++)
		count[i] = -1;
	l->no_column = tr_to_device(model, count, (size_t) P * sizeof(int32_t));
	tr_free(model->memory, count);
	TR_TRY(tr_enough_memory(model, err, "the factors of a batch"));
	b->ops->fill_column(b, l->ones, 1, NULL, NULL, P);
	return b->ops->finish(b, err);
}

void
tr_rank_loss(TrBackend *b, TrRankLoss *l, int pairs, int others)
{
	TrSoftmax	softmax = {.users = pairs, .columns = others, .logits = l->score + pairs, .pair_ptr = l->pair_ptr,
		.pair_column = l->no_column, .pair_weight = l->ones, .pair_logit = l->score, .pair_dlogit = l->dscore,
	.include_positive = true, .scale = 1, .loss = l->loss};

	b->ops->softmax_loss(b, &softmax);
}

/* ------------------------------------------------------------------ an epoch */

TrStatus
tr_rank_epoch(const TrRankEpoch *e, TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	TrBackend  *b = model->backend;
	int64_t		batches = (e->n + e->batch - 1) / e->batch;
	int64_t		between = 1 + POLL_FLOATS / e->floats;
	double		loss;

	tr_shuffle(e->order, e->n, e->seed, epoch);
	b->ops->zero(b, e->loss, sizeof(double));
	for (int64_t i = 0; i < batches; i++)
	{
		int32_t		first = (int32_t) (i * e->batch);
		int			n = e->n - first < e->batch ? e->n - first : e->batch;

		if (i % between == 0 && tr_poll_at(poll, "pairs", first, e->n))
			return TR_CANCELLED;
		e->plan(model, epoch, first, n);
		tr_begin_step(b);
		e->step(model, n, (epoch - 1) * batches + i + 1);
		tr_end_step(b);
	}
	b->ops->download(b, &loss, e->loss, sizeof(double));
	TR_TRY(b->ops->finish(b, err));
	stats->pairs = e->n;
	stats->loss = loss / e->n;
	return TR_OK;
}
