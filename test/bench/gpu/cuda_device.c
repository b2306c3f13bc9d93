/*
 * cuda_device LIBRARY: what devices the CUDA backend finds, one a line; exit status 1, and why, when there is none.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "core/backend.h"

int
main(int argc, char **argv)
{
	void	   *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	TrBackendSymbol symbol = NULL;
	TrDevice	devices[16];
	TrError		err = {0};
	int			count;

	if (library)
		*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	if (!symbol)
	{
		fprintf(stderr, "no CUDA backend: %s\n", argc > 1 ? dlerror() : "usage: cuda_device LIBRARY");
		return 1;
	}
	if (symbol()->api_version != TR_BACKEND_API_VERSION)
	{
		fprintf(stderr, "%s does not fit this build\n", argv[1]);
		return 1;
	}
	count = symbol()->devices(devices, 16, &err);
	if (count < 0)
	{
		fprintf(stderr, "%s. %s\n", err.message, err.detail);
		return 1;
	}
	for (int i = 0; i < count && i < 16; i++)
		printf("%s, compute capability %d.%d, %zu GB, driver %s\n", devices[i].name, devices[i].major, devices[i].minor,
			   (size_t) devices[i].memory >> 30, devices[i].driver);
	return 0;
}
