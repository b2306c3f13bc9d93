/*
 * The CUDA backend under test: the emulated one that is linked in, or, with TAGREC_CUDA_LIBRARY=path in the environment, that
 * library on the machine's device.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/backend.h"

extern const TrBackendOps *tr_emulated_cuda_ops(void);
extern const TrBackendOps *tr_cuda_test_ops(void);

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

const TrBackendOps *
tr_cuda_test_ops(void)
{
	static const TrBackendOps *ops;
	const char *path = getenv("TAGREC_CUDA_LIBRARY");

	if (!ops)
		ops = path && *path ? load(path) : tr_emulated_cuda_ops();
	return ops;
}
