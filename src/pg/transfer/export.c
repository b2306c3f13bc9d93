/*
 * tagrec_export(): see transfer.h.
 *
 * The tables are read as serving reads them, so what an archive holds has been checked. The caller must own the model: an
 * archive has everybody's items, which a role that may only ask the model need not see.
 */
#include "pg/transfer/transfer.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pg/base/id.h"
#include "pg/base/identity.h"
#include "pg/base/keys.h"
#include "pg/base/tagrec.h"
#include "pg/registry/version_write.h"
#include "pg/store/version_read.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(tagrec_export);

static const char *const relations[] = {"user", "item", "tag", "weight", "neighbour"};

static TagrecDtype
dtype_of(Oid type)
{
	switch (type)
	{
		case FLOAT4ARRAYOID:
			return TAGREC_F32;
		case INT4ARRAYOID:
		case INT4OID:
			return TAGREC_I32;
		default:
			return TAGREC_U8;
	}
}

TagrecArchiveColumn
tagrec_archive_column(TagrecRelation which, int place)
{
	const TagrecColumn *of = &tagrec_layout[which].column[place];
	TagrecArchiveColumn column = {.place = place, .type = of->type, .dtype = dtype_of(of->type)};

	column.embedding = strcmp(of->name, "embedding") == 0;
	column.values = psprintf("%s.%s", relations[which], of->name);
	column.ends = of->type == INT4OID || column.embedding ? NULL : psprintf("%s.end", column.values);
	return column;
}

void
tagrec_archive_text_settings(void)
{
	static const char *const settings[][2] = {{"datestyle", "ISO, YMD"}, {"intervalstyle", "postgres"},
	{"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"timezone", "UTC"}};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* ------------------------------------------------------------------ relations */

/* A column of the rows that are read. */
typedef struct Column
{
	TagrecArchiveColumn is;
	TagrecTensor *values;
	TagrecTensor *ends;
} Column;

typedef struct Export
{
	TagrecArchive archive;
	const TagrecVersion *version;
	TagrecRelation relation;	/* that is read */
	Column		column[TAGREC_MOST_COLUMNS];
	int			columns;
	FmgrInfo	output;			/* of the keys, from the first row on */
	MemoryContext context;		/* outlives a row */
} Export;

static void
add_column(Export *export, TagrecRelation which, int place)
{
	Column	   *column = &export->column[export->columns++];

	column->is = tagrec_archive_column(which, place);
	column->values = tagrec_tensor_add(&export->archive, column->is.values, column->is.dtype);
	column->ends = column->is.ends ? tagrec_tensor_add(&export->archive, column->is.ends, TAGREC_I64) : NULL;
	if (column->is.embedding)
	{
		column->values->dims = 2;
		column->values->shape[1] = export->version->width;
	}
}

static void
append_text(TagrecTensor *tensor, const char *text)
{
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	tagrec_tensor_append(tensor, utf8, strlen(utf8));
}

static void
append_embedding(TagrecTensor *tensor, const TagrecScan *scan, int place)
{
	int			width = scan->table->version->width;
	float	   *embedding = palloc(Max(width, 1) * sizeof(float));

	tagrec_get_embedding(scan, place, embedding);
	tagrec_tensor_append(tensor, embedding, width);
	/* it counts rows */
	tensor->shape[0] -= width - 1;
}

static void
append_value(Export *export, const Column *column, const TagrecScan *scan)
{
	int32		n;
	int32		number;

	if (column->is.embedding)
		append_embedding(column->values, scan, column->is.place);
	else if (column->is.type == INT4OID)
	{
		number = tagrec_get_int(scan, column->is.place, PG_INT32_MAX);
		tagrec_tensor_append(column->values, &number, 1);
	}
	else if (column->is.type == TEXTOID)
		append_text(column->values, tagrec_get_text(scan, column->is.place));
	else if (export->relation == TAGREC_USERS && column->is.place == User_seen)
	{
		int32		disliked;
		int32	   *seen = tagrec_get_seen(scan, PG_INT32_MAX, &disliked, &n);

		tagrec_tensor_append(column->values, seen, disliked + n);
	}
	else if (column->is.type == INT4ARRAYOID)
	{
		int32	   *positions = tagrec_get_positions(scan, column->is.place, PG_INT32_MAX, false, &n);

		tagrec_tensor_append(column->values, positions, n);
	}
	else if (column->is.type == FLOAT4ARRAYOID)
	{
		float	   *numbers = tagrec_get_numbers(scan, column->is.place, &n);

		tagrec_tensor_append(column->values, numbers, n);
	}
	else
		append_text(column->values, OutputFunctionCall(&export->output, tagrec_get_key(scan, column->is.place)));
	if (column->ends)
		tagrec_tensor_append(column->ends, &column->values->shape[0], 1);
}

static void
export_row(void *argument, const TagrecScan *scan)
{
	Export	   *export = argument;

	if (OidIsValid(scan->table->key_type) && !OidIsValid(export->output.fn_oid))
		tagrec_key_output(scan->table->key_type, &export->output, export->context);
	for (int i = 0; i < export->columns; i++)
		append_value(export, &export->column[i], scan);
}

static void
export_relation(Export *export, TagrecRelation which)
{
	export->relation = which;
	export->columns = 0;
	export->output.fn_oid = InvalidOid;
	/* the version is in the metadata */
	for (int place = 1; place < tagrec_layout[which].columns; place++)
		add_column(export, which, place);
	tagrec_each_row(export->version, which, export_row, export);
}

static void
export_weights(Export *export)
{
	TrMemory	memory;
	int			count;
	TrTensor   *weights;

	tr_memory_init(&memory, 0);
	weights = tagrec_read_weights(export->version, &memory, &count);
	for (int i = 0; i < count; i++)
	{
		TagrecTensor *tensor = tagrec_tensor_add(&export->archive, psprintf("weight.%s", weights[i].name), TAGREC_F32);

		tagrec_tensor_append(tensor, weights[i].value, (int64) weights[i].rows * weights[i].cols);
		tensor->dims = 2;
		tensor->shape[0] = weights[i].rows;
		tensor->shape[1] = weights[i].cols;
	}
	tagrec_free_weights(&memory, weights, count);
	tr_memory_release(&memory);
}

/* ------------------------------------------------------------------ the function */

static void
export_version(Export *export)
{
	TagrecActing before = tagrec_act_as(export->version->owner);

	tagrec_archive_text_settings();
	for (TagrecRelation which = TAGREC_USERS; which <= TAGREC_NEIGHBOURS; which++)
		if (which == TAGREC_WEIGHTS)
			export_weights(export);
		else
			export_relation(export, which);
	tagrec_act_again(before);
}

Datum
tagrec_export(PG_FUNCTION_ARGS)
{
	Export		export = {{0}};
	TagrecVersion *version;
	char	   *model;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument model of tagrec_export must not be null")));
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	version = PG_ARGISNULL(1) ? tagrec_version_deployed(model) : tagrec_version_find(model, PG_GETARG_INT32(1));
	tagrec_check_owner(version);
	export.version = version;
	export.context = CurrentMemoryContext;
	export.archive.metadata = tagrec_version_json(version->model_id, version->version);
	export_version(&export);
	PG_RETURN_BYTEA_P(tagrec_archive_pack(&export.archive));
}
