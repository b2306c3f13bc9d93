/*
 * Block Lanczos with full orthogonalisation: an orthonormal basis Q of the space that X X^T spans from some random columns,
 * block by block; then Rayleigh-Ritz, the eigenvectors of T = Q^T X X^T Q, which are those of X X^T as far as Q holds them.
 *
 *     W = X X^T Q_j     T[:,j] = Q^T W     Q_{j+1} = the orthonormal columns of W - Q Q^T W
 *
 * Only products with X are sparse; all others are dense and run along n. The basis has half as many columns again as
 * eigenvectors are wanted (see BASIS): the last of these are then a mixture of their neighbours, which is as good, as their
 * weights differ little.
 *
 * Legend: n rows of X, m columns, K columns of the basis, B of a block, k of the basis so far, r eigenvectors.
 */
#include "models/ease/spectrum.h"

#include <math.h>
#include <string.h>

#include "core/eigen.h"
#include "core/rng.h"

#define BLOCK 64

/* Columns of the basis for r eigenvectors */
#define BASIS(r) (1.5 * (r) + 2 * BLOCK)

/* A sparse product waits for memory: so many of the operations that a dense one does count as one. */
#define SPARSE_WORK 8

/* Orthogonalised so often at most: twice is enough, but for columns of nothing but rounding errors. */
#define MOST_PASSES 4

typedef struct Lanczos
{
	TrModel    *work;
	TrBackend  *b;
	const TrSpectrumSide *by_row,
			   *by_column;
	int			n;
	int			K;
	int			B;
	int			k;
	float	   *basis;			/* (n,K): Q */
	float	   *block;			/* (n,B): the block whose turn it is */
	float	   *next;			/* (n,B): W */
	float	   *between;		/* (m,B): X^T Q_j */
	float	   *products;		/* (K,B): Q^T W */
	float	   *small;			/* (B,B) */
	float	   *identity;		/* (B,B) */
	float	   *host;			/* (K,B) host */
	float	   *projected;		/* (K,K) host: T, its upper triangle by blocks */
	double	   *gram;			/* (B,B) + (B) host, and work space of tr_eigen() behind it */
	const TrPoll *poll;
} Lanczos;

/* Between two polls: the columns of the basis that are there count. */
static bool
stopped(void *lanczos)
{
	const Lanczos *l = lanczos;

	return tr_poll_at(l->poll, "columns", l->k, l->K);
}

/* ------------------------------------------------------------------ products, in pieces between two polls */

TrStatus
tr_spectrum_multiply(TrBackend *b, float *out, const TrSpectrumSide *side, int32_t first, int32_t rows, const float *w, int H,
					 const TrPoll *poll)
{
	int64_t		most = 1 + (int64_t) (tr_step_work(b) / (2.0 * SPARSE_WORK * H));
	int32_t		end = first + rows;

	for (int32_t from = first, to; from < end; from = to)
	{
		TrCsr		piece = side->x;

		if (tr_poll(poll))
			return TR_CANCELLED;
		for (to = from + 1; to < end && side->ptr[to + 1] - side->ptr[from] + 16 * (int64_t) (to - from) <= most; to++)
			;
		piece.ptr += from;
		piece.rows = to - from;
		b->ops->sparse_forward(b, out + (size_t) (from - first) * (size_t) H, &piece, w, NULL, H, TR_LINEAR);
	}
	return TR_OK;
}

/* Rows of n at a time in a product of the other two sides. */
static int
rows_of(const Lanczos *l, double other_sides)
{
	double		rows = tr_step_work(l->b) / (2 * other_sides);

	return (int) fmin(fmax(rows, 1024), l->n);
}

/* products (k,c) = basis^T y, y (n,c) with rows of c */
static TrStatus
basis_product(Lanczos *l, int k, const float *y, int c)
{
	int			step = rows_of(l, (double) k * c);

	for (int first = 0; first < l->n; first += step)
	{
		int			rows = l->n - first < step ? l->n - first : step;

		if (stopped(l))
			return TR_CANCELLED;
		l->b->ops->gemm(l->b, l->products, c, l->basis + (size_t) first * l->K, l->K, true, y + (size_t) first * c, c, false,
						k, c, rows, 1, first > 0);
	}
	return TR_OK;
}

/* y (n,B) -= basis products */
static TrStatus
leave_out_basis(Lanczos *l, float *y)
{
	int			step = rows_of(l, (double) l->k * l->B);

	for (int first = 0; first < l->n; first += step)
	{
		int			rows = l->n - first < step ? l->n - first : step;

		if (stopped(l))
			return TR_CANCELLED;
		l->b->ops->gemm(l->b, y + (size_t) first * l->B, l->B, l->basis + (size_t) first * l->K, l->K, false, l->products,
						l->B, false, rows, l->B, l->k, -1, 1);
	}
	return TR_OK;
}

