/*
 * The tags of a step's softmax, where there are too many for all. Given the step's targets A and a sample of the others,
 * each drawn by itself with probability pi,
 *
 *     sum over k in A of exp(z_k) + sum over sampled k of exp(z_k - log pi_k)
 *
 * is the sum over all tags on average. pi is half the same for all, and half as a power of how often a tag was given, so
 * that neither a frequent tag nor a rare one has a large weight. Legend: see dae_ptr.h; C candidates.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/dae_ptr/dae_ptr.h"

/* Up to so many tags all are in the sum unless the option says otherwise; beyond, so many are sampled. */
#define MOST_EXACT 20000
#define SAMPLES 2048

#define POWER 0.75

static int
samples_of(const Dae *m)
{
	if (m->options.samples > 0)
		return m->options.samples;
	return m->layout.T > MOST_EXACT && m->options.loss == DAE_SOFTMAX && m->options.touched_rows ? SAMPLES : 0;
}

bool
dae_samples(const Dae *m)
{
	return m->batch.candidates.tag != NULL;
}

/* probability (T) */
static TrStatus
fill_probabilities(Dae *m, TrError *err)
{
	int32_t		T = m->layout.T;
	double		samples = samples_of(m);
	double	   *count = TR_NEW(&m->model, double, T);
	double		total = 0;

	TR_TRY(tr_enough_memory(&m->model, err, "%d tags", T));
	tr_dataset_count_tags(count, m->model.dataset);
	for (int32_t t = 0; t < T; t++)
		total += count[t] = pow(count[t], POWER);
	for (int32_t t = 0; t < T; t++)
		m->batch.candidates.probability[t] = (float) fmin(1, samples * (0.5 / T + 0.5 * count[t] / fmax(total, 1e-30)));
	tr_free(m->model.memory, count);
	return TR_OK;
}

TrStatus
dae_sample_create(Dae *m, TrError *err)
{
	DaeCandidates *c = &m->batch.candidates;
	int32_t		T = m->layout.T;

	if (samples_of(m) == 0)
		return TR_OK;
	c->tag = TR_NEW(&m->model, int32_t, T);
	c->row = TR_NEW(&m->model, int32_t, T);
	c->place = TR_NEW(&m->model, int32_t, T);
	c->offset = TR_NEW(&m->model, float, T);
	c->count = TR_NEW(&m->model, int32_t, T);
	c->probability = TR_NEW(&m->model, float, T);
	TR_TRY(tr_enough_memory(&m->model, err, "samples of %d tags", T));
	for (int32_t t = 0; t < T; t++)
		c->count[t] = t;
	return fill_probabilities(m, err);
}

/* place (T) = 0 for targets, 1 for sampled tags, else -1 */
static void
choose(Dae *m)
{
	DaeCandidates *c = &m->batch.candidates;
	const TrRows *targets = &m->batch.targets;
	uint64_t	key = tr_random_key(m->options.seed, TR_STREAM_NEGATIVE, (uint64_t) m->p.steps);

	for (int32_t t = 0; t < m->layout.T; t++)
		c->place[t] = tr_uniform_of(key, (uint64_t) t) < c->probability[t] ? 1 : -1;
	for (int64_t e = 0; e < tr_rows_entries(targets); e++)
		if (targets->val[e] > 0)
			c->place[targets->col[e]] = 0;
}

/* The columns of rows by their places; entries of other tags go. */
static void
renumber(const DaeCandidates *c, TrRows *rows)
{
	int64_t		at = 0;
	int64_t		from = 0;

	for (int32_t r = 0; r < rows->rows; r++)
	{
		int64_t		end = rows->ptr[r + 1];

		for (; from < end; from++)
			if (c->place[rows->col[from]] >= 0)
			{
				rows->col[at] = c->place[rows->col[from]];
				rows->val[at++] = rows->val[from];
			}
		rows->ptr[r + 1] = at;
	}
}

void
dae_sample_step(Dae *m)
{
	DaeCandidates *c = &m->batch.candidates;
	int32_t		first = (int32_t) (m->layout.decoder / m->layout.K);

	choose(m);
	c->n = 0;
	for (int32_t t = 0; t < m->layout.T; t++)
	{
		if (c->place[t] < 0)
			continue;
		c->offset[c->n] = c->place[t] == 1 ? -logf(c->probability[t]) : 0;
		c->tag[c->n] = t;
		c->row[c->n] = first + t;
		c->place[t] = c->n++;
	}
	renumber(c, &m->batch.targets);
	for (int j = 0; j < m->layout.parts; j++)
		renumber(c, &m->batch.part[j]);
}
