/*
 * Extra columns of embeddings, and rows gathered and scattered by index. Legend: R rows.
 */
#include "cpu/cpu.h"
#include "cpu/simd.h"

#define COLUMN_ROWS 4096		/* rows per task of a column */
#define GATHER_FLOATS 65536		/* per task of a gather, about */
#define SCATTER_FLOATS 16384	/* per task of a scatter, about */

typedef struct Column
{
	float	   *out;
	const float *dy;
	int			ld;
	const float *weight;
	const float *feature;
	int			R;
	double	   *partial;		/* (tasks) */
} Column;

static void
fill_rows(void *argument, int task)
{
	const Column *w = argument;
	int			end = (int) tr_block_end(w->R, COLUMN_ROWS, task);
	float		weight = w->weight ? w->weight[0] : 1;

	for (int r = task * COLUMN_ROWS; r < end; r++)
		w->out[(size_t) r * w->ld] = w->feature ? weight * w->feature[r] : weight;
}

void
tr_cpu_fill_column(TrBackend *b, float *out, int ld, const float *weight, const float *feature, int R)
{
	Column		w = {.out = out, .ld = ld, .weight = weight, .feature = feature, .R = R};

	tr_cpu_run(b, fill_rows, &w, tr_blocks(R, COLUMN_ROWS));
}

static void
sum_rows(void *argument, int task)
{
	const Column *w = argument;
	int			end = (int) tr_block_end(w->R, COLUMN_ROWS, task);
	double		sum = 0;

	for (int r = task * COLUMN_ROWS; r < end; r++)
		sum += (double) w->dy[(size_t) r * w->ld] * (w->feature ? w->feature[r] : 1);
	w->partial[task] = sum;
}

/* dweight[0] += sum of dy[r * ld] feature[r] */
void
tr_cpu_fill_column_backward(TrBackend *b, float *dweight, const float *dy, int ld, const float *feature, int R)
{
	int			tasks = tr_blocks(R, COLUMN_ROWS);
	Column		w = {.dy = dy, .ld = ld, .feature = feature, .R = R};
	double		sum = 0;

	w.partial = tr_cpu_scratch(b, sizeof(double) * tasks);
	if (!w.partial)
		return;
	tr_cpu_run(b, sum_rows, &w, tasks);
	for (int task = 0; task < tasks; task++)
		sum += w.partial[task];
	dweight[0] += (float) sum;
}

typedef struct Gather
{
	float	   *out;
	const float *table;
	const int32_t *index;
	int			R;
	int			width;
	int			rows;			/* per task */
} Gather;

static void
gather_block(void *argument, int task)
{
	const Gather *w = argument;
	int			end = (int) tr_block_end(w->R, w->rows, task);

	for (int r = task * w->rows; r < end; r++)
		memcpy(w->out + (size_t) r * w->width, w->table + (size_t) w->index[r] * w->width, sizeof(float) * w->width);
}

/* out[r] = table[index[r]] */
void
tr_cpu_gather_rows(TrBackend *b, float *out, const float *table, const int32_t *index, int R, int width)
{
	Gather		w = {out, table, index, R, width, GATHER_FLOATS / (width < 1 ? 1 : width) + 1};

	tr_cpu_run(b, gather_block, &w, tr_blocks(R, w.rows));
}

typedef struct Scatter
{
	float	   *table;
	const int32_t *index;
	const float *x;
	const int32_t *row;
	int			R;
	int			width;
	float		scale;
	int			rows;			/* per task */
} Scatter;

/* The first row at or after r that opens a row of the table: that row belongs to the task in whose rows it opens. */
static int
table_row_start(const Scatter *w, int r)
{
	while (r > 0 && r < w->R && w->index[r] == w->index[r - 1])
		r++;
	return r;
}

TR_SIMD static void
scatter_block(void *argument, int task)
{
	const Scatter *w = argument;
	int			width = w->width;
	float		scale = w->scale;
	int			end = table_row_start(w, (int) tr_block_end(w->R, w->rows, task));

	for (int r = table_row_start(w, task * w->rows); r < end; r++)
	{
		float	   *restrict to = w->table + (size_t) w->index[r] * width;
		const float *restrict from = w->x + (size_t) (w->row ? w->row[r] : r) * width;

		for (int j = 0; j < width; j++)
			to[j] += scale * from[j];
	}
}

/* table[index[r]] += scale x[row[r]] */
void
tr_cpu_scatter_rows(TrBackend *b, float *table, const int32_t *index, const float *x, const int32_t *row, int R, int width,
					float scale)
{
	Scatter		w = {table, index, x, row, R, width, scale, SCATTER_FLOATS / (width < 1 ? 1 : width) + 1};

	tr_cpu_run(b, scatter_block, &w, tr_blocks(R, w.rows));
}
