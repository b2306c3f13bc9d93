/*
 * The columns of a version's relations, declared once: CREATE TABLE, the checks, the writer and the readers go by this
 * list. What they hold: store.h.
 *
 * X(relation, column, type, storage): type InvalidOid = that of the source's key; storage NULL = the type's. In the order
 * in which rows are written; those of the primary key come first, the version before all. None may be NULL. Embeddings stay
 * in the row while it fits a page; weights go out of line, and compression does not pay for either.
 */
#ifndef TAGREC_COLUMNS_H
#define TAGREC_COLUMNS_H

#include "postgres.h"

#include "pg/store/store.h"
#include "utils/relcache.h"

#define TAGREC_USER_COLUMNS(X) \
	X(User, version, INT4OID, NULL) \
	X(User, user_id, InvalidOid, NULL) \
	X(User, embedding, FLOAT4ARRAYOID, "MAIN") \
	X(User, seen, INT4ARRAYOID, NULL) \
	X(User, tags, INT4ARRAYOID, NULL) \
	X(User, counts, FLOAT4ARRAYOID, NULL) \
	X(User, features, INT4ARRAYOID, NULL) \
	X(User, feature_values, FLOAT4ARRAYOID, NULL) \
	X(User, post_ends, INT4ARRAYOID, NULL) \
	X(User, post_tags, INT4ARRAYOID, NULL)

#define TAGREC_ITEM_COLUMNS(X) \
	X(Item, version, INT4OID, NULL) \
	X(Item, item_id, InvalidOid, NULL) \
	X(Item, position, INT4OID, NULL) \
	X(Item, embedding, FLOAT4ARRAYOID, "MAIN") \
	X(Item, tags, INT4ARRAYOID, NULL) \
	X(Item, counts, FLOAT4ARRAYOID, NULL) \
	X(Item, posts, INT4OID, NULL)

#define TAGREC_TAG_COLUMNS(X) \
	X(Tag, version, INT4OID, NULL) \
	X(Tag, position, INT4OID, NULL) \
	X(Tag, tag, TEXTOID, NULL)

#define TAGREC_WEIGHT_COLUMNS(X) \
	X(Weight, version, INT4OID, NULL) \
	X(Weight, name, TEXTOID, NULL) \
	X(Weight, part, INT4OID, NULL) \
	X(Weight, rows, INT4OID, NULL) \
	X(Weight, cols, INT4OID, NULL) \
	X(Weight, value, FLOAT4ARRAYOID, "EXTERNAL")

#define TAGREC_NEIGHBOUR_COLUMNS(X) \
	X(Neighbour, version, INT4OID, NULL) \
	X(Neighbour, feature, INT4OID, NULL) \
	X(Neighbour, items, INT4ARRAYOID, "EXTERNAL") \
	X(Neighbour, weights, FLOAT4ARRAYOID, "EXTERNAL")

/* User_embedding, Item_position, … : places in the lists, from 0 */
#define TAGREC_COLUMN_PLACE(relation, column, type, storage) relation##_##column,
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
	const char *storage;		/* NULL = the type's */
} TagrecColumn;

typedef struct TagrecLayout
{
	const TagrecColumn *column;
	int			columns;
	int			key_columns;	/* of the primary key, version among them: the first ones */
	int			unique;			/* a column that is unique in a version, too; 0 = none */
} TagrecLayout;

extern const TagrecLayout tagrec_layout[];	/* by TagrecRelation */

/*
 * ereport(ERROR) unless the relation has the columns of its kind: those that are read, by name; those that are written, in
 * their order, and beside them only columns that may be NULL. place (columns) = the number of each.
 */
extern void tagrec_check_readable(Relation relation, TagrecRelation which, AttrNumber *place);
extern void tagrec_check_writable(Oid relation, TagrecRelation which);

#endif
