/*
 * Steps over parameters, and their sum of squares.
 */
#include "cpu/cpu.h"
#include "cpu/step.h"

#define PARAMETERS 16384		/* per task */
#define RUN 1024				/* squares summed in float before they go to a double */

typedef struct Walk
{
	TrStep		step;
	const float *g;
	int64_t		n;				/* parameters, or rows */
	const int32_t *index;		/* (n) of update_rows */
	int			width;
	int			rows;			/* per task */
	double	   *partial;		/* (tasks) */
} Walk;

TR_SIMD static void
update_block(void *argument, int task)
{
	const Walk *walk = argument;
	int64_t		first = (int64_t) task * PARAMETERS;

	tr_step_over(&walk->step, (size_t) first, walk->g + first, (int) (tr_block_end(walk->n, PARAMETERS, task) - first));
}

void
tr_cpu_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	Walk		walk = {.step = tr_new_step(o, w, m, v), .g = g, .n = n};

	tr_cpu_run(b, update_block, &walk, tr_blocks(n, PARAMETERS));
}

TR_SIMD static void
update_rows_block(void *argument, int task)
{
	const Walk *walk = argument;
	int			width = walk->width;
	int			end = (int) tr_block_end(walk->n, walk->rows, task);

	for (int r = task * walk->rows; r < end; r++)
		tr_step_over(&walk->step, (size_t) walk->index[r] * width, walk->g + (size_t) r * width, width);
}

/* The step over the rows index[r] alone */
void
tr_cpu_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index,
				   int R, int width)
{
	Walk		walk = {.step = tr_new_step(o, w, m, v), .g = g, .n = R, .index = index, .width = width};

	walk.rows = PARAMETERS / (width < 1 ? 1 : width) + 1;
	tr_cpu_run(b, update_rows_block, &walk, tr_blocks(R, walk.rows));
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
	const Walk *walk = argument;
	int64_t		end = tr_block_end(walk->n, PARAMETERS, task);
	double		sum = 0;

	for (int64_t i = (int64_t) task * PARAMETERS; i < end; i += RUN)
		sum += squares(walk->g + i, (int) (end - i < RUN ? end - i : RUN));
	walk->partial[task] = sum;
}

/* loss += decay * sum of w^2 */
void
tr_cpu_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
	int			tasks = tr_blocks(n, PARAMETERS);
	Walk		walk = {.g = w, .n = n};
	double		sum = 0;

	walk.partial = tr_cpu_scratch(b, sizeof(double) * tasks);
	if (!walk.partial)
		return;
	tr_cpu_run(b, squares_block, &walk, tasks);
	for (int task = 0; task < tasks; task++)
		sum += walk.partial[task];
	*loss += decay * sum;
}
