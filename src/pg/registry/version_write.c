/*
 * Writing the registry's models and versions. See version_write.h.
 */
#include "pg/registry/version_write.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/registry/statement.h"
#include "utils/builtins.h"

static TagrecQuery make_query = {
	"INSERT INTO @.tagrec_model (model, schema, owner) VALUES ($1, $2, $3) ON CONFLICT (model) DO NOTHING",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static TagrecQuery lock_query = {
	"SELECT model_id, model, schema, owner, deployed_version FROM @.tagrec_model"
	" WHERE model OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	1, {TEXTOID}
};

static TagrecQuery hold_query = {
	"SELECT model_id FROM @.tagrec_model WHERE model_id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	1, {INT4OID}
};

static TagrecQuery hold_at_once_query = {
	"SELECT model_id FROM @.tagrec_model WHERE model_id OPERATOR(pg_catalog.=) $1 FOR UPDATE SKIP LOCKED",
	1, {INT4OID}
};

static TagrecQuery next_query = {
	"SELECT GREATEST((SELECT pg_catalog.max(version) FROM @.tagrec_version WHERE model_id OPERATOR(pg_catalog.=) $1),"
	" (SELECT pg_catalog.max(version) FROM @.tagrec_result WHERE model_id OPERATOR(pg_catalog.=) $1), 0)"
	" OPERATOR(pg_catalog.+) 1 AS version",
	1, {INT4OID}
};

static TagrecQuery result_query = {
	"INSERT INTO @.tagrec_result (model_id, version, refreshed_from, job, algorithm, source, requested_options, users, items,"
	" tags, assignments, pairs, epochs, best_epoch, metric, metric_value, seconds, bytes, created_at)"
	" SELECT model_id, version, refreshed_from, job, algorithm, source, requested_options, users, items,"
	" tags, assignments, pairs, epochs, best_epoch, metric, metric_value, seconds, $3, created_at FROM @.tagrec_version"
	" WHERE model_id OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2",
	3, {INT4OID, INT4OID, INT8OID}
};

static TagrecQuery compared_query = {
	"UPDATE @.tagrec_result SET compared_with = $3, compared_metric = $4, compared_value = $5, compared_with_value = $6"
	" WHERE model_id OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2",
	6, {INT4OID, INT4OID, INT4OID, TEXTOID, FLOAT8OID, FLOAT8OID}
};

static TagrecQuery deployed_query = {
	"UPDATE @.tagrec_result SET deployed_at = pg_catalog.now() WHERE model_id OPERATOR(pg_catalog.=) $1"
	" AND version OPERATOR(pg_catalog.=) $2",
	2, {INT4OID, INT4OID}
};

/* X(how it is put, column, member of TagrecVersionRow): the row of a version, but for its format. some: 0 is NULL. */
#define VERSION_COLUMNS(X) \
	X(int4, model_id, model_id) \
	X(int4, version, version) \
	X(some, refreshed_from, refreshed_from) \
	X(int8, job, job) \
	X(text, algorithm, algorithm) \
	X(text, task, task) \
	X(jsonb, options, options) \
	X(jsonb, requested_options, requested_options) \
	X(text, source, source) \
	X(text, user_column, columns.user) \
	X(text, item_column, columns.item) \
	X(text, tag_column, columns.tag) \
	X(text, weight_column, columns.weight) \
	X(text, value_column, columns.value) \
	X(float4, value_least, value_least) \
	X(float4, value_most, value_most) \
	X(text, time_column, columns.time) \
	X(text, user_features, user_features) \
	X(text, item_features, item_features) \
	X(text, user_type, user_type) \
	X(text, item_type, item_type) \
	X(int4, width, width) \
	X(int4, unit_width, unit_width) \
	X(int4, features, features) \
	X(int4, users, users) \
	X(int4, items, items) \
	X(int4, tags, tags) \
	X(int8, assignments, assignments) \
	X(int8, pairs, pairs) \
	X(int4, epochs, epochs) \
	X(int4, best_epoch, best_epoch) \
	X(float8, loss, loss) \
	X(text, metric, metric) \
	X(float8, metric_value, metric_value) \
	X(float8, seconds, seconds) \
	X(text, backend, backend) \
	X(text, device, device)

#define TYPE_int4 INT4OID
#define TYPE_some INT4OID
#define TYPE_int8 INT8OID
#define TYPE_float4 FLOAT4OID
#define TYPE_float8 FLOAT8OID
#define TYPE_text TEXTOID
#define TYPE_jsonb JSONBOID

#define COLUMN_NAME(how, column, member) #column ", "
#define COLUMN_TYPE(how, column, member) TYPE_##how,
#define COLUMN_ONE(how, column, member) +1
static TagrecQuery insert_query = {
	"INSERT INTO @.tagrec_version (" VERSION_COLUMNS(COLUMN_NAME) "format) VALUES (#)",
	1 VERSION_COLUMNS(COLUMN_ONE), {VERSION_COLUMNS(COLUMN_TYPE) INT4OID}
};

static TagrecQuery json_query = {
	"SELECT pg_catalog.row_to_json(v)::pg_catalog.text AS row FROM @.tagrec_version v"
	" WHERE v.model_id OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2",
	2, {INT4OID, INT4OID}
};

static TagrecQuery import_query = {
	"INSERT INTO @.tagrec_version SELECT (pg_catalog.jsonb_populate_record(NULL::@.tagrec_version, $3"
	" OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('model_id', $1, 'version', $2, 'job', NULL,"
	" 'refreshed_from', NULL, 'created_at', pg_catalog.now()))).*",
	3, {INT4OID, INT4OID, JSONBOID}
};

/* Leaves in the row's xmin which transaction has replaced the version: see tagrec_version_replaced(). */
static TagrecQuery replace_query = {
	"UPDATE @.tagrec_version SET format = format WHERE model_id OPERATOR(pg_catalog.=) $1"
	" AND version OPERATOR(pg_catalog.=)"
	" (SELECT deployed_version FROM @.tagrec_model WHERE model_id OPERATOR(pg_catalog.=) $1)",
	1, {INT4OID}
};

static TagrecQuery deploy_query = {
	"UPDATE @.tagrec_model SET previous_version = deployed_version, deployed_version = $2,"
	" owner = COALESCE((SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	" WHERE n.nspname OPERATOR(pg_catalog.=) schema"
	" AND c.relname OPERATOR(pg_catalog.=) (model OPERATOR(pg_catalog.||) '_item_embedding'::pg_catalog.text)), owner)"
	" WHERE model_id OPERATOR(pg_catalog.=) $1",
	2, {INT4OID, INT4OID}
};

static TagrecQuery rename_query = {
	"UPDATE @.tagrec_model SET model = $2 WHERE model_id OPERATOR(pg_catalog.=) $1",
	2, {INT4OID, TEXTOID}
};

static TagrecQuery schema_query = {
	"UPDATE @.tagrec_model SET schema = $2 WHERE model_id OPERATOR(pg_catalog.=) $1",
	2, {INT4OID, TEXTOID}
};

static TagrecQuery beyond_query = {
	"SELECT v.version FROM @.tagrec_version v JOIN @.tagrec_model m ON m.model_id OPERATOR(pg_catalog.=) v.model_id"
	" WHERE m.model_id OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.<>) m.deployed_version"
	" ORDER BY v.version DESC OFFSET $2",
	2, {INT4OID, INT4OID}
};

static TagrecQuery below_query = {
	"SELECT COALESCE(pg_catalog.max(version), 0) AS version FROM @.tagrec_version"
	" WHERE model_id OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.<) $2",
	2, {INT4OID, INT4OID}
};

static TagrecQuery replaced_query = {
	"SELECT v.xmin FROM @.tagrec_version v JOIN @.tagrec_model m ON m.model_id OPERATOR(pg_catalog.=) v.model_id"
	" WHERE v.model_id OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2"
	" AND m.deployed_version OPERATOR(pg_catalog.<>) v.version",
	2, {INT4OID, INT4OID}
};

static TagrecQuery delete_version_query = {
	"DELETE FROM @.tagrec_version WHERE model_id OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2",
	2, {INT4OID, INT4OID}
};

static TagrecQuery delete_model_query = {
	"DELETE FROM @.tagrec_model WHERE model_id OPERATOR(pg_catalog.=) $1",
	1, {INT4OID}
};

TagrecModel *
tagrec_model_lock(const char *model, const char *schema, bool *made, int32 *version)
{
	Datum		values[3] = {CStringGetTextDatum(model), CStringGetTextDatum(schema),
		CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
	TagrecSession session = tagrec_registry_begin();
	TagrecModel *found = MemoryContextAllocZero(session.caller, sizeof(TagrecModel));

	*made = tagrec_registry_run(&make_query, true, values, NULL) > 0;
	if (tagrec_registry_run(&lock_query, true, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("model \"%s\" was dropped while it was being written", model)));
	found->model_id = tagrec_row_int(0, "model_id", 0);
	found->model = tagrec_row_text(0, "model", session.caller);
	found->schema = tagrec_row_text(0, "schema", session.caller);
	found->registered_owner = tagrec_row_text(0, "owner", session.caller);
	found->deployed_version = tagrec_row_int(0, "deployed_version", 0);
	tagrec_registry_end(session);
	*version = tagrec_version_next(found->model_id, true);
	return found;
}

#define put_int4(values, number) tagrec_put(values, Int32GetDatum(number), false)
#define put_some(values, number) tagrec_put(values, Int32GetDatum(number), (number) == 0)
#define put_int8(values, number) tagrec_put(values, Int64GetDatum(number), false)
#define put_float4(values, number) tagrec_put(values, Float4GetDatum(number), isnan(number))
#define put_float8(values, number) tagrec_put_float(values, number)
#define put_text(values, text) tagrec_put_text(values, text)
#define put_jsonb(values, object) tagrec_put(values, JsonbPGetDatum(object), false)

void
tagrec_version_insert(const TagrecVersionRow *row)
{
	TagrecValues values = {0};

#define PUT(how, column, member) put_##how(&values, row->member);
	VERSION_COLUMNS(PUT)
#undef PUT
	put_int4(&values, TAGREC_FORMAT);
	tagrec_registry_put(&insert_query, &values);
}

char *
tagrec_version_json(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};
	TagrecSession session = tagrec_registry_begin();
	char	   *row = tagrec_registry_run(&json_query, false, values, NULL) > 0 ?
		tagrec_row_text(0, "row", session.caller) : NULL;

	tagrec_registry_end(session);
	if (!row)
		elog(ERROR, "version %d of model %d has no row", version, model_id);
	return row;
}

void
tagrec_version_import(int32 model_id, int32 version, Jsonb *row)
{
	Datum		values[3] = {Int32GetDatum(model_id), Int32GetDatum(version), JsonbPGetDatum(row)};

	tagrec_registry_write(&import_query, values);
}

void
tagrec_result_insert(int32 model_id, int32 version, int64 bytes)
{
	Datum		values[3] = {Int32GetDatum(model_id), Int32GetDatum(version), Int64GetDatum(bytes)};

	tagrec_registry_write(&result_query, values);
}

void
tagrec_result_compared(int32 model_id, int32 version, int32 other, const char *metric, double value, double other_value)
{
	TagrecValues values = {0};

	put_int4(&values, model_id);
	put_int4(&values, version);
	put_int4(&values, other);
	put_text(&values, metric);
	put_float8(&values, value);
	put_float8(&values, other_value);
	tagrec_registry_put(&compared_query, &values);
}

bool
tagrec_model_hold(int32 model_id)
{
	Datum		values[1] = {Int32GetDatum(model_id)};

	return tagrec_registry_write(&hold_query, values) > 0;
}

bool
tagrec_model_hold_at_once(int32 model_id)
{
	Datum		values[1] = {Int32GetDatum(model_id)};

	return tagrec_registry_write(&hold_at_once_query, values) > 0;
}

void
tagrec_model_deploy(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	tagrec_registry_write(&replace_query, values);
	tagrec_registry_write(&deploy_query, values);
	tagrec_registry_write(&deployed_query, values);
}

TransactionId
tagrec_version_replaced(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};
	TransactionId replaced = InvalidTransactionId;
	TagrecSession session = tagrec_registry_begin();
	bool		isnull;

	if (tagrec_registry_run(&replaced_query, true, values, NULL) > 0)
		replaced = DatumGetTransactionId(tagrec_row_datum(0, "xmin", &isnull));
	tagrec_registry_end(session);
	return replaced;
}

