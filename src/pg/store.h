/*
 * The stored form of a model: ordinary relations, owned by the role that trained it, in the schema that was current then.
 *
 * For model m, four tables partitioned by LIST (version), one partition per version, which is written once, attached without
 * blocking readers, and never changes:
 *
 *   m_user_versions    (version int, user_id <source type>, embedding real[], seen int[], tags int[], counts real[])
 *   m_item_versions    (version int, item_id <source type>, position int, embedding real[], tags int[], counts real[], posts int)
 *   m_tag_versions     (version int, position int, tag text)
 *   m_weight_versions  (version int, name text, part int, rows int, cols int, value real[])
 *
 * partitions m_user_v3, m_item_v3, m_tag_v3, m_weight_v3; primary keys (version, user_id), (version, item_id),
 * (version, position), (version, name, part). position: 0-based rank of the key in its type's default order, so that a tie
 * broken by position is a tie broken by key. seen: positions of the user's items, ascending. tags, counts: the profile, as
 * positions of tags, ascending, and raw counts. posts: distinct users of the item. A weight is a (rows,cols) row-major matrix
 * cut into parts of whole rows of at most 4 million values each; part = 0, 1, …; rows and cols are the whole matrix's
 *
 * and two views, whose names users build on:
 *
 *   m_user_embedding   (user_id, embedding)   rows of the deployed version: version = (SELECT deployed_version FROM tagrec_model …)
 *   m_item_embedding   (item_id, embedding)
 *
 * Attaching a partition waits for nobody, so a query that was planned just before may run with a snapshot of just after, which
 * shows a deployed version that its plan has no partition for. Its plan holds the previous one's, which the views then show.
 *
 * An index made on m_item_versions (a pgvector HNSW one, say) is made again on every later version's partition.
 */
#ifndef TAGREC_STORE_H
#define TAGREC_STORE_H

#include "catalog.h"

typedef enum TagrecRelation
{
	TAGREC_USERS,
	TAGREC_ITEMS,
	TAGREC_TAGS,
	TAGREC_WEIGHTS
} TagrecRelation;

/* ereport(ERROR) unless the name is one for a model. */
extern void tagrec_check_model_name(const char *model);

/* Longest model name that leaves room for "_weight_versions" in a NAMEDATALEN identifier. */
#define TAGREC_MODEL_NAME_MAX 46

/* Plain names: the partitioned table, a version's partition, the view (users and items alone have one). */
extern char *tagrec_parent_relname(const char *model, TagrecRelation relation);
extern char *tagrec_partition_relname(const char *model, TagrecRelation relation, int32 version);
extern char *tagrec_view_relname(const char *model, TagrecRelation relation);

/* Quoted, schema-qualified name of a version's partition, for use in SQL text. */
extern char *tagrec_partition_name(const TagrecVersion *version, TagrecRelation relation);

/* A version's partition; ereport(ERROR) when it is gone. */
extern Oid	tagrec_partition(const TagrecVersion *version, TagrecRelation relation);

/* Keeps a version's partition from being dropped until the transaction ends; false when it is gone. */
extern bool tagrec_lock_partition(const TagrecVersion *version, TagrecRelation relation);

/*
 * ereport(ERROR) unless the relation has the columns of its kind: those that are read, by name; those that are written, in their
 * order, and beside them only columns that may be NULL.
 */
extern void tagrec_check_readable(Oid relation, TagrecRelation which);
extern void tagrec_check_writable(Oid relation, TagrecRelation which);

/*
 * Serving reads a model's relations as their owner, the way a view does: the caller's right is SELECT on the item embedding
 * relation alone, and no function that somebody hid in a relation ever runs with the caller's rights.
 */
typedef struct TagrecIdentity
{
	Oid			user;
	int			security_context;
} TagrecIdentity;

extern TagrecIdentity tagrec_become(Oid role);
extern void tagrec_become_again(TagrecIdentity identity);

#endif
