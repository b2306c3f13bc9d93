/*
 * Inversion by symmetric block sweeps (Gauss-Jordan elimination without a search for pivots, which a positive definite
 * matrix does not need). Sweeping the block K of rows and columns, with D = A[K,K]:
 *
 *     A[i,j] -= A[i,K] D^-1 A[K,j]     A[i,K] <- A[i,K] D^-1     A[K,K] <- -D^-1          i, j outside K
 *
 * Once every block has been swept, A is minus the inverse of what it was. A stays symmetric, so that its lower triangle is
 * enough: n^3 floating point operations, all but those on D in matrix products. LAPACK's potrf and potri take about two
 * thirds of the processor time on a CPU, but none of it can be cancelled in between, its bits depend on the number of
 * threads, and no other backend has it. D^-1 is computed on the host, in double.
 * Copies and transposes are products with the identity: they are exact, and a backend needs no operation for them.
 *
 * Legend: n rows and columns, B those of a block.
 */
#include "models/ease/inverse.h"

#include <math.h>
#include <string.h>

/* Rows and columns swept at once: longer products for a larger matrix, more work on the host for a larger block. */
#define MOST_BLOCK 256

typedef struct Inversion
{
	TrBackend  *b;
	float	   *a;				/* (n,n) */
	int			n;
	int			block;			/* B */
	int			step;			/* rows updated between two polls */
	float	   *identity;		/* (B,B) backend memory */
	float	   *pivot;			/* (B,B) backend memory: D, then D^-1 */
	float	   *column;			/* (n,B) backend memory: A[:,K] */
	float	   *scaled;			/* (n,B) backend memory: A[:,K] D^-1 */
	float	   *host;			/* (B,B) */
	double	   *factor;			/* (2,B,B) */
	const TrPoll *poll;
} Inversion;

static int
block_of(int64_t n)
{
	return n >= 4096 ? MOST_BLOCK : n >= 512 ? 128 : 32;
}

size_t
tr_invert_bytes(int64_t n)
{
	size_t		B = (size_t) block_of(n);

	return sizeof(float) * (2 * (size_t) n * B + 3 * B * B) + sizeof(double) * 2 * B * B;
}

/* ------------------------------------------------------------------ one block, on the host */

/* l (B,B) = the lower triangular factor of d (B,B): d = l l^T; false when d is not positive definite */
static bool
factorise(double *l, const float *d, int B)
{
	memset(l, 0, sizeof(double) * (size_t) B * (size_t) B);
	for (int i = 0; i < B; i++)
		for (int j = 0; j <= i; j++)
		{
			const double *x = l + (size_t) i * B;
			const double *y = l + (size_t) j * B;
			double		sum = d[(size_t) i * B + j];

			for (int k = 0; k < j; k++)
				sum -= x[k] * y[k];
			if (i == j && !(sum > 0))
				return false;
			l[(size_t) i * B + j] = i == j ? sqrt(sum) : sum / y[j];
		}
	return true;
}

/* m (B,B) = the inverse of l, both lower triangular */
static void
invert_triangle(double *m, const double *l, int B)
{
	memset(m, 0, sizeof(double) * (size_t) B * (size_t) B);
	for (int i = 0; i < B; i++)
	{
		double	   *row = m + (size_t) i * B;

		row[i] = 1;
		for (int k = 0; k < i; k++)
		{
			const double *above = m + (size_t) k * B;
			double		factor = l[(size_t) i * B + k];

			for (int j = 0; j <= k; j++)
				row[j] -= factor * above[j];
		}
		for (int j = 0; j <= i; j++)
			row[j] /= l[(size_t) i * B + i];
	}
}

/* d (B,B) = its inverse = m^T m, m being the inverse of its factor */
static bool
invert_block(float *d, double *work, int B)
{
	double	   *l = work;
	double	   *m = work + (size_t) B * B;

	if (!factorise(l, d, B))
		return false;
	invert_triangle(m, l, B);
	memset(l, 0, sizeof(double) * (size_t) B * (size_t) B);
	for (int k = 0; k < B; k++)
		for (int i = 0; i <= k; i++)
		{
			double		factor = m[(size_t) k * B + i];

			for (int j = 0; j <= i; j++)
				l[(size_t) i * B + j] += factor * m[(size_t) k * B + j];
		}
	for (int i = 0; i < B; i++)
		for (int j = 0; j <= i; j++)
			d[(size_t) i * B + j] = d[(size_t) j * B + i] = (float) l[(size_t) i * B + j];
	return true;
}

/* ------------------------------------------------------------------ sweeps */

/* to (rows,B) = from (rows,B); to (rows,B) = from (B,rows)^T; to (B,rows) = from (rows,B)^T. ld in elements */
static void
copy(const Inversion *v, float *to, int ld_to, const float *from, int ld_from, int rows, int B)
{
	v->b->ops->gemm(v->b, to, ld_to, from, ld_from, false, v->identity, v->block, false, rows, B, B, 1, 0);
}

static void
copy_columns(const Inversion *v, float *to, int ld_to, const float *from, int ld_from, int rows, int B)
{
	v->b->ops->gemm(v->b, to, ld_to, from, ld_from, true, v->identity, v->block, false, rows, B, B, 1, 0);
}

static void
copy_rows(const Inversion *v, float *to, int ld_to, const float *from, int ld_from, int rows, int B)
{
	v->b->ops->gemm(v->b, to, ld_to, v->identity, v->block, false, from, ld_from, true, B, rows, B, 1, 0);
}

