/*
 * Softmax over candidates, a block to a user row. The columns that every pair of the row sums over (the base) are neither
 * skipped nor a pair's own; each pair adds to the base what is its own. Logarithms, denominators and losses are double.
 *
 *   base          one pass over the row: largest logit and sum of exponentials
 *   denominators  a thread to a pair; without mask_pairs each goes over all other pairs of the row
 *   gradients     a thread to a pair for its column; then one pass over the row for the base
 *
 * Legend: U users, C candidate columns, P pairs.
 */
#include "cuda_common.cuh"

#define MARKED 16384			/* columns of which shared memory knows whether they are a pair's */
#define MOST_THREADS 1024

typedef struct Softmax
{
	TrSoftmax	s;
	double	   *log_z;			/* (P) log of each pair's denominator; INFINITY when there is no term in it */
	double	   *loss;			/* (U) unscaled */
} Softmax;

/* One user's row. */
typedef struct Row
{
	float	   *x;				/* (C) */
	int			first,			/* pairs */
				end;
} Row;

/* sum * exp(top); sum 0 = no columns */
typedef struct Base
{
	float		top;
	double		sum;
} Base;

static __device__ inline double
offset_of(const TrSoftmax &s, int column)
{
	return s.column_offset ? s.column_offset[column] : 0;
}

/* The pair's logit less the offset of its column */
static __device__ inline double
pair_x(const TrSoftmax &s, const Row &row, int p)
{
	return (double) row.x[s.pair_column[p]] - offset_of(s, s.pair_column[p]);
}

static __device__ inline double
pair_positive(const TrSoftmax &s, const Row &row, int p)
{
	return s.pair_logit ? s.pair_logit[p] : row.x[s.pair_column[p]];
}

/* Does pair p's own column count in the others' denominators? */
static __device__ inline bool
is_shared(const TrSoftmax &s, int p)
{
	return !s.mask_pairs && s.pair_column[p] >= 0;
}

/* mark (MARKED / 32) = which of the columns from `start` on are a pair's */
static __device__ void
mark_pairs(const TrSoftmax &s, const Row &row, int start, unsigned *mark)
{
	__syncthreads();
	for (int i = threadIdx.x; i < MARKED / 32; i += blockDim.x)
		mark[i] = 0;
	__syncthreads();
	for (int p = row.first + threadIdx.x; p < row.end; p += blockDim.x)
	{
		int			column = s.pair_column[p] - start;

		if (column >= 0 && column < MARKED)
			atomicOr(&mark[column / 32], 1u << column % 32);
	}
	__syncthreads();
}

static __device__ inline bool
is_marked(const unsigned *mark, int column)
{
	return mark[column / 32] >> column % 32 & 1;
}

static __device__ inline int
end_of_marked(const TrSoftmax &s, int start)
{
	return s.columns - start < MARKED ? s.columns : start + MARKED;
}

/* A NaN among the columns makes the sum one; columns of -INFINITY add nothing. */
static __device__ Base
sum_base(const TrSoftmax &s, const Row &row, unsigned *mark, double *warp_sums)
{
	Base		base;
	float		top = -INFINITY;
	float		sum = 0;

	for (int start = 0; start < s.columns; start += MARKED)
	{
		mark_pairs(s, row, start, mark);
		for (int k = start + threadIdx.x; k < end_of_marked(s, start); k += blockDim.x)
		{
			float		x = row.x[k] - (float) offset_of(s, k);
			float		higher = fmaxf(top, x);

			if (is_marked(mark, k - start) || x == -INFINITY)
				continue;
			if (higher > top)
				sum = sum == 0 ? 0 : sum * expf(top - higher);
			top = higher;
			sum += expf(x - top);
		}
	}
	base.top = tr_block_max(top, warp_sums);
	base.sum = tr_block_sum(sum == 0 || top == -INFINITY ? sum : sum * exp((double) top - base.top), warp_sums);
	return base;
}

static __device__ double
log_denominator(const TrSoftmax &s, const Row &row, const Base &base, int p)
{
	double		top = base.sum != 0 ? base.top : -INFINITY;
	double		positive = s.include_positive ? pair_positive(s, row, p) : 0;
	double		sum = 0;

	if (s.include_positive)
		top = fmax(top, positive);
	for (int q = row.first; q < row.end && !s.mask_pairs; q++)
		if (q != p && is_shared(s, q))
			top = fmax(top, pair_x(s, row, q));
	if (top == -INFINITY)
		top = 0;
	if (base.sum != 0)
		sum += base.sum * exp(base.top - top);
	if (s.include_positive)
		sum += exp(positive - top);
	for (int q = row.first; q < row.end && !s.mask_pairs; q++)
		if (q != p && is_shared(s, q))
			sum += exp(pair_x(s, row, q) - top);
	return sum == 0 ? INFINITY : top + log(sum);
}

