/*
 * tagrec_warm(). See warm.h.
 */
#include "pg/serve/warm.h"

#include "pg/serve/call.h"

PG_FUNCTION_INFO_V1(tagrec_warm);

int64
tagrec_warm_model(const char *model)
{
	TagrecCall *call = tagrec_call_begin_for(model, TAGREC_ASKS_ANY);
	int64		bytes = 0;

	if (call->version->features)
		bytes += tagrec_call_neighbours(call)->mapping.bytes;
	bytes += tagrec_call_items(call)->mapping.bytes;
	tagrec_call_end(call);
	return bytes;
}

Datum
tagrec_warm(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(tagrec_warm_model(tagrec_model_argument(fcinfo, 0)));
}
