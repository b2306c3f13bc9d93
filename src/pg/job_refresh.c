/*
 * Refreshing: current profiles, encoded by the network of the deployed version. See job.h.
 */
#include "job_run.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "store.h"
#include "store_write.h"
#include "tagrec.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define FETCH_TAGS 10000

/* Fails when the version has been dropped since the job was asked for. */
static TagrecVersion *
version_of(TagrecRun *run)
{
	return tagrec_version_find(run->request->model, run->request->version);
}

static void
for_each_row(const char *query, int fetch, void (*take) (TagrecRun *run, HeapTuple tuple, TupleDesc desc), TagrecRun *run)
{
	Portal		cursor;
	uint64		count;

	SPI_connect();
	cursor = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, fetch);
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
			take(run, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
	} while (count > 0);
	SPI_cursor_close(cursor);
	SPI_finish();
}

/* In the order of their positions, so that a tag's key is its position. */
static void
take_tag(TagrecRun *run, HeapTuple tuple, TupleDesc desc)
{
	char	   *tag = SPI_getvalue(tuple, desc, 1);

	tagrec_keys_intern(&run->data.tags, tag, strlen(tag));
}

void
tagrec_refresh_vocabulary(TagrecRun *run)
{
	TagrecVersion *version = version_of(run);

	for_each_row(psprintf("SELECT tag FROM %s ORDER BY \"position\"", tagrec_partition_name(version, TAGREC_TAGS)),
				 FETCH_TAGS, take_tag, run);
	if (run->data.tags.count != version->tags)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of model \"%s\" does not hold its %d tags", version->version, version->model,
						version->tags),
				 errhint("Rows of a version must not be changed. Train the model again.")));
	run->data.tags.closed = true;
}

static TrTensor *
tensor_named(TagrecRun *run, const char *name, int32 rows, int32 cols)
{
	TrTensor   *last = run->n_tensors > 0 ? &run->tensors[run->n_tensors - 1] : NULL;

	if (last && strcmp(last->name, name) == 0)
		return last;
	run->tensors = tr_realloc(&run->memory, run->tensors, (run->n_tensors + 1) * sizeof(TrTensor));
	if (!run->tensors)
		tagrec_out_of_memory(&run->memory);
	last = &run->tensors[run->n_tensors++];
	strlcpy(last->name, name, sizeof(last->name));
	last->rows = rows;
	last->cols = cols;
	last->value = tagrec_calloc(&run->memory, (Size) rows * cols, sizeof(float));
	return last;
}

/* Columns: name, rows, cols, value, first row of the part. */
static void
take_part(TagrecRun *run, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	char	   *name = SPI_getvalue(tuple, desc, 1);
	int32		rows = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
	int32		cols = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
	Datum		stored = SPI_getbinval(tuple, desc, 4, &isnull);
	ArrayType  *value = DatumGetArrayTypeP(stored);
	int64		before = DatumGetInt64(SPI_getbinval(tuple, desc, 5, &isnull));
	int64		n = ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value));
	TrTensor   *tensor = tensor_named(run, name, rows, cols);

	if (before + n > (int64) tensor->rows * tensor->cols)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("weight \"%s\" of model \"%s\" is longer than it should be", name, run->request->model)));
	memcpy(tensor->value + before, ARR_DATA_PTR(value), n * sizeof(float));
	if ((Pointer) value != DatumGetPointer(stored))
		pfree(value);
}

static void
read_weights(TagrecRun *run, const TagrecVersion *version)
{
	for_each_row(psprintf("SELECT name, rows, cols, value, (COALESCE(pg_catalog.sum(pg_catalog.cardinality(value))"
						  " OVER (PARTITION BY name ORDER BY part ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))"
						  "::int8 FROM %s ORDER BY name, part", tagrec_partition_name(version, TAGREC_WEIGHTS)),
				 1, take_part, run);
}

void
tagrec_refresh_model(TagrecRun *run)
{
	TagrecVersion *version = version_of(run);
	TrError		err = {0};

	read_weights(run, version);
	run->backend = tagrec_backend_open(tagrec_device(run->request->device), run->request->threads);
	tagrec_check(tr_model_load(&run->model, run->options->algorithm, &run->memory, run->backend, version->tags,
							   run->options->values, run->tensors, run->n_tensors, &err), &err);
	run->backend_bytes = run->backend->ops->allocated(run->backend);
}
