/*
 * Dense layers: one product, then bias and activation in place. (cuBLASLt's epilogues have no tanh.)
 * Legend: R rows, I inputs, O outputs.
 */
#include "cuda_common.cuh"

/* out (R,O) = act(x (R,I) W + bias) */
void
tr_cuda_dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
					  TrLayout layout, TrActivation act)
{
	bool		transposed = layout == TR_STORED_OI;

	tr_cuda_gemm(b, out, O, x, I, false, w, transposed ? I : O, transposed, R, O, I, 1, 0);
	if (bias || act != TR_LINEAR)
		tr_cuda_activate(b, out, bias, R, O, act);
}

/* dx (R,I) = dz (R,O) W^T; dw += x^T dz as (I,O), or dz^T x as (O,I) */
void
tr_cuda_dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I,
					   int O, TrLayout layout)
{
	if (layout == TR_STORED_IO)
	{
		if (dx)
			tr_cuda_gemm(b, dx, I, dz, O, false, w, O, true, R, I, O, 1, 0);
		if (dw)
			tr_cuda_gemm(b, dw, O, x, I, true, dz, O, false, I, O, R, 1, 1);
	}
	else
	{
		if (dx)
			tr_cuda_gemm(b, dx, I, dz, O, false, w, I, false, R, I, O, 1, 0);
		if (dw)
			tr_cuda_gemm(b, dw, I, dz, O, true, x, I, false, O, I, R, 1, 1);
	}
}
