/*
 * Writing the rows of a new partition. See row_writer.h.
 */
#include "pg/store/row_writer.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define BATCH_BYTES ((Size) 1 << 20)

void
tagrec_writer_open(TagrecWriter *writer, const TagrecPlace *place, TagrecRelation which)
{
	char	   *relname = tagrec_partition_relname(place->model, which, place->version);

	memset(writer, 0, sizeof(*writer));
	writer->relation = table_open(tagrec_model_relation(place->schema, relname), RowExclusiveLock);
	tagrec_check_writable(RelationGetRelid(writer->relation), which);
	writer->columns = tagrec_layout[which].columns;
	writer->version = place->version;
	writer->bulk = GetBulkInsertState();
	writer->rows = AllocSetContextCreate(CurrentMemoryContext, "tagrec rows", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < TAGREC_BATCH_ROWS; i++)
		writer->slot[i] = table_slot_create(writer->relation, NULL);
}

static void
writer_flush(TagrecWriter *writer)
{
	if (writer->waiting > 0)
		table_multi_insert(writer->relation, writer->slot, writer->waiting, GetCurrentCommandId(true), 0, writer->bulk);
	for (int i = 0; i < writer->waiting; i++)
		ExecClearTuple(writer->slot[i]);
	writer->waiting = 0;
	writer->bytes = 0;
	MemoryContextReset(writer->rows);
}

Datum *
tagrec_writer_row(TagrecWriter *writer)
{
	writer->outside = MemoryContextSwitchTo(writer->rows);
	writer->values[0] = Int32GetDatum(writer->version);
	return writer->values;
}

void
tagrec_writer_add(TagrecWriter *writer, Size bytes)
{
	TupleTableSlot *slot = writer->slot[writer->waiting];
	int			added = slot->tts_tupleDescriptor->natts - writer->columns;

	MemoryContextSwitchTo(writer->outside);
	CHECK_FOR_INTERRUPTS();
	ExecClearTuple(slot);
	memcpy(slot->tts_values, writer->values, writer->columns * sizeof(Datum));
	memset(slot->tts_isnull, false, writer->columns * sizeof(bool));
	/* by the owner */
	memset(slot->tts_isnull + writer->columns, true, added * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	writer->waiting++;
	writer->bytes += bytes;
	if (writer->waiting == TAGREC_BATCH_ROWS || writer->bytes >= BATCH_BYTES)
		writer_flush(writer);
}

void
tagrec_writer_close(TagrecWriter *writer)
{
	writer_flush(writer);
	for (int i = 0; i < TAGREC_BATCH_ROWS; i++)
		ExecDropSingleTupleTableSlot(writer->slot[i]);
	FreeBulkInsertState(writer->bulk);
	table_finish_bulk_insert(writer->relation, 0);
	table_close(writer->relation, NoLock);
	MemoryContextDelete(writer->rows);
}

Datum
tagrec_array_of(const void *values, int64 count, Oid type)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + count * 4;
	ArrayType  *array;

	if (count == 0)
		return PointerGetDatum(construct_empty_array(type));
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = type;
	ARR_DIMS(array)[0] = (int) count;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), values, count * 4);
	return PointerGetDatum(array);
}
