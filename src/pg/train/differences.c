/*
 * What a training does otherwise than the one that gave the model's deployed version. See submit.h.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "pg/base/options.h"
#include "pg/registry/version.h"
#include "pg/train/submit.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* So many are listed. */
#define MAX_LISTED 12

typedef struct Differences
{
	StringInfoData text;
	int			count;
} Differences;

/* Options that do not change what a model learns. */
static const char *const no_matter[] = {"threads", "keep_versions"};

static void
compare(Differences *d, const char *what, const char *now, const char *before)
{
	if (strcmp(now ? now : "", before ? before : "") == 0)
		return;
	if (d->count++ < MAX_LISTED)
		appendStringInfo(&d->text, "%s%s %s instead of %s", d->text.len ? ", " : "", what, now ? now : "none",
						 before ? before : "none");
}

static bool
matters(const char *option)
{
	for (int i = 0; i < lengthof(no_matter); i++)
		if (strcmp(option, no_matter[i]) == 0)
			return false;
	return true;
}

static char *
value_in(Jsonb *options, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&options->root, name, strlen(name), NULL);

	return value ? tagrec_option_text(name, value) : NULL;
}

/* An option that only one of the two has is of another version of tagrec. */
static void
compare_options(Differences *d, Jsonb *now, Jsonb *before)
{
	JsonbIterator *it = JsonbIteratorInit(&now->root);
	JsonbIteratorToken token;
	JsonbValue	key;

	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		char	   *name;
		char	   *then;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(key.val.string.val, key.val.string.len);
		then = value_in(before, name);
		if (then && matters(name))
			compare(d, name, value_in(now, name), then);
	}
}

/* NULL = none */
static char *
relation_name(Oid relation)
{
	if (!OidIsValid(relation))
		return NULL;
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation));
}

static void
compare_source(Differences *d, const TagrecRequest *request, const TagrecVersion *version)
{
	const TagrecColumns *now = &request->columns;
	const TagrecColumns *before = &version->columns;

	compare(d, "source", relation_name(request->source), version->source);
	compare(d, "user_column", now->user, before->user);
	compare(d, "item_column", now->item, before->item);
	compare(d, "tag_column", now->tag, before->tag);
	compare(d, "weight_column", now->weight, before->weight);
	compare(d, "value_column", now->value, before->value);
	compare(d, "time_column", now->time, before->time);
	compare(d, "user_features", relation_name(request->user_features), version->user_features);
	compare(d, "item_features", relation_name(request->item_features), version->item_features);
}

static void
tell(const Differences *d, const TagrecVersion *version)
{
	ereport(NOTICE,
			(errmsg("settings differ from those of version %d of model \"%s\", which is deployed", version->version,
					version->model),
			 d->count <= MAX_LISTED ? errdetail("Now: %s.", d->text.data)
			 : errdetail("Now: %s, and %d more.", d->text.data, d->count - MAX_LISTED),
			 errhint("tagrec_retrain() trains with the settings of the deployed version.")));
}

void
tagrec_tell_differences(const TagrecRequest *request, TagrecOptions *options)
{
	TagrecModel *model = tagrec_model_find(request->model, true, true);
	TagrecVersion *version = model && model->deployed_version ? tagrec_version_deployed_now(request->model) : NULL;
	Differences d = {.count = 0};

	if (!version)
		return;
	initStringInfo(&d.text);
	compare(&d, "algorithm", request->algorithm, version->algorithm);
	compare_source(&d, request, version);
	if (version->device)
		compare(&d, "device", request->device, version->device);
	if (OidIsValid(request->validation_source))
		options->validation_source = relation_name(request->validation_source);
	if (strcmp(request->algorithm, version->algorithm) == 0)
		compare_options(&d, tagrec_options_effective(options), version->options);
	if (d.count > 0)
		tell(&d, version);
}
