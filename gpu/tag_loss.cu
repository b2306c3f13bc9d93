/*
 * Loss of posts over all tags, a block to a row. The few columns with targets are taken out of the row first: their logits
 * wait in global memory, and the dense passes need not know them. Legend: R rows, T tags.
 */
#include "cuda_common.cuh"

#define THREADS 256

/* A logit that adds nothing to a sum and gets no gradient. */
#define LEFT_OUT -1e30f

typedef struct TagLoss
{
	TrTagLoss	t;
	TrCsr		targets;
	double	   *loss;			/* (R) unscaled */
	double	   *dpart;			/* (parts,R) */
} TagLoss;

/* z (T) += bias and the row's parts, one part after the other */
static __device__ void
complete(const TagLoss &a, float *z, int r)
{
	for (int k = threadIdx.x; k < a.targets.cols; k += THREADS)
		z[k] += a.t.bias[k];
	for (int j = 0; j < a.t.parts; j++)
	{
		const TrCsr &part = a.t.part[j];
		float		weight = a.t.part_weight[j];

		__syncthreads();
		for (int64_t e = part.ptr[r] + threadIdx.x; e < part.ptr[r + 1]; e += THREADS)
			z[part.col[e]] += weight * part.val[e];
	}
	__syncthreads();
}

/* Sum of the row's targets; the same in every thread */
static __device__ double
sum_targets(const TagLoss &a, int r, double *warp_sums)
{
	double		sum = 0;

	for (int64_t e = a.targets.ptr[r] + threadIdx.x; e < a.targets.ptr[r + 1]; e += THREADS)
		sum += a.targets.val[e];
	return tr_block_sum(sum, warp_sums);
}

/* Less y z, summed over the row's targets; columns that are left out lose their logits. */
static __device__ double
take_entries(const TagLoss &a, float *z, int r, double *warp_sums)
{
	double		sum = 0;

	for (int64_t e = a.targets.ptr[r] + threadIdx.x; e < a.targets.ptr[r + 1]; e += THREADS)
	{
		int			k = a.targets.col[e];

		if (a.targets.val[e] == 0)
			z[k] = LEFT_OUT;
		else
			sum -= (double) a.targets.val[e] * z[k];
	}
	sum = tr_block_sum(sum, warp_sums);
	__syncthreads();
	return sum;
}

/* z (T) = d loss / d z but for the targets; returns the row's loss but for them */
static __device__ double
softmax_row(const TagLoss &a, float *z, double targets, double *warp_sums)
{
	int			T = a.targets.cols;
	float		top = -INFINITY;
	float		sum = 0;
	double		all;
	float		factor;

	for (int k = threadIdx.x; k < T; k += THREADS)
		top = fmaxf(top, z[k]);
	top = tr_block_max(top, warp_sums);
	for (int k = threadIdx.x; k < T; k += THREADS)
	{
		z[k] = expf(z[k] - top);
		sum += z[k];
	}
	all = tr_block_sum(sum, warp_sums);
	factor = (float) (a.t.scale * targets / all);
	for (int k = threadIdx.x; k < T; k += THREADS)
		z[k] *= factor;
	return targets * (top + log(all));
}

static __device__ double
cross_entropy_row(const TagLoss &a, float *z, double *warp_sums)
{
	float		sum = 0;

	for (int k = threadIdx.x; k < a.targets.cols; k += THREADS)
	{
		float		x = z[k];
		float		e = expf(-fabsf(x));

		sum += (x > 0 ? x : 0) + log1pf(e);
		z[k] = a.t.scale * (x >= 0 ? 1 : e) / (1 + e);
	}
	return tr_block_sum(sum, warp_sums);
}

static __device__ void
put_gradients(const TagLoss &a, float *z, int r, double *warp_sums)
{
	__syncthreads();
	for (int64_t e = a.targets.ptr[r] + threadIdx.x; e < a.targets.ptr[r + 1]; e += THREADS)
		z[a.targets.col[e]] -= a.t.scale * a.targets.val[e];
	__syncthreads();
	for (int j = 0; j < a.t.parts; j++)
	{
		const TrCsr &part = a.t.part[j];
		double		sum = 0;

		for (int64_t e = part.ptr[r] + threadIdx.x; e < part.ptr[r + 1]; e += THREADS)
			sum += (double) z[part.col[e]] * part.val[e];
		sum = tr_block_sum(sum, warp_sums);
		if (threadIdx.x == 0)
			a.dpart[(size_t) j * a.targets.rows + r] = sum;
	}
}

static __global__ void __launch_bounds__(THREADS)
tag_loss_kernel(TagLoss a)
{
	TR_SHARED(double, warp_sums, TR_WARP);
	int			r = blockIdx.x;
	float	   *z = a.t.logits + (size_t) r * a.targets.cols;
	double		targets = sum_targets(a, r, warp_sums);
	double		loss = 0;

	if (a.t.softmax && targets == 0)
		for (int k = threadIdx.x; k < a.targets.cols; k += THREADS)
			z[k] = 0;
	else
	{
		complete(a, z, r);
		loss = take_entries(a, z, r, warp_sums);
		loss += a.t.softmax ? softmax_row(a, z, targets, warp_sums) : cross_entropy_row(a, z, warp_sums);
	}
	if (threadIdx.x == 0)
		a.loss[r] = loss;
	put_gradients(a, z, r, warp_sums);
}

void
tr_cuda_tag_loss(TrBackend *b, const TrTagLoss *t)
{
	int			R = t->targets->rows;
	TagLoss		a = {*t, *t->targets, NULL, NULL};

	if (R <= 0)
		return;
	a.loss = (double *) tr_cuda_scratch(b, sizeof(double) * R * (1 + t->parts));
	if (!a.loss)
		return;
	a.dpart = a.loss + R;
	TR_LAUNCH(b, tag_loss_kernel, (unsigned) R, THREADS, 0, a);
	tr_cuda_add_sum(b, t->loss, a.loss, R, t->scale);
	for (int j = 0; j < t->parts; j++)
		tr_cuda_add_sum_float(b, t->dpart_weight + j, a.dpart + (size_t) j * R, R);
	tr_cuda_activation_backward(b, t->logits, t->dbias, t->logits, NULL, R, t->targets->cols, TR_LINEAR);
}