/* next = X X^T block */
static TrStatus
apply(Lanczos *l)
{
	TR_TRY(tr_spectrum_multiply(l->b, l->between, l->by_column, 0, l->by_column->x.rows, l->block, l->B, l->poll));
	return tr_spectrum_multiply(l->b, l->next, l->by_row, 0, l->n, l->between, l->B, l->poll);
}

/* ------------------------------------------------------------------ orthonormal columns */

/* block (n,B) = random columns, about 1 long */
static TrStatus
draw_columns(Lanczos *l, TrError *err)
{
	int32_t		most = 4096;
	float	   *rows = TR_NEW(l->work, float, (size_t) most * (size_t) l->B);

	TR_TRY(tr_enough_memory(l->work, err, "random numbers"));
	for (int32_t first = 0; first < l->n; first += most)
	{
		int32_t		n = l->n - first < most ? l->n - first : most;

		if (stopped(l))
			return TR_CANCELLED;
		tr_normals(rows, (int64_t) n * l->B, 1 / sqrt(l->n), (uint64_t) l->k, (uint64_t) first);
		l->b->ops->upload(l->b, l->block + (size_t) first * l->B, rows, sizeof(float) * (size_t) n * (size_t) l->B);
	}
	tr_free(l->work->memory, rows);
	return TR_OK;
}

/*
 * host (B,B) = what next is multiplied by for its columns to be orthonormal, from their inner products: by the eigenvectors
 * of the columns scaled to length 1. Columns whose squares are not above `bar`, and directions that the columns hardly
 * have, become zeros. *least = the smallest eigenvalue of those kept, *kept how many they are; filled (B) says which
 * columns are.
 */
static TrStatus
find_rotation(Lanczos *l, double bar, double *least, int *kept, bool *filled, TrError *err)
{
	int			B = l->B;
	double	   *gram = l->gram;
	double	   *values = gram + (size_t) B * B;
	double	   *work = values + B;
	double		scale[BLOCK];

	for (int i = 0; i < B; i++)
	{
		double		squares = l->host[(size_t) i * B + i];

		scale[i] = squares > bar ? 1 / sqrt(squares) : 0;
	}
	for (int i = 0; i < B; i++)
		for (int j = 0; j < B; j++)
			gram[(size_t) i * B + j] = scale[i] * scale[j] * (l->host[(size_t) i * B + j] + l->host[(size_t) j * B + i]) / 2;
	if (!tr_eigen(gram, values, work, B))
		return tr_fail(err, TR_NOT_FINITE, "products of the training data are not finite");
	*kept = 0;
	*least = 1;
	for (int j = 0; j < B; j++)
	{
		filled[j] = values[j] > 1e-6;
		if (filled[j])
			*least = fmin(*least, values[j]);
		*kept += filled[j];
		for (int i = 0; i < B; i++)
			l->host[(size_t) i * B + j] = filled[j] ? (float) (scale[i] * gram[(size_t) j * B + i] / sqrt(values[j])) : 0;
	}
	return TR_OK;
}

/* next = its columns made orthonormal, once; block is work space */
static TrStatus
turn_columns(Lanczos *l, double bar, double *least, int *kept, bool *filled, TrError *err)
{
	TrBackend  *b = l->b;
	int			B = l->B;
	float	   *other = l->block;

	b->ops->gemm(b, l->small, B, l->next, B, true, l->next, B, false, B, B, l->n, 1, 0);
	b->ops->download(b, l->host, l->small, sizeof(float) * (size_t) B * (size_t) B);
	TR_TRY(b->ops->finish(b, err));
	TR_TRY(find_rotation(l, bar, least, kept, filled, err));
	b->ops->upload(b, l->small, l->host, sizeof(float) * (size_t) B * (size_t) B);
	b->ops->gemm(b, other, B, l->next, B, false, l->small, B, false, l->n, B, B, 1, 0);
	l->block = l->next;
	l->next = other;
	return TR_OK;
}

/* Random columns where next has zeros; block is work space */
static TrStatus
fill_columns(Lanczos *l, const bool *filled, TrError *err)
{
	TrBackend  *b = l->b;
	int			B = l->B;

	TR_TRY(draw_columns(l, err));
	for (int i = 0; i < B; i++)
		for (int j = 0; j < B; j++)
			l->host[(size_t) i * B + j] = i == j && !filled[j];
	b->ops->upload(b, l->small, l->host, sizeof(float) * (size_t) B * (size_t) B);
	b->ops->gemm(b, l->next, B, l->block, B, false, l->small, B, false, l->n, B, B, 1, 1);
	return TR_OK;
}

