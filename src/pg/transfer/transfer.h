/*
 * A version of a model as one value, and back: tagrec_export() and tagrec_import().
 *
 * The archive (safetensors.h) has the version's row of the registry as JSON in its metadata, and for each column of the
 * relations of users, items, tags and neighbours (columns.h) tensors named after both:
 *
 *   user.embedding     F32 (U,width)
 *   item.posts         I32 (I)         a number a row
 *   user.seen          I32 (n)         arrays, one after the other; user.seen.end I64 (U) says where each ends
 *   tag.tag            U8 (n)          texts, ids among them, in UTF-8; tag.tag.end I64 (T), in bytes
 *   weight.W1          F32 (rows,cols) a weight of the network
 *
 * Rows are in the order of the keys; items and tags so have their positions' order.
 */
#ifndef TAGREC_TRANSFER_H
#define TAGREC_TRANSFER_H

#include "postgres.h"

#include "pg/store/columns.h"
#include "pg/transfer/safetensors.h"

/* What stands for a column of columns.h. */
typedef struct TagrecArchiveColumn
{
	int			place;			/* in columns.h */
	Oid			type;			/* InvalidOid = that of the key */
	TagrecDtype dtype;
	bool		embedding;		/* a matrix */
	char	   *values;			/* the name of the tensor of its values */
	char	   *ends;			/* and of the one that says where each row's end; NULL = rows have one value, or embedding */
} TagrecArchiveColumn;

extern TagrecArchiveColumn tagrec_archive_column(TagrecRelation which, int place);

/* Ids as text, and back, whatever the session's settings: to be called while acting as somebody. */
extern void tagrec_archive_text_settings(void);

/*
 * ereport(ERROR) unless every row of the version is what serving it would accept. It must be visible to the active
 * snapshot.
 */
extern void tagrec_verify(const TagrecVersion *version);

#endif
