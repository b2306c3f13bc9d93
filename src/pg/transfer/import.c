/*
 * tagrec_import(): see transfer.h.
 *
 * It writes a version as the worker does that has trained one, in the caller's transaction: the partitions, filled from the
 * archive; the row of the registry, whose constraints hold; then it reads everything back as serving would, and deploys it.
 * An archive may be anything: the tensors are looked at for their sizes before they are read, and for their contents by
 * tagrec_verify().
 */
#include "pg/transfer/transfer.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pg/base/id.h"
#include "pg/base/identity.h"
#include "pg/base/tagrec.h"
#include "pg/registry/version_write.h"
#include "pg/source/source.h"
#include "pg/store/place.h"
#include "pg/store/row_writer.h"
#include "pg/train/job_prune.h"
#include "pg/train/submit.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(tagrec_import);

/* A column of the rows that are written. */
typedef struct Column
{
	TagrecArchiveColumn is;
	const TagrecTensor *values;
	const TagrecTensor *ends;
} Column;

typedef struct Import
{
	TagrecArchive archive;
	TagrecSource source;		/* the types of the keys, the name of what it was trained on */
	Jsonb	   *row;			/* of the registry */
	Column		column[TAGREC_MOST_COLUMNS];
	int			columns;
	TagrecKeyInput input;		/* of the keys */
	int64		rows[TAGREC_NEIGHBOURS + 1];	/* of each relation */
} Import;

/* ------------------------------------------------------------------ metadata */

/* NULL when there is none, or it is no text. */
static char *
metadata_text(const Import *import, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&import->row->root, name, strlen(name), NULL);

	return value && value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

static TagrecKeyType
key_type(const Import *import, const char *name)
{
	char	   *type = metadata_text(import, name);
	TagrecKeyType key;

	if (!type)
		tagrec_archive_wrong(psprintf("Its metadata have no \"%s\".", name));
	key.type = DatumGetObjectId(DirectFunctionCall1(regtypein, CStringGetDatum(type)));
	tagrec_check_key_type(key.type, name);
	key.collation = get_typcollation(key.type);
	return key;
}

static void
check_source_name(const char *name)
{
	if (!name || list_length(textToQualifiedNameList(cstring_to_text(name))) != 2)
		tagrec_archive_wrong("Its metadata have no schema-qualified name of a source.");
}

static void
read_metadata(Import *import)
{
	import->row = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(import->archive.metadata)));
	if (!JB_ROOT_IS_OBJECT(import->row))
		tagrec_archive_wrong("Its metadata are not those of a model.");
	import->source.name = metadata_text(import, "source");
	check_source_name(import->source.name);
	import->source.user = key_type(import, "user_type");
	import->source.item = key_type(import, "item_type");
}

/* ------------------------------------------------------------------ rows */

static const TagrecTensor *
find(const Import *import, const char *name, TagrecDtype dtype, int dims)
{
	const TagrecTensor *tensor = tagrec_archive_find(&import->archive, name, dtype, dims);

	if (!tensor)
		tagrec_archive_wrong(psprintf("There is no tensor \"%s\".", name));
	return tensor;
}

static void
add_column(Import *import, TagrecRelation which, int place)
{
	Column	   *column = &import->column[import->columns++];

	column->is = tagrec_archive_column(which, place);
	column->values = find(import, column->is.values, column->is.dtype, column->is.embedding ? 2 : 1);
	column->ends = column->is.ends ? find(import, column->is.ends, TAGREC_I64, 1) : NULL;
}

static int64
rows_of(const Column *column)
{
	return column->ends ? column->ends->shape[0] : column->values->shape[0];
}

static int64
end_of(const Column *column, int64 row)
{
	int64		end = 0;

	if (row >= 0)
		memcpy(&end, column->ends->data + row * sizeof(int64), sizeof(int64));
	return end;
}

/* All columns have as many rows, and the ends ascend to the last value. */
static int64
check_columns(const Import *import)
{
	int64		rows = rows_of(&import->column[0]);

	for (int i = 0; i < import->columns; i++)
	{
		const Column *column = &import->column[i];

		if (rows_of(column) != rows)
			tagrec_archive_wrong(psprintf("Tensor \"%s\" has another number of rows than \"%s\".", column->values->name,
										  import->column[0].values->name));
		if (!column->ends)
			continue;
		for (int64 row = 0; row < rows; row++)
			if (end_of(column, row) < end_of(column, row - 1) || end_of(column, row) > column->values->shape[0])
				tagrec_archive_wrong(psprintf("Tensor \"%s\" does not ascend.", column->ends->name));
		if (end_of(column, rows - 1) != column->values->shape[0])
			tagrec_archive_wrong(psprintf("Tensor \"%s\" does not end with the last value.", column->ends->name));
	}
	return rows;
}

static char *
read_text(const char *data, int64 length)
{
	if (memchr(data, '\0', length))
		tagrec_archive_wrong("A text contains a zero byte.");
	return pg_any_to_server(pnstrdup(data, length), (int) length, PG_UTF8);
}

/* The value of a row, and its bytes added to the row's. */
static Datum
read_value(Import *import, const Column *column, int64 row, Size *bytes)
{
	int64		width = column->values->dims == 2 ? column->values->shape[1] : 1;
	int64		first = column->ends ? end_of(column, row - 1) : row * width;
	int64		n = column->ends ? end_of(column, row) - first : width;
	int32		number;

	*bytes += n * 4;
	if (column->is.type == INT4ARRAYOID || column->is.type == FLOAT4ARRAYOID)
		return tagrec_array_of(column->values->data + first * 4, n, column->is.type == INT4ARRAYOID ? INT4OID : FLOAT4OID);
	if (column->is.type == INT4OID)
	{
		memcpy(&number, column->values->data + first * 4, 4);
		return Int32GetDatum(number);
	}
	if (column->is.type == TEXTOID)
		return CStringGetTextDatum(read_text(column->values->data + first, n));
	return tagrec_key_read(&import->input, read_text(column->values->data + first, n));
}

