/*
 * Products of matrices in bfloat16, with sums in float32, where the processor has instructions for them: by oneDNN, which
 * is looked for when a backend is opened and need not be there.
 */
#ifndef TR_CPU_BF16_H
#define TR_CPU_BF16_H

#include <stdbool.h>
#include <stdint.h>

/* C (m,n) = alpha op(A) op(B) + beta C, row-major; 0 = done. oneDNN's dnnl_gemm_bf16bf16f32() */
typedef int (*TrBf16Gemm) (char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha, const uint16_t *a,
						   int64_t lda, const uint16_t *b, int64_t ldb, float beta, float *c, int64_t ldc);

typedef struct TrBf16
{
	TrBf16Gemm	gemm;			/* NULL = there is none */
	void		(*set_threads) (int n); /* of the calling thread's products: the backend's threads call it with 1 */
	char		version[32];	/* "oneDNN 2.6.3" */
} TrBf16;

/* NULL when bf16 is ready, else why it is not. */
extern const char *tr_bf16_open(TrBf16 *bf16);

#endif
