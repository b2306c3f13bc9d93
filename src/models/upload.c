/*
 * Backend memory of a training's steps. See upload.h.
 */
#include <stdio.h>
#include <string.h>

#include "models/upload.h"

TrStatus
tr_backend_full(const TrModel *model, const char *what, TrError *err)
{
	TrBackend  *b = model->backend;

	tr_fail(err, TR_NO_MEMORY, "out of memory: the %s backend has no %s", b->ops->name, what);
	if (b->ops->shortage)
		b->ops->shortage(b, err);
	return TR_NO_MEMORY;
}

TrStatus
tr_reserve(const TrModel *model, TrBuffer *buffer, size_t bytes, TrError *err)
{
	TrBackend  *b = model->backend;
	char		what[64];

	if (buffer->bytes >= bytes)
		return TR_OK;
	b->ops->release(b, buffer->data);
	buffer->bytes = bytes + bytes / 8;
	buffer->data = b->ops->alloc(b, buffer->bytes);
	if (buffer->data)
		return TR_OK;
	buffer->bytes = 0;
	snprintf(what, sizeof(what), "%zu MB for a training step", bytes >> 20);
	return tr_backend_full(model, what, err);
}

TrStatus
tr_reserve_floats(const TrModel *model, TrBuffer *buffer, int64_t rows, int64_t columns, TrError *err)
{
	return tr_reserve(model, buffer, (size_t) (rows * columns + 16) * sizeof(float), err);
}

void
tr_buffer_release(const TrModel *model, TrBuffer *buffer)
{
	model->backend->ops->release(model->backend, buffer->data);
	*buffer = (TrBuffer) {0};
}

/* A piece ends where the next one may start. */
static size_t
padded(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static TrStatus
reserve_staging(const TrModel *model, TrUpload *upload, size_t bytes, TrError *err)
{
	if (upload->staging_bytes >= bytes)
		return TR_OK;
	tr_free(model->memory, upload->staging);
	upload->staging_bytes = bytes + bytes / 8;
	upload->staging = tr_calloc(model->memory, upload->staging_bytes, 1);
	if (upload->staging)
		return TR_OK;
	upload->staging_bytes = 0;
	return tr_fail(err, TR_NO_MEMORY, "out of memory for a batch");
}

TrStatus
tr_upload(const TrModel *model, TrUpload *upload, const TrPiece *piece, int n, TrError *err)
{
	size_t		total = 0;

	for (int i = 0; i < n; i++)
		total += padded(piece[i].bytes);
	TR_TRY(tr_reserve(model, &upload->device, total + 64, err));
	TR_TRY(reserve_staging(model, upload, total, err));
	total = 0;
	for (int i = 0; i < n; i++)
	{
		*piece[i].target = (char *) upload->device.data + total;
		memcpy(upload->staging + total, piece[i].source, piece[i].bytes);
		total += padded(piece[i].bytes);
	}
	model->backend->ops->upload(model->backend, upload->device.data, upload->staging, total);
	return TR_OK;
}

void
tr_upload_release(const TrModel *model, TrUpload *upload)
{
	tr_buffer_release(model, &upload->device);
	tr_free(model->memory, upload->staging);
	*upload = (TrUpload) {0};
}
