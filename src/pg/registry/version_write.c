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
	"SELECT model_id, model, schema, owner, deployed_version FROM @.tagrec_model WHERE model OPERATOR(pg_catalog.=) $1 FOR UPDATE",
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
	"SELECT COALESCE(pg_catalog.max(version), 0) OPERATOR(pg_catalog.+) 1 AS version FROM @.tagrec_version"
	" WHERE model_id OPERATOR(pg_catalog.=) $1",
	1, {INT4OID}
};

static TagrecQuery insert_query = {
	"INSERT INTO @.tagrec_version (model_id, version, refreshed_from, job, algorithm, task, options, requested_options,"
	" source, user_column, item_column, tag_column, weight_column, user_type, item_type, width, unit_width, features, "
	"users, items, tags, assignments, pairs, epochs, best_epoch, loss, metric, metric_value, seconds, backend, format)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,"
	" $24, $25, $26, $27, $28, $29, $30, $31)",
	31, {INT4OID, INT4OID, INT4OID, INT8OID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT8OID, INT8OID, INT4OID,
		INT4OID, FLOAT8OID, TEXTOID, FLOAT8OID, FLOAT8OID, TEXTOID, INT4OID}
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

static TagrecQuery exists_query = {
	"SELECT 1 FROM @.tagrec_version WHERE model_id OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2",
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

static int32
one_int(TagrecQuery *query, bool fresh, const Datum *values)
{
	TagrecSession session = tagrec_registry_begin();
	int32		value = 0;

	if (tagrec_registry_run(query, fresh, values, NULL) > 0)
		value = tagrec_row_int(0, SPI_fname(SPI_tuptable->tupdesc, 1), 0);
	tagrec_registry_end(session);
	return value;
}

static void
run_write(TagrecQuery *query, const Datum *values, const char *nulls)
{
	TagrecSession session = tagrec_registry_begin();

	tagrec_registry_run(query, true, values, nulls);
	tagrec_registry_end(session);
}

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

static void
put_text(Datum *values, char *nulls, int i, const char *text)
{
	nulls[i] = text ? ' ' : 'n';
	values[i] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
put_float(Datum *values, char *nulls, int i, double number)
{
	nulls[i] = isnan(number) ? 'n' : ' ';
	values[i] = Float8GetDatum(number);
}

void
tagrec_version_insert(const TagrecVersionRow *row)
{
	Datum		values[31];
	char		nulls[32];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(row->model_id);
	values[1] = Int32GetDatum(row->version);
	values[2] = Int32GetDatum(row->refreshed_from);
	nulls[2] = row->refreshed_from ? ' ' : 'n';
	values[3] = Int64GetDatum(row->job);
	put_text(values, nulls, 4, row->algorithm);
	put_text(values, nulls, 5, row->task);
	values[6] = JsonbPGetDatum(row->options);
	values[7] = JsonbPGetDatum(row->requested_options);
	put_text(values, nulls, 8, row->source);
	put_text(values, nulls, 9, row->user_column);
	put_text(values, nulls, 10, row->item_column);
	put_text(values, nulls, 11, row->tag_column);
	put_text(values, nulls, 12, row->weight_column);
	put_text(values, nulls, 13, row->user_type);
	put_text(values, nulls, 14, row->item_type);
	values[15] = Int32GetDatum(row->width);
	values[16] = Int32GetDatum(row->unit_width);
	values[17] = Int32GetDatum(row->features);
	values[18] = Int32GetDatum(row->users);
	values[19] = Int32GetDatum(row->items);
	values[20] = Int32GetDatum(row->tags);
	values[21] = Int64GetDatum(row->assignments);
	values[22] = Int64GetDatum(row->pairs);
	values[23] = Int32GetDatum(row->epochs);
	values[24] = Int32GetDatum(row->best_epoch);
	put_float(values, nulls, 25, row->loss);
	put_text(values, nulls, 26, row->metric);
	put_float(values, nulls, 27, row->metric_value);
	put_float(values, nulls, 28, row->seconds);
	put_text(values, nulls, 29, row->backend);
	values[30] = Int32GetDatum(TAGREC_FORMAT);
	run_write(&insert_query, values, nulls);
}

static bool
hold(TagrecQuery *query, int32 model_id)
{
	Datum		values[1] = {Int32GetDatum(model_id)};
	TagrecSession session = tagrec_registry_begin();
	bool		held = tagrec_registry_run(query, true, values, NULL) > 0;

	tagrec_registry_end(session);
	return held;
}

bool
tagrec_model_hold(int32 model_id)
{
	return hold(&hold_query, model_id);
}

bool
tagrec_model_hold_at_once(int32 model_id)
{
	return hold(&hold_at_once_query, model_id);
}

void
tagrec_model_deploy(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	run_write(&replace_query, values, NULL);
	run_write(&deploy_query, values, NULL);
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

	return one_int(&next_query, fresh, values);
}

void
tagrec_model_rename(int32 model_id, const char *model)
{
	Datum		values[2] = {Int32GetDatum(model_id), CStringGetTextDatum(model)};

	run_write(&rename_query, values, NULL);
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

	return one_int(&below_query, true, values);
}

bool
tagrec_version_exists(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	return one_int(&exists_query, true, values) != 0;
}

void
tagrec_version_delete(int32 model_id, int32 version)
{
	Datum		values[2] = {Int32GetDatum(model_id), Int32GetDatum(version)};

	run_write(&delete_version_query, values, NULL);
}

void
tagrec_model_delete(int32 model_id)
{
	Datum		values[1] = {Int32GetDatum(model_id)};

	run_write(&delete_model_query, values, NULL);
}
