/*
 * tagrec_warm(). See warm.h.
 */
#include "pg/serve/warm.h"

#include <unistd.h>

#include "pg/serve/call.h"

PG_FUNCTION_INFO_V1(tagrec_warm);

/* The bytes of a part's file, 0 if it has none. One that is not as it was written is unlinked, and to be made again. */
static int64
check(const TagrecMapping *mapping, bool *again)
{
	if (!tagrec_mapping_is_right(mapping))
	{
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
					  errmsg("file \"%s\" is made again because its checksum is wrong", mapping->path)));
		*again = unlink(mapping->path) == 0;
	}
	return (int64) mapping->bytes;
}

static int64
warm(const char *model, bool *again)
{
	TagrecCall *call = tagrec_call_begin_for(model, TAGREC_ASKS_ANY);
	int64		bytes = 0;

	*again = false;
	if (call->version->features)
		bytes += check(&tagrec_call_neighbours(call)->mapping, again);
	bytes += check(&tagrec_call_items(call)->mapping, again);
	tagrec_call_end(call);
	return bytes;
}

int64
tagrec_warm_model(const char *model)
{
	bool		again;
	int64		bytes = warm(model, &again);

	if (!again)
		return bytes;
	tagrec_served_let_go();
	return warm(model, &again);
}

Datum
tagrec_warm(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(tagrec_warm_model(tagrec_model_argument(fcinfo, 0)));
}
