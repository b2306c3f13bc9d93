/*
 * See host_backend.h.
 */
#include "host_backend.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* An operation that does nothing uses none of its arguments. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

typedef struct Host
{
	TrBackend	base;
	TrMemory	memory;
} Host;

static TrMemory *
memory_of(TrBackend *b)
{
	return &((Host *) b)->memory;
}

static TrStatus
host_open(TrBackend **backend, const TrBackendConfig *config, TrError *err)
{
	Host	   *host = calloc(1, sizeof(Host));

	if (!host)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	host->base.ops = &host_backend_ops;
	tr_memory_init(&host->memory, 0);
	*backend = &host->base;
	return TR_OK;
}

static void
host_close(TrBackend *b)
{
	if (!b)
		return;
	tr_memory_release(memory_of(b));
	free(b);
}

static const char *
describe(TrBackend *b)
{
	return "host, operations that do nothing";
}

static void *
alloc(TrBackend *b, size_t bytes)
{
	return tr_calloc(memory_of(b), 1, bytes);
}

static void
release(TrBackend *b, void *p)
{
	tr_free(memory_of(b), p);
}

static size_t
allocated(TrBackend *b)
{
	return memory_of(b)->used;
}

static void
copy(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	if (bytes > 0)
		memcpy(dst, src, bytes);
}

static TrStatus
finish(TrBackend *b, TrError *err)
{
	return TR_OK;
}

/* ------------------------------------------------------------------ operations */

static void
zero(TrBackend *b, void *dst, size_t bytes)
{
}

#define OPERATION(name, parameters) static void name parameters {}
#include "core/operations.h"

const TrBackendOps host_backend_ops = {
	.api_version = TR_BACKEND_API_VERSION,
	.name = "host",
	.open = host_open,
	.close = host_close,
	.describe = describe,
	.alloc = alloc,
	.release = release,
	.allocated = allocated,
	.upload = copy,
	.download = copy,
	.finish = finish,
	.zero = zero,
#define OPERATION(name, parameters) .name = name,
#include "core/operations.h"
};
