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
	int64_t		n;				/* parameters, or rows */
	const int32_t *index;		/* (n) of update_rows */
	int			width;
	int			rows;			/* per task */
	double	   *partial;		/* (tasks) */
} Step;

/* rate (m / c1) / (sqrt(v / c2) + epsilon) = rate sqrt(c2) / c1 * m / (sqrt(v) + epsilon sqrt(c2)) */
static Step
new_step(const TrOptimizer *o, float *w, const float *g, float *m, float *v)
{
	Step		step = {.o = o, .rate = o->rate, .w = w, .g = g, .m = m, .v = v};

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
adam(const Step *step, float *restrict w, const float *restrict g, float *restrict m, float *restrict v, int n)
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
sgd(const Step *step, float *restrict w, const float *restrict g, int n)
{
	float		decay = 2 * step->o->decay;
	float		rate = step->rate;

	for (int i = 0; i < n; i++)
		w[i] -= rate * (g[i] + decay * w[i]);
}

TR_INLINE void
sgd_momentum(const Step *step, float *restrict w, const float *restrict g, float *restrict m, int n)
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

/* n parameters from `at` on */
TR_INLINE void
step_over(const Step *step, size_t at, const float *g, int n)
{
	if (step->o->kind == TR_ADAM)
		adam(step, step->w + at, g, step->m + at, step->v + at, n);
	else if (step->o->momentum != 0)
		sgd_momentum(step, step->w + at, g, step->m + at, n);
	else
		sgd(step, step->w + at, g, n);
}

TR_SIMD static void
update_block(void *argument, int task)
{
	const Step *step = argument;
	int64_t		first = (int64_t) task * PARAMETERS;

	step_over(step, (size_t) first, step->g + first, (int) (tr_block_end(step->n, PARAMETERS, task) - first));
}

void
tr_cpu_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	Step		step = new_step(o, w, g, m, v);

	step.n = n;
	tr_cpu_run(b, update_block, &step, tr_blocks(n, PARAMETERS));
}

TR_SIMD static void
update_rows_block(void *argument, int task)
{
	const Step *step = argument;
	int			width = step->width;
	int			end = (int) tr_block_end(step->n, step->rows, task);

	for (int r = task * step->rows; r < end; r++)
		step_over(step, (size_t) step->index[r] * width, step->g + (size_t) r * width, width);
}

/* The step over the rows index[r] alone */
void
tr_cpu_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index,
				   int R, int width)
{
	Step		step = new_step(o, w, g, m, v);

	step.n = R;
	step.index = index;
	step.width = width;
	step.rows = PARAMETERS / (width < 1 ? 1 : width) + 1;
	tr_cpu_run(b, update_rows_block, &step, tr_blocks(R, step.rows));
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
