/*
 * cuBLAS as far as gpu/ uses it. See emulation.h.
 */
#ifndef CUBLAS_EMULATION_H
#define CUBLAS_EMULATION_H

#include "cuda_runtime.h"

typedef struct EmulatedBlas *cublasHandle_t;

typedef enum cublasStatus_t
{
	CUBLAS_STATUS_SUCCESS,
	CUBLAS_STATUS_NOT_INITIALIZED,
	CUBLAS_STATUS_ALLOC_FAILED = 3,
	CUBLAS_STATUS_INVALID_VALUE = 7,
	CUBLAS_STATUS_EXECUTION_FAILED = 13
} cublasStatus_t;

typedef enum cublasOperation_t
{
	CUBLAS_OP_N,
	CUBLAS_OP_T
} cublasOperation_t;

enum
{
	CUBLAS_DEFAULT_MATH,
	CUBLAS_ATOMICS_NOT_ALLOWED = 0
};

typedef enum cudaDataType_t
{
	CUDA_R_32F
} cudaDataType_t;

typedef enum cublasComputeType_t
{
	CUBLAS_COMPUTE_32F = 68,
	CUBLAS_COMPUTE_32F_FAST_16BF = 75,
	CUBLAS_COMPUTE_32F_FAST_TF32 = 77
} cublasComputeType_t;

typedef enum cublasGemmAlgo_t
{
	CUBLAS_GEMM_DEFAULT = -1
} cublasGemmAlgo_t;

extern cublasStatus_t cublasCreate(cublasHandle_t *handle);
extern cublasStatus_t cublasDestroy(cublasHandle_t handle);
extern cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
extern cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes);
extern cublasStatus_t cublasSetMathMode(cublasHandle_t handle, int mode);
extern cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, int mode);
extern const char *cublasGetStatusString(cublasStatus_t status);
extern const char *cublasGetStatusName(cublasStatus_t status);

/* C (m,n) = alpha op(A) op(B) + beta C, all column-major and of float32; the compute type rounds A and B */
extern cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
								   const void *alpha, const void *a, cudaDataType_t type_a, int lda, const void *b,
								   cudaDataType_t type_b, int ldb, const void *beta, void *c, cudaDataType_t type_c, int ldc,
								   cublasComputeType_t compute, cublasGemmAlgo_t algorithm);

#endif
