/*
 * Writing the rows of a new partition: through the table access method, in batches, as in COPY. The tables are new, not
 * visible to others, and have neither indexes nor triggers yet.
 */
#ifndef TAGREC_ROW_WRITER_H
#define TAGREC_ROW_WRITER_H

#include "postgres.h"

#include "access/heapam.h"
#include "executor/tuptable.h"
#include "pg/store/columns.h"
#include "pg/store/write.h"

#define TAGREC_BATCH_ROWS 64

typedef struct TagrecWriter
{
	Relation	relation;
	int			columns;		/* that are written */
	int32		version;
	BulkInsertState bulk;
	TupleTableSlot *slot[TAGREC_BATCH_ROWS];
	int			waiting;
	Size		bytes;			/* of the waiting rows' arrays */
	MemoryContext rows;			/* values of the waiting rows */
	MemoryContext outside;		/* while a row is made */
	Datum		values[TAGREC_MOST_COLUMNS];	/* of the row that is made */
} TagrecWriter;

extern void tagrec_writer_open(TagrecWriter *writer, const TagrecPlace *place, TagrecRelation which);

/* The values of a row, with its version, to be filled and then added; until then, what is allocated lives as long as it. */
extern Datum *tagrec_writer_row(TagrecWriter *writer);

/* bytes = about what the row's arrays take */
extern void tagrec_writer_add(TagrecWriter *writer, Size bytes);
extern void tagrec_writer_close(TagrecWriter *writer);

/* A one-dimensional array of 4-byte values, in the current memory context. */
extern Datum tagrec_array_of(const void *values, int64 count, Oid type);

#endif
