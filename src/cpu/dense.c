/*
 * Dense layers. Legend: R rows, I inputs, O outputs.
 */
#include "cpu/cpu.h"

typedef struct Finish
{
	const float *bias;			/* (O) or NULL */
	TrActivation act;
} Finish;

/* The block of out becomes act(block + bias). */
static void
finish_block(const void *argument, float *c, int ldc, int row, int column, int rows, int columns)
{
	const Finish *finish = argument;
	const float *bias = finish->bias ? finish->bias + column : NULL;

	(void) row;
	for (int r = 0; r < rows; r++, c += ldc)
		tr_cpu_activate(c, bias, columns, finish->act);
}

/* out (R,O) = act(x (R,I) W + bias) */
void
tr_cpu_dense_forward(TrBackend *b, float *out, const float *x, const float *w, const float *bias, int R, int I, int O,
					 TrLayout layout, TrActivation act)
{
	Finish		finish = {bias, act};
	TrGemm		g = {
		.c = out, .ldc = O, .x = x, .ldx = I, .y = w, .ldy = layout == TR_STORED_OI ? I : O,
		.trans_y = layout == TR_STORED_OI, .m = R, .n = O, .k = I, .alpha = 1,
		.epilogue = bias || act != TR_LINEAR ? finish_block : NULL, .epilogue_argument = &finish
	};

	tr_cpu_multiply(b, &g);
}

/* dx (R,I) = dz (R,O) W^T; dw += x^T dz as (I,O), or dz^T x as (O,I) */
void
tr_cpu_dense_backward(TrBackend *b, float *dx, float *dw, const float *dz, const float *x, const float *w, int R, int I,
					  int O, TrLayout layout)
{
	if (layout == TR_STORED_IO)
	{
		if (dx)
			tr_cpu_gemm(b, dx, I, dz, O, false, w, O, true, R, I, O, 1, 0);
		if (dw)
			tr_cpu_gemm(b, dw, O, x, I, true, dz, O, false, I, O, R, 1, 1);
	}
	else
	{
		if (dx)
			tr_cpu_gemm(b, dx, I, dz, O, false, w, I, false, R, I, O, 1, 0);
		if (dw)
			tr_cpu_gemm(b, dw, I, dz, O, true, x, I, false, O, I, R, 1, 1);
	}
}
