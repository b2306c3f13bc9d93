/*
 * tagrec_mapped_rows(), tagrec_search_counts(): what is shared between sessions, and how a session's searches went.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/mapped_files.h"
#include "pg/serve/search.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_mapped_rows);
PG_FUNCTION_INFO_V1(tagrec_search_counts);

Datum
tagrec_mapped_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n;
	TagrecMappedFile *files = tagrec_mapped_files(&n);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		Datum		values[3] = {
			ObjectIdGetDatum(files[i].relation),
			Int64GetDatum((int64) files[i].bytes),
			TimestampTzGetDatum(time_t_to_timestamptz(files[i].used))
		};
		bool		nulls[3] = {false, false, false};

		if (files[i].database == MyDatabaseId && files[i].complete)
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
tagrec_search_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const TagrecSearchCounts *counts = tagrec_searches();
	Datum		values[4] = {
		Int64GetDatum(counts->searches),
		Int64GetDatum(counts->by_bounds),
		Int64GetDatum(counts->rows),
		Int64GetDatum(counts->scored)
	};
	bool		nulls[4] = {false, false, false, false};

	InitMaterializedSRF(fcinfo, 0);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
