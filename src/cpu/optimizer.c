/*
 * Steps over parameters, and their sum of squares.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#include <math.h>

#define PARAMETERS 16384		/* per task */
#define RUN 1024				/* squares summed in float before they go to a double */

typedef struct Step
{
	const TrOptimizer *o;
	float		rate;			/* Adam: with both bias corrections */
	float		epsilon;		/* Adam: of the uncorrected v */
	float	   *w;
	const float *g;
	float	   *m;
	float	   *v;
	int64_t		n;
	double	   *partial;		/* (tasks) */
} Step;

/* rate (m / c1) / (sqrt(v / c2) + epsilon) = rate sqrt(c2) / c1 * m / (sqrt(v) + epsilon sqrt(c2)) */
static void
correct_bias(Step *step)
{
	const TrOptimizer *o = step->o;
	double		correct1 = 1 - pow(o->beta1, (double) o->step);
	double		correct2 = sqrt(1 - pow(o->beta2, (double) o->step));

	step->rate = (float) (o->rate * correct2 / correct1);
	step->epsilon = (float) (o->epsilon * correct2);
}

TR_SIMD static void
adam_block(void *argument, int task)
{
	const Step *step = argument;
	const TrOptimizer *o = step->o;
	int64_t		first = (int64_t) task * PARAMETERS;
	int			n = (int) (tr_block_end(step->n, PARAMETERS, task) - first);
	float	   *restrict w = step->w + first;
	const float *restrict g = step->g + first;
	float	   *restrict m = step->m + first;
	float	   *restrict v = step->v + first;
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

TR_SIMD static void
sgd_block(void *argument, int task)
{
	const Step *step = argument;
	const TrOptimizer *o = step->o;
	int64_t		first = (int64_t) task * PARAMETERS;
	int			n = (int) (tr_block_end(step->n, PARAMETERS, task) - first);
	float	   *restrict w = step->w + first;
	const float *restrict g = step->g + first;
	float		decay = 2 * o->decay;
	float		rate = o->rate;

	for (int i = 0; i < n; i++)
		w[i] -= rate * (g[i] + decay * w[i]);
}

TR_SIMD static void
momentum_block(void *argument, int task)
{
	const Step *step = argument;
	const TrOptimizer *o = step->o;
	int64_t		first = (int64_t) task * PARAMETERS;
	int			n = (int) (tr_block_end(step->n, PARAMETERS, task) - first);
	float	   *restrict w = step->w + first;
	const float *restrict g = step->g + first;
	float	   *restrict m = step->m + first;
	float		decay = 2 * o->decay;
	float		rate = o->rate;
	float		momentum = o->momentum;

	for (int i = 0; i < n; i++)
	{
		m[i] = momentum * m[i] + (g[i] + decay * w[i]);
		w[i] -= rate * m[i];
	}
}

void
tr_cpu_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	Step		step = {.o = o, .w = w, .g = g, .m = m, .v = v, .n = n};
	TrTask		block = o->kind == TR_ADAM ? adam_block : o->momentum != 0 ? momentum_block : sgd_block;

	if (o->kind == TR_ADAM)
		correct_bias(&step);
	tr_cpu_run(b, block, &step, tr_blocks(n, PARAMETERS));
}

TR_SIMD static float
squares(const float *x, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
		sum += x[i] * x[i];
	return sum;
}

static void
squares_block(void *argument, int task)
{
	const Step *step = argument;
	int64_t		end = tr_block_end(step->n, PARAMETERS, task);
	double		sum = 0;

	for (int64_t i = (int64_t) task * PARAMETERS; i < end; i += RUN)
		sum += squares(step->g + i, (int) (end - i < RUN ? end - i : RUN));
	step->partial[task] = sum;
}

/* loss += decay * sum of w^2 */
void
tr_cpu_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
	int			tasks = tr_blocks(n, PARAMETERS);
	Step		step = {.g = w, .n = n};
	double		sum = 0;

	step.partial = tr_cpu_scratch(b, sizeof(double) * tasks);
	if (!step.partial)
		return;
	tr_cpu_run(b, squares_block, &step, tasks);
	for (int task = 0; task < tasks; task++)
		sum += step.partial[task];
	*loss += decay * sum;
}
