/*
 * The attributes that a training reads beside its source: for whom, and as what. See source.h.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "pg/base/auto.h"
#include "pg/source/source.h"

/* Of those that auto tries, some do. */
static bool
may_read_tags(const TrAlgorithm *algorithm)
{
	return tr_needs_tags(algorithm) || tr_reads_tags(algorithm) || tagrec_auto_find(algorithm->name);
}

bool
tagrec_attributes_are_tags(const TrAlgorithm *algorithm)
{
	return !algorithm->uses_attributes && algorithm->task == TR_TASK_ITEM && may_read_tags(algorithm);
}

bool
tagrec_knows_items_by_tags(const TrAlgorithm *algorithm)
{
	return algorithm->task == TR_TASK_ITEM && (algorithm->encode || tagrec_auto_find(algorithm->name));
}

static bool
can_use(const TrAlgorithm *algorithm, TrSide side)
{
	return algorithm->uses_attributes || (side == TR_ITEM && tagrec_attributes_are_tags(algorithm));
}

static const char *
argument_of(TrSide side)
{
	return side == TR_USER ? "user_features" : "item_features";
}

static void
check_use(const TrAlgorithm *algorithm, TrSide side)
{
	StringInfoData names;

	if (can_use(algorithm, side))
		return;
	initStringInfo(&names);
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		if (can_use(*a, side))
			appendStringInfo(&names, "%s%s", names.len ? ", " : "", (*a)->name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("algorithm \"%s\" cannot use %s", algorithm->name, argument_of(side)),
			 names.len > 0 ? errhint("These can: %s.", names.data) : 0));
}

static TagrecAttributes *
attributes_of(TagrecSource *source, TrSide side)
{
	TagrecAttributes *attributes = &source->attributes[side];

	*attributes = (TagrecAttributes) {
		.relation = source->features[side],
		.key = side == TR_USER ? source->columns.user : source->columns.item,
		.of_items = side == TR_ITEM
	};
	return attributes;
}

void
tagrec_source_check_attributes(TagrecSource *source, const TrAlgorithm *algorithm)
{
	for (TrSide side = TR_USER; side <= TR_ITEM; side++)
	{
		if (!OidIsValid(source->features[side]))
			continue;
		check_use(algorithm, side);
		tagrec_attributes_check(attributes_of(source, side));
	}
}

void
tagrec_source_read_attributes(TagrecSource *source, const TrAlgorithm *algorithm, TagrecData *data, TrAssignments *raw)
{
	tagrec_source_check_attributes(source, algorithm);
	for (TrSide side = TR_USER; side <= TR_ITEM; side++)
		if (OidIsValid(source->features[side]))
		{
			source->attributes[side].may_add = side == TR_ITEM && tagrec_knows_items_by_tags(algorithm);
			tagrec_attributes_read(&source->attributes[side], side == TR_USER ? &data->users : &data->items,
								   &data->tags);
		}
	if (OidIsValid(source->features[TR_ITEM]) && tagrec_attributes_are_tags(algorithm))
		tagrec_attributes_as_tags(&source->attributes[TR_ITEM], &data->tags, raw);
}

void
tagrec_source_add_profiles(const TagrecSource *source, const TrAlgorithm *algorithm, TagrecData *data, TrDataset *dataset)
{
	for (TrSide side = TR_USER; side <= TR_ITEM && algorithm->uses_attributes; side++)
		if (OidIsValid(source->features[side]))
			tagrec_attributes_as_profiles(&source->attributes[side], side == TR_USER ? &data->users : &data->items, dataset);
}
