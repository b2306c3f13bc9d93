/*
 * The parameters of a network. See parameters.h.
 */
#include "models/nn/parameters.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/rng.h"

/* ------------------------------------------------------------------ the table */

static int64_t
add(TrParameters *p, const TrParameter *one)
{
	int64_t		at = p->size;

	if (one->rows > 0)
	{
		p->table[p->count] = *one;
		p->table[p->count++].at = at;
	}
	p->size += (int64_t) one->rows * one->cols;
	p->regularized = p->size;
	return at;
}

int64_t
tr_parameter(TrParameters *p, int32_t rows, int32_t cols, double std, uint64_t stream, const char *name, ...)
{
	TrParameter one = {.rows = rows, .cols = cols, .std = std, .stream = stream};
	va_list		args;

	va_start(args, name);
	vsnprintf(one.name, sizeof(one.name), name, args);
	va_end(args);
	return add(p, &one);
}

int64_t
tr_training_parameter(TrParameters *p, int32_t rows, int32_t cols, double std, uint64_t stream, const char *name)
{
	TrParameter one = {.rows = rows, .cols = cols, .std = std, .stream = stream, .training = true};

	snprintf(one.name, sizeof(one.name), "%s", name);
	return add(p, &one);
}

void
tr_parameters_begin_dense(TrParameters *p)
{
	p->dense = p->size;
}

/* ------------------------------------------------------------------ life */

/* Numbers drawn between two polls */
#define DRAWS (1 << 18)

static TrStatus
draw(TrParameters *p, uint64_t seed, const TrPoll *poll)
{
	uint64_t	index = 0;

	for (int i = 0; i < p->count; i++)
	{
		const TrParameter *one = &p->table[i];
		int64_t		n = (int64_t) one->rows * one->cols;

		if (i > 0 && one->stream != p->table[i - 1].stream)
			index = 0;
		for (int64_t k = 0; k < n && one->std > 0; k++)
		{
			if (k % DRAWS == 0 && tr_poll_at(poll, "weights", one->at + k, p->size))
				return TR_CANCELLED;
			p->host[one->at + k] = (float) (one->std * tr_normal(seed, TR_STREAM_INIT, one->stream, index++));
		}
	}
	return TR_OK;
}

/* First all are checked, where they are loaded; only then is there memory for them. */
static TrStatus
add_tensors(TrParameters *p, TrModel *model, TrError *err)
{
	int			first = model->n_tensors;

	for (int i = 0, place; i < p->count; i++)
	{
		TR_TRY(tr_own_tensor(model, p->table[i].name, p->table[i].rows, p->table[i].cols, TR_FINITE, &place, err));
		model->tensors[place].training = p->table[i].training;
	}
	p->host = TR_NEW(model, float, p->size);
	TR_TRY(tr_enough_memory(model, err, "the weights"));
	for (int i = 0; i < p->count; i++)
		tr_place_tensor(model, first + i, p->host + p->table[i].at);
	return TR_OK;
}

TrStatus
tr_parameters_create(TrParameters *p, TrModel *model, int moments, uint64_t seed, bool loaded, TrError *err)
{
	size_t		size = (size_t) p->size;

	TR_TRY(add_tensors(p, model, err));
	if (model->dataset || loaded)
	{
		p->value = tr_device_floats(model, size);
		TR_TRY(tr_mirror(model, p->host, p->value, size, err));
	}
	if (!model->dataset)
		return TR_OK;
	TR_TRY(draw(p, seed, model->poll));
	p->gradient = tr_device_floats(model, (size_t) (p->size - p->dense));
	p->moment1 = moments > 0 ? tr_device_zeros(model, size) : NULL;
	p->moment2 = moments > 1 ? tr_device_zeros(model, size) : NULL;
	p->loss = tr_device_new(model, 2 * sizeof(double));
	return tr_enough_memory(model, err, "the model");
}

/* ------------------------------------------------------------------ steps */

void
tr_parameters_start_step(TrParameters *p, TrBackend *b)
{
	p->steps++;
	b->ops->zero(b, p->gradient, (size_t) (p->size - p->dense) * sizeof(float));
}

static void
update(TrParameters *p, TrBackend *b, const TrOptimizer *optimizer, int64_t from, int64_t end)
{
	if (end > from)
		b->ops->update(b, optimizer, p->value + from, tr_gradient(p, from), p->moment1 ? p->moment1 + from : NULL,
					   p->moment2 ? p->moment2 + from : NULL, end - from);
}

void
tr_parameters_update(TrParameters *p, TrBackend *b, TrOptimizer optimizer)
{
	update(p, b, &optimizer, p->dense, p->regularized);
	optimizer.decay = 0;
	update(p, b, &optimizer, p->regularized, p->size);
}

void
tr_parameters_start_step_but(TrParameters *p, TrBackend *b, int64_t from, int64_t end)
{
	p->steps++;
	b->ops->zero(b, p->gradient, (size_t) (from - p->dense) * sizeof(float));
	b->ops->zero(b, tr_gradient(p, end), (size_t) (p->size - end) * sizeof(float));
}

void
tr_parameters_update_but(TrParameters *p, TrBackend *b, TrOptimizer optimizer, int64_t from, int64_t end)
{
	update(p, b, &optimizer, p->dense, from);
	update(p, b, &optimizer, end, p->regularized);
	optimizer.decay = 0;
	update(p, b, &optimizer, p->regularized, p->size);
}

void
tr_parameters_update_rows(TrParameters *p, TrBackend *b, const TrOptimizer *optimizer, const float *gradient,
						  const int32_t *touched, int n, int width)
{
	b->ops->update_rows(b, optimizer, p->value, gradient, p->moment1, p->moment2, touched, n, width);
}

void
tr_parameters_start_epoch(TrParameters *p, TrBackend *b)
{
	b->ops->zero(b, p->loss, 2 * sizeof(double));
	b->ops->sum_squares(b, p->loss + 1, p->value, p->regularized, 1.0f);
}

TrStatus
tr_parameters_end_epoch(TrParameters *p, TrBackend *b, double sums[2], TrError *err)
{
	b->ops->download(b, sums, p->loss, 2 * sizeof(double));
	return b->ops->finish(b, err);
}

double
tr_epoch_rate(const TrModel *model, double rate, bool linear, int epoch)
{
	if (linear && model->epochs > 0)
		rate *= 1 - (epoch - 0.5) / model->epochs;
	return rate;
}