/* d loss / d s_p, and the gradient of the pair's column; nobody reads the column any more. */
static __device__ void
put_pair(const Softmax &a, const Row &row, int p)
{
	const TrSoftmax &s = a.s;
	double		scale = s.scale;
	int			column = s.pair_column[p];
	double		dpositive = 0;
	double		d = 0;

	if (a.log_z[p] != INFINITY)
		dpositive = scale * s.pair_weight[p]
			* ((s.include_positive ? exp(pair_positive(s, row, p) - a.log_z[p]) : 0) - 1);
	if (s.pair_logit)
		s.pair_dlogit[p] = (float) dpositive;
	else
		d = dpositive;
	if (column < 0)
		return;
	if (is_shared(s, p))
	{
		double		x = pair_x(s, row, p);

		for (int q = row.first; q < row.end; q++)
			if (q != p && a.log_z[q] != INFINITY)
				d += scale * s.pair_weight[q] * exp(x - a.log_z[q]);
	}
	row.x[column] = (float) d;
}

/* The base's columns become exp(x - top) times factor. */
static __device__ void
put_base(const TrSoftmax &s, const Row &row, const Base &base, float factor, unsigned *mark)
{
	for (int start = 0; start < s.columns; start += MARKED)
	{
		mark_pairs(s, row, start, mark);
		for (int k = start + threadIdx.x; k < end_of_marked(s, start); k += blockDim.x)
			if (!is_marked(mark, k - start))
				row.x[k] = base.sum == 0 ? 0 : expf(row.x[k] - (float) offset_of(s, k) - base.top) * factor;
	}
}

/* Takes the skipped columns out; zeroes a row without pairs. */
static __device__ void
prepare_row(const TrSoftmax &s, const Row &row, int u)
{
	if (row.first == row.end)
		for (int k = threadIdx.x; k < s.columns; k += blockDim.x)
			row.x[k] = 0;
	else if (s.skip_ptr)
		for (int e = s.skip_ptr[u] + threadIdx.x; e < s.skip_ptr[u + 1]; e += blockDim.x)
			row.x[s.skip_column[e]] = -INFINITY;
	__syncthreads();
}

static __global__ void __launch_bounds__(MOST_THREADS)
softmax_kernel(Softmax a)
{
	TR_SHARED(unsigned, mark, MARKED / 32);
	TR_SHARED(double, warp_sums, TR_WARP);
	const TrSoftmax &s = a.s;
	int			u = blockIdx.x;
	Row			row = {s.logits + (size_t) u * s.columns, s.pair_ptr[u], s.pair_ptr[u + 1]};
	Base		base;
	double		factor = 0;
	double		loss = 0;

	prepare_row(s, row, u);
	if (row.first < row.end)
	{
		base = sum_base(s, row, mark, warp_sums);
		for (int p = row.first + threadIdx.x; p < row.end; p += blockDim.x)
		{
			double		log_z = log_denominator(s, row, base, p);

			a.log_z[p] = log_z;
			if (log_z == INFINITY)
				continue;
			loss += s.pair_weight[p] * (log_z - pair_positive(s, row, p));
			if (base.sum != 0)
				factor += (double) s.scale * s.pair_weight[p] * exp(base.top - log_z);
		}
		loss = tr_block_sum(loss, warp_sums);
		factor = tr_block_sum(factor, warp_sums);
		for (int p = row.first + threadIdx.x; p < row.end; p += blockDim.x)
			put_pair(a, row, p);
		put_base(s, row, base, (float) factor, mark);
	}
	if (threadIdx.x == 0)
		a.loss[u] = loss;
}

/*
 * How many pairs there are is known on the device alone: their weights reach to the end of the memory they lie in, at most.
 */
void
tr_cuda_softmax_loss(TrBackend *b, const TrSoftmax *s)
{
	size_t		pairs = tr_cuda_room(b, s->pair_weight) / sizeof(float);
	Softmax		a = {*s, NULL, NULL};

	if (s->users <= 0)
		return;
	a.loss = (double *) tr_cuda_scratch(b, sizeof(double) * (s->users + pairs));
	if (!a.loss)
		return;
	a.log_z = a.loss + s->users;
	TR_LAUNCH(b, softmax_kernel, (unsigned) s->users, s->columns <= 1024 ? 128 : s->columns <= 8192 ? 256 : MOST_THREADS, 0,
			  a);
	tr_cuda_add_sum(b, s->loss, a.loss, s->users, s->scale);
}
