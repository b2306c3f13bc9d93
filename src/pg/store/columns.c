/*
 * Whether a model's relations still have the columns that were made for them. Their owner may alter them like any other
 * relation, and reading or writing values as the wrong type would crash the server.
 */
#include "pg/store/columns.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#define COLUMN(relation, column, type, storage) {#column, type, storage},
static const TagrecColumn user_columns[] = {TAGREC_USER_COLUMNS(COLUMN)};
static const TagrecColumn item_columns[] = {TAGREC_ITEM_COLUMNS(COLUMN)};
static const TagrecColumn tag_columns[] = {TAGREC_TAG_COLUMNS(COLUMN)};
static const TagrecColumn weight_columns[] = {TAGREC_WEIGHT_COLUMNS(COLUMN)};
static const TagrecColumn neighbour_columns[] = {TAGREC_NEIGHBOUR_COLUMNS(COLUMN)};
#undef COLUMN

const TagrecLayout tagrec_layout[] = {
	[TAGREC_USERS] = {user_columns, User_columns, 2, 0},
	[TAGREC_ITEMS] = {item_columns, Item_columns, 2, Item_position},
	[TAGREC_TAGS] = {tag_columns, Tag_columns, 2, Tag_tag},
	[TAGREC_WEIGHTS] = {weight_columns, Weight_columns, 3, 0},
	[TAGREC_NEIGHBOURS] = {neighbour_columns, Neighbour_columns, 2, 0}
};

static void
complain(Relation relation, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("relation \"%s\" does not have the columns of its model", RelationGetRelationName(relation)),
			 errdetail("%s", detail),
			 errhint("Undo the change, or drop the model with tagrec_drop() and train it again.")));
}

/* The column of that name and its place among those that are not dropped, from 0; NULL when there is none. */
static Form_pg_attribute
find_column(TupleDesc desc, const char *name, int *place)
{
	*place = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (strcmp(NameStr(attribute->attname), name) == 0)
			return attribute;
		++*place;
	}
	return NULL;
}

static Form_pg_attribute
check_column(Relation relation, const TagrecColumn *column, int *place)
{
	Form_pg_attribute attribute = find_column(RelationGetDescr(relation), column->name, place);

	if (!attribute)
		complain(relation, psprintf("There is no column \"%s\".", column->name));
	if (OidIsValid(column->type) && attribute->atttypid != column->type)
		complain(relation, psprintf("Column \"%s\" has type %s instead of %s.", column->name,
									format_type_be(attribute->atttypid), format_type_be(column->type)));
	return attribute;
}

/* Rows are written with NULL in the columns that the owner has added. */
static void
check_added(Relation relation, int known)
{
	TupleDesc	desc = RelationGetDescr(relation);
	int			place = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || place++ < known)
			continue;
		if (attribute->attnotnull)
			complain(relation, psprintf("Column \"%s\" is NOT NULL, and a new version leaves it NULL.",
										NameStr(attribute->attname)));
	}
}

void
tagrec_check_readable(Relation relation, TagrecRelation which, AttrNumber *place)
{
	const TagrecLayout *layout = &tagrec_layout[which];
	int			ignored;

	for (int i = 0; i < layout->columns; i++)
		place[i] = check_column(relation, &layout->column[i], &ignored)->attnum;
}

void
tagrec_check_writable(Oid relation, TagrecRelation which)
{
	Relation	opened = relation_open(relation, AccessShareLock);
	const TagrecLayout *layout = &tagrec_layout[which];
	int			place;

	for (int i = 0; i < layout->columns; i++)
	{
		(void) check_column(opened, &layout->column[i], &place);
		if (place != i)
			complain(opened, psprintf("Column \"%s\" is number %d instead of %d.", layout->column[i].name, place + 1,
									  i + 1));
	}
	check_added(opened, layout->columns);
	relation_close(opened, AccessShareLock);
}
