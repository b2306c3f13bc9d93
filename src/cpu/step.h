/*
 * One step over parameters that lie in a row, for whoever walks over them.
 */
#ifndef TR_CPU_STEP_H
#define TR_CPU_STEP_H

#include "core/backend.h"
#include "cpu/simd.h"

#include <math.h>

typedef struct TrStep
{
	const TrOptimizer *o;
	float		rate;			/* Adam: with both bias corrections */
	float		epsilon;		/* Adam: of the uncorrected v */
	float	   *w;
	float	   *m;
	float	   *v;
} TrStep;

/* rate (m / c1) / (sqrt(v / c2) + epsilon) = rate sqrt(c2) / c1 * m / (sqrt(v) + epsilon sqrt(c2)) */
static inline TrStep
tr_new_step(const TrOptimizer *o, float *w, float *m, float *v)
{
	TrStep		step = {.o = o, .rate = o->rate, .w = w, .m = m, .v = v};

	if (o->kind == TR_ADAM)
	{
		double		correct1 = 1 - pow(o->beta1, (double) o->step);
		double		correct2 = sqrt(1 - pow(o->beta2, (double) o->step));

		step.rate = (float) (o->rate * correct2 / correct1);
		step.epsilon = (float) (o->epsilon * correct2);
	}
	return step;
}

/* n parameters by their gradients g */
TR_INLINE void
tr_adam(const TrStep *step, float *restrict w, const float *restrict g, float *restrict m, float *restrict v, int n)
{
	const TrOptimizer *o = step->o;
	float		beta1 = o->beta1;
	float		beta2 = o->beta2;
	float		decay = 2 * o->decay;
	float		rate = step->rate;
	float		epsilon = step->epsilon;

	for (int i = 0; i < n; i++)
	{
		float		d = g[i] + decay * w[i];

		m[i] = beta1 * m[i] + (1.0f - beta1) * d;
		v[i] = beta2 * v[i] + (1.0f - beta2) * (d * d);
		w[i] -= rate * m[i] / (sqrtf(v[i]) + epsilon);
	}
}

TR_INLINE void
tr_sgd(const TrStep *step, float *restrict w, const float *restrict g, int n)
{
	float		decay = 2 * step->o->decay;
	float		rate = step->rate;

	for (int i = 0; i < n; i++)
		w[i] -= rate * (g[i] + decay * w[i]);
}

TR_INLINE void
tr_sgd_momentum(const TrStep *step, float *restrict w, const float *restrict g, float *restrict m, int n)
{
	float		decay = 2 * step->o->decay;
	float		rate = step->rate;
	float		momentum = step->o->momentum;

	for (int i = 0; i < n; i++)
	{
		m[i] = momentum * m[i] + (g[i] + decay * w[i]);
		w[i] -= rate * m[i];
	}
}

/* n parameters from `at` on, by their gradients g */
TR_INLINE void
tr_step_over(const TrStep *step, size_t at, const float *g, int n)
{
	if (step->o->kind == TR_ADAM)
		tr_adam(step, step->w + at, g, step->m + at, step->v + at, n);
	else if (step->o->momentum != 0)
		tr_sgd_momentum(step, step->w + at, g, step->m + at, n);
	else
		tr_sgd(step, step->w + at, g, n);
}

#endif
