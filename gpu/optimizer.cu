/*
 * Steps over parameters, and their sum of squares.
 */
#include "cuda_common.cuh"

#define THREADS 256
#define BLOCK_SQUARES 16384		/* per partial sum */

/* rate (m / c1) / (sqrt(v / c2) + epsilon) = rate sqrt(c2) / c1 * m / (sqrt(v) + epsilon sqrt(c2)) */
typedef struct AdamStep
{
	float		beta1,
				beta2,
				decay,			/* 2 decay */
				rate,			/* with both bias corrections */
				epsilon;		/* of the uncorrected v */
} AdamStep;

/* Where the parameters of pack i lie: all of them side by side, or rows of `packs` packs that index names. */
typedef struct Place
{
	const int32_t *index;		/* NULL = side by side */
	int			packs;
} Place;

static __device__ inline int64_t
pack_at(const Place &place, int64_t i)
{
	return place.index ? (int64_t) place.index[i / place.packs] * place.packs + i % place.packs : i;
}

/* n packs of W parameters, one a thread */
template <int W>
static __global__ void __launch_bounds__(THREADS)
adam_kernel(AdamStep step, Place place, float *w, const float *g, float *m, float *v, int64_t n)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	int64_t		at;
	TrPack<W>	w4;
	TrPack<W>	g4;
	TrPack<W>	m4;
	TrPack<W>	v4;

	if (i >= n)
		return;
	at = pack_at(place, i) * W;
	w4 = tr_load<W>(w + at);
	g4 = tr_load<W>(g + i * W);
	m4 = tr_load<W>(m + at);
	v4 = tr_load<W>(v + at);
#pragma unroll
	for (int j = 0; j < W; j++)
	{
		float		d = g4.v[j] + step.decay * w4.v[j];

		m4.v[j] = step.beta1 * m4.v[j] + (1 - step.beta1) * d;
		v4.v[j] = step.beta2 * v4.v[j] + (1 - step.beta2) * (d * d);
		w4.v[j] -= step.rate * m4.v[j] / (sqrtf(v4.v[j]) + step.epsilon);
	}
	tr_store<W>(m + at, m4);
	tr_store<W>(v + at, v4);
	tr_store<W>(w + at, w4);
}

/* momentum 0: m is not touched */
template <int W>
static __global__ void __launch_bounds__(THREADS)
sgd_kernel(float decay, float momentum, float rate, Place place, float *w, const float *g, float *m, int64_t n)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	int64_t		at;
	TrPack<W>	w4;
	TrPack<W>	g4;
	TrPack<W>	m4 = {};

	if (i >= n)
		return;
	at = pack_at(place, i) * W;
	w4 = tr_load<W>(w + at);
	g4 = tr_load<W>(g + i * W);
	if (momentum != 0)
		m4 = tr_load<W>(m + at);
#pragma unroll
	for (int j = 0; j < W; j++)
	{
		m4.v[j] = momentum * m4.v[j] + (g4.v[j] + decay * w4.v[j]);
		w4.v[j] -= rate * m4.v[j];
	}
	if (momentum != 0)
		tr_store<W>(m + at, m4);
	tr_store<W>(w + at, w4);
}

/* n packs */
template <int W>
static void
update(TrBackend *b, const TrOptimizer *o, Place place, float *w, const float *g, float *m, float *v, int64_t n)
{
	unsigned	blocks = (unsigned) tr_cuda_blocks(n, THREADS);

	if (o->kind == TR_ADAM)
	{
		double		correct1 = 1 - pow(o->beta1, (double) o->step);
		double		correct2 = sqrt(1 - pow(o->beta2, (double) o->step));
		AdamStep	step = {o->beta1, o->beta2, 2 * o->decay, (float) (o->rate * correct2 / correct1),
			(float) (o->epsilon * correct2)};

		TR_LAUNCH(b, adam_kernel<W>, blocks, THREADS, 0, step, place, w, g, m, v, n);
	}
	else
		TR_LAUNCH(b, sgd_kernel<W>, blocks, THREADS, 0, 2 * o->decay, o->momentum, o->rate, place, w, g, m, n);
}

static bool
aligned(const TrOptimizer *o, const float *w, const float *g, const float *m, const float *v)
{
	bool		has_m = o->kind == TR_ADAM || o->momentum != 0;
	bool		has_v = o->kind == TR_ADAM;

	return tr_cuda_aligned(w) && tr_cuda_aligned(g) && (!has_m || tr_cuda_aligned(m)) && (!has_v || tr_cuda_aligned(v));
}

void
tr_cuda_update(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, int64_t n)
{
	int64_t		done = 0;

	if (aligned(o, w, g, m, v))
	{
		update<4>(b, o, (Place) {}, w, g, m, v, n / 4);
		done = n / 4 * 4;
	}
	if (done < n)
		update<1>(b, o, (Place) {}, w + done, g + done, m ? m + done : NULL, v ? v + done : NULL, n - done);
}

/* The step over the rows index[r] alone */
void
tr_cuda_update_rows(TrBackend *b, const TrOptimizer *o, float *w, const float *g, float *m, float *v, const int32_t *index,
					int R, int width)
{
	if (width % 4 == 0 && aligned(o, w, g, m, v))
		update<4>(b, o, (Place) {index, width / 4}, w, g, m, v, (int64_t) R * (width / 4));
	else
		update<1>(b, o, (Place) {index, width}, w, g, m, v, (int64_t) R * width);
}

static __global__ void __launch_bounds__(THREADS)
squares_kernel(double *partial, const float *w, int64_t n)
{
	TR_SHARED(double, warp_sums, TR_WARP);
	int64_t		first = (int64_t) blockIdx.x * BLOCK_SQUARES;
	int64_t		end = n - first < BLOCK_SQUARES ? n : first + BLOCK_SQUARES;
	double		sum = 0;

	for (int64_t i = first + threadIdx.x; i < end; i += THREADS)
		sum += (double) w[i] * w[i];
	sum = tr_block_sum(sum, warp_sums);
	if (threadIdx.x == 0)
		partial[blockIdx.x] = sum;
}

/* loss += decay * sum of w^2 */
void
tr_cuda_sum_squares(TrBackend *b, double *loss, const float *w, int64_t n, float decay)
{
	int64_t		blocks = tr_cuda_blocks(n, BLOCK_SQUARES);
	double	   *partial = (double *) tr_cuda_scratch(b, sizeof(double) * blocks);

	if (!partial || n <= 0)
		return;
	TR_LAUNCH(b, squares_kernel, (unsigned) blocks, THREADS, 0, partial, w, n);
	tr_cuda_add_sum(b, loss, partial, blocks, decay);
}