/* pivot (B,B) = the inverse of A[K,K] */
static TrStatus
invert_pivot(const Inversion *v, int first, int B, const char *what, TrError *err)
{
	TrBackend  *b = v->b;
	size_t		bytes = sizeof(float) * (size_t) B * (size_t) B;

	copy(v, v->pivot, B, v->a + (size_t) first * v->n + first, v->n, B, B);
	b->ops->download(b, v->host, v->pivot, bytes);
	TR_TRY(b->ops->finish(b, err));
	if (!invert_block(v->host, v->factor, B))
		return tr_fail(err, TR_NOT_FINITE, "%s (%d x %d) is not positive definite in single precision", what, v->n, v->n);
	b->ops->upload(b, v->pivot, v->host, bytes);
	return TR_OK;
}

/* column (n,B) = A[:,K], scaled (n,B) = column D^-1; both 0 in the rows K */
static void
take_column(const Inversion *v, int first, int B)
{
	TrBackend  *b = v->b;
	int			end = first + B;

	copy_columns(v, v->column, B, v->a + (size_t) first * v->n, v->n, first, B);
	b->ops->zero(b, v->column + (size_t) first * B, sizeof(float) * (size_t) B * (size_t) B);
	copy(v, v->column + (size_t) end * B, B, v->a + (size_t) end * v->n + first, v->n, v->n - end, B);
	b->ops->gemm(b, v->scaled, B, v->column, B, false, v->pivot, B, false, v->n, B, B, 1, 0);
}

/* A[i,j] -= scaled[i] . column[j] for j up to the block of rows that i is in */
static TrStatus
update_rest(const Inversion *v, int swept, int B)
{
	TrBackend  *b = v->b;

	for (int first = 0; first < v->n; first += v->step)
	{
		int			rows = v->n - first < v->step ? v->n - first : v->step;

		/* a sweep is B rows of the inverse */
		if (tr_poll_at(v->poll, "rows", swept, v->n))
			return TR_CANCELLED;
		b->ops->gemm(b, v->a + (size_t) first * v->n, v->n, v->scaled + (size_t) first * B, B, false, v->column, B, true,
					 rows, first + rows, B, -1, 1);
	}
	return TR_OK;
}

static void
put_column(const Inversion *v, int first, int B)
{
	TrBackend  *b = v->b;
	int			end = first + B;
	float	   *corner = v->a + (size_t) first * v->n + first;

	copy_rows(v, v->a + (size_t) first * v->n, v->n, v->scaled, B, first, B);
	copy(v, v->a + (size_t) end * v->n + first, v->n, v->scaled + (size_t) end * B, B, v->n - end, B);
	b->ops->gemm(b, corner, v->n, v->pivot, B, false, v->identity, v->block, false, B, B, B, -1, 0);
}

/* A = -A, and its upper triangle = its lower one */
static TrStatus
finish(const Inversion *v, TrError *err)
{
	TrBackend  *b = v->b;

	for (int first = 0; first < v->n; first += v->block)
	{
		int			B = v->n - first < v->block ? v->n - first : v->block;
		int			end = first + B;

		if (tr_poll(v->poll))
			return TR_CANCELLED;
		b->ops->gemm(b, v->a + (size_t) first * v->n, v->n, v->identity, v->block, false, v->identity, v->n, false, B, end,
					 0, 0, -1);
	}
	for (int first = 0; first < v->n; first += v->block)
	{
		int			B = v->n - first < v->block ? v->n - first : v->block;
		int			end = first + B;

		if (tr_poll(v->poll))
			return TR_CANCELLED;
		copy_rows(v, v->a + (size_t) first * v->n + end, v->n, v->a + (size_t) end * v->n + first, v->n, v->n - end, B);
	}
	return b->ops->finish(b, err);
}

static TrStatus
sweep(const Inversion *v, const char *what, TrError *err)
{
	for (int first = 0; first < v->n; first += v->block)
	{
		int			B = v->n - first < v->block ? v->n - first : v->block;

		TR_TRY(invert_pivot(v, first, B, what, err));
		take_column(v, first, B);
		TR_TRY(update_rest(v, first, B));
		put_column(v, first, B);
	}
	return finish(v, err);
}

/* ------------------------------------------------------------------ life */

static TrStatus
prepare(Inversion *v, TrModel *work, TrError *err)
{
	size_t		B = (size_t) v->block;
	size_t		n = (size_t) v->n;

	v->pivot = tr_device_floats(work, B * B);
	v->column = tr_device_floats(work, n * B);
	v->scaled = tr_device_floats(work, n * B);
	v->host = TR_NEW(work, float, B * B);
	v->factor = TR_NEW(work, double, 2 * B * B);
	for (size_t i = 0; v->host && i < B; i++)
		v->host[i * B + i] = 1;
	v->identity = v->host ? tr_to_device(work, v->host, sizeof(float) * B * B) : NULL;
	return tr_enough_memory(work, err, "inverting a matrix of %d x %d", v->n, v->n);
}

TrStatus
tr_invert(const TrModel *model, float *a, int n, const char *what, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = model->backend;
	Inversion	v = {.b = b, .a = a, .n = n, .block = block_of(n), .poll = poll};
	double		blocks = tr_step_work(b) / (2.0 * (n + 1.0) * v.block * v.block);
	TrModel		work;
	TrStatus	status;

	v.step = v.block * (int) fmin(fmax(blocks, 1), 1024);	/* whole blocks: those on the diagonal stay square */
	tr_start_work(&work, model);
	status = prepare(&v, &work, err);
	if (status == TR_OK)
		status = sweep(&v, what, err);
	tr_end_work(&work);
	return status;
}