int32
tagrec_version_next(int32 model_id, bool fresh)
{
	Datum		values[1] = {Int32GetDatum(model_id)};

	return tagrec_registry_int(&next_query, fresh, values);
}

void
tagrec_model_rename(int32 model_id, const char *model)
{
	Datum		values[2] = {Int32GetDatum(model_id), CStringGetTextDatum(model)};

	tagrec_registry_write(&rename_query, values);
}

void
tagrec_model_set_schema(int32 model_id, const char *schema)
{
	Datum		values[2] = {Int32GetDatum(model_id), CStringGetTextDatum(schema)};

	tagrec_registry_write(&schema_query, values);
}

int
tagrec_versions_beyond(int32 model_id, int keep, int32 **versions)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(keep)};
	TagrecSession session = tagrec_registry_begin();
	int			count = (int) tagrec_registry_run(&beyond_query, true, values, NULL);

	*versions = MemoryContextAlloc(session.caller, Max(count, 1) * sizeof(int32));
	for (int i = 0; i < count; i++)
		(*versions)[i] = tagrec_row_int(i, "version", 0);
	tagrec_registry_end(session);
	return count;
}

int32
tagrec_version_below(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	return tagrec_registry_int(&below_query, true, values);
}

void
tagrec_version_delete(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	tagrec_registry_write(&delete_version_query, values);
}

void
tagrec_model_delete(int32 model_id)
{
	Datum		values[1] = {Int32GetDatum(model_id)};

	tagrec_registry_write(&delete_model_query, values);
}
