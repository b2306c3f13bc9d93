/*
 * Opening a backend library. See backend_load.h.
 */
#include "backend_load.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "miscadmin.h"
#include "tagrec.h"

#ifndef DLSUFFIX
#define DLSUFFIX ".so"
#endif

static char *
library_path(const char *name)
{
	return psprintf("%s/%s%s", pkglib_path, name, DLSUFFIX);
}

TagrecDevice
tagrec_device(const char *name)
{
	char	   *library;

	if (strcmp(name, "auto") == 0)
		return TAGREC_AUTO;
	if (strcmp(name, "cpu") == 0)
		return TAGREC_CPU;
	if (strcmp(name, "cuda") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown device \"%s\"", name),
				 errhint("The devices are auto, cpu and cuda.")));
	library = library_path("tagrec_cuda");
	if (access(library, R_OK) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("device \"cuda\" is not available"),
				 errdetail("The library tagrec_cuda is not installed."),
				 errhint("Build it with \"make gpu\", or use device => 'cpu' or 'auto'.")));
	return TAGREC_CUDA;
}

/* The operations a library offers. It stays open until the worker ends: closing would pull code from under its threads. */
static const TrBackendOps *
load_library(const char *path)
{
	void	   *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	TrBackendSymbol symbol;
	const TrBackendOps *ops;

	if (!library)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("could not open the library \"%s\"", path),
				 errdetail("%s", dlerror())));
	*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	ops = symbol ? symbol() : NULL;
	if (!ops || ops->api_version != TR_BACKEND_API_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the library \"%s\" does not fit this version of tagrec", path),
				 errhint("Install libraries of one version: \"make install\".")));
	return ops;
}

/*
 * Threads that a library starts inherit the mask of the thread that starts them: with everything blocked, signals go to the
 * main thread alone. OpenBLAS must not start threads of its own; the CPU backend splits the work itself.
 */
static TrBackend *
open_quietly(const char *path, const TrBackendConfig *config)
{
	TrBackend  *volatile backend = NULL;
	TrError		err = {0};
	TrStatus	status = TR_OK;
	sigset_t	all;
	sigset_t	before;

	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	PG_TRY();
	{
		TrBackend  *opened = NULL;

		status = load_library(path)->open(&opened, config, &err);
		backend = opened;
	}
	PG_FINALLY();
	{
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	PG_END_TRY();
	tagrec_check(status, &err);
	return backend;
}

TrBackend *
tagrec_backend_open(TagrecDevice device, int threads)
{
	TrBackendConfig config = {.threads = threads};

	return open_quietly(library_path(device == TAGREC_CUDA ? "tagrec_cuda" : "tagrec_cpu"), &config);
}
