/*
 * A job's request as a jsonb object. See request.h.
 */
#include "pg/registry/request.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

/* X(type, name in the object, member) */
#define MEMBERS(X) \
	X(text, "kind", kind) \
	X(text, "model", model) \
	X(text, "schema", schema) \
	X(text, "algorithm", algorithm) \
	X(object, "options", options) \
	X(object, "requested", requested) \
	X(int, "version", version) \
	X(object, "space", space) \
	X(int, "trials", trials) \
	X(int, "search_seed", search_seed) \
	X(int, "resume", resume) \
	X(int, "refit", refit) \
	X(int, "source", source) \
	X(int, "validation_source", validation_source) \
	X(text, "user_column", columns.user) \
	X(text, "item_column", columns.item) \
	X(text, "tag_column", columns.tag) \
	X(text, "weight_column", columns.weight) \
	X(text, "value_column", columns.value) \
	X(text, "time_column", columns.time) \
	X(int, "user_features", user_features) \
	X(int, "item_features", item_features) \
	X(text, "target_schema", target_schema) \
	X(text, "target", target) \
	X(int, "best", best) \
	X(int, "exclude_seen", exclude_seen) \
	X(text, "device", device) \
	X(text, "deploy", deploy) \
	X(int, "remembered", remembered) \
	X(int, "threads", threads) \
	X(int, "max_memory", max_memory) \
	X(int, "progress_interval", progress_interval)

Jsonb *
tagrec_jsonb(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

Jsonb *
tagrec_jsonb_text(const char *name, const char *text)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"%s\": ", name);
	escape_json(&json, text);
	appendStringInfoChar(&json, '}');
	return tagrec_jsonb(json.data);
}

/* ------------------------------------------------------------------ writing */

static void
put_name(StringInfo json, const char *name)
{
	appendStringInfoString(json, json->len > 1 ? ", " : "");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
}

static void
put_text(StringInfo json, const char *name, const char *value)
{
	if (!value)
		return;
	put_name(json, name);
	escape_json(json, value);
}

static void
put_int(StringInfo json, const char *name, int64 value)
{
	put_name(json, name);
	appendStringInfo(json, INT64_FORMAT, value);
}

static void
put_object(StringInfo json, const char *name, Jsonb *value)
{
	if (!value)
		return;
	put_name(json, name);
	(void) JsonbToCString(json, &value->root, VARSIZE(value));
}

char *
tagrec_request_text(const TagrecRequest *request)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
#define PUT(type, name, member) put_##type(&json, name, request->member);
	MEMBERS(PUT)
#undef PUT
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* ------------------------------------------------------------------ reading */

static JsonbValue *
find(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);
}

static char *
get_text(Jsonb *object, const char *name)
{
	JsonbValue *value = find(object, name);

	return value && value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

static int64
get_int(Jsonb *object, const char *name)
{
	JsonbValue *value = find(object, name);

	if (!value || value->type != jbvNumeric)
		return 0;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static Jsonb *
get_object(Jsonb *object, const char *name)
{
	JsonbValue *value = find(object, name);

	return value && value->type == jbvBinary ? JsonbValueToJsonb(value) : NULL;
}

TagrecRequest *
tagrec_request_read(Jsonb *object)
{
	TagrecRequest *request = palloc0(sizeof(TagrecRequest));

#define GET(type, name, member) request->member = get_##type(object, name);
	MEMBERS(GET)
#undef GET
	if (!request->kind || !request->model || !request->schema || !request->algorithm || !request->options
		|| !request->columns.user || !request->columns.item || !request->device)
		elog(ERROR, "incomplete request of a tagrec job");
	return request;
}
