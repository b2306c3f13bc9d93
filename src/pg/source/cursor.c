/*
 * Fetching batches of rows. See cursor.h.
 */
#include "pg/source/cursor.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

uint64
tagrec_fetch_rows(Portal portal, int most, MemoryContext scratch,
				  void (*take) (void *argument, HeapTuple row, TupleDesc desc), void *argument)
{
	uint64		count;

	SPI_cursor_fetch(portal, true, most);
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		MemoryContext before = MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		take(argument, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(before);
		MemoryContextReset(scratch);
	}
	SPI_freetuptable(SPI_tuptable);
	return count;
}
