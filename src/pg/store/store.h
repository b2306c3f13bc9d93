/*
 * The stored form of a model: ordinary relations, owned by the role that trained it, in the schema that was current then.
 *
 * For model m, five tables partitioned by LIST (version), one partition per version, which is written once, attached
 * without blocking readers, and never changes:
 *
 *   m_user_versions        a row for each user: user_id, embedding, seen, tags, counts, features, feature_values,
 *                          post_ends, post_tags
 *   m_item_versions        a row for each item: item_id, position, embedding, tags, counts, posts
 *   m_tag_versions         a row for each tag: position, tag
 *   m_weight_versions      the network's weights: name, part, rows, cols, value
 *   m_neighbour_versions   a row for each feature that has weights: feature, items, weights
 *
 * and before all of these the version; columns.h has the types and the primary keys. Partitions: m_user_v3, m_item_v3,
 * m_tag_v3, m_weight_v3, m_neighbour_v3. position: 0-based rank of the key in its type's default order, so that a tie
 * broken by position is a tie broken by key. seen: positions of the user's items, ascending. tags, counts: the profile, as
 * positions of tags, ascending, and raw counts. posts: distinct users of the item. A weight is a (rows,cols) row-major
 * matrix cut into parts of whole rows of at most 4 million values each; part = 0, 1, …; rows and cols are the whole
 * matrix's.
 *
 * The score of a user and an item is the inner product of their embeddings, which are empty for a model without any, plus
 *     sum over e of feature_values[e] * (the weight of the item's position in the neighbour row of features[e])
 * tagrec_version.features says what the features stand for, as a set of TrFeatures (core/model.h): items, tags and users,
 * one after the other, each by its position; 0 = the model has no such part, and the arrays and the table of neighbours are
 * empty. A feature without weights has no row. features and items ascend.
 *
 * For the task "tag" alone, post p of the user, on the item seen[p], has the tags post_tags[p = 0 ? 0 : post_ends[p - 1] ..
 * post_ends[p]), counted from 0, ascending; for the task "item" both arrays are empty.
 *
 * Three views, whose names users build on:
 *
 *   m_user_embedding   (user_id, embedding)   rows of the deployed version: the one
 *                                             that tagrec_model has as deployed_version
 *   m_item_embedding   (item_id, embedding)
 *   m_item_neighbour   (item_id, neighbour_id, weight)   what having neighbour_id adds to the score of item_id
 *
 * The last one is for users to read. It has rows when the features of the deployed version include items. For one
 * neighbour_id it reads one row; for one item_id it asks the array of every row whether the item is in it
 * (neighbour_view.c) and unnests those.
 *
 * Attaching a partition does not wait for queries, so a query that was planned just before may run with a snapshot of just
 * after, which shows a deployed version that its plan has no partition for. Its plan holds the previous one's, which the
 * views then show.
 *
 * An index made on m_item_versions (a pgvector HNSW one, say) is made again on every later version's partition.
 */
#ifndef TAGREC_STORE_H
#define TAGREC_STORE_H

#include "pg/base/names.h"
#include "pg/registry/version.h"

/* Quoted, schema-qualified name of a version's partition, for use in SQL text. */
extern char *tagrec_partition_name(const TagrecVersion *version, TagrecRelation relation);

/* A version's partition; ereport(ERROR) when it is gone, or not a table of the model's owner. */
extern Oid	tagrec_partition(const TagrecVersion *version, TagrecRelation relation);

/* Keeps a version's partition from being dropped until the transaction ends; false when it is gone. */
extern bool tagrec_lock_partition(const TagrecVersion *version, TagrecRelation relation);

#endif