static void
import_relation(Import *import, const TagrecPlace *place, TagrecRelation which)
{
	TagrecWriter writer;
	int64		rows;

	import->columns = 0;
	for (int i = 1; i < tagrec_layout[which].columns; i++)
		add_column(import, which, i);
	import->rows[which] = rows = check_columns(import);
	if (which == TAGREC_USERS || which == TAGREC_ITEMS)
		tagrec_key_input(&import->input, which == TAGREC_USERS ? import->source.user.type : import->source.item.type);
	tagrec_writer_open(&writer, place, which);
	for (int64 row = 0; row < rows; row++)
	{
		Datum	   *values = tagrec_writer_row(&writer);
		Size		bytes = 0;

		for (int i = 0; i < import->columns; i++)
			values[import->column[i].is.place] = read_value(import, &import->column[i], row, &bytes);
		tagrec_writer_add(&writer, bytes);
	}
	tagrec_writer_close(&writer);
}

static void
import_weights(const Import *import, const TagrecPlace *place)
{
	TrTensor   *weights = palloc0((list_length(import->archive.tensors) + 1) * sizeof(TrTensor));
	const char *prefix = "weight.";
	int			count = 0;
	ListCell   *cell;

	foreach(cell, import->archive.tensors)
	{
		const TagrecTensor *tensor = lfirst(cell);
		float	   *value;

		/* there may be millions */
		CHECK_FOR_INTERRUPTS();
		if (strncmp(tensor->name, prefix, strlen(prefix)) != 0)
			continue;
		if (tensor->dtype != TAGREC_F32 || tensor->dims != 2)
			tagrec_archive_wrong(psprintf("Tensor \"%s\" must be of type F32 with 2 dimensions.", tensor->name));
		if (tensor->shape[0] > PG_INT32_MAX || tensor->shape[1] > PG_INT32_MAX ||
			strlen(tensor->name + strlen(prefix)) >= sizeof(weights->name))
			tagrec_archive_wrong(psprintf("Tensor \"%s\" is too large, or its name is too long.", tensor->name));
		/* aligned */
		value = palloc_extended(tensor->bytes + 1, MCXT_ALLOC_HUGE);
		memcpy(value, tensor->data, tensor->bytes);
		strlcpy(weights[count].name, tensor->name + strlen(prefix), sizeof(weights[count].name));
		weights[count].rows = (int32) tensor->shape[0];
		weights[count].cols = (int32) tensor->shape[1];
		weights[count++].value = value;
	}
	tagrec_store_weights(place, weights, count);
}

/* ------------------------------------------------------------------ the function */

static void
write_version(Import *import, const TagrecPlace *place, Oid owner)
{
	TagrecActing before = tagrec_act_as(owner);

	tagrec_archive_text_settings();
	tagrec_store_begin(place);
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
		if (which == TAGREC_WEIGHTS)
			import_weights(import, place);
		else
			import_relation(import, place, which);
	tagrec_store_end(place);
	tagrec_act_again(before);
	tagrec_version_import(place->model_id, place->version, import->row);
	tagrec_result_insert(place->model_id, place->version, tagrec_place_bytes(place));
}

/* With a snapshot that sees what was written. Returns how many old versions are to be kept. */
static int
verify(const Import *import, const TagrecPlace *place)
{
	TagrecVersion *version;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	version = tagrec_version_find(place->model, place->version);
	if (version->users != import->rows[TAGREC_USERS] || version->items != import->rows[TAGREC_ITEMS] ||
		version->tags != import->rows[TAGREC_TAGS])
		tagrec_archive_wrong("The numbers of users, items and tags in its metadata are not those of its tensors.");
	tagrec_verify(version);
	PopActiveSnapshot();
	return tagrec_options_read(tagrec_algorithm(version->algorithm), version->options)->train.keep_versions;
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"model", "archive", NULL, "deploy"};

	for (int i = 0; i < lengthof(names); i++)
		if (names[i] && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %s of tagrec_import must not be null", names[i])));
}

Datum
tagrec_import(PG_FUNCTION_ARGS)
{
	Import	   *import = palloc0(sizeof(Import));
	TagrecOptions options = {0};
	TagrecPlace place;
	char	   *model;
	char	   *schema;
	Oid			owner;
	int			keep;

	check_arguments(fcinfo);
	tagrec_submit_check_server("tagrec_import()");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	tagrec_check_model_name(model);
	tagrec_archive_unpack(&import->archive, PG_GETARG_BYTEA_PP(1));
	read_metadata(import);
	options.schema = PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2));
	schema = tagrec_submit_schema(model, &options, &import->source);
	owner = tagrec_place_prepare(model, schema, &import->source, true, &place);
	write_version(import, &place, owner);
	if (PG_GETARG_BOOL(3) || place.version == 1)
		tagrec_model_deploy(place.model_id, place.version);
	keep = verify(import, &place);
	/* in a longer transaction, readers would wait for its end; the next import, or job, drops them */
	if (!IsTransactionBlock())
		tagrec_prune_here(&place, keep);
	PG_RETURN_INT32(place.version);
}
