/*
 * The CUDA backend under test: the emulated one that is linked in, or, with TAGREC_CUDA_LIBRARY=path in the environment,
 * that library on the machine's device. There one backend stays open, for the last to close takes the device's context with
 * it, and a context takes most of a second: the tests open and close thousands of backends.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/backend.h"

extern const TrBackendOps *tr_emulated_cuda_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);
extern const TrBackendOps *tr_cuda_cold_ops(void);

static const TrBackendOps *
load(const char *path)
{
	void	   *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	TrBackendSymbol symbol = NULL;

	if (library)
		*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	if (!symbol)
	{
		printf("Bail out! %s\n", dlerror());
		exit(1);
	}
	return symbol();
}

/* The same without a backend that stays open */
const TrBackendOps *
tr_cuda_cold_ops(void)
{
	static const TrBackendOps *ops;
	const char *path = getenv("TAGREC_CUDA_LIBRARY");

	if (!ops)
		ops = path && *path ? load(path) : tr_emulated_cuda_ops();
	return ops;
}

const TrBackendOps *
tr_cuda_test_ops(void)
{
	static TrBackend *open;
	const TrBackendOps *ops = tr_cuda_cold_ops();
	TrBackendConfig config = {.threads = 1};
	TrError		err = {0};

	if (ops != tr_emulated_cuda_ops() && !open && ops->open(&open, &config, &err) != TR_OK)
	{
		printf("Bail out! %s. %s\n", err.message, err.detail);
		exit(1);
	}
	return ops;
}
