/*
 * The columns of a version's relations, declared once: CREATE TABLE, the checks, the writer and the readers go by this
 * list.
 *
 * X(relation, column, type, SQL type): type InvalidOid = that of the source's key. In the order in which rows are written;
 * those of the primary key come first.
 */
#ifndef TAGREC_COLUMNS_H
#define TAGREC_COLUMNS_H

#include "postgres.h"

#include "pg/store/store.h"
#include "utils/relcache.h"

#define TAGREC_USER_COLUMNS(X) \
	X(User, version, INT4OID, "int4") \
	X(User, user_id, InvalidOid, NULL) \
	X(User, embedding, FLOAT4ARRAYOID, "float4[]") \
	X(User, seen, INT4ARRAYOID, "int4[]") \
	X(User, tags, INT4ARRAYOID, "int4[]") \
	X(User, counts, FLOAT4ARRAYOID, "float4[]") \
	X(User, features, INT4ARRAYOID, "int4[]") \
	X(User, feature_values, FLOAT4ARRAYOID, "float4[]") \
	X(User, post_ends, INT4ARRAYOID, "int4[]") \
	X(User, post_tags, INT4ARRAYOID, "int4[]")

#define TAGREC_ITEM_COLUMNS(X) \
	X(Item, version, INT4OID, "int4") \
	X(Item, item_id, InvalidOid, NULL) \
	X(Item, position, INT4OID, "int4") \
	X(Item, embedding, FLOAT4ARRAYOID, "float4[]") \
	X(Item, tags, INT4ARRAYOID, "int4[]") \
	X(Item, counts, FLOAT4ARRAYOID, "float4[]") \
	X(Item, posts, INT4OID, "int4")

#define TAGREC_TAG_COLUMNS(X) \
	X(Tag, version, INT4OID, "int4") \
	X(Tag, position, INT4OID, "int4") \
	X(Tag, tag, TEXTOID, "text")

#define TAGREC_WEIGHT_COLUMNS(X) \
	X(Weight, version, INT4OID, "int4") \
	X(Weight, name, TEXTOID, "text") \
	X(Weight, part, INT4OID, "int4") \
	X(Weight, rows, INT4OID, "int4") \
	X(Weight, cols, INT4OID, "int4") \
	X(Weight, value, FLOAT4ARRAYOID, "float4[]")

#define TAGREC_NEIGHBOUR_COLUMNS(X) \
	X(Neighbour, version, INT4OID, "int4") \
	X(Neighbour, feature, INT4OID, "int4") \
	X(Neighbour, items, INT4ARRAYOID, "int4[]") \
	X(Neighbour, weights, FLOAT4ARRAYOID, "float4[]")

/* User_embedding, Item_position, … : places in the lists, from 0 */
#define TAGREC_COLUMN_PLACE(relation, column, type, sql) relation##_##column,
enum {TAGREC_USER_COLUMNS(TAGREC_COLUMN_PLACE) User_columns};
enum {TAGREC_ITEM_COLUMNS(TAGREC_COLUMN_PLACE) Item_columns};
enum {TAGREC_TAG_COLUMNS(TAGREC_COLUMN_PLACE) Tag_columns};
enum {TAGREC_WEIGHT_COLUMNS(TAGREC_COLUMN_PLACE) Weight_columns};
enum {TAGREC_NEIGHBOUR_COLUMNS(TAGREC_COLUMN_PLACE) Neighbour_columns};
#undef TAGREC_COLUMN_PLACE

#define TAGREC_MOST_COLUMNS User_columns

typedef struct TagrecColumn
{
	const char *name;
	Oid			type;			/* InvalidOid = that of the source's key */
	const char *sql_type;		/* NULL = that of the source's key */
} TagrecColumn;

typedef struct TagrecLayout
{
	const TagrecColumn *column;
	int			columns;
	int			key_columns;	/* of the primary key, version among them: the first ones */
} TagrecLayout;

extern const TagrecLayout tagrec_layout[];	/* by TagrecRelation */

/*
 * ereport(ERROR) unless the relation has the columns of its kind: those that are read, by name; those that are written, in
 * their order, and beside them only columns that may be NULL. place (columns) = the number of each.
 */
extern void tagrec_check_readable(Relation relation, TagrecRelation which, AttrNumber *place);
extern void tagrec_check_writable(Oid relation, TagrecRelation which);

#endif
