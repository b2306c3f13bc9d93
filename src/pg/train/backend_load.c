/*
 * Opening a backend library. See backend_load.h.
 */
#include "pg/train/backend_load.h"

#include <ctype.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"

#ifndef DLSUFFIX
#define DLSUFFIX ".so"
#endif

/* The first directory of dynamic_library_path that has the library, else where the extension itself lies. */
static char *
library_path(const char *name)
{
	char	   *rest = pstrdup(Dynamic_library_path ? Dynamic_library_path : "");

	for (char *directory; (directory = strsep(&rest, ":"));)
	{
		bool		is_own = strncmp(directory, "$libdir", 7) == 0;
		char	   *path = psprintf("%s%s/%s%s", is_own ? pkglib_path : "", is_own ? directory + 7 : directory, name,
									DLSUFFIX);

		if (*directory && access(path, R_OK) == 0)
			return path;
	}
	return psprintf("%s/%s%s", pkglib_path, name, DLSUFFIX);
}

static bool
is_installed(const char *name)
{
	return access(library_path(name), R_OK) == 0;
}

/* "cuda" or "cuda:N" */
static bool
is_cuda(const char *name, int *number)
{
	char	   *end;

	*number = 0;
	if (strncmp(name, "cuda", 4) != 0)
		return false;
	if (name[4] == '\0')
		return true;
	if (name[4] != ':' || !isdigit((unsigned char) name[5]) || strlen(name + 5) > 3)
		return false;
	*number = (int) strtol(name + 5, &end, 10);
	return *end == '\0';
}

TagrecDevice
tagrec_device(const char *name)
{
	TagrecDevice device = {TAGREC_CUDA};

	if (strcmp(name, "auto") == 0)
		return (TagrecDevice) {TAGREC_AUTO};
	if (strcmp(name, "cpu") == 0)
		return (TagrecDevice) {TAGREC_CPU};
	if (!is_cuda(name, &device.number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown device \"%s\"", name),
				 errhint("Valid devices are auto, cpu, cuda and, with several GPUs, cuda:0, cuda:1 and so on.")));
	if (!is_installed("tagrec_cuda"))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("device \"cuda\" is not available"),
				 errdetail("Library \"tagrec_cuda\" is not installed."),
				 errhint("Build it with \"make gpu\", or use device => 'cpu' or 'auto'.")));
	return device;
}

/*
 * The operations of a library; NULL and err if there are none, for example because a library that it needs is missing. It
 * stays open until the worker ends: closing would unmap code that its threads run.
 */
static const TrBackendOps *
load_library(const char *name, TrError *err)
{
	void	   *library = dlopen(library_path(name), RTLD_NOW | RTLD_LOCAL);
	TrBackendSymbol symbol;
	const TrBackendOps *ops;

	if (!library)
	{
		tr_fail(err, TR_UNSUPPORTED, "could not open library \"%s%s\"", name, DLSUFFIX);
		snprintf(err->detail, sizeof(err->detail), "%s", dlerror());
		return NULL;
	}
	*(void **) &symbol = dlsym(library, TR_BACKEND_SYMBOL);
	ops = symbol ? symbol() : NULL;
	if (ops && ops->api_version == TR_BACKEND_API_VERSION)
		return ops;
	tr_fail(err, TR_UNSUPPORTED, "library \"%s%s\" is not compatible with this version of tagrec", name, DLSUFFIX);
	snprintf(err->hint, sizeof(err->hint), "Install libraries of the same version with \"make install\".");
	return NULL;
}

/*
 * Threads that a library starts inherit the mask of the thread that starts them: with everything blocked, signals go to the
 * main thread alone. OpenBLAS must not start threads of its own; the CPU backend splits the work itself.
 */
static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, before);
}

static TrStatus
open_quietly(const char *name, const TrBackendConfig *config, TrBackend **backend, TrError *err)
{
	const TrBackendOps *ops;
	TrStatus	status = TR_UNSUPPORTED;
	sigset_t	before;

	block_signals(&before);
	ops = load_library(name, err);
	if (ops)
		status = ops->open(backend, config, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

static const char *
reason(const TrError *err)
{
	return err->detail[0] ? psprintf("%s: %s", err->message, err->detail) : pstrdup(err->message);
}

/* NULL if 'auto' can use the CPU instead. */
static TrBackend *
open_cuda(TagrecDeviceKind kind, const TrBackendConfig *config)
{
	TrBackend  *backend = NULL;
	TrError		err = {0};

	if (open_quietly("tagrec_cuda", config, &backend, &err) == TR_OK)
		return backend;
	if (kind == TAGREC_CUDA)
		ereport(ERROR,
				(errcode(err.status == TR_NO_MEMORY ? ERRCODE_OUT_OF_MEMORY : ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("device \"cuda\" is not available"),
				 errdetail("%s", tagrec_sentence(reason(&err))),
				 errhint("%s", err.hint[0] ? err.hint : "Use device => 'cpu' or 'auto' to train on the CPU.")));
	ereport(NOTICE,
			(errmsg("training on the CPU because device \"cuda\" is not available"),
			 errdetail("%s", tagrec_sentence(reason(&err))),
			 errhint("Use device => 'cpu' to suppress this notice.")));
	return NULL;
}

TrBackend *
tagrec_backend_open(TagrecDevice device, int threads, TrPrecision precision)
{
	TrBackendConfig config = {.threads = threads, .device = device.number, .precision = precision};
	TrBackend  *backend = NULL;
	TrError		err = {0};

	if (device.kind == TAGREC_CUDA || (device.kind == TAGREC_AUTO && is_installed("tagrec_cuda")))
		backend = open_cuda(device.kind, &config);
	if (!backend)
		tagrec_check(open_quietly("tagrec_cpu", &config, &backend, &err), &err);
	if (backend->shortfall)
		ereport(NOTICE,
				(errmsg("matrices are multiplied in fp32 because precision \"%s\" is not available",
						precision == TR_TF32 ? "tf32" : "bf16"),
				 errdetail("%s", tagrec_sentence(backend->shortfall))));
	return backend;
}

int
tagrec_backend_devices(TrDevice *devices, int most, char *reason_text, size_t size)
{
	const TrBackendOps *ops = NULL;
	TrError		err = {0};
	sigset_t	before;
	int			count = -1;

	if (!is_installed("tagrec_cuda"))
		tr_fail(&err, TR_UNSUPPORTED, "library \"tagrec_cuda\" is not installed");
	else
	{
		block_signals(&before);
		ops = load_library("tagrec_cuda", &err);
		if (ops && ops->devices)
			count = ops->devices(devices, most, &err);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	strlcpy(reason_text, count < 0 ? reason(&err) : "", size);
	return Min(count, most);
}
