/*
 * The names of a model's relations. See names.h.
 */
#include "pg/base/names.h"

static const char *const relation_stem[] = {
	[TAGREC_USERS] = "user",
	[TAGREC_ITEMS] = "item",
	[TAGREC_TAGS] = "tag",
	[TAGREC_WEIGHTS] = "weight",
	[TAGREC_NEIGHBOURS] = "neighbour"
};

char *
tagrec_parent_relname(const char *model, TagrecRelation relation)
{
	return psprintf("%s_%s_versions", model, relation_stem[relation]);
}

char *
tagrec_partition_relname(const char *model, TagrecRelation relation, int32 version)
{
	return psprintf("%s_%s_v%d", model, relation_stem[relation], version);
}

char *
tagrec_view_relname(const char *model, TagrecRelation relation)
{
	Assert(relation == TAGREC_USERS || relation == TAGREC_ITEMS || relation == TAGREC_NEIGHBOURS);
	if (relation == TAGREC_NEIGHBOURS)
		return psprintf("%s_item_neighbour", model);
	return psprintf("%s_%s_embedding", model, relation_stem[relation]);
}

void
tagrec_check_model_name(const char *model)
{
	if (model[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("model name must not be empty")));
	if (strlen(model) > TAGREC_MODEL_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("model name \"%s\" is too long", model),
				 errdetail("It has %zu bytes, but the names of its relations leave room for only %d.", strlen(model),
						   TAGREC_MODEL_NAME_MAX)));
}
