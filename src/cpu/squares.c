/*
 * Squared error at the entries of sparse rows. A row's entries are kept while the row is zeroed. Legend: R rows, T columns.
 */
#include "cpu/cpu.h"

#include <string.h>

#define FLOATS 16384			/* of z, per task */

typedef struct Squares
{
	float	   *z;				/* (R,T) */
	const TrCsr *x;
	int			rows;			/* per task */
	float		scale;
	double	   *loss;			/* (tasks) */
	float	   *kept;			/* (E) gradients of the entries */
} Squares;

static void
loss_rows(void *argument, int task)
{
	const Squares *w = argument;
	const TrCsr *x = w->x;
	size_t		T = (size_t) x->cols;
	int			first = task * w->rows;
	int			end = (int) tr_block_end(x->rows, w->rows, task);
	float	   *kept = w->kept;
	int64_t		from = x->ptr[0];
	double		squares = 0;

	for (int r = first; r < end; r++)
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
		{
			float		error = w->z[(size_t) r * T + (size_t) x->col[e]] - x->val[e];

			squares += (double) error * error;
			kept[e - from] = 2 * w->scale * error;
		}
	memset(w->z + (size_t) first * T, 0, (size_t) (end - first) * T * sizeof(float));
	for (int r = first; r < end; r++)
		for (int64_t e = x->ptr[r]; e < x->ptr[r + 1]; e++)
			w->z[(size_t) r * T + (size_t) x->col[e]] = kept[e - from];
	w->loss[task] = squares;
}

void
tr_cpu_squared_loss(TrBackend *b, float *z, const TrCsr *x, float scale, double *loss)
{
	Squares		w = {.z = z, .x = x, .rows = FLOATS / (x->cols > 0 ? x->cols : 1) + 1, .scale = scale};
	int			tasks = tr_blocks(x->rows, w.rows);
	size_t		entries = (size_t) (x->ptr[x->rows] - x->ptr[0]);
	double		sum = 0;

	w.loss = tr_cpu_scratch(b, sizeof(double) * (size_t) tasks + sizeof(float) * entries + 1);
	if (!w.loss)
		return;
	w.kept = (float *) (w.loss + tasks);
	tr_cpu_run(b, loss_rows, &w, tasks);
	for (int task = 0; task < tasks; task++)
		sum += w.loss[task];
	*loss += scale * sum;
}