/*
 * next = its part that the basis does not have, in orthonormal columns; what it lacks of B columns is random. *kept of them
 * there are, the others 0, when the basis has everything. block is work space.
 */
static TrStatus
orthonormalise(Lanczos *l, int *kept, TrError *err)
{
	bool		filled[BLOCK];
	double		least = 0;

	for (int pass = 0; pass < MOST_PASSES && (pass < 2 || least < 0.5); pass++)
	{
		if (l->k > 0)
		{
			TR_TRY(basis_product(l, l->k, l->next, l->B));
			TR_TRY(leave_out_basis(l, l->next));
		}
		/* of a column of length 1 as little is left as rounding makes */
		TR_TRY(turn_columns(l, pass > 0 ? 1e-8 : 0, &least, kept, filled, err));
		if (*kept == l->B || pass > 1)
			continue;
		TR_TRY(fill_columns(l, filled, err));
		least = 0;
	}
	return TR_OK;
}

/* next goes to the end of the basis, and is the block from now on */
static void
append(Lanczos *l)
{
	float	   *block = l->next;

	l->b->ops->gemm(l->b, l->basis + l->k, l->K, block, l->B, false, l->identity, l->B, false, l->n, l->B, l->B, 1, 0);
	l->next = l->block;
	l->block = block;
	l->k += l->B;
}

/* ------------------------------------------------------------------ the basis */

/* T[0..k), columns of the last block, = Q^T next */
static TrStatus
project(Lanczos *l, TrError *err)
{
	TrBackend  *b = l->b;

	TR_TRY(basis_product(l, l->k, l->next, l->B));
	b->ops->download(b, l->host, l->products, sizeof(float) * (size_t) l->k * (size_t) l->B);
	TR_TRY(b->ops->finish(b, err));
	for (int i = 0; i < l->k; i++)
		memcpy(l->projected + (size_t) i * l->K + (l->k - l->B), l->host + (size_t) i * l->B, sizeof(float) * (size_t) l->B);
	return TR_OK;
}

/* Until it is full, or there is nothing else */
static TrStatus
build_basis(Lanczos *l, TrError *err)
{
	int			kept;

	TR_TRY(draw_columns(l, err));
	TR_TRY(apply(l));
	TR_TRY(orthonormalise(l, &kept, err));
	while (kept > 0)
	{
		append(l);
		TR_TRY(apply(l));
		TR_TRY(project(l, err));
		if (l->k + l->B > l->K)
			break;
		TR_TRY(orthonormalise(l, &kept, err));
	}
	return TR_OK;
}

/* ------------------------------------------------------------------ eigenvectors */

/* projected (K,K) = T, symmetric, and zeros where there is no basis */
static void
complete(Lanczos *l)
{
	for (int i = 0; i < l->K; i++)
		for (int j = 0; j < i; j++)
		{
			float	   *below = &l->projected[(size_t) i * l->K + j];
			float	   *above = &l->projected[(size_t) j * l->K + i];

			/* a block on the diagonal has both */
			*above = *below = i / l->B == j / l->B ? (*above + *below) / 2 : *above;
		}
}

/* turn (r,K) = the eigenvectors of T by descending value, which s gets */
static TrStatus
solve_projected(Lanczos *l, TrSpectrum *s, float *turn, TrError *err)
{
	TrBackend  *b = l->b;
	size_t		K = (size_t) l->K;
	float	   *values = tr_device_floats(l->work, K);
	float	   *t = tr_device_floats(l->work, K * K);
	float	   *host = TR_NEW(l->work, float, K);
	bool		gives_up;

	TR_TRY(tr_enough_memory(l->work, err, "a matrix of %d x %d", l->K, l->K));
	complete(l);
	b->ops->upload(b, t, l->projected, sizeof(float) * K * K);
	b->asked = (TrAsked) {stopped, l, false};
	b->ops->symmetric_eigen(b, t, values, l->K);
	gives_up = tr_give_up(b);
	b->asked = (TrAsked) {NULL, NULL, false};
	if (gives_up)
		return TR_CANCELLED;
	b->ops->download(b, l->projected, t, sizeof(float) * K * K);
	b->ops->download(b, host, values, sizeof(float) * K);
	TR_TRY(b->ops->finish(b, err));
	for (int i = 0; i < s->rank; i++)
	{
		size_t		from = K - 1 - (size_t) i;

		s->values[i] = fmax(host[from], 0);
		b->ops->upload(b, turn + (size_t) i * K, l->projected + from * K, sizeof(float) * K);
	}
	tr_device_free(l->work, t);
	return b->ops->finish(b, err);
}

