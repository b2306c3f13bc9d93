/*
 * Maximal marginal relevance. See diversity.h.
 *
 * Legend: P rows of the pool.
 */
#include "pg/serve/diversity.h"

#include "core/dot.h"
#include "miscadmin.h"

typedef struct Pool
{
	const TagrecMatrix *matrix;
	int			rows;
	TrScored   *row;			/* (P) the first `chosen` in their new order, the others in their old one */
	float	   *unit;			/* (P,width) unit parts of length 1, padded */
	float	   *relevance;		/* (P) */
	float	   *similarity;		/* (P) to those chosen */
} Pool;

static Pool
make_pool(const TagrecMatrix *m, TrScored *row, int rows)
{
	Pool		pool = {.matrix = m, .rows = rows, .row = palloc(rows * sizeof(TrScored))};
	float		worst = row[rows - 1].score;
	float		span = row[0].score - worst;

	memcpy(pool.row, row, rows * sizeof(TrScored));
	pool.unit = tagrec_padded_vectors(rows, m->width);
	pool.relevance = palloc(rows * sizeof(float));
	pool.similarity = palloc0(rows * sizeof(float));
	for (int i = 0; i < rows; i++)
	{
		const float *from = tagrec_matrix_row(m, row[i].index);
		float		norm = m->unit_norm[row[i].index];

		for (int k = 0; k < m->unit_width && norm > 0; k++)
			pool.unit[i * m->stride + k] = from[k] / norm;
		pool.relevance[i] = span > 0 ? (row[i].score - worst) / span : 0;
	}
	return pool;
}

/* The best row that is not chosen; similarity is negative for those that are. */
static int
next_of(const Pool *pool, double diversity)
{
	int			best = -1;
	double		best_value = 0;

	for (int i = 0; i < pool->rows; i++)
	{
		double		value = (1 - diversity) * pool->relevance[i] - diversity * pool->similarity[i];

		if (pool->similarity[i] >= 0 && (best < 0 || value > best_value))
		{
			best = i;
			best_value = value;
		}
	}
	return best;
}

static void
choose(Pool *pool, int chosen)
{
	const float *unit = pool->unit + chosen * pool->matrix->stride;

	pool->similarity[chosen] = -1;
	for (int i = 0; i < pool->rows; i++)
		if (pool->similarity[i] >= 0)
			pool->similarity[i] = Max(pool->similarity[i],
									  tr_dot(unit, pool->unit + i * pool->matrix->stride, pool->matrix->stride));
}

void
tagrec_diversify(const TagrecMatrix *matrix, double diversity, int pool_rows, int32 wanted, TrTopN *top)
{
	int			rows = Min(pool_rows, top->count);
	Pool		pool;

	if (rows == 0)
		return;
	pool = make_pool(matrix, top->best, rows);
	for (int i = 0; i < Min(rows, wanted); i++)
	{
		int			next = next_of(&pool, diversity);

		CHECK_FOR_INTERRUPTS();
		top->best[i] = pool.row[next];
		choose(&pool, next);
	}
}
