/*
 * Attributes: what is known of users, or of items, beside who has what. A relation with one row for each of them, whose key
 * column is named as in the source; every other column is an attribute, and each of its values a feature:
 *
 *     text, enum, boolean     a feature for each value
 *     array of these          a feature for each element
 *     number, date, time      a feature for each value, or, of more than 20 different ones, for each of 10 bins with about
 *                             as many users or items
 *
 * Keys match where their texts are the same. NULL is no feature, and neither is what fewer than two of the users or items
 * have. Columns of other types are an error that lists them, and so are repeated and NULL keys, numbers that are not
 * finite, and texts that are no category: TAGREC_MAX_FEATURE_BYTES. Rows of who is not in the source count for nothing,
 * unless they are items, and the algorithm knows items by their tags: then these are items that nobody has yet.
 */
#ifndef TAGREC_ATTRIBUTES_H
#define TAGREC_ATTRIBUTES_H

#include "postgres.h"

#include "core/dataset.h"
#include "pg/base/keys.h"

#define TAGREC_MAX_ATTRIBUTES 200
#define TAGREC_MAX_FEATURE_BYTES 1000

typedef enum TagrecAttributeKind
{
	TAGREC_CATEGORY,
	TAGREC_CATEGORIES,			/* an array */
	TAGREC_NUMBER,
	TAGREC_TIME
} TagrecAttributeKind;

/* A column, and what its rows have. */
typedef struct TagrecAttribute
{
	char	   *name;
	int			number;			/* of the column */
	TagrecAttributeKind kind;
	TagrecKeys	features;		/* texts, ranked by their bytes */
	int64		count;
	int64		capacity;
	int32	   *entity;			/* (count) */
	int32	   *feature;		/* (count) -1 = none */
	double	   *value;			/* (count) of a number or a time; afterwards NULL */
} TagrecAttribute;

typedef struct TagrecAttributes
{
	TrMemory   *memory;
	Oid			relation;
	char	   *name;			/* quoted and schema-qualified */
	const char *key;			/* column */
	bool		of_items;
	int			count;
	TagrecAttribute *attribute; /* (count) */
	bool		may_add;		/* in: rows of who is not in the source add keys */
	int32		in_source;		/* keys of the source */
	int32		entities;		/* all of them, */
	char	  **text;			/* (entities) and their texts */
} TagrecAttributes;

static inline const char *
tagrec_attributes_of(const TagrecAttributes *attributes)
{
	return attributes->of_items ? "item" : "user";
}

/*
 * Fills name, and attribute with the columns; ereport(ERROR) unless the current user may read a relation of a fitting kind
 * with columns of fitting types. relation, key and of_items are given.
 */
extern void tagrec_attributes_check(TagrecAttributes *attributes);

/*
 * Reads it as the current user, in a transaction with an active snapshot: what is known of these keys. With tags that are
 * closed, those of a model, its features are what tags it has of them: numbers are put into the bins that there were.
 */
extern void tagrec_attributes_read(TagrecAttributes *attributes, TagrecKeys *keys, const TagrecKeys *tags);

/* The attributes of an item as further tags, "column=value", of all who have it, or of nobody. */
extern void tagrec_attributes_as_tags(const TagrecAttributes *attributes, TagrecKeys *tags, TrAssignments *raw);

/* Each attribute as a profile; keys: of the dataset, which may be fewer than were read of, in another order. */
extern void tagrec_attributes_as_profiles(const TagrecAttributes *attributes, TagrecKeys *keys, TrDataset *dataset);

#endif
