/*
 * A job's request as a jsonb object. See request.h.
 */
#include "pg/registry/request.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

Jsonb *
tagrec_jsonb(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
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
	put_text(&json, "kind", request->kind);
	put_text(&json, "model", request->model);
	put_text(&json, "schema", request->schema);
	put_text(&json, "algorithm", request->algorithm);
	put_object(&json, "options", request->options);
	put_object(&json, "requested", request->requested);
	put_int(&json, "version", request->version);
	put_object(&json, "space", request->space);
	put_int(&json, "trials", request->trials);
	put_int(&json, "search_seed", request->search_seed);
	put_int(&json, "resume", request->resume);
	put_int(&json, "refit", request->refit);
	put_int(&json, "source", request->source);
	put_int(&json, "validation_source", request->validation_source);
	put_text(&json, "user_column", request->user_column);
	put_text(&json, "item_column", request->item_column);
	put_text(&json, "tag_column", request->tag_column);
	put_text(&json, "weight_column", request->weight_column);
	put_text(&json, "device", request->device);
	put_int(&json, "threads", request->threads);
	put_int(&json, "max_memory", request->max_memory);
	put_int(&json, "progress_interval", request->progress_interval);
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

	request->kind = get_text(object, "kind");
	request->model = get_text(object, "model");
	request->schema = get_text(object, "schema");
	request->algorithm = get_text(object, "algorithm");
	request->options = get_object(object, "options");
	request->requested = get_object(object, "requested");
	request->version = (int) get_int(object, "version");
	request->space = get_object(object, "space");
	request->trials = (int) get_int(object, "trials");
	request->search_seed = get_int(object, "search_seed");
	request->resume = get_int(object, "resume") != 0;
	request->refit = get_int(object, "refit") != 0;
	request->source = (Oid) get_int(object, "source");
	request->validation_source = (Oid) get_int(object, "validation_source");
	request->user_column = get_text(object, "user_column");
	request->item_column = get_text(object, "item_column");
	request->tag_column = get_text(object, "tag_column");
	request->weight_column = get_text(object, "weight_column");
	request->device = get_text(object, "device");
	request->threads = (int) get_int(object, "threads");
	request->max_memory = (int) get_int(object, "max_memory");
	request->progress_interval = (int) get_int(object, "progress_interval");
	if (!request->kind || !request->model || !request->schema || !request->algorithm || !request->options
		|| !request->user_column || !request->item_column || !request->tag_column || !request->device)
		elog(ERROR, "incomplete request of a tagrec job");
	return request;
}
