/*
 * The reference backend: its memory and its table. Backend memory is host memory, an operation is done when it returns.
 */
#include "core/plain.h"

#include <stdlib.h>
#include <string.h>

static TrPlain *
plain_of(TrBackend *b)
{
	return (TrPlain *) b;
}

static TrStatus
plain_open(TrBackend **backend, const TrBackendConfig *config, TrError *err)
{
	TrPlain    *plain = calloc(1, sizeof(TrPlain));

	(void) config;
	if (!plain)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	plain->base.ops = &tr_plain_ops;
	tr_memory_init(&plain->memory, 0);
	*backend = &plain->base;
	return TR_OK;
}

static void
plain_close(TrBackend *b)
{
	if (!b)
		return;
	tr_memory_release(&plain_of(b)->memory);
	free(b);
}

static const char *
plain_describe(TrBackend *b)
{
	(void) b;
	return "plain, 1 thread";
}

static void *
plain_alloc(TrBackend *b, size_t bytes)
{
	return tr_alloc(&plain_of(b)->memory, bytes);
}

static void
plain_release(TrBackend *b, void *p)
{
	tr_free(&plain_of(b)->memory, p);
}

static size_t
plain_allocated(TrBackend *b)
{
	return plain_of(b)->memory.used;
}

static void
plain_copy(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	(void) b;
	if (bytes > 0)
		memcpy(dst, src, bytes);
}

static void
plain_zero(TrBackend *b, void *dst, size_t bytes)
{
	(void) b;
	if (bytes > 0)
		memset(dst, 0, bytes);
}

static TrStatus
plain_finish(TrBackend *b, TrError *err)
{
	TrError    *error = &plain_of(b)->error;

	if (error->status != TR_OK && err)
		*err = *error;
	return error->status;
}

void *
tr_plain_scratch(TrBackend *b, size_t bytes)
{
	TrPlain    *plain = plain_of(b);
	void	   *scratch = tr_alloc(&plain->memory, bytes);

	if (!scratch && plain->error.status == TR_OK)
		tr_fail(&plain->error, TR_NO_MEMORY, "out of memory");
	return scratch;
}

const TrBackendOps tr_plain_ops = {
	.api_version = TR_BACKEND_API_VERSION,
	.name = "plain",
	.open = plain_open,
	.close = plain_close,
	.describe = plain_describe,
	.alloc = plain_alloc,
	.release = plain_release,
	.allocated = plain_allocated,
	.upload = plain_copy,
	.download = plain_copy,
	.zero = plain_zero,
	.finish = plain_finish,
#define OPERATION(name, parameters) .name = tr_plain_##name,
#include "core/operations.h"
};
