/*
 * The format of an exported model: safetensors. A little-endian header length (8 bytes), the header (JSON, padded with
 * blanks to a multiple of 8), and the tensors' bytes, one after the other without a gap:
 *
 *   {"__metadata__": {"tagrec": "…"}, "user.embedding": {"dtype": "F32", "shape": [U,W], "data_offsets": [0,n]}, …}
 *
 * Offsets count from the end of the header. What is unpacked may be anything: sizes, names, types and offsets are checked
 * here, and what the tensors hold is for the caller to check.
 */
#ifndef TAGREC_SAFETENSORS_H
#define TAGREC_SAFETENSORS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "pg/base/compat.h"

#define TAGREC_METADATA "tagrec"

/* In the order in which they are packed: the widest first, so that every tensor is aligned. */
typedef enum TagrecDtype
{
	TAGREC_I64,
	TAGREC_I32,
	TAGREC_F32,
	TAGREC_U8
} TagrecDtype;

/* A vector, or a row-major matrix. */
typedef struct TagrecTensor
{
	char	   *name;
	TagrecDtype dtype;
	int			dims;			/* 1 or 2 */
	int64		shape[2];
	char	   *data;			/* need not be aligned when it was unpacked */
	Size		bytes;
	Size		room;			/* of one that grows */
} TagrecTensor;

typedef struct TagrecArchive
{
	List	   *tensors;		/* of TagrecTensor * */
	char	   *metadata;
} TagrecArchive;

/* A vector without elements, to be appended to; what is appended is counted in shape[0]. */
extern TagrecTensor *tagrec_tensor_add(TagrecArchive *archive, const char *name, TagrecDtype dtype);
extern void tagrec_tensor_append(TagrecTensor *tensor, const void *values, int64 count);

/* ereport(ERROR) when it would be larger than a bytea can be. */
extern bytea *tagrec_archive_pack(const TagrecArchive *archive);

/* ereport(ERROR) unless it is an archive that tagrec_archive_pack() could have made. Tensors point into packed. */
extern void tagrec_archive_unpack(TagrecArchive *archive, bytea *packed);

/* NULL when there is none; ereport(ERROR) when it has another type or number of dimensions. */
extern const TagrecTensor *tagrec_archive_find(const TagrecArchive *archive, const char *name, TagrecDtype dtype, int dims);

/* Raises the error for an archive with wrong contents. */
pg_noreturn extern void tagrec_archive_wrong(const char *what);

#endif
