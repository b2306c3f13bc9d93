/*
 * What the steps of a training share: backend memory that grows and is used again, and the host arrays of a batch in one
 * transfer, because a GPU pays for each.
 */
#ifndef TR_UPLOAD_H
#define TR_UPLOAD_H

#include "models/base.h"

/* Backend memory that grows and is used again in the next step. Zeroed = empty. */
typedef struct TrBuffer
{
	void	   *data;
	size_t		bytes;
} TrBuffer;

/* buffer has room for so many bytes; what was in it is lost when it had to grow */
extern TrStatus tr_reserve(TrModel *model, TrBuffer *buffer, size_t bytes, TrError *err);
extern TrStatus tr_reserve_floats(TrModel *model, TrBuffer *buffer, int64_t rows, int64_t columns, TrError *err);

/* A host array, and the pointer that is to say where it lies in backend memory. */
typedef struct TrPiece
{
	void	  **target;
	const void *source;
	size_t		bytes;
} TrPiece;

/* Both sides of the transfer. Zeroed = empty. */
typedef struct TrUpload
{
	TrBuffer	device;
	char	   *staging;
	size_t		staging_bytes;
} TrUpload;

/* The pieces, one behind the other, each on an address that is a multiple of 64 bytes; they stay until the next upload. */
extern TrStatus tr_upload(TrModel *model, TrUpload *upload, const TrPiece *piece, int n, TrError *err);

#endif
