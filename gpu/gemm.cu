/*
 * C = alpha op(A) op(B) + beta C by cuBLAS, whose matrices are column-major: a row-major matrix is its own transpose there,
 * so C^T = op(B)^T op(A)^T is asked for.
 */
#include "cuda_common.cuh"

#define THREADS 256

/* C (m,n) = beta C */
static __global__ void __launch_bounds__(THREADS)
scale_kernel(float *c, int ldc, int m, int n, float beta)
{
	int64_t		i = (int64_t) blockIdx.x * THREADS + threadIdx.x;
	float	   *at;

	if (i >= (int64_t) m * n)
		return;
	at = c + i / n * ldc + i % n;
	*at = beta == 0 ? 0 : beta * *at;
}

void
tr_cuda_gemm(TrBackend *b, float *c, int ldc, const float *x, int ldx, bool trans_x, const float *y, int ldy, bool trans_y,
			 int m, int n, int k, float alpha, float beta)
{
	if (m <= 0 || n <= 0 || tr_cuda_failed(b))
		return;
	if (k <= 0)
	{
		TR_LAUNCH(b, scale_kernel, (unsigned) tr_cuda_blocks((int64_t) m * n, THREADS), THREADS, 0, c, ldc, m, n, beta);
		return;
	}
	if (tr_cuda_check_blas(b, cublasGemmEx(tr_cuda(b)->blas, trans_y ? CUBLAS_OP_T : CUBLAS_OP_N,
										   trans_x ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, y, CUDA_R_32F, ldy, x,
										   CUDA_R_32F, ldx, &beta, c, CUDA_R_32F, ldc, tr_cuda(b)->compute,
										   CUBLAS_GEMM_DEFAULT),
						   "cublasGemmEx"))
		tr_cuda_recorded(b, 'g');
}
