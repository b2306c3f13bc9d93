/*
 * Backend memory of a training's steps. See upload.h.
 */
#include <string.h>

#include "models/nn/upload.h"

TrStatus
tr_reserve(TrModel *model, TrBuffer *buffer, size_t bytes, TrError *err)
{
	if (buffer->bytes >= bytes)
		return TR_OK;
	tr_device_free(model, buffer->data);
	*buffer = (TrBuffer) {.data = tr_device_new(model, bytes + bytes / 8)};
	buffer->bytes = buffer->data ? bytes + bytes / 8 : 0;
	return tr_enough_memory(model, err, "a training step, %zu MB", bytes >> 20);
}

TrStatus
tr_reserve_floats(TrModel *model, TrBuffer *buffer, int64_t rows, int64_t columns, TrError *err)
{
	return tr_reserve(model, buffer, (size_t) (rows * columns + 16) * sizeof(float), err);
}

/* A piece ends where the next one may start. */
static size_t
padded(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static TrStatus
reserve_staging(TrModel *model, TrUpload *upload, size_t bytes, TrError *err)
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
tr_upload(TrModel *model, TrUpload *upload, const TrPiece *piece, int n, TrError *err)
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
		if (piece[i].bytes > 0)
			memcpy(upload->staging + total, piece[i].source, piece[i].bytes);
		total += padded(piece[i].bytes);
	}
	model->backend->ops->upload(model->backend, upload->device.data, upload->staging, total);
	return TR_OK;
}
