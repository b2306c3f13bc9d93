/*
 * Reading a version's rows. See version_row.h.
 */
#include "pg/registry/version_row.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "pg/registry/statement.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* X(kind, table, column, member of TagrecVersion); the tables as Rows has them */
#define VERSION_COLUMNS(X) \
	X(int, model, model_id, model_id) \
	X(text, model, model, model) \
	X(text, model, schema, schema) \
	X(int, version, version, version) \
	X(int, model, deployed_version, deployed_version) \
	X(text, version, algorithm, algorithm) \
	X(text, version, task, task) \
	X(jsonb, version, options, options) \
	X(jsonb, version, requested_options, requested_options) \
	X(text, version, source, source) \
	X(text, version, user_column, columns.user) \
	X(text, version, item_column, columns.item) \
	X(text, version, tag_column, columns.tag) \
	X(text, version, weight_column, columns.weight) \
	X(text, version, value_column, columns.value) \
	X(real, version, value_least, value_least) \
	X(real, version, value_most, value_most) \
	X(text, version, time_column, columns.time) \
	X(text, version, user_features, user_features) \
	X(text, version, item_features, item_features) \
	X(text, version, device, device) \
	X(text, version, user_type, user_type) \
	X(text, version, item_type, item_type) \
	X(int, version, width, width) \
	X(int, version, unit_width, unit_width) \
	X(int, version, features, features) \
	X(int, version, users, users) \
	X(int, version, items, items) \
	X(int, version, tags, tags) \
	X(text, model, owner, registered_owner)

typedef struct Row
{
	HeapTuple	tuple;			/* NULL = there is none */
	TupleDesc	desc;
} Row;

/* ------------------------------------------------------------------ values */

static AttrNumber
column_number(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	elog(ERROR, "no column \"%s\" in the registry", name);
	return InvalidAttrNumber;
}

static Datum
value_of(const Row *row, const char *name, bool *isnull)
{
	return heap_getattr(row->tuple, column_number(row->desc, name), row->desc, isnull);
}

static char *
text_value(const Row *row, const char *name)
{
	AttrNumber	column = column_number(row->desc, name);
	bool		isnull;
	Datum		value = heap_getattr(row->tuple, column, row->desc, &isnull);

	if (isnull)
		return NULL;
	if (TupleDescAttr(row->desc, column - 1)->atttypid == NAMEOID)
		return pstrdup(NameStr(*DatumGetName(value)));
	return TextDatumGetCString(value);
}

static int32
int_value(const Row *row, const char *name)
{
	bool		isnull;
	Datum		value = value_of(row, name, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* NULL = NAN */
static float
real_value(const Row *row, const char *name)
{
	bool		isnull;
	Datum		value = value_of(row, name, &isnull);

	return isnull ? NAN : DatumGetFloat4(value);
}

static Jsonb *
jsonb_value(const Row *row, const char *name)
{
	bool		isnull;
	Datum		value = value_of(row, name, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* ------------------------------------------------------------------ rows */

/* The row of a table that the keys, whose columns come by name, are of. */
static Row
find_row(Relation table, Oid index, ScanKey keys, int n)
{
	Row			row = {.desc = RelationGetDescr(table)};
	SysScanDesc scan = systable_beginscan(table, index, OidIsValid(index), GetActiveSnapshot(), n, keys);

	row.tuple = systable_getnext(scan);
	if (HeapTupleIsValid(row.tuple))
		row.tuple = heap_copytuple(row.tuple);
	systable_endscan(scan);
	return row;
}

static Row
find_model(Relation table, Oid index, const char *model)
{
	ScanKeyData key;
	AttrNumber	column = column_number(RelationGetDescr(table), "model");

	ScanKeyEntryInitialize(&key, 0, column, BTEqualStrategyNumber, InvalidOid,
						   TupleDescAttr(RelationGetDescr(table), column - 1)->attcollation, F_TEXTEQ,
						   CStringGetTextDatum(model));
	return find_row(table, index, &key, 1);
}

static Row
find_version(Relation table, Oid index, int32 model_id, int32 version)
{
	ScanKeyData key[2];
	TupleDesc	desc = RelationGetDescr(table);

	ScanKeyInit(&key[0], column_number(desc, "model_id"), BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(model_id));
	ScanKeyInit(&key[1], column_number(desc, "version"), BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	return find_row(table, index, key, 2);
}

static TagrecVersion *
describe(const Row *model, const Row *version, int *format)
{
	TagrecVersion *v = palloc0(sizeof(TagrecVersion));

	*format = int_value(version, "format");
#define READ(kind, table, column, member) v->member = kind##_value(table, #column);
	VERSION_COLUMNS(READ)
#undef READ
	return v;
}

TagrecVersion *
tagrec_version_row(const char *model, const int32 *number, int *format)
{
	TagrecRegistryTables tables = tagrec_registry_tables();
	Relation	models = table_open(tables.model, AccessShareLock);
	Relation	versions = table_open(tables.version, AccessShareLock);
	Row			model_row = find_model(models, tables.model_index, model);
	Row			version_row = {NULL};
	TagrecVersion *v = NULL;

	if (model_row.tuple)
		version_row = find_version(versions, tables.version_index, int_value(&model_row, "model_id"),
								   number ? *number : int_value(&model_row, "deployed_version"));
	if (version_row.tuple)
		v = describe(&model_row, &version_row, format);
	/* as after a statement of SQL, the locks stay */
	table_close(versions, NoLock);
	table_close(models, NoLock);
	return v;
}
