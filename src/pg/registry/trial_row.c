/*
 * The registry's trials. See trial_row.h.
 */
#include "pg/registry/trial_row.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pg/registry/statement.h"
#include "utils/builtins.h"

static TagrecQuery insert_query = {
	"INSERT INTO @.tagrec_trial (job, trial, done_by, state, settings, options, fingerprint, metric, value, epochs, "
	"best_epoch, seconds, sqlstate, error, device, library, stderr, new_users, new_items)"
	" VALUES (#)",
	19, {INT8OID, INT4OID, INT8OID, TEXTOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, INT4OID, FLOAT8OID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID}
};

/* Runs as the registry's owner, because fingerprints are not public. */
static TagrecQuery find_query = {
	"SELECT t.done_by, t.settings, t.value, t.stderr, t.new_users, t.new_items, t.epochs, t.best_epoch, t.seconds,"
	" t.device, t.library,"
	" t.fingerprint OPERATOR(pg_catalog.=) $2 AS same_data"
	" FROM @.tagrec_job j JOIN @.tagrec_trial t ON t.job OPERATOR(pg_catalog.=) j.job"
	" JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) j.role"
	" WHERE j.model OPERATOR(pg_catalog.=) $1 AND j.kind OPERATOR(pg_catalog.=) 'tune'"
	" AND t.state OPERATOR(pg_catalog.=) 'done' AND pg_catalog.pg_has_role($6, r.oid, 'USAGE')"
	" AND t.options OPERATOR(pg_catalog.-) '{threads,keep_versions}'::pg_catalog.text[]"
	" OPERATOR(pg_catalog.=) ($3 OPERATOR(pg_catalog.-) '{threads,keep_versions}'::pg_catalog.text[])"
	" ORDER BY t.fingerprint OPERATOR(pg_catalog.=) $2 DESC, t.device OPERATOR(pg_catalog.=) $4 DESC,"
	" t.library OPERATOR(pg_catalog.=) $5 DESC, t.job DESC LIMIT 1",
	6, {TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, OIDOID}
};

static void
put_known(TagrecValues *values, double value, bool failed)
{
	tagrec_put(values, Float8GetDatum(value), failed || isnan(value));
}

void
tagrec_trial_insert(const TagrecTrialRow *row)
{
	TagrecValues values = {0};
	bool		failed = row->sqlstate != NULL;

	tagrec_put(&values, Int64GetDatum(row->job), false);
	tagrec_put(&values, Int32GetDatum(row->trial), false);
	tagrec_put(&values, Int64GetDatum(row->done_by), false);
	tagrec_put_text(&values, failed ? "failed" : "done");
	tagrec_put(&values, JsonbPGetDatum(row->settings), false);
	tagrec_put(&values, JsonbPGetDatum(row->options), false);
	tagrec_put_text(&values, row->fingerprint);
	tagrec_put_text(&values, row->metric);
	tagrec_put(&values, Float8GetDatum(row->value), failed);
	tagrec_put(&values, Int32GetDatum(row->epochs), failed);
	tagrec_put(&values, Int32GetDatum(row->best_epoch), failed);
	tagrec_put(&values, Float8GetDatum(row->seconds), false);
	tagrec_put_text(&values, row->sqlstate);
	tagrec_put_text(&values, failed ? row->error : NULL);
	tagrec_put_text(&values, row->device);
	tagrec_put_text(&values, row->library);
	put_known(&values, row->value_error, failed);
	put_known(&values, row->new_users, failed);
	put_known(&values, row->new_items, failed);
	tagrec_registry_put(&insert_query, &values);
}

static double
row_float(const char *name)
{
	bool		isnull;
	Datum		value = tagrec_row_datum(0, name, &isnull);

	return isnull ? NAN : DatumGetFloat8(value);
}

static bool
row_bool(const char *name)
{
	bool		isnull;
	Datum		value = tagrec_row_datum(0, name, &isnull);

	return !isnull && DatumGetBool(value);
}

static void
take_result(TagrecTrialRow *row, MemoryContext to)
{
	bool		isnull;
	MemoryContext before = MemoryContextSwitchTo(to);

	row->earlier = DatumGetJsonbPCopy(tagrec_row_datum(0, "settings", &isnull));
	MemoryContextSwitchTo(before);

	row->done_by = DatumGetInt64(tagrec_row_datum(0, "done_by", &isnull));
	row->value = row_float("value");
	row->value_error = row_float("stderr");
	row->new_users = row_float("new_users");
	row->new_items = row_float("new_items");
	row->epochs = tagrec_row_int(0, "epochs", 0);
	row->best_epoch = tagrec_row_int(0, "best_epoch", 0);
	row->seconds = row_float("seconds");
}

/* Of the first row of the last result. */
static TagrecTrialMatch
compare(TagrecTrialRow *row, MemoryContext to, char **other)
{
	char	   *device = tagrec_row_text(0, "device", to);
	char	   *library = tagrec_row_text(0, "library", to);

	if (!row_bool("same_data"))
		return TAGREC_TRIAL_OTHER_DATA;
	*other = device;
	if (strcmp(device, row->device) != 0)
		return TAGREC_TRIAL_OTHER_DEVICE;
	*other = library;
	if (strcmp(library, row->library) != 0)
		return TAGREC_TRIAL_OTHER_LIBRARY;
	take_result(row, to);
	return TAGREC_TRIAL_SAME;
}

TagrecTrialMatch
tagrec_trial_find(const char *model, TagrecTrialRow *row, char **other)
{
	Datum		values[6] = {CStringGetTextDatum(model), CStringGetTextDatum(row->fingerprint),
		JsonbPGetDatum(row->options), CStringGetTextDatum(row->device),
		CStringGetTextDatum(row->library), ObjectIdGetDatum(GetUserId())};
	TagrecSession session = tagrec_registry_begin();
	TagrecTrialMatch match = TAGREC_TRIAL_NONE;

	if (tagrec_registry_run(&find_query, true, values, NULL) > 0)
		match = compare(row, session.caller, other);
	tagrec_registry_end(session);
	return match;
}