/* vectors (n,r) = basis turn^T */
static TrStatus
take_vectors(Lanczos *l, TrSpectrum *s, TrError *err)
{
	TrBackend  *b = l->b;
	float	   *turn = tr_device_floats(l->work, (size_t) s->rank * (size_t) l->K);
	int			step = rows_of(l, (double) s->rank * l->K);

	s->vectors = tr_device_floats(l->work, (size_t) l->n * (size_t) s->rank);
	TR_TRY(tr_enough_memory(l->work, err, "%d eigenvectors of %d numbers", s->rank, l->n));
	TR_TRY(solve_projected(l, s, turn, err));
	for (int first = 0; first < l->n; first += step)
	{
		int			rows = l->n - first < step ? l->n - first : step;

		if (stopped(l))
			return TR_CANCELLED;
		b->ops->gemm(b, s->vectors + (size_t) first * s->rank, s->rank, l->basis + (size_t) first * l->K, l->K, false, turn,
					 l->K, true, rows, s->rank, l->K, 1, 0);
	}
	return b->ops->finish(b, err);
}

/* ------------------------------------------------------------------ life */

static void
choose_sizes(Lanczos *l, int rank)
{
	double		columns = fmin(ceil(BASIS(rank) / BLOCK) * BLOCK, l->n);

	l->B = l->n < BLOCK ? l->n : BLOCK;
	l->K = l->B * (int) ceil(columns / l->B);
}

size_t
tr_spectrum_bytes(double n, double m, double rank)
{
	Lanczos		l = {.n = (int) fmin(n, 1e9)};
	double		K;

	choose_sizes(&l, (int) rank);
	K = l.K;
	return (size_t) (sizeof(float) * (n * K + 2 * n * l.B + m * l.B + n * rank + 3 * K * K + 2 * K * l.B + rank * K)
					 + sizeof(double) * 4 * BLOCK * BLOCK);
}

static TrStatus
prepare(Lanczos *l, TrSpectrum *s, TrError *err)
{
	TrModel    *work = l->work;
	size_t		n = (size_t) l->n;
	size_t		B = (size_t) l->B;
	size_t		K = (size_t) l->K;

	l->block = tr_device_floats(work, n * B);
	l->next = tr_device_floats(work, n * B);
	l->between = tr_device_floats(work, (size_t) l->by_column->x.rows * B);
	l->products = tr_device_floats(work, K * B);
	l->small = tr_device_floats(work, B * B);
	l->host = TR_NEW(work, float, K * B);
	l->projected = TR_NEW(work, float, K * K);
	l->gram = TR_NEW(work, double, B * B + B + TR_EIGEN_WORK(B));
	s->values = TR_NEW(work, double, s->rank);
	l->basis = tr_device_floats(work, n * K);
	for (size_t i = 0; l->host && i < B; i++)
		l->host[i * B + i] = 1;
	l->identity = l->host ? tr_to_device(work, l->host, sizeof(float) * B * B) : NULL;
	return tr_enough_memory(work, err, "a basis of %d columns of %d numbers, %zu MB", l->K, l->n,
							n * K * sizeof(float) >> 20);
}

/* Bytes of new memory between two polls: the system clears what is written to for the first time. */
#define CLEARED ((size_t) 64 << 20)

/* basis = zeros */
static TrStatus
clear_basis(Lanczos *l)
{
	size_t		bytes = (size_t) l->n * (size_t) l->K * sizeof(float);

	for (size_t at = 0; at < bytes; at += CLEARED)
	{
		if (stopped(l))
			return TR_CANCELLED;
		l->b->ops->zero(l->b, (char *) l->basis + at, bytes - at < CLEARED ? bytes - at : CLEARED);
	}
	return TR_OK;
}

TrStatus
tr_spectrum(TrSpectrum *s, TrModel *work, const TrSpectrumSide *by_row, const TrSpectrumSide *by_column, int rank,
			const TrPoll *poll, TrError *err)
{
	Lanczos		l = {.work = work, .b = work->backend, .by_row = by_row, .by_column = by_column, .n = by_row->x.rows,
	.poll = poll};

	*s = (TrSpectrum) {.rank = rank < l.n ? rank : l.n};
	choose_sizes(&l, s->rank);
	TR_TRY(prepare(&l, s, err));
	TR_TRY(clear_basis(&l));
	TR_TRY(build_basis(&l, err));
	tr_device_free(work, l.block);
	tr_device_free(work, l.next);
	tr_device_free(work, l.between);
	TR_TRY(take_vectors(&l, s, err));
	tr_device_free(work, l.basis);
	return TR_OK;
}
